"""Operands in two dimensions: sums, products and integrals with limits, matrices."""

from __future__ import annotations

from fractions import Fraction

from tasks.grade.math.clean import ParseError
from tasks.grade.math.cursor import END
from tasks.grade.math.grammar import Grammar
from tasks.grade.math.literals import flatten_product, number
from tasks.grade.math.nodes import (
    Fn,
    Matrix,
    Mul,
    Node,
    Num,
    Rel,
    Seq,
    Sym,
    negate,
)
from tasks.grade.math.tokens import Token


class Layout(Grammar):
    """Big operators and environments."""

    def argument(self) -> Node:
        """A command's argument: a brace group, or one digit or letter."""
        token = self.peek()
        if token.kind == "num" and len(token.value) > 1:
            self.tokens[self.position] = Token("num", token.value[1:])
            return number(token.value[0])
        if token.kind == "op" and token.value == "-":
            self.next()
            return negate(self.argument())
        return self.atom()

    def big(self, name: str) -> Node:
        """`\\sum_{k=1}^{n} body`, `\\int_a^b body dx`; the limits are required."""
        bounds: dict[str, Node] = {}
        for _ in range(2):
            mark = self.next()
            if mark[:2] not in (("op", "_"), ("op", "^")):
                raise ParseError(f"{name} without limits")
            bounds[mark.value] = self.bound()
        if len(bounds) != 2:
            raise ParseError(f"{name} without limits")
        low, high, body = bounds["_"], bounds["^"], self.expression(29)
        if name == "int":
            factors = list(flatten_product(body))
            if len(factors) < 2 or factors[-2] != Sym("d") or not isinstance(factors[-1], Sym):
                raise ParseError("integral without differential")
            rest = factors[:-2]
            integrand = Mul(tuple(rest)) if len(rest) > 1 else (rest[0] if rest else Num(Fraction(1)))
            return Fn("int", (integrand, factors[-1], low, high))
        if not (isinstance(low, Rel) and low.ops == ("=",) and isinstance(low.items[0], Sym)):
            raise ParseError(f"{name} without index")
        return Fn(name, (body, low.items[0], low.items[1], high))

    def bound(self) -> Node:
        """A limit of a big operator."""
        if self.peek()[:2] == ("open", "{"):
            self.next()
            node = self.relation()
            self.expect("close", "}")
            return node
        return negate(self.argument()) if self.sign() else self.argument()

    def matrix(self, kind: str) -> Node:
        """Rows up to the end of the environment; `cases` and `aligned` become lists."""
        rows: list[tuple[Node, ...]] = []
        row: list[Node] = []
        while True:
            token = self.peek()
            if token.kind == "end" or token[:2] == ("op", "\\\\"):
                self.next()
                if row:
                    rows.append(tuple(row))
                row = []
                if token.kind == "end":
                    break
            elif token[:2] == ("op", "&"):
                self.next()
            elif token is END:
                raise ParseError("matrix without end")
            else:
                row.append(self.relation())
                if self.is_op(","):
                    self.next()
        if not rows or len({len(r) for r in rows}) != 1:
            raise ParseError("ragged matrix")
        if kind in ("pmatrix", "bmatrix", "matrix", "smallmatrix", "Bmatrix", "array"):
            return Matrix(tuple(rows))
        if kind in ("vmatrix", "Vmatrix"):
            return Fn("det", (Matrix(tuple(rows)),))
        return Seq("bare", tuple(item for r in rows for item in r))
