"""pass@k, majority votes and intervals against enumeration, simulation and the bootstrap."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from tasks.evaluate.statistics import cluster_variance, majority, mean_interval, pass_at_k


def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample() -> None:
    for samples in range(1, 9):
        for correct in range(samples + 1):
            verdicts = [True] * correct + [False] * (samples - correct)
            for k in range(1, samples + 1):
                subsets = list(itertools.combinations(verdicts, k))
                share = sum(any(subset) for subset in subsets) / len(subsets)
                assert pass_at_k(samples, correct, k) == pytest.approx(share, abs=1e-12)


def test_pass_at_1_is_the_mean_and_large_numbers_hold() -> None:
    assert pass_at_k(64, 17, 1) == pytest.approx(17 / 64)
    assert pass_at_k(1000, 1, 999) == pytest.approx(0.999)
    # The stable product of the paper's own listing: 1 - prod(1 - k / i), i from n - c + 1 to n.
    for samples, correct, k in ((200, 3, 100), (64, 30, 8), (500, 77, 10)):
        product = np.prod(1.0 - k / np.arange(samples - correct + 1, samples + 1))
        assert pass_at_k(samples, correct, k) == pytest.approx(1.0 - product, rel=1e-9)


@pytest.mark.parametrize(("samples", "correct", "k"), [(4, 5, 1), (4, -1, 1), (4, 2, 5), (4, 2, 0)])
def test_pass_at_k_refuses_impossible_counts(samples: int, correct: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@"):
        pass_at_k(samples, correct, k)


def test_majority() -> None:
    right = {0: True, 1: False, 2: False}

    def vote(*votes: int | None) -> float:
        return majority(votes, [vote is not None and right[vote] for vote in votes])

    assert vote(0, 0, 1) == 1
    assert vote(1, 0, 1) == 0
    assert vote(0, 1) == 0.5
    assert vote(1, 0, 2) == pytest.approx(1 / 3)
    assert vote(None, None, None, 0) == 1, "samples without an answer do not vote"
    assert vote(None) == 0
    votes = [0, 0, 1, 1, 2, None]
    for order in itertools.islice(itertools.permutations(votes), 200):
        assert vote(*order) == 0.5


def test_majority_is_the_mean_over_random_tie_breaks() -> None:
    rng = random.Random(1)
    for _ in range(50):
        votes = [rng.randint(0, 3) for _ in range(6)]
        counts = {v: votes.count(v) for v in votes}
        leaders = [v for v, count in counts.items() if count == max(counts.values())]
        assert majority(votes, [v == 0 for v in votes]) == pytest.approx(np.mean([v == 0 for v in leaders]))


def clustered(rng: np.random.Generator, questions: int, samples: int, wordings: int) -> tuple[np.ndarray, list[str]]:
    """Means over samples of `questions` questions that come in `wordings` wordings of one difficulty."""
    difficulty = np.repeat(rng.beta(0.7, 0.9, questions // wordings), wordings)
    clusters = [str(i // wordings) for i in range(len(difficulty))]
    return rng.binomial(samples, difficulty) / samples, clusters


@pytest.mark.parametrize(("questions", "samples", "wordings"), [(60, 1, 1), (60, 4, 1), (120, 4, 3), (400, 16, 2)])
def test_intervals_hold_the_truth_as_often_as_they_say(questions: int, samples: int, wordings: int) -> None:
    rng, truth = np.random.default_rng(5), 0.7 / 1.6
    tries, held = 1200, 0
    for _ in range(tries):
        values, clusters = clustered(rng, questions, samples, wordings)
        found = mean_interval(values, clusters)
        held += found.low <= truth <= found.high
    assert 0.925 <= held / tries <= 0.975


def test_ignoring_clusters_would_be_overconfident() -> None:
    rng, truth = np.random.default_rng(6), 0.7 / 1.6
    held = 0
    for _ in range(400):
        values, _ = clustered(rng, 120, 4, 6)
        found = mean_interval(values)
        held += found.low <= truth <= found.high
    assert held / 400 < 0.85, "the test before would not see a missing cluster"


def test_the_bootstrap_over_clusters_gives_the_same_interval() -> None:
    rng = np.random.default_rng(7)
    values, clusters = clustered(rng, 240, 4, 3)
    sums = values.reshape(-1, 3).sum(1)
    means = sums[rng.integers(0, len(sums), (20_000, len(sums)))].mean(1) / 3
    found = mean_interval(values, clusters)
    assert found.value == pytest.approx(values.mean())
    assert np.sqrt(cluster_variance(values, clusters)) == pytest.approx(means.std(), rel=0.03)
    low, high = np.quantile(means, [0.025, 0.975])
    assert (found.low, found.high) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))
    plain = mean_interval(values * 50, clusters, share=False)
    assert (plain.low, plain.high) == (pytest.approx(50 * low, abs=0.5), pytest.approx(50 * high, abs=0.5))


def test_without_clusters_and_with_one_sample_it_is_wilsons() -> None:
    """30 of 100: Wilson's interval at z = 1.96, n - 1 in the variance making 100 into 99; Newcombe 1998, method 3."""
    found = mean_interval([1.0] * 30 + [0.0] * 70)
    n, p, z = 99, 0.3, 1.959964
    centre, half = (p + z * z / 2 / n) / (1 + z * z / n), z / (1 + z * z / n) * (p * 0.7 / n + z * z / 4 / n / n) ** 0.5
    assert (found.low, found.high) == (pytest.approx(centre - half, abs=1e-6), pytest.approx(centre + half, abs=1e-6))


def test_all_right_and_all_wrong_still_have_a_width() -> None:
    """The rule of three, roughly: none of n wrong leaves about 3.84 / (n + 3.84)."""
    for value, ends in ((1.0, (1 - 3.8415 / 53.8415, 1.0)), (0.0, (0.0, 3.8415 / 53.8415))):
        found = mean_interval([value] * 50)
        assert (found.low, found.high) == (pytest.approx(ends[0], abs=1e-4), pytest.approx(ends[1], abs=1e-4))
    assert mean_interval([1.0]).low < 0.3
    with pytest.raises(ValueError, match="no questions"):
        mean_interval([])


@pytest.mark.parametrize("k", [3, 5, 7, 10])
def test_equal_values_that_are_no_binary_fractions_are_no_certainty(k: int) -> None:
    for count in range(2, 31):
        found = mean_interval([1 / k] * count)
        assert found.high - found.low > 0.05
