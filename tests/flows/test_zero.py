"""The flow zero through the real runner: model, rollouts beside it, lineage from a rollout to its problem."""

from __future__ import annotations

import mlflow
import polars as pl
import pytest

from flows.config import load_config, profile_names
from flows.pretrain import PretrainFlowConfig, pretrain
from flows.runner import ON_CALL, Call, Runner
from flows.settings import Settings
from flows.synthesize import SynthesizeConfig, synthesize
from flows.zero import ZeroConfig, run_zero, zero
from warehouse.lineage import Lineage
from warehouse.walk import Walk

SMALL = ["reinforce.steps=3", "reinforce.questions_per_step=4", "reinforce.samples=4", "reinforce.max_tokens=16",
         "reinforce.held_out={problems=8, every_steps=2}"]  # fmt: skip


def run(changes: list[str]) -> list[Call]:
    calls: list[Call] = []
    token = ON_CALL.set(calls.append)
    try:
        zero(load_config(ZeroConfig, "zero", "laptop", changes))
    finally:
        ON_CALL.reset(token)
    return calls


def test_without_a_base_it_says_what_to_run(home: Settings) -> None:
    with pytest.raises(LookupError, match="rigor run pretrain"):
        run_zero(Runner(home, dry=True), ZeroConfig())


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_configures_it(profile: str) -> None:
    config = load_config(ZeroConfig, "zero", profile).reinforce
    assert config.rewards.accuracy == 1
    assert config.rewards.judges == {}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_rollouts_lead_back_to_their_problems(home: Settings) -> None:
    few = ["make_problems.per_cell=30", "make_problems.gym_per_cell=0", "make_problems.weights={code_functions=0.0}"]
    synthesize(load_config(SynthesizeConfig, "synthesize", "laptop", few))
    pretrain(load_config(PretrainFlowConfig, "pretrain", "laptop", [
        "pretrain.model={preset=\"laptop\", layers=2, vocab_size=600}", "train_tokenizer.vocab_size=600",
        "pretrain.recipe.tokens=20000", "pretrain.recipe.looks=1"]))  # fmt: skip
    calls = run(SMALL)
    assert [(call.stage, call.writes.split("@")[0], call.state) for call in calls] == [
        ("reinforce_zero", "rigor-zero", "done")
    ]
    assert run(SMALL)[0].state == "cached"
    again = run([*SMALL, "reinforce.rewards.language=0.1"])
    assert again[0].state == "done", "a reward is part of the fingerprint"
    tables = Runner(home).tables
    rows = tables.view("rollouts").scan().collect()
    assert rows.height == 3 * 4 * 4
    assert set(rows["partition"]) == {"rigor-zero"}
    assert set(rows["family"]) == {"running_sums"}
    problems = tables.view("problems").scan().collect()
    assert set(rows["problem"]) <= set(problems.filter(pl.col("split") == "train")["id"])
    lineage = Lineage(tables)
    hops = [row.artifact.split("@")[0] for row in Walk(lineage).trace(rows["id"][5]).rows()]
    assert hops[0] == "rollouts"
    assert "problems" in hops
    made = calls[0].ref
    assert made is not None
    metrics = mlflow.MlflowClient().get_run(lineage.call_of(made)["mlflow_run"]).data.metrics
    assert {"reward", "pass_rate", "held_out_pass_rate", "held_out_greedy", "entropy", "sampler_gap_max",
            "seconds_sample", "pass_rate.running_sums"} <= metrics.keys()  # fmt: skip
