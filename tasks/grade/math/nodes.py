"""The typed tree of a parsed answer: expressions below, whole answers above.

Every node is a frozen dataclass, so a tree is immutable, hashable and printable. Nothing here computes:
parsing builds trees (`parse`), `canon` and `floats` decide about them, `worker` proves.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Num:
    """An exact rational; `digits` counts its significant digits when it was written as a decimal, else 0.

    `ulp` is the value of the last written decimal place (3.14 has 1/100), 0 for integers and fractions.
    """

    value: Fraction
    digits: int = 0
    ulp: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Sym:
    """A variable, a physical constant or one of the constants `pi`, `e`, `i`, `oo`."""

    name: str


@dataclass(frozen=True, slots=True)
class Add:
    """A sum of two or more terms."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Mul:
    """A product of two or more factors."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Pow:
    """`base ** exp`; a quotient is a product with a power of -1."""

    base: Node
    exp: Node


@dataclass(frozen=True, slots=True)
class Fn:
    """A function applied to arguments: `sin`, `ln`, `fact`, `root` (degree first), `sum`, or a letter."""

    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class PlusMinus:
    """`± x` (sign 1) or `∓ x` (sign -1); all signs of one answer are chosen together."""

    item: Node
    sign: int


@dataclass(frozen=True, slots=True)
class Seq:
    """Comma-separated items; kind is the bracket: `()`, `[]`, `set` for `\\{\\}`, `bare` for none."""

    kind: str
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """A real interval whose brackets differ; `(a,b)` and `[a,b]` stay `Seq` until compared."""

    lo: Node
    hi: Node
    lo_open: bool
    hi_open: bool


@dataclass(frozen=True, slots=True)
class SetOp:
    """`op` is `union`, `intersect` or `minus`."""

    op: str
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of equal length."""

    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True, slots=True)
class Rel:
    """A chain `items[0] ops[0] items[1] …` with ops among `= != < <= > >= ~ in`."""

    ops: tuple[str, ...]
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value with a unit; the unit is a canonical name (`cm^2`) or a plain noun (`apple`)."""

    value: Node
    unit: str


@dataclass(frozen=True, slots=True)
class Based:
    """Digits in a number base, `204_5`."""

    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Text:
    """Words, reduced to lower-case letters and digits."""

    words: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A multiple-choice letter, with the option's words when they were written beside it."""

    letter: str
    words: str = ""


Node = (
    Num
    | Sym
    | Add
    | Mul
    | Pow
    | Fn
    | PlusMinus
    | Seq
    | Interval
    | SetOp
    | Matrix
    | Rel
    | Quantity
    | Based
    | Text
    | Choice
)

MINUS_ONE = Num(Fraction(-1))
ONE = Num(Fraction(1))
HALF = Num(Fraction(1, 2))
INFINITY = Sym("oo")


def negate(node: Node) -> Node:
    """-node, folded for numbers."""
    if isinstance(node, Num):
        return Num(-node.value, node.digits, node.ulp)
    return Mul((MINUS_ONE, node))


def divide(top: Node, bottom: Node) -> Node:
    """top / bottom as a product, folded for integers so that 1/3 is a number."""
    if (
        isinstance(top, Num)
        and isinstance(bottom, Num)
        and bottom.value
        and top.value.denominator == bottom.value.denominator == 1
    ):
        return Num(top.value / bottom.value)
    return multiply(top, Pow(bottom, MINUS_ONE))


def multiply(left: Node, right: Node) -> Node:
    """left · right, flat on the left so that long products stay shallow."""
    return Mul((*left.items, right)) if isinstance(left, Mul) else Mul((left, right))


def children(node: Node) -> tuple[Node, ...]:
    """Direct subtrees in reading order."""
    match node:
        case Add(items) | Mul(items) | Fn(_, items) | Seq(_, items) | SetOp(_, items) | Rel(_, items):
            return items
        case Pow(base, exp):
            return (base, exp)
        case PlusMinus(item, _) | Quantity(item, _):
            return (item,)
        case Interval(lo, hi, _, _):
            return (lo, hi)
        case Matrix(rows):
            return tuple(item for row in rows for item in row)
        case _:
            return ()


def rebuild(node: Node, items: tuple[Node, ...]) -> Node:
    """The same node over new subtrees, given in the order of `children`."""
    match node:
        case Add():
            return Add(items)
        case Mul():
            return Mul(items)
        case Fn(name, _):
            return Fn(name, items)
        case Seq(kind, _):
            return Seq(kind, items)
        case SetOp(op, _):
            return SetOp(op, items)
        case Rel(ops, _):
            return Rel(ops, items)
        case Pow():
            return Pow(items[0], items[1])
        case PlusMinus(_, sign):
            return PlusMinus(items[0], sign)
        case Quantity(_, unit):
            return Quantity(items[0], unit)
        case Interval(_, _, lo_open, hi_open):
            return Interval(items[0], items[1], lo_open, hi_open)
        case Matrix(rows):
            width = len(rows[0])
            return Matrix(tuple(items[i : i + width] for i in range(0, len(items), width)))
        case _:
            return node


def depth(node: Node) -> int:
    """Height of the tree, found without recursion."""
    deepest, stack = 0, [(node, 1)]
    while stack:
        current, level = stack.pop()
        deepest = max(deepest, level)
        stack.extend((child, level + 1) for child in children(current))
    return deepest
