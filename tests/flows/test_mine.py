"""The whole mine on the sample crawl, against its truth; once a session, the way a user runs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextvars import copy_context

import mlflow
import polars as pl
import pytest
from typer.testing import CliRunner

from flows import commands
from flows.backfill import BackfillError
from flows.cli import app
from flows.config import load_config
from flows.mine import MineConfig, mine, run_mine
from flows.runner import ON_CALL, Call, Runner
from flows.sample_figures import sample_figures
from flows.settings import Settings
from warehouse.lineage import ArtifactRef, Lineage
from warehouse.tables import Tables
from warehouse.walk import Walk


class Mined:
    """A finished mine: its settings and the stage calls in order."""

    def __init__(self, settings: Settings, calls: list[Call]) -> None:
        self.settings, self.calls = settings, calls
        self.tables = Tables(settings.warehouse_uri())
        self.refs: list[ArtifactRef] = [call.ref for call in calls if call.ref is not None]


def run(config: MineConfig) -> list[Call]:
    """Run the flow; returns its stage calls."""
    calls: list[Call] = []
    token = ON_CALL.set(calls.append)
    try:
        mine(config)
    finally:
        ON_CALL.reset(token)
    return calls


@pytest.fixture(scope="module")
def mined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mined]:
    """The sample crawl, mined with the laptop profile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RIGOR_WAREHOUSE", str(tmp_path_factory.mktemp("mine") / "warehouse"))
        yield Mined(Settings(), run(load_config(MineConfig, "mine", "laptop")))


@pytest.fixture(scope="module")
def figures(mined: Mined) -> dict[str, dict[str, float]]:
    truth = mined.settings.absolute_home() / "sample-crawl" / "truth"
    frame = sample_figures(mined.tables, mined.refs, truth)
    print(frame)
    return {row["figure"]: row for row in frame.to_dicts()}


def test_pages_are_found_and_the_rounds_gain(figures: dict[str, dict[str, float]]) -> None:
    rounds = [figures[name] for name in sorted(figures) if name.startswith("pages, round")]
    assert rounds[-1]["recall"] >= 0.98
    assert rounds[-1]["precision"] >= 0.95
    assert rounds[0]["recall"] <= rounds[-1]["recall"] - 0.05, "the rounds must be needed"


@pytest.mark.parametrize(
    ("figure", "recall", "precision"),
    [("near-duplicate pairs", 0.99, 0.99), ("leaked items", 1.0, 1.0), ("languages", 0.97, 0.97),
     ("broken records", 1.0, 1.0), ("formulas", 0.98, 1.0), ("corpus", 0.97, 0.95)],
)  # fmt: skip
def test_every_step_against_the_truth(
    figures: dict[str, dict[str, float]], figure: str, recall: float, precision: float
) -> None:
    assert figures[figure]["recall"] >= recall
    assert figures[figure]["precision"] >= precision
    assert figures[figure]["wanted"] > 0, "nothing was planted: the figure says nothing"


def test_a_second_run_recomputes_nothing(mined: Mined, monkeypatch: pytest.MonkeyPatch) -> None:
    again = run(load_config(MineConfig, "mine", "laptop"))
    assert {call.state for call in again} == {"cached"}
    assert [c.ref for c in again] == mined.refs


def test_counts_of_every_stage_reconcile(mined: Mined) -> None:
    calls = Lineage(mined.tables).calls()
    steps = calls.filter(~pl.col("stage").is_in(["train_classifier", "recall_domains"]))
    assert steps.height >= 13
    assert steps.filter(pl.col("rows_in") != pl.col("rows") + pl.col("rejected")).is_empty()
    quarantine = mined.tables.view("quarantine").scan().group_by("fingerprint").agg(pl.col("count").sum()).collect()
    counted = dict(quarantine.iter_rows())
    assert {f: n for f, n in steps.select("fingerprint", "rejected").iter_rows() if n} == counted


def test_a_corpus_row_leads_back_to_its_bytes(mined: Mined) -> None:
    corpus = mined.tables.view("math_corpus").scan().select("id", "url").collect()
    for row, url in corpus.sample(3, seed=5).iter_rows():
        steps = Walk(Lineage(mined.tables)).trace(row).rows()
        assert [step.artifact.split("@")[0] for step in steps] == [
            "math_corpus", "pages_unique", "pages", "crawl_records",
        ]  # fmt: skip
        shown = rigor("trace", row)
        assert url in shown
        assert "are the page" in shown


def test_mlflow_compares_rounds_by_curves_and_knows_the_tables(mined: Mined) -> None:
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("mine")
    parents = client.search_runs([experiment.experiment_id], "tags.prefect_flow_run != ''", order_by=["start_time ASC"])
    names = set(parents[0].data.metrics)
    assert {"score_pages.rows_out", "train_classifier.threshold", "overlap", "deduplicate.duplicates_near"} <= names
    thresholds = client.get_metric_history(parents[0].info.run_id, "train_classifier.threshold")
    assert [m.step for m in sorted(thresholds, key=lambda m: m.step)] == [1, 2, 3, 4][: len(thresholds)]
    assert len(thresholds) >= 2
    models = client.search_model_versions("name='classifier'")
    assert {"fingerprint", "digest"} <= set(models[0].tags)


def test_a_plan_says_what_is_there_and_what_a_change_costs(mined: Mined) -> None:
    base = load_config(MineConfig, "mine", "laptop")
    dry = Runner(mined.settings, dry=True)
    run_mine(dry, base)
    assert {call.state for call in dry.calls} == {"cached"}
    changed = Runner(mined.settings, dry=True)
    run_mine(changed, load_config(MineConfig, "mine", "laptop", ["deduplicate.threshold=0.8"]))
    states = [(call.stage, call.state) for call in changed.calls]
    later = [("deduplicate", "waits"), ("decontaminate", "waits")]
    assert states[-6:] == [("deduplicate", "to do"), ("decontaminate", "waits"), *later, *later]
    assert {state for _, state in states[:-6]} == {"cached"}


def rigor(*args: str, fails: type[Exception] | None = None) -> str:
    """Run a command line in this process; returns what it printed, on a console wide enough for its tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands.out, "width", 200)
        result = CliRunner().invoke(app, list(args), catch_exceptions=True)
    assert isinstance(result.exception, fails) if fails else result.exit_code == 0, (result.output, result.exception)
    return result.output


def test_the_end_of_a_run_says_what_to_look_at_and_those_commands_work(mined: Mined) -> None:
    shown = copy_context().run(rigor, "run", "mine")
    assert f"nothing recomputed: all {len(mined.refs)} artifacts exist" in shown
    assert "the sample crawl's truth says" in shown
    closer = [line.split("  ")[1] for line in shown.partition("Look closer:\n")[2].splitlines()]
    made = str(mined.refs[-1]).partition("[")[0]
    assert closer[:4] == ["rigor tables", "rigor show math_corpus", f"rigor trace {made}", "rigor plan mine"]
    tables, _, trace, _ = (rigor(*command.split()[1:]) for command in closer[:4])
    version = mined.tables.view("math_corpus").parts[0][0]
    assert re.search(rf"^math_corpus +{version} ", tables, re.M)
    assert re.search(r"^classifier +\d+ +train_classifier ", tables, re.M), "models are listed too"
    assert trace.startswith(f"{made}[")


def test_what_is_not_there_is_answered_with_what_is(mined: Mined) -> None:
    newest = mined.tables.view("math_corpus").parts[0][0]
    with pytest.raises(LookupError, match=rf"^table math_corpus has no version 99; the newest is {newest}$"):
        commands.show_table("math_corpus@99", 1, "", "")
    with pytest.raises(ValueError, match=r'unable to find column "lang".*"language"[^\n]*$'):
        commands.show_table("math_corpus", 1, "", "lang = 'de'")


def test_one_month_is_backfilled_without_touching_the_others(mined: Mined) -> None:
    tables = mined.tables
    before = {m: tables.view("math_corpus", partitions=[m]) for m in ("2026-01", "2026-02", "2026-03")}
    open_view = tables.view("math_corpus")
    rows_before = open_view.rows
    backfill = ("backfill", "mine", "--from", "2026-02", "--to", "2026-02", "--set", "deduplicate.threshold=1.0")
    assert "done" in rigor(*backfill)
    after = {m: tables.view("math_corpus", partitions=[m]) for m in before}
    for month in ("2026-01", "2026-03"):
        assert after[month].paths == before[month].paths
    assert after["2026-02"].paths != before["2026-02"].paths
    assert after["2026-02"].rows > before["2026-02"].rows, "a stricter threshold keeps more"
    assert open_view.rows == rows_before, "a reader that was there keeps what it saw"
    assert "unchanged" in rigor(*backfill)
    run(load_config(MineConfig, "mine", "laptop"))  # the first mine again: cached, and made current
    assert tables.view("math_corpus", partitions=["2026-02"]).digest() == before["2026-02"].digest()


def test_a_dry_backfill_prints_the_plan_and_changes_nothing(mined: Mined) -> None:
    calls = Lineage(mined.tables).calls().height
    shown = rigor("backfill", "mine", "--from", "2026-01", "--to", "2026-03", "--dry-run")
    for month in ("2026-01", "2026-02", "2026-03"):
        assert month in shown
    assert "to do" in shown
    assert "cached" in shown
    assert Lineage(mined.tables).calls().height == calls


def test_a_failed_month_does_not_stop_the_others(mined: Mined) -> None:
    shown = rigor("backfill", "mine", "--from", "2025-12", "--to", "2026-02", fails=BackfillError)
    assert "no crawl files for 2025-12" in shown
    assert shown.count("math_corpus@") >= 2
