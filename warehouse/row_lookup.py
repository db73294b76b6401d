"""Rows of one table artifact by id, by beginning of an id, or by parent: through its index, else by a scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.lineage import ArtifactRef
from warehouse.row_index import KEY_DIGITS, IndexUnusableError, Positions, RowIndex, keys_of, store
from warehouse.tables import Tables

Row = dict[str, Any]
PREFIX_ROWS = 64
"""Rows looked at for the beginning of an id: enough to say that it is not unique."""


class ArtifactRows:
    """The rows of an artifact, read by id. Heavy columns (payloads, signatures, lists of numbers) are left out."""

    def __init__(self, tables: Tables, ref: ArtifactRef) -> None:
        """Rows of `ref`."""
        self.tables, self.ref = tables, ref
        self.problem = ""
        """Why the table is scanned, where there is no index to use."""
        self._files: dict[str, pq.ParquetFile] = {}
        self._index: RowIndex | None = None
        try:
            self._index = RowIndex(tables, ref)
        except IndexUnusableError as error:
            self._scans(error)

    def by_id(self, ids: Sequence[str]) -> list[Row]:
        """The rows that have one of these ids, in table order."""
        wanted = set(ids)
        found = self._through(lambda index: index.holding(keys_of(list(wanted))[0]))
        rows = self._scan(pl.col("id").is_in(sorted(wanted))) if found is None else self._fetch(found)
        return [row for row in rows if row["id"] in wanted]

    def beginning(self, prefix: str) -> list[Row]:
        """Up to `PREFIX_ROWS` rows whose ids begin with `prefix`."""
        found = self._through(lambda index: index.beginning(prefix))
        if found is None:
            return self._scan(pl.col("id").str.starts_with(prefix), PREFIX_ROWS)
        enough = found if len(prefix) > KEY_DIGITS else found[:PREFIX_ROWS]
        return [row for row in self._fetch(enough) if row["id"].startswith(prefix)][:PREFIX_ROWS]

    def made_from(self, ids: Sequence[str], limit: int) -> tuple[int, list[Row]]:
        """(how many rows name one of these ids as a parent, the first `limit` of them in table order)."""
        wanted = set(ids)
        found = self._through(lambda index: index.made_from(keys_of(list(wanted))[0]))
        if found is None:
            named = pl.col("parents").list.eval(pl.element().is_in(sorted(wanted))).list.any()
            rows = self._scan(named)
            return len(rows), rows[:limit]
        rows = [row for row in self._fetch(found[:limit]) if wanted.intersection(row["parents"] or ())]
        return max(len(found), len(rows)) if rows else 0, rows

    def sample(self, count: int) -> list[Row]:
        """`count` rows spread evenly over the artifact: the same ones each time."""
        if self._index is None:
            height = int(self._frame().select(pl.len()).collect().item())
            places = np.unique(np.linspace(0, max(height - 1, 0), count).astype(np.int64))
            return self._light(self._frame().with_row_index("_row").filter(pl.col("_row").is_in(places)).drop("_row"))
        height = sum(rows for _, rows in self._index.files)
        places = np.linspace(0, max(height - 1, 0), min(count, height)).astype(np.int64)
        found = self._through(lambda _: np.unique(places))
        return self.sample(count) if found is None else self._fetch(found)

    def _through(self, ask: Callable[[RowIndex], Positions]) -> Positions | None:
        """What the index answers; None where a scan must."""
        if self._index is None:
            return None
        try:
            return ask(self._index)
        except IndexUnusableError as error:
            self._scans(error)
            return None

    def _scans(self, error: IndexUnusableError) -> None:
        self._index = None
        self.problem = f"{error}: the table was scanned (`rigor trace --write-index` mends it)"

    def _fetch(self, positions: Positions) -> list[Row]:
        """Rows by their number in the artifact; reads the row groups that hold them and no other."""
        assert self._index is not None  # noqa: S101 positions come from it
        rows: list[Row] = []
        first = 0
        for path, count in self._index.files:
            here = positions[(positions >= first) & (positions < first + count)] - first
            first += count
            if len(here):
                rows += self._of_file(path, here)
        return rows

    def _of_file(self, path: str, positions: Positions) -> list[Row]:
        if path not in self._files:
            self._files[path] = pq.ParquetFile(store(self.tables, self.ref.name).open_input_file(path))
        file = self._files[path]
        facts = file.metadata
        ends = np.cumsum([facts.row_group(g).num_rows for g in range(facts.num_row_groups)])
        groups = np.searchsorted(ends, positions, side="right")
        names = [f.name for f in file.schema_arrow if not _is_heavy(f.type)]
        partition = path.split("/", 1)[0].removeprefix("partition=")
        rows: list[Row] = []
        for group in np.unique(groups).tolist():
            start = int(ends[group - 1]) if group else 0
            read = file.read_row_group(group, columns=names).take(pa.array(positions[groups == group] - start))
            rows += [{**row, "partition": partition} for row in read.to_pylist()]
        return rows

    def _frame(self) -> pl.LazyFrame:
        return self.tables.view(self.ref.name, self.ref.version, self.ref.partitions).scan()

    def _scan(self, wanted: pl.Expr, limit: int | None = None) -> list[Row]:
        frame = self._frame().filter(wanted)
        return self._light(frame if limit is None else frame.head(limit))

    @staticmethod
    def _light(frame: pl.LazyFrame) -> list[Row]:
        heavy = [n for n, dtype in frame.collect_schema().items() if _is_heavy_in_polars(dtype)]
        return frame.drop(heavy).collect().to_dicts()


def _is_heavy(kind: pa.DataType) -> bool:
    """Columns that say nothing to a reader and are most of the bytes."""
    numbers = pa.types.is_list(kind) and (pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type))
    return bool(numbers or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_heavy_in_polars(dtype: pl.DataType) -> bool:
    return dtype == pl.Binary or (isinstance(dtype, pl.List) and pl.Series(dtype=dtype.inner).dtype.is_numeric())
