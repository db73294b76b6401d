"""Cleaned text to tokens; letters become variables, functions, units or words here."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from tasks.grade.math.clean import ParseError
from tasks.grade.math.prose import TEXT_GROUP, is_known, is_wordy
from tasks.grade.math.units import BARE_UNITS, CHINESE_UNITS
from tasks.grade.math.vocabulary import (
    BRACKET_VALUES,
    BRACKETS,
    COMMAND_NAMES,
    COMMAND_OPS,
    FONT_COMMANDS,
    FUNCTIONS,
    KNOWN,
    MEASURE_WORDS,
    PLAIN_NAMES,
    STRUCTURES,
    TEXT_COMMANDS,
    TRANSPARENT,
)

MAX_TOKENS = 1500


class Token(NamedTuple):
    """`kind` is num, rep, name, cmd, text, unit, scale, word, op, open, close, begin or end.

    `space` tells whether blanks came before it.
    """

    kind: str
    value: str
    space: bool = False


Emit = Callable[[str, str], None]

_MASTER = re.compile(
    r"(?P<num>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d{1,4}(?![\d.a-zA-Z]))?)"
    r"|(?P<rep>\\overline|\\dot|\\bar)(?=\s*\{?\d)"
    r"|(?P<cmd>\\[a-zA-Z]+\*?)"
    r"|(?P<esc>\\.)"
    r"|(?P<word>[^\W\d_]+)"
    r"|(?P<op><=|>=|!=|==|=<|=>|\*\*|!!|[-+*/^_=<>:!'%|,;&])"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])"
    r"|(?P<money>[$€£¥¢])"
    r"|(?P<blank>\s+)",
    re.DOTALL,
)
_GROUPED = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")


def _resolve_command(name: str) -> tuple[str, str]:
    """Split `omegat` into the longest known command and the letters glued to it."""
    if name in KNOWN or len(name) < 3:
        return name, ""
    for end in range(len(name) - 1, 1, -1):
        if name[:end] in KNOWN:
            return name[:end], name[end:]
    return name, ""


def _braced(text: str, start: int) -> tuple[str, int]:
    """Content of the brace group at `start` (blanks skipped) and the position after it."""
    while start < len(text) and text[start].isspace():
        start += 1
    if start >= len(text):
        raise ParseError("command without argument")
    if text[start] != "{":
        return text[start], start + 1
    depth = 0
    for end in range(start, len(text)):
        if text[end] == "{":
            depth += 1
        elif text[end] == "}":
            depth -= 1
            if not depth:
                return text[start + 1 : end], end + 1
    raise ParseError("unbalanced braces")


_WORD_PAIR = re.compile(r"(?<![\\\w{])([A-Za-z]{2,})\s+(?=([A-Za-z]{2,})(?![\w]))")


def tokenize(text: str) -> list[Token]:
    """Tokens of cleaned text. Thousands commas outside brackets belong to their number.

    Raises:
        ParseError: two words of prose stand side by side, or a character belongs to no formula.
    """
    for pair in _WORD_PAIR.finditer(TEXT_GROUP.sub("", text)):
        if not (is_known(pair[1]) or is_known(pair[2])):
            raise ParseError(f"prose: {pair[1]} {pair[2]}")
    tokens: list[Token] = []
    position, depth, space = 0, 0, False

    def add(kind: str, value: str) -> None:
        nonlocal space
        tokens.append(Token(kind, value, space))
        space = False
        if len(tokens) > MAX_TOKENS:
            raise ParseError(f"more than {MAX_TOKENS} tokens")

    while position < len(text):
        if depth == 0 and (grouped := _GROUPED.match(text, position)):
            fraction = re.compile(r"\.\d+").match(text, grouped.end())
            end = fraction.end() if fraction else grouped.end()
            add("num", text[position:end].replace(",", ""))
            position = end
            continue
        match = _MASTER.match(text, position)
        if match is None:
            if text[position] in '"`?\\#@':
                raise ParseError(f"unexpected {text[position]!r}")
            if not text[position].isprintable():
                raise ParseError("control character")
            if text[position] == "_":
                add("op", "_")
            elif text[position] in ".~":
                space = True
            else:
                raise ParseError(f"unexpected {text[position]!r}")
            position += 1
            continue
        position = match.end()
        kind, value = str(match.lastgroup), match[0]
        if kind == "blank":
            space = True
        elif kind == "num" or kind == "op":
            add(kind, value)
        elif kind == "money":
            add("unit", value)
        elif kind == "rep":
            digits, position = _braced(text, position)
            add("rep", digits)
        elif kind == "open":
            depth += value != "{"
            add(kind, value)
        elif kind == "close":
            depth -= value != "}"
            add(kind, value)
        elif kind == "esc":
            position = _escape(value, position, add)
            depth += (value == "\\{") - (value == "\\}")
        elif kind == "cmd":
            position = _command(text, value, position, add)
        else:
            _word(value, tokens, add)
    return tokens


def _escape(value: str, position: int, add: Emit) -> int:
    if value in ("\\{", "\\}"):
        add("open" if value == "\\{" else "close", value)
    elif value == "\\$":
        add("unit", "$")
    elif value == "\\%":
        add("op", "%")
    elif value == "\\\\":
        add("op", "\\\\")
    elif value == "\\|":
        add("op", "|")
    elif value in ("\\_", "\\&", "\\#", "\\'", "\\-", "\\/"):
        pass
    else:
        raise ParseError(f"unknown escape {value!r}")
    return position


def _command(text: str, value: str, position: int, add: Emit) -> int:
    if value in TEXT_COMMANDS:
        content, position = _braced(text, position)
        word = content.strip().lower()
        add(*(("name", PLAIN_NAMES[word]) if word in PLAIN_NAMES else ("text", content)))
        return position
    if value in FONT_COMMANDS:
        content, position = _braced(text, position)
        content = content.replace("\\", "").strip()
        if len(content) > 1 and content not in FUNCTIONS:
            add("text", content)
        else:
            add("name", content or "?")
        return position
    if value in TRANSPARENT:
        return position
    if value in ("\\begin", "\\end"):
        content, position = _braced(text, position)
        add(value[1:], content.strip().rstrip("*"))
        if value == "\\begin" and content.strip() == "array" and text[position : position + 1] == "{":
            _, position = _braced(text, position)
        return position
    name, rest = _resolve_command(value[1:].rstrip("*"))
    if name in COMMAND_OPS:
        add("op", COMMAND_OPS[name])
    elif name in BRACKETS:
        add(BRACKETS[name], BRACKET_VALUES.get(name, name))
    elif name in COMMAND_NAMES:
        add("name", COMMAND_NAMES[name])
    elif name in FUNCTIONS or name in STRUCTURES:
        add("cmd", name)
    else:
        add("name", name)
    for letter in rest:
        add("name", letter)
    return position


def _word(word: str, tokens: list[Token], add: Emit) -> None:
    lower = word.lower()
    after_value = bool(tokens) and (
        tokens[-1].kind in ("num", "close", "unit", "text", "rep") or tokens[-1][:2] in (("op", "%"), ("op", "/"))
    )
    if word in FUNCTIONS and not (word == "min" and after_value):
        add("cmd", word)
    elif lower in ("and", "or", "in", "to", "union", "mod"):
        add("op", lower)
    elif after_value and (glued := re.fullmatch(r"(or|and)([A-Za-z])", word)):
        add("op", glued[1])
        add("name", glued[2])
    elif lower in ("percent", "pct", "percentage", "percents"):
        add("op", "%")
    elif after_value and not {lower, lower.removesuffix("s")}.isdisjoint(BARE_UNITS | MEASURE_WORDS):
        add("unit", word)
    elif after_value and lower in ("thousand", "million", "billion", "trillion"):
        add("scale", lower)
    elif not word.isascii():
        if not after_value or not word.startswith(CHINESE_UNITS):
            raise ParseError(f"prose: {word[:20]}")
        add("unit", word)
    elif word in PLAIN_NAMES:
        add("name", PLAIN_NAMES[word])
    elif is_wordy(word):
        add("word", word)
    else:
        for pair in re.findall(r"pi(?=$|[a-z]$)|.", word) if len(word) <= 3 else list(word):
            add("name", "pi" if pair == "pi" else pair)
