"""Grading, and the warnings: each is said when its cause is there, once, and not before."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.rl.config import ReinforceConfig, RewardWeights, WatchOptions
from tasks.rl.grading import Grader, checks_itself, right_answers, steps_of
from tasks.rl.watch import Watch

PROBLEM = {"id": "a", "prompt": "3 + 4 =", "gold": "7", "checker": "math", "tests": "", "language": "en"}
RIGHT = "<think>\nadd from left to right\n3 + 4 = 7\n</think>\n<answer>7</answer>"
CALM = {"reward": 0.5, "entropy": 1.0, "response_tokens": 20.0, "zero_variance_share": 0.2, "cut_share": 0.0,
        "all_right_share": 0.1, "all_wrong_share": 0.1}  # fmt: skip


def test_a_reward_is_the_weighted_sum_of_its_terms() -> None:
    weights = RewardWeights(accuracy=2, format=0.5, language=0.25, judges={"long": 0.1})
    grader = Grader(weights, {"long": lambda _, texts: np.array([float(len(t)) for t in texts])})
    bare, wrong = "<answer>7</answer>", RIGHT.replace("<answer>7", "<answer>8")
    grades = grader.grade([PROBLEM] * 3, [RIGHT, bare, wrong])
    assert grades.total.tolist() == pytest.approx(
        [2 + 0.5 + 0.25 + 0.1 * len(RIGHT), 2 + 0.1 * len(bare), 0.5 + 0.25 + 0.1 * len(wrong)]
    )
    assert grades.terms["accuracy@1"].tolist() == [1, 1, 0]
    assert list(grades.terms) == list(grader.weights)


@pytest.mark.parametrize(
    ("chain", "value"),
    [
        ("9 + 2 = 11\nVerify: 11 - 2 = 9", 1),
        ("9 + 2 = 11\nVerify: 11 - 3 = 9", 0),  # the answer is right, the check is not
        ("9 + 2 = 11\n检验：11 - 2 = 8", 0),
        ("9 + 2 = 12\nWait, that is wrong.\n9 + 2 = 11", 1),
        ("9 + 2 = 12\nWait, that is wrong.", 0),  # nothing that is true is left
        ("9 = 9\n9 + 2 = 12\nWait, that is wrong.", 0),  # nor put right
        ("1 = 1", 0),  # true, and nothing to do with the answer
        ("The answer is clear.", 0),
        ("", 0),
    ],
)
def test_steps_are_rewarded_where_every_computation_is_true(chain: str, value: float) -> None:
    grades = Grader(RewardWeights(accuracy=0, format=0, steps=0.5), {}).grade(
        [{**PROBLEM, "prompt": "9 + 2 =", "gold": "11"}], [f"<think>\n{chain}\n</think>\n<answer>11</answer>"]
    )
    assert grades.terms["steps@3"].tolist() == [value]
    assert grades.total.tolist() == [0.5 * value]


def test_a_judge_that_is_not_given_is_an_error() -> None:
    with pytest.raises(ValueError, match="helpful"):
        Grader(RewardWeights(judges={"helpful": 1.0}), {})


def test_a_gold_that_cannot_be_read_gives_nobody_a_point() -> None:
    broken = {**PROBLEM, "id": "b", "gold": ""}
    assert right_answers([broken] * 2, ["<answer></answer>", RIGHT]) == [0, 0]


@pytest.mark.parametrize(
    ("chain", "checks"),
    [
        ("6 + 5 = 11\nVerify: 11 - 5 = 6", True),
        ("6 + 5 = 12\nNo, this is a mistake.\n6 + 5 = 11", True),
        ("6 + 5 = 11\n检验：11 - 5 = 6", True),
        ("等等，这一步错了。", True),
        ("6 + 5 = 11", False),
        ("the waiter checks the bill", False),
    ],
)
def test_self_checks_are_seen_in_the_think_part_alone(chain: str, checks: bool) -> None:
    assert checks_itself(f"<think>\n{chain}\n</think>\n<answer>11</answer>") is checks
    assert not checks_itself(f"<think>\n11\n</think>\n<answer>\n{chain}</answer>")


def test_steps_are_lines_of_thinking() -> None:
    assert [steps_of(text) for text in (RIGHT, "<answer>7</answer>", "<think>\n\n1\n", "7\n8")] == [2, 0, 1, 0]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"zero_variance_share": 0.9}, "equal rewards"),
        ({"entropy": 0.05}, "entropy fell"),
        ({"response_tokens": 90.0}, "responses grew"),
        ({"cut_share": 0.7}, "cut off"),
        ({"sampler_gap": 0.1}, "disagree"),
        ({"sampler_gap_max": 3.0}, "disagree"),
    ],
)
def test_a_warning_is_said_once_while_its_cause_holds(change: dict[str, float], word: str) -> None:
    watch = Watch(WatchOptions(window_steps=2), 1.0)
    for _ in range(4):
        assert watch.step(CALM) == []
    said = [text for _ in range(4) for text in watch.step({**CALM, **change})]
    assert len(said) == 1
    assert word in said[0]
    for _ in range(3):
        assert watch.step(CALM) == []
    assert len([text for _ in range(3) for text in watch.step({**CALM, **change})]) == 1, "said again when it is back"


def test_reward_hacking_is_a_reward_that_rises_alone() -> None:
    def said(rates: list[float]) -> list[str]:
        watch, found = Watch(WatchOptions(window_steps=1), 2.0), []
        for look, rate in enumerate(rates):
            watch.step({**CALM, "reward": 0.5 + 0.1 * look})
            found += watch.look(rate)
            watch = Watch(WatchOptions(window_steps=1), 2.0, watch.state())  # as a resumed training does
        return found

    assert len(said([0.3, 0.3, 0.3, 0.3, 0.3])) == 1
    assert said([0.3, 0.33, 0.36, 0.39, 0.42]) == []
    assert said([0.3, 0.3]) == []


def test_an_algorithm_is_a_name_or_a_name_with_changes() -> None:
    assert ReinforceConfig.model_validate({"algorithm": "r1"}).loss.clip_high == 10
    changed = ReinforceConfig.model_validate({"algorithm": {"base": "dr_grpo", "kl_weight": 0.5}, "max_tokens": 77})
    assert (changed.loss.mean, changed.loss.kl_weight, changed.loss.length_tokens) == ("constant", 0.5, 77)
    with pytest.raises(ValueError, match="no algorithm 'ppo'"):
        ReinforceConfig.model_validate({"algorithm": "ppo"})
    assert ReinforceConfig.model_validate_json(changed.model_dump_json()) == changed
