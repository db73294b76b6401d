"""Flows of seconds, through the real runner: one that digs, one that smelts what was dug, one that only sleeps."""

from __future__ import annotations

import time
from collections.abc import Iterator

import polars as pl
import pyarrow as pa
from prefect import flow

from flows.run import flow_run
from tasks.stage import Inputs, Report, Stage, StageConfig
from warehouse.ids import row_id
from warehouse.schema import TABLES, Column, TableSchema

ORE = TableSchema("toy_ore", "what was dug", ("n",), (Column("n", pa.int64(), "a number"),))
IRON = TableSchema("toy_iron", "what was smelted", ("n",), (Column("n", pa.int64(), "a number"),))
TABLES |= {table.name: table for table in (ORE, IRON)}


class Dig(StageConfig):
    """How much."""

    count: int = 3
    depth: int = 1


class Nap(StageConfig):
    """How long."""

    seconds: int = 3600


def dig_ore(config: Dig, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    report.rows_in(config.count)
    yield _frame(ORE, [n * config.depth for n in range(config.count)])


def smelt_iron(config: Dig, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    dug = inputs.tables["toy_ore"].scan().collect()
    report.rows_in(dug.height)
    yield _frame(IRON, [n * 10 for n in dug["n"]])


def _frame(schema: TableSchema, values: list[int]) -> pl.DataFrame:
    rows = [{"id": row_id(schema.name, n), "parents": [], "partition": "all", "n": n} for n in values]
    return pl.DataFrame(rows, schema=pl.Schema(schema.arrow))


DIG = Stage("dig_ore", "1", (), "toy_ore", Dig, dig_ore)
SMELT = Stage("smelt_iron", "1", ("toy_ore",), "toy_iron", Dig, smelt_iron)


@flow(name="dig")
def dig(config: Dig | None = None) -> list[str]:
    """Writes `toy_ore`."""
    with flow_run("toys", config or Dig()) as run:
        return [str(run.call(DIG, config or Dig(), {}))]


@flow(name="smelt")
def smelt(config: Dig | None = None) -> list[str]:
    """Writes `toy_iron` from the newest `toy_ore`."""
    with flow_run("toys", config or Dig()) as run:
        return [str(run.call(SMELT, config or Dig(), {"toy_ore": run.current("toy_ore")}))]


@flow(name="nap")
def nap(config: Nap | None = None) -> None:
    """Sleeps."""
    time.sleep((config or Nap()).seconds)
