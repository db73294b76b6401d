"""Division with a remainder in words: `706 ÷ 7 = 100 with a remainder of 6`, `17 ÷ 5 = 3 R 2`, `17÷5=3余2`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.grade.steps.report import Claim

_GAP = r"(?:\\[;, ]|\s){0,3}"
_ARTICLES = rf"(?:(?:with|and){_GAP})?(?:(?:an?|the){_GAP})?"
_REMAINDER = rf"{_ARTICLES}remainder\s?(?:of|is|=)?|[Rr]\.?|\\(?:text|mathrm)\{{ ?R ?\}}|余"
_STATED = re.compile(
    rf"(\d{{1,15}}){_GAP}(?:÷|/|\\div|divided by){_GAP}(\d{{1,15}}){_GAP}(?:=|is|gives|equals|to get)"
    rf"{_GAP}(\d{{1,15}}){_GAP},?{_GAP}(?:{_REMAINDER}){_GAP}(\d{{1,15}})(?!\.?\d)"
)


def judge_remainders(index: int, step: str) -> Iterator[Claim]:
    """A claim for each such division."""
    for match in _STATED.finditer(step):
        top, bottom, quotient, rest = (int(group) for group in match.groups())
        holds = bottom > 0 and top == bottom * quotient + rest and rest < bottom
        if holds:
            yield Claim(index, match.span(), match[0], "division", "ok")
        elif bottom > 0:
            expected = f"{top // bottom} remainder {top % bottom}"
            yield Claim(index, match.span(), match[0], "division", "wrong", f"it is {expected}", expected)
        else:
            yield Claim(index, match.span(), match[0], "division", "not_checkable", "division by zero")
