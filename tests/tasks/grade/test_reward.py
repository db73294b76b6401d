"""Rewards can be put together from config and taken apart again."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from tasks.grade import reward
from tasks.grade.code import Limits, StdioTest
from tasks.grade.code.extract import extract_program
from tasks.grade.reward import RewardBatch, RewardConfig, RewardTerm, compute_rewards

CODE = "<think>We read a number and double it here.</think>\n```python\nprint(int(input()) * 2)\n```\n"
BATCH = RewardBatch(
    prompts=["p", "p<think>\n", "p", "p"],
    responses=[
        "<think>We add the two numbers now.</think> The answer is $\\boxed{4}$.",
        "首先我们计算。</think> \\boxed{5}",
        CODE,
        CODE.replace("* 2", "* 3"),
    ],
    golds=["4", "4", [StdioTest("4\n", "8\n")], [StdioTest("4\n", "8\n")]],
    meta=[{"language": "en"}] * 4,
    code_limits=Limits(wall_seconds=5),
)


def test_terms_and_total() -> None:
    """Every term by hand, and the total as their clipped and weighted sum."""
    config = RewardConfig(
        terms=(
            RewardTerm(name="math_accuracy", weight=1.0),
            RewardTerm(name="code_accuracy", weight=2.0),
            RewardTerm(name="format", weight=0.5),
            RewardTerm(name="language", weight=0.1, clip=(0.0, 0.5)),
            RewardTerm(name="repetition", weight=1.0),
        )
    )
    rewards = compute_rewards(config, BATCH)
    assert list(rewards.terms) == ["math_accuracy@1", "code_accuracy@1", "format@1", "language@1", "repetition@1"]
    assert rewards.terms["math_accuracy@1"].tolist() == [1, 0, 0, 0]
    assert rewards.terms["code_accuracy@1"].tolist() == [0, 0, 1, 0]
    assert rewards.terms["format@1"].tolist() == [1, 1, 1, 1]
    assert rewards.terms["language@1"].tolist() == [1, 0, 1, 1]
    assert rewards.terms["repetition@1"].tolist() == [0, 0, 0, 0]
    assert rewards.total.tolist() == pytest.approx([1.55, 0.5, 2.55, 0.55])
    assert np.allclose(sum(rewards.contributions.values()), rewards.total)


def test_answer_format_needs_the_tags() -> None:
    batch = RewardBatch(
        prompts=["p", "p<think>"],
        responses=["<think>a</think>b", "a</think><answer>b</answer>"],
        golds=[None, None],
        meta=[{}, {}],
    )
    config = RewardConfig(terms=(RewardTerm(name="answer_format"), RewardTerm(name="math_accuracy")))
    assert compute_rewards(config, batch).total.tolist() == [0, 1]


def test_repetition_is_a_penalty() -> None:
    batch = RewardBatch(prompts=["p"], responses=["round and round " * 50], golds=[None], meta=[{}])
    config = RewardConfig(terms=(RewardTerm(name="repetition", weight=2.0, clip=(-0.25, 0.0)),))
    rewards = compute_rewards(config, batch)
    assert rewards.total.tolist() == [-0.5]
    assert rewards.terms["repetition@1"][0] < -0.9


@pytest.mark.parametrize(
    "bad",
    [
        {"terms": []},
        {"terms": [{"name": "unknown"}]},
        {"terms": [{"name": "format", "version": "99"}]},
        {"terms": [{"name": "format"}, {"name": "format"}]},
        {"terms": [{"name": "format", "weight": 1e9}]},
        {"terms": [{"name": "format", "clip": [1.0, 0.0]}]},
        {"terms": [{"name": "format", "colour": "red"}]},
    ],
)
def test_bad_configs(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RewardConfig.model_validate(bad)


def test_bad_batches_and_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="different lengths"):
        RewardBatch(prompts=["a"], responses=[], golds=[], meta=[])
    with pytest.raises(ValueError, match="two reward terms"):
        reward.term("format", "1")(lambda batch: np.zeros(1))
    config = RewardConfig(terms=(RewardTerm(name="format"),))
    monkeypatch.setitem(reward._TERMS, ("format", "1"), lambda batch: np.full(4, np.nan))
    with pytest.raises(ValueError, match="format@1"):
        compute_rewards(config, BATCH)


@pytest.mark.parametrize(
    ("response", "program"),
    [
        ("```python\nx = 1\n```", "x = 1\n"),
        ("```\nx = 1\n```", "x = 1\n"),
        ("```python\nx = 1\n```\ntext\n```py\nx = 2\n```\nend", "x = 2\n"),
        ("```python\nx = 1\n```\n```text\n8\n```", "x = 1\n"),
        ("<think>```python\nx = 1\n```</think> none", ""),
        ("```python\nx = 1\n", ""),
        ("no program", ""),
        ("```python\nx = 1\n```\n" + "```python\n" * 200_000, "x = 1\n"),  # a loop: its fences open and never close
    ],
    ids=range(8),
)
def test_extract_program(response: str, program: str) -> None:
    assert extract_program(response) == program
