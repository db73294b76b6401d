"""Quotients of polynomials, and their powers and logarithms."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from math import gcd, lcm

from tasks.grade.math.polynomial import (
    MAX_BITS,
    MAX_POWER,
    ONE,
    UNIT,
    Atom,
    OverBudgetError,
    Poly,
    Polynomials,
    Ratio,
    factor_out,
)


class Powers(Polynomials):
    """Ratios of polynomials: a sum stays in the denominator, a single term moves up."""

    @staticmethod
    def _atom(atom: Atom, power: Fraction = Fraction(1)) -> Poly:
        return {((atom, power),): Fraction(1)} if power else UNIT

    def _add_ratio(self, a: Ratio, b: Ratio) -> Ratio:
        if a[1] == b[1]:
            return self._add(a[0], b[0]), a[1]
        return self._add(self._mul(a[0], b[1]), self._mul(b[0], a[1])), self._mul(a[1], b[1])

    def _mul_ratio(self, a: Ratio, b: Ratio) -> Ratio:
        return self._mul(a[0], b[0]), self._mul(a[1], b[1])

    def _invert(self, ratio: Ratio) -> Ratio:
        top, bottom = ratio
        if not top:
            raise ZeroDivisionError
        if len(top) == 1:
            ((monomial, c),) = top.items()
            mono, c = self._tidy({a: -p for a, p in monomial}, 1 / c)
            return self._mul(bottom, {mono: c}), UNIT
        return bottom, top

    def key(self, ratio: Ratio) -> str:
        """A string that equal ratios in lowest written form share."""
        top, bottom = ratio
        if len(bottom) > 1:
            lead = bottom[max(bottom)]
            top = {m: c / lead for m, c in top.items()}
            bottom = {m: c / lead for m, c in bottom.items()}
        text = f"{sorted(top.items())}/{sorted(bottom.items())}"
        if len(text) > 20_000:
            raise OverBudgetError
        return text

    def _prime_bases(self, base: Ratio) -> list[tuple[str, int, Ratio]]:
        """A positive rational base as its primes, so that 4^n and 2^(2n) meet; else the base itself."""
        if base[1] == UNIT and set(base[0]) == {ONE} and base[0][ONE] > 0:
            value = base[0][ONE]
            primes, rest = factor_out(value.numerator)
            below, rest_below = factor_out(value.denominator)
            if rest == rest_below == 1:
                pairs = [*primes.items(), *((p, -k) for p, k in below.items())]
                return [(str(p), k, ({ONE: Fraction(p)}, UNIT)) for p, k in pairs]
        if base[1] == UNIT and len(base[0]) == 1:
            ((monomial, c),) = base[0].items()
            if c == 1 and len(monomial) == 1 and monomial[0][0][0] == "s" and monomial[0][1].denominator == 1:
                atom, power = monomial[0]
                return [(str(atom), int(power), (self._atom(atom), UNIT))]
        return [(self.key(base), 1, base)]

    def _constant_power(self, base: Ratio, exponent: Fraction) -> Ratio:
        top, bottom = base
        if not top:
            if exponent <= 0:
                raise ZeroDivisionError
            return {}, UNIT
        if exponent.denominator == 1:
            n = int(exponent)
            if len(top) == len(bottom) == 1:
                return self._mul_ratio(
                    self._monomial_power(top, Fraction(n)),
                    self._invert((self._monomial_power(bottom, Fraction(n))[0], UNIT)),
                )
            if abs(n) > MAX_POWER:
                raise OverBudgetError
            raised = self._power(top, abs(n)), self._power(bottom, abs(n))
            return self._invert(raised) if n < 0 else raised
        if len(top) == len(bottom) == 1:
            upper = self._monomial_power(top, exponent)
            lower = self._monomial_power(bottom, exponent)
            return self._mul_ratio(upper, self._invert(lower))
        upper = self._sum_power(top, exponent)
        return self._mul_ratio(upper, self._invert(self._sum_power(bottom, exponent)))

    def _sum_power(self, poly: Poly, exponent: Fraction) -> Ratio:
        """A fractional power of a sum: its positive rational content comes out, the rest is an atom."""
        if len(poly) == 1:
            return self._monomial_power(poly, exponent)
        numerators = reduce(gcd, (abs(c.numerator) for c in poly.values()))
        denominators = reduce(lcm, (c.denominator for c in poly.values()))
        content = Fraction(numerators, denominators)
        inner = {m: c / content for m, c in poly.items()}
        self.opaque = True
        atom = ("P", self.key((inner, UNIT)))
        return self._mul_ratio(self._monomial_power({ONE: content}, exponent), (self._atom(atom, exponent), UNIT))

    def _monomial_power(self, poly: Poly, exponent: Fraction) -> Ratio:
        ((monomial, c),) = poly.items()
        powers: dict[Atom, Fraction] = {}
        result: Poly = UNIT
        if exponent.denominator == 1:
            n = int(exponent)
            if (c.numerator.bit_length() + c.denominator.bit_length()) * abs(n) > MAX_BITS and abs(c) != 1:
                raise OverBudgetError
            coefficient = c**n
            mono, coefficient = self._tidy({a: p * n for a, p in monomial}, coefficient)
            return {mono: coefficient}, UNIT
        if c < 0:
            if exponent.denominator == 2 and not monomial:
                turn, _ = self._tidy({("i", ""): Fraction(exponent.numerator)}, Fraction(1))
                sign = self._tidy({("i", ""): Fraction(exponent.numerator)}, Fraction(1))[1]
                result = {turn: sign}
                c = -c
            else:
                self.opaque = True
                return self._atom(("P", self.key((poly, UNIT))), exponent), UNIT
        for part, side in ((c.numerator, 1), (c.denominator, -1)):
            primes, rest = factor_out(part)
            for p, k in primes.items():
                powers[("p", str(p))] = powers.get(("p", str(p)), Fraction(0)) + side * k * exponent
            if rest != 1:
                self.opaque = True
                powers[("p", str(rest))] = side * exponent
        rest_of: dict[Atom, Fraction] = {}
        for atom, power in monomial:
            positive = atom[0] in "p^" or atom in (("s", "pi"), ("s", "e"))
            if positive or (len(monomial) == 1 and power == 1 and atom[0] == "s"):
                powers[atom] = powers.get(atom, Fraction(0)) + power * exponent
            else:
                rest_of[atom] = power
        if rest_of:
            self.opaque = True
            key = self.key(({tuple(sorted(rest_of.items())): Fraction(1)}, UNIT))
            powers[("P", key)] = exponent
        mono, c = self._tidy(powers, Fraction(1))
        return self._mul(result, {mono: c}), UNIT

    def _logarithm(self, inner: Ratio) -> Ratio:
        """ln of a product of primes' powers and e as a sum; anything else is an atom."""
        top, bottom = inner
        if len(top) == 1 and set(bottom) == {ONE}:
            ((monomial, c),) = top.items()
            c /= bottom[ONE]
            if c > 0 and all(a[0] == "p" or a == ("s", "e") for a, _ in monomial):
                total: Poly = {}
                for value, sign in ((c.numerator, 1), (c.denominator, -1)):
                    primes, rest = factor_out(value)
                    for p, k in primes.items():
                        total = self._add(total, {((("L", str(p)), Fraction(1)),): Fraction(sign * k)})
                    if rest != 1:
                        total = self._add(total, {((("L", str(rest)), Fraction(1)),): Fraction(sign)})
                for atom, power in monomial:
                    mono = () if atom == ("s", "e") else ((("L", atom[1]), Fraction(1)),)
                    total = self._add(total, {mono: power})
                return total, UNIT
        return self._atom(("F", f"ln({self.key(inner)})")), UNIT
