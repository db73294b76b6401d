"""Numbers, names and words: the leaves that the parser reads from single tokens."""

from __future__ import annotations

import re
from fractions import Fraction

from tasks.grade.math.clean import ParseError
from tasks.grade.math.nodes import (
    Mul,
    Node,
    Num,
    Quantity,
    Sym,
    negate,
)
from tasks.grade.math.tokens import Token


def number(text: str) -> Num:
    """The exact value of a decimal literal, with its significant digits; `1.50e3` has three."""
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > 400 or abs(int(exponent or "0")) > 400:
        raise ParseError("number too long")
    whole, point, places = mantissa.partition(".")
    shift = int(exponent or "0") - len(places)
    value = Fraction(int((whole + places) or "0")) * Fraction(10) ** shift
    if not point and not exponent:
        return Num(value)
    return Num(value, len((whole + places).lstrip("0")), Fraction(10) ** shift)


def separator(token: Token) -> str:
    """`,` `;` `and` `or` when the token parts the items of a list, else nothing."""
    if token.kind == "op" and token.value in (",", ";", "and", "or"):
        return token.value
    if token.kind == "text":
        words = token.value.strip().strip(",;").strip().lower()
        return words if words in ("and", "or") else ("," if not words and "," in token.value else "")
    return ""


def mixed_number(whole: Num, fraction: Num) -> Num:
    """2 and 5/8 as 21/8."""
    return Num(whole.value + fraction.value if whole.value >= 0 else whole.value - fraction.value)


def repeating(prefix: str, cycle: str) -> Num:
    """0.1 and the cycle 6 as 1/6."""
    digits = re.sub(r"\D", "", cycle)
    if not digits or len(digits) > 60 or "." not in prefix:
        raise ParseError("bad repeating decimal")
    places = len(prefix.partition(".")[2])
    tail = Fraction(int(digits), (10 ** len(digits) - 1) * 10**places)
    return Num(number(prefix).value + tail)


def strip_unit(node: Node) -> Node:
    """The value of a quantity, anything else unchanged."""
    return node.value if isinstance(node, Quantity) else node


def negate_value(node: Node) -> Node:
    """Minus, inside the unit: -(5 cm) is (-5) cm."""
    return Quantity(negate(node.value), node.unit) if isinstance(node, Quantity) else negate(node)


def flatten_product(node: Node) -> tuple[Node, ...]:
    """Factors of nested products, left to right."""
    if not isinstance(node, Mul):
        return (node,)
    return tuple(leaf for item in node.items for leaf in flatten_product(item))


def flat_name(node: Node) -> str:
    """Letters of a product of symbols, as a name: `AB`."""
    parts = flatten_product(node)
    if not all(isinstance(part, Sym) for part in parts):
        raise ParseError("not a name")
    return "".join(part.name for part in parts if isinstance(part, Sym))


def reduce_words(text: str) -> str:
    """Lower-case letters and digits of `text`, without articles."""
    words = re.findall(r"[^\W_]+", text.lower())
    articles = {"the", "a", "an"} if any(len(w) > 3 for w in words) else set()
    return "".join(w for w in words if w not in articles)
