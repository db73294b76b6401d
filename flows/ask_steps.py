"""A model's answer read while it comes: each line of thought with what it does and its check, then the answer's check.

What cannot be decided is `not_checkable`, never wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tasks.grade.steps import Verdict, check_steps

Role = Literal["understood", "broken down", "computed", "verified", "reconsidered", "noted"]
Event = dict[str, Any]
"""kind partial (text: the line that is being written), step (a `Step`), answer (text, verdict, expected)."""

_ROLES: tuple[tuple[Role, re.Pattern[str]], ...] = (
    ("understood", re.compile(r"(understand|the problem|we are (asked|given)|given\b|理解|题意|已知)", re.I)),
    ("broken down", re.compile(r"(break(ing)? (it )?down|plan\b|first,|let'?s|分解|思路|先)", re.I)),
    ("verified", re.compile(r"(verif|check|to confirm|检验|验证|验算)", re.I)),
    ("reconsidered", re.compile(r"(wait|no,|hold on|actually|hmm|等等|不对|这里有错误)", re.I)),
)
_TAG = re.compile(r"</?(think|answer)>")
_HALF_TAG = re.compile(r"<[/a-z]*$")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_EXPRESSION = re.compile(r"[\d(][\d\s.+\-−*×/÷^()]*[+\-−*×/÷^][\d\s.+\-−*×/÷^()]*[\d)]")
_SIDE = r"(?:(?<![a-z])[a-z](?![a-z])|[\d\s.+\-−*×/÷^()])+"
_EQUATION = re.compile(rf"{_SIDE}={_SIDE}", re.I)
_ONLY_ASKS = re.compile(
    r"(what is|what's|how much is|compute|calculate|evaluate|find|solve|the value of|so that|such that|such|for|if|"
    r"with|[a-z](?= so| if|\b)|计算|求|解方程|解|等于多少|等于几|是多少|多少|使得|的值|[\s=?？.,:：，。!])*",
    re.I,
)
LONGEST_FORMULA = 300
"""Characters of a problem that may be nothing but a formula; a longer one is not searched for it."""
MAX_CHARS = 200_000


@dataclass(frozen=True)
class Step:
    """One line of thought."""

    index: int
    text: str
    role: Role
    verdict: Verdict
    reason: str = ""
    expected: str = ""
    """What a wrong claim should come to."""


class AnswerReader:
    """Turns pieces of a response into events."""

    def __init__(self, problem: str) -> None:
        """Read the response to `problem`."""
        self.problem, self.text = problem, ""
        self.steps: list[str] = []

    def feed(self, piece: str) -> Iterator[Event]:
        """Take the next piece of text; yields the steps that it ended, and the line that is open."""
        self.text = (self.text + piece)[:MAX_CHARS]
        lines, open_line, _ = self._parts()
        yield from self._new_steps(lines)
        yield {"kind": "partial", "text": _HALF_TAG.sub("", open_line)}

    def end(self) -> Iterator[Event]:
        """The response is complete: the last step, if it was left open, and the answer."""
        lines, open_line, answer = self._parts()
        yield from self._new_steps([*lines, *([open_line] if open_line.strip() and not answer else [])])
        verdict, expected = judge_answer(self.problem, answer)
        yield {"kind": "answer", "text": answer, "verdict": verdict, "expected": expected}

    def _parts(self) -> tuple[list[str], str, str]:
        """Ended lines of thought, the line that is open, and the answer as far as it has come."""
        head, opened, rest = self.text.partition("<think>")
        thought = rest if opened else head
        thinking, closed, after = thought.partition("</think>")
        if not opened and not closed:  # no think part: what stands before the answer is the thought
            thinking, closed, after = thought.partition("<answer>")
        *ended, last = thinking.split("\n")
        if closed:
            ended, last = [*ended, last], ""
        answer = _TAG.sub("", _HALF_TAG.sub("", after)).strip()
        return [line.strip() for line in ended if line.strip()], last, answer

    def _new_steps(self, lines: list[str]) -> Iterator[Event]:
        for line in lines[len(self.steps) :]:
            self.steps.append(line)
            yield {"kind": "step", **asdict(read_step(self.problem, self.steps))}


def read_step(problem: str, steps: list[str]) -> Step:
    """The last of `steps` with its role and its check; the ones before it are what it may follow from."""
    index, text = len(steps) - 1, steps[-1]
    report = check_steps(problem, steps)
    claims = [claim for claim in report.claims if claim.step == index]
    wrong = next((claim for claim in claims if claim.verdict == "wrong"), None)
    role: Role = next((name for name, words in _ROLES if words.match(text)), "computed" if claims else "noted")
    if wrong is not None:
        return Step(index, text, role, "wrong", wrong.reason, wrong.expected)
    verdict = report.steps[index]
    if role == "understood" and verdict == "not_checkable" and _fits(problem, text):
        return Step(index, text, role, "ok", "its numbers are the problem's")
    return Step(index, text, role, verdict)


def _fits(problem: str, text: str) -> bool:
    """Whether a restatement has numbers, each of them one of the problem's, or how many those are."""
    given, said = _NUMBER.findall(problem), _NUMBER.findall(text)
    known = {*given, str(len(given)), str(len(given) - 1)}
    return bool(said) and all(number in known for number in said)


def judge_answer(problem: str, answer: str) -> tuple[Verdict, str]:
    """The answer put back into a problem that is nothing but an expression or an equation in one letter.

    Returns:
        the verdict and, where it is wrong, what the answer should be, if that is known.
    """
    value = answer.rpartition("=")[2].strip().rstrip(".。")
    if not value or len(problem) > LONGEST_FORMULA:
        return "not_checkable", ""
    for pattern in (_EQUATION, _EXPRESSION):
        found = pattern.findall(problem)
        if len(found) != 1 or not _ONLY_ASKS.fullmatch(problem.replace(found[0], " ", 1)):
            continue
        letters = set(re.findall(r"[a-z]", found[0], re.I))
        if pattern is _EXPRESSION and not letters:
            report = check_steps("", [f"{found[0].strip()} = {value}"])
        elif pattern is _EQUATION and len(letters) == 1:
            report = check_steps(found[0].strip(" ."), [f"{letters.pop()} = {value}"])
        else:
            continue
        claim = report.first_wrong_claim
        return report.steps[0], claim.expected if claim is not None and pattern is _EXPRESSION else ""
    return "not_checkable", ""
