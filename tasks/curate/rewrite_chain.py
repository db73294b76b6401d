"""A right but terse chain in readable form: what is asked, the plan, the computed lines, a check, and the answer.

DeepSeek-R1 had its cold start rewritten to be readable, with a summary at the end (arXiv 2501.12948, section 2.3.1).
Here rules do it, out of nothing but the question and the chain's own checked lines; a served model may do it instead
(see `filter_cold_start`). The labels are those of our written solutions, which graders know and the base has read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tasks.curate.families.draft import LABELS
from tasks.stage import Reject

SHOWN_QUESTION_CHARS = 240
"""A longer question is restated by its last sentence."""
_INTEGER = r"-?\d{1,18}"
_EQUATION = re.compile(rf"({_INTEGER})((?: [+\-*/] {_INTEGER})+) = ({_INTEGER})[.。]?")
_TERM = re.compile(rf" ([+\-*/]) ({_INTEGER})")
_NUMBER = re.compile(r"(?<![\w.])\d{1,18}(?!\w|\.\d)")
_SENTENCE = re.compile(r"[^.!?。！？]+(?:[.!?](?=\s|$)|[。！？])?")
_UNDO = {"+": "-", "-": "+", "*": "/", "/": "*"}
_KINDS = {
    "+": {"en": ("add {n} numbers.", "add from left to right."),
          "zh": ("把 {n} 个数相加。", "从左到右依次相加。")},
    "-": {"en": ("take {m} numbers away from {first}.", "subtract from left to right."),
          "zh": ("从 {first} 中减去 {m} 个数。", "从左到右依次相减。")},
    "*": {"en": ("multiply {n} numbers.", "multiply one after the other."),
          "zh": ("把 {n} 个数相乘。", "依次相乘。")},
}  # fmt: skip
_ANY = {
    "en": ("the question is: {question}", "work it out in {k} steps, one after the other."),
    "zh": ("题目是：{question}", "分 {k} 步依次计算。"),
}
_SUMMARY = {"en": "So the answer is {answer}.", "zh": "所以答案是 {answer}。"}


@dataclass(frozen=True, slots=True)
class Equation:
    """`first` op number op number … = `result`, in integers."""

    first: int
    terms: tuple[tuple[str, int], ...]
    result: int

    @property
    def signs(self) -> frozenset[str]:
        """Its operators."""
        return frozenset(sign for sign, _ in self.terms)


def read_equation(line: str) -> Equation | None:
    """The equation that a whole line is; None for any other line."""
    found = _EQUATION.fullmatch(line)
    if found is None:
        return None
    terms = tuple((sign, int(number)) for sign, number in _TERM.findall(found[2]))
    return Equation(int(found[1]), terms, int(found[3]))


def rewrite(
    prompt: str, language: str, steps: Sequence[str], verdicts: Sequence[str], answer: str
) -> list[str] | Reject:
    """The lines of the readable chain, or why there is none.

    Args:
        prompt: the question.
        language: its language, en or zh.
        steps: lines of the chain as sampled.
        verdicts: of each step, by `judge_steps`; only lines that hold are taken over.
        answer: the answer part.
    """
    if language not in LABELS:
        return Reject("no words to rewrite it with", language)
    labels = LABELS[language]
    held = [step for step, verdict in zip(steps, verdicts, strict=True) if verdict == "ok"]
    checks = [step for step in held if step.startswith(labels["verify"].strip())]
    computed = [step for step in held if step not in checks]
    equations = [found for step in computed if (found := read_equation(step))]
    if not checks and (check := undo(equations)):
        checks = [labels["verify"] + check]
    if not checks:
        return Reject("nothing to verify it by", (computed or ["no computed step"])[-1][:300])
    asked, plan = _words(prompt, language, equations if len(equations) == len(computed) else [], len(computed))
    summary = _SUMMARY[language].format(answer=answer)
    return [labels["understand"] + asked, labels["plan"] + plan, *computed, *checks[-1:], summary]


def undo(equations: Sequence[Equation]) -> str:
    """An equation that gets back, from the last result, the number that the computation began with; '' for none.

    Steps that go on with the result of the one before are undone together: 3 + 4 = 7, 7 * 2 = 14 gives 14 / 2 - 4 = 3.
    """
    undone: list[tuple[str, int]] = []
    start: int | None = None
    for number, here in enumerate(reversed(equations)):
        if number and here.result != start:
            break
        if not (here.signs <= {"+", "-"} or (here.signs <= {"*", "/"} and all(n for _, n in here.terms))):
            break
        undone += [(_UNDO[sign], n) for sign, n in reversed(here.terms)]
        start = here.first
    if {sign for sign, _ in undone} == {"+"}:
        undone.reverse()  # whichever order: then that of the computation
    shown, loose = str(equations[-1].result) if equations else "", False
    for sign, n in undone:
        shown = f"({shown})" if sign in "*/" and loose else shown
        shown += f" {sign} {n if n >= 0 else f'({n})'}"
        loose = sign in "+-"
    return "" if start is None else f"{shown} = {start}"


def _words(prompt: str, language: str, equations: Sequence[Equation], count: int) -> tuple[str, str]:
    """What is asked, and the plan: by the kind of computation where the chain is one over the question's numbers."""
    signs = frozenset[str]().union(*(each.signs for each in equations))
    numbers = [number for each in equations for _, number in each.terms]
    given = [int(number) for number in _NUMBER.findall(prompt)]
    running = all(a.result == b.first for a, b in pairwise(equations))
    if len(signs) == 1 and running:
        (sign,), first = signs, equations[0].first
        same = sorted([first, *numbers]) == sorted(given) and (sign != "-" or first == given[0])
        if same and sign in _KINDS:
            asked, plan = _KINDS[sign][language]
            return asked.format(n=len(given), m=len(numbers), first=first), plan
    asked, plan = _ANY[language]
    return asked.format(question=_question(prompt)), plan.format(k=count)


def _question(prompt: str) -> str:
    """The question on one line, or its last sentence where it is long."""
    flat = " ".join(prompt.split())
    if len(flat) <= SHOWN_QUESTION_CHARS:
        return flat
    sentences: list[str] = [found.strip() for found in _SENTENCE.findall(flat) if found.strip()]
    return (sentences or [flat])[-1][-SHOWN_QUESTION_CHARS:]
