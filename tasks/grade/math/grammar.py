"""The Pratt core of the grammar: lists, relations, operators and what follows an operand."""

from __future__ import annotations

from tasks.grade.math.clean import ParseError
from tasks.grade.math.cursor import END, MAX_DEPTH
from tasks.grade.math.literals import mixed_number, negate_value, number, separator, strip_unit
from tasks.grade.math.nodes import (
    Add,
    Fn,
    Mul,
    Node,
    Num,
    PlusMinus,
    Quantity,
    Rel,
    Seq,
    SetOp,
    divide,
    multiply,
    negate,
)
from tasks.grade.math.suffixes import POWER, Suffixes
from tasks.grade.math.tokens import Token
from tasks.grade.math.units import conversion, read_unit

_RELATIONS = frozenset(["=", "==", "!=", "<", "<=", "=<", ">", ">=", "~", "in"])
_RELATION_NAMES = {"==": "=", "=<": "<="}
_SET_OPS = {"union": "union", "intersect": "intersect", "minus": "minus"}
_BINDING = {"union": 10, "intersect": 12, "minus": 10, "+": 20, "-": 20, "pm": 20, "mp": 20}
_BINDING |= {"*": 30, "/": 30, ":": 25, "mod": 30}


class Grammar(Suffixes):
    """Everything but operands, which `Parser.atom` reads."""

    def answer(self) -> Node:
        """The whole text: a list of relations, or one of them."""
        node = self.items("bare")
        if self.peek() is not END:
            raise ParseError(f"unexpected {self.peek().value!r}")
        return node

    def items(self, kind: str) -> Node:
        """Items up to a closing token; `;` and `and`/`or` group items that `,` parts."""
        groups: list[list[Node]] = [[]]
        seen: set[str] = set()
        while True:
            groups[-1].append(self.relation())
            found = separator(self.peek())
            if not found:
                break
            while separator(self.peek()):
                found = separator(self.next()) if found == "," or separator(self.peek()) != "," else found
                if separator(self.peek()):
                    found = separator(self.peek())
            if self.peek() is END or self.peek().kind == "close":
                break
            seen.add(found)
            if found != ",":
                groups.append([])
        flat = tuple(node for group in groups for node in group)
        if len(flat) == 1:
            return flat[0] if kind in ("bare", "()", "[]") else Seq(kind, flat)
        inequalities = all(isinstance(n, Rel) and set(n.ops) & {"<", ">", "<=", ">="} for n in flat)
        if inequalities and kind == "bare" and len(seen) == 1:
            return SetOp("union" if seen == {"or"} else "intersect", flat)
        sizes = {len(group) for group in groups}
        if len(groups) > 1 and len(sizes) == 1 and sizes != {1}:
            return Seq(kind, tuple(Seq("bare", tuple(group)) for group in groups))
        return Seq(kind, flat)

    def relation(self) -> Node:
        """An expression, or a chain of them."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ParseError("nested too deeply")
        items, ops = [], []
        if self.peek()[:2] in (("op", "~"), ("op", "=")):
            self.next()
        items.append(self.expression(0))
        while self.peek().kind == "op" and self.peek().value in _RELATIONS:
            op = self.next().value
            ops.append(_RELATION_NAMES.get(op, op))
            items.append(self.expression(0))
        self.depth -= 1
        return Rel(tuple(ops), tuple(items)) if ops else items[0]

    def expression(self, binding: int) -> Node:
        """Pratt loop: everything that binds tighter than `binding`."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ParseError("nested too deeply")
        left = self.prefix()
        while True:
            left = self.postfix(left)
            token = self.peek()
            if token.kind == "op" and (power := _BINDING.get(token.value)):
                if power <= binding or (token.value == ":" and self.peek(1).kind in ("close", "end_of_text")):
                    break
                self.next()
                left = self.infix(token.value, left, self.expression(power))
            elif binding < 30 and self.starts_factor(token):
                left = self.juxtapose(left, token)
            else:
                break
        self.depth -= 1
        return left

    def prefix(self) -> Node:
        """Signs and a currency before an operand."""
        token = self.peek()
        if token[:2] == ("op", "-"):
            self.next()
            return negate_value(self.expression(29))
        if token[:2] == ("op", "+"):
            self.next()
            return self.expression(29)
        if token.kind == "op" and token.value in ("pm", "mp"):
            self.next()
            return PlusMinus(self.expression(29), 1 if token.value == "pm" else -1)
        if token.kind == "unit":
            self.next()
            return Quantity(strip_unit(self.expression(29)), read_unit(token.value))
        return self.atom()

    def infix(self, op: str, left: Node, right: Node) -> Node:
        """The tree of a binary operator; a unit on either side belongs to the whole."""
        if op in _SET_OPS:
            if isinstance(left, SetOp) and left.op == op:
                return SetOp(op, (*left.items, right))
            return SetOp(op, (left, right))
        if isinstance(left, Quantity) and isinstance(right, Quantity) and left.unit != right.unit:
            raise ParseError("two units in one expression")
        unit = next((n.unit for n in (right, left) if isinstance(n, Quantity)), "")
        left, right = strip_unit(left), strip_unit(right)
        node: Node
        if op in ("+", "-"):
            right = right if op == "+" else negate(right)
            node = Add((*left.items, right)) if isinstance(left, Add) else Add((left, right))
        elif op in ("pm", "mp"):
            node = Add((left, PlusMinus(right, 1 if op == "pm" else -1)))
        elif op == "*":
            node = multiply(left, right)
        elif op == "/":
            node = divide(left, right)
        elif op == ":":
            node = Fn("ratio", (*left.args, right) if isinstance(left, Fn) and left.name == "ratio" else (left, right))
        else:
            node = Fn(op, (left, right))
        return Quantity(node, unit) if unit else node

    def starts_factor(self, token: Token) -> bool:
        """May this token begin an implicit factor?"""
        if token.kind in ("num", "name", "cmd", "begin", "rep"):
            return True
        if token.kind == "open":
            return True
        return token[:2] == ("op", "|") and self.bars == 0

    def juxtapose(self, left: Node, token: Token) -> Node:
        """Implicit product, or a mixed number such as `1 1/2` and `2\\frac58`."""
        if isinstance(left, Quantity):
            more = self.expression(POWER - 1) if token.kind == "num" else None
            factor = conversion(left.unit, more.unit) if isinstance(more, Quantity) else None
            if not isinstance(more, Quantity) or factor is None:
                raise ParseError("unit inside a product")
            return Quantity(Add((Mul((left.value, Num(factor))), more.value)), more.unit)
        whole = left if isinstance(left, Num) and left.value.denominator == 1 and not left.digits else None
        if token.kind == "num":
            if whole is None or not token.space or not self.is_op("/", 1) or self.peek(2).kind != "num":
                raise ParseError("two numbers side by side")
            top, _, bottom = self.next(), self.next(), self.next()
            proper = divide(number(top.value), number(bottom.value))
            if not isinstance(proper, Num) or not 0 < proper.value < 1:
                raise ParseError("two numbers side by side")
            return mixed_number(whole, proper)
        if whole is not None and token.kind == "cmd" and token.value in ("frac", "dfrac", "tfrac"):
            fraction = self.expression(POWER - 1)
            if isinstance(fraction, Quantity) and isinstance(fraction.value, Num) and 0 < fraction.value.value < 1:
                return Quantity(mixed_number(whole, fraction.value), fraction.unit)
            if isinstance(fraction, Num) and 0 < fraction.value < 1:
                return mixed_number(whole, fraction)
            return Mul((left, fraction))
        right = self.expression(POWER - 1)
        if isinstance(right, Quantity):
            return Quantity(Mul((left, right.value)), right.unit)
        return multiply(left, right)
