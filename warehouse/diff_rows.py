"""What differs between two views of a table, row by row: by id, then by content, then column by column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from warehouse.tables import TableView

COLUMN_ROWS = 10_000
"""Changed rows whose columns are compared."""


@dataclass(frozen=True)
class RowDiff:
    """Counts and samples; a row is the same row where its id is."""

    rows: tuple[int, int]
    added: int
    removed: int
    changed: int
    columns: dict[str, int]
    """Of the first `COLUMN_ROWS` changed rows, how many differ in each column."""
    only: tuple[tuple[str, ...], tuple[str, ...]]
    """Columns that one side alone has."""
    samples: dict[str, list[dict[str, Any]]]
    """A few rows each: added and removed as they are; changed as {"id", column: [left, right]}."""


def diff_rows(left: TableView, right: TableView, samples: int) -> RowDiff:
    """Compare two views; memory holds an id and a hash for every row."""
    frames = (left.scan(), right.scan())
    names = [frame.collect_schema().names() for frame in frames]
    shared = sorted(set(names[0]) & set(names[1]) - {"id"})
    hashed = [
        f.select("id", pl.struct(pl.col(c).hash() for c in shared).hash().alias("hash")).collect() for f in frames
    ]
    first, second = (frame.unique("id", keep="first", maintain_order=True) for frame in hashed)
    removed, added = first.join(second, on="id", how="anti"), second.join(first, on="id", how="anti")
    both = first.join(second, on="id", how="inner", maintain_order="left")
    changed = both.filter(pl.col("hash") != pl.col("hash_right")).select("id")
    columns, differing = _columns(frames, changed.head(COLUMN_ROWS)["id"], shared, samples)
    return RowDiff(
        rows=(hashed[0].height, hashed[1].height),
        added=added.height,
        removed=removed.height,
        changed=changed.height,
        columns=columns,
        only=(tuple(sorted(set(names[0]) - set(names[1]))), tuple(sorted(set(names[1]) - set(names[0])))),
        samples={
            "added": _rows(frames[1], added["id"].head(samples)),
            "removed": _rows(frames[0], removed["id"].head(samples)),
            "changed": differing,
        },
    )


def _columns(
    frames: tuple[pl.LazyFrame, pl.LazyFrame], ids: pl.Series, shared: list[str], samples: int
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """(how many rows differ in each column, the differing values of the first `samples` rows)."""
    if ids.is_empty():
        return {}, []
    left, right = (f.filter(pl.col("id").is_in(ids.implode())).unique("id", keep="first").collect() for f in frames)
    pairs = (
        pl.DataFrame({"id": ids})
        .join(left, on="id", maintain_order="left")
        .join(right, on="id", suffix=".right", maintain_order="left")
    )
    differs = pairs.select((pl.col(c).hash() != pl.col(f"{c}.right").hash()).alias(c) for c in shared)
    counts = {c: int(differs[c].sum()) for c in shared if differs[c].any()}
    shown = [
        {"id": row["id"], **{c: [row[c], row[f"{c}.right"]] for c in counts if differs[c][number]}}
        for number, row in enumerate(pairs.head(samples).iter_rows(named=True))
    ]
    return counts, shown


def _rows(frame: pl.LazyFrame, ids: pl.Series) -> list[dict[str, Any]]:
    """These rows without binary columns."""
    light = [n for n, dtype in frame.collect_schema().items() if dtype != pl.Binary]
    return frame.select(light).filter(pl.col("id").is_in(ids.implode())).collect().to_dicts() if len(ids) else []
