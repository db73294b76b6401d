"""A step's text to tokens that keep their offsets: prose and mathematics in one stream.

Nothing is judged here. Every pattern is linear, and a step of more than `MAX_TOKENS` tokens is read up to there.
"""

# ruff: noqa: SIM905 - command lists read better as text

from __future__ import annotations

import re
from typing import NamedTuple

MAX_TOKENS = 4000


class Token(NamedTuple):
    """`kind`: num op rel open close word text cmd pct money stop soft annot sub fact dots other.

    `math` tells whether the token stands between math delimiters, `gap` whether blanks came before it.
    """

    kind: str
    value: str
    start: int
    end: int
    math: bool
    gap: bool


_MASTER = re.compile(
    r"(?P<annot><<[^<>\n]{1,200}>>)"
    r"|(?P<nl>[ \t\r]*\n\s*)"
    r"|(?P<blank>[ \t\r\u3000\xa0]+)"
    r"|(?P<rep>\d{1,30}\.\d{0,30}\\(?:overline|bar|dot)[ ]?\{\d{1,30}\})"
    r"|(?P<num>(?:\d{1,3}(?:(?:,|\{,\}|，|\\,|,\\!)\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)"
    r"|(?P<text>\\(?:text|textbf|textit|textrm|mbox|mathrm|mathbf|textnormal|operatorname)[ ]?\{[^{}]{0,200}\})"
    r"|(?P<env>\\(?:begin|end)[ ]?\{[a-zA-Z*]{1,20}\})"
    r"|(?P<delim>\$\$|\\[()\[\]]|\$)"
    r"|(?P<row>\\\\)"
    r"|(?P<esc>\\[^a-zA-Z])"
    r"|(?P<cmd>\\[a-zA-Z]{1,30})"
    r"|(?P<dots>\.\.\.+|…+)"
    r"|(?P<rel>==>|<=>|<=|>=|!=|==|=>|->|[=＝≈≠≤≥<>≡≅→⇒⟹≃])"
    r"|(?P<op>\*\*|[-+*/×÷·⋅∙−–—＋^√])"
    r"|(?P<pct>[%％])"
    r"|(?P<open>[(\[{（])|(?P<close>[)\]}）])"
    r"|(?P<zh>增加|减少|参加|[加减](?:上|去)?|乘以?|除以|等于|得到|约等于|大约|[\u4e00-\u9fff])"
    r"|(?P<word>[A-Za-zα-ωΑ-Ω]+(?:[-'’][A-Za-z]{2,})*)"
    r"|(?P<sup>[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)|(?P<part>[½⅓⅔¼¾⅕⅛])"
    r"|(?P<money>[£€¥₹¢])"
    r"|(?P<sub>_)|(?P<fact>!)|(?P<bar>\|)|(?P<deg>[°])"
    r"|(?P<stop>[.,;:?，。；：？！、&])"
    r"|(?P<other>.)",
    re.DOTALL,
)

_OPS = {
    "\\times": "*", "\\cdot": "*", "\\ast": "*", "\\div": "/", "\\over": "/", "×": "*", "·": "*", "⋅": "*", "∙": "*",
    "÷": "/", "−": "-", "–": "-", "—": "-", "＋": "+", "**": "^",
}  # fmt: skip
_RELATIONS = {
    "=": "=", "==": "=", "＝": "=", "≈": "~", "≅": "~", "≃": "~", "\\approx": "~", "\\simeq": "~", "\\cong": "~",
    "\\sim": "~", "\\doteq": "~", "\\eq": "=",
}  # fmt: skip
_OTHER_RELATIONS = frozenset(
    """\\neq \\ne \\le \\leq \\ge \\geq \\lt \\gt \\equiv \\in \\leqslant \\geqslant \\propto \\mid \\nmid \\parallel
    \\perp \\subset \\subseteq \\notin""".split()
)
_ARROWS = frozenset(
    """\\implies \\Rightarrow \\Longrightarrow \\rightarrow \\to \\iff \\Leftrightarrow \\longrightarrow \\therefore
    \\because \\quad \\qquad \\hline \\newline \\land \\lor \\text \\item \\hspace \\mapsto \\Longleftrightarrow
    \\leftrightarrow""".split()
)
_SKIPPED = frozenset(
    """\\left \\right \\big \\Big \\bigg \\Bigg \\bigl \\bigr \\Bigl \\Bigr \\biggl \\biggr \\displaystyle
    \\textstyle \\limits \\nolimits \\nonumber \\notag \\small \\large \\Large \\bf \\rm \\it \\boldsymbol""".split()
)
_DOTS = frozenset(["\\dots", "\\cdots", "\\ldots", "\\vdots", "\\ddots"])
_PROSE = re.compile(r"[A-Za-z]{3,}")
_COMMANDS = re.compile(r"\\[a-zA-Z]+(?:\{[^{}]*\})?")


def dollars_of_math(text: str) -> set[int]:
    """Offsets of the single `$` that delimit mathematics; the others are money.

    As in Pandoc: no blank after the opening one, none before the closing one and no digit after it. Beyond that,
    what opens with a digit must not read as prose ("$5 each for the $" is money).
    """
    found: set[int] = set()
    spots = [i for i, c in enumerate(text) if c == "$" and (not i or text[i - 1] != "\\")]
    k = 0
    while k + 1 < len(spots):
        a, b = spots[k], spots[k + 1]
        if b == a + 1:
            k += 2
            continue
        inside = text[a + 1 : b]
        closed = not inside[0].isspace() and not inside[-1].isspace() and not text[b + 1 : b + 2].isdigit()
        prose = len(_PROSE.findall(_COMMANDS.sub("", inside)))
        money = inside[0].isdigit() and (prose > 0 or inside[-1] in "=+*/(-") and "\\" not in inside
        if closed and not money and prose <= 6 and "\n\n" not in inside:
            found |= {a, b}
            k += 2
        else:
            k += 1
    return found


def lex(text: str) -> list[Token]:
    """Tokens of one step."""
    dollars = dollars_of_math(text) if "$" in text else set()
    tokens: list[Token] = []
    math = gap = False
    for match in _MASTER.finditer(text):
        kind, value = str(match.lastgroup), match[0]
        if kind == "blank":
            gap = True
            continue
        start, end = match.span()
        if kind == "op" and value == "**" and _is_bold(text, start):
            gap = True
            continue
        if kind == "delim":
            if value == "$" and start not in dollars:
                tokens.append(Token("money", value, start, end, math, gap))
                gap = False
                continue
            math = not math if value[0] == "$" else value in ("\\(", "\\[")
            kind = "soft"
        elif kind == "env":
            math, kind = value.startswith("\\begin"), "soft"
        elif kind in _SIMPLE:
            kind = _SIMPLE[kind]
        elif kind in ("cmd", "esc", "op", "rel", "zh", "sup", "part"):
            kind, value = _refine(kind, value)
            if not kind:
                gap = True
                continue
        tokens.append(Token(kind, value, start, end, math, gap))
        gap = kind == "soft"
        if len(tokens) >= MAX_TOKENS:
            break
    return tokens


_SIMPLE = {"nl": "soft", "row": "soft", "rep": "num"}


def _is_bold(text: str, start: int) -> bool:
    """`**` is Markdown unless it has a blank on both sides, or on neither and a value on both."""
    before, after = text[start - 1 : start] or "\n", text[start + 2 : start + 3] or "\n"
    if before.isspace() != after.isspace():
        return True
    return not before.isspace() and not ((before.isalnum() or before == ")") and (after.isalnum() or after in "(-"))


def _refine(kind: str, value: str) -> tuple[str, str]:
    if value in _OPS:
        return "op", _OPS[value]
    if value in _RELATIONS:
        return "rel", _RELATIONS[value]
    if value in _ARROWS or value in ("=>", "->", "→", "⇒", "⟹", "==>", "<=>"):
        return "arrow", value
    if kind == "rel" or value in _OTHER_RELATIONS:
        return "rel", "!"
    if value in _SKIPPED or value in ("\\,", "\\!", "\\ ", "\\:", "\\>"):
        return "", ""
    if value in ("\\%",):
        return "pct", "%"
    if value == "\\$":
        return "money", "$"
    if value in _DOTS:
        return "dots", value
    if value in ("\\{", "\\}"):
        return ("open" if value == "\\{" else "close"), value
    if value in ("\\;", "\\&", "\\_", "\\#"):
        return "", ""
    if kind == "esc":
        return "other", value
    if kind == "sup":
        return "sup", value
    if kind == "part":
        return "num", value
    return kind, value
