"""Is the printed output the expected one? Whole against whole, in the judge's own process."""

from __future__ import annotations

import math


def same_output(printed: str, expected: str, tolerance: float | None = None) -> bool:
    """True if the two texts are the same line by line.

    Forgiven are only white space at the end of a line and empty lines at the end of the text (also `\\r\\n`):
    never a missing or an extra line, never a prefix. With `tolerance`, lines are compared token by token, and
    two finite decimal numbers may differ by that much, absolutely or relative to the expected one.
    """
    printed_lines, expected_lines = _lines(printed), _lines(expected)
    if printed_lines == expected_lines:
        return True
    if tolerance is None or len(printed_lines) != len(expected_lines):
        return False
    for printed_line, expected_line in zip(printed_lines, expected_lines, strict=True):
        printed_tokens, expected_tokens = printed_line.split(), expected_line.split()
        if len(printed_tokens) != len(expected_tokens):
            return False
        pairs = zip(printed_tokens, expected_tokens, strict=True)
        if not all(_same_token(ours, theirs, tolerance) for ours, theirs in pairs):
            return False
    return True


def _lines(text: str) -> list[str]:
    lines = [line.rstrip(" \t\r\f\v") for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _same_token(printed: str, expected: str, tolerance: float) -> bool:
    if printed == expected:
        return True
    if len(printed) > 400 or len(expected) > 400:
        return False
    try:
        ours, theirs = float(printed), float(expected)
    except ValueError:
        return False
    if not (math.isfinite(ours) and math.isfinite(theirs)):
        return False
    return abs(ours - theirs) <= tolerance * max(1.0, abs(theirs))
