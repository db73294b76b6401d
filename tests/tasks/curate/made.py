"""Problems and solutions through the real stages, in a warehouse of the test's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from tasks.stage import Inputs, RejectedRow, Stage, StageConfig
from warehouse import schema
from warehouse.schema_curate import CURATE_TABLES
from warehouse.tables import Committed, Tables, TableView

for table in CURATE_TABLES:
    schema.TABLES.setdefault(table.name, table)


@dataclass
class Notes:
    """A report that remembers."""

    metrics: dict[str, float] = field(default_factory=dict)
    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    rejected: list[RejectedRow] = field(default_factory=list)
    read: int = 0
    worker_cpu_seconds: float = 0.0

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        self.metrics[name] = value

    def progress(self, done: int, total: int, unit: str = "rows") -> None:
        assert done <= total

    def figure(self, name: str, figure: Any) -> None:
        self.figures[name] = figure

    def table(self, name: str, frame: pl.DataFrame) -> None:
        self.tables[name] = frame

    def rows_in(self, count: int) -> None:
        self.read += count

    def cpu_seconds(self, seconds: float) -> None:
        self.worker_cpu_seconds += seconds

    def reject(self, rows: Iterable[RejectedRow]) -> None:
        self.rejected += rows


@dataclass
class Made:
    """What one stage call made."""

    view: TableView
    done: Committed
    notes: Notes

    @property
    def rows(self) -> pl.DataFrame:
        return self.view.scan().collect()


def run_stage(
    folder: Path, stage: Stage[Any], config: StageConfig, given: dict[str, TableView] | None = None, workers: int = 1
) -> Made:
    """Commit what `stage` yields; its counts must reconcile."""
    tables, notes = Tables(str(folder)), Notes()
    scratch = folder / f"scratch-{stage.name}-{len(list(folder.glob('scratch-*')))}"
    scratch.mkdir(parents=True)
    rows = stage.run(config, Inputs(tables=given or {}, scratch=scratch, workers=workers), notes)
    assert not isinstance(rows, Path)
    done = tables.commit(schema.TABLES[stage.writes], rows, partitions=["all"], metadata={})
    assert not stage.reconciles or notes.read == done.rows + sum(row.reject.count for row in notes.rejected)
    return Made(tables.view(stage.writes), done, notes)


def commit(folder: Path, name: str, frame: pl.DataFrame) -> TableView:
    """A table of the test's own rows."""
    tables = Tables(str(folder))
    tables.commit(schema.TABLES[name], [frame], partitions=["all"], metadata={})
    return tables.view(name)
