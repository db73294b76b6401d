"""Solutions written and checked: planted errors found where they are, everything else quarantined with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.curate.check_answer import answer_part
from tasks.curate.check_solutions import STAGE as CHECK
from tasks.curate.check_solutions import CheckSolutionsConfig
from tasks.curate.make_problems import STAGE as MAKE
from tasks.curate.make_problems import MakeProblemsConfig
from tasks.curate.write_solutions import STAGE as WRITE
from tasks.curate.write_solutions import WriteSolutionsConfig
from tasks.grade.format import check_format
from tests.tasks.curate.made import Made, commit, run_stage

PROBLEMS = MakeProblemsConfig(per_cell=5, weights={"code_functions": 0}, gym_per_cell=0, shards=4)
SOLUTIONS = WriteSolutionsConfig(full=1.0, repair=2.0, wrong=2.0)


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return run_stage(tmp_path_factory.mktemp("p"), MAKE, PROBLEMS)


@pytest.fixture(scope="module")
def written(problems: Made, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return run_stage(tmp_path_factory.mktemp("s"), WRITE, SOLUTIONS, {"problems": problems.view})


@pytest.fixture(scope="module")
def checked(written: Made, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return run_stage(tmp_path_factory.mktemp("c"), CHECK, CheckSolutionsConfig(), {"solutions": written.view})


def test_every_style_at_every_level(problems: Made, written: Made) -> None:
    rows = written.rows
    assert set(rows["problem"]) <= set(problems.rows.filter(split="train")["id"])
    worked = rows.filter(pl.col("style") != "reference").group_by("family", "level").agg(pl.col("style").unique())
    full = worked.filter(
        pl.col("style").list.set_intersection(["bare", "steps", "full", "repair", "wrong"]).list.len() == 5
    )
    assert full["family"].n_unique() >= 18
    assert full.filter(level=1)["family"].n_unique() >= 18
    for row in rows.sample(300, seed=2).iter_rows(named=True):
        solution = row["text"].removeprefix(row["prompt"]).strip()
        assert answer_part(solution) == row["answer"]
        if row["style"] not in ("bare", "reference") and row["steps"]:
            verdict = check_format(solution)
            assert verdict.ok, verdict.problem
            assert verdict.thinking.split("\n") == row["steps"]
        if row["style"] == "full":
            assert row["steps"][0].startswith(("Understand: ", "理解："))
            assert row["steps"][1].startswith(("Break down: ", "分解："))


def test_nothing_is_quarantined_and_every_planted_error_is_found(written: Made, checked: Made) -> None:
    assert checked.notes.rejected == []
    rows = checked.rows
    assert rows.height == written.rows.height
    planted = rows.filter(pl.col("planted").is_not_null())
    assert planted.height > 800
    assert (planted["first_wrong"] == planted["planted"]).all()
    assert rows.filter(pl.col("planted").is_null())["first_wrong"].is_null().all()
    assert (rows["correct"] == (rows["style"] != "wrong")).all()
    assert rows.filter(pl.col("style").is_in(["steps", "full", "repair"]))["steps_checked"].min() >= 1  # type: ignore[operator]


def test_the_share_of_wrong_ones_in_pretraining(checked: Made, written: Made, tmp_path: Path) -> None:
    rows = checked.rows
    assert rows.filter(pl.col("correct"))["pretrain"].all()
    wrong = rows.filter(~pl.col("correct"), pl.col("planted").is_not_null())
    assert 0.05 < wrong["pretrain"].sum() / wrong.height < 0.16
    assert not rows.filter(~pl.col("correct"), pl.col("planted").is_null())["pretrain"].any()
    none = run_stage(tmp_path, CHECK, CheckSolutionsConfig(wrong_share=0), {"solutions": written.view})
    assert none.rows.filter(pl.col("pretrain"))["correct"].all()


def test_report_of_biases(checked: Made) -> None:
    notes = checked.notes
    assert set(notes.figures) == {"characters_by_family", "length_by_family", "frequent_answers"}
    biases = notes.tables["biases"]
    used = checked.rows.filter(pl.col("pretrain"))
    assert dict(biases.select("family", "rows").rows()) == dict(used.group_by("family").len().rows())
    sums = used.filter(family="running_sums")["answer"].value_counts().sort("count", descending=True)
    shown = biases.filter(family="running_sums").row(0, named=True)
    assert shown["its_share"] == pytest.approx(sums["count"][0] / sums["count"].sum(), abs=1e-4)
    assert notes.metrics["checked_ok_share"] == 1.0
    assert notes.metrics["pretrain_rows"] == used.height


def bump_last_digit(text: str) -> str:
    digit = max(i for i, c in enumerate(text) if c.isdigit())
    return text[:digit] + str((int(text[digit]) + 1) % 10) + text[digit + 1 :]


def test_what_is_not_as_it_claims_is_quarantined(written: Made, tmp_path: Path) -> None:
    """Six kinds of tampering, each with its own reason."""
    rows = written.rows.filter(family="running_sums", level=3, language="en")
    steps, repair, wrong = (rows.filter(style=style).row(0, named=True) for style in ("steps", "repair", "wrong"))
    at = repair["planted"]

    def changed(row: dict[str, Any], name: str, **values: Any) -> dict[str, Any]:
        return {**row, **values, "id": name}

    broken = [*steps["steps"][:-1], bump_last_digit(steps["steps"][-1])]
    other = next(i for i, line in enumerate(wrong["steps"]) if " = " in line and i != wrong["planted"])
    twice = [bump_last_digit(line) if i == other else line for i, line in enumerate(wrong["steps"])]
    healed = [line for i, line in enumerate(repair["steps"]) if i != at]
    cases = [
        (changed(steps, "1", steps=broken), "a step is wrong"),
        (changed(steps, "2", answer=bump_last_digit(steps["answer"])), "the answer is wrong"),
        (changed(steps, "3", steps=["It is easy.", "So we are done."]), "no step could be checked"),
        (changed(repair, "4", steps=healed), "the planted error was not found"),
        (changed(wrong, "5", steps=twice), "a step is wrong"),
        (changed(wrong, "6", answer=wrong["gold"]), "meant to be wrong, but the answer is right"),
        (changed(steps, "7"), ""),
    ]
    frame = pl.DataFrame([case for case, _ in cases], schema=written.rows.schema)
    made = run_stage(
        tmp_path / "out", CHECK, CheckSolutionsConfig(), {"solutions": commit(tmp_path, "solutions", frame)}
    )
    assert {r.row: r.reject.reason for r in made.notes.rejected} == {
        case["id"]: reason for case, reason in cases if reason
    }
    assert made.rows["id"].to_list() == ["7"]


def test_code_is_run(tmp_path: Path) -> None:
    config = MakeProblemsConfig(
        families=("code_functions",), per_cell=2, gym_per_cell=0, languages=("en",), max_level=2
    )
    problems = run_stage(tmp_path / "p", MAKE, config)
    given = {"problems": problems.view}
    written = run_stage(tmp_path / "s", WRITE, WriteSolutionsConfig(wrong=1.0), given)
    made = run_stage(tmp_path / "c", CHECK, CheckSolutionsConfig(), {"solutions": written.view})
    if {r.reject.reason for r in made.notes.rejected} == {"no sandbox to run the program in"}:
        pytest.skip(made.notes.rejected[0].reject.detail)
    assert made.notes.rejected == []
    assert dict(made.rows.group_by("style").agg(pl.col("correct").all()).rows()) == {"reference": True, "wrong": False}


def test_same_bytes_for_any_workers(problems: Made, written: Made, checked: Made, tmp_path: Path) -> None:
    again = run_stage(tmp_path / "s", WRITE, SOLUTIONS, {"problems": problems.view}, workers=2)
    assert again.done.digest == written.done.digest
    again = run_stage(tmp_path / "c", CHECK, CheckSolutionsConfig(), {"solutions": again.view}, workers=2)
    assert again.done.digest == checked.done.digest
