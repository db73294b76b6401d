"""LaTeX between delimiters in running text: which `$` is mathematics and which is money."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.mine.formulas.asciimath import asciimath_to_latex
from tasks.mine.formulas.tex import is_prose, is_tex, may_be_math

BREAK = "\x00"
"""Stands in a text for a block boundary, which no formula crosses."""
MAX_INLINE_CHARS = 1_500
MAX_DISPLAY_CHARS = 8_000

_ENVIRONMENTS = (
    "equation|align|alignat|aligned|gather|gathered|multline|eqnarray|flalign|displaymath|math|split|cases|array|"
    "matrix|pmatrix|bmatrix|vmatrix|Vmatrix|Bmatrix|smallmatrix|subequations|CD|dmath|IEEEeqnarray"
)
_OPENER = re.compile(
    r"\$latex\s|\$\$|\$|\\{1,2}\(|\\{1,2}\[|\\begin\{(?P<env>(?:" + _ENVIRONMENTS + r")\*?)\}"
    r"|\[(?P<bb>i?tex|i?math|latex|dmath|\${1,2})\]|##|`",
)
_BB_DISPLAY = frozenset(["tex", "math", "latex", "dmath", "$$"])
_PRICE = re.compile(
    r"\d[\d,.]*+(?:\s+[a-zA-Z]{2,}|[\s/]*+[a-zA-Z]{3,}|.*[-–/+]\s*$|\s*[kKmMbB](?!\w)(?=.*\s[a-zA-Z]{2,}))", re.S
)
"""`5 per`, `20 and $30`, `5-`, `5k or …`: an amount and the prose up to the next dollar. `2k` and `4ac` are none."""
_LESS_THAN = (
    re.compile(r"\$[^$<>\n]{0,200}<[A-Za-z][^$>\n]{0,200}\$"),
    re.compile(r"\\\((?:[^<>\n\\]|\\(?!\()){0,200}<[A-Za-z][^>\n]{0,200}?\\\)"),
)
_LESS_THAN_BYTES = (
    re.compile(rb"\$[^$<>\n]{0,800}<[A-Za-z]"),
    re.compile(rb"\\\((?:[^<>\n\\]|\\(?!\()){0,800}<[A-Za-z]"),
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the page tells about its delimiters.

    `dollar`: the page is known to typeset mathematics, so that `$x$` is a formula even without LaTeX in it.
    `hashes`: `##x##` is a formula (Physics Forums). `backticks`: so is AsciiMath between backticks.
    """

    dollar: bool = False
    hashes: bool = False
    backticks: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A formula found at `start:end` of a text, delimiters included."""

    start: int
    end: int
    tex: str
    display: bool
    carrier: str


def escape_less_than(html: str) -> str:
    """HTML source with `<` escaped inside `$a<b$` and `\\(a<b\\)`, where the parser would see a tag `<b$…`."""
    for pattern in _LESS_THAN:
        html = pattern.sub(lambda match: match[0].replace("<", "&lt;"), html)
    return html


def may_hold_less_than(html: bytes) -> bool:
    """Whether `escape_less_than` may change the text of these UTF-8 bytes."""
    return any(start.search(html) for start in _LESS_THAN_BYTES)


def find_spans(text: str, rules: Rules) -> Iterator[Span]:
    """Formulas of `text` from left to right, never overlapping, in time linear in its length."""
    position = 0
    ahead: dict[str, int] = {}
    while (opener := _OPENER.search(text, position)) is not None:
        span = _span(text, opener, rules, ahead)
        if span is None:
            position = opener.end() if opener[0] != "$$" else opener.start() + 2
        else:
            yield span
            position = span.end


def _span(text: str, opener: re.Match[str], rules: Rules, ahead: dict[str, int]) -> Span | None:
    mark, start = opener[0], opener.start()
    if text[start - 1 : start] == "\\" and start:
        return None
    if opener["env"]:
        return _environment(text, opener, ahead)
    if opener["bb"]:
        name = opener["bb"]
        return _fenced_by(text, opener, f"[/{name}]", "bbcode", True, ahead, display=name in _BB_DISPLAY)
    if mark == "$":
        return _dollar(text, start, rules)
    if mark == "##":
        return _fenced_by(text, opener, "##", "hash", rules.hashes, ahead)
    if mark == "`":
        return _backtick(text, start, ahead) if rules.backticks else None
    if mark.startswith("$latex"):
        return _fenced_by(text, opener, "$", "wordpress", True, ahead)
    if mark == "$$":
        tex = _until(text, opener.end(), "$$", MAX_DISPLAY_CHARS, ahead)
        if tex is None or not (is_tex(tex) or may_be_math(tex) or (rules.dollar and "\\" in tex)):
            return None
        return Span(start, opener.end() + len(tex) + 2, tex, True, "delimiters")
    close = mark.replace("(", ")").replace("[", "]")
    tex = _until(text, opener.end(), close, MAX_DISPLAY_CHARS, ahead)
    if tex is None or mark in tex or (not rules.dollar and not (is_tex(tex) or may_be_math(tex))):
        return None
    return Span(start, opener.end() + len(tex) + len(close), tex, mark.endswith("["), "delimiters")


def _until(text: str, start: int, close: str, limit_chars: int, ahead: dict[str, int]) -> str | None:
    """The text up to `close`, or None where it is too far, empty, or lies across a block boundary.

    `ahead` holds where each mark stands next, so that the text is searched once a mark however many are opened.
    """
    end = ahead.get(close, -1)
    if end < start:
        end = text.find(close, start)
        ahead[close] = end = end if end >= 0 else len(text)
    if end == len(text) or end + len(close) > start + limit_chars:
        return None
    inner = text[start:end]
    return None if BREAK in inner or not inner.strip() else inner


def _environment(text: str, opener: re.Match[str], ahead: dict[str, int]) -> Span | None:
    close = f"\\end{{{opener['env']}}}"
    tex = _until(text, opener.end(), close, MAX_DISPLAY_CHARS, ahead)
    if tex is None:
        return None
    end = opener.end() + len(tex) + len(close)
    return Span(opener.start(), end, text[opener.start() : end], True, "environment")


def _fenced_by(
    text: str,
    opener: re.Match[str],
    close: str,
    carrier: str,
    allowed: bool,
    ahead: dict[str, int],
    *,
    display: bool = False,
) -> Span | None:
    limit_chars = MAX_DISPLAY_CHARS if display else MAX_INLINE_CHARS
    tex = _until(text, opener.end(), close, limit_chars, ahead) if allowed else None
    if tex is None or is_prose(tex):
        return None
    return Span(opener.start(), opener.end() + len(tex) + len(close), tex, display, carrier)


def _backtick(text: str, start: int, ahead: dict[str, int]) -> Span | None:
    source = _until(text, start + 1, "`", 400, ahead)
    if source is None or is_prose(source) or "\n\n" in source:
        return None
    return Span(start, start + len(source) + 2, asciimath_to_latex(source), False, "asciimath")


def _dollar(text: str, start: int, rules: Rules) -> Span | None:
    """Inline `$…$`. Pandoc's rule (no space inside the dollars, no digit after), and proof that it is no price."""
    end = start
    stop = min(len(text), start + MAX_INLINE_CHARS)
    while True:
        end = text.find("$", end + 1, stop)
        if end < 0:
            return None
        if text[end - 1] != "\\" or text[end - 2] == "\\":
            break
    tex = text[start + 1 : end]
    if not tex.strip() or BREAK in tex or "\n\n" in tex or text[end + 1 : end + 2] == "$":
        return None
    before, after = text[start - 1 : start] if start else "", text[end + 1 : end + 2]
    tight = not tex[0].isspace() and not tex[-1].isspace()
    if is_tex(tex):
        good = tight or rules.dollar or "\\" in tex
        good = good and not (tex[0].isdigit() and not tight)
    else:
        good = rules.dollar and tight and may_be_math(tex) and not after.isdigit() and not _PRICE.match(tex)
        good = good and not (before.isascii() and before.isalnum())
        good = good and (len(tex) <= 3 or not (after.isascii() and after.isalpha()))
    return Span(start, end + 1, tex, False, "dollar") if good else None
