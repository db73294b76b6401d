"""Statements judged, each in a true and a false form."""

from __future__ import annotations

import pytest

from tasks.curate.facts import check_fact

PAIRS = [
    ("7 > 4", "4 > 7"),
    ("-3 < 2", "2 < -3"),
    ("11 is odd", "11 is even"),
    ("0 is even", "0 is odd"),
    ("smallest of 9 4 7: 4", "smallest of 9 4 7: 7"),
    ("largest of 9 4 7: 9", "largest of 9 4 7: 4"),
    ("9 3 6 without 6: 9 3", "9 3 6 without 6: 9"),
    ("9 without 9:", "9 without 9: 9"),
    ("1 2, append 3: 1 2 3", "1 2, append 3: 3 1 2"),
    ("1 2, prepend 3: 3 1 2", "1 2, prepend 3: 1 2 3"),
    ("1 2 5, put 3 at 2: 1 3 5", "1 2 5, put 3 at 2: 3 2 5"),
    ("1 2 5, drop last: 1 2", "1 2 5, drop last: 2 5"),
    ("1 2 5, drop first: 2 5", "1 2 5, drop first: 1 2"),
    ("last letter of cat: t", "last letter of cat: c"),
    ("join t a c: tac", "join t a c: cat"),
    ("a is a", "a is b"),
    ("a is not b", "a is not a"),
    ("not true = false", "not true = true"),
    ("true and false = false", "true and false = true"),
    ("false or true = true", "false or true = false"),
    ("p, p -> q: q", "p, p -> q: r"),
    ("p, p -> q: q", "r, p -> q: q"),
]


@pytest.mark.parametrize(("right", "wrong"), PAIRS)
def test_true_and_false(right: str, wrong: str) -> None:
    assert check_fact(right) == "ok"
    assert check_fact(wrong) == "wrong"


@pytest.mark.parametrize(
    "line", ["", "3 + 5 = 8", "so 7 > 4", "cats are nice", "smallest of : 3", "1 2, put 3 at x: 1"]
)
def test_what_is_no_fact(line: str) -> None:
    assert check_fact(line) == "not_checkable"


@pytest.mark.parametrize("part", ["a", "1", "a ", "1 ", "a, ", "-", "join a ", "last letter of ", "1 2  "])
def test_long_lines_end(part: str) -> None:
    """A pattern that backtracks without bound would hang here."""
    assert check_fact(part * (490 // len(part))) == "not_checkable"
    assert check_fact(part * 5_000) == "not_checkable"
