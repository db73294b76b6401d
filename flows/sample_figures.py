"""How well a mine of the sample crawl did, against the truth written beside it: exact figures, no estimate."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from tasks.sample_crawl import truth
from warehouse.lineage import ArtifactRef
from warehouse.tables import Tables


def sample_figures(tables: Tables, refs: Iterable[ArtifactRef], truth_folder: Path) -> pl.DataFrame:
    """Recall and precision of every step of one mine: columns figure, recall, precision, hits, wanted, returned.

    `refs` are the artifacts of that mine, in the order of its stage calls.
    """
    made: dict[str, list[ArtifactRef]] = {}
    for ref in refs:
        made.setdefault(ref.name, []).append(ref)

    def read(name: str, index: slice = slice(None)) -> pl.DataFrame:
        chosen = made.get(name, [])[index]
        return pl.concat([tables.view(r.name, r.version, r.partitions).scan() for r in chosen]).collect()

    pages, records = truth.read_truth(truth_folder)
    found = read("pages")
    places = found.select(pl.col("id").alias("page"), "source_file", "offset")
    rows: list[tuple[str, truth.Found]] = []
    for number in range(len(made.get("page_scores", []))):
        collected = read("page_scores", slice(number, number + 1)).filter("collected").join(places, on="page")
        rows.append((f"pages, round {number + 1}", truth.page_score(pages, collected)))
    unique = read("pages_unique")
    fingerprints = {ref.fingerprint for group in made.values() for ref in group}
    rejected = tables.view("quarantine").scan().filter(pl.col("fingerprint").is_in(fingerprints)).collect()
    rows.append(("near-duplicate pairs", truth.duplicate_score(pages, _clusters(unique, found, rejected))))
    dropped = rejected.filter(pl.col("stage") == "decontaminate").select(pl.col("row").alias("id"))
    rows.append(("leaked items", truth.leak_score(pages, unique, unique.join(dropped, on="id", how="semi"))))
    rows.append(("corpus", truth.corpus_score(pages, read("math_corpus"))))
    languages = truth.language_score(pages, found).filter(pl.col("language") == "all")
    share, count = float(languages["accuracy"][0]), int(languages["pages"][0])
    rows.append(("languages", truth.Found(share, share, round(share * count), count, count)))
    formulas = truth.formula_score(pages, found).row(-1, named=True)
    kept, planted = int(formulas["kept"]), int(formulas["formulas"])
    rows.append(("formulas", truth.Found(kept / planted, 1.0, kept, planted, kept)))
    broken = rejected.filter(pl.col("stage") == "read_warc").select(*truth.place_of(), "reason")
    outcomes = truth.record_outcomes(records, read("crawl_records"), broken)
    settled = (
        pl.when(pl.col("outcome") == "either").then(pl.max_horizontal("read", "rejected"))
        .when(pl.col("outcome") == "recover").then("read").otherwise("rejected")
    )  # fmt: skip
    right = int(outcomes.select(settled.sum()).item())
    rows.append(("broken records", truth.Found(right / records.height, 1.0, right, records.height, records.height)))
    names = ["figure", "recall", "precision", "hits", "wanted", "returned"]
    return pl.DataFrame([(name, *score) for name, score in rows], schema=names, orient="row")


def _clusters(unique: pl.DataFrame, pages: pl.DataFrame, rejected: pl.DataFrame) -> pl.DataFrame:
    """Every deduplicated page with its cluster: kept pages and the duplicates dropped in their favour."""
    kept = unique.select("page", "cluster")
    dropped = rejected.filter(pl.col("stage") == "deduplicate").select(
        pl.col("row").alias("page"), pl.col("detail").str.extract(r"([0-9a-f]{32})").alias("cluster")
    )
    return pl.concat([kept, dropped]).join(
        pages.select(pl.col("id").alias("page"), "source_file", "offset"), on="page", how="inner"
    )
