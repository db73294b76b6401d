"""Claims found in a step and their verdicts, against worked examples."""

from __future__ import annotations

import pytest

from tasks.grade.steps import Claim, check_steps


def wrong(text: str, problem: str = "") -> list[tuple[str, str]]:
    """Text and corrected value of the wrong claims."""
    return [(c.text, c.expected) for c in claims(text, problem) if c.verdict == "wrong"]


def claims(text: str, problem: str = "") -> tuple[Claim, ...]:
    return check_steps(problem, [text]).claims


TRUE = [
    "Natalia sold 48/2 = <<48/2=24>>24 clips in May.", "3*4 = 12 = 10+2", "$18 * 2 = $36", "20% of 50 = 10",
    "50 * 20% = 10", "75% of 16 = 0.75 * 16 = 12", "He has 5 apples * 3 = 15 apples.", "1 1/2 + 1/2 = 2",
    r"\(2 \frac{1}{2} \times 4 = 10\)", "48 plus 24 is 72", "twice 12 is 24", "half of 48 is 24", "48加24等于72",
    "100减37等于63", "8乘以9等于72元", "1,200 + 300 = 1,500", r"1{,}200 \cdot 2 = 2{,}400", "6 x 4 = 24", "6x4=24",
    "12 × 3 ÷ 4 = 9", r"7 \cdot 8 = 56", r"\frac{3}{4} \div \frac{1}{2} = 1.5", "2/3 ≈ 0.67", "2/3 = 0.667",
    "10/3 = 3.33", "4 hours * 60 minutes/hour = 240 minutes", "25 / 1/5 = 125", "2^10 = 1024",
    r"$\sqrt{50} = 5\sqrt{2} \approx 7.07$", r"\[ \binom{5}{2} = \frac{5!}{2!\,3!} = 10 \]", "(5+3)*2 = 16",
    r"\[ \text{Total} = 5 \text{ apples} \times 3 = 15 \text{ apples} \]", "|3 - 8| = 5",
    "3 million + 2 million = 5 million", r"\begin{align*} x &= 3+4 \\ &= 7 \end{align*}", r"= \boxed{4 + 3 = 7}",
    "9 - 3 (from snack) - 2 (for lunch) = 4", r"40 \text{ (Ann)} + 80 \text{ (Bo)} = 120",
    "17 ÷ 5 = 3 with a remainder of 2", "17 ÷ 5 = 3 R 2", "17/5 = 3r2", "**5** + 3 = **8**", "5 - -3 = 8",
    r"(2+3i)(2-3i) = 4 - 9i^2 = 4 + 9i - 9i + 9", "three quarters of 80 is 60", "20 percent of 50 is 10", "½ * 8 = 4",
]  # fmt: skip

FALSE = [
    ("48/2 = <<48/2=25>>25", "24"), ("3*4 = 12 = 10+3", "12"), ("$18 * 2 = $35", "36"), ("20% of 50 = 12", "10"),
    ("He has 5 apples * 3 = 16 apples.", "15"), ("1 1/2 + 1/2 = 3", "2"), ("48 plus 24 is 82", "72"),
    ("half of 48 is 25", "24"), ("48加24等于62", "72"), ("1,200 + 300 = 15,000", "1500"), ("6 x 4 = 26", "24"),
    (r"\frac{3}{4} \div \frac{1}{2} = 1.25", "1.5"), ("2/3 = 0.68", "0.67"), ("10/3 = 3.34", "3.33"),
    (r"\[ \text{Total} = 5 \text{ apples} \times 3 = 16 \text{ apples} \]", "15"), ("2^10 = 1000", "1024"),
    (r"\begin{align*} x &= 3+4 \\ &= 8 \end{align*}", "7"), (r"\$20 - \$13.00 = \$6.00", "7"),
    ("4(40) - 13 = 157", "147"), ("2 + 48 + 3150 + 1300 = 3500 pounds", "4500"),
    ("17 ÷ 5 = 3 R 3", "3 remainder 2"), ("706 ÷ 7 = 101 with a remainder of 1.", "100 remainder 6"),
    (r"\frac{59049}{729} \approx 80.83", "81"),
    ("Total cost = $4.20 + $9.45 + $1.35 = $14.99", "15"), (r"S = 165 \times \frac{6}{11} \\ S = 54", "90"),
    ("- 5 + 3 = 9", "8"), ("it holds 2 * 2S = 6S people", "4S"),
]  # fmt: skip

NOT_WRONG = [
    r"17 \equiv 2 \pmod 5", "17 = 2 mod 5", "so 5*5 = 24 (mod 1)", "12_3 = 5", "1011_2 = 11", "The ratio is 3:4 = 6:8",
    "He left at 3:40 + 20 = 4:00", "0900-0130 = 0730 hours", "If 2 + 2 = x then", "Let x = 5", "f(x) = 3",
    "5 = 6 is false", "so 5*5 = 24, wait, that's wrong", "1 = 2, a contradiction", r"5 + 3 \ne 9", "5 + 3 < 9",
    "Step 2 = 14 + 3", "1. 5 apples 2. 6 pears", "in the interval (3, 5] = ", "x + 5 = 10", "2 dozen = 24",
    "1 hour = 60 minutes", "$0.50 * 1 = 50 cents", "Bob's age - 4 = 10", "60 = 30 + 20 + 40 - |A \\cap B|",
    "e = 4 and 9 + e = 13", "the reciprocal of 4/9 is 9/4", "3 * 4 is 2 more than 10", "Day 3 = 4 + 5",
    "x = 1 or x = 2", "0.\\overline{6} = 2/3", r"\arcsin(\frac{1}{2}) = 30^\circ", "7 / 2 = 3 whole boxes",
    "1/3 = 0.33", "about 1,187 + 3 = 1,200", "Suppose 3+4=8.", "Suppose that $3 + 4 = 8$.", "If 3+4 = 8, then",
    "假设 3+4=8。",
]  # fmt: skip


@pytest.mark.parametrize("text", TRUE)
def test_true_claims_are_ok(text: str) -> None:
    found = claims(text)
    assert any(c.verdict == "ok" for c in found), found
    assert not any(c.verdict == "wrong" for c in found), found


@pytest.mark.parametrize(("text", "expected"), FALSE)
def test_false_claims_are_wrong_with_the_value(text: str, expected: str) -> None:
    assert expected in [value for _, value in wrong(text)], claims(text)


@pytest.mark.parametrize("text", NOT_WRONG)
def test_what_states_no_equality_is_never_wrong(text: str) -> None:
    assert wrong(text) == []


def test_spans_cover_the_claim() -> None:
    step = "First, Tom pays $18 * 2 = $36 and 5 + 5 = 11 more."
    for claim in claims(step):
        assert step[slice(*claim.span)] == claim.text
    assert [(c.text, c.verdict) for c in claims(step)] == [("$18 * 2 = $36", "ok"), ("5 + 5 = 11", "wrong")]


def test_first_wrong_step_and_verdicts() -> None:
    report = check_steps("", ["2 + 2 = 4", "Think.", "4 * 3 = 13", "13 + 1 = 15"])
    assert report.steps == ("ok", "not_checkable", "wrong", "wrong")
    assert report.first_wrong == 2
    assert report.first_wrong_claim is not None
    assert (report.first_wrong_claim.expected, report.first_wrong_claim.kind) == ("12", "arithmetic")


def test_kinds() -> None:
    kinds = {c.kind for c in claims("<<2+2=4>> 3 plus 4 is 7. 9 - 1 = 8, 7 ÷ 2 = 3 R 1. 2x = 4. Let y = 5.")}
    assert kinds == {"annotation", "verbal", "arithmetic", "division", "equation", "definition"}


def test_nothing_to_check() -> None:
    report = check_steps("What?", [])
    assert (report.claims, report.first_wrong, report.steps) == ((), None, ())
    assert check_steps("", ["", "No numbers here."]).steps == ("not_checkable", "not_checkable")


def test_a_step_too_long_says_so() -> None:
    (claim,) = [c for c in claims("word " * 6000) if c.kind == "unread" and c.span[0]]
    assert claim.verdict == "not_checkable"
    assert claim.span == (20_000, 30_000)
