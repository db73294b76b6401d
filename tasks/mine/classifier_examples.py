"""Choose a round's training examples from the seeds, the crawl, and what the round before found in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

import polars as pl

from tasks.mine.recall_domains import find_lines


@dataclass(frozen=True)
class Choice:
    """Ids of crawl pages, each list in an order that the seed fixes."""

    positives: list[str]
    """Pages under mathematical lines of the round before, collected or missed (DeepSeekMath §2.1)."""
    negatives: list[str]
    """Random pages that nothing suggests to be mathematics, and pages collected where hardly any others were."""
    sample: list[str]
    """Random pages of the whole crawl, for the ranking's quantiles."""


def choose(
    pages: pl.DataFrame,
    scores: pl.DataFrame | None,
    domains: pl.DataFrame | None,
    *,
    most_positives: int,
    most_negatives: int,
    most_sample: int,
    stray_share: float,
    seed: int,
    blind_negatives: bool = False,
) -> Choice:
    """Choose among `pages` (id, url, domain), given the previous round's `page_scores` and `domains` if any.

    Without a previous round nothing tells which pages are mathematics, and none is chosen but the sample; with
    `blind_negatives` (there are no negative seeds) random pages are negatives, as in the paper: most of a crawl is
    not mathematics, and training leaves out those that a model of other domains doubts.
    Positives and negatives are dealt out domain by domain, so that one large site cannot fill a class. A collected
    page outside the mathematical lines is a negative where at most `stray_share` of its line was collected or
    where a person vetoed the line; elsewhere it is left out.
    """
    ids = pages["id"].to_list()
    keyed = pages.select("id", "url", "domain").with_columns(
        pl.Series("order", shuffle_keys(ids, seed), dtype=pl.String)
    )
    sample = keyed.sort("order")["id"].head(most_sample).to_list()
    if scores is None or domains is None:
        return Choice([], _deal(keyed.sort("order"), most_negatives) if blind_negatives else [], sample)
    lines = find_lines(keyed, domains).select(pl.exclude("domain"))
    collected = scores.select(pl.col("page").alias("id"), "collected")
    known = (
        pl.concat([keyed, lines], how="horizontal")
        .join(collected, on="id", how="left")
        .with_columns(pl.col("collected").fill_null(value=False))
        .with_columns(share=pl.col("collected").mean().over("domain", "pattern"))
        .sort("order")
    )
    stray = (pl.col("share") <= stray_share) | (pl.col("decision") == "vetoed")
    return Choice(
        _deal(known.filter("mathematical"), most_positives),
        _deal(known.filter(~pl.col("mathematical") & (~pl.col("collected") | stray)), most_negatives),
        sample,
    )


def _deal(pages: pl.DataFrame, most: int) -> list[str]:
    """Ids in turns: the first page of every domain, then the second of every domain, and so on."""
    turns = pages.with_columns(turn=pl.int_range(pl.len()).over("domain"))
    return turns.sort("turn", "order")["id"].head(most).to_list()


def shuffle_keys(names: Iterable[str], seed: int) -> list[str]:
    """Sort keys that put `names` into an order fixed by `seed` and by each name alone."""
    key = seed.to_bytes(8, "big", signed=True)
    return [blake2b(name.encode(), digest_size=12, key=key).hexdigest() for name in names]
