"""Curves and thresholds against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.mine.classifier_threshold import cut_by_f1, cut_by_precision, cut_by_share, cut_by_tokens, measure

SCORES = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]), min_size=1, max_size=30)


def at(positives: list[float], negatives: list[float], threshold: float) -> tuple[float, float]:
    """Precision (classes weighing the same) and recall of a cut, by counting."""
    recall = sum(s >= threshold for s in positives) / len(positives)
    false = sum(s >= threshold for s in negatives) / len(negatives)
    return recall / (recall + false) if recall + false else 0.0, recall


@given(SCORES, SCORES)
def test_curve_is_what_counting_gives(positives: list[float], negatives: list[float]) -> None:
    curve = measure(np.array(positives), np.array(negatives))
    for threshold, precision, recall in zip(curve.thresholds, curve.precision, curve.recall, strict=True):
        assert (precision, recall) == pytest.approx(at(positives, negatives, threshold))
    wins = sum((p > n) + (p == n) / 2 for p in positives for n in negatives)
    assert curve.auc == pytest.approx(wins / len(positives) / len(negatives))


@given(SCORES, SCORES)
def test_f1_cut_is_the_best_of_all_cuts(positives: list[float], negatives: list[float]) -> None:
    def f1(threshold: float) -> float:
        precision, recall = at(positives, negatives, threshold)
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    cut = cut_by_f1(measure(np.array(positives), np.array(negatives)))
    assert f1(cut) == pytest.approx(max(f1(t) for t in {*positives, *negatives}))


@given(SCORES, SCORES, st.sampled_from([0.5, 0.8, 0.95, 1.0]))
def test_precision_cut_keeps_its_word_and_gives_no_recall_away(
    positives: list[float], negatives: list[float], target: float
) -> None:
    curve = measure(np.array(positives), np.array(negatives))
    good = [t for t in {*positives, *negatives} if at(positives, negatives, t)[0] >= target]
    if not good:
        with pytest.raises(ValueError, match="no threshold reaches"):
            cut_by_precision(curve, target)
        return
    precision, recall = at(positives, negatives, cut_by_precision(curve, target))
    assert precision >= target - 1e-12
    assert recall == pytest.approx(max(at(positives, negatives, t)[1] for t in good))


def test_cut_lies_in_the_middle_of_the_gap() -> None:
    curve = measure(np.array([0.9, 0.95]), np.array([0.1, 0.05]))
    assert cut_by_f1(curve) == pytest.approx(0.5)


def test_share_and_token_budgets() -> None:
    scores = np.array([0.1, 0.9, 0.5, 0.7, 0.3])
    assert cut_by_share(scores, 0.4) == 0.7
    assert cut_by_share(scores, 1.0) == 0.1
    assert cut_by_share(scores, 0.001) == 0.9
    tokens = np.array([10, 20, 30, 40, 50])
    assert cut_by_tokens(scores, tokens, 60) == 0.7
    assert cut_by_tokens(scores, tokens, 89) == 0.7
    assert cut_by_tokens(scores, tokens, 90) == 0.5
    assert cut_by_tokens(scores, tokens, 1) == 0.9
    assert cut_by_tokens(scores, tokens, 1e9) == 0.1


def test_one_class_alone_has_no_curve() -> None:
    with pytest.raises(ValueError, match="both classes"):
        measure(np.array([0.5]), np.array([]))
