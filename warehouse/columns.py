"""What a table declaration is made of; the tables themselves are in `warehouse/schema*.py`."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

STRINGS = pa.list_(pa.string())
TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Column:
    """One column: its Arrow dtype, what it means, and its unit where it has one."""

    name: str
    dtype: pa.DataType
    meaning: str
    unit: str = ""


@dataclass(frozen=True)
class TableSchema:
    """A declared table. `key` names the columns whose content makes the row's `id`."""

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def arrow(self) -> pa.Schema:
        """The Arrow schema, in declared order, `id`, `parents` and `partition` first."""
        return pa.schema([pa.field(c.name, c.dtype, metadata={"meaning": c.meaning, "unit": c.unit})
                          for c in (*COMMON, *self.columns)])  # fmt: skip


COMMON = (
    Column("id", pa.string(), "content hash of the key columns"),
    Column("parents", STRINGS, "ids of the rows this one was made from"),
    Column("partition", pa.string(), "crawl month YYYY-MM, or 'all'"),
)
