"""A judge over HTTP: both orders, what is asked again, what is refused, and win rates worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.evaluate.judge_against_baseline import (
    NO_VERDICT,
    JudgeAgainstBaselineConfig,
    judge_against_baseline,
)
from tasks.evaluate.sample_answers import Server
from tasks.evaluate.score_answers import ScoreAnswersConfig, score_answers
from tasks.stage import Inputs
from tests.tasks.curate.made import Notes
from tests.tasks.evaluate.judge_made import by_worth, judge
from tests.tasks.train.corpora_made import frame
from warehouse.ids import row_id
from warehouse.schema import TABLES
from warehouse.schema_eval import EVAL_JUDGEMENTS
from warehouse.tables import Tables, TableView

GOLDS = ["worth 1", "worth 3", "worth 3", "worth 20", "worth 5"]
ANSWERS = ["worth 9", "<think>\n90\n</think>\nworth 5", "worth 3", "worth 10", "<think>\nworth 99, and"]
"""Against these golds: a clear win, a win (its thinking is not shown), a tie, a clear loss, no answer."""


def rows(answers: list[str], golds: list[str], model: str = "tiny", mode: str = "sampled") -> list[dict[str, Any]]:
    return [
        {"id": row_id(model, mode, text, i), "parents": [], "partition": f"{model}.arena", "model": model,
         "suite": "arena", "shots": 0, "mode": mode, "question": f"q{i}", "sample": 0, "cluster": f"q{i}",
         "family": "", "level": "", "problem": f"How much is {i}?", "gold": gold, "checker": "preference",
         "response": text, "tokens": [1], "finish": "stop", "answer": text, "correct": None, "steps": []}
        for i, (text, gold) in enumerate(zip(answers, golds, strict=True))
    ]  # fmt: skip


def table(folder: Path, told: list[dict[str, Any]], name: str = "eval_samples") -> TableView:
    made, rows_ = Tables(str(folder)), frame(told, name)
    made.commit(TABLES[name], [rows_], partitions=rows_["partition"].unique().to_list())
    return made.view(name)


def judged(
    folder: Path, server: Server, tables: dict[str, TableView], work: str = "work", **config: Any
) -> tuple[pl.DataFrame, Notes]:
    settings, notes = JudgeAgainstBaselineConfig(server=server, **config), Notes()
    inputs = Inputs(tables=tables, partitions=("tiny.arena",), work=folder / work)
    found = pl.concat(list(judge_against_baseline(settings, inputs, notes)))
    assert notes.read == found.height + sum(row.reject.count for row in notes.rejected)
    return found, notes


def scores(folder: Path, tables: dict[str, TableView]) -> dict[str, tuple[float, int, int]]:
    notes = Notes()
    found = pl.concat(list(score_answers(ScoreAnswersConfig(), Inputs(tables=tables, partitions=("tiny",)), notes)))
    Tables(str(folder / "scores")).commit(TABLES["evals"], [found], partitions=["tiny"])
    assert {f"arena.{metric}" for metric in found["metric"]} == notes.metrics.keys()
    return {row["metric"]: (row["value"], row["questions"], row["samples"]) for row in found.iter_rows(named=True)}


def test_win_rates_by_hand(tmp_path: Path) -> None:
    samples = table(tmp_path, [*rows(ANSWERS, GOLDS), *rows(["worth 0"] * 5, GOLDS, mode="greedy")])
    with judge(by_worth, failures=3) as (server, asked):
        found, notes = judged(tmp_path, server, {"eval_samples": samples})
    assert found.columns == EVAL_JUDGEMENTS.arrow.names
    assert notes.rejected == []
    # Four answers in both orders; the one that never ends its thinking loses unasked, the greedy ones are not asked.
    assert len(asked) == 8
    assert {(a, b) for a, b, _ in asked} >= {("worth 5", "worth 3"), ("worth 3", "worth 5")}
    told = found.sort("question", "model_first").group_by("question", maintain_order=True).agg("verdict", "points")
    assert told["verdict"].to_list() == [
        ["B>>A", "A>>B"], ["B>A", "A>B"], ["A=B", "A=B"], ["A>>B", "B>>A"], ["A>>B", "B>>A"]
    ]  # fmt: skip
    assert told["points"].to_list() == [[1, 1], [1, 1], [0.5, 0.5], [0, 0], [0, 0]]
    assert found.filter(question="q4")["reason"].to_list() == ["no answer"] * 2
    assert found.filter(question="q1")["length"].to_list() == [len("worth 5")] * 2
    assert found.filter(question="q4")["length"].to_list() == [0, 0]
    Tables(str(tmp_path)).commit(EVAL_JUDGEMENTS, [found], partitions=["tiny.arena"])
    got = scores(tmp_path, {"eval_samples": samples, "eval_judgements": Tables(str(tmp_path)).view("eval_judgements")})
    assert got["win_rate"] == (pytest.approx(2.5 / 5), 5, 10)
    # Clear wins and losses count three times: 2·3 + 2 + 2·½ won of 2·3 + 2 + 2 + 2·3 + 2·3 games.
    assert got["weighted_win_rate"] == (pytest.approx(9 / 22), 5, 10)
    assert 0 < got["length_controlled_win_rate"][0] < 1
    assert not {"pass@1", "greedy", "cons@1"} & got.keys(), "these answers have no verdict of their own"


@pytest.mark.parametrize(("answer", "rate"), [("worth 99", 1), ("worth 0", 0), ("", 0), ("<think>\nworth 99", 0)])
def test_the_best_wins_all_and_empty_and_wrong_answers_nothing(answer: str, rate: float, tmp_path: Path) -> None:
    samples = table(tmp_path, rows([answer] * 5, GOLDS))
    with judge(by_worth) as (server, _):
        found, _ = judged(tmp_path, server, {"eval_samples": samples})
    Tables(str(tmp_path)).commit(EVAL_JUDGEMENTS, [found], partitions=["tiny.arena"])
    got = scores(tmp_path, {"eval_samples": samples, "eval_judgements": Tables(str(tmp_path)).view("eval_judgements")})
    assert (got["win_rate"][0], got["weighted_win_rate"][0]) == (rate, rate)
    assert got["length_controlled_win_rate"][0] == pytest.approx(rate, abs=0.05)


def test_a_judge_who_likes_the_first_place_says_nothing(tmp_path: Path) -> None:
    samples = table(tmp_path, rows(ANSWERS[:4], GOLDS[:4]))
    with judge(lambda *_: "[[A>>B]]") as (server, _):
        found, _ = judged(tmp_path, server, {"eval_samples": samples})
    assert found.group_by("question").agg(pl.col("points").mean())["points"].to_list() == [0.5] * 4


def test_unreadable_verdicts_are_asked_again_and_then_quarantined(tmp_path: Path) -> None:
    samples = table(tmp_path, rows(["worth 9", "worth 8", "worth 7"], GOLDS[:3]))

    def says(a: str, b: str, temperature: float) -> str:
        if "worth 8" in a:
            return "[[A>B]] or [[B>A]], who knows"
        if "worth 9" in (a, b) and temperature == 0:
            return "<think>[[A>B]]"
        return by_worth(a, b, temperature)

    with judge(says) as (server, asked):
        found, notes = judged(tmp_path, server, {"eval_samples": samples}, attempts=3)
        assert len(asked) == 6 + 3 + 1
        assert [t for a, b, t in asked if a == "worth 8"] == [0, 1, 1]
        assert found.height == 4, "the other order of q1 says who stood first, and no more"
        assert [row.reject.reason for row in notes.rejected] == [NO_VERDICT] * 2
        assert notes.rejected[0].reject.detail == "[[A>B]] or [[B>A]], who knows"
        assert {row.row for row in notes.rejected} == {samples.scan().filter(question="q1").collect()["id"][0]}
        # A killed call keeps what was paid for, and says the same of it.
        again, noted = judged(tmp_path, server, {"eval_samples": samples}, attempts=3)
        assert len(asked) == 10
    assert again.equals(found)
    assert noted.rejected == notes.rejected


def test_a_model_as_the_baseline(tmp_path: Path) -> None:
    """Arena-Hard's file holds no answers: another model's stand against; a question it did not answer is refused."""
    samples = table(tmp_path / "a", rows(["worth 9", "worth 1", "worth 1"], [""] * 3))
    baseline = table(tmp_path / "b", rows(["worth 2", "<think>\nworth 3"], [""] * 2, model="base"))
    with judge(by_worth) as (server, _):
        found, notes = judged(tmp_path, server, {"eval_samples": samples, "baseline": baseline}, baseline="base")
    assert found.select("question", "points", "baseline", "reason").unique(maintain_order=True).rows() == [
        ("q0", 1, "base", "judged"), ("q1", 1, "base", "no answer")
    ]  # fmt: skip
    ids = {name: view.scan().collect()["id"].to_list() for name, view in (("own", samples), ("base", baseline))}
    assert found["parents"][0].to_list() == [ids["own"][0], ids["base"][0]]
    assert [(r.row, r.reject.count) for r in notes.rejected] == [(ids["own"][2], 2)]


def test_judgements_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    samples = table(tmp_path, rows(ANSWERS, GOLDS))
    with judge(by_worth) as (server, _):
        many, _ = judged(tmp_path, server, {"eval_samples": samples}, work="many")
        few, _ = judged(tmp_path, server, {"eval_samples": samples}, work="few", batch_judgements=2)
    assert many.equals(few)
