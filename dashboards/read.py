"""Reads of the warehouse: filters and limits go down into the Parquet scan, and results are kept by table version.

A version never changes, so what was read of it is kept until the cache is full. Only "which version is the newest" is
asked again, every `FRESH_SECONDS`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import polars as pl
import streamlit as st
from deltalake import DeltaTable

from dashboards.source import Source
from warehouse.schema import LINEAGE, QUARANTINE, TABLES
from warehouse.tables import Tables, TableView

FRESH_SECONDS = 5.0
KEPT = 64
"""Results kept of each function."""
MOST_CALLS = 5_000
"""Newest stage calls that the pages look at."""
CELL_CHARS = 300
"""A text in a table of rows is cut here; a chosen row is shown whole."""
HEAVY = (pl.Binary,)
LISTED = 30
"""Values of a column that are shown by name."""


@dataclass(frozen=True)
class Version:
    """One commit of a table."""

    version: int
    time: dt.datetime
    rows_added: int
    fingerprint: str
    operation: str


def view(uri: str, name: str, version: int, partitions: tuple[str, ...] | None = None) -> TableView:
    """A table's version, or some partitions of it."""
    return Tables(uri, Source().storage_options).view(name, version, partitions)


@st.cache_resource(ttl=60.0, max_entries=8, show_spinner=False)
def _tables(uri: str) -> Tables:
    """Tables that stay open, so that a look at all their newest versions reads only what was committed since."""
    return Tables(uri, Source().storage_options)


@st.cache_data(ttl=FRESH_SECONDS, max_entries=KEPT, show_spinner=False)
def _heads(uri: str) -> dict[str, int]:
    tables = _tables(uri)
    return {name: tables.newest(name) for name in tables.names()}


def heads() -> dict[str, int]:
    """Every table that has a commit, with its newest version."""
    return dict(_heads(Source().warehouse))


@st.cache_data(max_entries=KEPT, show_spinner=False)
def _versions(uri: str, name: str, head: int) -> list[Version]:
    found = []
    for commit in DeltaTable(f"{uri}/{name}", version=head, storage_options=Source().storage_options).history():
        added = (commit.get("operationMetrics") or {}).get("num_added_rows", 0)
        time = dt.datetime.fromtimestamp(int(commit.get("timestamp", 0)) / 1000, dt.UTC)
        found.append(
            Version(int(commit["version"]), time, int(added or 0), commit.get("fingerprint", ""), commit["operation"])
        )
    return found


def versions(name: str) -> list[Version]:
    """Commits of a table, newest first."""
    return list(_versions(Source().warehouse, name, heads()[name]))


@st.cache_data(max_entries=KEPT, show_spinner=False)
def _calls(uri: str, head: int) -> pl.DataFrame:
    frame = view(uri, LINEAGE.name, head).scan().select(pl.exclude("id", "parents", "partition"))
    return frame.top_k(MOST_CALLS, by="started").collect().sort("started", "fingerprint")


def calls() -> pl.DataFrame:
    """The newest stage calls, oldest first, with the columns of `LINEAGE`; empty where nothing was committed."""
    head = heads().get(LINEAGE.name)
    if head is None:
        return pl.DataFrame(schema=pl.Schema(LINEAGE.arrow))
    return _calls(Source().warehouse, head)


@st.cache_data(max_entries=KEPT, show_spinner=False)
def count(uri: str, name: str, version: int, where: str) -> int:
    """Rows of a version that meet a condition."""
    return int(_filtered(uri, name, version, where).select(pl.len()).collect().item())


@st.cache_data(max_entries=KEPT, show_spinner=False)
def sample(
    uri: str, name: str, version: int, where: str, start: int, rows: int, partitions: tuple[str, ...] | None = None
) -> pl.DataFrame:
    """Rows from `start` on (of some partitions), long texts and lists cut; bytes and signatures left out."""
    frame = _filtered(uri, name, version, where, partitions).slice(start, rows)
    return frame.select(shown_columns(uri, name, version)).collect()


@st.cache_data(max_entries=KEPT, show_spinner=False)
def whole_row(uri: str, name: str, version: int, id_: str) -> dict[str, Any]:
    """One row by its id, uncut; bytes left out.

    Raises:
        LookupError: there is none.
    """
    frame = view(uri, name, version).scan().filter(pl.col("id") == id_).head(1)
    light = [n for n, dtype in frame.collect_schema().items() if dtype not in HEAVY]
    found = frame.select(light).collect()
    if found.is_empty():
        raise LookupError(f"no row {id_} in {name}@{version}")
    return found.row(0, named=True)


def shown_columns(uri: str, name: str, version: int) -> list[pl.Expr]:
    """Expressions that fit a table on a screen."""
    found = []
    for column, dtype in view(uri, name, version).scan().collect_schema().items():
        if dtype in HEAVY or dtype == pl.List(pl.UInt32):
            continue
        if dtype == pl.String:
            found.append(pl.col(column).str.slice(0, CELL_CHARS))
        elif isinstance(dtype, pl.List):
            found.append(pl.col(column).list.head(20))
        else:
            found.append(pl.col(column))
    return found


def _filtered(uri: str, name: str, version: int, where: str, partitions: tuple[str, ...] | None = None) -> pl.LazyFrame:
    """The rows of a version (of some partitions) under a Polars SQL condition.

    Raises:
        ValueError: the condition cannot be read.
    """
    frame = view(uri, name, version, partitions).scan()
    if not where.strip():
        return frame
    try:
        chosen = frame.filter(pl.sql_expr(where))
        chosen.collect_schema()
    except pl.exceptions.PolarsError as error:
        raise ValueError(str(error)) from error
    return chosen


@st.cache_data(max_entries=KEPT, show_spinner=False)
def values(uri: str, name: str, version: int, column: str, rows: int) -> pl.DataFrame:
    """How often each value of a column comes, most frequent first, in the first `rows` rows: columns value, rows."""
    frame = view(uri, name, version).scan().select(column).head(rows)
    if isinstance(frame.collect_schema()[column], pl.List):
        frame = frame.explode(column)
    counted = frame.group_by(pl.col(column).cast(pl.String).alias("value")).agg(pl.len().alias("rows"))
    return counted.top_k(LISTED, by=["rows", "value"]).collect().sort(["rows", "value"], descending=[True, False])


@st.cache_data(max_entries=KEPT, show_spinner=False)
def spread(uri: str, name: str, version: int, column: str, rows: int, bins: int = 40) -> pl.DataFrame:
    """Histogram of a number, a time (UTC), or a text's or list's length: columns low, high, rows; may be empty."""
    frame = view(uri, name, version).scan().select(column).head(rows)
    dtype = frame.collect_schema()[column]
    number = pl.col(column)
    if dtype == pl.String:
        number = number.str.len_chars()
    elif isinstance(dtype, pl.List):
        number = number.list.len()
    elif isinstance(dtype, pl.Datetime):
        number = number.dt.epoch("s")
    measured = frame.select(number.cast(pl.Float64).alias("x")).filter(pl.col("x").is_finite())
    low, high = measured.select(pl.min("x").alias("low"), pl.max("x").alias("high")).collect().row(0)
    if low is None:
        return pl.DataFrame(schema={"low": pl.Float64, "high": pl.Float64, "rows": pl.UInt32})
    width = (high - low) / bins or 1.0
    whole = not (dtype.is_float() or isinstance(dtype, pl.Datetime))
    if whole:
        width = max(1.0, -(-(high - low + 1) // bins))
    place = ((pl.col("x") - low) / width).floor().clip(0, bins - 1)
    counted = measured.group_by(place.alias("bin")).agg(pl.len().alias("rows")).collect().sort("bin")
    ends = counted.select(
        (low + pl.col("bin") * width).alias("low"), (low + (pl.col("bin") + 1) * width).alias("high"), "rows"
    )
    if isinstance(dtype, pl.Datetime):
        return ends.with_columns(pl.from_epoch((pl.col("low", "high") * 1e3).cast(pl.Int64), time_unit="ms"))
    return ends


@st.cache_data(max_entries=KEPT, show_spinner=False)
def rejects(uri: str, head: int, fingerprints: tuple[str, ...]) -> pl.DataFrame:
    """Rejected rows of some stage calls by stage and reason, most first: columns stage, reason, rows."""
    frame = view(uri, QUARANTINE.name, head, fingerprints or None).scan()
    counted = frame.group_by("stage", "reason").agg(pl.col("count").sum().alias("rows"))
    return counted.collect().sort(["rows", "stage", "reason"], descending=[True, False, False])


def columns(name: str) -> pl.DataFrame:
    """A table's columns as declared: column, dtype, unit, meaning."""
    rows = [(f.name, str(f.type), f.metadata[b"unit"].decode(), f.metadata[b"meaning"].decode())
            for f in TABLES[name].arrow]  # fmt: skip
    return pl.DataFrame(rows, schema=["column", "dtype", "unit", "meaning"], orient="row")
