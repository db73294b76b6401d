"""Every training stage of the laptop profile moves a held-out score by more than its noise."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from flows.settings import Settings
from tests.learning.learn import gains, measured, run
from tests.learning.moved import STAGES, moved


def answer(model: str, question: str, correct: bool, seed: int = 0) -> dict[str, Any]:
    return {"seed": seed, "model": model, "suite": "held_out_math", "mode": "sampled", "question": question,
            "cluster": question, "correct": correct, "readable": None, "refuses_harm": None}  # fmt: skip


def of(rows: list[dict[str, Any]]) -> dict[str, tuple[float, float, bool]]:
    return {each.stage.name: (each.gain, each.half, each.learned) for each in moved(pl.DataFrame(rows))}


def test_a_gain_is_paired_by_question_and_its_noise_is_that_of_the_differences() -> None:
    """Two samples of four questions, differences 1, 1, 0.5, 0: mean 0.625, variance of the mean Σd²·4/3/16."""
    before = [answer("rigor-cold", q, right) for q, right in zip("aabbccdd", [0, 0, 0, 0, 0, 0, 1, 1], strict=True)]
    after = [answer("rigor-reason", q, right) for q, right in zip("aabbccdd", [1, 1, 1, 1, 1, 0, 1, 1], strict=True)]
    squares = 2 * 0.375**2 + 0.125**2 + 0.625**2
    gain, half, learned = of(before + after)["reinforce_reason"]
    assert gain == pytest.approx(0.625)
    assert half == pytest.approx(1.96 * (squares * 4 / 3 / 16) ** 0.5, rel=1e-3)
    assert learned is (gain > half)
    unasked = answer("rigor-reason", "e", True)
    assert of([*before, *after, unasked]) == of(before + after), "a question that only one was asked says nothing"


def test_the_noise_is_that_over_seeds_where_it_is_wider() -> None:
    rows = [answer("rigor-cold", f"{q}", False, seed) for q in range(50) for seed in (0, 1)]
    rows += [answer("rigor-reason", f"{q}", q < 40 and seed == 1, seed) for q in range(50) for seed in (0, 1)]
    gain, half, learned = of(rows)["reinforce_reason"]
    assert gain == pytest.approx(0.4)
    assert half == pytest.approx(1.96 * 0.8 / 2, rel=1e-3)  # seeds 0 and 0.8: deviation 0.8/√2, of their mean 0.8/2
    assert not learned


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_every_stage_of_the_laptop_profile_learns() -> None:
    """The whole of `make run` and its evaluation, from nothing: half an hour."""
    Settings().apply()
    answers, _ = run(0, "laptop", [])
    found = moved(measured(answers))
    assert [each.stage for each in found] == list(STAGES)
    assert all(each.learned for each in found), gains(found)
