"""Train fastText on normalised lines, and score lines by models that saw nothing of their group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tasks.mine.classifier_file import MATHEMATICS, OTHER, score_line
from tasks.mine.classifier_threshold import Floats
from tasks.stage import StageConfig

Bools = NDArray[np.bool_]


class FastTextConfig(StageConfig):
    """fastText's own settings; the defaults are DeepSeekMath's."""

    dim: int = Field(256, ge=2, le=1024)
    """Size of the vectors, in floats."""
    learning_rate: float = Field(0.1, gt=0.0, le=5.0)
    """fastText's learning rate."""
    epochs: int = Field(3, ge=1, le=1000)
    """Passes over the examples."""
    word_ngrams: int = Field(3, ge=1, le=5)
    """Longest n-gram of tokens, in tokens."""
    min_count: int = Field(3, ge=1, le=1000)
    """Tokens seen less often are left out, in occurrences."""
    buckets: int = Field(2_000_000, ge=1_000, le=100_000_000)
    """Hash buckets of the n-grams; the file has about 4 · dim · buckets bytes."""
    folds: int = Field(3, ge=2, le=20)
    """Parts that the examples are dealt into by domain, for scores by a model that did not see the domain."""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    """Fixes the samples, the folds and fastText's random numbers."""


@dataclass(frozen=True)
class Examples:
    """Parallel columns of n training examples."""

    lines: list[str]
    """Normalised texts, each once."""
    math: Bools
    """Whether it is taken for mathematics."""
    seeds: Bools
    """Whether it is a seed, which is believed, or a page of the crawl, which may be doubted."""
    groups: list[str]
    """The domain of a page, the text of a seed: what must not be on both sides of a validation."""

    def pick(self, wanted: Bools) -> list[str]:
        """The lines where `wanted`."""
        return [self.lines[i] for i in np.flatnonzero(wanted)]


def fit(config: FastTextConfig, positives: Sequence[str], negatives: Sequence[str], scratch: Path) -> Any:
    """Train on lines; the smaller class is repeated until both have the same size. One thread: same bytes again.

    Raises:
        ValueError: a class is empty.
    """
    if not positives or not negatives:
        raise ValueError(f"nothing to learn from {len(positives)} positives and {len(negatives)} negatives")
    size = max(len(positives), len(negatives))
    order = np.random.default_rng(config.seed).permutation(2 * size)
    file = scratch / "examples.txt"
    with file.open("w", encoding="utf-8") as out:
        for index in order:
            label, lines = (MATHEMATICS, positives) if index < size else (OTHER, negatives)
            out.write(f"{label} {lines[index % size % len(lines)]}\n")
    model = fasttext.train_supervised(
        str(file),
        lr=config.learning_rate,
        dim=config.dim,
        epoch=config.epochs,
        wordNgrams=config.word_ngrams,
        minCount=config.min_count,
        bucket=config.buckets,
        seed=config.seed,
        thread=1,
        verbose=0,
    )
    file.unlink()
    return model


def score_lines(model: Any, lines: Sequence[str]) -> Floats:
    """Probability of mathematics of every line."""
    return np.array([score_line(model, line) for line in lines], dtype=np.float64)


def score_unseen(config: FastTextConfig, examples: Examples, scratch: Path) -> Floats:
    """Score every example by a model that was trained without the fold in which its whole group lies.

    A page's neighbours cannot vouch for it: if a domain was labelled wrongly as a whole, its pages stand out.
    """
    key = config.seed.to_bytes(8, "big")
    folds = np.array([int.from_bytes(blake2b(g.encode(), digest_size=8, key=key).digest()) for g in examples.groups])
    folds %= config.folds
    scores = np.zeros(len(examples.lines))
    for fold in range(config.folds):
        seen, held = folds != fold, folds == fold
        model = fit(config, examples.pick(seen & examples.math), examples.pick(seen & ~examples.math), scratch)
        scores[held] = score_lines(model, examples.pick(held))
    return scores
