"""LaTeX strings: cleaning of carriers' leftovers, and the judgement whether a string is mathematics."""

from __future__ import annotations

import html
import re

MAX_TEX_CHARS = 20_000
"""A longer formula is a mistake of the page (an unclosed delimiter), and is not kept as one."""

_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|apos|nbsp|minus|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});")
_INVISIBLE = dict.fromkeys([0, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0xAD], None) | {0xA0: " ", 0x0D: "\n"}
_CDATA = re.compile(r"^\s*(?:%\s*)?<!\[CDATA\[|(?:%\s*)?\]\]>\s*$")
_WORDPRESS = re.compile(r"(?:&(?:amp;)?(?:bg|fg|s|c)=[-\w]*)+($)?")
_STYLE = re.compile(r"^\\(?:displaystyle|textstyle|scriptstyle|scriptscriptstyle)(?![A-Za-z])\s*")
_DELIMITERS = (("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$"))
_BLANK_LINES = re.compile(r"\n\s*\n")

_STRONG = re.compile(r"\\[A-Za-z]{2,}|\\[,;:!{}|]|[\^_]\s*(?:[\w{\\+\-*(]|['′])")
_PROSE = re.compile(r"(?<![A-Za-z])[A-Za-z]{3,}+[,;:]?\s+(?:[A-Za-z]{2,}+[,;:.]?\s+)*[A-Za-z]{3}")
_TEXT_GROUP = re.compile(r"\\(?:text|mathrm|mbox|operatorname|textrm|textbf|textit|hbox|label|tag|ref)\*?\s*\{[^{}]*\}")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_SMALL = re.compile(
    r"[^\W\d_]{1,2}['′]*|[-+]?\d[\d.,]*(?:\s?\\%)?|[A-Za-z]\w?(?:,\s*[A-Za-z]\w?)+"  # x'  50\%  a, b
    r"|[-+]?\d[\d.,]*[A-Za-z]{1,3}|[A-Z]{2,6}|\\[A-Za-z]"  # 4ac  ABC  \R
    r"|(?:log|ln|sin|cos|tan|det|dim|ker|rank|mod)\s+\w"
)
_OPERATOR = re.compile(r"[=<>≤≥≠+\-*/|()\[\]!,:'′∈→×·√∞Α-ω−]")


def clean(tex: str) -> str:
    """LaTeX as it would be typed between dollars: no delimiters, entities, CDATA marks, preamble or style braces.

    Returns '' for what cannot be kept: nothing, or more than `MAX_TEX_CHARS`.
    """
    if len(tex) > 2 * MAX_TEX_CHARS:
        return ""
    if "&" in tex:
        tex = html.unescape(tex) if _ENTITY.search(tex) else tex
        tex = _WORDPRESS.sub(lambda run: run[0] if run[1] is None else "", tex)  # one try a run, not one an `&`
    if not tex.isascii() or "\r" in tex or "\0" in tex:
        tex = tex.replace("\r\n", "\n").translate(_INVISIBLE)
    if "[CDATA[" in tex:
        tex = _CDATA.sub("", _CDATA.sub("", tex))
    if "\\begin{document}" in tex:
        tex = tex.partition("\\begin{document}")[2].partition("\\end{document}")[0]
    tex = tex.strip()
    for _ in range(4):
        before = tex
        tex = _without_delimiters(tex)
        if tex.startswith("\\"):
            tex = _STYLE.sub("", tex)
        tex = tex.strip()
        if tex.startswith(("{\\displaystyle", "{\\textstyle", "{\\scriptstyle")) and _is_one_group(tex):
            tex = tex[1:-1].strip()
        if tex == before:
            break
    if "\n" in tex:
        tex = _BLANK_LINES.sub("\n", tex).strip()
    if tex.endswith("\\"):
        tex += " " if not tex.endswith("\\\\") else ""
    return tex if len(tex) <= MAX_TEX_CHARS else ""


def _without_delimiters(tex: str) -> str:
    if not tex.endswith(("$", "\\]", "\\)")):
        return tex
    for left, right in _DELIMITERS:
        if len(tex) > len(left) + len(right) and tex.startswith(left) and tex.endswith(right):
            inner = tex[len(left) : -len(right)]
            if left not in inner and not inner.endswith("\\"):
                return inner.strip()
    if tex.startswith("$latex ") and tex.endswith("$"):
        return tex[7:-1].strip()
    return tex


def _is_one_group(tex: str) -> bool:
    """Whether the brace that opens `tex` is closed by its last character."""
    depth = 0
    escaped = False
    for position, char in enumerate(tex):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return position == len(tex) - 1
    return False


def is_tex(tex: str) -> bool:
    """Whether a string is LaTeX beyond doubt: it has a command, a superscript or a subscript, and is no prose."""
    return bool(_STRONG.search(tex)) and not is_prose(tex)


def is_prose(tex: str) -> bool:
    """Whether words stand in a row outside `\\text{…}`: the mark of a delimiter that was no delimiter."""
    return bool(_PROSE.search(_COMMAND.sub(" ", _TEXT_GROUP.sub(" ", tex))))


def may_be_math(tex: str) -> bool:
    """Whether a string can be a formula where the page is known to have formulas: `x`, `f(x)`, `n = 3`, `10`."""
    return bool(
        _STRONG.search(tex) or _SMALL.fullmatch(tex.strip()) or (_OPERATOR.search(tex) and any(map(str.isalnum, tex)))
    ) and not is_prose(tex)
