"""Win rates from recorded judgements of pairs: AlpacaEval 2's length-controlled one, Arena-Hard's with its bootstrap.

Pure functions: whoever judged (any OpenAI-compatible judge), and in which order the two answers stood, is in the input.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.evaluate.statistics import Interval

Sign = Literal["A>>B", "A>B", "A=B", "B>A", "B>>A"]
_VERDICT = re.compile(r"\[\[([AB<>=]+)\]\]")
STRONG_WEIGHT = 3
"""A clear preference counts as so many games (arena-hard-auto)."""
NEWTON_STEPS = 100


@dataclass(frozen=True)
class LengthControlled:
    """Win rates in percent, and the fitted coefficients."""

    win_rate: float
    """As judged."""
    length_controlled: float
    """What it would be if both answers were equally long."""
    model: float
    length: float
    difficulty: float


def length_controlled_win_rate(
    preferences: ArrayLike,
    lengths: ArrayLike,
    baseline_lengths: ArrayLike,
    difficulty: ArrayLike | None = None,
    *,
    ridge: float = 1e-3,
) -> LengthControlled:
    """The GLM of "Length-Controlled AlpacaEval" (Dubois et al. 2024, arXiv 2404.04475, section 3), for one model.

    logit P(model wins on x) = model + length · tanh((len - len_baseline) / std) + difficulty · γ_x; the win rate is the
    mean of P with the length term left out. The package fits γ over all models of its leaderboard and chooses the
    penalty by cross-validation; here γ is given (or left out) and the penalty is fixed.

    Args:
        preferences: [N] the judge's preference for the model, 0 to 1 (a probability, or 0, 0.5, 1).
        lengths: [N] of the model's answers.
        baseline_lengths: [N] of the baseline's.
        difficulty: [N] γ of each instruction; None: no such term.
        ridge: penalty of the squared length and difficulty coefficients, per instruction.

    Raises:
        ValueError: arrays of different lengths, none at all, or a preference outside 0 … 1.
    """
    wins = np.asarray(preferences, np.float64)
    delta = np.asarray(lengths, np.float64) - np.asarray(baseline_lengths, np.float64)
    hard = np.zeros_like(wins) if difficulty is None else np.asarray(difficulty, np.float64)
    if not wins.size or wins.shape != delta.shape or wins.shape != hard.shape:
        raise ValueError(f"{wins.shape} preferences, {delta.shape} lengths, {hard.shape} difficulties")
    if wins.min() < 0 or wins.max() > 1:
        raise ValueError("a preference is not between 0 and 1")
    spread = float(delta.std())
    features = np.column_stack([np.ones_like(wins), np.tanh(delta / spread) if spread else delta * 0, hard])
    # The intercept is held by next to nothing, so that a model that always wins still has one.
    penalty = np.array([1e-6, ridge, ridge]) * len(wins)
    weights = _logistic_fit(features, wins, penalty)
    equal = features.copy()
    equal[:, 1] = 0
    controlled = 100 * float(_logistic(equal @ weights).mean())
    return LengthControlled(100 * float(wins.mean()), controlled, *map(float, weights))


def length_controlled_interval(
    preferences: ArrayLike, lengths: ArrayLike, baseline_lengths: ArrayLike, clusters: Sequence[str], *,
    rounds: int = 200, seed: int = 42,
) -> Interval:  # fmt: skip
    """The length-controlled win rate in percent, with its 95 % interval by the bootstrap over clusters of questions.

    Raises:
        ValueError: see `length_controlled_win_rate`.
    """
    columns = [np.asarray(column, np.float64) for column in (preferences, lengths, baseline_lengths)]
    value = length_controlled_win_rate(*columns).length_controlled
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    members = [np.flatnonzero(index == group) for group in range(index.max() + 1)]
    rng, draws = np.random.default_rng(seed), []
    for _ in range(rounds):
        chosen = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        draws.append(length_controlled_win_rate(*(column[chosen] for column in columns)).length_controlled)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(value, min(value, float(low)), max(value, float(high)))


@dataclass(frozen=True)
class Game:
    """One judgement of a pair. Arena-Hard judges every pair twice, with the places exchanged."""

    verdict: Sign
    model_is_a: bool
    """Whether the model's answer stood first."""

    @property
    def points(self) -> float:
        """1 for a win of the model's, 0.5 for a tie, 0 for a loss."""
        return 0.5 if self.verdict == "A=B" else float(self.verdict.startswith("A") == self.model_is_a)


def read_verdict(judgement: str) -> Sign | None:
    """The verdict of a judge's text, `[[A>>B]]`; None where there is none, or several that differ."""
    found = {text for text in _VERDICT.findall(judgement) if text in get_args(Sign)}
    return found.pop() if len(found) == 1 else None


def arena_hard_win_rate(games: Sequence[Game], *, rounds: int = 100, seed: int = 42) -> Interval:
    """Win rate against the baseline in percent, with its 95 % bootstrap interval (Li et al. 2024, arXiv 2406.11939).

    A clear preference counts three times, a tie half. Arena-Hard fits Bradley–Terry over all models and reads the win
    rate against the baseline off the ratings; as every game is against the baseline, the fit's maximum is each model's
    own share of wins, and no fit is needed. The bootstrap draws weighted games, as the published script does.

    Raises:
        ValueError: no games.
    """
    if not games:
        raise ValueError("no games to rate")
    results: list[float] = []
    for game in games:
        strong = ">>" in game.verdict
        results += [game.points] * (STRONG_WEIGHT if strong else 1)
    scores = 100 * np.array(results)
    draws = np.random.default_rng(seed).integers(0, len(scores), (rounds, len(scores)))
    low, high = np.quantile(scores[draws].mean(1), [0.025, 0.975])
    return Interval(float(scores.mean()), float(low), float(high))


def _logistic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)), np.float64)


def _logistic_fit(
    features: NDArray[np.float64], labels: NDArray[np.float64], penalty: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Maximum of the penalised likelihood of labels in 0 … 1, by Newton's method with halved steps."""

    def loss(weights: NDArray[np.float64]) -> float:
        logits = features @ weights
        return float((np.logaddexp(0, logits) - labels * logits).sum() + (penalty * weights**2).sum() / 2)

    weights = np.zeros(features.shape[1])
    for _ in range(NEWTON_STEPS):
        chance = _logistic(features @ weights)
        gradient = features.T @ (chance - labels) + penalty * weights
        curvature = (features * (chance * (1 - chance))[:, None]).T @ features + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        while loss(weights - step) > loss(weights) and np.abs(step).max() > 1e-12:
            step /= 2
        weights = weights - step
        if np.abs(step).max() < 1e-10:
            break
    return weights
