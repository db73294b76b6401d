"""Scores from verdicts: pass@k, majority votes, and intervals that know which questions belong together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z95 = 1.959963984540054
EQUAL = 1e-20
"""A variance below it is the rounding of equal values."""
"""Standard normal quantile of 0.975."""


class Interval(NamedTuple):
    """A mean and its 95 % interval."""

    value: float
    low: float
    high: float


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """Unbiased estimate that at least one of k samples is right (Chen et al. 2021, arXiv 2107.03374, section 2.1).

    The share of all k-subsets of the samples that hold a right one: 1 - C(n-c, k) / C(n, k). With k = 1 it is the
    mean of the verdicts.

    Raises:
        ValueError: not 1 ≤ k ≤ samples, or not 0 ≤ correct ≤ samples.
    """
    if not 1 <= k <= samples or not 0 <= correct <= samples:
        raise ValueError(f"pass@{k} of {samples} samples with {correct} right")
    return 1.0 - math.comb(samples - correct, k) / math.comb(samples, k)


def majority(votes: Sequence[int | None], correct: Sequence[bool]) -> float:
    """cons@n: 1 when the answer given most often is right.

    Ties are shared: where t answers lead with equally many votes, each counts 1/t, which is the expectation of a random
    choice among them and does not depend on the samples' order. Samples without an answer (None) do not vote; without
    any vote the question is wrong. An answer is right when its first sample is.
    """
    counts: dict[int, int] = {}
    right: dict[int, bool] = {}
    for vote, verdict in zip(votes, correct, strict=True):
        if vote is not None:
            counts[vote] = counts.get(vote, 0) + 1
            right.setdefault(vote, verdict)
    if not counts:
        return 0.0
    most = max(counts.values())
    leaders = [vote for vote, count in counts.items() if count == most]
    return sum(right[vote] for vote in leaders) / len(leaders)


def cluster_variance(values: NDArray[np.float64], clusters: Sequence[str] | None) -> float:
    """Variance of the mean of `values`, residuals summed within clusters before they are squared.

    G/(G-1) · Σ_g (Σ_{i in g} (x_i - mean))² / n² over the G clusters: the sandwich estimator of a mean (Liang and Zeger
    1986; Miller 2024, arXiv 2411.00640, section 2.2). Without clusters every value is its own.
    """
    residual = values - values.mean()
    if clusters is not None:
        _, index = np.unique(np.asarray(clusters), return_inverse=True)
        residual = np.bincount(index, residual)
    groups = len(residual)
    if groups < 2:
        return math.nan
    return float((residual**2).sum() * groups / (groups - 1) / len(values) ** 2)


def mean_interval(values: ArrayLike, clusters: Sequence[str] | None = None, *, share: bool = True) -> Interval:
    """Mean of one value a question, with its 95 % interval.

    Args:
        values: one number for each question: its own mean over samples, its pass@k, its vote.
        clusters: which questions belong together (the same in other words).
        share: values lie in 0 … 1. Then the interval is Wilson's with the effective number of questions
            p(1-p) / variance (Korn and Graubard 1998), which stays within 0 … 1 and has a width where all answers are
            right or all wrong; else mean ± 1.96 standard errors.

    Raises:
        ValueError: no values.
    """
    array = np.asarray(values, np.float64)
    if array.size == 0:
        raise ValueError("no questions to take a mean over")
    mean, variance = float(array.mean()), cluster_variance(array, clusters)
    groups = len(set(clusters)) if clusters is not None else len(array)
    if not share:
        half = Z95 * math.sqrt(variance) if groups > 1 else math.nan
        return Interval(mean, mean - half, mean + half)
    effective = mean * (1 - mean) / variance if variance > EQUAL else groups
    centre = (mean + Z95**2 / (2 * effective)) / (1 + Z95**2 / effective)
    half = Z95 / (1 + Z95**2 / effective) * math.sqrt(mean * (1 - mean) / effective + (Z95 / (2 * effective)) ** 2)
    return Interval(mean, max(0.0, min(mean, centre - half)), min(1.0, max(mean, centre + half)))
