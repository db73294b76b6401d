"""Sparse polynomials with rational coefficients and fractional powers, under a budget of terms and bits."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

MAX_TERMS = 400
MAX_BITS = 6000
MAX_POWER = 60
MAX_STEPS = 20_000

Atom = tuple[str, str]
Monomial = tuple[tuple[Atom, Fraction], ...]
Poly = dict[Monomial, Fraction]
Ratio = tuple[Poly, Poly]

ONE: Monomial = ()
UNIT: Poly = {ONE: Fraction(1)}
_PRIMES = [p for p in range(2, 1000) if all(p % q for q in range(2, isqrt(p) + 1))]


class OverBudgetError(Exception):
    """The exact form would be too large; the verdict has to come from elsewhere."""


class Polynomials:
    """Arithmetic of one comparison; `opaque` is set when an atom is used that other atoms may equal."""

    def __init__(self) -> None:
        """A fresh budget."""
        self.opaque = False
        self._steps = 0

    def _surd_proportional(self, a: Poly, b: Poly) -> Fraction:
        """1 or -1 (the sign) when a = c·b for a constant c made of roots, else 0."""
        leads = [self._split(m)[1] for m in a]
        for lead in sorted(set(leads))[-1:]:
            part_a = {self._split(m)[0]: c for m, c in a.items() if self._split(m)[1] == lead}
            part_b = {self._split(m)[0]: c for m, c in b.items() if self._split(m)[1] == lead}
            if part_b and self._mul(a, part_b) == self._mul(b, part_a):
                value_a, value_b = _float(part_a), _float(part_b)
                return Fraction(1 if value_a * value_b > 0 else -1)
        return Fraction(0)

    @staticmethod
    def _split(monomial: Monomial) -> tuple[Monomial, Monomial]:
        constant = tuple(f for f in monomial if f[0][0] == "p")
        return constant, tuple(f for f in monomial if f[0][0] != "p")

    @staticmethod
    def _primitive(poly: Poly) -> Poly:
        """Without the negative powers common to all its terms."""
        lowest: dict[Atom, Fraction] = {}
        for monomial in poly:
            for atom, power in monomial:
                lowest[atom] = min(lowest.get(atom, Fraction(0)), power)
        if not any(lowest.values()):
            return poly
        shifted: Poly = {}
        for monomial, c in poly.items():
            powers = dict(monomial)
            for atom, power in lowest.items():
                powers[atom] = powers.get(atom, Fraction(0)) - power
            shifted[tuple(sorted((a, p) for a, p in powers.items() if p))] = c
        return shifted

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise OverBudgetError

    def _add(self, a: Poly, b: Poly, scale: int = 1) -> Poly:
        self._spend(len(b))
        total = dict(a)
        for monomial, c in b.items():
            value = total.get(monomial, Fraction(0)) + scale * c
            if value:
                total[monomial] = value
            else:
                total.pop(monomial, None)
        if len(total) > MAX_TERMS:
            raise OverBudgetError
        return total

    def _mul(self, a: Poly, b: Poly) -> Poly:
        if b == UNIT:
            return a
        if a == UNIT:
            return b
        self._spend(len(a) * len(b))
        total: Poly = {}
        for mono_a, c_a in a.items():
            for mono_b, c_b in b.items():
                mono, c = self._times(mono_a, mono_b, c_a * c_b)
                value = total.get(mono, Fraction(0)) + c
                if value:
                    total[mono] = value
                else:
                    total.pop(mono, None)
                if value.numerator.bit_length() + value.denominator.bit_length() > MAX_BITS:
                    raise OverBudgetError
        if len(total) > MAX_TERMS:
            raise OverBudgetError
        return total

    def _times(self, a: Monomial, b: Monomial, c: Fraction) -> tuple[Monomial, Fraction]:
        if not a or not b:
            return a or b, c
        powers = dict(a)
        for atom, power in b:
            powers[atom] = powers.get(atom, Fraction(0)) + power
        return self._tidy(powers, c)

    def _tidy(self, powers: dict[Atom, Fraction], c: Fraction) -> tuple[Monomial, Fraction]:
        """Whole powers of primes go into the coefficient, i² becomes -1."""
        for atom in list(powers):
            power = powers[atom]
            if atom[0] == "p" and not 0 <= power < 1:
                whole = power.numerator // power.denominator
                if abs(whole) * int(atom[1]).bit_length() > MAX_BITS:
                    raise OverBudgetError
                c *= Fraction(int(atom[1])) ** whole
                powers[atom] = power - whole
            elif atom == ("i", "") and not 0 <= power < 2:
                if power.denominator != 1:
                    self.opaque = True
                    continue
                turns = int(power) % 4
                c, powers[atom] = (-c if turns >= 2 else c), Fraction(turns % 2)
        return tuple(sorted((a, p) for a, p in powers.items() if p)), c

    def _power(self, poly: Poly, n: int) -> Poly:
        if n > MAX_POWER and len(poly) > 1:
            raise OverBudgetError
        result = UNIT
        while n:
            if n & 1:
                result = self._mul(result, poly)
            n >>= 1
            if n:
                poly = self._mul(poly, poly)
        return result


def factor_out(value: int) -> tuple[dict[int, int], int]:
    """Small primes of a positive integer with their exponents, and the cofactor they leave."""
    primes: dict[int, int] = {}
    if value.bit_length() > 256:
        return {}, value
    for p in _PRIMES:
        if p * p > value:
            break
        while value % p == 0:
            primes[p] = primes.get(p, 0) + 1
            value //= p
    if 1 < value < 997 * 997:
        primes[value] = primes.get(value, 0) + 1
        value = 1
    return primes, value


def _float(poly: Poly) -> float:
    total = 0.0
    for monomial, c in poly.items():
        value = float(c)
        for atom, power in monomial:
            value *= float(int(atom[1])) ** float(power)
        total += value
    return total
