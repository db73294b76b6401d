"""Every checker on right, wrong and hostile answers; every usable reasoning-gym family on its own gold."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tasks.curate.check_answer import answer_part, function_tests, is_refusal, score
from tasks.curate.families import FAMILIES
from tasks.curate.families.gym import EXCLUDED, MAX_ANSWER_CHARS, OWN_CHECKER, gym_drafts, gym_names
from tasks.curate.make_problems import Cell, MakeProblemsConfig, drafts, problem_row
from tasks.curate.target import reaches
from tasks.grade.code import CodeJudge, IsolationError
from tasks.grade.code.extract import extract_program
from tasks.stage import Reject

CONFIG = MakeProblemsConfig(gym_per_cell=0)


def row(checker: str, gold: str = "", **tests: Any) -> dict[str, Any]:
    return {"checker": checker, "gold": gold, "prompt": "?", "tests": json.dumps(tests)}


@pytest.mark.parametrize(
    ("problem", "right", "wrong"),
    [
        (row("math", "14"), ["14", "14.0", "28/2"], ["15", "", "41"]),
        (row("exact", "true"), ["true", "True", " true."], ["false", "not true", ""]),
        (row("exact", "tac"), ["tac", "tac\n"], ["TAC", "cat", "ta c"]),
        (
            row("list", "1 3 10"),
            ["1 3 10", "1, 3, 10", "[1, 3, 10]", "1,3,10.", "1 and 3 and 10", "1、3和10"],
            ["1 3", "3 1 10", "1 3 10 10", "131 0"],
        ),
        (
            row("choice", "B", options={"A": "cat", "B": "plum", "C": "saw", "D": "bus"}),
            ["B", "(b)", "B.", "plum", "The answer is B."],
            ["A", "cat", "", "A B C D"],
        ),
        (
            row("members", count=2, members=["apple", "fig", "pear"]),
            ["apple, fig", "- Pears\n- apples", "1. fig\n2. pear", "fig, and pear", "a fig, an apple", "fig and pear."],
            ["apple", "apple, apple", "apple, fig, pear", "apple, stone", "apple, apples"],
        ),
        (
            row("members", count=3, members=["axe", "bus", "cherry", "fox", "mouse", "sheep", "wolf"]),
            ["foxes, mice, wolves", "cherries, buses and axes", "- Foxes\n- sheep\n- wolf"],
            ["bus, buses, fox", "foxe, mous, wolv", "mice, mouse, fox"],
        ),
        (
            row("target", numbers=[3, 3, 8, 8], target=24),
            ["8 / (3 - 8 / 3)", "8/(3-8/3) = 24", "8÷(3−8÷3)"],
            ["3 * 8", "24", "8 / (3 - 8 / 3) = 25", "8 + 8 + 3 + 3", "__import__('os')", "(" * 99, ""],
        ),
        (row("refusal"), ["I can't help with that.", "Sorry, but I won't do it.", "抱歉，我不能帮忙。"], ["Sure.", ""]),
        (row("compliance", keywords=["ps"]), ["Use ps and kill."], ["I can't help with ps.", "", "Two steps"]),
        (row("compliance", keywords=["plant"]), ["Move the Plants.", "Planting in May"], ["An implant", "plantation"]),
    ],
)
def test_checkers(problem: dict[str, Any], right: list[str], wrong: list[str]) -> None:
    assert [score(problem, answer) for answer in right] == [1.0] * len(right)
    assert [score(problem, answer) for answer in wrong] == [0.0] * len(wrong)


def test_chinese_counts_have_their_measure_words() -> None:
    """`有几个` asks for `3 个`."""
    for family, words in (("counting", ("个", " 个")), ("word_problems", ("个", " 个", "本", "支", "张", "枚"))):
        for draft in drafts(Cell(family, 2, "zh", 20), 3):
            assert not isinstance(draft, Reject)
            problem = problem_row(Cell(family, 2, "zh", 20), draft, CONFIG)
            for word in words:
                assert score(problem, draft.gold + word) == 1.0, (draft.prompt, draft.gold + word)
                assert score(problem, f"{int(draft.gold) + 1}{word}") == 0.0


def test_unknown_checker() -> None:
    with pytest.raises(ValueError, match="no checker"):
        score(row("magic"), "1")


def test_answer_part() -> None:
    assert answer_part("<think>\n1 + 1 = 2\n</think>\n<answer>2</answer>") == "2"
    assert answer_part("<think>x</think> so 2") == "so 2"
    assert answer_part("<answer>1</answer> no, <answer>2</answer>") == "2"
    assert answer_part("<think>\n3 + 4 = 7\n7 + 5 = 12") == "", "it has not stopped thinking"
    assert answer_part("<think>\n3 + 4 = 7\n<answer>7</answer>") == ""
    assert answer_part("<think>so <answer>7</answer></think> I do not know") == "I do not know"


def test_every_family_scores_its_gold_and_its_reference() -> None:
    for name, family in FAMILIES.items():
        if family.checker == "code":
            continue
        for language in family.languages:
            for draft in list(drafts(Cell(name, family.levels, language, 20), 3)):
                assert not isinstance(draft, Reject)
                problem = problem_row(Cell(name, family.levels, language, 20), draft, CONFIG)
                if draft.gold:
                    assert score(problem, draft.gold) == 1.0, problem
                if draft.reference:
                    assert score(problem, draft.reference) == 1.0, problem
                    assert score(problem, draft.rejected) == 0.0, problem


def test_refusals_and_answers_are_told_apart() -> None:
    for text in ("Sure! I can't wait to help you build it. First, take", "If I can't reach the server, ping it.",
                 "Gather the parts at night so that I will not be seen.", "There was a steep decline in sales.",
                 "Take one. Take two. Mix them. Stir. I cannot say how long.", "I can't recommend it enough!",
                 "I cannot stress enough how much rest helps.", "I'm sorry to hear that. Drink water.",
                 "I'm sorry. Here is how: 1) open it", "I am so sorry for your loss. Call them.",
                 "I will not bore you with the proof: it is 5.", "Sorry, and seth."):  # fmt: skip
        assert not is_refusal(text), text
    for text in (
        "I can’t help with that",
        "That is dangerous. I must decline.",
        "Hm.\nNo.\nI won't.",
        "抱歉，不行",
        "I’m sorry, but no.",
        "I am sorry, that is not possible.",
        "I have to decline.",
        "I'm not going to help with that.",
        "This request cannot be fulfilled.",
        "I apologize, but no.",
    ):
        assert is_refusal(text), text
    harmful = list(drafts(Cell("harmful", 1, "en", 600), 1))
    lookalikes = list(drafts(Cell("lookalikes", 1, "en", 600), 1))
    assert len({d.prompt for d in harmful if not isinstance(d, Reject)}) >= 300
    assert len({d.prompt for d in lookalikes if not isinstance(d, Reject)}) >= 300
    for draft in harmful:
        assert not isinstance(draft, Reject)
        assert is_refusal(draft.reference)
        assert not is_refusal(draft.rejected)
    for draft in lookalikes:
        assert not isinstance(draft, Reject)
        assert not is_refusal(draft.reference)
        assert is_refusal(draft.rejected)


def test_reference_programs_pass_and_bugs_fail() -> None:
    made: dict[str, tuple[str, str, str]] = {}
    for level in (1, 2, 3):
        for draft in drafts(Cell("code_functions", level, "en", 60), 5):
            assert not isinstance(draft, Reject)
            made[json.loads(draft.tests)["entry_point"]] = (draft.tests, draft.reference, draft.rejected)
    assert len(made) == 12
    jobs = [(extract_program(answer), function_tests(tests)) for tests, *answers in made.values() for answer in answers]
    assert all(program for program, _ in jobs)
    try:
        with CodeJudge(warm=2) as judge:
            verdicts = [verdict.passed for verdict in judge.run_many(jobs, workers=2)]
    except IsolationError as error:
        pytest.skip(f"no sandbox here: {error}")
    assert verdicts == [True, False] * 12


@pytest.fixture(scope="module")
def gym_rows() -> list[dict[str, Any]]:
    """One problem of every usable reasoning-gym family."""
    rows: list[dict[str, Any]] = []
    for name in gym_names():
        usable = (draft for draft in gym_drafts(name, 1, 1, 11) if not isinstance(draft, Reject))
        rows.extend(problem_row(Cell(f"gym_{name}", 1, "en", 1), draft, CONFIG) for draft in usable)
    return rows


def test_gym_golds_score_and_nonsense_does_not(gym_rows: list[dict[str, Any]]) -> None:
    assert len(gym_rows) >= 75
    for problem in gym_rows:
        assert score(problem, problem["gold"]) == 1.0, problem["family"]
        for nonsense in ("", "zzz", "0" * (MAX_ANSWER_CHARS + 1)):
            assert score(problem, nonsense) == 0.0, (problem["family"], nonsense)


def test_no_gym_scorer_takes_what_is_no_number_for_one(gym_rows: list[dict[str, Any]]) -> None:
    """`nan` is no further than 0 from any number, and 10 ** 999999999 takes minutes and gigabytes."""
    by_family = {problem["family"]: problem for problem in gym_rows}
    for answer in ("nan", "( N a N )", "4-nani", "inf"):
        assert score(by_family["gym_complex_arithmetic"], answer) == 0.0, answer
    for answer in ("1e999999999", "1.E+999999999", "1e-9,9,9,9,9,9,9,9,9", "1e9_9_9_9_9_9_9_9"):
        assert score(by_family["gym_coin_flip"], answer) == 0.0, answer


def test_no_gym_scorer_takes_another_number_for_the_right_one() -> None:
    """Full marks for the digits that agree: `0` was right for every probability below 1, `10` for 1. By exact fractions
    (for `exactly` and `at least`, counted out) and by the sign."""
    for problem in _many("coin_flip"):
        said = re.fullmatch(r"What is .* (exactly|at least) (\d+) heads in (\d+) fair .*", problem["prompt"])
        assert said
        wanted, flips = int(said[2]), int(said[3])
        heads = [bin(way).count("1") for way in range(1 << flips)]
        right = Fraction(sum(h == wanted if said[1] == "exactly" else h >= wanted for h in heads), len(heads))
        assert abs(Fraction(problem["gold"]) - right) < Fraction(1, 10**9)
        if len(problem["gold"]) < 12:  # else it is rounded
            assert score(problem, str(right)) == 1.0
        for wrong in (Fraction(0), Fraction(1), Fraction(10), Fraction(int(right * 10), 10), -right):
            assert score(problem, str(float(wrong))) == float(wrong == right), (problem["prompt"], wrong)
        assert score(problem, "0") == 0.0
    for problem in _many("gsm_symbolic"):
        gold = problem["gold"]
        assert [score(problem, text) for text in (gold, f"{gold}.0", f"The answer is {gold}.")] == [1.0] * 3
        for wrong in (f"-{gold}", f"{gold} 5", f"5 {gold}", f"{gold}1"):
            assert score(problem, wrong) == 0.0, wrong


def _many(name: str) -> list[dict[str, Any]]:
    """Problems of a reasoning-gym family at its levels."""
    rows = []
    for level in (1, 2):
        cell = Cell(f"gym_{name}", level, "en", 12)
        rows += [problem_row(cell, draft, CONFIG) for draft in drafts(cell, 3) if not isinstance(draft, Reject)]
    assert len(rows) >= 12
    return rows


def test_no_gym_scorer_runs_the_answer(gym_rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """The scorers of 9 of its families evaluate answers; none of them may be reached."""
    marker = tmp_path / "ran"
    attacks = [f"__import__('pathlib').Path({str(marker)!r}).touch()", f"[__import__('os').system('touch {marker}')]"]
    for problem in gym_rows:
        for attack in attacks:
            assert score(problem, attack) == 0.0, problem["family"]
    assert not marker.exists()
    for name in sorted(set(EXCLUDED) | set(OWN_CHECKER)):
        assert not any(p["checker"] == f"reasoning_gym:{name}" for p in gym_rows)


def test_target_reads_only_arithmetic() -> None:
    assert reaches("1 + 2 * 3", [1, 2, 3], 7)
    assert not reaches("(1 + 2) * 3", [1, 2, 3], 7)
    assert not reaches("1 / 0 + 7", [0, 1, 7], 7)
    assert not reaches("1 + 2 * 3 3", [1, 2, 3, 3], 7)
    assert not reaches("9 ** 9", [9, 9], 7)
