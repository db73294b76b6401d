"""Delta tables: order, partition replacement, time travel, schema checks, concurrent writers."""

import multiprocessing
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from warehouse.ids import row_id
from warehouse.schema import Column, TableSchema
from warehouse.tables import SchemaError, TableNotFoundError, Tables

DEMO = TableSchema(
    "demo", "a table of tests", ("n",), (Column("n", pa.int64(), "a number"), Column("s", pa.string(), "text"))
)


def frame(partition: str, count: int, start: int = 0, text: str = "") -> pl.DataFrame:
    numbers = range(start, start + count)
    return pl.DataFrame(
        {
            "id": [row_id(n) for n in numbers],
            "parents": [[f"p{n}"] if n % 3 else [] for n in numbers],
            "partition": [partition] * count,
            "n": list(numbers),
            "s": [None if n % 5 == 0 else text or str(n) for n in numbers],
        },
        schema=pl.Schema(DEMO.arrow),
    )


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(str(tmp_path / "warehouse"))


def test_what_is_read_is_what_was_written_in_order(tables: Tables) -> None:
    wide = frame("2026-01", 40_000, text="x" * 300)
    shuffled = wide.sample(fraction=1.0, shuffle=True, seed=1)
    done = tables.commit(DEMO, [shuffled[:7], shuffled[7:30_000], shuffled[30_000:]], partitions=["2026-01"])
    view = tables.view("demo", done.version)
    assert_frame_equal(view.scan().collect(), shuffled)
    assert view.rows == done.rows == 40_000
    assert view.digest() == done.digest
    for world in (1, 3, 8):
        parts = [pl.from_arrow(b) for r in range(world) for b in view.batches(["n"], rank=r, world_size=world)]
        assert pl.concat(parts)["n"].to_list() == shuffled["n"].to_list()


def test_a_partition_is_replaced_and_no_other_is_touched(tables: Tables) -> None:
    tables.commit(DEMO, [frame("2026-01", 10), frame("2026-02", 20)], partitions=["2026-01", "2026-02"])
    before = tables.view("demo")
    tables.commit(DEMO, [frame("2026-02", 3, start=100)], partitions=["2026-02"])
    after = tables.view("demo")
    assert after.rows == 13
    assert before.rows == 30, "an open view keeps its snapshot"
    assert set(tables.view("demo", partitions=["2026-01"]).paths) == {p for p in before.paths if "2026-01" in p}
    tables.commit(DEMO, [], partitions=["2026-01"])
    assert tables.view("demo").rows == 3, "a partition without rows is emptied"


def test_time_travel_and_restore_by_reference(tables: Tables) -> None:
    old = tables.commit(DEMO, [frame("2026-01", 10)], partitions=["2026-01"])
    tables.commit(DEMO, [frame("2026-01", 2)], partitions=["2026-01"])
    assert tables.view("demo", old.version).digest() == old.digest
    version = tables.restore(DEMO, old.version, ["2026-01"], {"why": "test"})
    assert tables.view("demo").parts == ((version, None),)
    assert tables.view("demo").digest() == old.digest
    assert tables.history("demo")[0]["why"] == "test"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop("s"), "missing columns"),
        (lambda f: f.with_columns(pl.lit(1).alias("new")), "unknown columns"),
        (lambda f: f.with_columns(pl.lit("no number").alias("n")), "demo"),
        (lambda f: f.with_columns(pl.lit("2027-01").alias("partition")), "2027-01"),
        (lambda f: f.with_columns(pl.lit(None, pl.String).alias("id")), "without an id"),
        (lambda f: pl.concat([f, f.with_columns(pl.lit("2026-02").alias("partition")), f]), "not contiguous"),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_nothing_is_committed(tables: Tables, change, message: str) -> None:
    tables.commit(DEMO, [frame("2026-01", 5)], partitions=["2026-01"])
    version = tables.view("demo").parts
    with pytest.raises(SchemaError, match=message):
        tables.commit(DEMO, [change(frame("2026-01", 5))], partitions=["2026-01", "2026-02"])
    assert tables.view("demo").parts == version


def test_a_generator_that_fails_commits_nothing(tables: Tables) -> None:
    def rows():
        yield frame("2026-01", 5)
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        tables.commit(DEMO, rows(), partitions=["2026-01"])
    assert tables.view("demo").rows == 0


def test_a_table_of_other_columns_is_not_written_to(tables: Tables) -> None:
    older = TableSchema("demo", "as an older version declared it", ("n",), (Column("n", pa.int64(), "a number"),))
    tables.commit(older, [frame("a", 3).drop("s")], partitions=["a"])
    with pytest.raises(SchemaError, match="another version of Rigor: s differ; keep that warehouse"):
        tables.commit(DEMO, [frame("a", 3)], partitions=["a"])
    assert tables.view("demo").rows == 3


def test_a_missing_table_or_version_is_named(tables: Tables) -> None:
    with pytest.raises(TableNotFoundError, match="nothing"):
        tables.view("nothing")
    assert tables.names() == []
    newest = tables.commit(DEMO, [frame("all", 2)], partitions=["all"]).version
    for version in (-1, newest + 1):
        with pytest.raises(TableNotFoundError, match=f"demo has no version {version}; the newest is {newest}"):
            tables.view("demo", version)
    assert [tables.view("demo", version).rows for version in range(newest + 1)] == [0, 2]


def test_a_commit_of_another_writer_is_seen_by_who_has_read_before(tables: Tables) -> None:
    tables.commit(DEMO, [frame("all", 2)], partitions=["all"])
    assert tables.view("demo").rows == 2
    made = Tables(tables.uri).commit(DEMO, [frame("all", 5)], partitions=["all"])
    assert tables.view("demo").parts == ((made.version, None),)
    assert tables.view("demo").rows == tables.view("demo", made.version).rows == 5


def _append(uri: str, writer: int, commits: int) -> None:
    tables = Tables(uri)
    for number in range(commits):
        tables.commit(DEMO, [frame("all", 2, start=1000 * writer + 2 * number)], partitions=None)


def _replace(uri: str, writer: int, commits: int) -> None:
    tables = Tables(uri)
    for number in range(commits):
        tables.commit(DEMO, [frame(f"w{writer}", 2, start=number)], partitions=[f"w{writer}"])


def _race(target, tmp_path: Path, writers: int, commits: int) -> Tables:
    uri = str(tmp_path / "warehouse")
    tables = Tables(uri)
    tables.commit(DEMO, [], partitions=None)
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=target, args=(uri, w, commits)) for w in range(writers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [p.exitcode for p in processes] == [0] * writers
    return tables


@pytest.mark.parametrize(("writers", "commits"), [(4, 6), pytest.param(8, 50, marks=pytest.mark.slow)])
def test_writers_of_one_table_lose_no_commit(tmp_path: Path, writers: int, commits: int) -> None:
    base = 1
    tables = _race(_append, tmp_path, writers, commits)
    view = tables.view("demo")
    assert view.parts[0][0] - base == writers * commits, "one version a commit"
    numbers = view.scan().collect()["n"].to_list()
    assert sorted(numbers) == sorted(1000 * w + k for w in range(writers) for k in range(2 * commits))


@pytest.mark.parametrize(("writers", "commits"), [(4, 6), pytest.param(8, 50, marks=pytest.mark.slow)])
def test_writers_of_different_partitions_lose_no_commit(tmp_path: Path, writers: int, commits: int) -> None:
    tables = _race(_replace, tmp_path, writers, commits)
    view = tables.view("demo")
    assert view.parts[0][0] - 1 == writers * commits
    last = view.scan().group_by("partition").agg(pl.col("n").min()).sort("partition").collect()
    assert last.rows() == [(f"w{w}", commits - 1) for w in range(writers)]


@pytest.mark.parametrize("folder", ["with space", "[brackets]", "st*r?"])
def test_a_warehouse_may_lie_in_any_folder(folder: str, tmp_path: Path) -> None:
    tables = Tables(str(tmp_path / folder))
    tables.commit(DEMO, [frame("a", 3)], partitions=["a"])
    view = tables.view("demo")
    assert view.scan().collect().height == 3
    assert view.digest() == tables.view("demo", 1).digest()
