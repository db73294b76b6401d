"""Win rates of recorded judgements: by hand, against simulated judges, and against scikit-learn's fits."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.evaluate.preferences import (
    Game,
    arena_hard_win_rate,
    length_controlled_interval,
    length_controlled_win_rate,
    read_verdict,
)


def judged(count: int, strength: float, bias: float, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Preferences of a judge who likes length, for a model that writes more than the baseline."""
    rng = np.random.default_rng(seed)
    baseline, gamma = rng.normal(1800, 500, count), rng.normal(0, 1, count)
    lengths = baseline + rng.normal(400, 600, count)
    delta = lengths - baseline
    logits = strength + bias * np.tanh(delta / delta.std()) + 0.8 * gamma
    return (rng.random(count) < 1 / (1 + np.exp(-logits))).astype(float), lengths, baseline, gamma


def test_the_length_bias_of_a_judge_is_taken_out() -> None:
    wins, lengths, baseline, gamma = judged(20_000, strength=-0.5, bias=1.5)
    found = length_controlled_win_rate(wins, lengths, baseline, gamma, ridge=0)
    assert (found.model, found.length, found.difficulty) == (
        pytest.approx(-0.5, abs=0.08), pytest.approx(1.5, abs=0.1), pytest.approx(0.8, abs=0.06)
    )  # fmt: skip
    truth = 100 * (1 / (1 + np.exp(0.5 - 0.8 * gamma))).mean()
    assert found.length_controlled == pytest.approx(truth, abs=1.5)
    assert found.win_rate > found.length_controlled + 8, "what the judge's taste for length was worth"


def test_the_fit_is_scikit_learns() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    wins, lengths, baseline, gamma = judged(400, strength=0.3, bias=1.0, seed=4)
    delta = lengths - baseline
    features = np.column_stack([np.tanh(delta / delta.std()), gamma])
    fitted = linear.LogisticRegression(C=1 / (400 * 0.01), tol=1e-10, max_iter=10_000).fit(features, wins)
    found = length_controlled_win_rate(wins, lengths, baseline, gamma, ridge=0.01)
    assert (found.model, found.length, found.difficulty) == pytest.approx(
        (fitted.intercept_[0], *fitted.coef_[0]), abs=1e-4
    )


@pytest.mark.parametrize(
    ("seed", "strength", "bias", "win_rate", "controlled"),
    [(0, -1.0, 1.0, 36.3, 27.117), (1, 0.3, 1.5, 63.1, 54.672), (2, 1.0, -1.0, 63.0, 71.022)],
)
def test_recorded_rates_of_the_package(
    seed: int, strength: float, bias: float, win_rate: float, controlled: float
) -> None:
    """alpaca_eval 0.6.6's own functions on the same judgements; its penalty is another (L1, cross-validated)."""
    rng = np.random.default_rng(seed)
    baseline = rng.integers(200, 3000, 500)
    lengths = baseline + rng.integers(-800, 1600, 500)
    delta = (lengths - baseline) / (lengths - baseline).std()
    wins = (rng.random((2, 500)) < 1 / (1 + np.exp(-(strength + bias * np.tanh(delta))))).mean(0)
    found = length_controlled_win_rate(wins, lengths, baseline)
    assert found.win_rate == pytest.approx(win_rate)
    assert found.length_controlled == pytest.approx(controlled, abs=0.3)
    several = length_controlled_interval(wins, lengths, baseline, [str(i) for i in range(500)])
    assert several.low < several.value == found.length_controlled < several.high
    assert 4 < several.high - several.low < 12, "500 pairs leave a few points"


def test_equal_lengths_and_clear_winners() -> None:
    same = length_controlled_win_rate([1, 0, 0.5, 1, 0.25], [100] * 5, [100] * 5)
    assert (same.win_rate, same.length_controlled) == (pytest.approx(55), pytest.approx(55, abs=1e-3))
    always = length_controlled_win_rate([1.0] * 10, range(10), [5] * 10)
    assert always.win_rate == 100
    assert 95 < always.length_controlled <= 100
    for bad in (([], [], []), ([1.2], [1], [1]), ([1, 0], [1], [1])):
        with pytest.raises(ValueError, match=r"preference"):
            length_controlled_win_rate(*bad)


def test_arena_hard_by_hand() -> None:
    """Wins 3 (clear) + 1, a tie, losses 1 + 3 (clear): (4 + 0.5) of 9."""
    games = [Game("A>>B", True), Game("B>A", False), Game("A=B", True), Game("B>A", True), Game("A>>B", False)]
    found = arena_hard_win_rate(games)
    assert found.value == pytest.approx(100 * 4.5 / 9)
    assert found.low < found.value < found.high
    assert arena_hard_win_rate([Game("B>>A", False)] * 5) == (100, 100, 100)
    with pytest.raises(ValueError, match="no games"):
        arena_hard_win_rate([])


def test_arena_hard_is_the_bradley_terry_fit_against_the_baseline() -> None:
    """Two models against one baseline, ties as half a win and half a loss, fitted together."""
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(5)
    verdicts = ("A>>B", "A>B", "A=B", "B>A", "B>>A")
    played = {m: [Game(verdicts[i], bool(rng.integers(2))) for i in rng.choice(5, 300, p=p)]
              for m, p in {0: (0.1, 0.2, 0.2, 0.3, 0.2), 1: (0.3, 0.3, 0.1, 0.2, 0.1)}.items()}  # fmt: skip
    rows, labels, weights = [], [], []
    for model, games in played.items():
        for game in games:
            first = game.verdict.startswith("A") and game.verdict != "A=B"
            for won, share in (
                ((1, 0.5), (0, 0.5)) if game.verdict == "A=B" else ((int(first == game.model_is_a), 1.0),)
            ):
                rows.append(np.eye(2)[model])
                labels.append(won)
                weights.append(share * (3 if ">>" in game.verdict else 1))
    fitted = linear.LogisticRegression(C=1e9, fit_intercept=False, tol=1e-12, max_iter=10_000)
    fitted.fit(np.array(rows), np.array(labels), sample_weight=np.array(weights))
    for model, games in played.items():
        chance = 100 / (1 + np.exp(-fitted.coef_[0][model]))
        assert arena_hard_win_rate(games).value == pytest.approx(chance, abs=1e-3)


def test_verdicts_are_read_from_a_judgement() -> None:
    assert read_verdict("My verdict is tie: [[A=B]]") == "A=B"
    assert read_verdict("[[B>>A]] and once more [[B>>A]]") == "B>>A"
    assert read_verdict("[[A>B]] or [[B>A]]") is None
    assert read_verdict("A is better [[C]]") is None
