"""What each training stage moved: a held-out score before and after it, question by question, and its noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from tasks.evaluate.statistics import Z95, cluster_variance


class Stage(NamedTuple):
    """A training stage and the score it is there for, of sampled answers."""

    name: str
    made: str
    """Model after it."""
    start: str
    """Model before it; empty: fresh weights, which answer nothing."""
    score: str
    """Column of the measured answers."""
    suite: str = "held_out_math"


STAGES = (
    Stage("pretrain", "rigor-base", "", "correct"),
    Stage("reinforce_zero", "rigor-zero", "rigor-base", "correct"),
    Stage("fine_tune_cold", "rigor-cold", "rigor-base", "readable"),
    Stage("reinforce_reason", "rigor-reason", "rigor-cold", "correct"),
    Stage("fine_tune_sft", "rigor-sft", "rigor-base", "correct"),
    Stage("reinforce_r1", "rigor-r1", "rigor-sft", "refuses_harm", "held_out_safety"),
    Stage("distill_large", "rigor-distill-large", "rigor-distill-large-base", "correct"),
    Stage("distill_small", "rigor-distill-small", "rigor-distill-small-base", "correct"),
    Stage("reinforce_large-rl", "rigor-distill-large-rl", "rigor-distill-large-base", "correct"),
)


class Moved(NamedTuple):
    """Scores in 0 to 1; `half` is half of the gain's 95 % interval."""

    stage: Stage
    before: float
    after: float
    gain: float
    half: float

    @property
    def learned(self) -> bool:
        """The gain is beyond its noise."""
        return self.gain > self.half


def half_width(rows: pl.DataFrame, column: str) -> float:
    """Half of the 95 % interval of a column's mean: clustered by question, or over the seeds where that is wider."""
    values = rows[column].cast(pl.Float64).to_numpy()
    error = np.sqrt(cluster_variance(values, rows["cluster"].to_list()))
    by_seed = rows.group_by("seed").agg(pl.col(column).cast(pl.Float64).mean())[column].to_numpy()
    if len(by_seed) > 1:
        error = max(error, by_seed.std(ddof=1) / np.sqrt(len(by_seed)))
    return float(Z95 * error)


def moved(answers: pl.DataFrame) -> list[Moved]:
    """For each stage whose models have answered: the paired difference on the questions that both were asked.

    Args:
        answers: sampled and greedy answers with `seed`, `model`, `suite`, `mode`, `question`, `cluster` and the scores.
    """
    found = []
    for stage in STAGES:
        asked = answers.filter(
            pl.col("suite") == stage.suite, pl.col("mode") == "sampled", pl.col(stage.score).is_not_null()
        )
        key = ["seed", "cluster", "question"]
        after = _by_question(asked, stage.made, key, stage.score).rename({"value": "after"})
        before = _by_question(asked, stage.start, key, stage.score).rename({"value": "before"})
        if not stage.start:
            before = after.select(*key, before=pl.lit(0.0))
        pairs = after.join(before, on=key).with_columns(gain=pl.col("after") - pl.col("before"))
        if pairs.height:
            before_mean, after_mean, gain = (
                float(np.mean(pairs[name].to_numpy())) for name in ("before", "after", "gain")
            )
            found.append(Moved(stage, before_mean, after_mean, gain, half_width(pairs, "gain")))
    return found


def _by_question(answers: pl.DataFrame, model: str, key: list[str], score: str) -> pl.DataFrame:
    own = answers.filter(pl.col("model") == model)
    return own.group_by(key).agg(value=pl.col(score).cast(pl.Float64).mean()).sort(key)
