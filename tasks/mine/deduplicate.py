"""Stage deduplicate: of pages with the same or nearly the same text, keep one.

Exact duplicates have equal text up to white space. Near duplicates have similar sets of word 5-grams, operators and
numbers being words: two exercise pages that differ only in their formulas share few of them and are both kept.
Months are taken in ascending order, and each yields to all pages kept before it: a month backfilled alone against
the earlier ones (`held`) gives the same rows as all months at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from tasks.mine.minhash import U32, assign, signatures, similar_pairs, similarity
from tasks.stage import Inputs, Reject, RejectedRow, Report, Rows, Stage, StageConfig
from warehouse.ids import row_ids
from warehouse.schema import PAGES, PAGES_UNIQUE

EXACT, NEAR = "exact duplicate", "near duplicate"


class DeduplicateConfig(StageConfig):
    """What counts as a duplicate, and which page of a cluster is kept.

    Two pages of Jaccard similarity J meet in a band with probability 1 - (1 - J ** rows) ** bands: with 20 bands of
    6 rows .9999 at J = .85, .92 at .7, .27 at .5.
    """

    shingle_words: int = Field(5, ge=1, le=20)
    """Length of a shingle, in words (characters in Chinese, Japanese, Thai …)."""
    bands: int = Field(20, ge=1, le=256)
    """Bands of the signature; pages that agree on all of one band are compared."""
    rows: int = Field(6, ge=1, le=32)
    """MinHash values a band; a signature has bands x rows."""
    threshold: float = Field(0.7, gt=0, le=1)
    """Estimated Jaccard similarity from which two pages are near duplicates; standard error .04 at 120 values."""
    floor: float = Field(0.5, ge=0, le=1)
    """Least estimated Jaccard similarity of a dropped page to the page kept for it, at the end of a chain of pairs."""
    bucket_hubs: int = Field(200, ge=1, le=100_000)
    """In a band's bucket, pages with which every other is compared; bounds the work on templates."""
    keep: tuple[Literal["earliest", "score", "longest"], ...] = ("earliest", "score", "longest")
    """Of a cluster keep the earliest crawled, then the highest score, then the longest text; last the lowest id."""
    seed: int = Field(1, ge=0, lt=1 << 63)
    """Seed of the permutations. Signatures compare only under equal shingle_words, bands x rows and seed."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.floor > self.threshold:
            raise ValueError(f"floor {self.floor} is above threshold {self.threshold}")
        return self

    @property
    def permutations(self) -> int:
        """Values in a signature."""
        return self.bands * self.rows


@dataclass(frozen=True)
class DedupResult:
    """`kept`: rows of pages_unique. `dropped`: id, cluster (the kept page's id), reason, similarity."""

    kept: pl.DataFrame
    dropped: pl.DataFrame


def deduplicate_frame(pages: pl.DataFrame, config: DeduplicateConfig, held: pl.DataFrame | None = None) -> DedupResult:
    """Deduplicate `pages` (columns of the table pages, and score) that fit in memory.

    `held` are rows of pages_unique of earlier months; only their page, text and signature are read.
    """
    verdicts = find_duplicates(sketch(pages, config), config, None if held is None else sketch_held(held, config))
    return DedupResult(
        _unique_rows(pages, verdicts),
        verdicts.filter(pl.col("reason").is_not_null()).select("id", "cluster", "reason", "similarity"),
    )


def sketch(pages: pl.DataFrame, config: DeduplicateConfig) -> pl.DataFrame:
    """What deduplication needs of each page, its text aside: ranks' keys, two text hashes, the signature."""
    return pages.select(
        "id",
        "partition",
        "crawl_date",
        "score",
        pl.col("text").str.len_chars().alias("characters"),
        *_text_hashes(),
        _signature_column(
            signatures(
                pages["text"],
                shingle_words=config.shingle_words,
                permutations=config.permutations,
                seed=config.seed,
            )
        ),
    )


def sketch_held(held: pl.DataFrame, config: DeduplicateConfig) -> pl.DataFrame:
    """The same of pages already held, with the signatures that they were kept with.

    Raises:
        ValueError: signatures of another length.
    """
    lengths = held["signature"].list.len().unique().to_list()
    if lengths not in ([], [config.permutations]):
        raise ValueError(
            f"held pages have signatures of {lengths} values, the config {config.permutations}: "
            "deduplicate the earlier months again with this config"
        )
    stored = held["signature"].list.to_array(config.permutations).alias("signature")
    return held.select(pl.col("page").alias("id"), *_text_hashes(), stored)


def find_duplicates(
    sketches: pl.DataFrame, config: DeduplicateConfig, held: pl.DataFrame | None = None
) -> pl.DataFrame:
    """A verdict on each sketch, in its order: id, cluster, reason (null: kept), similarity, cluster_size, signature."""
    columns = ["id", "text_hash_1", "text_hash_2", "signature"]
    rows = sketches.with_row_index("row")
    before = rows.clear().select(columns) if held is None else held.select(columns)
    months = []
    for partition in rows["partition"].unique().sort():
        month = _ranked(rows.filter(pl.col("partition") == partition), config)
        verdicts = _judge_month(pl.concat([before, month.select(columns)]), before.height, config)
        months.append(verdicts.with_columns(month["row"]))
        before = pl.concat([before, verdicts.filter(pl.col("reason").is_null()).select(columns)])
    if not months:
        months = [_judge_month(before, before.height, config).with_columns(rows["row"])]
    size = pl.len().over("cluster").cast(pl.Int32).alias("cluster_size")
    return pl.concat(months).sort("row").drop("row", "text_hash_1", "text_hash_2").with_columns(size)


def _ranked(month: pl.DataFrame, config: DeduplicateConfig) -> pl.DataFrame:
    """Best first by the rule of the config."""
    rules = {"earliest": ("crawl_date", False), "score": ("score", True), "longest": ("characters", True)}
    keys = [*(rules[rule] for rule in config.keep), ("id", False), ("row", False)]
    return month.sort([name for name, _ in keys], descending=[down for _, down in keys], nulls_last=True)


def _judge_month(ranked: pl.DataFrame, held: int, config: DeduplicateConfig) -> pl.DataFrame:
    """Verdicts on `ranked[held:]`. A page's rank is its row in `ranked`."""
    ranked = ranked.with_row_index("rank").with_columns(
        pl.col("rank").min().over("text_hash_1", "text_hash_2").alias("twin")
    )
    is_first = (ranked["rank"] == ranked["twin"]) | (ranked["rank"] < held)
    firsts = ranked.filter(is_first)
    signature_np: U32 = firsts["signature"].to_numpy()
    left, right, _ = similar_pairs(
        signature_np, bands=config.bands, threshold=config.threshold, hubs=config.bucket_hubs, held=held
    )
    owner = assign(signature_np, left, right, floor=config.floor, held=held)
    alike = similarity(signature_np, owner, np.arange(len(owner)))
    place = (is_first.cast(pl.Int64).cum_sum() - 1).gather(ranked["twin"])
    judged = ranked.with_columns(
        firsts["rank"].gather(owner).gather(place).alias("owner"),
        pl.Series("similarity", alike).gather(place),
    ).with_columns(
        pl.col("id").gather(pl.col("owner")).alias("cluster"),
        pl.when(pl.col("owner") == pl.col("rank"))
        .then(None)
        .when(pl.col("owner") == pl.col("twin"))
        .then(pl.lit(EXACT))
        .otherwise(pl.lit(NEAR))
        .alias("reason"),
    )
    return judged.slice(held).drop("rank", "twin", "owner")


def _text_hashes() -> list[pl.Expr]:
    """128 bits over the text, runs of white space counting as one blank. Nothing else is normalised: 10² is not 102."""
    text = pl.col("text").fill_null("").str.replace_all(r"\s{2,}|[\s--\x20]", " ").str.strip_chars()
    return [text.hash(1).alias("text_hash_1"), text.hash(2).alias("text_hash_2")]


def _signature_column(signature_np: U32) -> pl.Series:
    return pl.Series("signature", signature_np, dtype=pl.Array(pl.UInt32, signature_np.shape[1]))


def _unique_rows(pages: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """Rows of pages_unique: the pages that their verdicts (same order) keep."""
    rows = pl.concat(
        [pages, verdicts.select("cluster", "reason", "cluster_size", pl.col("signature").arr.to_list())],
        how="horizontal",
    ).filter(pl.col("reason").is_null())
    return rows.with_columns(
        pl.Series("id", row_ids(rows["id"]), pl.String),
        pl.concat_list("id").alias("parents"),
        pl.col("id").alias("page"),
    ).select(PAGES_UNIQUE.arrow.names)


def _latest_scores(scores: pl.LazyFrame) -> pl.DataFrame:
    """Page and score of the pages that the last round to score them collected."""
    return (
        scores.sort("page", "round", "classifier")
        .group_by("page", maintain_order=True)
        .agg(pl.col("score", "collected").last())
        .filter("collected")
        .select("page", "score")
        .collect()
    )


def deduplicate(config: DeduplicateConfig, inputs: Inputs, report: Report) -> Rows:
    """Yield the collected pages without duplicates, in the order of the table pages; reject the others.

    Memory holds the signatures and hashes of all pages and of those held, never all texts.

    Raises:
        ValueError: collected pages that are not in pages; held pages with other signatures.
    """
    scores = _latest_scores(inputs.tables["page_scores"].scan())
    no_pages = pl.DataFrame(PAGES.arrow.empty_table()).join(scores.clear(), left_on="id", right_on="page")

    def collected(columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        for batch in inputs.tables["pages"].batches(columns):
            yield pl.DataFrame(batch).join(scores, left_on="id", right_on="page", maintain_order="left")

    needed = ("id", "partition", "crawl_date", "text")
    sketches = pl.concat([sketch(pages, config) for pages in (no_pages, *collected(needed))])
    missing = scores.join(sketches, left_on="page", right_on="id", how="anti")
    if missing.height:
        raise ValueError(f"{missing.height} collected pages are not in pages, the first {missing['page'].sort()[0]}")
    held = None
    if "held" in inputs.tables:
        batches = inputs.tables["held"].batches(["page", "text", "signature"])
        held = pl.concat([sketch_held(pl.DataFrame(batch), config) for batch in batches] or [sketches.clear()])
    verdicts = find_duplicates(sketches, config, held)
    for reason, metric in ((EXACT, "duplicates_exact"), (NEAR, "duplicates_near")):
        report.metric(metric, verdicts.filter(reason=reason).height)
    report.table("largest clusters", verdicts.sort("cluster_size", descending=True).head(20).drop("signature"))
    at = 0
    for pages in collected(PAGES.arrow.names):
        part = verdicts.slice(at, pages.height)
        at += pages.height
        report.rows_in(pages.height)
        report.reject(_rejects(pages, part))
        yield _unique_rows(pages, part)
        report.progress(at, verdicts.height, "pages")


def _rejects(pages: pl.DataFrame, verdicts: pl.DataFrame) -> Iterator[RejectedRow]:
    columns = verdicts.select("id", "cluster", "reason", "similarity")
    rows = pl.concat([columns, pages.select("source_file", "offset")], how="horizontal")
    for page, cluster, reason, alike, file, offset in rows.filter(pl.col("reason").is_not_null()).iter_rows():
        yield RejectedRow(page, Reject(reason, f"kept {cluster}, similarity {alike:.3f}"), f"{file}@{offset}")


STAGE = Stage(
    name="deduplicate",
    version="2",
    reads=("pages", "page_scores"),
    writes="pages_unique",
    config=DeduplicateConfig,
    run=deduplicate,
)
