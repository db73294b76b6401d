"""Operand text to a value, and two values to a verdict: exact where possible, with the rules of rounding.

The parser and the exact algebra are the mathematics judge's (`tasks.grade.math`): nothing is evaluated from
strings, huge powers stay unevaluated, and what neither exact algebra nor float64 can decide is not checkable.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from tasks.grade.math.canon import Canon
from tasks.grade.math.clean import ParseError, clean
from tasks.grade.math.floats import free_symbols, real_value
from tasks.grade.math.nodes import Node, Num, Quantity, Rel, Seq, Sym, children, rebuild
from tasks.grade.math.parse import Parser
from tasks.grade.math.polynomial import OverBudgetError
from tasks.grade.math.tokens import tokenize

MAX_TEXT = 600
_FLOAT_SLACK = 1e-9
_LITERAL = re.compile(r"[-+({ ]*(?:\d+\.?\d*|\.\d+)[) }]*")
_BARE_E = re.compile(r"(?<![a-zA-Z\\])e(?![a-zA-Z]|\s*\^)")


@dataclass(frozen=True, slots=True)
class Value:
    """A constant: exact when rational, else float64. `ulp` is the last written place of a bare decimal or integer.

    `error` bounds what rounding of the decimals inside may have done.
    """

    exact: Fraction | None
    approximate: float
    ulp: Fraction | None
    error: float

    def show(self, like: Value | None = None) -> str:
        """As an integer, a short decimal or a fraction; a value without a rational form to 6 digits."""
        if self.exact is None:
            return f"{self.approximate:.6g}"
        if self.exact.denominator == 1:
            return str(self.exact.numerator) if self.exact.numerator.bit_length() < 400 else f"{self.approximate:.6g}"
        rest = self.exact.denominator
        for p in (2, 5):
            while rest % p == 0:
                rest //= p
        if rest == 1 and self.exact.denominator <= 10**6:
            return f"{float(self.exact):.12g}"
        if like is not None and like.ulp is not None and like.ulp < 1:
            return f"{float(self.exact):.{min(12, len(str(like.ulp.denominator)) - 1)}f}"
        return f"{self.exact.numerator}/{self.exact.denominator}"


@lru_cache(maxsize=20_000)
def parse(text: str) -> Node | None:
    """The tree of an operand's text, units dropped; None when it is no expression."""
    if len(text) > MAX_TEXT:
        return None
    try:
        node = Parser(tokenize(clean(text))).answer()
    except (ParseError, RecursionError):
        return None
    if isinstance(node, Quantity):
        node = node.value
    return None if isinstance(node, Rel | Seq) else node


@lru_cache(maxsize=20_000)
def evaluate(text: str, wide: bool) -> Value | None:
    """Value of a constant operand; `wide` lets every decimal inside be a rounded one."""
    node = parse(text)
    if node is None or free_symbols(node) or _BARE_E.search(text):
        return None
    try:
        top, bottom = Canon().ratio(node)
        exact = None
        if set(top) <= {()} and set(bottom) == {()}:
            exact = top.get((), Fraction(0)) / bottom[()]
    except (OverBudgetError, ZeroDivisionError, RecursionError, ValueError):
        exact = None
    approximate = _to_float(exact) if exact is not None else real_value(node)
    if approximate is None or not math.isfinite(approximate):
        return None
    ulp = None
    if _LITERAL.fullmatch(text):
        ulp = Fraction(1, 10 ** len(text.partition(".")[2].rstrip(") }"))) if "." in text else Fraction(1)
    error = 0.0 if ulp is not None else _rounding_error(node, approximate, wide)
    return Value(exact, approximate, ulp, error)


def _to_float(value: Fraction) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


def _looks_rounded(number: Num) -> bool:
    """Has the decimal three places or more, or a tail such as .33 and .67?"""
    if number.ulp <= Fraction(1, 1000):
        return True
    places = number.value * 100
    return (
        number.ulp == Fraction(1, 100)
        and places.denominator == 1
        and int(places) % 100 in (33, 67, 66, 17, 83, 14, 57, 43, 71, 29, 86)
    )


def _rounding_error(node: Node, value: float, wide: bool) -> float:
    """First-order effect on the value of half a place in every decimal that may be a rounded one."""
    total = 0.0
    for path in _decimals(node, wide)[:12]:
        shifted = real_value(_shift(node, path))
        if shifted is not None and math.isfinite(shifted):
            total += abs(shifted - value)
    return total


def _decimals(node: Node, wide: bool) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = []
    stack: list[tuple[Node, tuple[int, ...]]] = [(node, ())]
    while stack:
        current, path = stack.pop()
        if isinstance(current, Num):
            if current.ulp and (wide or _looks_rounded(current)):
                found.append(path)
            continue
        stack.extend((child, (*path, k)) for k, child in enumerate(children(current)))
    return found


def _shift(node: Node, path: tuple[int, ...]) -> Node:
    if isinstance(node, Num):
        return Num(node.value + node.ulp / 2)
    items = list(children(node))
    items[path[0]] = _shift(items[path[0]], path[1:])
    return rebuild(node, tuple(items))


def _coarseness(shown: Value) -> float:
    """The place an integer that ends in zeros may be rounded to: 100 for 1,200; 0 where there is none."""
    digits = str(abs(shown.exact.numerator)) if shown.exact is not None and shown.ulp == 1 else ""
    zeros = len(digits) - len(digits.rstrip("0"))
    return 10.0 ** min(zeros, len(digits) - 2) if zeros and len(digits) > 2 else 0.0


def agree(a: Value, b: Value, *, rounded: bool, whole: bool) -> bool:
    """Does `a = b` hold as written?

    Equal values agree. A bare decimal or integer on one side also stands for every value that rounds to it (half a
    place; a whole place where the other side has no finite decimal of that length, so 2/3 = 0.66 passes). An integer
    stands for a fraction only where the text rounds (`rounded`: "about", ≈) or wants whole things (`whole`).
    """
    if a.exact is not None and a.exact == b.exact:
        return True
    slack = a.error + b.error
    if a.exact is None or b.exact is None:
        slack += _FLOAT_SLACK * max(abs(a.approximate), abs(b.approximate), 1e-4)
    if a.exact is not None and b.exact is not None:
        gap = abs(a.exact - b.exact)
    else:
        gap = Fraction(abs(a.approximate - b.approximate))
    if gap <= slack:
        return True
    for shown, true in ((b, a), (a, b)):
        if shown.ulp is None:
            continue
        if shown.ulp == 1 and not (rounded or whole):
            continue
        half = gap <= float(shown.ulp) / 2 + slack
        cut = abs(shown.approximate) <= abs(true.approximate) + slack and gap < float(shown.ulp) + slack
        endless = true.exact is None or (true.exact / shown.ulp * 100).denominator != 1
        broken = true.exact is None or true.exact.denominator != 1
        near = shown.ulp == 1 and broken and gap < 1 + slack
        coarse = rounded and gap <= _coarseness(shown) / 2
        if half or (cut and endless) or near or coarse:
            return True
    return False


def same_constant(text_a: str, text_b: str, *, proof_only: bool) -> bool | None:
    """Exact comparison of two texts without a float value, such as complex numbers or identities in letters.

    With `proof_only` a True is a proof of equality and everything else is None.
    """
    a, b = parse(text_a), parse(text_b)
    if a is None or b is None:
        return None
    try:
        same = Canon().equal(a, b)
    except (RecursionError, ValueError):
        return None
    if proof_only:
        return True if same else None
    return same if same or (_imaginary(a) and _imaginary(b)) else None


def _imaginary(node: Node) -> bool:
    stack = [node]
    while stack:
        current = stack.pop()
        if current == Sym("i"):
            return True
        stack.extend(children(current))
    return False


def other_multiple(text_a: str, text_b: str) -> str:
    """What `2 * 2S` comes to when the other side says 6S: single terms in the same letters, else nothing."""
    a, b = parse(text_a), parse(text_b)
    if a is None or b is None:
        return ""
    try:
        (top_a, bottom_a), (top_b, bottom_b) = Canon().ratio(a), Canon().ratio(b)
    except (OverBudgetError, ZeroDivisionError, RecursionError, ValueError):
        return ""
    if len(top_a) != 1 or top_a.keys() != top_b.keys() or top_a == top_b or {*bottom_a, *bottom_b} != {()}:
        return ""
    ((monomial, coefficient),) = top_a.items()
    if len(monomial) != 1 or monomial[0][0][0] != "s" or monomial[0][1] != 1:
        return ""
    return f"{coefficient / bottom_a[()]}{monomial[0][0][1]}"
