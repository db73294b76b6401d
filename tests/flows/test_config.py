"""Configs: profiles over published defaults, changes over profiles, and lengths that the models hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from flows.align import LATE, AlignConfig
from flows.config import load_config, profile_names
from flows.distill import DistillFlowConfig
from flows.pretrain import PretrainFlowConfig
from flows.r1 import R1Config
from flows.reason import ReasonConfig
from flows.reject import RejectConfig
from tasks.rl.config import ReinforceConfig
from tasks.train.fine_tune import FineTuneConfig


def test_a_partial_table_leaves_the_published_values_beside_it() -> None:
    recipe = RejectConfig.model_validate({"fine_tune": {"recipe": {"batch_rows": 4}}}).fine_tune.recipe
    assert (recipe.batch_rows, recipe.optimizer.learning_rate, recipe.schedule.final_share) == (4, 5e-5, 0.1)
    assert (recipe.bias_rate.first, recipe.bias_rate.then) == (0, 0)  # the experts' biases stay in a fine-tuning
    zero = ReinforceConfig.model_validate({"optimizer": {"learning_rate": 1e-5}, "schedule": {"warmup_steps": 2}})
    assert (zero.optimizer.learning_rate, zero.optimizer.weight_decay, zero.schedule.shape) == (1e-5, 0, "constant")
    student = DistillFlowConfig.model_validate({"small": {"lessons": {"recipe": {"batch_rows": 8}}}}).small
    assert (student.lessons.recipe.optimizer.learning_rate, student.pretrain.model.hidden_size) == (1e-4, 96)


def test_a_named_algorithm_is_its_own_base_and_an_unnamed_change_goes_over_the_default() -> None:
    over_r1 = ReinforceConfig.model_validate({"algorithm": {"kl_weight": 0.5}}).algorithm
    assert (over_r1.kl_weight, over_r1.clip_high, over_r1.mean) == (0.5, 10, "sequence")
    dapo = ReinforceConfig.model_validate({"algorithm": {"base": "dapo", "kl_weight": 0.5, "kl": "k3"}}).algorithm
    assert (dapo.kl_weight, dapo.clip_high, dapo.mean) == (0.5, 0.28, "token")


def test_a_shape_keeps_what_is_not_changed_unless_its_attention_is_another_kind() -> None:
    changed = load_config(PretrainFlowConfig, "pretrain", "laptop", ["pretrain.model={preset='gpu', layers=5}"])
    assert (changed.pretrain.model.layers, changed.pretrain.model.max_positions) == (5, 8192)
    gqa = {"kind": "gqa", "heads": 4, "kv_heads": 2, "head_dim": 16}
    shape: Any = {"preset": "laptop", "moe": None, "mtp_layers": 0, "attention": gqa}
    made = PretrainFlowConfig.model_validate({"pretrain": {"model": shape}}).pretrain.model
    assert made.attention.model_dump(exclude={"qkv_bias", "qk_norm"}) == gqa


def test_a_change_to_one_judge_leaves_the_other_and_an_empty_table_leaves_none() -> None:
    def judges(*changes: str) -> dict[str, tuple[float, float]]:
        config = load_config(AlignConfig, "align", "cluster", changes)
        return {name: (judge.weight, judge.from_share) for name, judge in config.reinforce.rewards.judges.items()}

    assert judges("reinforce.rewards.judges.helpful.weight=2") == {"helpful": (2, LATE), "safety": (1, LATE)}
    assert judges("reinforce.rewards.judges={}") == {}
    assert judges("reinforce.rewards.judges={safety={weight=3}}") == {"safety": (3, LATE)}


@pytest.mark.parametrize("profile", profile_names())
def test_reason_rewards_the_language_along_a_curriculum(profile: str) -> None:
    made = load_config(ReasonConfig, "reason", profile).reinforce
    assert (made.questions.order, made.rewards.language) == ("curriculum", 1)


@pytest.mark.parametrize("profile", profile_names())
def test_questions_and_answers_fit_the_positions_of_the_models(profile: str) -> None:
    config = load_config(R1Config, "r1", profile)
    base, large = config.pretrain.pretrain.model.max_positions, config.distill.large.pretrain.model.max_positions
    lengths: dict[str, int] = {}
    for path, part in _parts(config, "r1"):
        if isinstance(part, ReinforceConfig):
            lengths[path] = part.questions.longest_tokens + part.max_tokens
        elif isinstance(part, FineTuneConfig):
            lengths[path] = part.row_tokens
    assert len(lengths) == 8  # zero, reason, align, control; cold start, sft, and the lessons of two students
    assert {path: n for path, n in lengths.items() if n > (large if "distill" in path else base)} == {}


def _parts(config: BaseModel, path: str) -> Iterator[tuple[str, BaseModel]]:
    yield path, config
    for name, value in config:
        if isinstance(value, BaseModel):
            yield from _parts(value, f"{path}.{name}")
