r"""Text as the classifier sees it: one line of tokens. Training and scoring share this function.

fastText splits on spaces, so characters of scripts written without spaces become tokens of their own (its word
n-grams then are character n-grams). TeX commands, operators and the bounds of formulas are tokens: formulas look
alike in every language, and through them a classifier that was taught in one language finds pages in another.
A `$` bounds a formula only by pandoc's rule (no space inside of it, no digit after the closing one): prices and
PHP variables have dollars too.
"""

from __future__ import annotations

import re

NORMALISATION = "1"
"""Version of the rules below; a classifier trained under another version is refused."""
READ_CHARS = 20_000
"""Only this much of a page is read."""

_UNSPACED = "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_FORMULA = re.compile(r"\$\$([^$]{1,4000})\$\$|\$(?=[^\s$])([^$\n]{1,1000})(?<!\s)\$(?!\d)")
_TOKEN = re.compile(rf"\\(?:[a-z]+|[()])|[^\W\d_{_UNSPACED}]+|[{_UNSPACED}]|0|[=<>+^_{{}}|/*×÷±≤≥≠≈∈∑∏∫√∞→⇒∀∃−-]")


def normalise(text: str) -> str:
    r"""One line of space-separated tokens: lower case, numbers as `0`, TeX commands kept, Han split.

    No token holds `__label__`, `</s>` or a line break, so a page cannot forge a label or end its line.

    >>> normalise("Solve $\\frac{1}{2}x = 10.5$ for $5, 求 x")
    'solve \\( \\frac { 0 } { 0 } x = 0 \\) for 0 求 x'
    """
    text = _NUMBER.sub("0", _FORMULA.sub(r"\\(\1\2\\)", text[:READ_CHARS]).lower())
    return " ".join(_TOKEN.findall(text))
