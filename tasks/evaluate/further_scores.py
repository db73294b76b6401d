"""Scores of suites whose answers are not right or wrong as a whole: IFEval's four accuracies, and win rates.

| metric | what it is |
|-|-|
| prompt_level_strict_acc, prompt_level_loose_acc | share of answers that follow all instructions of their prompt |
| inst_level_strict_acc, inst_level_loose_acc | share of all instructions that are followed |
| win_rate | mean points against the baseline, ties half |
| length_controlled_win_rate | what it would be at equal lengths (AlpacaEval 2); the interval by bootstrap |
| weighted_win_rate | with a clear preference counted three times, and its bootstrap (Arena-Hard) |
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from tasks.curate.check_answer import answer_part
from tasks.evaluate.instructions import followed
from tasks.evaluate.preferences import Game, arena_hard_win_rate, length_controlled_interval
from tasks.evaluate.statistics import Interval, mean_interval

Row = dict[str, Any]


def instruction_scores(answers: pl.DataFrame) -> Iterator[Row]:
    """IFEval's accuracies, clustered by question.

    Args:
        answers: `id`, `question`, `cluster`, `gold`, `response` of one suite's answers in one mode.
    """
    found: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for (_, cluster), part in answers.group_by("question", "cluster", maintain_order=True):
        asked = [followed(gold, answer_part(text)) for gold, text in part.select("gold", "response").iter_rows()]
        for name, place in (("strict", 0), ("loose", 1)):
            verdicts = np.array([both[place] for both in asked])  # answers × instructions
            found.setdefault(("prompt", name), []).append((str(cluster), float(verdicts.all(1).mean())))
            found.setdefault(("inst", name), []).extend((str(cluster), float(x)) for x in verdicts.mean(0))
    for (level, name), values in found.items():
        interval = mean_interval([value for _, value in values], [cluster for cluster, _ in values])
        yield _row(f"{level}_level_{name}_acc", interval, answers["question"].n_unique(), answers["id"].to_list())


def preference_scores(judgements: pl.DataFrame) -> Iterator[Row]:
    """Win rates of one suite's rows of `eval_judgements`."""
    questions = judgements.group_by("question", maintain_order=True).agg(
        pl.col("cluster").first(), pl.col("points", "length", "baseline_length").mean()
    )
    clusters = questions["cluster"].to_list()
    controlled = length_controlled_interval(
        questions["points"].to_numpy(), questions["length"].to_numpy(), questions["baseline_length"].to_numpy(),
        clusters,
    )  # fmt: skip
    games = [Game(*game) for game in judgements.select("verdict", "model_first").iter_rows()]
    for name, interval in (
        ("win_rate", mean_interval(questions["points"].to_numpy(), clusters)),
        ("length_controlled_win_rate", _share(controlled)),
        ("weighted_win_rate", _share(arena_hard_win_rate(games))),
    ):
        yield _row(name, interval, questions.height, judgements["id"].to_list())


def _share(percent: Interval) -> Interval:
    return Interval(*(value / 100 for value in percent))


def _row(name: str, found: Interval, questions: int, parents: list[str]) -> Row:
    return {"metric": name, "value": found.value, "low": found.low, "high": found.high, "questions": questions,
            "samples": len(parents), "parents": parents}  # fmt: skip
