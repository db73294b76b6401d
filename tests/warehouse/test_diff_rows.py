"""Row differences, planted and counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from warehouse.columns import Column, TableSchema
from warehouse.diff_rows import diff_rows
from warehouse.ids import row_id
from warehouse.tables import Tables

THINGS = TableSchema("things", "rows of a test", ("n",), (
    Column("n", pa.int64(), "a number"), Column("words", pa.list_(pa.string()), "a list"),
    Column("pairs", pa.list_(pa.struct([pa.field("a", pa.string()), pa.field("b", pa.float64())])), "structs"),
    Column("payload", pa.binary(), "bytes"), Column("note", pa.string(), "text or null"),
))  # fmt: skip


def row(n: int, **other: Any) -> dict[str, Any]:
    return {"id": row_id(n), "parents": [], "partition": "all", "n": n, "words": ["x", str(n)],
            "pairs": [{"a": "p", "b": n / 2}], "payload": bytes([n % 256]), "note": None} | other  # fmt: skip


def test_planted_differences_are_counted_and_shown(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path))
    left = [row(n) for n in range(100)]
    right = [row(n) for n in reversed(range(3, 102))]  # another order is no difference; 3 gone, 2 new
    changes: dict[int, dict[str, Any]] = {
        10: {"words": ["x"]}, 11: {"words": None, "note": ""}, 12: {"pairs": [{"a": "p", "b": 6.5}]},
        13: {"payload": b"other"}, 14: {"note": "said"}, 15: {"parents": ["p"]},
    }  # fmt: skip
    right = [r | changes.get(r["n"], {}) for r in right]
    for rows in (left, right):
        tables.commit(THINGS, [pl.from_dicts(rows, schema=pl.Schema(THINGS.arrow))], partitions=["all"])
    told = diff_rows(tables.view("things", 1), tables.view("things", 2), samples=2)
    assert (told.rows, told.added, told.removed, told.changed) == ((100, 99), 2, 3, 6)
    assert told.columns == {"note": 2, "pairs": 1, "parents": 1, "payload": 1, "words": 2}
    assert [r["n"] for r in told.samples["added"]] == [101, 100]
    assert {r["n"] for r in told.samples["removed"]} == {0, 1}
    assert told.samples["changed"] == [
        {"id": row_id(10), "words": [["x", "10"], ["x"]]},
        {"id": row_id(11), "note": [None, ""], "words": [["x", "11"], None]},
    ]
    same = diff_rows(tables.view("things", 1), tables.view("things", 1), samples=2)
    assert (same.added, same.removed, same.changed, same.columns) == (0, 0, 0, {})
