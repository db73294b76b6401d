"""The flow reject: what it plans, and on a small base the whole of it, down to a row's own rollout."""

from __future__ import annotations

import mlflow
import polars as pl
import pytest

from flows.config import load_config, profile_names
from flows.pretrain import PretrainFlowConfig, pretrain
from flows.reject import RejectConfig, reject, run_reject
from flows.runner import ON_CALL, Call, Runner
from flows.settings import Settings
from flows.synthesize import SynthesizeConfig, synthesize
from flows.zero import ZeroConfig, zero
from warehouse.lineage import Lineage
from warehouse.walk import Walk


def test_without_problems_it_says_what_to_run(home: Settings) -> None:
    with pytest.raises(LookupError, match="rigor run synthesize"):
        run_reject(Runner(home, dry=True), RejectConfig())


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_keeps_the_published_ratio(profile: str) -> None:
    config = load_config(RejectConfig, "reject", profile)
    assert config.join_general.reasoning_parts == 3 * config.join_general.general_parts
    assert config.fine_tune.epochs == 2
    schedule = config.fine_tune.recipe.schedule
    assert (schedule.shape, schedule.final_share) == ("cosine", 0.1)
    assert config.filter_rejection.judge is None


def run(changes: list[str]) -> list[Call]:
    calls: list[Call] = []
    token = ON_CALL.set(calls.append)
    try:
        reject(load_config(RejectConfig, "reject", "laptop", changes))
    finally:
        ON_CALL.reset(token)
    return calls


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_flow_on_a_small_base(home: Settings) -> None:
    world = [
        'make_problems.families=["parity", "truth", "facts", "harmful"]', "make_problems.max_level=1",
        'make_problems.languages=["en"]', "make_problems.gym_per_cell=0", "make_problems.weights={}",
    ]  # fmt: skip
    synthesize(load_config(SynthesizeConfig, "synthesize", "laptop", world))
    pretrain(load_config(PretrainFlowConfig, "pretrain", "laptop", [
        'pretrain.model={preset="laptop", layers=2, vocab_size=600}', "train_tokenizer.vocab_size=600",
        "pretrain.recipe.tokens=300000", "pretrain.recipe.looks=1"]))  # fmt: skip
    asked = 'questions={families=["parity", "truth"], categories=[]}'
    zero(load_config(ZeroConfig, "zero", "laptop", [
        f"reinforce.{asked}", "reinforce.steps=2", "reinforce.questions_per_step=8", "reinforce.samples=8",
        "reinforce.max_tokens=48", "reinforce.held_out={problems=8}"]))  # fmt: skip
    small = [
        f"sample_rejection.{asked}", 'sample_rejection.model="rigor-zero"', "sample_rejection.problems=60",
        "sample_rejection.samples=4", "sample_rejection.max_tokens=48", 'policies=["rigor-zero"]',
        "label_steps.lowest_step=0", "join_general.rows=200", "join_general.repair_share=0.3",
        "fine_tune.recipe.batch_rows=4",
    ]  # fmt: skip
    calls = run(small)
    assert [call.stage for call in calls] == [
        "sample_rejection", "filter_rejection", "label_steps", "write_repairs", "join_general", "fine_tune_sft",
    ]  # fmt: skip
    assert [call.state for call in run(small)] == ["cached"] * 6
    tables = Runner(home).tables
    rows = tables.view("sft_set").scan().collect()
    samples = tables.view("rejection_samples").scan().collect()
    assert samples.height == 60 * 4
    reasoning = rows.filter(pl.col("kind") != "general").height
    assert reasoning >= 1
    assert abs(reasoning - 3 * (rows.height - reasoning)) <= 2
    lineage = Lineage(tables)
    row = rows.filter(kind="reasoning").to_dicts()[0]
    hops = [hop.artifact.split("@")[0] for hop in Walk(lineage).trace(row["id"]).rows()]
    assert hops[:3] == ["sft_set", "rejection_kept", "rejection_samples"]
    assert "problems" in hops
    labels = calls[2].ref
    assert labels is not None
    metrics = mlflow.MlflowClient().get_run(lineage.call_of(labels)["mlflow_run"]).data.metrics
    assert {"wrong", "explained"} <= metrics.keys()
    without = run([*small, "repairs=false"])
    assert [call.stage for call in without] == [
        "sample_rejection", "filter_rejection", "join_general", "fine_tune_sft",
    ]  # fmt: skip
    assert [call.state for call in without[:2]] == ["cached"] * 2
