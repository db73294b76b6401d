"""What may follow an operand: powers, factorials, per cents, subscripts, units, a call's arguments."""

from __future__ import annotations

from fractions import Fraction

from tasks.grade.math.clean import ParseError
from tasks.grade.math.cursor import Cursor
from tasks.grade.math.literals import flat_name, separator, strip_unit
from tasks.grade.math.nodes import (
    Based,
    Fn,
    Mul,
    Node,
    Num,
    Pow,
    Quantity,
    Seq,
    Sym,
    negate,
)
from tasks.grade.math.units import read_unit

_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
POWER = 50


class Suffixes(Cursor):
    """Suffixes bind tighter than any operator; `POWER` is the binding of `^`."""

    def atom(self) -> Node:
        """One operand, which `Parser` reads."""
        raise NotImplementedError

    def items(self, kind: str) -> Node:
        """A list up to a closing token, which `Grammar` reads."""
        raise NotImplementedError

    def expression(self, binding: int) -> Node:
        """Everything that binds tighter than `binding`, which `Grammar` reads."""
        raise NotImplementedError

    def postfix(self, left: Node) -> Node:
        """An operand with all its suffixes."""
        while True:
            token = self.peek()
            if token.kind == "op" and token.value in ("^", "**"):
                left = self.power(left)
            elif token.kind == "op" and token.value in ("!", "!!"):
                self.next()
                left = Fn("fact" if token.value == "!" else "fact2", (left,))
            elif token[:2] == ("op", "%"):
                self.next()
                left = Quantity(strip_unit(left), "%")
            elif token[:2] == ("op", "'") and isinstance(left, Sym):
                self.next()
                left = Sym(left.name + "'")
            elif token[:2] == ("op", "_"):
                left = self.subscript(left)
            elif token.kind in ("unit", "text") and not separator(token):
                left = self.unit(left)
            elif token.kind == "scale":
                left = self.scaled(left, _SCALES[self.next().value])
            elif token[:2] == ("open", "(") and isinstance(left, Sym) and (call := self.call(left)):
                left = call
            else:
                return left

    def power(self, left: Node) -> Node:
        """`^`: an exponent, degrees, primes, or a unit's power."""
        self.next()
        braced = self.peek()[:2] == ("open", "{")
        inner = self.peek(1) if braced else self.peek()
        if inner[:2] == ("cmd", "circ") or (inner[:2] == ("name", "circ")):
            self.position += 3 if braced else 1
            scale = self.peek().value.strip() if self.peek().kind in ("name", "text") else ""
            if scale in ("C", "F"):
                self.next()
            return Quantity(strip_unit(left), {"C": "celsius", "F": "fahrenheit"}.get(scale, "degree"))
        if braced and inner.kind == "text" and inner.value.strip() in ("th", "st", "nd", "rd"):
            self.position += 2
            self.expect("close", "}")
            return left
        if inner.kind == "op" and inner.value in ("'", "*") and isinstance(left, Sym):
            marks = 0
            self.position += braced
            while self.peek().kind == "op" and self.peek().value in ("'", "*"):
                left = Sym(f"{left.name}{self.next().value}")
                marks += 1
            if braced:
                self.expect("close", "}")
            return left
        exponent = negate(self.expression(POWER)) if self.sign() else self.expression(POWER - 1)
        if isinstance(left, Quantity):
            if not isinstance(exponent, Num) or exponent.value.denominator != 1 or "^" in left.unit:
                raise ParseError("a unit to a strange power")
            return Quantity(left.value, f"{left.unit}^{exponent.value}")
        return Pow(left, exponent)

    def subscript(self, left: Node) -> Node:
        """An index, part of the name; after digits, their base."""
        self.next()
        label = self.raw_group()
        if isinstance(left, Sym):
            return Sym(f"{left.name}_{label}")
        if isinstance(left, Num) and label.isdecimal() and left.value.denominator == 1 and 2 <= int(label[:4]) <= 36:
            return Based(str(left.value), int(label))
        if isinstance(left, Fn):
            return Fn(f"{left.name}_{label}", left.args)
        if isinstance(left, Mul | Seq):
            return Sym(f"{flat_name(left)}_{label}")
        raise ParseError("subscript on an expression")

    def unit(self, left: Node) -> Node:
        """Unit words after a value."""
        words: list[str] = []
        while True:
            token = self.peek()
            if token.kind in ("unit", "text") and not separator(token):
                words.append(self.next().value)
            elif words and token[:2] == ("op", "^"):
                self.next()
                words.append("^" + ("-" if self.sign() else "") + self.raw_group())
            elif words and token[:2] == ("op", "/") and self.peek(1).kind in ("unit", "text"):
                self.next()
                words.append("/")
            elif words and token[:2] == ("op", "/") and self.peek(1).value in ("h", "s", "L", "m", "min"):
                self.next()
                words.append("/" + self.next().value)
            else:
                break
        first, _, rest = " ".join(words).strip().partition(" ")
        if (size := _SCALES.get(first.lower())) is not None:
            left, words = self.scaled(left, size), rest.split()
        name = read_unit(" ".join(words))
        value = strip_unit(left)
        if name in ("percent", "percentage", "pct"):
            name = "%"
        if not name or (isinstance(left, Quantity) and left.unit in ("dollar", "%", "degree")):
            return left
        return Quantity(value, name)

    def scaled(self, left: Node, size: int) -> Node:
        """A value times what its scale word says, in its unit: `$2 million`."""
        product = Mul((strip_unit(left), Num(Fraction(size))))
        return Quantity(product, left.unit) if isinstance(left, Quantity) else product

    def call(self, left: Sym) -> Node | None:
        """`f(x)`: f, g, h before any bracket; a capital before one letter or number; else a product."""
        after = self.position + 1
        single = self.peek(1).kind in ("name", "num") and self.peek(2)[:2] == ("close", ")")
        name = left.name[0]
        if not (name in "fgh" or (single and (name.isupper() or name in "yuv"))):
            return None
        self.position = after
        inside = self.items("bare")
        self.expect("close", ")")
        return Fn(left.name, inside.items if isinstance(inside, Seq) else (inside,))
