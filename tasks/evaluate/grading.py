"""Responses judged: the verdict, why, and which answers of a question are the same.

| checker | who judges |
|-|-|
| math | the mathematics judge; letters of choices too |
| humaneval, mbpp, stdio | the sandbox runs the response's program |
| refusal, answered | the words of a refusal are there, or are not |
| ifeval | the rules of its instructions, all of them (strict) |
| preference | nobody here: a judge compares answers, see `tasks/evaluate/judge_against_baseline.py` |
| any other | `tasks.curate.check_answer.score`, as in training |

A response whose thinking never ends has no answer: what its last number happens to be is no answer either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.curate.check_answer import answer_part, function_tests, is_refusal, plain_answer, score
from tasks.evaluate.instructions import followed, unknown
from tasks.evaluate.questions import Question
from tasks.grade.code import CodeJudge, Limits, Tests
from tasks.grade.code.extract import extract_program
from tasks.grade.math import Case, GoldError, extract_answer, parse_gold, verify, verify_many

PROGRAMS = ("code", "humaneval", "mbpp", "stdio")
IFEVAL, PREFERENCE = "ifeval", "preference"
NO_VOTE = (*PROGRAMS, "refusal", "answered", "compliance", "members", IFEVAL, PREFERENCE)
"""Where two answers may differ and both be right, or there is no answer to speak of: no majority vote."""
LIMITS = Limits(wall_seconds=30, cpu_seconds=10)


@dataclass(frozen=True)
class Graded:
    """A verdict on a response."""

    correct: bool | None
    """None: it is for a judge to say."""
    reason: str
    answer: str
    """What was judged; '' when nothing was found."""


def can_judge(question: Question) -> str:
    """Why no answer to the question could be judged; '' when it can."""
    if question.checker == IFEVAL:
        name = unknown(question.gold)
        return f"no rule for the instruction {name}" if name else ""
    if question.checker != "math":
        return ""
    try:
        parse_gold(question.gold)
    except GoldError as error:
        return str(error)
    return ""


def grade(items: Sequence[tuple[Question, str]], workers: int = 2) -> list[Graded]:
    """Verdicts on (question, response), in their order. `workers` programs run at a time.

    Raises:
        GoldError: a gold answer of mathematics that cannot be read (see `can_judge`).
        IsolationError: programs are to be judged where no sandbox can be built.
    """
    found: dict[int, Graded] = {}
    math: list[tuple[int, str]] = []
    programs: list[tuple[int, str, Tests]] = []
    for index, (question, response) in enumerate(items):
        answer = answer_part(response)
        if not answer:
            found[index] = Graded(False, "no answer", "")
        elif question.checker in PROGRAMS:
            program = extract_program(answer)
            tests = function_tests(question.data) if question.checker == "code" else question.tests
            if program:
                programs.append((index, program, tests))
            else:
                found[index] = Graded(False, "no program", "")
        elif question.checker == "math":
            math.append((index, answer))
        elif question.checker in ("refusal", "answered"):
            refused = is_refusal(answer)
            right = refused == (question.checker == "refusal")
            found[index] = Graded(right, "declined" if refused else "answered", answer)
        elif question.checker == IFEVAL:
            strict, loose = followed(question.gold, answer)
            told = f"{sum(strict)} of {len(strict)} instructions followed, {sum(loose)} loosely"
            found[index] = Graded(all(strict), told, answer)
        elif question.checker == PREFERENCE:
            found[index] = Graded(None, "for the judge", answer)
        else:
            problem = {"checker": question.checker, "gold": question.gold, "tests": question.data,
                       "prompt": question.problem}  # fmt: skip
            right = score(problem, answer) == 1
            found[index] = Graded(right, "right" if right else "wrong", answer)
    cases = [Case(gold=items[i][0].gold, prediction=answer, options=items[i][0].options or None) for i, answer in math]
    for (index, answer), verdict in zip(math, verify_many(cases), strict=True):
        found[index] = Graded(verdict.correct, verdict.reason, _answer_text(answer) if verdict.prediction else "")
    if programs:
        with CodeJudge(LIMITS, warm=2 * workers) as judge:
            verdicts = judge.run_many([(program, tests) for _, program, tests in programs], workers=workers)
            for (index, program, _), run in zip(programs, verdicts, strict=True):
                found[index] = Graded(run.passed, str(run.reason), program)
    return [found[index] for index in range(len(items))]


def votes(question: Question, graded: Sequence[Graded]) -> list[int | None]:
    """For each sample of a question the number of its answer: equal answers have equal numbers, from 0.

    Right answers are one answer, for they equal the gold one; wrong ones are compared by the same judge. None: no
    answer, or a question without a vote.
    """
    if question.checker in NO_VOTE:
        return [None] * len(graded)
    kinds: list[Graded] = []
    known: dict[tuple[bool | None, str], int] = {}
    numbers: list[int | None] = []
    for each in graded:
        if not each.answer:
            numbers.append(None)
            continue
        key = (each.correct, "" if each.correct else each.answer)
        if key not in known:
            twin = next((i for i, kind in enumerate(kinds) if _same(question, kind, each)), None)
            if twin is None:
                twin = len(kinds)
                kinds.append(each)
            known[key] = twin
        numbers.append(known[key])
    return numbers


def _same(question: Question, one: Graded, other: Graded) -> bool:
    if one.correct or other.correct:
        return bool(one.correct and other.correct)
    if question.checker != "math":
        return plain_answer(question.checker, one.answer) == plain_answer(question.checker, other.answer)
    try:
        return verify(gold=one.answer, prediction=other.answer).correct
    except GoldError:
        return one.answer == other.answer


def _answer_text(answer: str) -> str:
    return extract_answer(answer) if len(answer) > 60 or "\\boxed" in answer else answer
