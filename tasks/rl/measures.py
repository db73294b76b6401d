"""What a step says of itself, from facts that every rank has: rewards by term, pass rates, lengths, language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.rl.sampling import FACTS, Step

Metrics = dict[str, float]


def step_metrics(step: Step, facts: Sequence[str], questions: Sequence[Mapping[str, Any]]) -> Metrics:
    """Means over all samples of a step, and pass rates by family and level.

    Args:
        step: what was sampled.
        facts: names of its facts.
        questions: rows that `step.drawn` counts.
    """
    by_name = {name: step.facts_KGF[..., index] for index, name in enumerate(facts)}
    tokens, correct, worded = by_name["tokens"], by_name["correct"], by_name["worded"]
    found = {
        "reward": float(by_name["reward"].mean()),
        "pass_rate": float(correct.mean()),
        "pass_any": float(correct.max(axis=1).mean()),
        "response_tokens": float(tokens.mean()),
        "response_tokens_max": float(tokens.max()),
        "cut_share": float(by_name["cut"].mean()),
        "entropy": float(by_name["surprise"].sum() / max(tokens.sum(), 1)),
        "self_check_share": float(by_name["checks_itself"].mean()),
        "reasoning_share": float(by_name["reasons"].mean()),
        "mixed_language_share": float(by_name["mixed_language"].sum() / max(worded.sum(), 1)),
        "zero_variance_share": float(1 - step.live_K.mean()),
        "all_right_share": float((correct.min(axis=1) == 1).mean()),
        "all_wrong_share": float((correct.max(axis=1) == 0).mean()),
        "questions_drawn": float(len(step.drawn)),
        "questions_kept": float(step.kept_K.sum()),
    }
    for tag, chosen in (("right", correct == 1), ("wrong", correct == 0)):
        if chosen.any():
            found[f"response_tokens_{tag}"] = float(tokens[chosen].mean())
    for name in facts[len(FACTS) :]:
        asked = by_name[name][~np.isnan(by_name[name])]
        if asked.size:  # a reward model may be asked late, and not for every prompt
            found[f"reward.{name.partition('@')[0]}"] = float(asked.mean())
    return found | pass_rates([questions[index] for index in step.drawn], correct.mean(axis=1), "pass_rate")


def pass_rates(problems: Iterable[Mapping[str, Any]], rate_K: NDArray[np.float64], name: str) -> Metrics:
    """Mean rates by family, and by family and level where a family has more than one: `name.family.level_2`."""
    cells: dict[tuple[str, int | None], list[float]] = defaultdict(list)
    for problem, rate in zip(problems, rate_K.tolist(), strict=True):
        cells[problem["family"], None].append(rate)
        cells[problem["family"], problem["level"]].append(rate)
    return {
        f"{name}.{family}" + ("" if level is None else f".level_{level}"): sum(rates) / len(rates)
        for (family, level), rates in sorted(cells.items(), key=lambda item: (item[0][0], item[0][1] or 0))
    }
