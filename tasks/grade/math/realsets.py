"""Subsets of the real line as disjoint pieces with exact end points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from tasks.grade.math.canon import Canon
from tasks.grade.math.floats import real_value
from tasks.grade.math.nodes import (
    INFINITY,
    Add,
    Fn,
    Interval,
    Mul,
    Node,
    Num,
    Rel,
    Seq,
    SetOp,
    Sym,
    divide,
    negate,
)
from tasks.grade.math.polynomial import OverBudgetError

_MINUS_INFINITY = negate(INFINITY)
_FLIP = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "!=": "!="}
_ORDER = frozenset(["<", ">", "<=", ">="])


@dataclass(frozen=True, slots=True)
class Piece:
    """One interval or point; `low` and `high` are the float64 values of its ends."""

    lo: Node
    hi: Node
    lo_open: bool
    hi_open: bool
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RealSet:
    """Pieces in order, and the variable the set was written for, if any."""

    pieces: tuple[Piece, ...]
    variable: str = ""


LINE = RealSet((Piece(_MINUS_INFINITY, INFINITY, True, True, -math.inf, math.inf),))


def is_set_like(node: Node) -> bool:
    """Is the node written as a set of reals, beyond a plain list or pair?"""
    if isinstance(node, Interval | SetOp):
        return True
    if isinstance(node, Rel):
        return bool(set(node.ops) & (_ORDER | {"!=", "in"}))
    return isinstance(node, Sym) and node.name in ("set_R", "emptyset", "varnothing")


def real_set(node: Node) -> RealSet | None:
    """The set a node denotes: interval, finite set, union, difference, or a linear inequality's solutions."""
    match node:
        case Sym("set_R"):
            return LINE
        case Sym("emptyset"):
            return RealSet(())
        case Interval(lo, hi, lo_open, hi_open):
            return _interval(lo, hi, lo_open, hi_open)
        case Seq("()" | "[]" as kind, (lo, hi)):
            return _interval(lo, hi, kind == "()", kind == "()")
        case Seq("set" | "bare", items):
            points = [_interval(item, item, False, False) for item in items]
            return union([p for p in points if p]) if all(points) else None
        case SetOp(op, items):
            return _operate(op, items)
        case Rel(("in",), (Sym(name), inside)):
            found = real_set(inside)
            return RealSet(found.pieces, name) if found else None
        case Rel(ops, items) if set(ops) <= _ORDER or ops == ("!=",):
            return _solve(ops, items)
        case _:
            return None


def _interval(lo: Node, hi: Node, lo_open: bool, hi_open: bool) -> RealSet | None:
    low, high = real_value(lo), real_value(hi)
    if low is None or high is None or low > high:
        return None
    piece = Piece(lo, hi, lo_open or low == -math.inf, hi_open or high == math.inf, low, high)
    return RealSet((piece,) if low < high or not (lo_open or hi_open) else ())


def _operate(op: str, items: tuple[Node, ...]) -> RealSet | None:
    sets = [real_set(item) for item in items]
    known = [s for s in sets if s is not None]
    if len(known) != len(sets):
        return None
    if op == "union":
        return union(known)
    result = known[0]
    for other in known[1:]:
        result = intersect(result, complement(other) if op == "minus" else other)
    return result


def union(sets: list[RealSet]) -> RealSet:
    """The union, with touching pieces joined."""
    pieces = sorted((p for s in sets for p in s.pieces), key=lambda p: (p.low, p.lo_open))
    merged: list[Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if last and (
            piece.low < last.high
            or (math.isclose(piece.low, last.high, rel_tol=1e-12) and not (piece.lo_open and last.hi_open))
        ):
            longer = piece if (piece.high, not piece.hi_open) > (last.high, not last.hi_open) else last
            same_start = piece.low == last.low
            merged[-1] = Piece(
                last.lo,
                longer.hi,
                last.lo_open and (piece.lo_open or not same_start),
                longer.hi_open,
                last.low,
                longer.high,
            )
        else:
            merged.append(piece)
    return RealSet(tuple(merged), next((s.variable for s in sets if s.variable), ""))


def complement(a: RealSet) -> RealSet:
    """The reals outside `a`."""
    pieces: list[Piece] = []
    lo, low, lo_open = _MINUS_INFINITY, -math.inf, True
    for piece in a.pieces:
        if piece.low > low or (piece.low == low and not lo_open and piece.lo_open):
            pieces.append(Piece(lo, piece.lo, lo_open, not piece.lo_open, low, piece.low))
        lo, low, lo_open = piece.hi, piece.high, not piece.hi_open
    if low < math.inf:
        pieces.append(Piece(lo, INFINITY, lo_open, True, low, math.inf))
    return RealSet(tuple(pieces), a.variable)


def intersect(a: RealSet, b: RealSet) -> RealSet:
    """The intersection, as the complement of the union of complements."""
    result = complement(union([complement(a), complement(b)]))
    return RealSet(result.pieces, a.variable or b.variable)


def _solve(ops: tuple[str, ...], items: tuple[Node, ...]) -> RealSet | None:
    """A chain of linear inequalities in one variable."""
    result, variable = LINE, ""
    for index, op in enumerate(ops):
        solved = _solve_one(op, items[index], items[index + 1])
        if solved is None or (variable and solved.variable != variable):
            return None
        variable = solved.variable
        result = intersect(result, solved)
    return RealSet(result.pieces, variable)


def _solve_one(op: str, left: Node, right: Node) -> RealSet | None:
    if _variable(right) and real_value(left) is not None:
        op, left, right = _FLIP[op], right, left
    name, bound = _variable(left), right
    if not name or real_value(right) is None:
        solved = _linear(Add((left, negate(right))))
        if solved is None:
            return None
        name, bound, positive = solved
        op = op if positive else _FLIP[op]
    if op == "!=":
        point = _interval(bound, bound, False, False)
        return RealSet(complement(point).pieces, name) if point else None
    closed = op in ("<=", ">=")
    if op in ("<", "<="):
        half = _interval(_MINUS_INFINITY, bound, True, not closed)
    else:
        half = _interval(bound, INFINITY, not closed, True)
    return RealSet(half.pieces, name) if half else None


def _variable(node: Node) -> str:
    if isinstance(node, Sym) and node.name not in ("pi", "e", "i", "oo"):
        return node.name
    if isinstance(node, Fn) and node.name[0] in "fghFGHPy" and len(node.args) == 1 and isinstance(node.args[0], Sym):
        return f"{node.name}({node.args[0].name})"
    return ""


def _linear(node: Node) -> tuple[str, Node, bool] | None:
    """c·x + d as (x, -d/c, c > 0), for a rational c."""
    try:
        top, bottom = Canon().ratio(node)
    except (OverBudgetError, ZeroDivisionError):
        return None
    if set(bottom) != {()}:
        return None
    name, slope, constant = "", Fraction(0), Fraction(0)
    for monomial, c in top.items():
        if not monomial:
            constant = c
        elif len(monomial) == 1 and monomial[0][0][0] == "s" and monomial[0][1] == 1 and not name:
            name, slope = monomial[0][0][1], c
        else:
            return _symbolic_linear(node)
    if not name or name in ("pi", "e", "oo"):
        return None
    slope /= bottom[()]
    return name, Num(-constant / bottom[()] / slope), slope > 0


def _symbolic_linear(node: Node) -> tuple[str, Node, bool] | None:
    """k·x - d with an irrational d, as written."""
    if not (isinstance(node, Add) and len(node.items) == 2):
        return None
    left, right = node.items
    if (
        isinstance(left, Mul)
        and len(left.items) == 2
        and isinstance(left.items[0], Num)
        and (name := _variable(left.items[1]))
    ):
        return name, divide(negate(right), left.items[0]), left.items[0].value > 0
    return None
