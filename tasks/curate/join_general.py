"""Stage join_general: reasoning rows and general rows at a fixed ratio (DeepSeek-R1, §2.3.3: 600k to 200k).

Rows are drawn by their ids alone: the same rows come out whatever the order they came in, and of a larger table those
of a smaller draw are a part. Where one side is short the other one gives way, so that the ratio stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl
from pydantic import Field, model_validator

from tasks.stage import Inputs, Reject, RejectedRow, Report, Stage, StageConfig
from tasks.train.corpora import fraction
from warehouse.ids import row_id
from warehouse.schema_sft import SFT_SET
from warehouse.tables import TableView

KEPT, REPAIRS, CORPUS = "rejection_kept", "repairs", "synthetic_corpus"
KINDS = {KEPT: "reasoning", REPAIRS: "repair", CORPUS: "general"}
CHAT = ("problem", "family", "level", "language", "category", "prompt", "steps", "answer")


class JoinGeneralConfig(StageConfig):
    """The mix. R1: 600,000 reasoning rows to 204,745 general ones."""

    reasoning_parts: float = Field(3.0, ge=0, le=1e6)
    """Reasoning rows, repairs included, to …"""
    general_parts: float = Field(1.0, ge=0, le=1e6)
    """… so many general ones; 0 of one side leaves it out."""
    categories: dict[str, float] = Field({"general": 1.0, "safety": 0.25}, min_length=1, max_length=16)
    """Category of the general rows to its weight among them; a short one is made up by the others."""
    styles: tuple[str, ...] = ("reference",)
    """Styles of `synthetic_corpus` that general rows are taken from."""
    without_families: tuple[str, ...] = ()
    """Families of `synthetic_corpus` that stay out: refusals, say, where the last RL stage is to teach them."""
    repair_share: float = Field(0.1, ge=0, lt=1)
    """Of the reasoning rows, repairs, as far as there are any and the table is given."""
    rows: int = Field(800_000, ge=1)
    """Most of all."""
    seed: int = Field(1, ge=0, lt=1 << 31)
    """Of the draws."""

    @model_validator(mode="after")
    def _some(self) -> JoinGeneralConfig:
        if self.reasoning_parts + self.general_parts == 0:
            raise ValueError("reasoning_parts and general_parts are both 0: nothing would be left")
        if min(self.categories.values()) < 0 or sum(self.categories.values()) == 0:
            raise ValueError("categories: a weight below 0, or none above")
        return self


def join_general(config: JoinGeneralConfig, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    """Yield the joined rows, reasoning first, each kind by its draw.

    Reads `rejection_kept`, `synthetic_corpus`, and `repairs` where it is given.

    Raises:
        ValueError: a side that the ratio asks for has no row at all.
    """
    pools = _pools(config, inputs, report)
    have = {name: pool.height for name, pool in pools.items()}
    counts = plan(config, have)
    chosen = {name: pool.head(counts[name]) for name, pool in pools.items()}
    for name, pool in pools.items():
        left = pool.tail(pool.height - counts[name])
        report.reject([RejectedRow(name, Reject("beyond the ratio", count=left.height))] if left.height else [])
    frame = pl.concat([_rows(name, rows) for name, rows in chosen.items()])
    _describe(config, have, frame, report)
    yield frame


def plan(config: JoinGeneralConfig, have: Mapping[str, int]) -> dict[str, int]:
    """Rows to take of each pool (`rejection_kept`, `repairs`, and a category each): the most that keep the ratio.

    Raises:
        ValueError: a side that the ratio asks for has no row at all.
    """
    general = {name: have[name] for name in have if name not in (KEPT, REPAIRS)}
    share = config.repair_share
    repairs = min(have.get(REPAIRS, 0), int(have[KEPT] * share / (1 - share)))
    sides = {"reasoning": (have[KEPT] + repairs, config.reasoning_parts),
             "general": (sum(general.values()), config.general_parts)}  # fmt: skip
    for side, (rows, parts) in sides.items():
        if parts and not rows:
            raise ValueError(f"no {side} rows to join: set join_general.{side}_parts to 0 to go without")
    parts = config.reasoning_parts + config.general_parts
    unit = min([config.rows / parts, *(rows / each for rows, each in sides.values() if each)])
    reasoning, wanted = (round(unit * each) for _, each in sides.values())
    repairs = min(repairs, round(reasoning * share))
    return {KEPT: reasoning - repairs, REPAIRS: repairs} | _by_weight(wanted, general, config.categories)


def shortage(config: JoinGeneralConfig, have: Mapping[str, int], taken: Mapping[str, int]) -> dict[str, int]:
    """Rows that each kind lacks, beside all that the fuller side has to give (and `config.rows` allows)."""
    general = sum(have[name] for name in have if name not in (KEPT, REPAIRS))
    sides = {"reasoning": (have[KEPT] + taken["repair"], config.reasoning_parts),
             "general": (general, config.general_parts)}  # fmt: skip
    parts = config.reasoning_parts + config.general_parts
    unit = min(config.rows / parts, max(rows / each for rows, each in sides.values() if each))
    short = {side: max(0, round(unit * each) - rows) for side, (rows, each) in sides.items()}
    repairs = round((taken["reasoning"] + taken["repair"]) * config.repair_share)
    return short | {"repair": repairs - taken["repair"]}


def _by_weight(wanted: int, have: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, int]:
    """`wanted` rows over pools by their weights; what one lacks, the others give."""
    taken = dict.fromkeys(have, 0)
    while (left := wanted - sum(taken.values())) > 0:
        open_ = [name for name in have if taken[name] < have[name]]
        total = sum(weights[name] for name in open_)
        shares = {name: int(left * weights[name] / total) if total else 0 for name in open_}
        if not any(shares.values()):  # the last few, one by one
            shares = dict.fromkeys(sorted(open_, key=lambda name: -weights[name])[:left], 1)
        for name, count in shares.items():
            taken[name] += min(count, have[name] - taken[name])
    return taken


def _pools(config: JoinGeneralConfig, inputs: Inputs, report: Report) -> dict[str, pl.DataFrame]:
    """What there is to choose from, each pool in the order of its draw."""
    found = {KEPT: _read(inputs.tables[KEPT]), REPAIRS: _read(inputs.tables.get(REPAIRS))}
    corpus = inputs.tables[CORPUS].scan()
    meant = corpus.filter(
        pl.col("category").is_in([name for name, weight in config.categories.items() if weight]),
        pl.col("style").is_in(list(config.styles)), pl.col("split") == "train",
        ~pl.col("family").is_in(list(config.without_families)),
    ).select("id", *CHAT, "correct").collect()  # fmt: skip
    right = meant.filter("correct").drop("correct")
    if right.height < meant.height:
        report.reject([RejectedRow(CORPUS, Reject("answer not right", count=meant.height - right.height))])
    report.rows_in(found[KEPT].height + found[REPAIRS].height + meant.height)
    for name, weight in config.categories.items():
        if weight:
            found[name] = right.filter(category=name)
    return {name: _by_draw(pool, config.seed, name) for name, pool in found.items()}


def _read(view: TableView | None) -> pl.DataFrame:
    columns = ("id", *CHAT)
    if view is None:
        return pl.DataFrame(schema={name: pl.Schema(SFT_SET.arrow)[name] for name in columns})
    return view.scan().select(columns).collect()


def _by_draw(pool: pl.DataFrame, seed: int, purpose: str) -> pl.DataFrame:
    draws = pl.Series("draw", [fraction(seed, purpose, row) for row in pool["id"]], pl.Float64)
    return pool.with_columns(draws).sort("draw", "id").drop("draw")


def _rows(pool: str, rows: pl.DataFrame) -> pl.DataFrame:
    source = pool if pool in KINDS else CORPUS
    return rows.with_columns(
        pl.Series("id", [row_id(source, row) for row in rows["id"]], pl.String),
        pl.concat_list("id", "problem").alias("parents"), pl.lit("all").alias("partition"),
        pl.lit(KINDS[source]).alias("kind"), pl.lit(source).alias("source"), pl.col("id").alias("row"),
    ).select(SFT_SET.arrow.names)  # fmt: skip


def _describe(config: JoinGeneralConfig, have: Mapping[str, int], rows: pl.DataFrame, report: Report) -> None:
    kinds = {kind: rows.filter(kind=kind).height for kind in KINDS.values()}
    for kind, count in kinds.items():
        report.metric(f"rows.{kind}", count)
    reasoning = kinds["reasoning"] + kinds["repair"]
    report.metric("reasoning_to_general", reasoning / max(kinds["general"], 1))
    for kind, missing in shortage(config, have, kinds).items():
        report.metric(f"short.{kind}", missing)
    counted = rows.group_by("kind", "source", "category", "language").agg(rows=pl.len()).sort(pl.all())
    report.table("mix", counted)


STAGE = Stage(
    name="join_general",
    version="1",
    reads=(KEPT, CORPUS, REPAIRS),
    writes="sft_set",
    config=JoinGeneralConfig,
    run=join_general,
)
