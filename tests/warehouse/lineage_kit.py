"""Makes warehouses with a known lineage, and walks them the slow way."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from warehouse.columns import Column, TableSchema
from warehouse.ids import row_id
from warehouse.lineage import ArtifactRef, Lineage
from warehouse.tables import Tables

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def schema(name: str) -> TableSchema:
    return TableSchema(name, "rows of a test", ("n",), (Column("n", pa.int64(), "a number"),))


@dataclass
class Kit:
    """A warehouse under construction; every call starts a minute after the one before."""

    folder: Path
    calls: list[dict[str, Any]] = field(default_factory=list)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Rows by fingerprint, for the slow walk."""

    def __post_init__(self) -> None:
        self.tables = Tables(str(self.folder))
        self.lineage = Lineage(self.tables)

    def table(
        self,
        name: str,
        parents: Sequence[Sequence[str]],
        inputs: Sequence[ArtifactRef] = (),
        partition: str = "all",
        first: int = 0,
        **facts: Any,
    ) -> ArtifactRef:
        """Commit one row for each list of parents: numbers `first`, `first` + 1, …"""
        rows = [{"id": row_id(name, n), "parents": list(above), "partition": partition, "n": n}
                for n, above in enumerate(parents, first)]  # fmt: skip
        frame = pl.from_dicts(rows, schema=pl.Schema(schema(name).arrow))
        print_ = row_id(name, partition, len(self.calls))
        done = self.tables.commit(schema(name), [frame], partitions=[partition], metadata={"fingerprint": print_})
        self.rows[print_] = rows
        made = ArtifactRef(name=name, kind="table", version=done.version, partitions=(partition,),
                           digest=done.digest, fingerprint=print_, rows=done.rows)  # fmt: skip
        return self.record(made, inputs, **facts)

    def model(self, name: str, inputs: Sequence[ArtifactRef] = (), **facts: Any) -> ArtifactRef:
        """Record a model; it has no files."""
        print_ = row_id(name, "all", len(self.calls))
        version = 1 + sum(call["name"] == name for call in self.calls)
        made = ArtifactRef(name=name, kind="model", version=version, partitions=("all",), digest=print_ * 2,
                           fingerprint=print_)  # fmt: skip
        return self.record(made, inputs, **facts)

    def ids(self, ref: ArtifactRef) -> list[str]:
        return [row["id"] for row in self.rows[ref.fingerprint]]

    def record(self, made: ArtifactRef, inputs: Sequence[ArtifactRef], **facts: Any) -> ArtifactRef:
        """Write the lineage row of an artifact."""
        number = len(self.calls)
        edges = [ref.model_dump(include={"name", "kind", "version", "partitions", "digest", "fingerprint"})
                 for ref in inputs]  # fmt: skip
        call = {
            **made.model_dump(), "partitions": list(made.partitions),
            "stage": f"make_{made.name}", "stage_version": "1",
            "rows_in": 0, "rejected": 0, "config": '{"seed": 1}', "inputs": edges, "mlflow_run": f"run{number}",
            "prefect_run": "", "git_sha": "a" * 40, "started": START + dt.timedelta(minutes=number), "seconds": 2.0,
            "cpu_seconds": 1.0,
        }  # fmt: skip
        call |= facts
        self.calls.append(call)
        self.lineage.record(call)
        return made

    def slow_up(self, fingerprint: str, row: str) -> set[tuple[str, str]]:
        """(fingerprint, id) of every row that leads to this one, itself included, by looking at all rows."""
        call = next(c for c in self.calls if c["fingerprint"] == fingerprint)
        parents = {p for r in self.rows[fingerprint] if r["id"] == row for p in r["parents"]}
        found = {(fingerprint, row)}
        for given in call["inputs"]:
            for above in self.rows.get(given["fingerprint"], []):
                if above["id"] in parents and above["partition"] in given["partitions"]:
                    found |= self.slow_up(given["fingerprint"], above["id"])
        return found

    def slow_down(self, fingerprint: str, row: str) -> set[tuple[str, str]]:
        """Every row that this one leads to: those whose way up meets it."""
        return {(print_, r["id"]) for print_, rows in self.rows.items() for r in rows
                if (fingerprint, row) in self.slow_up(print_, r["id"])}  # fmt: skip


def random_kit(folder: Path, seed: int, tables: int = 7, rows: int = 30) -> Kit:
    """Tables that read one to three earlier ones, in two partitions at times; parents drawn at random."""
    draw = random.Random(seed)
    kit = Kit(folder)
    made: list[ArtifactRef] = []
    for number in range(tables):
        inputs = draw.sample(made, min(len(made), draw.randint(1, 3)))
        pool = [i for ref in inputs for i in kit.ids(ref)]
        parents = [draw.sample(pool, min(len(pool), draw.randint(0, 4))) for _ in range(rows)]
        made.append(kit.table(f"t{number}", parents, inputs, draw.choice(["all", "2026-01"])))
    return kit
