"""Countdown and 24: does an expression use exactly the given numbers and come to the target?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

MAX_CHARS = 200
_TOKEN = re.compile(r"\s*(?:(\d{1,9})|([-+*/()]))")
_SIGNS = str.maketrans({"×": "*", "÷": "/", "−": "-", "·": "*"})


class _Reader:
    """Recursive descent over sums, products and brackets; keeps the numbers it read."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        self.numbers: list[int] = []
        self.at = 0
        position = 0
        while position < len(text):
            found = _TOKEN.match(text, position)
            if not found:
                raise ValueError(f"not read: {text[position : position + 10]!r}")
            self.tokens.append(found[1] or found[2])
            position = found.end()

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def sum(self) -> Fraction:
        value = self.product()
        while self.peek() in ("+", "-"):
            value = value + self.product() if self.take() == "+" else value - self.product()
        return value

    def product(self) -> Fraction:
        value = self.atom()
        while self.peek() in ("*", "/"):
            value = value * self.atom() if self.take() == "*" else value / self.atom()
        return value

    def atom(self) -> Fraction:
        item = self.take()
        if item == "(":
            value = self.sum()
            if self.take() != ")":
                raise ValueError("an open bracket")
            return value
        if not item.isdigit():
            raise ValueError(f"a number was expected, not {item!r}")
        self.numbers.append(int(item))
        return Fraction(int(item))


def reaches(answer: str, numbers: Sequence[int], target: int) -> bool:
    """Whether `answer` (an expression, or one followed by `= target`) uses each number once and equals `target`."""
    text, sign, right = answer.strip().translate(_SIGNS).partition("=")
    if len(text) > MAX_CHARS or (sign and right.strip() != str(target)):
        return False
    try:
        reader = _Reader(text.rstrip())
        value = reader.sum()
    except (ValueError, ZeroDivisionError):
        return False
    return reader.at == len(reader.tokens) and value == target and sorted(reader.numbers) == sorted(numbers)
