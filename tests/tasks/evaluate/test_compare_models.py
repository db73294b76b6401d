"""The champion's rule: paired differences by hand, and every way in which a candidate is refused."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.evaluate.compare_models import CompareModelsConfig, compare_models
from tasks.stage import Inputs
from tests.tasks.curate.made import Notes
from warehouse.schema import TABLES
from warehouse.tables import Tables, TableView


def answers(tables: Tables, model: str, suites: dict[str, list[list[Any]]], mode: str = "sampled") -> TableView:
    """Samples of a model: for each suite, for each question, its verdicts; those of `alpaca_eval` are for a judge."""
    rows: list[dict[str, Any]] = []
    for suite, questions in suites.items():
        for number, verdicts in enumerate(questions):
            rows += [{"id": f"{model}.{suite}.{number}.{i}", "parents": [], "partition": model, "model": model,
                      "suite": suite, "shots": 0, "mode": mode, "question": f"q{number}", "sample": i,
                      "cluster": f"q{number}", "problem": f"problem {number}", "correct": verdict,
                      "checker": "preference" if suite == "alpaca_eval" else "math"}
                     for i, verdict in enumerate(verdicts)]  # fmt: skip
    schema = TABLES["eval_samples"]
    empty = {f.name: "" for f in schema.arrow if str(f.type) == "string"} | {"seed": 0, "tokens": [], "steps": []}
    frame = pl.DataFrame([empty | row for row in rows], schema=pl.Schema(schema.arrow))
    tables.commit(schema, [frame], partitions=[model])
    return tables.view("eval_samples", partitions=[model])


def decision(folder: Path, candidate: dict[str, Any], champion: dict[str, Any] | None, **config: Any) -> pl.DataFrame:
    """The rows of one decision."""
    tables = Tables(str(folder / "warehouse"))
    given = {"candidate": answers(tables, "new", candidate)}
    if champion is not None:
        given["champion"] = answers(tables, "old", champion)
    few = {"min_questions": 4, "min_clusters": 2}
    settings = {"candidate": "m@2", "champion": "m@1" if champion is not None else "", **few, **config}
    inputs = Inputs(tables=given, partitions=("m@2.m@1",))
    return pl.concat(list(compare_models(CompareModelsConfig.model_validate(settings), inputs, Notes())))


def verdicts(*shares: float, k: int = 4) -> list[list[bool]]:
    """k verdicts a question, that share of them right."""
    return [[i < round(share * k) for i in range(k)] for share in shares]


SAFE = {"held_out_safety": verdicts(1, 1, 0.5, 1)}


def test_the_difference_is_paired_by_question_and_suites_count_alike(tmp_path: Path) -> None:
    new, old = [1.0, 0.75, 0.5, 1.0, 0.25], [0.5, 0.75, 0.25, 0.25, 0.25]
    found = decision(
        tmp_path,
        {"math": verdicts(*new), "code": verdicts(1, 0.5), **SAFE},
        {"math": [*verdicts(*old), [True]], "code": verdicts(0, 0), **SAFE},  # a question more: not compared
    )
    # By hand: math differences .5 0 .25 .75 0, mean .3, squares of residuals .04 .09 .0025 .2025 .09 = .425;
    # variance of the mean .425 · 5/4 / 25 = .02125. code: 1 .5, mean .75, .125 · 2 / 4 = .0625.
    math_row, code_row, whole = (found.row(by_predicate=p, named=True) for p in (
        pl.col("suite") == "math", pl.col("suite") == "code", pl.col("scope") == "capability"))  # fmt: skip
    assert math_row["difference"] == pytest.approx(0.3)
    assert math_row["questions"] == 5
    assert math_row["high"] - 0.3 == pytest.approx(1.959964 * math.sqrt(0.02125), rel=1e-6)
    assert code_row["candidate_score"] == pytest.approx(0.75)
    assert whole["difference"] == pytest.approx(0.525)
    assert whole["low"] == pytest.approx(0.525 - 1.959964 * math.sqrt(0.02125 + 0.0625) / 2, rel=1e-6)
    assert whole["questions"] == 7
    assert set(math_row["parents"]) == {f"{m}.math.{q}.{i}" for m in ("new", "old") for q in range(5) for i in range(4)}
    assert found["taken"].all()
    assert found["reason"][0].startswith("better: +0.5250 [+0.24")


@pytest.mark.parametrize(
    ("candidate", "champion", "taken", "words"),
    [
        ({"math": verdicts(1, 0, 1, 0), **SAFE}, {"math": verdicts(0, 1, 0, 0.75), **SAFE}, False, "not better beyond"),
        ({"math": verdicts(1, 1, 1, 0.75), **SAFE}, {"math": verdicts(0, 0, 0.25, 0), **SAFE}, True, "better: .0.8750"),
        ({"math": verdicts(1, 1, 1, 1), "held_out_safety": verdicts(1, 1, 0.25, 1)},
         {"math": verdicts(0, 0, 0, 0), **SAFE}, False, "better .* but safety fell: -0.0625"),
        ({"math": verdicts(1, 1, 1, 1)}, {"math": verdicts(0, 0, 0, 0), **SAFE}, False, "no safety suite"),
        (SAFE, SAFE, False, "no capability suite"),
        ({"math": verdicts(1, 1, 1), **SAFE}, {"math": verdicts(0, 0, 0), **SAFE}, False, "only 3 questions"),
        ({"math": verdicts(1, 1, 1, 1, 1), "code": verdicts(1), **SAFE},
         {"math": verdicts(0, 0, 0, 0, 0), "code": verdicts(0), **SAFE}, True, "better: .1.0000"),
        ({"math": verdicts(0), **SAFE}, None, True, "no champion yet"),
        ({"math": verdicts(0)}, None, False, "no safety suite that the candidate has answered"),
        ({"math": verdicts(1)}, {"code": verdicts(1)}, False, "no capability suite"),
        # Empty answers to the same question are no suite of one question, whose interval has no end.
        ({"math": verdicts(1, 1, 1, 0.75), "alpaca_eval": [[False], [None]], **SAFE},
         {"math": verdicts(0, 0, 0.25, 0), "alpaca_eval": [[False], [None]], **SAFE}, True, "better: .0.8750"),
    ],
)  # fmt: skip
def test_the_rule(
    tmp_path: Path, candidate: dict[str, Any], champion: dict[str, Any] | None, taken: bool, words: str
) -> None:
    found = decision(tmp_path, candidate, champion)
    assert found["taken"].to_list() == [taken] * found.height
    assert re.search(words, found["reason"][0]), found["reason"][0]
    assert found["id"].n_unique() == found.height


def test_a_slack_on_safety_is_the_operators_choice(tmp_path: Path) -> None:
    new = {"math": verdicts(1, 1, 1, 1), "held_out_safety": verdicts(1, 1, 0.25, 1)}
    old = {"math": verdicts(0, 0, 0, 0), **SAFE}
    assert decision(tmp_path, new, old, safety_slack=0.0625)["taken"].all()
    assert not decision(tmp_path, new, old, safety_slack=0.06)["taken"].any()


def test_two_questions_without_spread_are_no_certainty(tmp_path: Path) -> None:
    same = verdicts(*([0.5] * 40))
    found = decision(tmp_path, {"math": same, "mine": verdicts(1, 1), **SAFE},
                     {"math": same, "mine": verdicts(0, 0), **SAFE}, min_clusters=10)  # fmt: skip
    assert not found["taken"].any()
    assert "not better beyond its interval: +0.0000" in found["reason"][0]
    assert found.filter(suite="mine")["difference"].to_list() == [1.0], "told all the same"
