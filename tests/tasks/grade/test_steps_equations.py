"""Equations that follow from each other, results put back, against solutions found by SymPy."""

from __future__ import annotations

import random

import pytest
import sympy

from tasks.grade.steps import StepReport, check_steps


def verdicts(*steps: str, problem: str = "") -> list[str]:
    report = check_steps(problem, steps)
    return [c.verdict for c in report.claims if c.kind in ("equation", "substitution") and c.verdict != "not_checkable"]


def test_a_linear_equation_solved_stepwise() -> None:
    assert verdicts(r"2x + 5 = 15 \implies 2x = 10 \implies x = 5") == ["ok", "ok"]
    report = check_steps("", ["2x + 5 = 15\nSubtract 5 from both sides: 2x = 20\nDivide by 2: x = 10"])
    assert [(c.text, c.expected) for c in report.claims if c.verdict == "wrong"] == [("2x = 20", "x = 5")]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (r"\[ x^2 - 5x + 6 = 0 \] \[ (x-2)(x-3) = 0 \]", ["ok"]),
        (r"\[ x^2 - 5x + 6 = 0 \] \[ (x-2)(x+3) = 0 \]", ["wrong"]),
        (r"3x = 2 so x = 0.67", ["ok"]),
        (r"3x = 2 so x = 0.76", ["wrong"]),
        (r"$4y - 2 = 3y + 7$. Simplifying, we get $y = 9$", ["ok"]),
        ("0.99B + 1.01B + B = 4500. Combine like terms: 3.01B = 4500.", ["wrong"]),
        ("Suppose x + 1 = 3. Another equation is 2x = 10.", []),
        ("x - 8 = 12 or x - 8 = -12, so x = 20 or x = -4", []),
        ("x = 3. Then 2x = 8", []),
        ("If x = 1 then x + y = 3. x = 2", []),
    ],
)
def test_equations_in_one_variable(text: str, verdict: list[str]) -> None:
    assert verdicts(text) == verdict


def test_random_linear_derivations_agree_with_sympy() -> None:
    generator = random.Random(5)
    x = sympy.Symbol("x")
    for _ in range(60):
        a, b, c = generator.randint(2, 9), generator.randint(1, 20), generator.randint(1, 60)
        d = c - b + generator.choice([0, 0, 1, -3])
        text = f"{a}x + {b} = {c}\n{a}x = {d}"
        same = sympy.solve(a * x + b - c, x) == sympy.solve(a * x - d, x)
        assert verdicts(text) == ["ok" if same else "wrong"], text


def first(report: StepReport) -> int | None:
    return report.first_wrong


def test_the_result_is_put_back_into_the_problem() -> None:
    problem = "Solve $3x - 4 = 11$ for $x$."
    assert verdicts("We add 4.", "So $x = 5$.", problem=problem) == ["ok"]
    report = check_steps(problem, ["We add 4.", "So $x = 4$."])
    assert (first(report), report.claims[-1].kind, report.claims[-1].expected) == (1, "substitution", "x = 5")
    assert check_steps("", ["So x = 5. Check: 2*5 + 5 = 15."]).first_wrong is None
    assert check_steps("", ["So x = 5. Check: 2*5 + 5 = 16."]).first_wrong == 0
