"""Stage order_curriculum: problems from easy to hard, in phases, with replay of earlier ones.

Difficulty is one minus the pass rate. Where the model has tried a problem, its own rate counts, pulled towards the
rate of its family and level, and that towards what the level alone says; so a level that the model finds easy moves
forward even if few of its problems were tried.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
from pydantic import Field

from tasks.curate.figures import bars
from tasks.stage import Inputs, Report, Stage, StageConfig
from warehouse.ids import row_ids


class OrderCurriculumConfig(StageConfig):
    """How problems are ordered, and which are left out."""

    splits: tuple[str, ...] = ("train",)
    """Splits to order."""
    families: tuple[str, ...] = ()
    """Families to order; none: all."""
    checkers: tuple[str, ...] = ()
    """Checkers to order the problems of; none: all."""
    phases: int = Field(4, ge=1, le=100)
    """Bands of difficulty, as equal in size as ties allow."""
    replay: float = Field(0.2, ge=0, lt=1)
    """Share of a phase's rows that are drawn from earlier phases."""
    problems: int = Field(0, ge=0, le=1 << 31)
    """Problems to take at most, an equal number of every family and level as far as there are; 0: all."""
    prior_attempts: float = Field(4.0, gt=0, le=1_000)
    """Attempts that a family and level's rate counts for beside a problem's own attempts."""
    drop_above: float = Field(1.0, ge=0, le=1)
    """Leave out problems whose own pass rate is above this (1: none): they give no gradient."""
    drop_below: float = Field(0.0, ge=0, le=1)
    """Leave out problems that were tried and whose own pass rate is below this (0: none)."""
    seed: int = Field(1, ge=0, lt=1 << 31)
    """Seed of the order within a phase and of the replay."""


def order(problems: pl.DataFrame, attempts: pl.DataFrame | None, config: OrderCurriculumConfig) -> pl.DataFrame:
    """Rows of `curriculum`.

    Args:
        problems: id, family, level, split and checker of the problems.
        attempts: problem and `correct` (0 to 1), one row an attempt; None: difficulty by level alone.
        config: see there.
    """
    chosen = problems.filter(
        pl.col("split").is_in(config.splits),
        pl.col("family").is_in(config.families) if config.families else pl.lit(True),
        pl.col("checker").is_in(config.checkers) if config.checkers else pl.lit(True),
    ).select("id", "family", "level")
    rated = _rate(chosen, attempts, config)
    if config.problems:
        rated = _balanced(rated, config)
    shuffled = rated.sort("id").sample(fraction=1.0, shuffle=True, seed=config.seed)
    ranked = shuffled.sort("difficulty", maintain_order=True).with_row_index("rank")
    # Equal difficulties stay in one phase: the band is decided by the lowest rank of the tie.
    band = (pl.col("rank").min().over("difficulty") * config.phases // max(ranked.height, 1)).cast(pl.Int16)
    ranked = ranked.with_columns(band.alias("phase"), pl.lit(False).alias("replay"))
    phases = []
    for phase in sorted(ranked["phase"].unique()):
        fresh = ranked.filter(pl.col("phase") == phase)
        earlier = ranked.filter(pl.col("phase") < phase)
        count = min(round(fresh.height * config.replay / (1 - config.replay)), earlier.height)
        again = earlier.sample(count, seed=config.seed + int(phase)).with_columns(
            pl.lit(phase, pl.Int16).alias("phase"), pl.lit(True).alias("replay")
        )
        mixed = pl.concat([fresh, again]) if count else fresh
        phases.append(mixed.sample(fraction=1.0, shuffle=True, seed=config.seed + 1_000 + int(phase)))
    ordered = pl.concat(phases) if phases else ranked
    return _rows(ordered)


def _rate(problems: pl.DataFrame, attempts: pl.DataFrame | None, config: OrderCurriculumConfig) -> pl.DataFrame:
    """`problems` with pass_rate (null: never tried) and difficulty, without those too easy or too hard."""
    if attempts is None:
        attempts = pl.DataFrame(schema={"problem": pl.String, "correct": pl.Float64})
    tried = attempts.group_by("problem").agg(
        pl.col("correct").cast(pl.Float64).mean().alias("pass_rate"), pl.len().alias("tries")
    )
    own = problems.join(tried, left_on="id", right_on="problem", how="left").with_columns(pl.col("tries").fill_null(0))
    top = pl.col("level").max().over("family")
    prior = 1 - pl.col("level") / (top + 1)
    passes = pl.col("pass_rate").fill_null(0.0) * pl.col("tries")
    cell = ["family", "level"]
    weight = config.prior_attempts
    level_rate = (passes.sum().over(cell) + weight * prior) / (pl.col("tries").sum().over(cell) + weight)
    rate = (passes + weight * level_rate) / (pl.col("tries") + weight)
    rated = own.with_columns((1 - rate).round(6).alias("difficulty"))
    return rated.filter(
        pl.col("pass_rate").is_null()
        | ((pl.col("pass_rate") <= config.drop_above) & (pl.col("pass_rate") >= config.drop_below))
    )


def _balanced(rated: pl.DataFrame, config: OrderCurriculumConfig) -> pl.DataFrame:
    """`config.problems` rows at most, dealt to the families and levels in turn."""
    shuffled = rated.sort("id").sample(fraction=1.0, shuffle=True, seed=config.seed)
    turn = pl.int_range(pl.len()).over("family", "level").alias("turn")
    return shuffled.with_columns(turn).sort("turn", "family", "level").head(config.problems).drop("turn")


def _rows(ordered: pl.DataFrame) -> pl.DataFrame:
    placed = ordered.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("position"))
    ids = row_ids(placed["phase"], placed["position"], placed["id"])
    return placed.select(
        pl.Series("id", ids, pl.String),
        pl.concat_list("id").alias("parents"),
        pl.lit("all").alias("partition"),
        "phase",
        "position",
        pl.col("id").alias("problem"),
        "family",
        "level",
        "difficulty",
        "pass_rate",
        "replay",
    )


def order_curriculum(config: OrderCurriculumConfig, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    """Yield the curriculum of `problems`; the input `attempts` (columns problem, correct) is optional."""
    problems = inputs.tables["problems"].scan().select("id", "family", "level", "split", "checker").collect()
    tries = inputs.tables.get("attempts")
    rows = order(problems, None if tries is None else tries.scan().select("problem", "correct").collect(), config)
    fresh = rows.filter(~pl.col("replay"))
    report.metric("problems", fresh.height)
    report.metric("replayed_share", int(rows["replay"].sum()) / max(rows.height, 1))
    report.metric("tried_share", fresh["pass_rate"].count() / max(fresh.height, 1))
    by_phase = rows.group_by("phase").agg(
        pl.len().alias("rows"),
        pl.col("replay").sum().alias("replayed"),
        pl.col("difficulty").mean().round(4).alias("mean_difficulty"),
        pl.col("family").n_unique().alias("families"),
    )
    report.table("phases", by_phase.sort("phase"))
    report.figure(
        "difficulty_by_phase", bars(by_phase.sort("phase"), "phase", "mean_difficulty", "Difficulty by phase")
    )
    yield rows


STAGE = Stage(
    name="order_curriculum",
    version="1",
    reads=("problems",),
    writes="curriculum",
    config=OrderCurriculumConfig,
    run=order_curriculum,
    reconciles=False,
)
