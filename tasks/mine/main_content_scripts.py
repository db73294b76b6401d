"""Superscripts and subscripts of running text: `10<sup>6</sup>` reads 10⁶ and `x<sup>n+1</sup>` x^{n+1}, not xn+1."""

from __future__ import annotations

import re

_MAX_CHARS = 40
_SCRIPT = re.compile(
    r"<su([pb])((?: [^<>]*+)?+)>"
    r"((?:[^<>]++|</?(?:i|em|b|strong|var|span|font|small)(?: [^<>]*+)?+>)*+)</su\1>"
)
"""One without another in it, nor a link: most are to footnotes. Linear to match, as no two tries overlap."""
_TAG = re.compile(r"<[^<>]*>")
_SPECIAL = re.compile(r"ref|note|cit|fn|none|hidden|sr-only")
"""In the attributes of a citation mark, and of what is not shown."""
_LEFT_ALONE = re.compile(r"\[.*\]|[^\w+=∞∗×⊥⊤−–-]+|.*[^\W\d_]{2}\W*\s\W*[^\W\d_]{3}.*")
"""A citation mark; an asterisk, a degree; small print."""
_ENDING = re.compile(r"st|nd|rd|th|ers?|res?|nde?s?|[eè]mes?|mes?|lles?|o|tm|sm|[^\W\d_]{4,}", re.IGNORECASE)
"""A superscript that ends an abbreviation or an ordinal: 1st, Mme, nº, or a word of its own."""
_BEFORE_E = re.compile(r"[\dIVXLC](?:</\w+>)*$")
_PLAIN = re.compile(r"[0-9+=() −–-]+")
_PLAIN_SCRIPTS = {
    "p": str.maketrans("0123456789+-−–=()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻⁼⁽⁾", " "),
    "b": str.maketrans("0123456789+-−–=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₋₌₍₎", " "),
}


def write_scripts(html: str) -> str:
    """A serialised page with its scripts as characters; the second time, those that held another."""
    html, count = _SCRIPT.subn(_written, html)
    return _SCRIPT.sub(_written, html) if count else html


def _written(script: re.Match[str]) -> str:
    """Digits and signs in Unicode; anything else as in LaTeX, because few letters have such forms."""
    kind, attributes, inner = script.groups()
    text = " ".join(_TAG.sub("", inner).replace("&nbsp;", " ").split())
    if len(text) > _MAX_CHARS or _SPECIAL.search("".join([attributes, *_TAG.findall(inner)])):
        return script[0]
    if not text or _LEFT_ALONE.fullmatch(text) or (kind == "p" and _is_ending(text, script)) or _is_link(script):
        return script[0]
    if _PLAIN.fullmatch(text):
        return text.translate(_PLAIN_SCRIPTS[kind])
    return f"{'^' if kind == 'p' else '_'}{{{text}}}"


def _is_link(script: re.Match[str]) -> bool:
    """Whether a link begins with it: `<a href="#note-3"><sup>3</sup></a>`."""
    before = script.string.rfind("<", 0, script.start())
    return script.string.startswith("<a ", before) and script.string[script.start() - 1] == ">"


def _is_ending(text: str, script: re.Match[str]) -> bool:
    """Whether a superscript is the end of a word: `1<sup>st</sup>`, `XIX<sup>e</sup>`."""
    if text == "e":
        before = script.string[max(script.start() - _MAX_CHARS, 0) : script.start()]
        return _BEFORE_E.search(before) is not None
    return _ENDING.fullmatch(text) is not None
