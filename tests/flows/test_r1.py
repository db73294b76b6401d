"""The whole recipe as one flow: on one page, planned from nothing, and any part of it left out by config."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.catalogue import FLOWS, configured, entry
from flows.config import load_config, profile_names
from flows.r1 import Part, R1Config
from flows.runner import Runner
from flows.settings import Settings

MODELS = ["rigor-base", "rigor-zero", "rigor-cold", "rigor-reason", "rigor-sft", "rigor-reward-helpful",
          "rigor-reward-safety", "rigor-r1", "rigor-distill-large", "rigor-distill-small",
          "rigor-distill-large-rl"]  # fmt: skip
WITHOUT_CRAWL = (
    'flows=["synthesize", "pretrain", "zero", "cold_start", "reason", "reject", "align", "distill", "evaluate"]'
)


def plan(changes: list[str]) -> list[tuple[str, str, str]]:
    """(stage, reads, writes) of every call that a run would make in an empty home."""
    runner = Runner(Settings(), dry=True)
    entry("r1").stages(runner, configured("r1", "laptop", changes, None))
    return [(call.stage, call.reads, call.writes) for call in runner.calls]


def test_it_stands_on_one_page() -> None:
    assert len(Path("flows/r1.py").read_text().splitlines()) <= 60


def test_an_empty_home_plans_every_model_in_order_and_every_one_is_examined(home: Settings) -> None:
    calls = plan([WITHOUT_CRAWL])
    made = [writes for _, _, writes in calls if writes in MODELS]
    assert made == MODELS
    asked = [stage for stage, _, _ in calls if stage == "sample_answers"]
    answering = [name for name in MODELS if not name.startswith("rigor-reward")]
    assert len(asked) == 3 * len(answering), "three suites a language model; reward models answer nothing"


def test_a_part_that_is_left_out_is_not_planned_and_what_needs_it_says_which_flow_makes_it(home: Settings) -> None:
    stages = {stage for stage, _, _ in plan(['flows=["synthesize", "pretrain", "zero"]'])}
    assert "reinforce_zero" in stages
    assert not {"fine_tune_cold", "reinforce_reason"} & stages
    with pytest.raises(LookupError, match="rigor run zero"):
        plan(['flows=["synthesize", "pretrain", "cold_start"]'])


def test_without_a_cold_start_reason_begins_at_the_base(home: Settings) -> None:
    calls = plan(['flows=["synthesize", "pretrain", "zero", "reason"]', "reason.start=rigor-base"])
    assert calls[-1][0] == "reinforce_reason"
    with pytest.raises(LookupError, match="rigor run cold_start"):
        plan(['flows=["synthesize", "pretrain", "zero", "reason"]'])


@pytest.mark.parametrize("profile", profile_names())
def test_every_part_has_the_settings_of_its_own_flow(profile: str) -> None:
    whole = load_config(R1Config, "r1", profile)
    for part in R1Config.PARTS:
        alone = load_config(entry(part).config, part, profile)
        assert getattr(whole, part) == alone
    assert set(R1Config.PARTS) <= set(FLOWS)
    assert set(R1Config.PARTS) == set(Part.__args__)  # type: ignore[attr-defined]


def test_a_change_goes_to_its_part_alone() -> None:
    plain, changed = (configured("r1", "laptop", changes, None) for changes in ([], ["zero.reinforce.steps=7"]))
    differing = [part for part in R1Config.PARTS if getattr(plain, part) != getattr(changed, part)]
    assert differing == ["zero"]
    assert changed.zero.reinforce.steps == 7
