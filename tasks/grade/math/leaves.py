"""The verdict on two expressions: exact algebra, float64 refutation, the prover, and the rounding policy."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from fractions import Fraction

from tasks.grade.math.canon import Canon
from tasks.grade.math.floats import differ, real_value
from tasks.grade.math.nodes import (
    Fn,
    Mul,
    Node,
    Num,
    Pow,
    multiply,
)
from tasks.grade.math.prover import Prover


@dataclass(frozen=True, slots=True)
class Rounding:
    """When a written decimal stands for the value that rounds to it.

    `gold_digits`: significant digits from which a decimal gold is taken as rounded (1.732 for √3);
    `prediction_digits`: the same for a decimal prediction of an exact gold (0.333333 for 1/3).
    """

    gold_digits: int = 4
    prediction_digits: int = 6


class Leaves:
    """One verdict's policy, its limits and the reason it ends with."""

    def __init__(self, rounding: Rounding | None, pool: Prover) -> None:
        """The limits are the pool's; they hold for the whole comparison."""
        self.rounding = rounding
        self.reason = "different"
        self._pool = pool
        self._seconds_left = pool.limits.time_seconds
        self._cpu_end = time.thread_time() + pool.limits.cpu_seconds

    def _values(self, gold: Node, prediction: Node) -> bool:
        """Any two answers; `Comparer` knows how."""
        raise NotImplementedError

    def _because(self, reason: str) -> bool:
        self.reason = reason
        return True

    def _no(self, reason: str) -> bool:
        self.reason = reason
        return False

    def _expressions(self, gold: Node, prediction: Node) -> bool:
        if isinstance(gold, Num) and isinstance(prediction, Num):
            if gold.value == prediction.value:
                return self._because("equal numbers")
            return self._rounded(gold, prediction) or self._no("different numbers")
        if time.thread_time() > self._cpu_end:
            return self._no("undecided: time limit")
        ends = [real_value(x) for x in (gold, prediction)]
        if any(x is not None and math.isinf(x) for x in ends):
            return self._because("same infinity") if ends[0] == ends[1] else self._no("infinite and finite")
        exact = Canon().equal(gold, prediction)
        if exact:
            return self._because("equal by exact algebra")
        if exact is False:
            return self._rounded(gold, prediction) or self._no("different by exact algebra")
        if isinstance(gold, Fn) and isinstance(prediction, Fn) and gold.name == prediction.name:
            if gold.name == "ratio" and len(gold.args) == len(prediction.args):
                scaled = [
                    (multiply(x, prediction.args[0]), multiply(y, gold.args[0]))
                    for x, y in zip(gold.args[1:], prediction.args[1:], strict=True)
                ]
                return all(self._values(x, y) for x, y in scaled)
            pairs = zip(gold.args, prediction.args, strict=False)
            if len(gold.args) == len(prediction.args) and all(self._values(x, y) for x, y in pairs):
                return self._because("same function, equal arguments")
        if differ(gold, prediction):
            return self._rounded(gold, prediction) or self._no("different values in float64")
        if self._seconds_left <= 0:
            return self._no("undecided: time limit")
        proof = self._pool.prove(gold, prediction, self._seconds_left)
        self._seconds_left -= proof.seconds
        if proof.equal is None:
            return self._no(f"undecided: {proof.how}")
        if proof.equal:
            return self._because(proof.how)
        return self._rounded(gold, prediction) or self._no(proof.how)

    def _rounded(self, gold: Node, prediction: Node) -> bool:
        """Does one side round to the decimal that the other side is written as?"""
        if self.rounding is None:
            return False
        as_gold, as_prediction = decimal_literal(gold), decimal_literal(prediction)
        if as_gold is not None and as_prediction is None:
            literal, exact, digits = as_gold, prediction, self.rounding.gold_digits
        elif as_prediction is not None and as_gold is None:
            literal, exact, digits = as_prediction, gold, self.rounding.prediction_digits
        else:
            return False
        value = exact.value if isinstance(exact, Num) else real_value(exact)
        if literal.digits < digits or value is None or (isinstance(value, float) and not math.isfinite(value)):
            return False
        gap = abs(Fraction(value) - literal.value)
        fits = gap <= literal.ulp / 2 * (1 + Fraction(1, 10**6)) + abs(literal.value) / 10**14
        return fits and self._because(f"rounds to the {literal.digits} digits written")


def decimal_literal(node: Node) -> Num | None:
    """A number written with a decimal point, possibly times a power of ten or a percentage."""
    match node:
        case Num(_, digits):
            return node if digits else None
        case Mul((Num(Fraction(numerator=-1, denominator=1)), inner)):
            found = decimal_literal(inner)
            return Num(-found.value, found.digits, found.ulp) if found else None
        case Mul((Num(value, digits, ulp), Pow(Num(ten), Num(power)))) if (
            digits and ten == 10 and power.denominator == 1 and abs(power) < 300
        ):
            scale = Fraction(10) ** int(power)
            return Num(value * scale, digits, ulp * scale)
        case _:
            return None
