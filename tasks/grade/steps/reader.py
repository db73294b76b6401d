"""Tokens to items: values, operators, relations and words, in segments that no claim reaches across."""

from __future__ import annotations

from tasks.grade.steps.items import Item, Segment
from tasks.grade.steps.lexer import Token
from tasks.grade.steps.prose import read_word
from tasks.grade.steps.structures import read_bars, read_command, read_group, read_subscript
from tasks.grade.steps.words import STOPPERS

_PAIRS = {"(": ")", "[": "]", "{": "}", "（": "）", "\\{": "\\}"}
_ABBREVIATIONS = frozenset("lb lbs oz ft in hr hrs min mins sec yd yds mi sq gal pt qt vs".split())  # noqa: SIM905


class Reader:
    """One pass over one step's tokens; `segments` is the result, annotations stand apart."""

    def __init__(self, tokens: list[Token]) -> None:
        """Read them all."""
        self.tokens = tokens
        self.match = _brackets(tokens)
        self.segments: list[Segment] = []
        self.annotations: list[Token] = []
        self.read(0, len(tokens), 0)

    def read(self, i: int, end: int, depth: int) -> list[Segment]:
        """Segments of the tokens from `i` to `end`; at depth 0 they are the result."""
        segments = [Segment()]
        joined = True
        while i < end:
            token = self.tokens[i]
            items = segments[-1].items
            kind = token.kind
            if kind == "soft" or kind == "arrow" or kind == "stop" or (kind == "rel" and token.value == "!"):
                if kind == "soft" and (
                    token.value in ("\\(", "\\)", "$") or (token.math and token.value[0] in "\n \t\r")
                ):
                    joined = False
                elif kind == "stop" and (token.value == "&" or (token.value == "." and self._abbreviates(i))):
                    pass
                elif kind == "stop" and token.value in ":：" and self._between_numbers(i):
                    items.append(Item("X", ":", token.start, token.end))
                else:
                    soft = kind == "soft"
                    if items:
                        segments.append(Segment(soft=soft, line_start=soft))
                    else:
                        segments[-1].soft = segments[-1].soft and soft
                        segments[-1].line_start = soft
                    if kind == "rel":
                        segments[-1].items.append(Item("X", token.value, token.start, token.end))
                    joined = False
                i += 1
                continue
            i = self._item(i, items, joined, depth)
            joined = True
        if depth == 0:
            self.segments.extend(s for s in segments if s.items)
        return segments

    def _between_numbers(self, i: int) -> bool:
        pair = self.tokens[i - 1 : i + 2]
        return (
            i > 0 and len(pair) == 3 and pair[0].kind == pair[2].kind == "num" and not pair[1].gap and not pair[2].gap
        )

    def _abbreviates(self, i: int) -> bool:
        """Does the full stop belong to a unit, as in `3 lbs. * 40`?"""
        after = self.peek(i + 1)
        return i > 0 and self.tokens[i - 1].value.lower() in _ABBREVIATIONS and after is not None and (
            after.kind in ("op", "rel") or after.value.islower()
        )  # fmt: skip

    def peek(self, i: int) -> Token | None:
        """Token `i`, None past the end."""
        return self.tokens[i] if i < len(self.tokens) else None

    def _item(self, i: int, items: list[Item], joined: bool, depth: int) -> int:
        """Append the item that starts at token `i`; returns the index after it."""
        token = self.tokens[i]
        kind, value, start, end = token.kind, token.value, token.start, token.end
        if kind == "num":
            for separator in ("{,}", "\\,", ",\\!", ",", "，"):
                value = value.replace(separator, "")
            octal = len(value) > 1 and value[0] == "0" and value.isdigit()  # 0730 is a time or a code
            items.append(Item("X" if octal else "A", value, start, end, joined))
        elif kind == "op":
            return self._operator(i, items)
        elif kind == "rel":
            items.append(Item("R", value, start, end))
        elif kind == "money" or kind == "deg":
            if kind == "deg" and items and items[-1].kind == "A":
                items[-1] = items[-1]._replace(text=items[-1].text + "^\\circ ", end=end)
        elif kind == "pct":
            if items and items[-1].kind == "A":
                items[-1] = items[-1]._replace(text=f"({items[-1].text}%)", end=end)
        elif kind == "word" or kind == "zh":
            return read_word(self, i, items, joined)
        elif kind == "text":
            self._text(token, items, joined)
        elif kind == "cmd":
            return read_command(self, i, items, joined, depth)
        elif kind == "open":
            return read_group(self, i, items, joined, depth)
        elif kind == "annot":
            self.annotations.append(token)
        elif kind == "sub":
            return read_subscript(self, i, items)
        elif kind == "sup" and items and items[-1].kind == "A":
            items[-1] = items[-1]._replace(text=items[-1].text + value, end=end)
        elif kind == "fact":
            after = self.peek(i + 1)
            formula = token.math or (after and after.kind in ("op", "rel", "close", "num", "fact"))
            if items and items[-1].kind == "A" and not token.gap and formula:
                items[-1] = items[-1]._replace(text=items[-1].text + "!", end=end)
        elif kind == "bar":
            return read_bars(self, i, items, joined, depth)
        else:
            items.append(Item("X", value, start, end))
        return i + 1

    def _operator(self, i: int, items: list[Item]) -> int:
        token, after = self.tokens[i], self.peek(i + 1)
        if token.value == "-" and after and after.kind == "word" and len(after.value) > 1 and items and not (
            token.math or token.gap or after.gap
        ):  # fmt: skip
            items.append(Item("W", after.value, token.start, after.end))  # 12-pound, 24-hour
            return i + 2
        if token.value == "√":
            items.append(Item("A", "\\sqrt ", token.start, token.end))
            return i + 1
        if token.value == "/" and after and after.kind in ("word", "text") and items and (
            len(after.value) > 1 or items[-1].kind == "W"
        ):  # fmt: skip
            items.append(Item("W", after.value, token.start, after.end))  # minutes/hour
            return i + 2
        if token.value == "^" and after and after.kind == "cmd" and after.value in ("\\circ", "\\prime"):
            return self._degree(i + 2, items, after)
        if token.value == "^" and after and after.kind == "open" and self.match[i + 1] == i + 3:
            inner = self.tokens[i + 2]
            if inner.value in ("\\circ", "\\prime"):
                return self._degree(i + 4, items, inner)
        if token.value == "^" and after and items and items[-1].kind == "W" and not token.gap:  # cm^3
            return i + 2 if after.kind != "open" else max(self.match[i + 1], i + 1) + 1
        items.append(Item("O", token.value, token.start, token.end))
        return i + 1

    def _degree(self, after: int, items: list[Item], token: Token) -> int:
        if items and items[-1].kind == "A":
            mark = "^\\circ " if token.value == "\\circ" else "'"
            items[-1] = items[-1]._replace(text=items[-1].text + mark, end=self.tokens[after - 1].end)
        return after

    def _text(self, token: Token, items: list[Item], joined: bool) -> None:
        """`\\text{ apples}` is a word, `\\text{ if }` a stop word, `\\mathrm{AB}` a name, `\\textbf{12}` a value."""
        content = token.value.partition("{")[2][:-1].strip().replace("\\$", "").replace("$", "")
        words = content.lower().split()
        if content.replace(".", "").isdigit() or (len(content) == 1 and content.isalpha()):
            items.append(Item("A", content, token.start, token.end, joined))
        elif any(word.strip(",.;:") in STOPPERS for word in words):
            items.append(Item("S", content.lower(), token.start, token.end))
        else:
            items.append(Item("W", content.lower(), token.start, token.end))


def _brackets(tokens: list[Token]) -> list[int]:
    """For each opening bracket the index of its closing one, -1 for everything else."""
    match = [-1] * len(tokens)
    open_at: list[int] = []
    for i, token in enumerate(tokens):
        if token.kind == "open":
            open_at.append(i)
        elif token.kind == "close" and open_at:
            if _PAIRS[tokens[open_at[-1]].value] == token.value:
                match[open_at.pop()] = i
            elif token.value in ("}", "\\}"):
                while open_at and _PAIRS[tokens[open_at[-1]].value] != token.value:
                    open_at.pop()
                if open_at:
                    match[open_at.pop()] = i
    return match
