"""The one place where Prefect, MLflow and the warehouse meet: a stage call becomes a committed artifact.

For each call: fingerprint it; return the committed artifact if there is one; else open a nested MLflow run, run the
function, check that counts reconcile, commit, record lineage, and return a small `ArtifactRef`.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import mlflow
import polars as pl
from mlflow.entities import Metric, RunTag
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import task_run

from flows import models
from flows.errors import stage_errors
from flows.meter import Meter
from flows.open_lineage import emit
from flows.report import StageReport
from flows.settings import Settings
from flows.tracking import STAGES_FILE, git_sha, log_batches, log_config, log_dataset, metrics_of, process_tag
from flows.triggers import ANNOUNCED, retry_policy, training_slot
from flows.work_folder import work_folder
from tasks.stage import Inputs, SourceFile, Stage, StageConfig
from warehouse.fingerprint import canonical, fingerprint
from warehouse.ledger import Ledger
from warehouse.lineage import ArtifactRef, Lineage
from warehouse.schema import TABLES, TableSchema
from warehouse.tables import Tables, TableView

Given = Sequence[ArtifactRef] | Sequence[SourceFile]
"""An input: one artifact by month (or a model alone), or outside files."""


METER_FILE = "used.json"
"""In a call's work folder: what its attempts have used."""


class CountError(RuntimeError):
    """Rows in are not rows out plus rows rejected."""


@dataclass(frozen=True)
class Call:
    """One stage call of a plan or a run, as shown to the user."""

    stage: str
    reads: str
    writes: str
    fingerprint: str
    state: str
    """cached, done, to do, or waits (its inputs are not made yet)."""
    ref: ArtifactRef | None = None
    rows_in: int = 0
    rejected: int = 0
    seconds: float = 0.0


ON_CALL: ContextVar[Callable[[Call], None]] = ContextVar("ON_CALL", default=lambda _: None)
"""Told of each stage call when it is done; the command line sets it to print a line."""


@dataclass
class Runner:
    """Runs stage calls against one warehouse. With `dry`, it only says what would run."""

    settings: Settings
    dry: bool = False
    calls: list[Call] = field(default_factory=list)
    stale: list[ArtifactRef] = field(default_factory=list)
    """In a dry run: what a run would make current again."""

    def __post_init__(self) -> None:
        """Open the warehouse and MLflow."""
        self.tables = Tables(self.settings.warehouse_uri(), self.settings.storage_options)
        self.lineage = Lineage(self.tables)

    def call(
        self,
        stage: Stage[Any],
        config: StageConfig,
        given: Mapping[str, Given | None],
        partitions: Iterable[str] = ("all",),
    ) -> ArtifactRef | None:
        """Run `stage` (or find its artifact). None only in a dry run whose inputs are not made yet."""
        wanted = tuple(sorted(partitions))
        if any(value is None for value in given.values()):
            self._note(Call(stage.name, _reads(given), stage.writes, "", "waits"))
            return None
        known = {name: value for name, value in given.items() if value is not None}
        print_ = fingerprint(stage.name, stage.version, config, {**_identities(known), "partitions": wanted})
        found = self.lineage.find(print_)
        if found is not None or self.dry:
            writes, state = (str(found), "cached") if found else (stage.writes, "to do")
            self._note(Call(stage.name, _reads(known), writes, print_, state, found))
            return found
        run = task(name=stage.name, task_run_name=f"{stage.name} {','.join(wanted)}", cache_policy=NO_CACHE,
                   persist_result=False, **retry_policy(known))(self._execute)  # fmt: skip
        with stage_errors(stage.name):
            made: Call = run(stage, config, known, wanted, print_)
        self._note(made)
        return made.ref

    def metric(self, name: str, value: float | None, step: int) -> None:
        """A figure of the flow run itself; nothing in a dry run or when there is no value."""
        if value is not None and not self.dry:
            mlflow.log_metric(name, value, step=step)

    def summarise(self, run_id: str) -> None:
        """Log every stage call's figures to the flow's run, cached ones too, so that runs compare on one screen.

        A stage that is called several times (a round, a month) makes a curve: the step is the call's number.
        """
        client, counted, metrics = mlflow.MlflowClient(), Counter[str](), []
        now = int(time.time() * 1000)
        for call in (c for c in self.calls if c.ref is not None):
            made = self.lineage.call_of(call.ref) if call.ref else {}
            counted[call.stage] += 1
            for name, value in metrics_of(made["mlflow_run"]).items():
                metrics.append(Metric(f"{call.stage}.{name}", value, now, counted[call.stage]))
        stages = [{"stage": c.stage, "writes": c.writes, "fingerprint": c.fingerprint, "state": c.state}
                  for c in self.calls]  # fmt: skip
        client.log_dict(run_id, {"stages": stages}, STAGES_FILE)
        cached = sum(call.state == "cached" for call in self.calls)
        metrics.append(Metric("stages_cached", cached, now, 0))
        metrics.append(Metric("stages_computed", len(self.calls) - cached, now, 0))
        log_batches(run_id, metrics=metrics)

    def view(self, refs: Sequence[ArtifactRef]) -> TableView:
        """One view over artifacts of the same table, each partition at its own version."""
        parts = tuple((ref.version, ref.partitions) for ref in refs)
        return TableView(self.tables.table_uri(refs[0].name), parts, self.tables.storage_options)

    def current(self, name: str) -> tuple[ArtifactRef, ...]:
        """What the newest version of a table holds, one artifact a partition; () where there is no such table."""
        return self.lineage.held(name)

    def newest(self, name: str, flow: str) -> tuple[ArtifactRef, ...] | None:
        """What this run made under that name (a table or a model), else what the newest version of it holds.

        None where a dry run would have made it.

        Raises:
            LookupError: there is none; the message names the flow that makes it.
        """
        made = [call for call in self.calls if call.writes.partition("@")[0] == name]
        if any(call.ref is None for call in made):
            return None
        by_partition = {call.ref.partitions: call.ref for call in made if call.ref is not None}
        if by_partition:
            return tuple(by_partition.values())
        if name in TABLES:
            held = self.current(name)
        else:
            model = self.lineage.current(name)
            held = () if model is None else (model,)
        if not held:
            raise LookupError(f"no {name} yet: run `rigor run {flow}`")
        return held

    def beside(self, name: str, table: str, flow: str) -> tuple[ArtifactRef, ...] | None:
        """The table that was written beside the newest model `name`; as `newest`, its errors too."""
        model = self.newest(name, flow)
        if model is None:
            return None
        found = self.lineage.find(_beside(model[0].fingerprint, table))
        if found is None:
            raise LookupError(f"no {table} beside {model[0]}: it was made by an older version; run `rigor run {flow}`")
        return (found,)

    def is_current(self, ref: ArtifactRef) -> bool:
        """Whether the newest version of its table holds the files of `ref`; a model's version is never replaced."""
        if ref.kind != "table":
            return True
        newest, wanted = (self.tables.view(ref.name, version, ref.partitions) for version in (None, ref.version))
        return newest.paths == wanted.paths

    def make_current(self, ref: ArtifactRef) -> ArtifactRef:
        """Let the newest version of a table hold `ref` again when an older fingerprint was asked for."""
        if self.is_current(ref):
            return ref
        if self.dry:
            self.stale.append(ref)
            return ref
        version = self.tables.restore(TABLES[ref.name], ref.version, ref.partitions, {"fingerprint": ref.fingerprint})
        return ref.model_copy(update={"version": version})

    def _note(self, call: Call) -> None:
        self.calls.append(call)
        ON_CALL.get()(call)

    def _execute(
        self,
        stage: Stage[Any],
        config: StageConfig,
        given: Mapping[str, Given],
        partitions: tuple[str, ...],
        print_: str,
    ) -> Call:
        with training_slot(stage.writes), work_folder(self.settings.absolute_home() / "work", print_) as work:
            found = self.lineage.find(print_)
            if found is not None:  # another process made it while this one waited for the folder
                return Call(stage.name, _reads(given), str(found), print_, "cached", found)
            scratch = self.settings.absolute_home() / "scratch" / work.name
            shutil.rmtree(scratch, ignore_errors=True)  # a killed call left it: who holds the work folder is alone
            scratch.mkdir(parents=True)
            try:
                with Meter(self.settings.prices, work / METER_FILE) as meter:
                    return self._make(stage, config, given, partitions, print_, scratch, work, meter)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)

    def _make(
        self,
        stage: Stage[Any],
        config: StageConfig,
        given: Mapping[str, Given],
        partitions: tuple[str, ...],
        print_: str,
        scratch: Path,
        work: Path,
        meter: Meter,
    ) -> Call:
        started = dt.datetime.now(dt.UTC)
        with (
            mlflow.start_run(run_name=f"{stage.name} {','.join(partitions)}", nested=True) as run,
            StageReport(stage.name, print_, run.info.run_id, scratch) as report,
        ):
            run_id = run.info.run_id
            self._describe(run_id, stage, config, given, print_)
            inputs = self._inputs(given, partitions, scratch, work)
            made = stage.run(config, inputs, report)
            beside: Mapping[str, Iterable[Any]] = {}
            if isinstance(made, tuple):
                made, beside = made
            if beside.keys() != set(stage.beside):
                raise ValueError(f"{stage.name} declares {stage.beside} beside its model and gave {tuple(beside)}")
            others = [self._commit_rows(TABLES[name], rows, (stage.writes,), _beside(print_, name))
                      for name, rows in beside.items()]  # fmt: skip
            ref = self._commit(stage, made, report, partitions, print_, run_id)
            report.commit_rejects(self.tables)
            seconds = meter.seconds()
            for name, value in {"rows_in": report.read, "rows_out": ref.rows, "rows_rejected": report.rejected,
                                "seconds": seconds}.items():  # fmt: skip
                report.metric(name, value)
            if report.reasons:
                counts = sorted(report.reasons.items(), key=lambda item: (-item[1], item[0]))
                report.table("rejected", pl.DataFrame(counts, schema=["reason", "rows"], orient="row"))
            for made_ref in (*others, ref):
                log_dataset(self.tables, run_id, made_ref, "output")
        used = meter.read(report.worker_cpu_seconds)
        energy = {"gpu_seconds": used.gpu_seconds, "energy_joules": used.energy_joules, "method": used.method}
        Ledger(self.lineage).record({"mlflow_run": run_id, "fingerprint": print_, "stage": stage.name,
                                     "started": started, **energy})  # fmt: skip
        records = []
        for made_ref in (*others, ref):  # the stage's own artifact last: once it is recorded, the call is done
            records.append(
                {
                    "fingerprint": made_ref.fingerprint, "stage": stage.name, "stage_version": stage.version,
                    "name": made_ref.name, "kind": made_ref.kind, "version": made_ref.version,
                    "partitions": list(made_ref.partitions), "digest": made_ref.digest, "rows": made_ref.rows,
                    "rows_in": report.read, "rejected": report.rejected,
                    "config": json.dumps(canonical(config), sort_keys=True), "inputs": _edges(given),
                    "mlflow_run": run_id, "prefect_run": str(task_run.id or ""), "git_sha": git_sha(),
                    "started": started, "seconds": seconds,
                    "cpu_seconds": used.cpu_seconds,
                }
            )  # fmt: skip
            self.lineage.record(records[-1])
        emit(self.settings.open_lineage, records, self.settings.warehouse_uri())
        return Call(stage.name, _reads(given), str(ref), print_, "done", ref, report.read, report.rejected, seconds)

    def _commit(self, stage: Stage[Any], made: Path | Iterable[Any], report: StageReport, partitions: tuple[str, ...],
                print_: str, run_id: str) -> ArtifactRef:  # fmt: skip
        if isinstance(made, Path):
            digest = models.folder_digest(made)
            version = models.register(made, stage.writes, run_id, {"fingerprint": print_, "digest": digest})
            return ArtifactRef(name=stage.writes, kind="model", version=version, partitions=partitions, digest=digest,
                               fingerprint=print_)  # fmt: skip
        return self._commit_rows(TABLES[stage.writes], self._reconciled(stage, made, report), partitions, print_)

    def _commit_rows(
        self, schema: TableSchema, rows: Iterable[Any], partitions: tuple[str, ...], print_: str
    ) -> ArtifactRef:
        done = self.tables.commit(schema, rows, partitions=partitions, metadata={"fingerprint": print_})
        return ArtifactRef(name=schema.name, kind="table", version=done.version, partitions=partitions,
                           digest=done.digest, fingerprint=print_, rows=done.rows)  # fmt: skip

    def _reconciled(self, stage: Stage[Any], rows: Iterable[Any], report: StageReport) -> Iterator[Any]:
        """Pass rows on; when they end and the counts do not add up, raise before anything is committed."""
        out = 0
        for batch in rows:
            out += batch.height if isinstance(batch, pl.DataFrame) else batch.num_rows
            yield batch
        if stage.reconciles and report.read != out + report.rejected:
            raise CountError(
                f"{stage.name}: {report.read} rows in, {out} out and {report.rejected} rejected do not add up;"
                " nothing was committed"
            )

    def _inputs(self, given: Mapping[str, Given], partitions: tuple[str, ...], scratch: Path, work: Path) -> Inputs:
        refs = {name: found for name, value in given.items() if (found := _refs(value))}
        return Inputs(
            tables={n: self.view(r) for n, r in refs.items() if r[0].kind == "table"},
            models={n: models.fetch(r[0], scratch / "models") for n, r in refs.items() if r[0].kind == "model"},
            files={n: tuple(f for f in v if isinstance(f, SourceFile)) for n, v in given.items() if n not in refs},
            partitions=partitions,
            scratch=scratch,
            work=work,
            workers=self.settings.workers,
            engine=self.settings.engine,
            layout={"cores": self.settings.workers} | {str(key): size for key, size in self.settings.layout.items()},
        )

    def _describe(
        self, run_id: str, stage: Stage[Any], config: StageConfig, given: Mapping[str, Given], print_: str
    ) -> None:
        log_config(run_id, config)
        tags = {"fingerprint": print_, "stage": stage.name, "stage_version": stage.version, "git_sha": git_sha(),
                ANNOUNCED: "no", "process": process_tag(),
                "prefect_task_run": str(task_run.id or ""),
                "prefect_task_run_url": str(task_run.ui_url or "")}  # fmt: skip
        mlflow.MlflowClient().log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
        for ref in (r for value in given.values() for r in _refs(value)):
            log_dataset(self.tables, run_id, ref, "input")


def _refs(value: Given) -> tuple[ArtifactRef, ...]:
    return tuple(item for item in value if isinstance(item, ArtifactRef))


def _identities(given: Mapping[str, Given]) -> dict[str, Any]:
    """What of each input enters a fingerprint: content digests, never paths or versions."""
    return {
        name: sorted(
            f"{','.join(i.partitions) if isinstance(i, ArtifactRef) else i.partition}:{i.digest}" for i in value
        )
        for name, value in given.items()
    }


def _edges(given: Mapping[str, Given]) -> list[dict[str, Any]]:
    edges = []
    for name, value in given.items():
        for item in value:
            if isinstance(item, ArtifactRef):
                edges.append(
                    item.model_dump(include={"name", "kind", "version", "partitions", "digest", "fingerprint"})
                )
            else:
                edges.append({"name": f"{name}:{Path(item.path).name}", "kind": "file", "version": 0,
                              "partitions": [item.partition], "digest": item.digest, "fingerprint": ""})  # fmt: skip
    return edges


def _beside(print_: str, table: str) -> str:
    """The fingerprint of a table that a stage call wrote beside its model."""
    return sha256(f"{print_}/{table}".encode()).hexdigest()


def _reads(given: Mapping[str, Given | None]) -> str:
    shown = []
    for name, value in given.items():
        refs = _refs(value) if value else ()
        shown.append(", ".join(map(str, refs)) if refs else name if value is None else f"{name} ({len(value)} files)")
    return ", ".join(shown)
