"""Rounds of train, score and recall on the sample crawl, against its truth: English seeds, six languages to find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.mine.classifier_file import load_classifier
from tasks.mine.classifier_seeds import read_seeds
from tasks.mine.extract_text import ExtractText, ExtractTextConfig
from tasks.mine.read_warc import ReadWarcConfig, WarcReader
from tasks.mine.recall_domains import RecallDomainsConfig, domain_table, overlap
from tasks.mine.train_classifier import TrainClassifierConfig, train_round
from tasks.pipeline import REJECT
from tasks.sample_crawl import SampleCrawl, SampleCrawlConfig, generate
from tasks.sample_crawl.truth import page_score, read_truth
from tasks.stage import SourceFile
from warehouse.schema import PAGES

TRAIN = TrainClassifierConfig(
    dim=16,
    learning_rate=0.3,
    epochs=5,
    word_ngrams=2,
    min_count=2,
    buckets=20_000,
    max_positives=2_000,
    max_negatives=2_000,
)
STOP = 0.98


class Silent:
    """A report that nobody reads."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


def pages_of(crawl: SampleCrawl) -> pl.DataFrame:
    files = [SourceFile(str(p), "", p.stat().st_size, month) for month, paths in crawl.files.items() for p in paths]
    step = ExtractText(ExtractTextConfig())
    rows = [
        {"id": doc.id, "text": doc.text, **doc.metadata}
        for doc in WarcReader(files, ReadWarcConfig()).run()
        if REJECT not in doc.metadata and step.apply(doc) is None
    ]
    names = ["id", "url", "domain", "crawl_date", "source_file", "offset", "language", "text"]
    schema = pl.DataFrame(PAGES.arrow.empty_table()).schema
    return pl.DataFrame(rows, schema={name: schema[name] for name in names})


def run_rounds(pages: pl.DataFrame, crawl: SampleCrawl, scratch: Path, most: int) -> list[pl.DataFrame]:
    """Scores of every round, until a round's collected pages were held already."""
    positives, negatives = (
        read_seeds((SourceFile(str(crawl.seeds / f"{name}.jsonl"), "", 0),)) for name in ("positives", "negatives")
    )
    rounds: list[pl.DataFrame] = []
    domains = None
    for number in range(1, most + 1):
        folder = scratch / str(number)
        folder.mkdir()
        found = train_round(
            TRAIN.model_copy(update={"round": number}),
            pages=pages.lazy(),
            scores=rounds[-1] if rounds else None,
            domains=domains,
            positives=positives,
            negatives=negatives,
            scratch=folder,
            report=Silent(),
        )
        classifier = load_classifier(found)
        scores = pages.select("url", "domain", "source_file", "offset", page="id").with_columns(
            pl.Series("score", [classifier.score(text) for text in pages["text"]]),
            pl.lit(number, dtype=pl.Int16).alias("round"),
        )
        rounds.append(scores.with_columns(collected=pl.col("score") >= classifier.threshold))
        if number > 1 and overlap(rounds[-2], rounds[-1]) >= STOP:
            break
        domains = domain_table(rounds[-1], RecallDomainsConfig())
    return rounds


def check(crawl: SampleCrawl, scratch: Path) -> list[pl.DataFrame]:
    pages, (truth, _) = pages_of(crawl), read_truth(crawl.truth)
    rounds = run_rounds(pages, crawl, scratch, most=6)
    figures = [page_score(truth, scores.filter("collected")) for scores in rounds]
    assert figures[-1].recall >= 0.98
    assert figures[-1].precision >= 0.95
    assert figures[0].recall < figures[-1].recall - 0.05
    assert overlap(rounds[-2], rounds[-1]) >= STOP
    return rounds


def test_rounds_find_the_mathematics_of_a_small_crawl(tmp_path: Path) -> None:
    crawl = generate(tmp_path / "crawl", SampleCrawlConfig(pages_per_month=400))
    check(crawl, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_rounds_find_the_mathematics_of_the_whole_crawl(tmp_path: Path, seed: int) -> None:
    check(generate(tmp_path / "crawl", SampleCrawlConfig(seed=seed)), tmp_path)
