"""Statements that are no arithmetic, judged: comparisons, parity, smallest of a list, letters, logic, list edits.

The step checker (`tasks.grade.steps`) decides equations; this decides the other sentences in which our families
reason. A line is read by one full-line pattern or not at all; nothing here knows which family wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

FactVerdict = Literal["ok", "wrong", "not_checkable"]

_INT = r"-?\d{1,18}"
_BOOL = r"true|false"
_ATOM = r"[a-z]\w{0,20}"
_ITEMS = r"\S+(?: \S+)*"


def _list(text: str) -> list[str]:
    return text.split()


def _compare(a: str, sign: str, b: str) -> bool:
    return int(a) > int(b) if sign == ">" else int(a) < int(b)


def _holds(left: str, operator: str, right: str, result: str) -> bool:
    a, b = left == "true", right == "true"
    return (a and b if operator == "and" else a or b) == (result == "true")


def _least(kind: str, items: str, found: str) -> bool:
    values = [int(item) for item in _list(items)]
    return int(found) == (min(values) if kind == "smallest" else max(values))


def _without(items: str, item: str, rest: str) -> bool:
    left = _list(items)
    if item not in left:
        return False
    left.remove(item)
    return left == _list(rest)


def _edit(items: str, edit: str, item: str, place: str, rest: str) -> bool:
    values = _list(items)
    if edit == "append":
        values.append(item)
    elif edit == "prepend":
        values.insert(0, item)
    else:
        index = int(place) - 1
        if not 0 <= index < len(values):
            return False
        values[index] = item
    return values == _list(rest)


def _drop(items: str, end: str, rest: str) -> bool:
    values = _list(items)
    return (values[1:] if end == "first" else values[:-1]) == _list(rest)


_PATTERNS: tuple[tuple[re.Pattern[str], Callable[..., bool]], ...] = (
    (re.compile(rf"({_INT}) ([<>]) ({_INT})"), _compare),
    (re.compile(rf"({_INT}) is (even|odd)"), lambda n, word: (int(n) % 2 == 1) == (word == "odd")),
    (re.compile(rf"(smallest|largest) of ({_INT}(?: {_INT})*): ({_INT})"), _least),
    (re.compile(rf"({_ITEMS}) without (\S+):(| {_ITEMS})"), _without),
    (re.compile(rf"({_ITEMS}), (append|prepend) (\S+)(): ({_ITEMS})"), _edit),
    (re.compile(rf"({_ITEMS}), (put) (\S+) at (\d{{1,3}}): ({_ITEMS})"), _edit),
    (re.compile(rf"({_ITEMS}), drop (first|last):(| {_ITEMS})"), _drop),
    (re.compile(r"last letter of (\w+): (\w)"), lambda word, letter: word[-1] == letter),
    (re.compile(r"join (\w(?: \w)*): (\w+)"), lambda letters, word: "".join(_list(letters)) == word),
    (re.compile(r"(\w) is (not )?(\w)"), lambda a, negated, b: (a == b) != bool(negated)),
    (re.compile(rf"not ({_BOOL}) = ({_BOOL})"), lambda a, b: a != b),
    (re.compile(rf"({_BOOL}) (and|or) ({_BOOL}) = ({_BOOL})"), _holds),
    (re.compile(rf"({_ATOM}), ({_ATOM}) -> ({_ATOM}): ({_ATOM})"), lambda p, q, r, s: p == q and r == s),
)


def check_fact(line: str) -> FactVerdict:
    """Verdict on a line that is one statement of the forms above, else not checkable."""
    if len(line) > 500:
        return "not_checkable"
    for pattern, judge in _PATTERNS:
        if found := pattern.fullmatch(line):
            return "ok" if judge(*found.groups()) else "wrong"
    return "not_checkable"
