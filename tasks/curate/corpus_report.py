"""How the synthetic corpus is made up, and where it is biased: counted while it streams by."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from tasks.curate.figures import bars, boxes, share_table
from tasks.stage import Report

_COLUMNS = ("family", "category", "language", "style", "correct", "pretrain", "answer", "steps_checked")
FREQUENT_SHARE = 0.2
"""An answer that makes up more of a family than this is named in the bias table."""


class CorpusCounts:
    """Collects small columns of the batches; `describe` reports them."""

    def __init__(self) -> None:
        """Nothing counted yet."""
        self._frames: list[pl.DataFrame] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch of `synthetic_corpus`."""
        frame = pl.DataFrame(pa.Table.from_batches([batch]))
        length, steps = (
            pl.col("text").str.len_chars().alias("characters"),
            pl.col("steps").list.len().alias("lines"),
        )
        self._frames.append(frame.select(*_COLUMNS, length, steps))

    def describe(self, report: Report, *, written: int, seconds: float) -> None:
        """Report metrics, figures and the table of biases."""
        report.metric("solutions_per_minute", written * 60 / max(seconds, 1e-9))
        if not self._frames:
            return
        rows = pl.concat(self._frames)
        report.metric("checked_ok_share", rows.height / max(written, 1))
        report.metric("quarantined_share", 1 - rows.height / max(written, 1))
        report.metric("correct_share", int(rows["correct"].sum()) / max(rows.height, 1))
        report.metric("pretrain_rows", int(rows["pretrain"].sum()))
        lines = max(int(rows["lines"].sum()), 1)
        report.metric("steps_decided_share", int(rows["steps_checked"].sum()) / lines)
        used = rows.filter(pl.col("pretrain")).with_columns(rows=pl.lit(1))
        report.metric("pretrain_characters", int(used["characters"].sum()))
        report.table("balance", share_table(used, ["category", "family", "style"], "rows"))
        report.table("biases", biases(used))
        by_family = share_table(used, ["family"], "characters")
        report.figure("characters_by_family", bars(by_family, "family", "characters", "Corpus by family"))
        lengths = {str(name): part["characters"].to_list() for (name,), part in used.group_by("family")}
        report.figure("length_by_family", boxes(lengths, "Length of a text", "characters"))
        top = used.filter(pl.col("answer").str.len_chars() <= 12)["answer"].value_counts().sort(
            ["count", "answer"], descending=[True, False]
        )  # fmt: skip
        report.figure("frequent_answers", bars(top.head(40), "answer", "count", "Most frequent answers"))


def biases(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a family: its share, its lengths, how one-sided its answers are, and what stands out."""
    characters = pl.col("characters")
    answers = rows.group_by("family", "answer").len().sort(["family", "len", "answer"], descending=[False, True, False])
    top = answers.group_by("family", maintain_order=True).agg(
        pl.col("answer").first().str.replace_all("\n", "⏎").str.slice(0, 40).alias("commonest_answer"),
        (pl.col("len").first() / pl.col("len").sum()).round(4).alias("its_share"),
        pl.len().alias("answers"),
        (-(pl.col("len") / pl.col("len").sum()) * (pl.col("len") / pl.col("len").sum()).log(2))
        .sum()
        .round(3)
        .alias("answer_bits"),
    )
    sizes = rows.group_by("family").agg(
        pl.len().alias("rows"),
        (pl.len() / rows.height).round(4).alias("share"),
        characters.median().alias("median_characters"),
        characters.quantile(0.95).alias("p95_characters"),
        (pl.col("language") == "zh").mean().round(3).alias("zh_share"),
        (pl.col("style") == "bare").mean().round(3).alias("bare_share"),
        (~pl.col("correct")).mean().round(3).alias("wrong_share"),
    )
    one_sided = (pl.col("its_share") > FREQUENT_SHARE) & (pl.col("answers") > 2)
    note = pl.when(one_sided).then(pl.lit("one answer dominates")).otherwise(pl.lit("")).alias("note")
    return sizes.join(top, on="family").with_columns(note).sort("family")
