"""Equations that should follow from the one before, and results put back where they came from.

Only polynomial equations in one variable, up to degree 6, are decided, by exact substitution: everything else
is left alone. Two equations are compared when nothing but a step of reasoning stands between them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from tasks.grade.math.canon import Canon
from tasks.grade.math.nodes import Add, negate
from tasks.grade.math.polynomial import OverBudgetError
from tasks.grade.steps.chains import Chain
from tasks.grade.steps.report import Claim
from tasks.grade.steps.values import Value, agree, evaluate, parse
from tasks.grade.steps.words import is_hypothetical, is_modular, is_refuted, is_rounded

MAX_DEGREE = 6
MAX_GAP = 160
"""Characters that may stand between two equations of one derivation."""

_BREAKS = re.compile(
    r"\b(?:or|and|case|another|other|similarly|also|let|second|next|option|try|when|where|substitut\w*|plug\w*|"
    r"minus sign|given|equation \d|same|factor\w*)\b|,\s*$|;\s*$|[?]",
    re.IGNORECASE,
)
_ALTERNATIVES = re.compile(r"\b(?:or|and|case)\b|\\pm|±|,\s*[a-z]\s*=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Equation:
    """`sum of coefficient[n] * variable^n = 0`, and the value of a right side when the left is the bare variable."""

    variable: str
    coefficients: tuple[Fraction, ...]
    solved: Value | None
    start: int
    end: int

    @property
    def degree(self) -> int:
        """Highest power of the variable."""
        return len(self.coefficients) - 1

    def at(self, x: Fraction) -> Fraction:
        """The polynomial's value."""
        total = Fraction(0)
        for c in reversed(self.coefficients):
            total = total * x + c
        return total


def read_equation(chain: Chain, k: int) -> Equation | None:
    """The equation between operand `k` and the next, None when it is not polynomial in exactly one variable."""
    a, b = chain.operands[k], chain.operands[k + 1]
    if a is None or b is None or chain.relations[k] != "=" or a.start > b.start:
        return None
    if a.beside not in ("", "S", "W") or b.beside not in ("", "S", "W") or "%" in a.text + b.text:
        return None
    left, right = parse(a.text), parse(b.text)
    if left is None or right is None:
        return None
    try:
        top, bottom = Canon().ratio(Add((left, negate(right))))
    except (OverBudgetError, ZeroDivisionError, RecursionError, ValueError):
        return None
    names = {atom for monomial in (*top, *bottom) for atom, _ in monomial}
    if len(names) != 1 or set(bottom) != {()}:
        return None
    ((kind, name),) = names
    powers: dict[int, Fraction] = {}
    for monomial, c in top.items():
        power = monomial[0][1] if monomial else Fraction(0)
        if power.denominator != 1 or not 0 <= power <= MAX_DEGREE:
            return None
        powers[int(power)] = c
    if kind != "s" or name in ("pi", "e", "i", "oo"):
        return None
    solved = evaluate(b.text, False) if a.text.strip() == name else None
    coefficients = tuple(powers.get(n, Fraction(0)) for n in range(max(powers) + 1))
    return Equation(name, coefficients, solved, a.start, b.end)


def judge_following(index: int, step: str, before: Equation, after: Equation) -> Claim | None:
    """Does `after` follow from `before`? None when they may belong to different lines of thought."""
    between = step[before.end : after.start]
    if before.variable != after.variable or before.solved is not None or len(between) > MAX_GAP:
        return None
    if _BREAKS.search(between) or before.degree == 0 or after.degree == 0:
        return None
    beside = step[max(0, before.start - 30) : before.start] + " " + step[after.end : after.end + 30]
    if _ALTERNATIVES.search(beside):
        return None
    span = (before.start, after.end)
    text = step[after.start : after.end]
    near = step[max(0, before.start - 60) : after.end + 60]
    holds, expected = _follows(before, after, rounded=is_rounded(near))
    if holds is None:
        return None
    if holds:
        return Claim(index, span, text, "equation", "ok")
    if is_refuted(step, before.start, after.end) or is_modular(near) or is_hypothetical(between):
        return Claim(index, span, text, "equation", "not_checkable", "denied, supposed or modular")
    return Claim(
        index, span, text, "equation", "wrong", f"does not follow from {step[before.start : before.end]}", expected
    )


def _follows(before: Equation, after: Equation, *, rounded: bool) -> tuple[bool | None, str]:
    if before.degree == 1:
        root = -before.coefficients[0] / before.coefficients[1]
        exact = Value(root, float(root), None, 0.0)
        expected = f"{before.variable} = {exact.show()}"
        if after.solved is not None:
            return agree(exact, after.solved, rounded=rounded, whole=False), expected
        if after.degree == 1 and after.coefficients[1]:
            other = -after.coefficients[0] / after.coefficients[1]
            return abs(other - root) <= abs(root) / 1000 if rounded else other == root, expected
        return (True, "") if after.at(root) == 0 else (None, "")
    if after.solved is not None:
        if after.solved.exact is None or (after.solved.ulp is not None and after.solved.ulp < 1):
            return None, ""
        return before.at(after.solved.exact) == 0, ""
    if before.degree != after.degree:
        return None, ""
    scale = after.coefficients[-1] / before.coefficients[-1]
    return tuple(c * scale for c in before.coefficients) == after.coefficients, ""


def judge_result(index: int, step: str, given: Equation, result: Equation) -> Claim | None:
    """Does the result solve the problem's own equation?"""
    if result.solved is None or result.solved.exact is None or result.variable != given.variable:
        return None
    text = step[result.start : result.end]
    span = (result.start, result.end)
    if given.at(result.solved.exact) == 0:
        return Claim(index, span, text, "substitution", "ok")
    approximate = result.solved.ulp is not None and result.solved.ulp < 1
    if approximate or is_refuted(step, result.start, result.end) or is_rounded(step):
        return Claim(index, span, text, "substitution", "not_checkable", "rounded or denied")
    root = -given.coefficients[0] / given.coefficients[1] if given.degree == 1 else None
    expected = f"{given.variable} = {Value(root, float(root), None, 0.0).show()}" if root is not None else ""
    return Claim(index, span, text, "substitution", "wrong", "does not solve the problem's equation", expected)
