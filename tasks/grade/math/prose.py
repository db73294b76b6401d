"""Words among formulas: which letter runs are prose."""

from __future__ import annotations

import re

from tasks.grade.math.units import BARE_UNITS
from tasks.grade.math.vocabulary import FUNCTIONS, PLAIN_NAMES, SMALL_WORDS

TEXT_GROUP = re.compile(r"\\[a-zA-Z]+\s*\{[^{}\\\d=+]*\}")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_LETTER_RUN = re.compile(r"[^\W\d_]{2,}")
_CONNECTING = frozenset(["and", "or", "in", "to", "mod", "union", "per", "sq", "square", "cubic", "percent"])


def is_wordy(word: str) -> bool:
    """Does the letter run read as a word of prose rather than as a product of variables?"""
    if word in FUNCTIONS or word in PLAIN_NAMES or word.lower() in BARE_UNITS or word in SMALL_WORDS:
        return word in SMALL_WORDS
    if not word.isascii():
        return len(word) > 1
    return len(word) >= 4 and any(c in "aeiouy" for c in word)


def is_known(word: str) -> bool:
    """Does the word belong to formulas: a function, a unit, a connective?"""
    lower = word.lower()
    return (
        word in FUNCTIONS
        or lower in PLAIN_NAMES
        or lower in _CONNECTING
        or lower in BARE_UNITS
        or lower.removesuffix("s") in BARE_UNITS
    )


def is_prose(text: str) -> bool:
    """Do words stand outside the formulas, so that the answer may be a part of the text?"""
    plain = _COMMAND.sub(" ", TEXT_GROUP.sub(" ", text))
    return any(not is_known(word) and (len(word) > 2 or not word.isascii()) for word in _LETTER_RUN.findall(plain))
