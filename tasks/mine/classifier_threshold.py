"""Where to cut the ranking: validation figures, and a threshold by precision, F1, or a budget of pages or tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Precision and recall at every distinct score of a validation split, scores descending."""

    thresholds: Floats
    precision: Floats
    recall: Floats
    auc: float
    """Area under the ROC curve: the chance that a positive outranks a negative, ties counting half."""

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall at every threshold."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / np.where(total > 0, total, 1.0)


def measure(positives: Floats, negatives: Floats) -> Curve:
    """The curve of the scores of a split's positives and negatives, each class weighing the same.

    Raises:
        ValueError: one of them is empty.
    """
    if not len(positives) or not len(negatives):
        raise ValueError(f"a curve needs both classes, got {len(positives)} positives, {len(negatives)} negatives")
    thresholds = np.unique(np.concatenate([positives, negatives]))[::-1]
    ups, downs = np.sort(positives), np.sort(negatives)
    recall = 1 - np.searchsorted(ups, thresholds, "left") / len(ups)
    false = 1 - np.searchsorted(downs, thresholds, "left") / len(downs)
    below = np.searchsorted(downs, positives, "left") + np.searchsorted(downs, positives, "right")
    return Curve(thresholds, recall / (recall + false), recall, float(below.mean() / 2 / len(downs)))


def cut_by_f1(curve: Curve) -> float:
    """The threshold of the best F1; where the classes part, the middle (in log-odds) of the gap."""
    return _middle(curve, int(np.argmax(curve.f1)))


def cut_by_precision(curve: Curve, target: float) -> float:
    """The lowest threshold with at least this precision, into the middle of the gap below it.

    Raises:
        ValueError: no threshold reaches it.
    """
    reached = np.flatnonzero(curve.precision >= target)
    if not len(reached):
        raise ValueError(f"no threshold reaches precision {target}; the best is {curve.precision.max():.4f}")
    return _middle(curve, int(reached[-1]))


def cut_by_share(scores: Floats, share: float) -> float:
    """The score from which `share` of the pages are collected, on a random sample's scores."""
    return float(np.sort(scores)[::-1][max(1, round(share * len(scores))) - 1])


def cut_by_tokens(scores: Floats, tokens: NDArray[np.int64], budget_tokens: float) -> float:
    """The score down to which the best-scored pages hold `budget_tokens` (DeepSeekMath: the top 40B tokens)."""
    order = np.argsort(-scores, kind="stable")
    held = np.cumsum(tokens[order])
    fitting = int(np.searchsorted(held, budget_tokens, "right"))
    return float(scores[order[max(fitting, 1) - 1]])


def _middle(curve: Curve, index: int) -> float:
    if index + 1 == len(curve.thresholds):
        return float(curve.thresholds[index])
    high, low = (min(max(float(t), 1e-6), 1 - 1e-6) for t in curve.thresholds[index : index + 2])
    odds = (np.log(high / (1 - high)) + np.log(low / (1 - low))) / 2
    return float(1 / (1 + np.exp(-odds)))
