"""The flow align: every profile configures it, reward models reach the reinforcement by name, and a small run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import polars as pl
import pytest

from flows.align import AlignConfig, align, run_align
from flows.config import load_config, profile_names
from flows.pretrain import PretrainFlowConfig, pretrain
from flows.runner import ON_CALL, Call, Runner
from flows.settings import Settings
from flows.synthesize import SynthesizeConfig, synthesize

CALLS = ["collect_preferences", "train_reward_helpful", "train_reward_safety", "reinforce_r1"]


def test_without_problems_it_says_what_to_run(home: Settings) -> None:
    with pytest.raises(LookupError, match="rigor run synthesize"):
        run_align(Runner(home, dry=True), AlignConfig())


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_asks_for_preferences_late(profile: str) -> None:
    config = load_config(AlignConfig, "align", profile)
    reinforce = config.reinforce
    assert reinforce.temperature == 0.7
    assert reinforce.rewards.judges.keys() == {"helpful", "safety"} == config.train_reward_models.keys()
    late = {judge.from_share for judge in reinforce.rewards.judges.values()}
    parts = {part.from_share for part in reinforce.questions.mix if set(part.categories) != set()}
    assert min(late) >= 0.75
    assert "math" in reinforce.rewards.accuracy_categories
    assert "general" not in reinforce.rewards.accuracy_categories
    assert parts <= {0.0, *late}


def test_a_change_goes_over_the_published_settings() -> None:
    config = load_config(AlignConfig, "align", "cluster", ["reinforce.steps=17"]).reinforce
    assert config.steps == 17
    assert len(config.questions.mix) == 6
    assert config.rewards.judges["safety"].from_share == pytest.approx(1300 / 1700)


def calls_of(changes: list[str]) -> list[Call]:
    calls: list[Call] = []
    token = ON_CALL.set(calls.append)
    try:
        align(load_config(AlignConfig, "align", "laptop", changes))
    finally:
        ON_CALL.reset(token)
    return calls


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_small_run_makes_both_reward_models_and_uses_them(home: Settings, tmp_path: Path) -> None:
    few = ["make_problems.per_cell=60", "make_problems.weights={}", "make_problems.validation_share=0.2"]
    synthesize(load_config(SynthesizeConfig, "synthesize", "laptop", few))
    pretrain(load_config(PretrainFlowConfig, "pretrain", "laptop", [
        "pretrain.model={preset=\"laptop\", layers=2, vocab_size=600}", "train_tokenizer.vocab_size=600",
        "pretrain.recipe.tokens=20000", "pretrain.recipe.looks=1"]))  # fmt: skip
    small = ["start=rigor-base", "collect_preferences.per_family=10", "reinforce.steps=4",
             "reinforce.schedule.warmup_steps=1",
             "reinforce.questions_per_step=16", "reinforce.samples=4", "reinforce.max_tokens=12",
             "reinforce.held_out={problems=24, every_steps=2, splits=[\"validation\", \"test\"]}"]  # fmt: skip
    calls = calls_of(small)
    assert [(call.stage, call.state) for call in calls] == [(name, "done") for name in CALLS]
    again = calls_of(small)
    assert {call.state for call in again} == {"cached"}
    changed = calls_of([*small, "reinforce.rewards.format=0.2"])
    assert [call.state for call in changed] == ["cached"] * 3 + ["done"]
    runner = Runner(home)
    rows = runner.tables.view("rollouts").scan().filter(pl.col("policy") == "rigor-r1").collect()
    terms: dict[str, Any] = {}
    for step, rewards in rows.select("step", "rewards").iter_rows():
        terms.setdefault(step, set()).update(reward["term"] for reward in rewards)
    assert {step for step, names in terms.items() if "judge:safety" in names} == {3}
    model = runner.lineage.current("rigor-r1")
    assert model is not None
    (inputs,) = [edge["inputs"] for edge in [runner.lineage.call_of(model)]]
    assert {"rigor-reward-helpful", "rigor-reward-safety"} <= {edge["name"] for edge in inputs}
    registered = {found.name for found in mlflow.MlflowClient().search_registered_models()}
    assert {"rigor-reward-helpful", "rigor-reward-safety", "rigor-r1"} <= registered
