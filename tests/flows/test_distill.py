"""The flow distill: which stages each method plans, and every profile's config."""

from __future__ import annotations

import pytest

from flows.config import load_config, profile_names
from flows.distill import DistillFlowConfig, run_distill
from flows.runner import Call, Runner
from flows.settings import Settings
from tasks.train.pretrain import STAGE as PRETRAIN
from tasks.train.pretrain import PretrainConfig, pretrain_stage
from warehouse.fingerprint import fingerprint

NEEDED = ("tokens", "tokenizer", "problems", "sft_set", "rigor-r1")


def plan(home: Settings, changes: list[str]) -> list[tuple[str, str, str]]:
    """(stage, reads, writes) of a dry run in which all that the flow needs is still to be made."""
    run = Runner(home, dry=True)
    run.calls += [Call("", "", name, "", "waits") for name in NEEDED]
    assert run_distill(run, load_config(DistillFlowConfig, "distill", "laptop", changes)) == ()
    return [(call.stage, call.reads, call.writes) for call in run.calls[len(NEEDED) :]]


def test_students_are_fine_tuned_and_the_control_is_reinforced(home: Settings) -> None:
    calls = plan(home, [])
    assert [(stage, writes) for stage, _, writes in calls] == [
        ("pretrain_distill-large-base", "rigor-distill-large-base"),
        ("distill_large", "rigor-distill-large"),
        ("pretrain_distill-small-base", "rigor-distill-small-base"),
        ("distill_small", "rigor-distill-small"),
        ("reinforce_distill-large-rl", "rigor-distill-large-rl"),
    ]
    assert "rigor-r1" not in calls[1][1], "its texts are all it teaches by"


def test_other_methods_make_the_same_models_by_other_stages(home: Settings) -> None:
    changes = ['large.lessons.method="on_policy"', 'small.lessons.method="logits"', 'makes=["small", "large"]']
    calls = plan(home, changes)
    assert [(stage, writes) for stage, _, writes in calls] == [
        ("pretrain_distill-small-base", "rigor-distill-small-base"),
        ("distill_small_logits", "rigor-distill-small"),
        ("pretrain_distill-large-base", "rigor-distill-large-base"),
        ("distill_large_sft", "rigor-distill-large-sft"),
        ("distill_large_on_policy", "rigor-distill-large"),
    ]
    assert all("rigor-r1" in calls[index][1] for index in (1, 4))
    assert "rigor-distill-large-sft" in calls[4][1]


def test_a_student_can_be_left_out_and_the_control_too(home: Settings) -> None:
    small = ["rigor-distill-small-base", "rigor-distill-small"]
    assert [writes for *_, writes in plan(home, ['makes=["small"]'])] == small
    with pytest.raises(LookupError, match="no rigor-distill-large-base yet"):
        plan(home, ['makes=["control"]'])


def test_without_tokens_it_says_what_to_run(home: Settings) -> None:
    with pytest.raises(LookupError, match="rigor run pretrain"):
        run_distill(Runner(home, dry=True), load_config(DistillFlowConfig, "distill", "laptop"))


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_configures_it(profile: str) -> None:
    config = load_config(DistillFlowConfig, "distill", profile)
    for student in (config.large, config.small):
        model, lessons = student.pretrain.model, student.lessons
        assert model.moe is None, "dense"
        assert 2 <= lessons.epochs <= 4, "published 2 to 3; the laptop has few rows"
        assert lessons.recipe.schedule.final_share == 0.1
        assert lessons.row_tokens <= model.max_positions
    assert config.large.pretrain.model.count().total > config.small.pretrain.model.count().total
    assert config.control.rewards.judges == {}


def test_a_students_base_is_not_the_teachers(home: Settings) -> None:
    """The main base keeps its fingerprint; a student of the same shape has one of its own."""
    config = PretrainConfig()
    base, student = (pretrain_stage(name) for name in ("rigor-base", "rigor-distill-small-base"))
    assert fingerprint(base.name, base.version, config, {}) == fingerprint("pretrain", "1", config, {})
    assert fingerprint(student.name, student.version, config, {}) != fingerprint(PRETRAIN.name, "1", config, {})
    assert student.writes == "rigor-distill-small-base"
