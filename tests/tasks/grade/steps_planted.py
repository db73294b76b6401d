"""Solutions with one planted error: from GSM8K's annotated ones and from chains made here.

The arithmetic of this file is its own (`ast` over `Fraction`), independent of the checker's.
"""

from __future__ import annotations

import ast
import operator
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tasks.grade.steps import check_steps

_ANNOTATION = re.compile(r"<<([^<>=]+)=([^<>=]+)>>")
_SHOWN = re.compile(r"\d[^<>\n]{0,12}[-+*/x][^<>\n]{0,40}=\s*\$?\s*$")
_OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip


@dataclass(frozen=True)
class Planted:
    """Steps and where the error is, None for an untouched solution."""

    problem: str
    steps: tuple[str, ...]
    error_step: int | None


def value_of(expression: str) -> Fraction | None:
    """Exact value of + - * / over decimals, None for anything else."""

    def walk(node: ast.expr) -> Fraction:
        match node:
            case ast.BinOp(left, op, right) if type(op) in _OPERATIONS:
                return _OPERATIONS[type(op)](walk(left), walk(right))
            case ast.UnaryOp(ast.USub(), operand):
                return -walk(operand)
            case ast.Constant(int() | float()):
                return Fraction(ast.get_source_segment(source, node) or "x")
        raise ValueError(expression)

    source = re.sub(r"(?<![\d.])0+(?=\d)", "", expression.strip().replace(",", "").replace("$", ""))
    try:
        return walk(ast.parse(source, mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError):
        return None


def write(value: Fraction) -> str:
    """Shortest decimal of a value that has one, else two places."""
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.6g}"


def wrong_value(true: str, generator: random.Random) -> str:
    """A different number: off by one or ten, a changed digit, two digits swapped, a lost zero."""
    value = value_of(true)
    if value is None or value.denominator != 1:
        digits = [i for i, c in enumerate(true) if c.isdigit()]
        spot = generator.choice(digits)
        return true[:spot] + str((int(true[spot]) + generator.randint(1, 8)) % 10) + true[spot + 1 :]
    number = int(value)
    options = [number + 1, number - 1, number + 10, number * 10, number + generator.randint(2, 9)]
    text = str(number)
    if len(text) > 1 and number > 0:
        options += [int(text[1] + text[0] + text[2:]), number - 10]
    if number % 10 == 0 and number:
        options.append(number // 10)
    return str(generator.choice([n for n in options if n != number]))


def plant_gsm8k(question: str, answer: str, generator: random.Random, *, annotated: bool) -> Planted | None:
    """Change one stated result; half of the time carry it on into the later steps, recomputed.

    With `annotated` the calculator annotations stay (and tell the same); without them only steps whose text shows
    the computation are touched. None when the solution offers no place.
    """
    steps = answer.split("\n####")[0].split("\n")
    places = [
        (k, match)
        for k, step in enumerate(steps)
        for match in _ANNOTATION.finditer(step)
        if (annotated or _SHOWN.search(step[: match.start()]))
        and step[match.end() :].startswith(match[2])
        and not re.match(r"[\d,.]*\d|\s*/", step[match.end() + len(match[2]) :])
        and value_of(match[1]) == value_of(match[2]) is not None
    ]
    if not places:
        return None
    k, match = generator.choice(places)
    old, new = match[2], wrong_value(match[2], generator)
    step = steps[k]
    text = f"<<{match[1]}={new}>>{new}"
    steps[k] = step[: match.start()] + text + step[match.end() + len(old) :]
    if generator.random() < 0.5:
        carried = re.compile(rf"(?<![\d.,]){re.escape(old)}(?![\d,]|\.\d)")
        steps[k + 1 :] = [_recompute(carried.sub(new, later)) for later in steps[k + 1 :]]
    if not annotated:
        steps = [re.sub(r"<<[^<>]*>>", "", s) for s in steps]
    return Planted(question, tuple(steps), k)


def _recompute(step: str) -> str:
    """A step whose annotations come to what their operands say."""

    def put(match: re.Match[str]) -> str:
        value = value_of(match[1])
        return match[0] if value is None else f"<<{match[1]}={write(value)}>>{write(value)}"

    return re.sub(r"<<([^<>=]+)=([^<>=]+)>>[\d.,]*\d", put, step)


def clean_gsm8k(question: str, answer: str, *, annotated: bool) -> Planted:
    """The untouched solution."""
    steps = answer.split("\n####")[0].split("\n")
    return Planted(question, tuple(s if annotated else re.sub(r"<<[^<>]*>>", "", s) for s in steps), None)


_TEMPLATES: Sequence[tuple[str, str]] = (
    ("+", "Together that is {a} + {b} = {c}."), ("-", "This leaves {a} - {b} = {c} of them."),
    ("*", "The cost is ${a} * {b} = ${c}."), ("*", r"So we have \[ {a} \times {b} = {c} \]"),
    ("+", "{a} plus {b} is {c}."), ("-", "{a} minus {b} equals {c}."), ("*", "He packs {a} boxes x {b} = {c} apples."),
    ("/", r"Each gets \( \frac{{{a}}}{{{b}}} = {c} \)."), ("/", "Divide: {a} ÷ {b} = {c}."),
    ("+", "{a}加{b}等于{c}。"), ("-", "还剩{a}减{b}等于{c}。"), ("*", "一共{a}乘以{b}等于{c}元。"),
    ("+", r"\begin{{align*}} x &= {a} + {b} \\ &= {c} \end{{align*}}"),
)  # fmt: skip


def made_chains(count: int, seed: int) -> Iterator[Planted]:
    """Chains of 3 to 6 computations in mixed styles; two of three carry one error, one stays clean."""
    generator = random.Random(seed)
    for index in range(count):
        steps: list[str] = []
        value, length = generator.randint(2, 60), generator.randint(3, 6)
        error = generator.randrange(length) if index % 3 else None
        for k in range(length):
            sign, template = generator.choice(_TEMPLATES)
            other = generator.randint(2, 30)
            if sign == "-":
                value, other = max(value, other), min(value, other)
            if sign == "/":
                value = value * other
            result = {"+": value + other, "-": value - other, "*": value * other, "/": value // other}[sign]
            stated = int(wrong_value(str(result), generator)) if k == error else result
            steps.append(template.format(a=value, b=other, c=stated))
            value = abs(stated) % 5000 + 1
        yield Planted("", tuple(steps), error)


@dataclass(frozen=True)
class Score:
    """Counts over the first wrong steps; a found step is right only when it is the planted one."""

    right: int
    found: int
    planted: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.right / (self.found + self.planted)


def score(cases: Sequence[Planted]) -> Score:
    """Run the checker over the cases."""
    right = found = 0
    for case in cases:
        first = check_steps(case.problem, case.steps).first_wrong
        found += first is not None
        right += first is not None and first == case.error_step
    return Score(right, found, sum(case.error_step is not None for case in cases))
