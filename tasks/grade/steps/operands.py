"""Items to operands: the longest expression that ends, starts or fills a run of items, unit words left out."""

from __future__ import annotations

import re
from typing import NamedTuple

from tasks.grade.steps.items import Item

MAX_ITEMS = 300
_FACTORIALS = re.compile(r"! (?=\d)")


class Operand(NamedTuple):
    """An expression as text for the mathematics parser, with where it stood.

    `computed` tells that it holds an operator, `units` are the words that went with its values, and `beside` is the
    kind of item at its open end: "*" a sign that may be a list mark, "-" one that may be a dash, otherwise as in
    `Item`, or nothing.
    """

    text: str
    start: int
    end: int
    computed: bool
    beside: str
    units: tuple[str, ...]


def _touching(left: Item, right: Item) -> bool:
    """May two values stand side by side: a product such as 2x or 3(4), or a mixed number?"""
    if not right.joined:
        return False
    if right.text[0].isdigit():  # after a command such as \log or \log_{2}
        return left.text[-1] == "!" or (left.text[0] == "\\" and (left.text[-1] not in ")}" or "_{" in left.text))
    return True


def _mixed(items: list[Item], at: int) -> bool:
    """Are the items from `at` a mixed number `1 1/2`?"""
    run = items[at : at + 4]
    return (
        len(run) == 4
        and [x.kind for x in run] == ["A", "A", "O", "A"]
        and run[2].text == "/"
        and all(run[k].text.isdigit() for k in (0, 1, 3))
        and int(run[1].text[:9]) < int(run[3].text[:9])
    )


def trailing(items: list[Item]) -> Operand | None:
    """The longest expression that ends the run; None when what ends it is no expression."""
    end = len(items)
    while end and items[end - 1].kind in "WV":
        end -= 1
    at = end
    units: list[str] = [x.text for x in items[end:]]
    dash = ""
    while True:
        stop = at
        while (
            at
            and items[at - 1].kind == "A"
            and (at == stop or _touching(items[at - 1], items[at]) or _mixed(items, at - 1))
        ):
            at -= 1
        if at == stop:
            if at == end:
                return None
            # an operator without a value on its left: a sign, a list mark or an unread operand
            operator = items[at]
            first = items[at + 1]
            if operator.text == "-" and not at and operator.end == first.start:
                break
            if operator.text == "-" or (operator.text == "*" and not at and not operator.verbal):
                dash = "*" if not at else "-"
                at += 1
                break
            return None
        signed = at
        while signed and items[signed - 1].kind == "O" and items[signed - 1].text in "+-" and (
            signed >= 2 and items[signed - 2].kind == "O"
        ):  # fmt: skip
            signed -= 1
        if not signed or items[signed - 1].kind != "O":
            break
        at = signed - 1
        if not at:
            continue
        words = at
        while words and items[words - 1].kind == "W":
            words -= 1
        if words and items[words - 1].kind == "A":
            units.extend(x.text for x in items[words:at])
            at = words
    if end - at > MAX_ITEMS:
        return None
    before = items[at - 1] if at else None
    beside = dash if dash else before.kind if before is not None else ""
    return _operand([x for x in items[at:end] if x.kind in "AO"], beside, units)


def leading(items: list[Item]) -> Operand | None:
    """The longest expression that starts the run; None when what starts it is no expression."""
    at = 0
    kept: list[Item] = []
    units: list[str] = []
    while True:
        while at < len(items) and items[at].kind == "O" and items[at].text in "+-":
            kept.append(items[at])
            at += 1
        first = at
        while at < len(items) and items[at].kind == "A" and (
            at == first or _touching(items[at - 1], items[at]) or _mixed(items, at - 1)
        ):  # fmt: skip
            at += 1
        if at == first:
            return None if not kept else _cut_back(kept, units)
        kept.extend(items[first:at])
        ahead = at
        while ahead < len(items) and items[ahead].kind == "W":
            ahead += 1
        units.extend(x.text for x in items[at:ahead])
        if ahead >= len(items) or items[ahead].kind != "O":
            break
        kept.append(items[ahead])
        at = ahead + 1
    if len(kept) > MAX_ITEMS:
        return None
    after = items[at] if at < len(items) else None
    return _operand(kept, after.kind if after is not None else "", units)


def _cut_back(kept: list[Item], units: list[str]) -> Operand | None:
    """Without the operators that no value follows: `5 - John has`."""
    while kept and kept[-1].kind == "O":
        kept.pop()
    return _operand(kept, "O", units) if kept else None


def whole(items: list[Item]) -> Operand | None:
    """The run as one expression, None unless all of it is."""
    found = leading(items)
    if found is None or found.beside not in ("", "W"):
        return None
    last = max((x.end for x in items if x.kind != "W"), default=0)
    return found if found.end >= last else None


def _operand(items: list[Item], beside: str, units: list[str]) -> Operand | None:
    if not items:
        return None
    text = " ".join(_group_fractions(items))
    text = _FACTORIALS.sub("! * ", text)
    computed = any(x.kind == "O" for x in items[1:]) or (len(items) > 1 and items[0].kind == "A")
    computed = computed or any(mark in text for mark in ("/", "\\frac", "\\sqrt", "\\binom", "*", "+", "!", "("))
    return Operand(text, items[0].start, items[-1].end, computed, beside, tuple(units))


def _group_fractions(items: list[Item]) -> list[str]:
    """Texts of the items, with brackets around the tight fraction in `25 / 1/3`, which is a third and not 25/1/3."""
    texts = [x.text for x in items]
    for k in range(3, len(items)):
        over, a, slash, b = items[k - 3 : k + 1]
        tight = slash.text == "/" and a.end == slash.start and slash.end == b.start and over.end != a.start
        if tight and over.text == "/" and a.text.isdigit() and b.text.isdigit():
            texts[k - 2], texts[k] = "(" + texts[k - 2], texts[k] + ")"
    return texts
