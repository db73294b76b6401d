"""Operands: brackets, commands, functions, big operators, matrices. With `Grammar` this is the parser.

It builds nodes and evaluates nothing.
"""

from __future__ import annotations

import re
from fractions import Fraction

from tasks.grade.math.clean import ParseError
from tasks.grade.math.cursor import END, MAX_DEPTH
from tasks.grade.math.layout import Layout
from tasks.grade.math.literals import flat_name, number, reduce_words, repeating, separator
from tasks.grade.math.nodes import (
    HALF,
    MINUS_ONE,
    Based,
    Fn,
    Interval,
    Mul,
    Node,
    Num,
    Pow,
    Quantity,
    Rel,
    Seq,
    SetOp,
    Sym,
    Text,
    divide,
    multiply,
    negate,
)
from tasks.grade.math.suffixes import POWER
from tasks.grade.math.tokens import Token
from tasks.grade.math.vocabulary import FUNCTIONS

_ALIAS = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "lg": "log", "sign": "sgn"}
_TRIGONOMETRIC = frozenset(["sin", "cos", "tan", "cot", "sec", "csc"])
_DECORATIONS = frozenset(
    """overline bar hat vec dot ddot tilde widehat overrightarrow underline angle triangle""".split()  # noqa: SIM905
)
_LIST_FUNCTIONS = frozenset(["max", "min", "gcd", "lcm"])
_CLOSERS = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "lfloor": "rfloor", "lceil": "rceil"}


class Parser(Layout):
    """One pass over one answer's tokens; `answer` reads it all."""

    def atom(self) -> Node:
        """One operand."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ParseError("nested too deeply")
        node = self.operand()
        self.depth -= 1
        return node

    def operand(self) -> Node:
        """What `atom` reads, by its first token."""
        token = self.next()
        if token.kind == "num":
            if self.peek().kind == "rep":
                return repeating(token.value, self.next().value)
            return number(token.value)
        if token.kind == "name":
            return Sym(token.value)
        if token.kind == "open":
            return self.group(token.value)
        if token[:2] == ("op", "|"):
            self.bars += 1
            inside = self.expression(0)
            self.bars -= 1
            self.expect("op", "|")
            return Fn("abs", (inside,))
        if token.kind == "begin":
            return self.matrix(token.value)
        if token.kind == "cmd":
            return self.command(token.value)
        if token.kind == "text":
            return self.text(token.value)
        raise ParseError(f"unexpected {token.value!r}" if token is not END else "ends too early")

    def text(self, words: str) -> Node:
        """`\\text{…}`: a letter, a label before mathematics, or a whole answer in words."""
        bare = re.sub(r"[\s().]", "", words)
        if len(bare) == 1 and bare.isalnum():
            return number(bare) if bare.isdecimal() else Sym(bare)
        if self.is_op("_") and re.fullmatch(r"[0-9A-Z]{1,60}", bare):
            self.next()
            base = self.raw_group()
            if not base.isdecimal() or not 2 <= int(base[:4]) <= 36:
                raise ParseError("subscript on words")
            return Based(bare, int(base))
        if words.rstrip().endswith((":", "=")):
            return self.expression(0)
        if not separator(self.peek()) and self.peek() is not END:
            raise ParseError("words before mathematics")
        if not (letters := reduce_words(words)):
            raise ParseError("empty text")
        return Text(letters)

    def group(self, opener: str) -> Node:
        """Brackets of any kind, half-open intervals included."""
        self.bars, bars = 0, self.bars
        closer = _CLOSERS.get(opener)
        if closer is None:
            raise ParseError(f"unexpected {opener}")
        if self.peek()[:2] == ("close", closer):
            self.next()
            if opener == "\\{":
                return Sym("emptyset")
            raise ParseError("empty brackets")
        kind = {"(": "()", "[": "[]", "\\{": "set"}.get(opener, "bare")
        if opener in ("{", "\\{") and self.peek().kind == "name" and self.is_op(":", 1):
            self.tokens[self.position + 1] = Token("op", "|")
        builder = opener == "\\{" or (opener == "{" and self.is_op("|", 1) and self.peek().kind == "name")
        self.bars = int(builder)  # a bar after the first letter then opens the condition, not a modulus
        inside = self.items(kind)
        if self.is_op("|"):
            inside = self.set_builder(inside)
        token = self.next()
        self.bars = bars
        if token[:2] == ("close", closer):
            if opener in ("lfloor", "lceil"):
                return Fn("floor" if opener == "lfloor" else "ceil", (inside,))
            return inside
        if {opener, token.value} in ({"(", "]"}, {"[", ")"}) and isinstance(inside, Seq) and len(inside.items) == 2:
            return Interval(inside.items[0], inside.items[1], opener == "(", token.value == ")")
        raise ParseError(f"{opener!r} closed by {token.value!r}")

    def set_builder(self, inside: Node) -> Node:
        """`{x | x > 2}`: the condition stands for the set."""
        variable = inside.items[0] if isinstance(inside, Seq) and len(inside.items) == 1 else inside
        self.next()
        condition = self.items("bare")
        target = variable.items[0] if isinstance(variable, Rel) and variable.ops == ("in",) else variable
        if not isinstance(target, Sym) or not isinstance(condition, Rel | SetOp):
            return Fn("such_that", (variable, condition))
        return condition

    def command(self, name: str) -> Node:
        """A LaTeX command with its arguments."""
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            top = self.argument()
            return divide(top, self.argument())
        if name in ("binom", "dbinom", "tbinom"):
            top = self.argument()
            return Fn("binom", (top, self.argument()))
        if name == "sqrt":
            return self.root()
        if name in ("sum", "prod", "int"):
            return self.big(name)
        if name == "mathbb":
            return Sym(f"set_{self.raw_group()}")
        if name == "boxed":
            return self.argument()
        if name in ("ldots", "cdots", "dots"):
            return Sym("...")
        if name in _DECORATIONS:
            inside = self.expression(POWER - 1) if name in ("angle", "triangle") else self.argument()
            while name in ("angle", "triangle") and self.peek().kind == "name":
                inside = Mul((inside, Sym(self.next().value)))
            return Sym(f"{name} {flat_name(inside)}")
        if name in FUNCTIONS:
            return self.function(_ALIAS.get(name, name))
        raise ParseError(f"cannot read \\{name}")

    def root(self) -> Node:
        """A square root, or a root with its degree."""
        degree: Node = Num(Fraction(2))
        if self.peek()[:2] == ("open", "["):
            self.next()
            degree = self.expression(0)
            self.expect("close", "]")
        inside = self.expression(POWER - 1) if self.peek().kind == "num" else self.argument()
        return Pow(inside, HALF) if degree == Num(Fraction(2)) else Fn("root", (degree, inside))

    def function(self, name: str) -> Node:
        """A function with its power, base and argument."""
        power: Node | None = None
        base: Node | None = None
        for _ in range(2):
            if self.is_op("_") and base is None:
                self.next()
                base = self.argument()
            elif self.is_op("^") and power is None:
                self.next()
                power = negate(self.argument()) if self.sign() else self.argument()
        if name in _LIST_FUNCTIONS:
            inside = self.atom()
            return Fn(name, inside.items if isinstance(inside, Seq) else (inside,))
        if self.peek().kind == "open" and self.peek().value in ("(", "[", "{"):
            argument = self.atom()
        else:
            argument = self.factor_run()
        if isinstance(argument, Seq):
            raise ParseError(f"{name} of a list")
        if name in _TRIGONOMETRIC and isinstance(argument, Quantity) and argument.unit == "degree":
            argument = Mul((argument.value, Sym("pi"), Num(Fraction(1, 180))))
        if power == MINUS_ONE and name in _TRIGONOMETRIC:
            return Fn("arc" + name, (argument,))
        node: Node = Fn(name, (argument,) if base is None else (argument, base))
        if name == "exp":
            node = Pow(Sym("e"), argument)
        return Pow(node, power) if power is not None else node

    def factor_run(self) -> Node:
        """The argument of `\\sin 2\\pi t`: factors up to an operator or another function."""
        negative = self.sign()
        node = self.expression(POWER - 1)
        while self.starts_factor(self.peek()) and self.peek().kind != "open":
            token = self.peek()
            if (token.kind == "cmd" and token.value in FUNCTIONS and token.value != "sqrt") or token.kind == "num":
                break
            node = multiply(node, self.expression(POWER - 1))
        return negate(node) if negative else node
