"""Trees as short text, for verdicts and logs."""

from __future__ import annotations

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
    SetOp,
    Sym,
    Text,
)

_BRACKETS = {"()": "()", "[]": "[]", "set": "{}", "bare": ("", "")}
_SET_SIGNS = {"union": " ∪ ", "intersect": " ∩ ", "minus": " \\ "}


def render(node: Node) -> str:
    """One line of at most 500 characters; numbers too long to read are left out."""
    return _render(node)[:500]


def _render(node: Node) -> str:
    match node:
        case Num(value):
            if value.numerator.bit_length() + value.denominator.bit_length() > 2000:
                return "<long number>"
            return str(value)
        case Sym(name) | Text(name):
            return name
        case Add(items):
            return "(" + " + ".join(map(_render, items)) + ")"
        case Mul(items):
            return "·".join(map(_render, items))
        case Pow(base, exp):
            return f"{_render(base)}^({_render(exp)})"
        case Fn(name, args):
            return f"{name}({', '.join(map(_render, args))})"
        case PlusMinus(item, sign):
            return f"{'±' if sign > 0 else '∓'}{_render(item)}"
        case Seq(kind, items):
            left, right = _BRACKETS[kind]
            return left + ", ".join(map(_render, items)) + right
        case Interval(lo, hi, lo_open, hi_open):
            return f"{'(' if lo_open else '['}{_render(lo)}, {_render(hi)}{')' if hi_open else ']'}"
        case SetOp(op, items):
            return _SET_SIGNS[op].join(map(_render, items))
        case Matrix(rows):
            return "[" + "; ".join(", ".join(map(_render, row)) for row in rows) + "]"
        case Rel(ops, items):
            return _render(items[0]) + "".join(f" {o} {_render(i)}" for o, i in zip(ops, items[1:], strict=True))
        case Quantity(value, unit):
            return f"{_render(value)} {unit}"
        case Based(digits, base):
            return f"{digits} (base {base})"
        case Choice(letter, words):
            return f"{letter} {words}".strip()
