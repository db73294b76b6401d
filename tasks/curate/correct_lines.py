"""A chain with a wrong step, worked out again from there: the step put right, and what follows from it carried on.

Only arithmetic is put right, by the value that the step checker found; whether the result is right is for the caller's
checkers to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from tasks.curate.chain_steps import takes_back
from tasks.curate.families.draft import NOTICES
from tasks.grade.steps import Claim, check_steps

MAX_CLAIMS = 8
"""Wrong claims of one line that are put right, one after the other."""
CORRECTABLE = ("arithmetic", "verbal")
Way = Literal["latest", "all", "latest, at its last place"]
WAYS: tuple[Way, ...] = get_args(Way)
"""Which changed values a line means: the latest one, each of them, the latest one where it stands last."""
_RIGHT_SIDE = re.compile(r"(.*[=≈]\s*)(\S.*)", re.DOTALL)
_NUMBER = re.compile(r"((?<![\w.])\d+(?:\.\d+)?(?![\w.]))")
_DOUBT = re.compile(r"should be|应为")


@dataclass(frozen=True, slots=True)
class Corrected:
    """The wrong line and those after it, put right, and the answer that they lead to."""

    lines: tuple[str, ...]
    answer: str


def correct_lines(problem: str, steps: Sequence[str], wrong: int, answer: str) -> Iterator[Corrected | str]:
    """Ways to go on from step `wrong` and be right, or the reason why there is none.

    A value that changed is put in place of the old one in the lines after it, at most once a line and before the
    last equals sign. Which one a line means, where it may be several, no rule can tell: each of `WAYS` is tried.
    """
    if takes_back(steps, wrong) or any(_DOUBT.search(step) for step in steps[wrong + 1 :]):
        yield "the chain doubts itself later on"
        return
    seen: set[Corrected | str] = set()
    for way in WAYS:
        found = _one_way(problem, steps[wrong:], answer, way)
        if found not in seen:
            seen.add(found)
            yield found


def _one_way(problem: str, steps: Sequence[str], answer: str, way: Way) -> Corrected | str:
    changed: dict[str, str] = {}
    lines: list[str] = []
    for number, step in enumerate(steps):
        line = _carried(step, changed, way) if number else step
        for _ in range(MAX_CLAIMS):
            claim = _wrong_claim(problem, line)
            if claim is None:
                break
            put = _put_right(line, claim)
            if put is None:
                return "its error is no arithmetic"
            line, old, new = put
            changed.pop(old, None)
            changed[old] = new  # the latest change last
        else:
            return "its error cannot be put right"
        lines.append(line)
    if lines[0] == steps[0]:
        return "its error is no arithmetic"
    carried = _NUMBER.sub(lambda found: changed.get(found[0], found[0]), answer)
    return Corrected(tuple(lines), changed.get(answer.strip(), carried))


@lru_cache(maxsize=4096)  # the ways share most of their lines
def _wrong_claim(problem: str, line: str) -> Claim | None:
    return check_steps(problem, [line]).first_wrong_claim


def _put_right(line: str, claim: Claim) -> tuple[str, str, str] | None:
    """The line with the claim's right side as it should be, the old value and the new one."""
    sides = _RIGHT_SIDE.fullmatch(claim.text)
    if claim.kind not in CORRECTABLE or not claim.expected or sides is None:
        return None
    start, end = claim.span
    return f"{line[:start]}{sides[1]}{claim.expected}{line[end:]}", sides[2].strip(), claim.expected


def _carried(line: str, changed: dict[str, str], way: Way) -> str:
    """The line with changed values in the place of the old ones."""
    left = dict(changed) if way == "all" else dict(list(changed.items())[-1:])
    body, equals, result = line.rpartition("=")
    if not equals:
        body, result = line, ""
    pieces = _NUMBER.split(body)  # numbers at the odd places
    order = range(1, len(pieces), 2)
    for place in reversed(order) if way == "latest, at its last place" else order:
        pieces[place] = left.pop(pieces[place], pieces[place])
    return "".join(pieces) + equals + result


def notice(language: str, share: float) -> str:
    """A line that notices an error; `share`, 0 to 1, chooses among those of the language."""
    lines = NOTICES.get(language, NOTICES["en"])
    return lines[int(share * len(lines))]
