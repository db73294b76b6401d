"""The synthesis flow through the real runner, small; and its profile's figures."""

from __future__ import annotations

import mlflow
import polars as pl

from flows.config import load_config
from flows.runner import ON_CALL, Call, Runner
from flows.settings import Settings
from flows.synthesize import SynthesizeConfig, synthesize
from tasks.grade.steps import check_steps
from warehouse.lineage import Lineage
from warehouse.walk import Walk


def run(changes: list[str]) -> list[Call]:
    calls: list[Call] = []
    token = ON_CALL.set(calls.append)
    try:
        synthesize(load_config(SynthesizeConfig, "synthesize", "laptop", changes))
    finally:
        ON_CALL.reset(token)
    return calls


def test_problems_and_checked_solutions_are_tables_that_lead_back(home: Settings) -> None:
    small = ["make_problems.per_cell=12", "make_problems.gym_per_cell=1", "make_problems.weights={code_functions=0.0}",
             "make_problems.families=[]"]  # fmt: skip
    calls = run(small)
    assert [c.stage for c in calls] == ["make_problems", "write_solutions", "check_solutions", "order_curriculum"]
    assert {c.state for c in run(small)} == {"cached"}
    tables = Runner(home).tables
    problems = tables.view("problems").scan().collect()
    corpus = tables.view("synthetic_corpus").scan().collect()
    assert problems["family"].n_unique() > 20
    assert corpus.height > 1_000
    assert calls[2].rows_in == calls[2].ref.rows + calls[2].rejected
    rows = Walk(Lineage(tables)).trace(corpus["id"][17]).rows()
    assert [row.artifact.split("@")[0] for row in rows] == ["synthetic_corpus", "solutions", "problems"]
    wrong = corpus.filter(pl.col("first_wrong") >= 0)
    assert wrong.height > 20
    assert set(wrong["style"]) == {"wrong", "repair"}, "a planted step is known; a repaired one is wrong first"
    metrics = mlflow.MlflowClient().get_run(Lineage(tables).call_of(calls[2].ref)["mlflow_run"]).data.metrics
    assert metrics["checked_ok_share"] > 0.9
    assert metrics["solutions_per_minute"] > 0


def test_a_planted_error_is_seen_by_the_step_checker() -> None:
    report = check_steps("Solve for x: 2x + 5 = 15", ["2x = 15 - 5 = 10", "x = 10 / 2 = 6"])
    assert report.first_wrong == 1
