"""The exact path: expressions as ratios of polynomials over atoms, with rational coefficients.

Atoms are variables, pi, e, i, roots of primes, logarithms of primes, factorials, powers with symbolic
exponents and functions of canonical arguments. Over variables, pi, i and roots of primes alone the form is
unique: two different forms are then two different values, so both verdicts are proofs. Other atoms set
`opaque`: equal forms still prove equality, different ones prove nothing. All work is counted against a
budget of terms and bits; `(10^9)!` and `9^(9^9)` become opaque atoms, never numbers.
"""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from math import comb, factorial, gcd, lcm

from tasks.grade.math.nodes import Add, Fn, Mul, Node, Num, Pow, Quantity, Sym
from tasks.grade.math.polynomial import (
    MAX_POWER,
    ONE,
    UNIT,
    OverBudgetError,
    Ratio,
)
from tasks.grade.math.powers import Powers


class Canon(Powers):
    """Canonical forms of one comparison, sharing one budget."""

    def equal(self, a: Node, b: Node) -> bool | None:
        """True or False when proved, None when this form cannot tell."""
        try:
            top_a, bottom_a = self.ratio(a)
            top_b, bottom_b = self.ratio(b)
            same = self._mul(top_a, bottom_b) == self._mul(top_b, bottom_a)
        except (OverBudgetError, ZeroDivisionError):
            return None
        return same if same or not self.opaque else None

    def proportional(self, a: Node, b: Node) -> Fraction | None:
        """The constant c with a = c·b (numerators only); 0 when there is none, None when undecided."""
        try:
            top_a, top_b = self.ratio(a)[0], self.ratio(b)[0]
            top_a, top_b = self._primitive(top_a), self._primitive(top_b)
            if not top_a or not top_b:
                return Fraction(1 if top_a == top_b else 0)
            lead = max(top_a)
            if lead not in top_b:
                return None if self.opaque else self._surd_proportional(top_a, top_b)
            factor = top_a[lead] / top_b[lead]
            if {m: c * factor for m, c in top_b.items()} == top_a:
                return factor
            return None if self.opaque else self._surd_proportional(top_a, top_b)
        except (OverBudgetError, ZeroDivisionError):
            return None

    def ratio(self, node: Node) -> Ratio:
        """Numerator and denominator of an expression."""
        self._spend(1)
        match node:
            case Num(value):
                return ({ONE: value} if value else {}), UNIT
            case Sym("i"):
                return {((("i", ""), Fraction(1)),): Fraction(1)}, UNIT
            case Sym(name):
                if name == "oo" or name.startswith(("set_", "...")):
                    self.opaque = True
                return self._atom(("s", name)), UNIT
            case Add(items):
                return reduce(self._add_ratio, map(self.ratio, items))
            case Mul(items):
                return reduce(self._mul_ratio, map(self.ratio, items))
            case Pow(base, exp):
                return self._pow(base, exp)
            case Fn(name, args):
                return self._function(name, args)
            case Quantity(value, "%"):
                return self._mul_ratio(self.ratio(value), ({ONE: Fraction(1, 100)}, UNIT))
            case _:
                raise OverBudgetError

    def _pow(self, base: Node, exp: Node) -> Ratio:
        exponent = self.ratio(exp)
        if exponent[1] == UNIT and set(exponent[0]) <= {ONE}:
            return self._constant_power(self.ratio(base), exponent[0].get(ONE, Fraction(0)))
        base_ratio = self.ratio(base)
        result: Ratio = (UNIT, UNIT)
        if exponent[1] != UNIT:
            self.opaque = True
            return self._atom(("^", f"{self.key(base_ratio)}^{self.key(exponent)}")), UNIT
        bases = self._prime_bases(base_ratio)
        for name, multiplicity, value in bases:
            for monomial, c in exponent[0].items():
                if not monomial:
                    result = self._mul_ratio(result, self._constant_power(value, c * multiplicity))
                    continue
                self.opaque = True
                factor = self._atom(("^", f"{name}^{monomial}"), c * multiplicity)
                result = self._mul_ratio(result, (factor, UNIT))
        return result

    def _function(self, name: str, args: tuple[Node, ...]) -> Ratio:
        if name == "root" and len(args) == 2:
            degree = self._rational(args[0])
            if degree is None or degree.denominator != 1 or degree == 0 or abs(degree) > MAX_POWER:
                return self._pow(args[1], Pow(args[0], Num(Fraction(-1))))
            inner = self._rational(args[1])
            if inner is not None and inner < 0 and degree % 2:
                return self._mul_ratio(
                    ({ONE: Fraction(-1)}, UNIT), self._constant_power(({ONE: -inner}, UNIT), 1 / degree)
                )
            return self._pow(args[1], Num(1 / degree))
        if name == "ratio" and len(args) == 2:
            return self._mul_ratio(self.ratio(args[0]), self._invert(self.ratio(args[1])))
        if name in ("ln", "log"):
            return self._log(name, args)
        if name == "fact":
            return self._factorial(args[0])
        if name == "binom":
            n, k = args
            if (top := self._rational(n)) is not None and (low := self._rational(k)) is not None:
                if top.denominator == low.denominator == 1 and 0 <= low <= top <= 1000:
                    return {ONE: Fraction(comb(int(top), int(low)))}, UNIT
                raise OverBudgetError
            below = self._mul_ratio(self._factorial(k), self._factorial(Add((n, Mul((Num(Fraction(-1)), k))))))
            return self._mul_ratio(self._factorial(n), self._invert(below))
        values = [self._rational(arg) for arg in args]
        exact = [v for v in values if v is not None]
        if len(exact) == len(values) and (folded := _fold(name, exact)) is not None:
            return ({ONE: folded} if folded else {}), UNIT
        self.opaque = True
        return self._atom(("F", f"{name}({';'.join(self.key(self.ratio(arg)) for arg in args)})")), UNIT

    def _rational(self, node: Node) -> Fraction | None:
        top, bottom = self.ratio(node)
        if set(top) <= {ONE} and set(bottom) == {ONE}:
            return top.get(ONE, Fraction(0)) / bottom[ONE]
        return None

    def _log(self, name: str, args: tuple[Node, ...]) -> Ratio:
        self.opaque = True
        inner = self.ratio(args[0])
        value = self._logarithm(inner)
        if len(args) == 2:
            return self._mul_ratio(value, self._invert(self._logarithm(self.ratio(args[1]))))
        if name == "log":
            return self._mul_ratio(value, self._invert(self._logarithm(({ONE: Fraction(10)}, UNIT))))
        return value

    def _factorial(self, arg: Node) -> Ratio:
        """n!, with (n+c)! written as n!·(n+1)…(n+c) for a small whole c."""
        top, bottom = self.ratio(arg)
        if bottom != UNIT:
            raise OverBudgetError
        shift = top.get(ONE, Fraction(0))
        if set(top) <= {ONE}:
            if shift.denominator != 1 or not 0 <= shift <= 300:
                raise OverBudgetError
            return {ONE: Fraction(factorial(int(shift)))}, UNIT
        self.opaque = True
        if shift.denominator != 1 or abs(shift) > 12:
            return self._atom(("F", f"fact({self.key((top, bottom))})")), UNIT
        stem = {m: c for m, c in top.items() if m}
        result: Ratio = (self._atom(("F", f"fact({self.key((stem, UNIT))})")), UNIT)
        for j in range(1, int(shift) + 1):
            result = self._mul_ratio(result, (self._add(stem, {ONE: Fraction(j)}), UNIT))
        for j in range(int(-shift)):
            result = self._mul_ratio(result, self._invert((self._add(stem, {ONE: Fraction(-j)} if j else {}), UNIT)))
        return result


def _fold(name: str, args: list[Fraction]) -> Fraction | None:
    if name == "abs":
        return abs(args[0])
    if name == "floor":
        return Fraction(args[0].numerator // args[0].denominator)
    if name == "ceil":
        return Fraction(-(-args[0].numerator // args[0].denominator))
    if name in ("max", "min"):
        return max(args) if name == "max" else min(args)
    if name in ("gcd", "lcm") and all(a.denominator == 1 for a in args):
        return Fraction((gcd if name == "gcd" else lcm)(*(int(a) for a in args)))
    if name == "mod" and len(args) == 2 and args[1] > 0:
        return args[0] % args[1]
    return None
