"""The runner against a real Prefect server, a real MLflow store and real Delta tables."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import mlflow
import polars as pl
import pyarrow as pa
import pytest
from mlflow.entities import Run
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import LogFilter, LogFilterTaskRunId
from prefect.logging.handlers import APILogHandler, PrefectConsoleHandler
from rich.console import Console

from flows import models, triggers
from flows.errors import hushed_prefect, user_errors
from flows.models import DamagedModelError
from flows.report import ON_PROGRESS
from flows.run import flow_run, open_mlflow
from flows.runner import Call, CountError, Runner
from flows.settings import Settings
from tasks.stage import Inputs, Reject, RejectedRow, Report, Stage, StageConfig
from tests.warehouse.lineage_kit import Kit
from warehouse.ids import row_id
from warehouse.lineage import ArtifactRef, Lineage
from warehouse.schema import TABLES, Column, TableSchema
from warehouse.tables import Tables
from warehouse.walk import Walk

NUMBERS = TableSchema("numbers", "numbers of a test", ("n",), (Column("n", pa.int64(), "a number"),))
SQUARES = TableSchema("squares", "their squares", ("n",), (Column("n", pa.int64(), "a square"),))


class Count(StageConfig):
    count: int = 6
    lose: int = 0


class Keep(StageConfig):
    offset: int = 0


RAN: list[str] = []


def make_numbers(config: Count, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    RAN.append("make_numbers")
    report.rows_in(config.count)
    kept = [n for n in range(config.count - config.lose) if n % 3]
    report.reject(RejectedRow(f"n{n}", Reject("divisible", f"{n} = 3 * {n // 3}"), "nowhere@0")
                  for n in range(config.count - config.lose) if n % 3 == 0)  # fmt: skip
    for step, n in enumerate(kept):
        report.metric("largest", n, step)
        report.progress(step + 1, len(kept))
    report.warn(f"{len(kept)} numbers are few")
    yield frame(NUMBERS, kept, [[] for _ in kept])


def square(config: Keep, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    RAN.append("square")
    read = inputs.tables["numbers"].scan().collect()
    report.rows_in(read.height)
    report.table("read", read.select("n"))
    yield frame(SQUARES, [n * n + config.offset for n in read["n"]], [[i] for i in read["id"]])


def fit(config: Keep, inputs: Inputs, report: Report) -> Path:
    RAN.append("fit")
    folder = inputs.scratch / "model"
    folder.mkdir()
    total = int(inputs.tables["squares"].scan().select(pl.col("n").sum()).collect().item())
    (folder / "model.json").write_text(json.dumps({"sum": total + config.offset}))
    return folder


def apply_model(config: Keep, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    total = json.loads((inputs.models["model"] / "model.json").read_text())["sum"]
    report.rows_in(1)
    yield frame(SQUARES, [total], [[]])


def fit_and_square(config: Keep, inputs: Inputs, report: Report) -> tuple[Path, dict[str, Iterator[pl.DataFrame]]]:
    folder = fit(config, inputs, report)
    return folder, {"squares": iter([frame(SQUARES, [config.offset], [[]], "square-model")])}


def stop_half_way(config: Count, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    for step in range(3):
        report.metric("loss", 3.0 - step, step)
    yield frame(NUMBERS, [1], [[]])
    raise OSError("the [disk] is full")


def frame(schema: TableSchema, values: list[int], parents: list[list[str]], partition: str = "all") -> pl.DataFrame:
    columns = {
        "id": [row_id(schema.name, v) for v in values],
        "parents": parents,
        "partition": [partition] * len(values),
    }
    return pl.DataFrame({**columns, "n": values}, schema=pl.Schema(schema.arrow))


MAKE = Stage("make_numbers", "1", (), "numbers", Count, make_numbers)
SQUARE = Stage("square", "1", ("numbers",), "squares", Keep, square)
FIT = Stage("fit", "1", ("squares",), "sum-model", Keep, fit, reconciles=False, model=True)
BESIDE = Stage("fit_and_square", "1", ("squares",), "square-model", Keep, fit_and_square, model=True,
               beside=("squares",))  # fmt: skip
STOP = Stage("stop_half_way", "1", (), "numbers", Count, stop_half_way)
APPLY = Stage("apply_model", "1", ("model",), "squares", Keep, apply_model)


@pytest.fixture(autouse=True)
def demo_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    RAN.clear()
    for schema in (NUMBERS, SQUARES):
        monkeypatch.setitem(TABLES, schema.name, schema)


def in_flow(body: Callable[[Runner], object]) -> tuple[Runner, str]:
    """Run `body` inside a real flow run; returns its runner and the MLflow run id."""
    seen: list[object] = []

    @flow(name="demo")
    def demo() -> None:
        with flow_run("demo", Keep()) as run:
            seen.extend([run, mlflow.active_run().info.run_id])
            body(run)

    demo()
    runner, run_id = seen
    assert isinstance(runner, Runner)
    return runner, str(run_id)


def chain(count: int = 6, offset: int = 0) -> Callable[[Runner], None]:
    def body(run: Runner) -> None:
        numbers = run.call(MAKE, Count(count=count), {})
        run.call(SQUARE, Keep(offset=offset), {"numbers": (numbers,)})

    return body


def states(runner: Runner) -> list[tuple[str, str]]:
    return [(call.stage, call.state) for call in runner.calls]


def test_what_is_committed_is_never_computed_twice(home: Settings) -> None:
    first, _ = in_flow(chain())
    again, _ = in_flow(chain())
    assert RAN == ["make_numbers", "square"]
    assert states(again) == [("make_numbers", "cached"), ("square", "cached")]
    assert [c.ref.digest for c in first.calls] == [c.ref.digest for c in again.calls]


def test_a_changed_config_recomputes_from_there_and_only_there(home: Settings) -> None:
    in_flow(chain())
    RAN.clear()
    in_flow(chain(offset=1))
    assert RAN == ["square"]


def test_an_upstream_change_that_changes_no_byte_stops_there(home: Settings) -> None:
    in_flow(chain(count=6))
    RAN.clear()
    runner, _ = in_flow(chain(count=7))  # 6 is divisible by 3: one more reject, the same rows out
    assert states(runner) == [("make_numbers", "done"), ("square", "cached")]
    assert RAN == ["make_numbers"]


def test_what_a_failed_run_made_is_told_by_the_run_that_ends_it_and_once(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(triggers, "emit_event", lambda _, resource: told.append(resource["prefect.resource.name"]))

    def broken(run: Runner) -> None:
        chain()(run)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_flow(broken)
    assert told == []
    in_flow(chain())  # all of it is there already
    assert told == ["numbers@1", "squares@1"]
    in_flow(chain())
    in_flow(chain(offset=1))
    assert told == ["numbers@1", "squares@1", "squares@2"]
    made = Runner(home).current("squares")
    triggers.announce(Lineage(Tables(home.warehouse_uri())), made)
    assert len(told) == 3
    triggers.announce(Lineage(Tables(home.warehouse_uri())), made, changed=lambda _: True)
    assert told[3:] == ["squares@2"]


def test_the_time_of_a_failed_attempt_is_charged_too(home: Settings) -> None:
    attempts: list[float] = []
    left = set((home.absolute_home() / "work").glob("*"))  # by stages that failed in other tests

    def slow(config: Count, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
        attempts.append(time.perf_counter())
        time.sleep(0.4)
        if len(attempts) == 1:
            raise ZeroDivisionError
        yield frame(NUMBERS, [1], [[]])

    stage = replace(MAKE, run=slow, reconciles=False)
    with pytest.raises(ZeroDivisionError):
        in_flow(lambda run: run.call(stage, Count(), {}))
    runner, _ = in_flow(lambda run: run.call(stage, Count(), {}))
    (call,) = runner.calls
    assert call.ref is not None
    assert call.seconds == runner.lineage.call_of(call.ref)["seconds"]
    assert 0.8 < call.seconds < time.perf_counter() - attempts[0]
    assert set((home.absolute_home() / "work").iterdir()) <= left


def test_counts_that_do_not_add_up_commit_nothing(home: Settings) -> None:
    with pytest.raises(CountError, match="6 rows in, 3 out and 2 rejected"):
        in_flow(lambda run: run.call(MAKE, Count(count=6, lose=1), {}))
    runner = Runner(home)
    assert runner.lineage.calls().is_empty()
    assert not runner.tables.exists("numbers") or runner.tables.view("numbers").rows == 0


def test_rejects_are_quarantined_once_with_reason_and_source(home: Settings) -> None:
    runner, _ = in_flow(chain())
    fresh = Runner(home)
    rows = fresh.tables.view("quarantine").scan().sort("row").collect()
    assert rows.select("stage", "row", "reason", "detail", "source").rows() == [
        ("make_numbers", "n0", "divisible", "0 = 3 * 0", "nowhere@0"),
        ("make_numbers", "n3", "divisible", "3 = 3 * 1", "nowhere@0"),
    ]
    assert set(rows["fingerprint"]) == {runner.calls[0].fingerprint}


def logged(run: Run) -> str:
    """Prefect's log of the task of an MLflow run."""
    APILogHandler().flush()
    with get_client(sync_client=True) as client:
        of_run = LogFilter(task_run_id=LogFilterTaskRunId(any_=[run.data.tags["prefect_task_run"]]))
        return "".join(log.message for log in client.read_logs(of_run))


def test_mlflow_holds_params_metrics_and_the_table_versions_under_our_digest(home: Settings) -> None:
    runner, parent = in_flow(chain(count=8))
    client = mlflow.MlflowClient()
    call = runner.lineage.call_of(runner.calls[1].ref)
    nested = client.get_run(call["mlflow_run"])
    assert nested.data.tags["mlflow.parentRunId"] == parent
    assert nested.data.params["offset"] == "0"
    assert nested.data.tags["fingerprint"] == runner.calls[1].fingerprint
    assert nested.data.metrics["rows_out"] == 5
    inputs = {d.dataset.name: d for d in nested.inputs.dataset_inputs}
    made, read = runner.calls[1].ref, runner.calls[0].ref
    assert set(inputs) == {str(made), str(read)}
    profile = json.loads(inputs[str(made)].dataset.profile)
    assert profile == {"rows": 5, "version": made.version, "sha256": made.digest}
    assert json.loads(inputs[str(read)].dataset.schema)["n"] == "int64"
    maker = runner.lineage.call_of(read)["mlflow_run"]
    assert client.get_run(maker).data.tags["warning.00"] == "5 numbers are few"
    assert "5 numbers are few" in logged(client.get_run(maker))
    curve = client.get_metric_history(maker, "largest")
    assert [(m.step, m.value) for m in sorted(curve, key=lambda m: m.step)] == [(0, 1), (1, 2), (2, 4), (3, 5), (4, 7)]
    assert client.get_run(parent).data.metrics["make_numbers.rows_rejected"] == 3


def test_a_stage_that_fails_half_way_keeps_its_curve_and_is_told_in_clear_lines(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = next(h for h in logging.getLogger().handlers if isinstance(h, PrefectConsoleHandler))
    terminal = io.StringIO()
    monkeypatch.setattr(console.console, "file", terminal)
    with pytest.raises(SystemExit) as ended, user_errors(Console(file=terminal)), hushed_prefect():
        in_flow(lambda run: run.call(STOP, Count(), {}))
    lines = terminal.getvalue().splitlines()
    assert lines[0] == "error the [disk] is full"
    assert lines[1].startswith("in stage stop_half_way (OSError); the traceback is in the run's log in Prefect")
    assert (len(lines), ended.value.code) == (2, 1)
    (failed,) = mlflow.search_runs(
        experiment_names=["demo"], filter_string="tags.stage = 'stop_half_way'", output_format="list"
    )
    assert failed.info.status == "FAILED"
    curve = mlflow.MlflowClient().get_metric_history(failed.info.run_id, "loss")
    assert sorted((m.step, m.value) for m in curve) == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert "Traceback" in logged(failed)
    assert "in stop_half_way" in logged(failed)


def test_the_terminal_hears_which_stage_begins_and_how_far_it_is(home: Settings) -> None:
    told: list[str] = []
    token = ON_PROGRESS.set(told.append)
    try:
        in_flow(chain(count=9))
    finally:
        ON_PROGRESS.reset(token)
    assert told == ["make_numbers", "make_numbers: 1 of 6 rows", "make_numbers: 6 of 6 rows", "square"]


def test_prefect_shows_the_task_its_progress_and_its_tables(home: Settings) -> None:
    _, parent = in_flow(chain(count=9, offset=5))
    flow_id = mlflow.MlflowClient().get_run(parent).data.tags["prefect_flow_run"]
    with get_client(sync_client=True) as client:
        task_runs = [t for t in client.read_task_runs() if str(t.flow_run_id) == flow_id]
        artifacts = [a for a in client.read_artifacts() if str(a.flow_run_id) == flow_id]
    assert sorted(t.name for t in task_runs) == ["make_numbers all", "square all"]
    assert {t.state.name for t in task_runs} == {"Completed"}
    kinds = {(a.key, a.type) for a in artifacts}
    assert {
        ("make-numbers-progress", "progress"),
        ("square-read", "table"),
        ("make-numbers-rejected", "table"),
    } <= kinds
    assert next(a for a in artifacts if a.type == "progress").data == 100.0


def test_a_model_comes_back_as_it_was_or_not_at_all(home: Settings) -> None:
    def body(run: Runner) -> None:
        numbers = run.call(MAKE, Count(), {})
        squares = run.call(SQUARE, Keep(), {"numbers": (numbers,)})
        model = run.call(FIT, Keep(), {"squares": (squares,)})
        run.call(APPLY, Keep(), {"model": (model,)})

    runner, _ = in_flow(body)
    assert runner.tables.view("squares").scan().collect()["n"].to_list() == [1 + 4 + 16 + 25]
    ref = runner.calls[2].ref
    version = mlflow.MlflowClient().get_model_version("sum-model", str(ref.version))
    assert version.tags["fingerprint"] == runner.calls[2].fingerprint
    stored = Path(version.source.removeprefix("file://")) / "model.json"
    stored.write_text(stored.read_text().replace("46", "47"))
    with pytest.raises(DamagedModelError, match="sum-model"):
        in_flow(lambda run: run.call(APPLY, Keep(offset=1), {"model": (ref,)}))


def test_a_model_that_mlflow_does_not_hold_is_told_with_what_to_look_at(home: Settings) -> None:
    open_mlflow(home, "flow")
    ref = ArtifactRef(name="nobody", kind="model", version=3, digest="d")
    with pytest.raises(LookupError, match=r"nobody@3.*RIGOR_MLFLOW_URI"):
        models.fetch(ref, home.absolute_home())


def test_a_plan_computes_nothing_and_says_what_waits(home: Settings) -> None:
    in_flow(lambda run: run.call(MAKE, Count(), {}))
    RAN.clear()
    dry = Runner(home, dry=True)
    numbers = dry.call(MAKE, Count(), {})
    squares = dry.call(SQUARE, Keep(), {"numbers": (numbers,)})
    dry.call(FIT, Keep(), {"squares": None if squares is None else (squares,)})
    assert RAN == []
    assert states(dry) == [("make_numbers", "cached"), ("square", "to do"), ("fit", "waits")]


def test_an_older_artifact_can_be_made_current_again(home: Settings) -> None:
    first, _ = in_flow(chain(offset=0))
    in_flow(chain(offset=1))
    old = first.calls[1].ref
    runner = Runner(home)
    back = runner.make_current(old)
    assert back.version > old.version
    assert runner.tables.view("squares").digest() == old.digest
    assert runner.make_current(back) == back, "nothing to do the second time"


def test_a_row_is_traced_to_the_rows_it_came_from(home: Settings) -> None:
    runner, _ = in_flow(chain())
    rows = Walk(runner.lineage).trace(row_id("squares", 16)).rows()
    assert [(r.depth, r.artifact.split("@")[0], r.facts["n"]) for r in rows] == [(0, "squares", 16), (1, "numbers", 4)]
    with pytest.raises(LookupError, match="no row"):
        Walk(runner.lineage).trace("ffffffffffff")


def test_current_is_what_the_table_holds_not_what_was_computed_last(home: Settings) -> None:
    runner, _ = in_flow(chain(count=6))
    first = runner.current("squares")
    assert [(ref.name, ref.partitions) for ref in first] == [("squares", ("all",))]
    assert in_flow(chain(count=8))[0].current("squares") != first
    again, _ = in_flow(lambda run: run.make_current(first[0]))
    assert [ref.fingerprint for ref in again.current("squares")] == [first[0].fingerprint]
    assert again.current("numbers_of_nobody") == ()


def test_a_model_stage_may_write_tables_beside_its_model(home: Settings) -> None:
    def body(run: Runner) -> None:
        run.call(MAKE, Count(), {})
        squares = run.call(SQUARE, Keep(), {"numbers": run.current("numbers")})
        run.call(BESIDE, Keep(offset=7), {"squares": (squares,)})

    runner, _ = in_flow(body)
    by_partition = {ref.partitions: ref for ref in runner.current("squares")}
    beside = by_partition[("square-model",)]
    assert runner.view([beside]).scan().collect()["n"].to_list() == [7]
    made = runner.calls[-1].ref
    calls = [runner.lineage.call_of(ref) for ref in (made, beside)]
    assert calls[0]["mlflow_run"] == calls[1]["mlflow_run"], "one call made both"
    assert calls[0]["inputs"] == calls[1]["inputs"]
    assert states(in_flow(body)[0]) == [("make_numbers", "cached"), ("square", "cached"), ("fit_and_square", "cached")]


def test_a_run_does_not_fail_for_figures_that_are_in_another_mlflow(home: Settings) -> None:
    runner = Runner(home)
    there, gone = (Kit(Path(home.warehouse_uri())).model(f"m{n}", mlflow_run=n * 32) for n in "ab")
    runner.calls = [Call("make", "", str(ref), ref.fingerprint, "cached", ref) for ref in (there, gone)]
    open_mlflow(home, "demo")
    with mlflow.start_run() as run:
        runner.summarise(run.info.run_id)
    found = mlflow.MlflowClient().get_run(run.info.run_id).data.metrics
    assert found == {"stages_cached": 2, "stages_computed": 0}


def test_an_experiment_may_be_opened_for_the_first_time_by_several_runs_at_once(home: Settings) -> None:
    errors: list[Exception] = []
    together = threading.Barrier(4)

    def opens() -> None:
        try:
            for number in range(5):
                together.wait()
                open_mlflow(home, f"at once {number} {home.warehouse_uri()}")
        except Exception as error:  # noqa: BLE001 whatever it is, the test must see it
            errors.append(error)
            together.abort()

    threads = [threading.Thread(target=opens) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_what_reads_mlflow_looks_where_flows_write(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    Settings().apply()
    assert os.environ["MLFLOW_TRACKING_URI"] == Settings().mlflow_tracking_uri()


def test_a_call_clears_away_what_a_killed_one_left(home: Settings) -> None:
    dry = Runner(home, dry=True)
    dry.call(MAKE, Count(count=5), {})
    scratch = home.absolute_home() / "scratch"
    left = scratch / dry.calls[0].fingerprint / "models"
    left.mkdir(parents=True)
    before = set(scratch.iterdir()) - {left.parent}
    in_flow(lambda run: run.call(MAKE, Count(count=5), {}))
    assert set(scratch.iterdir()) == before
