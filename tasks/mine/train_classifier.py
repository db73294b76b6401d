"""Stage: train the fastText classifier of one round of the mine (DeepSeekMath §2.1).

Round 1 learns from seeds alone. A later round adds pages under the mathematical domains and patterns of the round
before, and negatives from outside them. Such labels are of whole domains and partly wrong, so every example is
also scored by a model that did not see its domain: crawl pages which that model contradicts are left out, and on
these scores the threshold is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from pydantic import Field

from tasks.mine.classifier_examples import Choice, choose
from tasks.mine.classifier_file import save_classifier
from tasks.mine.classifier_fit import Examples, FastTextConfig, fit, score_lines, score_unseen
from tasks.mine.classifier_seeds import read_seeds
from tasks.mine.classifier_text import normalise
from tasks.mine.classifier_threshold import (
    Curve,
    Floats,
    cut_by_f1,
    cut_by_precision,
    cut_by_share,
    cut_by_tokens,
    measure,
)
from tasks.stage import Inputs, Report, Stage


class TrainClassifierConfig(FastTextConfig):
    """One round's classifier: its examples and its threshold."""

    round: int = Field(1, ge=1, le=100)
    """Round of the mine, from 1; rounds after the first read the previous page_scores and domains."""
    max_positives: int = Field(500_000, ge=10, le=10_000_000)
    """Positives at most, seeds first, in texts."""
    max_negatives: int = Field(500_000, ge=10, le=10_000_000)
    """Negatives at most, seeds first, in texts."""
    stray_share: float = Field(0.1, ge=0.0, le=1.0)
    """Collected pages are negatives where at most this share of their domain or pattern was collected."""
    doubt_positives_below: float = Field(0.1, ge=0.0, le=1.0)
    """A page of a mathematical domain is no positive if the model that did not see the domain scores it lower."""
    doubt_negatives_from: float = Field(0.2, ge=0.0, le=1.01)
    """A page from elsewhere is no negative if that model scores it so high or higher; 1.01 keeps all."""
    cut: Literal["f1", "precision", "share", "tokens"] = "f1"
    """How the threshold is chosen: best F1, lowest with a precision, or a budget of the crawl."""
    cut_target: float = Field(1.0, gt=0.0)
    """precision: 0 to 1; share: of the crawl's pages, 0 to 1; tokens: of the crawl's tokens; f1: not used."""
    sample_pages: int = Field(100_000, ge=10, le=10_000_000)
    """Random pages of the crawl on whose scores a budget's threshold is read off, in pages."""


def train_classifier(config: TrainClassifierConfig, inputs: Inputs, report: Report) -> Path:
    """Folder with `classifier.bin` and `classifier.json` of this round.

    Reads `pages` and, after round 1, `page_scores` and `domains` of the round before; the files `positives` and
    `negatives` are seed texts (`classifier_seeds`).
    """
    later = config.round > 1
    return train_round(
        config,
        pages=inputs.tables["pages"].scan(),
        scores=inputs.tables["page_scores"].scan().collect() if later else None,
        domains=inputs.tables["domains"].scan().collect() if later else None,
        positives=read_seeds(inputs.files["positives"]),
        negatives=read_seeds(inputs.files["negatives"]),
        scratch=inputs.scratch,
        report=report,
    )


def train_round(
    config: TrainClassifierConfig,
    *,
    pages: pl.LazyFrame,
    scores: pl.DataFrame | None,
    domains: pl.DataFrame | None,
    positives: Sequence[str],
    negatives: Sequence[str],
    scratch: Path,
    report: Report,
) -> Path:
    """Train one round on `pages` (id, url, domain, text) and seed texts; see `train_classifier`.

    Raises:
        ValueError: a class has no examples, or no threshold fulfils `cut`.
    """
    index = pages.select("id", "url", "domain").collect()
    choice = choose(
        index,
        scores,
        domains,
        most_positives=config.max_positives,
        most_negatives=config.max_negatives,
        most_sample=config.sample_pages if config.cut in ("share", "tokens") else 0,
        stray_share=config.stray_share,
        seed=config.seed,
        blind_negatives=not negatives,
    )
    lines = _lines(pages, choice)
    examples = _gather(config, positives, negatives, choice, lines, dict(index.select("id", "domain").iter_rows()))
    unseen = score_unseen(config, examples, scratch)
    doubted = ~examples.seeds & np.where(
        examples.math, unseen < config.doubt_positives_below, unseen >= config.doubt_negatives_from
    )
    ups, downs = examples.math & ~doubted, ~examples.math & ~doubted
    model = fit(config, examples.pick(ups), examples.pick(downs), scratch)
    curve = measure(unseen[ups], unseen[downs])
    sample = [lines[i] for i in choice.sample]
    threshold = _cut(config, curve, score_lines(model, sample), sample, len(index))
    counts = {
        "positives": int(ups.sum()),
        "new_positives": int((ups & ~examples.seeds).sum()),
        "negatives": int(downs.sum()),
        "doubted_positives": int((doubted & examples.math).sum()),
        "doubted_negatives": int((doubted & ~examples.math).sum()),
    }
    for name, count in counts.items():
        report.metric(name, count)
    folder = scratch / "classifier"
    save_classifier(
        folder,
        model,
        round=config.round,
        threshold=threshold,
        validation=_report(curve, threshold, report),
        examples=counts,
        config=config.model_dump(mode="json"),
    )
    return folder


def _lines(pages: pl.LazyFrame, choice: Choice) -> dict[str, str]:
    """Id → normalised text of the chosen pages."""
    wanted = pl.Series(sorted({*choice.positives, *choice.negatives, *choice.sample}), dtype=pl.String)
    found = pages.select("id", "text").filter(pl.col("id").is_in(wanted.implode())).collect()
    return {i: normalise(text or "") for i, text in found.iter_rows()}


def _gather(
    config: TrainClassifierConfig,
    positives: Sequence[str],
    negatives: Sequence[str],
    choice: Choice,
    lines: dict[str, str],
    domain_of: dict[str, str],
) -> Examples:
    """Seeds, then pages, up to the configured counts; a text that comes twice stays where it came first."""
    taken: dict[str, tuple[bool, bool, str]] = {}
    for math, seeds, page_ids, most in (
        (True, positives, choice.positives, config.max_positives),
        (False, negatives, choice.negatives, config.max_negatives),
    ):
        room = most
        for line, is_seed, group in (
            *((line, True, line) for line in map(normalise, seeds)),
            *((lines[i], False, domain_of[i]) for i in page_ids),
        ):
            if room and line and line not in taken:
                taken[line] = (math, is_seed, group)
                room -= 1
    columns = list(taken.values())
    return Examples(
        list(taken),
        np.array([math for math, _, _ in columns], dtype=np.bool_),
        np.array([seed for _, seed, _ in columns], dtype=np.bool_),
        [group for _, _, group in columns],
    )


def _cut(config: TrainClassifierConfig, curve: Curve, scores: Floats, sample: Sequence[str], pages: int) -> float:
    if config.cut == "f1":
        return cut_by_f1(curve)
    if config.cut == "precision":
        return cut_by_precision(curve, config.cut_target)
    if config.cut == "share":
        return cut_by_share(scores, config.cut_target)
    tokens = np.array([line.count(" ") + 1 for line in sample], dtype=np.int64)
    return cut_by_tokens(scores, tokens, config.cut_target * len(sample) / pages)


def _report(curve: Curve, threshold: float, report: Report) -> dict[str, float]:
    """Report the figures at the threshold and the curve; return the figures."""
    at = max(0, int(np.searchsorted(-curve.thresholds, -threshold, "right")) - 1)
    figures = {
        "precision": float(curve.precision[at]),
        "recall": float(curve.recall[at]),
        "f1": float(curve.f1[at]),
        "auc": curve.auc,
    }
    for name, value in figures.items():
        report.metric(f"validation_{name}", value)
    report.metric("threshold", threshold)
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    axes.step(curve.recall, curve.precision, where="post")
    axes.plot(figures["recall"], figures["precision"], "o", label=f"threshold {threshold:.3f}")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02), title="unseen domains")
    axes.legend(loc="lower left")
    report.figure("precision_recall", figure)
    return figures


STAGE = Stage(
    name="train_classifier",
    version="1",
    reads=("pages", "page_scores", "domains"),
    writes="classifier",
    config=TrainClassifierConfig,
    run=train_classifier,
    reconciles=False,
    model=True,
)
