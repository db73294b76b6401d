"""Words of prose to items: signs in words, fractions in words, units, variables, and everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.grade.math.units import BARE_UNITS
from tasks.grade.steps.items import Item
from tasks.grade.steps.words import (
    BY_OPERATORS,
    COPULAS,
    DETERMINERS,
    FRACTION_WORDS,
    MULTIPLES,
    NUMBER_WORDS,
    OPERATORS,
    PLAIN_EQUALS,
    SCALES,
    STOPPERS,
)

if TYPE_CHECKING:
    from tasks.grade.steps.lexer import Token
    from tasks.grade.steps.reader import Reader

_ABOUT = frozenset(["about", "approximately", "roughly", "around", "nearly"])
_ORDINALS = frozenset(["st", "nd", "rd", "th"])
_QUANTITY_WORDS = NUMBER_WORDS.keys() | FRACTION_WORDS.keys() | MULTIPLES.keys()


def read_word(reader: Reader, i: int, items: list[Item], joined: bool) -> int:
    """Append what the word at token `i` stands for; returns the index after it."""
    token, after = reader.tokens[i], reader.peek(i + 1)
    word, start, end = token.value, token.start, token.end
    lower = word.lower()
    last = items[-1] if items else None
    if lower in _ORDINALS and last is not None and last.kind == "A" and not token.gap and not token.math:
        items[-1] = last._replace(kind="W", end=end)
        return i + 1
    value_before = last is not None and last.kind in "AWX"
    if lower == "x" and value_before and _is_times(token, after, last):
        items.append(Item("O", "*", start, end))
        return i + 1
    if lower in _ABOUT and last is not None and last.kind == "R":
        items[-1] = last._replace(text="~", end=end)
        return i + 1
    if token.math and token.kind == "word":
        if value_before and (lower in BARE_UNITS or lower.removesuffix("s") in BARE_UNITS):
            items.append(Item("W", lower, start, end))
        elif lower in STOPPERS:
            items.append(Item("S", lower, start, end))
        elif len(word) >= 4:
            items.append(Item("W", lower, start, end))
        else:
            items.append(Item("A", word, start, end, joined))
        return i + 1
    if (
        lower in OPERATORS
        and after
        and (after.kind in ("num", "money", "open", "soft") or after.value.lower() in _QUANTITY_WORDS)
    ):
        items.append(Item("O", OPERATORS[lower], start, end, verbal=True))
    elif lower in BY_OPERATORS and after and after.value.lower() == "by":
        items.append(Item("O", BY_OPERATORS[lower], start, after.end, verbal=True))
        return i + 2
    elif lower in COPULAS:
        items.append(Item("R" if lower in PLAIN_EQUALS else "V", "=", start, end, verbal=True))
        if after and after.value == "to":
            return i + 2
    elif lower == "and" and last is not None and last.kind == "A" and last.text.isdigit() and _fraction(reader, i + 1):
        top, bottom = reader.tokens[i + 1].value, reader.tokens[i + 3]
        items[-1] = last._replace(text=f"({last.text}+{top}/{bottom.value})", end=bottom.end)
        return i + 4
    elif lower == "of":
        return _of(reader, i, items)
    elif lower in FRACTION_WORDS or lower in MULTIPLES:
        _multiple(reader, i, items)
    elif lower in SCALES and last is not None and last.kind == "A" and last.text.replace(".", "").isdigit():
        items[-1] = last._replace(text=f"({last.text}@{SCALES[lower]})", end=end)
    elif lower == "percent" and last is not None and last.kind == "A":
        items[-1] = last._replace(text=f"({last.text}%)", end=end)
    elif lower in NUMBER_WORDS and after and after.value.lower() in OPERATORS:
        items.append(Item("A", str(NUMBER_WORDS[lower]), start, end, joined))
    elif len(word) == 1 and word.isascii() and _is_symbol(token, after, last):
        items.append(Item("A", word, start, end, joined and not token.gap))
    else:
        items.append(Item("S" if lower in STOPPERS else "W", lower, start, end))
    return i + 1


def _fraction(reader: Reader, i: int) -> bool:
    """Do tokens `i` on read `1/4`, less than one?"""
    run = reader.tokens[i : i + 3]
    return (
        [t.kind for t in run] == ["num", "op", "num"]
        and run[1].value == "/"
        and run[0].value.isdigit()
        and run[2].value.isdigit()
        and int(run[0].value[:9]) < int(run[2].value[:9])
    )


def _is_symbol(token: Token, after: Token | None, last: Item | None) -> bool:
    """A lone letter in prose is a variable when it touches a number, an operator or a relation."""
    if last is not None and last.kind == "A" and not token.gap:
        return last.text[-1:].isdigit() or last.text[-1:] == ")"
    if last is not None and last.kind in "OR" and not last.verbal:
        return True
    return after is not None and after.kind in ("op", "rel", "sub", "sup")


def _of(reader: Reader, i: int, items: list[Item]) -> int:
    """ "of" multiplies after a fraction or a percentage and before a value."""
    j = i + 1
    while (word := reader.peek(j)) and (
        word.value.lower() in DETERMINERS or word.kind == "money" or word.kind == "soft"
    ):
        j += 1
    last = items[-1] if items else None
    fraction = last is not None and last.kind == "A" and (
        last.text.endswith("%)") or last.text.startswith(("\\frac", "\\dfrac", "(1/", "(2/", "(3/"))
        or (len(items) >= 3 and items[-2].text == "/" and items[-3].kind == "A")
    )  # fmt: skip
    token = reader.tokens[i]
    if fraction and word and word.kind in ("num", "open", "cmd"):
        items.append(Item("O", "*", token.start, token.end, verbal=True))
        return j
    items.append(Item("W" if last is not None and last.kind == "W" else "S", "of", token.start, token.end))
    return i + 1


def _multiple(reader: Reader, i: int, items: list[Item]) -> None:
    """Twice 12, half of 48, two thirds of 90, a quarter of 8; otherwise a word."""
    token, after = reader.tokens[i], reader.peek(i + 1)
    word = token.value.lower()
    start = token.start
    if word in MULTIPLES:
        if after and after.kind in ("num", "money", "soft", "open"):
            items.append(Item("A", MULTIPLES[word], start, token.end))
            items.append(Item("O", "*", token.end, token.end, verbal=True))
        else:
            items.append(Item("W", word, start, token.end))
    elif after and after.value.lower() == "of":
        count = NUMBER_WORDS.get(items[-1].text, 1) if items and items[-1].kind == "W" else 1
        if items and items[-1].kind == "W" and items[-1].text in (*NUMBER_WORDS, "a"):
            start = items.pop().start
        items.append(Item("A", f"({count}/{FRACTION_WORDS[word]})", start, token.end))
    else:
        items.append(Item("W", word, start, token.end))


def _is_times(token: Token, after: Token | None, last: Item | None) -> bool:
    """Is the letter x a multiplication sign: `6 x 4`, `5 boxes x $3`, but not `2x(3)`?"""
    if after is None or last is None:
        return False
    value = last.kind in "WX" or last.text[-1:].isdigit() or last.text[-1:] in ")}!"
    apart = after.kind in ("open", "cmd") and token.gap and after.gap and not token.math
    return value and (after.kind in ("num", "money") or apart)
