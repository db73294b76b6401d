"""One stated equality to a verdict: the value of both sides, then what the text around it excuses."""

from __future__ import annotations

import re

from tasks.grade.math.floats import free_symbols
from tasks.grade.math.nodes import Sym
from tasks.grade.steps.chains import Chain
from tasks.grade.steps.operands import Operand
from tasks.grade.steps.report import Claim, Kind, Verdict
from tasks.grade.steps.values import Value, agree, evaluate, other_multiple, parse, same_constant
from tasks.grade.steps.words import CONVERSIONS, is_modular, is_refuted, is_rounded, is_supposed, is_whole

_BEFORE, _AFTER = 150, 120
"""Characters around a claim that may speak of rounding."""
_NEAR = 60
"""Characters around a claim that may deny it."""
_SCALE = re.compile(r"@\d+")
_INVERSE_TRIGONOMETRY = re.compile(r"\\arc|\\(?:sin|cos|tan)\s*\^")


def judge_pair(index: int, step: str, chain: Chain, k: int) -> Claim | None:
    """The claim that operand `k` of the chain equals the next one; None when a side is no expression."""
    a, b = chain.operands[k], chain.operands[k + 1]
    if a is None or b is None or a.start > b.start:
        return None
    first, last = k == 0, k + 2 == len(chain.operands)
    span = (_with_money(step, a.start), b.end)
    text = step[span[0] : span[1]]
    kind: Kind = "verbal" if chain.verbal else "arithmetic"

    def claim(verdict: Verdict, reason: str = "", expected: str = "") -> Claim:
        return Claim(index, span, text, kind, verdict, reason, expected)

    wide = chain.relations[k] == "~"
    left, right = readings(a, wide=wide), readings(b, wide=wide)
    context = step[max(0, span[0] - _BEFORE) : span[1] + _AFTER]
    rounded, whole = wide or is_rounded(context), is_whole(context)
    if not left or not right:
        if _has_letters(a) or _has_letters(b):
            if first and len(chain.operands) == 2 and right and isinstance(parse(a.text), Sym):
                kind = "definition"
                return claim("not_checkable", f"gives {a.text.strip()} its value")
            kind = "equation"
            if same_constant(a.text, b.text, proof_only=True):
                return claim("ok")
            if a.computed and a.beside in ("", "S", "W") and (term := other_multiple(a.text, b.text)):
                return claim("wrong", f"the left side comes to {term}", term)
            return claim("not_checkable", "has variables")
        same = same_constant(a.text, b.text, proof_only=False)
        if same is None or (not same and (a.beside or b.beside)):
            return claim("not_checkable", "no value")
        return claim("ok") if same else claim("wrong", "the two sides are different constants")
    if any(agree(x, y, rounded=rounded, whole=whole) for x in left for y in right):
        return claim("ok")
    excuse = _excuse(step, chain, a, b, first=first, last=last)
    if a.beside in ("-", "*"):
        negative = readings(a._replace(text=f"-{a.text}"), wide=wide)
        if any(agree(x, y, rounded=rounded, whole=whole) for x in negative for y in right):
            return claim("ok")
    if excuse:
        return claim("not_checkable", excuse)
    value = left[0].show(right[0])
    return claim("wrong", f"the left side comes to {value}", value)


def _excuse(step: str, chain: Chain, a: Operand, b: Operand, *, first: bool, last: bool) -> str:
    """Why two different values need not be an error here; empty when they are one."""
    if (first and a.beside in tuple("AX-")) or (last and b.beside in tuple("AXO")):
        return "part of something unread"
    if first and a.beside == "*" and not chain.line_start:
        return "a sign or a dash"
    if first and not a.computed and (a.beside in tuple("WS") or a.units or not b.computed):
        return "a label, a conversion or a condition"
    if _INVERSE_TRIGONOMETRY.search(a.text) and "\\circ" in b.text:
        return "an angle in an unknown unit"
    if _may_convert(step, a, b):
        return "another unit"
    near = step[max(0, a.start - _NEAR) : b.end + _NEAR]
    if is_refuted(step, a.start, b.end):
        return "denied or taken back"
    if is_supposed(step, a.start):
        return "supposed"
    if is_modular(near):
        return "modular or in another base"
    return ""


def _may_convert(step: str, a: Operand, b: Operand) -> bool:
    """Has the right side a unit of its own, and is it off by a factor between units?"""
    own = {unit for word in a.units for unit in re.split(r"\W+", word) if unit in CONVERSIONS}
    other = {unit for unit in b.units if unit in CONVERSIONS and unit.rstrip("s") not in {u.rstrip("s") for u in own}}
    if not a.units and "$" not in step[max(0, a.start - 2) : a.end]:
        return False
    if len(own) > 1 and any(sign in a.text for sign in "+-"):  # 4 hours + 30 minutes
        return True
    left, right = evaluate(_plain(a.text), False), evaluate(_plain(b.text), False)
    if not other or left is None or right is None or not left.exact or not right.exact:
        return False
    ratio = max(left.exact / right.exact, right.exact / left.exact)
    return any(ratio in CONVERSIONS[unit] for unit in other)


def _plain(text: str) -> str:
    return text.replace("%", "/100").replace("@", "*")


def readings(operand: Operand, *, wide: bool) -> list[Value]:
    """Values an operand may have: a percentage is a hundredth part, or a plain number where nothing multiplies."""
    texts = [operand.text]
    if "@" in operand.text:  # 16 million, where the other side may count in millions
        texts = [operand.text.replace("@", "*"), _SCALE.sub("", operand.text)]
    elif "%" in operand.text:
        texts = [operand.text.replace("%", "/100")]
        if "*" not in operand.text or (operand.text.count("%") == 1 and operand.text.endswith("%)")):
            texts.append(operand.text.replace("%", ""))
    return [value for text in texts if (value := evaluate(text, wide)) is not None]


def _has_letters(operand: Operand) -> bool:
    node = parse(operand.text.replace("%", "/100"))
    return node is None or bool(free_symbols(node))


def _with_money(step: str, start: int) -> int:
    """Include a currency sign before the claim in its span."""
    while start and step[start - 1] in "$£€¥\\" and (start == 1 or step[start - 2] != "\\" or step[start - 1] == "$"):
        start -= 1
    return start
