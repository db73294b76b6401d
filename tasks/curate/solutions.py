"""The styles in which a problem is worked out, and how a solution reads."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from tasks.curate.families.draft import NOTICES, Family, Line, Pad, Params, Role
from tasks.grade.format import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN

Style = Literal["bare", "steps", "full", "repair", "wrong", "reference"]
STYLES: tuple[Style, ...] = ("bare", "steps", "full", "repair", "wrong", "reference")
_TERSE: frozenset[Role] = frozenset(["compute", "note"])
_CHECKED: frozenset[Role] = frozenset(["compute", "note", "verify"])
_ALL: frozenset[Role] = frozenset(["understand", "plan", "compute", "note", "verify"])


@dataclass(frozen=True, slots=True)
class Solution:
    """`steps` are the think part's lines, `planted` the index of the one with a planted error (None: none)."""

    style: Style
    steps: tuple[str, ...]
    answer: str
    planted: int | None = None

    @property
    def text(self) -> str:
        """In R1-Zero's tags; a solution without steps has no think part."""
        inner = f"\n{self.answer}\n" if "\n" in self.answer else self.answer
        answer = f"{ANSWER_OPEN}{inner}{ANSWER_CLOSE}"
        return "\n".join([THINK_OPEN, *self.steps, THINK_CLOSE, answer]) if self.steps else answer


def work_out(family: Family, params: Params, language: str, style: Style, rng: random.Random) -> Solution | None:
    """A solution in a style; None where the family has no reasoning, or no slip of it changes what it should.

    bare: the answer alone. steps: one computed line a step. full: understand, break down, compute, verify. repair: a
    step goes wrong and is put right, at once or when the verification fails. wrong: a step goes wrong and is carried
    to the end.
    """
    if family.work is None or style == "reference":
        return None
    clean = Pad(language, rng)
    answer = family.work(params, clean)
    if style == "bare":
        return Solution(style, (), answer)
    if style in ("steps", "full"):
        return _solution(style, clean.lines, answer, _TERSE if style == "steps" else _ALL)
    order = rng.sample(range(clean.claims), clean.claims)
    if style == "wrong":
        roles = _TERSE if rng.random() < 0.5 else _ALL - {"verify"}
        for slip in order:
            pad = Pad(language, rng, slip, carry=True)
            if (other := family.work(params, pad)) != answer:
                return _solution(style, pad.lines, other, roles)
        return None
    roles = _CHECKED if rng.random() < 0.5 else _ALL
    if rng.random() < 0.5 and (late := _late_repair(family, params, clean, order, roles)):
        return late
    pad = Pad(language, rng, order[0])
    family.work(params, pad)
    return _solution("repair", pad.lines, answer, roles if rng.random() < 0.5 else roles - {"verify"})


def _late_repair(
    family: Family, params: Params, clean: Pad, order: list[int], roles: frozenset[Role]
) -> Solution | None:
    """The error is carried to the end, the verification fails, and everything is computed again."""
    assert family.work is not None  # noqa: S101 narrows the type
    for slip in order:
        pad = Pad(clean.language, clean.rng, slip, carry=True)
        answer = family.work(params, pad)
        if not pad.verified:
            notice = Line("note", clean.rng.choice(NOTICES[clean.language]))
            again = [line for line in clean.lines if line.role in _CHECKED]
            answer = family.work(params, Pad(clean.language, clean.rng))
            return _solution("repair", [*pad.lines, notice, *again], answer, roles)
    return None


def _solution(style: Style, lines: list[Line], answer: str, roles: frozenset[Role]) -> Solution:
    kept = [line for line in lines if line.role in roles]
    planted = next((index for index, line in enumerate(kept) if line.planted), None)
    return Solution(style, tuple(line.text for line in kept), answer, planted)
