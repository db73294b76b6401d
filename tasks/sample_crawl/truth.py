"""Exact figures against the truth of a sample crawl: pure functions over polars frames.

A page is known by `source_file` and `offset` (tables `crawl_records`, `pages`) or, in tables without them, by `url`
and `crawl_date` (`pages_unique`, `math_corpus`). Every function takes the truth's pages first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

STRINGS = pl.List(pl.String)
PAGES_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "url": pl.String, "site": pl.String, "month": pl.String, "crawl_date": pl.Datetime("us", "UTC"),
    "source_file": pl.String, "offset": pl.Int64, "length": pl.Int64, "genre": pl.String, "topic": pl.String,
    "language": pl.String, "is_math": pl.Boolean, "hard": pl.Boolean, "carriers": STRINGS, "formulas": STRINGS,
    "formula_carriers": STRINGS, "title": pl.String, "main_text": pl.String, "keep": STRINGS, "drop": STRINGS,
    "cluster": pl.String, "cluster_kind": pl.String, "leaked_item": pl.String, "trap": pl.String,
    "charset_trick": pl.String, "encoding": pl.String,
}  # fmt: skip
RECORDS_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "kind": pl.String, "outcome": pl.String, "url": pl.String, "month": pl.String, "source_file": pl.String,
    "offset": pl.Int64, "length": pl.Int64,
}  # fmt: skip
PLACE, FETCH = ("source_file", "offset"), ("url", "crawl_date")


class Found(NamedTuple):
    """Recall and precision, 0 to 1, with the counts behind them."""

    recall: float
    precision: float
    hits: int
    wanted: int
    returned: int


def read_truth(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The truth's pages and its broken records."""
    return pl.read_parquet(folder / "pages.parquet"), pl.read_parquet(folder / "records.parquet")


def settle_fates(pages: pl.DataFrame) -> pl.DataFrame:
    """Add `fate`: corpus, not_math, duplicate (all of a cluster but the first crawled) or contaminated."""
    first = pl.struct("crawl_date", *PLACE).rank("ordinal").over(_group())
    fate = (
        pl.when(~pl.col("is_math")).then(pl.lit("not_math"))
        .when(first > 1).then(pl.lit("duplicate"))
        .when(pl.col("leaked_item").is_not_null()).then(pl.lit("contaminated"))
        .otherwise(pl.lit("corpus"))
    )  # fmt: skip
    return pages.with_columns(fate=fate)


def place_of(source: str = "source") -> list[pl.Expr]:
    """`source_file` and `offset` out of a column that reads `file@offset`, as the quarantine's `source` does."""
    parts = pl.col(source).str.split_exact("@", 1)
    return [parts.struct[0].alias("source_file"), parts.struct[1].cast(pl.Int64, strict=False).alias("offset")]


def match(pages: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of `frame` with the truth's columns joined on (as `true_…`), rows that no page matches left out.

    Raises:
        ValueError: the frame has neither `source_file` and `offset` nor `url` and `crawl_date`.
    """
    key = next((k for k in (PLACE, FETCH) if set(k) <= set(frame.columns)), None)
    if key is None:
        raise ValueError(f"cannot tell pages by {frame.columns}: needs {PLACE} or {FETCH}")
    truth = pages.with_columns(true_group=_group()).select(
        *key, "true_group", *(pl.col(c).alias(f"true_{c}") for c in pages.columns)
    )
    return frame.join(truth, on=key, how="inner")


def page_score(pages: pl.DataFrame, collected: pl.DataFrame) -> Found:
    """Recall and precision of pages of mathematics among the collected ones, copies counted one by one.

    Collected rows that are no planted page (broken records) count against precision.
    """
    hits = match(pages, collected).filter("true_is_math").height
    return _found(hits, pages.filter("is_math").height, collected.height)


def page_recall_by(
    pages: pl.DataFrame, collected: pl.DataFrame, by: Sequence[str] = ("genre", "language")
) -> pl.DataFrame:
    """Pages of mathematics, how many were collected and the share, by columns of the truth."""
    found = match(pages, collected).select(*(pl.col(f"true_{c}").alias(c) for c in PLACE)).with_columns(got=True)
    return (
        pages.filter("is_math")
        .join(found, on=PLACE, how="left")
        .group_by(by)
        .agg(pages=pl.len(), collected=pl.col("got").fill_null(value=False).sum())
        .with_columns(recall=pl.col("collected") / pl.col("pages"))
        .sort(by)
    )


def corpus_score(pages: pl.DataFrame, corpus: pl.DataFrame) -> Found:
    """Recall and precision of the final corpus: of every cluster one page, whichever; no leak, nothing else."""
    wanted = pages.with_columns(group=_group()).group_by("group").agg(
        ok=pl.col("is_math").first() & pl.col("leaked_item").first().is_null()
    ).filter("ok")["group"]  # fmt: skip
    kept = match(pages, corpus)["true_group"]
    hits = kept.filter(kept.is_in(wanted.implode())).n_unique()
    return _found(hits, wanted.len(), corpus.height)


def duplicate_score(pages: pl.DataFrame, clusters: pl.DataFrame) -> Found:
    """Recall and precision of pairs of (near-)duplicates, over the pages in `clusters` (its column `cluster`)."""
    rows = match(pages, clusters)
    planted = _pairs(rows["true_group"].to_list())
    found = _pairs(rows["cluster"].to_list())
    return _found(len(planted & found), len(planted), len(found))


def leak_score(pages: pl.DataFrame, seen: pl.DataFrame, dropped: pl.DataFrame) -> Found:
    """Recall and precision of pages dropped as contaminated, among the pages that the step has `seen`."""
    wanted = match(pages, seen).filter(pl.col("true_leaked_item").is_not_null()).height
    hits = match(pages, dropped).filter(pl.col("true_leaked_item").is_not_null()).height
    return _found(hits, wanted, dropped.height)


def language_score(pages: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Pages and the share with the right `language`, by planted language; the row `all` comes last."""
    rows = match(pages, found).select(language="true_language", right=pl.col("language") == pl.col("true_language"))
    both = pl.concat([rows, rows.with_columns(language=pl.lit("all"))])
    return both.group_by("language").agg(pages=pl.len(), accuracy=pl.col("right").mean()).sort(
        pl.col("language") == "all", "language"
    )  # fmt: skip


def formula_score(pages: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Planted formulas and the share that stands in `text` between dollars, by carrier; the row `all` comes last."""
    total: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    rows = match(pages, found).select("text", "true_formulas", "true_formula_carriers")
    for text, formulas, carriers in rows.iter_rows():
        kept = Counter(normal_form(a or b) for a, b in _DOLLARS.findall(text))
        for formula, carrier in zip(formulas, carriers, strict=True):
            key = normal_form(formula)
            total[carrier] += 1
            if kept[key]:
                kept[key] -= 1
                hits[carrier] += 1
    names = [*sorted(total), "all"]
    total["all"], hits["all"] = sum(total.values()), sum(hits.values())
    return pl.DataFrame({
        "carrier": names, "formulas": [total[n] for n in names], "kept": [hits[n] for n in names],
        "recall": [hits[n] / total[n] if total[n] else 1.0 for n in names],
    })  # fmt: skip


def text_score(pages: pl.DataFrame, found: pl.DataFrame) -> dict[str, float]:
    """Shares of planted sentences found in `text`: `kept` of the content (1 is best), `leaked` of the boilerplate."""
    sums: Counter[str] = Counter()
    for text, keep, drop in match(pages, found).select("text", "true_keep", "true_drop").iter_rows():
        flat = _squeeze(text)
        for name, sentences in (("kept", keep), ("leaked", drop)):
            sums[name + "_of"] += len(sentences)
            sums[name] += sum(_squeeze(s) in flat for s in sentences)
    return {name: sums[name] / max(1, sums[name + "_of"]) for name in ("kept", "leaked")}


def record_outcomes(records: pl.DataFrame, read: pl.DataFrame, rejected: pl.DataFrame) -> pl.DataFrame:
    """By kind of broken record: how many were planted, how many were read as pages, how many rejected and why.

    `rejected` has `source_file`, `offset` and `reason` (see `place_of`).
    """
    reasons = rejected.group_by(PLACE).agg(pl.col("reason").first())
    seen = read.select(*PLACE).unique().with_columns(read=True)
    return (
        records.join(seen, on=PLACE, how="left")
        .join(reasons, on=PLACE, how="left")
        .group_by("kind", "outcome")
        .agg(
            planted=pl.len(),
            read=pl.col("read").fill_null(value=False).sum(),
            rejected=pl.col("reason").is_not_null().sum(),
            reasons=pl.col("reason").drop_nulls().unique().sort(),
        )
        .sort("kind")
    )


_DOLLARS = re.compile(r"\$\$(.+?)\$\$|\$(?!\s)([^$]+?)(?<!\s)\$(?!\d)", re.DOTALL)
"""Formulas between dollars; by pandoc's rule a price is no bound."""
_LAYOUT = re.compile(
    r"\\(?:(?:left|right|displaystyle|textstyle|mathrm|operatorname|text|limits)(?![a-zA-Z])|[,;:! ])|[\s{}]"
)


def normal_form(tex: str) -> str:
    r"""LaTeX without what does not change the formula: spaces, braces, `\left`, the backslash of `\sin`."""
    flat = tex.replace(r"\dfrac", r"\frac").replace(r"\tfrac", r"\frac")
    flat = _LAYOUT.sub("", re.sub(r"(\\[a-zA-Z]+)\s+(?=[a-zA-Z])", r"\1", flat))
    for name, other in _SAME:
        flat = flat.replace(name, other)
    return flat


_SAME = (
    (r"\beginpmatrix", r"(\beginmatrix"), (r"\endpmatrix", r"\endmatrix)"), (r"\varphi", r"\phi"),
    (r"\varepsilon", r"\epsilon"), (r"\leq", r"\le"), (r"\geq", r"\ge"), (r"\neq", r"\ne"), (r"\rightarrow", r"\to"),
    (r"\bmod", "mod"), (r"\mod", "mod"),
    *((rf"\{f}", f) for f in ("sin", "cos", "ln", "log", "exp", "gcd", "det", "dim", "ker", "lim")),
    (r"\prime", "'"), ("^'", "'"), (r"\vert", "|"), ("−", "-"),
)  # fmt: skip


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _group() -> pl.Expr:
    """The duplicate cluster, or the page itself."""
    return pl.coalesce("cluster", pl.concat_str(pl.col("source_file"), pl.lit("@"), pl.col("offset").cast(pl.String)))


def _pairs(groups: Sequence[str]) -> set[tuple[int, int]]:
    members: dict[str, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    return {(a, b) for m in members.values() for n, a in enumerate(m) for b in m[n + 1 :]}


def _found(hits: int, wanted: int, returned: int) -> Found:
    return Found(hits / wanted if wanted else 1.0, hits / returned if returned else 1.0, hits, wanted, returned)
