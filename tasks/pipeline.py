"""datatrove pipelines inside a stage: a visible list of blocks in, counted Arrow batches out.

Two datatrove traps cannot happen here: every document ends in the sink either kept or with a reason (no silent
drop), and each call has a fresh logging folder and an explicit list of inputs (no stale completion marker, no
file ignored because it came later). The same blocks run under datatrove's Slurm and Ray executors
(`tasks/executors.py`).
"""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import multiprocess
import pyarrow as pa
from datatrove.data import Document, DocumentsPipeline
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.logging import logger
from datatrove.utils.stats import PipelineStats

from tasks.engine import LOCAL, Engine
from tasks.executors import run_elsewhere
from tasks.stage import Reject, RejectedRow, Report
from warehouse.tables import TableView

REJECT = "_reject"
"""Metadata key under which a rejected document carries its `Reject` to the sink."""
BATCH_DOCUMENTS = 256
BATCH_BYTES = 16 << 20


class RowStep(PipelineStep):
    """A block that sees one document at a time and keeps it, changes its metadata, or rejects it.

    `doc.text` is the column `text`, `doc.id` the column `id`; every other column is in `doc.metadata`.
    """

    type = "rigor"

    @abstractmethod
    def apply(self, doc: Document) -> Reject | None:
        """Change `doc` in place and return None, or return why it is rejected."""

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        """Pass every document on, rejected ones with their reason. An exception is a rejection, never a loss."""
        for doc in data:
            if REJECT not in doc.metadata:
                try:
                    reject = self.apply(doc)
                except Exception as error:  # noqa: BLE001 hostile input: one page must not end the run
                    reject = Reject(f"{self.name} failed: {type(error).__name__}", str(error)[:500])
                if reject is not None:
                    doc.metadata[REJECT] = reject
            yield doc


class ReadTable(PipelineStep):
    """Reader: the rows of a table view as documents, row groups dealt to the ranks in turn."""

    type = "rigor"
    name = "read_table"

    def __init__(self, view: TableView, columns: Sequence[str] | None = None) -> None:
        """Read `columns` (all by default) of `view`."""
        super().__init__()
        self.view, self.columns = view, columns

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        """Yield the documents of this rank's slices."""
        for batch in self.view.batches(self.columns, rank=rank, world_size=world_size):
            for row in batch.to_pylist():
                yield Document(text=row.pop("text", None) or "", id=row.pop("id"), metadata=row)


def ranks_for(view: TableView, workers: int) -> int:
    """Ranks that keep `workers` busy to the end; the rows come out the same for any number."""
    return max(1, min(view.row_groups, 4 * workers))


class Sink(PipelineStep):
    """Writer: kept documents to one Arrow file a rank, rejected ones to JSON lines, and the counts last."""

    type = "rigor"
    name = "sink"

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        """Write into `folder` with the columns of `schema`."""
        super().__init__()
        self.folder, self.schema = folder, schema

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        """Consume everything; yield nothing."""
        counts = {"in": 0, "out": 0, "rejected": 0, "cpu_seconds": 0.0}
        started = time.process_time()
        rows: list[dict[str, Any]] = []
        size_bytes = 0
        with (
            pa.OSFile(str(self.folder / f"{rank:06}.arrow"), "wb") as file,
            pa.ipc.new_file(file, self.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer,
            (self.folder / f"{rank:06}.rejects.jsonl").open("w") as rejects,
        ):
            for doc in data:
                reject = doc.metadata.pop(REJECT, None)
                counts["in"] += reject.count if reject else 1
                if reject is not None:
                    counts["rejected"] += reject.count
                    source = f"{doc.metadata.get('source_file', '')}@{doc.metadata.get('offset', '')}".strip("@")
                    json.dump([doc.id, reject.reason, reject.detail, reject.count, source], rejects)
                    rejects.write("\n")
                    continue
                counts["out"] += 1
                rows.append({**doc.metadata, "id": doc.id, "text": doc.text})
                size_bytes += len(doc.text) + len(doc.metadata.get("payload") or b"")
                if len(rows) == BATCH_DOCUMENTS or size_bytes >= BATCH_BYTES:
                    writer.write(_batch(rows, self.schema))
                    rows, size_bytes = [], 0
            if rows:
                writer.write(_batch(rows, self.schema))
        counts["cpu_seconds"] = time.process_time() - started
        (self.folder / f"{rank:06}.counts.json").write_text(json.dumps(counts))
        yield from ()


class _QuietExecutor(LocalPipelineExecutor):
    """datatrove prints the log of local rank 0 to the terminal; here all logs go to files, errors alone to stderr."""

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> PipelineStats:
        try:
            return super()._run_for_rank(rank, local_rank + 1, node_rank)
        finally:
            logger.remove()  # datatrove puts its handler on the terminal back


def run_blocks(
    blocks: Sequence[PipelineStep],
    *,
    schema: pa.Schema,
    tasks: int,
    workers: int,
    scratch: Path,
    report: Report,
    engine: Engine = LOCAL,
) -> Iterator[pa.RecordBatch]:
    """Run `blocks` over `tasks` ranks, `workers` at once, and yield the kept rows in rank order.

    Raises:
        RuntimeError: a rank left no counts, or its counts do not reconcile.
    """
    folder = scratch / "ranks"
    folder.mkdir(parents=True)
    logger.remove()
    logs, steps = scratch / "datatrove", [*blocks, Sink(folder, schema)]
    if engine.kind == "local":
        # Workers are forked from a server that has already imported the blocks: starting one costs milliseconds.
        modules = sorted({type(block).__module__ for block in blocks})
        multiprocess.get_context("forkserver").set_forkserver_preload(modules)
        _QuietExecutor(steps, tasks=tasks, workers=min(workers, tasks), logging_dir=str(logs)).run()
    else:
        run_elsewhere(engine, steps, tasks=tasks, workers=workers, logs=logs)
    for rank in range(tasks):
        counts_file = folder / f"{rank:06}.counts.json"
        if not counts_file.exists():
            raise RuntimeError(f"rank {rank} of {tasks} ended without its counts; see {logs}")
        counts = json.loads(counts_file.read_text())
        if counts["in"] != counts["out"] + counts["rejected"]:
            raise RuntimeError(f"rank {rank}: {counts} do not reconcile")
        report.rows_in(counts["in"])
        if engine != LOCAL or min(workers, tasks) > 1:  # else it ran in this process, whose time the runner counts
            report.cpu_seconds(counts["cpu_seconds"])
        with (folder / f"{rank:06}.rejects.jsonl").open() as lines:
            report.reject(
                RejectedRow(row, Reject(reason, detail, count), source)
                for row, reason, detail, count, source in map(json.loads, lines)
            )
        with pa.OSFile(str(folder / f"{rank:06}.arrow")) as file:
            reader = pa.ipc.open_file(file)
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index)
        report.progress(rank + 1, tasks, "shards")


def _batch(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)
