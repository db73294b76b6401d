"""Brackets and LaTeX commands to items."""

# ruff: noqa: SIM905 - command lists read better as text

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.grade.steps.items import Item
from tasks.grade.steps.operands import whole

if TYPE_CHECKING:
    from tasks.grade.steps.reader import Reader

MAX_DEPTH = 20

_FRACTIONS = frozenset(["\\frac", "\\dfrac", "\\tfrac", "\\cfrac"])
_BINOMIALS = frozenset(["\\binom", "\\dbinom", "\\tbinom"])
_FUNCTIONS = frozenset(
    """\\log \\ln \\sin \\cos \\tan \\cot \\sec \\csc \\exp \\gcd \\max \\min \\arcsin \\arccos \\arctan \\lcm
    """.split()
)
_LETTERS = frozenset(
    """\\pi \\theta \\alpha \\beta \\gamma \\delta \\lambda \\mu \\omega \\phi \\varphi \\rho \\sigma \\tau
    \\epsilon \\ell \\Delta \\psi \\xi \\eta \\kappa \\nu \\zeta \\chi""".split()
)
_FLOORS = {"\\lfloor": "\\rfloor", "\\lceil": "\\rceil"}


def read_command(reader: Reader, i: int, items: list[Item], joined: bool, depth: int) -> int:
    """Append what the command at token `i` stands for; returns the index after it."""
    token = reader.tokens[i]
    name = token.value
    if name in _FRACTIONS or name in _BINOMIALS:
        first, j = _argument(reader, i + 1, depth)
        second, j = _argument(reader, j, depth)
        if first == second == "\0":  # words over words, as in minutes/hour
            items.append(Item("W", "per", token.start, reader.tokens[j - 1].end))
        elif not first or not second or "\0" in (first, second):
            items.append(Item("X", name, token.start, token.end))
        else:
            command = "\\frac" if name in _FRACTIONS else "\\binom"
            text = f"{command}{{{first}}}{{{second}}}"
            items.append(Item("A", text, token.start, reader.tokens[j - 1].end, joined))
        return j
    if name == "\\sqrt":
        degree, j = "", i + 1
        if j < len(reader.tokens) and reader.tokens[j].value == "[" and reader.match[j] > 0:
            degree, j = _argument(reader, j, depth)
        inside, j = _argument(reader, j, depth)
        if not inside or inside == "\0" or degree == "\0":
            items.append(Item("X", name, token.start, token.end))
        else:
            text = "\\sqrt" + (f"[{degree}]" if degree else "") + f"{{{inside}}}"
            items.append(Item("A", text, token.start, reader.tokens[j - 1].end, joined))
        return j
    if name in ("\\boxed", "\\fbox", "\\mathbf", "\\textbf") and i + 1 < len(reader.tokens):
        if reader.tokens[i + 1].kind == "open":
            return read_group(reader, i + 1, items, joined, depth)
        return i + 1
    if name in _FUNCTIONS or name in _LETTERS:
        items.append(Item("A", name + " ", token.start, token.end, joined))
    else:
        items.append(Item("X", name, token.start, token.end))
    return i + 1


def _argument(reader: Reader, i: int, depth: int) -> tuple[str, int]:
    """Text of a command's argument and the index after it: "" when not readable, NUL when only words."""
    tokens = reader.tokens
    if i >= len(tokens):
        return "", i
    token = tokens[i]
    if token.kind == "open" and token.value in "{[":
        close = reader.match[i]
        if close < 0 or depth >= MAX_DEPTH:
            return "", i + 1
        return _inside(reader, i + 1, close, depth), close + 1
    if token.kind == "num" and token.value.isdigit():
        if len(token.value) > 1:
            reader.tokens[i] = token._replace(value=token.value[1:], start=token.start + 1)
            return token.value[0], i
        return token.value, i + 1
    if token.kind == "word" and len(token.value) == 1:
        return token.value, i + 1
    return "", i + 1


def _inside(reader: Reader, start: int, end: int, depth: int) -> str:
    segments = [s for s in reader.read(start, end, depth + 1) if s.items]
    if len(segments) != 1:
        return ""
    items = segments[0].items
    if all(x.kind in "WS" for x in items):
        return "\0"
    found = whole(items)
    return found.text if found else ""


def read_group(reader: Reader, i: int, items: list[Item], joined: bool, depth: int) -> int:
    """Append the bracket at token `i`: a value, a remark in words, or something unread."""
    token = reader.tokens[i]
    close = reader.match[i]
    if close < 0 or depth >= MAX_DEPTH:
        items.append(Item("X", token.value, token.start, token.end))
        return i + 1 if close < 0 else close + 1
    segments = [s for s in reader.read(i + 1, close, depth + 1) if s.items]
    end = reader.tokens[close].end
    inner = [x for s in segments for x in s.items]
    if not inner or all(x.kind in "WSV" for x in inner):
        glued = bool(items) and items[-1].kind == "A" and not token.gap and not token.math
        items.append(Item("X" if glued else "W", "()", token.start, end))
    elif any(x.kind == "R" for x in inner):
        reader.segments.extend(segments)
        items.append(Item("W", "()", token.start, end))
    elif len(segments) == 1 and (found := whole(inner)):
        remark = bool(items) and items[-1].kind in "AW" and bool(found.units) and not found.computed
        if remark and not token.math:
            items.append(Item("W", "()", token.start, end))
        else:
            left, right = ("{", "}") if token.value == "{" else ("(", ")")
            items.append(Item("A", f"{left}{found.text}{right}", token.start, end, joined))
    elif (
        items and items[-1].kind in "AW" and any(x.kind in "WS" for x in inner) and all(x.kind in "AWSV" for x in inner)
    ):
        items.append(Item("W", "()", token.start, end))
    else:
        items.append(Item("X", "()", token.start, end))
    return close + 1


def read_bars(reader: Reader, i: int, items: list[Item], joined: bool, depth: int) -> int:
    """Append `|a - b|` when a second bar follows nearby, else something unread."""
    token = reader.tokens[i]
    opens = not items or items[-1].kind in "OR"
    if opens and depth < MAX_DEPTH:
        for j in range(i + 2, min(i + 40, len(reader.tokens))):
            if reader.match[j] > i + 40:
                break
            if reader.tokens[j].kind == "bar" and max(reader.match[i + 1 : j]) < j:
                inside = _inside(reader, i + 1, j, depth)
                if inside and inside != "\0":
                    items.append(Item("A", f"|{inside}|", token.start, reader.tokens[j].end, joined))
                    return j + 1
                break
            if reader.tokens[j].kind in ("stop", "rel"):
                break
    items.append(Item("X", "|", token.start, token.end))
    return i + 1


def read_subscript(reader: Reader, i: int, items: list[Item]) -> int:
    """Glue `_n` to the letter before it; digits with a subscript are another number base and stay unread."""
    tokens = reader.tokens
    j = i + 1
    if j >= len(tokens):
        return j
    close = reader.match[j] if tokens[j].kind == "open" else j
    if close < 0 or not items:
        return j
    last = items[-1]
    label = "".join(t.value for t in tokens[j : close + 1]).strip("{}")
    if last.kind == "A" and not last.text[-1:].isdigit() and len(label) <= 20 and label.isalnum():
        items[-1] = last._replace(text=f"{last.text.rstrip()}_{{{label}}}", end=tokens[close].end)
    else:
        items[-1] = last._replace(kind="X" if last.kind == "A" else last.kind, end=tokens[close].end)
    return close + 1
