"""Labels against planted errors; repairs against arithmetic of the test's own."""

from __future__ import annotations

import itertools
import json
import random
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.curate import chain_steps
from tasks.curate.chain_steps import judge_chain
from tasks.curate.correct_lines import Corrected, correct_lines
from tasks.curate.families import FAMILIES
from tasks.curate.families.draft import NOTICES
from tasks.curate.label_steps import STAGE as LABEL
from tasks.curate.label_steps import LabelStepsConfig
from tasks.curate.make_problems import STAGE as MAKE
from tasks.curate.make_problems import MakeProblemsConfig
from tasks.curate.solutions import Solution, Style, work_out
from tasks.curate.write_repairs import STAGE as WRITE
from tasks.curate.write_repairs import WriteRepairsConfig
from tests.tasks.curate.made import Made, Notes, commit, run_stage
from tests.tasks.train.corpora_made import frame
from warehouse.ids import row_id

STYLES: tuple[Style, ...] = ("wrong", "repair", "steps", "full", "bare")
ARITHMETIC = ("running_sums", "differences")
LINE = re.compile(r"(\d+) ([-+*]) (\d+) = (-?\d+)")
PROBLEMS = MakeProblemsConfig(per_cell=4, weights={"code_functions": 0}, gym_per_cell=0, shards=2)


def rollout(problem: dict[str, Any], solution: Solution, place: int, number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": row_id(problem["id"], place, number), "parents": [problem["id"]], "partition": "all",
        "policy": "rigor-zero", "step": 5, "place": place, "sample": number, "problem": problem["id"],
        **{name: problem[name] for name in ("family", "level", "language", "prompt")}, "text": solution.text,
        "finish": "stop", "correct": solution.answer == problem["gold"],
    } | changes  # fmt: skip


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return run_stage(tmp_path_factory.mktemp("p"), MAKE, PROBLEMS)


@pytest.fixture(scope="module")
def written(problems: Made) -> list[tuple[dict[str, Any], Solution]]:
    """Rollouts as a policy would write them, and the solutions whose planted errors are known."""
    found, number = [], 0
    rows = problems.rows.filter(split="train").sort("id").to_dicts()
    for place, problem in enumerate(rows):
        family = FAMILIES.get(problem["family"])
        if family is None or family.work is None:
            continue
        for style in STYLES:
            rng = random.Random(f"{problem['id']}/{style}")
            solution = work_out(family, json.loads(problem["params"]), problem["language"], style, rng)
            if solution is not None:
                found.append((rollout(problem, solution, place, number), solution))
                number += 1
    return found


def labelled(folder: Path, rows: list[dict[str, Any]], problems: Made, **config: Any) -> Made:
    given = {"rollouts": commit(folder / "r", "rollouts", frame(rows, "rollouts")), "problems": problems.view}
    return run_stage(folder / "l", LABEL, LabelStepsConfig(**config), given)


def repaired(folder: Path, labels: Made, problems: Made, **config: Any) -> Made:
    given = {"step_labels": labels.view, "problems": problems.view}
    return run_stage(folder / "w", WRITE, WriteRepairsConfig(**config), given)


@pytest.fixture(scope="module")
def labels(
    written: list[tuple[dict[str, Any], Solution]], problems: Made, tmp_path_factory: pytest.TempPathFactory
) -> Made:
    return labelled(tmp_path_factory.mktemp("l"), [row for row, _ in written], problems)


def test_the_first_wrong_step_is_the_planted_one(written: list[tuple[dict[str, Any], Solution]], labels: Made) -> None:
    known = {row["id"]: (row, solution) for row, solution in written}
    assert len({solution.style for _, solution in written}) == 5
    for label in labels.rows.iter_rows(named=True):
        row, solution = known.pop(label["rollout"])
        assert label["first_wrong"] == solution.planted
        assert [i for i, v in enumerate(label["verdicts"]) if v == "wrong"] == (
            [] if solution.planted is None else [solution.planted]
        )
        assert (label["steps"], label["correct"]) == (list(solution.steps), row["correct"])
        if solution.planted is not None:
            assert label["claim"] in solution.steps[solution.planted]
            if found := LINE.fullmatch(label["claim"]):
                a, sign, b, _ = found.groups()
                assert (
                    int(label["expected"]) == {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}[sign]
                )
        else:
            assert (label["claim"], label["expected"], label["reason"]) == ("", "", "")
    assert {solution.style for _, solution in known.values()} == {"bare"}, "only answers without steps have no label"
    assert {r.row for r in labels.notes.rejected} == known.keys()


def test_shares_by_family_are_what_counting_gives(written: list[tuple[dict[str, Any], Solution]], labels: Made) -> None:
    wrong = [(row, solution) for row, solution in written if not row["correct"] and solution.style != "bare"]
    explained = [row for row, solution in wrong if solution.planted is not None]
    assert labels.notes.metrics["explained_share"] == pytest.approx(len(explained) / len(wrong))
    sums = [row["family"] for row, _ in wrong].count("running_sums")
    assert labels.notes.metrics["explained_share.running_sums"] == pytest.approx(
        [row["family"] for row in explained].count("running_sums") / sums
    )
    assert "first_wrong" in labels.notes.figures


def test_groups_are_drawn_whole_and_late_ones_alone(problems: Made, tmp_path: Path) -> None:
    problem = problems.rows.filter(family="running_sums", split="train", language="en").to_dicts()[0]
    said = [Solution("steps", (f"1 + {k} = {k + 1}",), "0") for k in range(4)]
    places = itertools.product(("rigor-zero", "rigor-reason"), (1, 8), range(5), range(4))
    rows = [rollout(problem, said[k], place, k, step=step, policy=policy, id=row_id(policy, step, place, k))
            for policy, step, place, k in places]  # fmt: skip
    made = labelled(tmp_path, rows, problems, groups=3, lowest_step=5)
    per = made.rows.join(pl.DataFrame([{"rollout": r["id"], "place": r["place"]} for r in rows]), on="rollout")
    assert set(per["step"]) == {8}
    assert per.group_by("policy").agg(pl.col("place").n_unique())["place"].to_list() == [3, 3]
    assert per.group_by("policy", "place").len()["len"].unique().to_list() == [4]
    assert {row.reject.reason: row.reject.count for row in made.notes.rejected} == {"not drawn": len(rows) - 24}


def holds(line: str) -> bool:
    """Arithmetic lines are true, by Python."""
    found = LINE.search(line)
    if found is None:
        return True
    a, sign, b, c = found.groups()
    return {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}[sign] == int(c)


@pytest.mark.parametrize("siblings", [True, False])
def test_repairs_are_one_error_noticed_and_a_right_answer(
    siblings: bool, written: list[tuple[dict[str, Any], Solution]], labels: Made, problems: Made, tmp_path: Path
) -> None:
    if not siblings:  # no right rollout to go on with
        alone = [row for row, solution in written if solution.style == "wrong" and row["family"] in ARITHMETIC]
        labels = labelled(tmp_path, alone, problems)
    made = repaired(tmp_path, labels, problems, per_problem=100)
    golds = dict(problems.rows.select("id", "gold").iter_rows())
    known = {row["id"]: solution for row, solution in written}
    assert made.rows.height > 0.9 * sum(row["family"] == "running_sums" and s.style == "wrong" for row, s in written)
    assert ("rollout" if siblings else "derived") in set(made.rows["continued"])
    assert siblings or "rollout" not in set(made.rows["continued"])
    for row in made.rows.iter_rows(named=True):
        wrong, solution = row["wrong_step"], known[row["rollout"]]
        assert row["steps"][: wrong + 1] == list(solution.steps[: wrong + 1])
        assert row["steps"][wrong + 1] in NOTICES[row["language"]]
        assert row["steps"][wrong + 2] != row["steps"][wrong]
        assert not judge_chain(row["prompt"], row["steps"][wrong + 2 :]).wrong
        if row["family"] in ARITHMETIC:
            assert [i for i, line in enumerate(row["steps"]) if "Verify" not in line and "检验" not in line
                    and not holds(line)] == [wrong]  # fmt: skip
            assert int(row["answer"]) == int(golds[row["problem"]])
    if not siblings:
        assert repaired(tmp_path / "again", labels, problems, per_problem=100).done.digest == made.done.digest
        assert repaired(tmp_path / "few", labels, problems, per_problem=100, limit=7).rows.height == 7


def chain(problem: dict[str, Any], number: int, lines: str, answer: str, **changes: Any) -> dict[str, Any]:
    return rollout(problem, Solution("steps", tuple(lines.split("; ")), answer), 0, number, **changes)


SUM = {
    "id": row_id("sum"), "family": "running_sums", "level": 2, "language": "en", "prompt": "3 + 4 + 5 = ?",
    "gold": "12", "category": "math", "split": "train", "checker": "math", "tests": "", "partition": "all",
}  # fmt: skip


@pytest.fixture
def one(tmp_path: Path) -> Made:
    view = commit(tmp_path / "p", "problems", frame([SUM], "problems"))
    return Made(view, None, None)  # type: ignore[arg-type]


def test_a_right_rollout_with_the_same_steps_before_is_gone_on_with(one: Made, tmp_path: Path) -> None:
    rows = [chain(SUM, 0, "3 + 4 = 7; 7 + 5 = 13", "13"), chain(SUM, 1, "5 + 4 = 9; 7 + 5 = 12", "12"),
            chain(SUM, 2, "3 + 4 = 7; 5 + 7 = 12", "12"),
            chain(SUM, 3, "3 + 4 = 7; 7 + 5 = 12; so it is 12", "12")]  # fmt: skip
    made = repaired(tmp_path, labelled(tmp_path, rows, one), one)
    (row,) = made.rows.to_dicts()
    assert (row["rollout"], row["wrong_step"], row["claim"]) == (rows[0]["id"], 1, "7 + 5 = 13")
    notice = row["steps"].pop(2)
    assert notice in NOTICES["en"]
    assert row["steps"] == ["3 + 4 = 7", "7 + 5 = 13", "7 + 5 = 12", "so it is 12"]
    assert (row["continued"], len(row["parents"])) == ("rollout", 3)
    other = repaired(tmp_path / "2", labelled(tmp_path / "2", rows[:3], one), one)
    assert other.rows["continued"].to_list() == ["derived"], "neither has the same steps before and puts this one right"


CANNOT = {
    "cut off, and no right rollout puts that step right": ("3 + 4 = 8; 8 + 5 =", "", {"finish": "length"}),
    "its error is no arithmetic": ("smallest of 3 4: 4; 4 + 5 = 9", "9", {}),
    "the chain doubts itself later on": ("3 + 4 = 8; Wait, that is wrong.; 8 + 5 = 13", "13", {}),
    "its answer does not follow from its steps": ("3 + 4 = 8; 9 + 1 = 10; Verify: 20 - 4 - 4 = 11", "11", {}),
    "its answer is not right": ("3 + 4 = 8; 8 + 6 = 14", "14", {}),
    "wrong, but no wrong step was found": ("3 + 4 = 7; 7 + 6 = 13", "13", {}),
    "right: nothing to repair": ("3 + 4 = 8; 3 + 4 + 5 = 12", "12", {}),
}


@pytest.mark.parametrize("reason", CANNOT)
def test_what_cannot_be_repaired_is_told_with_its_reason(reason: str, one: Made, tmp_path: Path) -> None:
    lines, answer, changes = CANNOT[reason]
    made = repaired(tmp_path, labelled(tmp_path, [chain(SUM, 0, lines, answer, **changes)], one), one)
    assert made.rows.height == 0
    assert [row.reject.reason for row in made.notes.rejected] == [reason]


def test_the_same_repair_is_written_once_and_few_a_problem(one: Made, tmp_path: Path) -> None:
    rows = [
        chain(SUM, k, f"3 + 4 = {8 + k // 2}; {8 + k // 2} + 5 = {13 + k // 2}", str(13 + k // 2)) for k in range(8)
    ]
    made = repaired(tmp_path, labelled(tmp_path, rows, one), one, per_problem=2)
    assert made.rows.height == 2
    assert made.rows["claim"].n_unique() + made.rows["steps_text"].n_unique() >= 3
    reasons = [row.reject.reason for row in made.notes.rejected for _ in range(row.reject.count)]
    assert len(reasons) == 6


def test_values_that_follow_from_the_error_are_carried_on() -> None:
    ways = list(correct_lines("8 - 8 + 20", ["8 + 20 = 29", "29 - 8 = 21", "so 21 is left"], 0, "21"))
    assert ways[0] == Corrected(("8 + 20 = 28", "28 - 8 = 20", "so 20 is left"), "20")


def test_any_number_of_processes_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_steps, "CHUNK_CHAINS", 3)
    chains = [(f"{k} + 4 = ?", (f"{k} + 4 = {k + 4 + k % 2}",)) for k in range(7)] * 2
    found = chain_steps.judge_chains(chains, 2, notes := Notes())
    assert found == chain_steps.judge_chains(chains, 1, Notes())
    assert [verdict.first_wrong for verdict in found] == [None, 0, None, 0, None, 0, None] * 2
    assert notes.worker_cpu_seconds > 0
