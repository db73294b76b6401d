"""Suites: reference answers score 100 %, empty and wrong ones 0 %, and a new suite is a few lines."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from tasks.curate.check_answer import answer_part
from tasks.curate.make_problems import STAGE as MAKE_PROBLEMS
from tasks.curate.make_problems import MakeProblemsConfig
from tasks.evaluate.grading import IFEVAL, PREFERENCE, PROGRAMS, Graded, can_judge, grade, votes
from tasks.evaluate.questions import Question, load_examples, load_questions
from tasks.evaluate.suites import SUITES, Shots, Suite
from tasks.stage import Inputs, SourceFile
from tests.tasks.curate.made import run_stage
from tests.tasks.evaluate.made import SUMS, sums, write_suite
from warehouse.tables import TableView

pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")
WRONG = "<think>\nIt is 3.\n</think>\n<answer>-987654.321</answer>"
WRONG_PROGRAM = "```python\ndef nothing():\n    return None\n```"
UNFINISHED = "<think>\nSo the answer is {gold}. Let me check: {gold}"
FILES = sorted(name for name, suite in SUITES.items() if "." in suite.source)
TABLES = sorted(name for name, suite in SUITES.items() if "." not in suite.source)
ABSENT = {"gpqa_diamond"}
"""Whose file is not part of the test data."""
UNREADABLE = {"college_math": 0.105, "asdiv": 0.05, "gaokao2023en": 0.01}
"""Suites with golds in prose, that no judge can read: at most this share. Elsewhere there is none."""
TWICE = {"test/number_theory/459.json"}
"""Of MATH-500: its solution boxes the answer twice, as a mixed number and as a fraction, which reads as a list."""


def from_file(data: Path, suite: Suite, limit: int) -> list[Question]:
    sources = {suite.name: suite.source, **({f"{suite.name}.shots": suite.shots.source} if suite.shots else {})}
    files = {name: (SourceFile(str(data / source), "", 0),) for name, source in sources.items()}
    if suite.shots:
        said, answered = load_examples(suite, Inputs(files=files), 2)[1]
        assert said
        assert answered
    return load_questions(suite, Inputs(files=files), limit)


def holds(questions: list[Question], suite: Suite, unreadable: float = 0.0) -> None:
    """Show 2 of the evaluation, on these questions."""
    judged = [q for q in questions if not can_judge(q)]
    assert len(judged) >= len(questions) * (1 - unreadable)
    if suite.reference:
        assert all(q.reference for q in judged)
        told = grade([(q, f"<think>\nSo it is.\n</think>\n{q.reference}") for q in judged])
        assert [
            (q.id, q.gold, g) for q, g in zip(judged, told, strict=True) if not g.correct and q.id not in TWICE
        ] == []
    for text in ("", "<think>", "</think>", UNFINISHED):
        told = grade([(q, text.format(gold=q.gold)) for q in judged])
        assert not any(g.correct for g in told), text
        assert {g.reason for g in told} == {"no answer"}
    if suite.grader != "answered":
        told = grade([(q, wrong(q)) for q in judged])
        found = [(q.id, q.gold, g) for q, g in zip(judged, told, strict=True)]
        # A judge compares answers with a baseline's: see test_judge_against_baseline.py.
        expected = None if suite.grader == PREFERENCE else False
        assert [each for each in found if each[2].correct is not expected] == []


def wrong(question: Question) -> str:
    if question.checker != IFEVAL:
        return WRONG_PROGRAM if question.checker in PROGRAMS else WRONG
    asked = json.loads(question.gold)
    words = [word for given in asked for word in given.get("forbidden_words", [])]
    if not words and not any("less than" in given.values() for given in asked):
        return "No, it is Wrong"
    # Too much of everything, for those who ask for little.
    words += [given[key] for given in asked for key in ("keyword", "letter") if key in given]
    return "Wrong, WRONG. " * 700 + " ".join(words * 99)


@pytest.mark.parametrize("name", [n for n in FILES if n not in ABSENT])
def test_reference_answers_are_right_and_others_are_not(name: str, rigor_data: Path) -> None:
    suite = SUITES[name]
    limit = 8 if suite.grader in PROGRAMS else 60
    holds(from_file(rigor_data, suite, limit), suite, 3 * UNREADABLE.get(name, 0.0))


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in FILES if n not in ABSENT])
def test_all_reference_answers_are_right(name: str, rigor_data: Path) -> None:
    holds(from_file(rigor_data, SUITES[name], 100_000), SUITES[name], UNREADABLE.get(name, 0.0))


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> TableView:
    config = MakeProblemsConfig(per_cell=12, gym_per_cell=1, gym_max_level=1)
    return run_stage(tmp_path_factory.mktemp("problems"), MAKE_PROBLEMS, config).view


@pytest.mark.parametrize("name", TABLES)
def test_our_own_families(name: str, problems: TableView) -> None:
    suite = SUITES[name]
    inputs = Inputs(tables={"problems": problems})
    questions = load_questions(suite, inputs)
    rows = {row["id"]: row for row in problems.scan().collect().iter_rows(named=True)}
    (split,) = suite.where["split"]
    assert {rows[q.id]["split"] for q in questions} == {split}
    assert all((q.prompt, q.family, q.cluster) == tuple(rows[q.id][c] for c in ("prompt", "family", "group"))
               for q in questions)  # fmt: skip
    holds(questions, suite)
    train = {row["prompt"] for row in rows.values() if row["split"] == "train"}
    assert {said for said, _ in load_examples(suite, inputs, 3)} <= train


def test_a_suite_is_a_few_lines(tmp_path: Path) -> None:
    data = write_suite(tmp_path, sums(5).with_columns(pl.Series("day", [f"2025-0{i + 1}-01" for i in range(5)])))
    suite = SUMS.model_copy(update={"date": "{day}", "since": "2025-03-01", "where": {"grade": ("0", "2")}})
    files = {"sums": (SourceFile(str(data / SUMS.source), "", 0),)}
    found = load_questions(suite, Inputs(files=files))
    assert [(q.id, q.gold, q.family, q.level, q.cluster) for q in found] == [
        ("q2", "6", "k0", "2", "q2"), ("q3", "5", "k1", "0", "q3")
    ]  # fmt: skip
    for changes, words in (
        ({"question": "{nothing}"}, "names 'nothing'; the columns are"),
        ({"id": "{grade}"}, "two questions have the same id"),
        ({"where": {"grade": ("7",)}}, "no question is left"),
        ({"where": {"nothing": ("7",)}}, r"suite sums: `where` names \['nothing'\]; the columns are"),
    ):
        with pytest.raises(ValueError, match=words):
            load_questions(SUMS.model_copy(update=changes), Inputs(files=files))
    asked = SUMS.model_copy(update={"shots": Shots(source=SUMS.source)})
    with pytest.raises(ValueError, match="6 examples were asked for, math/sums"):
        load_examples(asked, Inputs(files={**files, "sums.shots": files["sums"]}), 6)


def test_since_needs_a_date() -> None:
    with pytest.raises(ValidationError, match="`since` has no effect without `date`"):
        Suite(name="sums", source=SUMS.source, since="2025-03-01")
    assert Suite(name="sums", source=SUMS.source, since="2025-03-01", date="{day}").since


def test_a_missing_value_is_no_text(tmp_path: Path) -> None:
    """A gold answer that the file lacks: nobody can be right, and `None` is no level."""
    rows = sums(3).with_columns(answer=pl.Series([None, "2", "6"]), grade=pl.Series([0, None, 2]))
    data = write_suite(tmp_path, rows)
    files = {"sums": (SourceFile(str(data / SUMS.source), "", 0),)}
    first, second, third = load_questions(SUMS, Inputs(files=files))
    assert [bool(can_judge(q)) for q in (first, second, third)] == [True, False, False]
    assert [q.level for q in (first, second, third)] == ["0", "", "2"]


def test_examples_of_our_own_families_are_told_as_the_suite_says(problems: TableView) -> None:
    """In the tags in which the models learned to answer, programs, lists and refusals too."""
    inputs = Inputs(tables={"problems": problems})
    for name in ("held_out_math", "held_out_general", "held_out_safety"):
        examples = load_examples(SUITES[name], inputs, 3)
        rows = problems.scan().filter(pl.col("prompt").is_in([said for said, _ in examples])).collect()
        told = {row["prompt"]: row["reference"] or row["gold"] for row in rows.iter_rows(named=True)}
        assert [answered for _, answered in examples] == [f"<answer>{told[said]}</answer>" for said, _ in examples]


def question(gold: str, checker: str = "math") -> Question:
    return Question("q", "?", "?", gold, checker, "", (), {}, "", "", "en", "q", "", "")


def test_equal_answers_have_one_vote() -> None:
    asked = question("\\frac{1}{2}")
    responses = ["<answer>0.5</answer>", "<answer>3</answer>", "It is \\boxed{1/2}.", "<answer>6/2</answer>", "",
                 "<answer>$3.0$</answer>", "<answer>7</answer>", "<think>0.5"]  # fmt: skip
    graded = grade([(asked, text) for text in responses])
    assert [g.correct for g in graded] == [True, False, True, False, False, False, False, False]
    assert votes(asked, graded) == [0, 1, 0, 1, None, 1, 2, None]
    assert votes(question("", "stdio"), graded) == [None] * 8
    letters = [Graded(text in ("C", "(C)"), "", text) for text in ("C", "(C)", "B", "(B)", "B.")]
    assert votes(question("C", "choice"), letters) == [0, 0, 1, 1, 1], "wrong ones are pooled as right ones are"
    assert votes(question("", "list"), [Graded(False, "", text) for text in ("3, 1", "3 1", "31")]) == [0, 0, 1]


def test_letters_by_letter_or_by_text() -> None:
    suite = SUITES["mmlu"]
    asked = Question(
        "q", "?", "?", "B", "math", "", (), {"A": "4", "B": "12", "C": "6", "D": "x"}, "", "", "en", "q", "", ""
    )
    assert suite.options.keys() == asked.options.keys()
    told = grade(
        [(asked, text) for text in ("\\boxed{B}", "The answer is (B).", "<answer>12</answer>", "C", "6", "B or C")]
    )
    assert [g.correct for g in told] == [True, True, True, False, False, False]


def test_unfinished_thinking_is_no_answer() -> None:
    assert answer_part("<think>\nso 5") == ""
    assert answer_part("<think>\nso 5\n</think>\n5") == "5"
    assert answer_part("so 5") == "so 5"
