"""Rewrites before comparison: ± into both values, matrix arithmetic, labels (`x = …`) off their values, views."""

from __future__ import annotations

import math
from functools import reduce

from tasks.grade.math.clean import ParseError
from tasks.grade.math.floats import real_value
from tasks.grade.math.literals import flat_name
from tasks.grade.math.nodes import (
    Add,
    Based,
    Choice,
    Fn,
    Interval,
    Matrix,
    Mul,
    Node,
    Num,
    PlusMinus,
    Pow,
    Quantity,
    Rel,
    Seq,
    Sym,
    Text,
    children,
    negate,
    rebuild,
)


def has_sign(node: Node) -> bool:
    """Does a ± occur anywhere?"""
    return isinstance(node, PlusMinus) or any(has_sign(child) for child in children(node))


def choose(node: Node, sign: int) -> Node:
    """The tree with every ± read as `sign` and every ∓ as its opposite."""
    if isinstance(node, PlusMinus):
        inner = choose(node.item, sign)
        return inner if node.sign * sign > 0 else negate(inner)
    kids = children(node)
    return rebuild(node, tuple(choose(child, sign) for child in kids)) if kids else node


def expand_signs(node: Node) -> Node:
    """± as a list of the two values, flattened into the list or set around it."""
    if not has_sign(node):
        return node
    if isinstance(node, Seq) and node.kind in ("bare", "set"):
        items: list[Node] = []
        for item in node.items:
            expanded = expand_signs(item)
            items.extend(expanded.items if isinstance(expanded, Seq) and has_sign(item) else (expanded,))
        return Seq(node.kind, tuple(items))
    return Seq("bare", (choose(node, 1), choose(node, -1)))


def simplify_matrices(node: Node) -> Node:
    """Sums, products, multiples and transposes of matrices carried out."""
    kids = children(node)
    if not kids or not _has_matrix(node):
        return node
    node = rebuild(node, tuple(simplify_matrices(child) for child in kids))
    match node:
        case Add(items) if all(isinstance(x, Matrix) for x in items):
            return reduce(_add, items)
        case Mul(items):
            return reduce(_multiply, items)
        case Pow(Matrix(rows), Sym("T")):
            return Matrix(tuple(zip(*rows, strict=True)))
        case Fn("det", (Matrix(rows),)) if len(rows) == len(rows[0]) <= 4:
            return _determinant(rows)
        case Seq(_, (Matrix() as only,)):
            return only
        case _:
            return node


def _determinant(rows: tuple[tuple[Node, ...], ...]) -> Node:
    """Expansion along the first row."""
    if len(rows) == 1:
        return rows[0][0]
    minors = [tuple(r[:j] + r[j + 1 :] for r in rows[1:]) for j in range(len(rows))]
    terms = (Mul((entry, _determinant(minor))) for entry, minor in zip(rows[0], minors, strict=True))
    return Add(tuple(negate(term) if j % 2 else term for j, term in enumerate(terms)))


def _has_matrix(node: Node) -> bool:
    return isinstance(node, Matrix) or any(_has_matrix(child) for child in children(node))


def _add(a: Node, b: Node) -> Node:
    if isinstance(a, Matrix) and isinstance(b, Matrix) and _shape(a) == _shape(b):
        return Matrix(
            tuple(tuple(Add((x, y)) for x, y in zip(r, s, strict=True)) for r, s in zip(a.rows, b.rows, strict=True))
        )
    return Add((a, b))


def _multiply(a: Node, b: Node) -> Node:
    if isinstance(a, Matrix) and isinstance(b, Matrix):
        if _shape(a)[1] != _shape(b)[0] or len(a.rows) * len(b.rows) > 100:
            return Mul((a, b))
        columns = list(zip(*b.rows, strict=True))
        return Matrix(
            tuple(
                tuple(_sum(tuple(Mul((x, y)) for x, y in zip(row, column, strict=True))) for column in columns)
                for row in a.rows
            )
        )
    for matrix, factor in ((a, b), (b, a)):
        if isinstance(matrix, Matrix):
            return Matrix(tuple(tuple(Mul((factor, x)) for x in row) for row in matrix.rows))
    return Mul((a, b))


def _sum(terms: tuple[Node, ...]) -> Node:
    return terms[0] if len(terms) == 1 else Add(terms)


def _shape(matrix: Matrix) -> tuple[int, int]:
    return len(matrix.rows), len(matrix.rows[0])


def is_name(node: Node) -> bool:
    """Can the node label a value: x, a_n, f(x), P(A), AB, |AB|, A:B, (p, q), dy/dx?"""
    match node:
        case Sym(name):
            return name not in ("pi", "e", "oo", "emptyset") and not name.startswith("set_")
        case Fn("abs" | "ratio", args):
            return all(is_name(arg) for arg in args)
        case Fn(name, args):
            return len(name) <= 2 or name[1] in "_'" or name in ("sin", "cos", "tan", "max", "min")
        case Mul(items):
            return all(is_name(item) or (isinstance(item, Pow) and is_name(item.base)) for item in items)
        case Pow(base, exp):
            return is_name(base) and (isinstance(exp, Num) and exp.value == -1)
        case Seq("()", items):
            return all(isinstance(item, Sym) for item in items)
        case Seq("bare", items):
            return all(isinstance(item, Sym) for item in items)
        case Quantity(value, _):
            return is_name(value)
        case _:
            return False


def split_label(node: Node) -> tuple[Node | None, Node]:
    """(label, value) of `x = value` or `x ∈ value`; label None for a bare value, equation or inequality.

    In a chain `x = 1 + 1 = 2 ≈ 1.9` the value is the last exact member; so it is in `1 + 1 = 2`, if that is true.
    """
    if not isinstance(node, Rel):
        return None, node
    ops, items = node.ops, node.items
    if "~" in ops:
        cut = ops.index("~")
        if cut == 0 and is_name(items[0]) and not isinstance(items[0], Num):
            return items[0], items[1]
        ops, items = ops[:cut], items[: cut + 1]
        if not ops:
            return None, items[0]
    if set(ops) != {"="}:
        return (items[0], items[1]) if ops == ("in",) and is_name(items[0]) else (None, Rel(ops, items))
    if is_name(items[0]):
        return items[0], items[-1]
    if len(items) == 2 and is_name(items[1]):
        return items[1], items[0]
    if len(items) > 2 or _is_sum(items[0], items[1]):
        return None, items[-1]
    return None, Rel(ops, items)


def _is_sum(left: Node, right: Node) -> bool:
    """Whether `2 + 3 = 5` says what a number comes to."""
    value = real_value(left) if isinstance(right, Num) else None
    return value is not None and isinstance(right, Num) and math.isclose(value, right.value, rel_tol=1e-12)


FLIP = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def oriented(relation: Rel) -> tuple[str, Node]:
    """The relation as (op, gap) with gap op 0 and op among = != < <=."""
    left, right = relation.items
    op = relation.ops[0]
    if op in (">", ">="):
        return FLIP[op], Add((right, negate(left)))
    return op, Add((left, negate(right)))


def substitute(node: Node, old: Node, new: Node) -> Node:
    """`node` with `old` replaced by `new`."""
    if node == old:
        return new
    kids = children(node)
    return rebuild(node, tuple(substitute(child, old, new) for child in kids)) if kids else node


def letters(node: Node) -> str:
    """A node's letters in lower case: words, a choice, or a product of symbols."""
    if isinstance(node, Text):
        return node.words
    if isinstance(node, Choice):
        return node.letter.lower()
    try:
        return flat_name(node).lower()
    except ParseError:
        return ""


def choice_letters(node: Node) -> str:
    """The capitals A to J of a list or run of choices, sorted; empty for anything else."""
    parts = node.items if isinstance(node, Seq | Mul) else (node,)
    names = [part.name for part in parts if isinstance(part, Sym) and len(part.name) == 1 and "A" <= part.name <= "J"]
    return "".join(sorted(names)) if len(names) == len(parts) == len(set(names)) else ""


def based_value(node: Node) -> tuple[int, str] | None:
    """(base, digits); a whole number counts as base ten."""
    if isinstance(node, Based):
        return node.base, node.digits.lstrip("0")
    if isinstance(node, Num) and node.value.denominator == 1:
        return 10, str(node.value)
    return None


def brackets(node: Node) -> tuple[Node, Node, bool, bool] | None:
    """(lo, hi, lo open, hi open) of an interval or a pair."""
    if isinstance(node, Interval):
        return node.lo, node.hi, node.lo_open, node.hi_open
    if isinstance(node, Seq) and len(node.items) == 2 and node.kind in ("()", "[]"):
        return node.items[0], node.items[1], node.kind == "()", node.kind == "()"
    return None


def rows(node: Node) -> list[tuple[Node, ...]] | None:
    """A matrix's rows; an ordered list counts as a column."""
    if isinstance(node, Matrix):
        return list(node.rows)
    if isinstance(node, Seq) and node.kind in ("()", "[]"):
        lists = [item.items for item in node.items if isinstance(item, Seq) and item.kind == node.kind]
        return lists if len(lists) == len(node.items) else [(item,) for item in node.items]
    return None
