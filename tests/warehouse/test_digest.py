"""The content digest: blind to batch borders, sharp on everything else."""

import itertools
import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.digest import TableDigest

SCHEMA = pa.schema(
    [
        pa.field("s", pa.string()),
        pa.field("n", pa.int64()),
        pa.field("f", pa.float32()),
        pa.field("b", pa.binary()),
        pa.field("flag", pa.bool_()),
        pa.field("t", pa.timestamp("us", tz="UTC")),
        pa.field("list", pa.list_(pa.string())),
        pa.field("edges", pa.list_(pa.struct([("name", pa.string()), ("v", pa.int64())]))),
    ]
)


def rows(count: int, seed: int = 0) -> list[dict]:
    rng = random.Random(seed)
    return [
        {
            "s": rng.choice([None, "", "ä", "x" * rng.randrange(9)]),
            "n": rng.choice([None, 0, -5, 1 << 40]),
            "f": rng.choice([None, 0.0, 1.5]),
            "b": rng.choice([None, b"", b"\x00\x01"]),
            "flag": rng.choice([None, True, False]),
            "t": rng.choice([None, 0, 1_700_000_000_000_000]),
            "list": rng.choice([None, [], ["a"], ["a", None, "b"]]),
            "edges": rng.choice([None, [], [{"name": "x", "v": 1}], [{"name": None, "v": 2}, None]]),
        }
        for _ in range(count)
    ]


def digest(data: list[dict], cuts: list[int] = ()) -> str:
    batch = pa.RecordBatch.from_pylist(data, schema=SCHEMA)
    total = TableDigest(SCHEMA)
    bounds = sorted({0, *(c % (len(data) + 1) for c in cuts), len(data)})
    for start, end in itertools.pairwise(bounds):
        total.update(batch.slice(start, end - start))
    return total.hexdigest()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 1000), max_size=8))
def test_batch_borders_do_not_matter(seed: int, cuts: list[int]) -> None:
    data = rows(40, seed)
    assert digest(data, cuts) == digest(data)


@pytest.mark.parametrize("column", SCHEMA.names)
def test_every_change_of_a_value_changes_the_digest(column: str) -> None:
    data = rows(30, 7)
    whole = digest(data)
    options = [row[column] for row in rows(12, 1)]
    changed = 0
    for index, row in enumerate(data):
        for option in options:
            if option != row[column] or type(option) is not type(row[column]):
                other = [*data[:index], {**row, column: option}, *data[index + 1 :]]
                assert digest(other) != whole, (index, row[column], option)
                changed += 1
    assert changed > 20


def test_order_counts() -> None:
    data = rows(20, 3)
    assert digest(data[::-1]) != digest(data)


def test_values_do_not_slide_between_neighbours() -> None:
    one, other = rows(2, 0), rows(2, 0)
    one[0]["s"], one[1]["s"] = "ab", "c"
    other[0]["s"], other[1]["s"] = "a", "bc"
    assert digest(one) != digest(other)


def test_an_unknown_dtype_is_refused() -> None:
    schema = pa.schema([pa.field("d", pa.decimal128(5, 2))])
    with pytest.raises(TypeError, match="no digest is defined"):
        TableDigest(schema).update(pa.RecordBatch.from_arrays([pa.array([None], pa.decimal128(5, 2))], schema=schema))
