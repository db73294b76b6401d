"""What a stage may say: metrics and figures to MLflow, progress and tables to Prefect, rejects to the quarantine."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import mlflow
import polars as pl
import pyarrow as pa
from mlflow.entities import Metric
from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact

from flows.tracking import log_batches
from tasks.stage import RejectedRow
from warehouse.ids import row_id
from warehouse.schema import QUARANTINE
from warehouse.tables import Tables

PROGRESS_SECONDS = METRICS_SECONDS = 1.0
SPOOL_ROWS = 8_192
MOST_WARNINGS = 20
"""Of one stage call, as tags; all are in the log."""

ON_PROGRESS: ContextVar[Callable[[str], None]] = ContextVar("ON_PROGRESS", default=lambda _: None)
"""Told when a stage begins and how far it is; the command line draws a line of it."""


class StageReport:
    """Report of one stage call. Points of curves are written together, once a second and when the block ends.

    MLflow's own background writer takes up to a second to end, which a run of eighty short stages would feel.
    """

    def __init__(self, stage: str, fingerprint: str, run_id: str, scratch: Path) -> None:
        """Report on `stage` into the MLflow run `run_id`; rejects spool to `scratch` first."""
        self.stage, self.fingerprint, self.run_id = stage, fingerprint, run_id
        self.read = self.rejected = 0
        self.worker_cpu_seconds = 0.0
        self.reasons: Counter[str] = Counter()
        self._points: list[Metric] = []
        self._last_points = time.monotonic()
        self._warnings = 0
        self._progress: UUID | None = None
        self._last_progress = 0.0
        self._spool = scratch / "rejects.arrow"
        self._rows: list[dict[str, Any]] = []
        self._file = pa.OSFile(str(self._spool), "wb")
        self._writer = pa.ipc.new_file(self._file, QUARANTINE.arrow)

    def __enter__(self) -> Self:
        """Open."""
        ON_PROGRESS.get()(self.stage)
        return self

    def __exit__(self, *_: object) -> None:
        """Write the points that wait, whatever happened."""
        self._write_points()

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        """One point of a curve, or a figure when `step` is None."""
        self.metrics({name: value}, step or 0)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """One point of many curves."""
        now = int(time.time() * 1000)
        self._points += [Metric(name, float(value), now, step) for name, value in values.items()]
        if time.monotonic() - self._last_points >= METRICS_SECONDS:
            self._write_points()

    def _write_points(self) -> None:
        points, self._points, self._last_points = self._points, [], time.monotonic()
        log_batches(self.run_id, metrics=points)

    def progress(self, done: int, total: int, unit: str = "rows") -> None:
        """A progress bar in the Prefect UI, at most once a second and at the end."""
        now = time.monotonic()
        if done < total and now - self._last_progress < PROGRESS_SECONDS:
            return
        self._last_progress = now
        share, note = 100.0 * done / max(total, 1), f"{self.stage}: {done:,} of {total:,} {unit}"
        ON_PROGRESS.get()(note)
        if self._progress is None:
            created = create_progress_artifact(share, key=_key(f"{self.stage}-progress"), description=note)
            self._progress = created if isinstance(created, UUID) else None
        else:
            update_progress_artifact(self._progress, share, description=note)

    def figure(self, name: str, figure: Any) -> None:
        """A matplotlib figure as PNG in the MLflow run."""
        mlflow.MlflowClient().log_figure(self.run_id, figure, f"figures/{name}.png")

    def table(self, name: str, frame: pl.DataFrame) -> None:
        """A small table in the Prefect UI and the MLflow run."""
        rows = frame.head(500).to_dicts()
        create_table_artifact(
            [{k: _plain(v) for k, v in row.items()} for row in rows], key=_key(f"{self.stage}-{name}")
        )
        mlflow.MlflowClient().log_dict(self.run_id, {"rows": _plain(rows)}, f"tables/{name}.json")

    def warn(self, text: str) -> None:
        """To Prefect's log of the task, and a tag of the MLflow run, which the page Training shows."""
        get_run_logger().warning(text)
        if self._warnings < MOST_WARNINGS:
            mlflow.MlflowClient().set_tag(self.run_id, f"warning.{self._warnings:02d}", text)
        self._warnings += 1

    def rows_in(self, count: int) -> None:
        """Count rows read."""
        self.read += count

    def cpu_seconds(self, seconds: float) -> None:
        """Count CPU time of workers."""
        self.worker_cpu_seconds += seconds

    def reject(self, rows: Iterable[RejectedRow]) -> None:
        """Spool rows for the quarantine."""
        for rejected in rows:
            reason, detail, count = rejected.reject.reason, rejected.reject.detail, rejected.reject.count
            self.rejected += count
            self.reasons[reason] += count
            self._rows.append(
                {
                    "id": row_id(self.fingerprint, rejected.row, reason), "parents": [], "partition": self.fingerprint,
                    "fingerprint": self.fingerprint, "stage": self.stage, "row": rejected.row,
                    "reason": reason, "detail": detail, "count": count, "source": rejected.source,
                }
            )  # fmt: skip
            if len(self._rows) >= SPOOL_ROWS:
                self._flush()

    def commit_rejects(self, tables: Tables) -> None:
        """Replace this fingerprint's quarantine rows; a rerun after a kill leaves no second copy."""
        self._flush()
        self._writer.close()
        self._file.close()
        if self.rejected == 0:
            return
        with pa.OSFile(str(self._spool)) as file:
            reader = pa.ipc.open_file(file)
            batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
            tables.commit(
                QUARANTINE, batches, partitions=[self.fingerprint], metadata={"fingerprint": self.fingerprint}
            )

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_batch(pa.RecordBatch.from_pylist(self._rows, schema=QUARANTINE.arrow))
            self._rows = []


def _key(text: str) -> str:
    """Prefect artifact keys: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _plain(value: Any) -> Any:
    """JSON data: other types as text."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
