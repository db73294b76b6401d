"""What a family of problems is, and the scratch pad on which it works a problem out.

A family writes its reasoning once. The pad turns it into every style: it keeps each line's role, and when it is told
to slip at the n-th claim it writes that claim wrong, then either carries the wrong value on or notices and repairs it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypedDict, TypeVar

T = TypeVar("T")
Params = Mapping[str, Any]
Role = Literal["understand", "plan", "compute", "note", "verify"]

NOTICES = {
    "en": ("Wait, that is wrong.", "No, this is a mistake.", "Hold on, not right. Again:"),
    "zh": ("等等，这一步错了。", "不对，再算一次。", "这里有错误，重算。"),
}
LABELS = {
    "en": {"understand": "Understand: ", "plan": "Break down: ", "verify": "Verify: "},
    "zh": {"understand": "理解：", "plan": "分解：", "verify": "检验："},
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A problem before it has an id.

    `key` holds what makes it the same problem in other words, order aside: equal sorted keys (and `space`) share a
    split. Every number that the prompt shows must be determined by it. `template` is the wording with masked operands.
    """

    prompt: str
    gold: str
    template: str
    key: tuple[str | int, ...]
    params: Params = field(default_factory=dict)
    tests: str = ""
    reference: str = ""
    rejected: str = ""
    checker: str = ""
    """Overrides the family's checker; empty: the family's."""


class Wording(TypedDict):
    """The two texts of a `Draft` that a template gives."""

    prompt: str
    template: str


class Line(NamedTuple):
    """One line of reasoning. `planted` marks the line with a planted error."""

    role: Role
    text: str
    planted: bool = False


class Pad:
    """Records the lines of one solution. `slip` is the number of the claim to get wrong, counted from 0."""

    def __init__(self, language: str, rng: random.Random, slip: int | None = None, *, carry: bool = False) -> None:
        """Write in `language`; with `carry` a slipped value is used from there on, else it is noticed at once."""
        self.language, self.rng, self.slip, self.carry = language, rng, slip, carry
        self.lines: list[Line] = []
        self.claims = 0
        self.verified = True
        """False once a verification came out different from what it should."""

    def understand(self, en: str, zh: str = "") -> None:
        """Restate what is asked."""
        self._add("understand", en, zh)

    def plan(self, en: str, zh: str = "") -> None:
        """Say how it is broken down."""
        self._add("plan", en, zh)

    def claim(self, right: str, wrong: str, value: T, other: T) -> T:
        """Write a checkable line, `right` with `value` or, when it is the slip's turn, `wrong` with `other`."""
        slips = self.claims == self.slip
        self.claims += 1
        if slips:
            self.lines.append(Line("compute", wrong, planted=True))
            if self.carry:
                return other
            self.lines.append(Line("note", self.rng.choice(NOTICES[self.language])))
        self.lines.append(Line("compute", right))
        return value

    def compute(self, left: str, value: int, step: int = 1) -> int:
        """Write `left = value`; a slip misses by one or two times `step`, or by ten steps for larger values."""
        misses = [-2, -1, 1, 2] + ([-10, 10] if abs(value) >= 20 * step else [])
        other = value + step * self.rng.choice([m for m in misses if value < 0 or value + step * m >= 0])
        return self.claim(f"{left} = {value}", f"{left} = {other}", value, other)

    def verify(self, left: str, actual: object, wanted: object) -> None:
        """Write a check of the result; `actual` is what it comes to with the result at hand."""
        if actual == wanted:
            self._add("verify", f"{left} = {actual}", f"{left} = {actual}")
            return
        self.verified = False
        self._add("verify", f"{left} = {actual}, it should be {wanted}", f"{left} = {actual}，应为 {wanted}")

    def _add(self, role: Role, en: str, zh: str) -> None:
        text = zh if self.language == "zh" and zh else en
        self.lines.append(Line(role, LABELS[self.language][role] + text))


@dataclass(frozen=True)
class Family:
    """A family of problems.

    `make(rng, level, language)` draws a problem. `work(params, pad)` writes its reasoning on the pad and returns the
    answer; None for families that have reference responses only. `space` is shared by families whose problems are the
    same in other words.
    """

    name: str
    category: str
    levels: int
    languages: tuple[str, ...]
    checker: str
    make: Callable[[random.Random, int, str], Draft]
    work: Callable[[Params, Pad], str] | None = None
    space: str = ""


def wording(rng: random.Random, templates: Mapping[str, tuple[str, ...]], language: str, **slots: object) -> Wording:
    """A template of the language, filled."""
    template = rng.choice(templates[language])
    return Wording(prompt=template.format(**slots), template=template)


def distinct(rng: random.Random, low: int, high: int, count: int) -> list[int]:
    """`count` different integers from `low` to `high`, in random order."""
    return rng.sample(range(low, high + 1), count)
