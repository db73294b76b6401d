"""One spelling for each symbol: Unicode and LaTeX variants meet here.

Every pattern is linear in the input, and inputs longer than `MAX_CHARS` are refused, so that no text can
hold the caller up.
"""

from __future__ import annotations

import re
import unicodedata

MAX_CHARS = 4000


class ParseError(ValueError):
    """The text is not mathematics that this grammar knows; the message says where it stopped."""


_UNICODE = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "﹣": "-", "×": "\\times ", "·": "\\cdot ", "⋅": "\\cdot ",
    "∙": "\\cdot ", "÷": "\\div ", "∕": "/", "≤": "\\le ", "⩽": "\\le ", "≦": "\\le ", "≥": "\\ge ",
    "⩾": "\\ge ", "≧": "\\ge ", "≠": "\\ne ", "≈": "\\approx ", "≡": "\\equiv ", "∈": "\\in ", "∪": "\\cup ",
    "∩": "\\cap ", "∖": "\\setminus ", "∞": "\\infty ", "√": "\\sqrt ", "∛": "\\sqrt[3] ", "±": "\\pm ",
    "∓": "\\mp ", "π": "\\pi ", "θ": "\\theta ", "α": "\\alpha ", "β": "\\beta ", "γ": "\\gamma ",
    "λ": "\\lambda ", "μ": "\\mu ", "ω": "\\omega ", "φ": "\\phi ", "ρ": "\\rho ", "σ": "\\sigma ",
    "δ": "\\delta ", "Δ": "\\Delta ", "ε": "\\epsilon ", "∅": "\\emptyset ", "ℝ": "\\mathbb{R}",
    "ℤ": "\\mathbb{Z}", "ℕ": "\\mathbb{N}", "°": "^\\circ ", "′": "'", "“": '"', "”": '"', "‘": "'", "’": "'",
    "，": ",", "、": ",", "；": ";", "：": ":", "（": "(", "）": ")", "【": "[", "】": "]", "。": ". ",
    "％": "%", "＝": "=", "＋": "+", "｛": "{", "｝": "}", "…": "\\ldots ", "⌊": "\\lfloor ",
    "⌋": "\\rfloor ", "⌈": "\\lceil ", "⌉": "\\rceil ", "∠": "\\angle ", "ℏ": "\\hbar ", "⁄": "/",
}  # fmt: skip
_FRACTION_CHARS = {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅛": (1, 8)}
_UNICODE |= {char: f"\\frac{{{a}}}{{{b}}}" for char, (a, b) in _FRACTION_CHARS.items()}
_TABLE = str.maketrans(_UNICODE)
_SUPERSCRIPT = re.compile("[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ]+")
_SUPER_TABLE = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ", "+-0123456789n")
_SUBSCRIPT = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_SUB_TABLE = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")

# A LaTeX command whose backslash and first letter a Python string literal turned into a control character.
_ESCAPED = str.maketrans({"\x0c": "\\f", "\x08": "\\b", "\x07": "\\a", "\x0b": "\\v"})
_TEXT_NUMBER = re.compile(r"\\(?:text|mbox)(?:bf|it|rm|normal)?\s?\{\s?(-?\d[\d.,]*)([^{}\d]*)\}")
_SPEED = re.compile(r"(?<=[\d}])\s*\b(k?m|cm|ft|mi)\s?/\s?(s|h|hr|min)(\^\{?2\}?)?(?![a-zA-Z])")
_CHINESE_LIST = re.compile(r"(?<=[\w)}$])\s?([或和及与])\s?(?=[\d({\\a-zA-Z$-])")
_DOLLAR = re.compile(r"(?<!\\)\$+|\\[()\[\]](?!\d*(?:ex|em|pt))")
_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}(?:\\[!,;: ])?|,\\!|\\,|')\s*(?=\d{3}(?!\d))")
_MINUS_WORD = re.compile(
    r"(?:\\(?:text|mbox|mathrm)\s?\{\s?)(?:minus|negative)\s?\}\s?(?=[\d\\$.(])|\b(?:minus|negative)\s(?=[\d\\$.(])"
    r"|(?<!非)负\s?(?=[\d\\$])",
    re.IGNORECASE,
)
_REPEATED = re.compile(
    r"(?<![\d.])(\d{1,20}\.\d{0,12}?)(?:(\d)\2{2,30}|(\d\d|\d{3}|\d{6})\3{1,15})\s?(?:\.\.\.|…|\\(?:l|c)?dots(?![a-z]))"
)
"""`0.333...`, `0.1212…`: the cycle stands there three times when it has one digit, else twice."""
_SPACING = re.compile(
    r"\\(?:left|right|bigg?[lrm]?|Bigg?[lrm]?|displaystyle|textstyle|limits|nolimits|middle|hfill|hline|"
    r"noindent|centering|qquad|quad|enspace|thinspace|phantom\{[^{}]*\}|hspace\*?\{[^{}]*\}|"
    r"vspace\*?\{[^{}]*\}|label\{[^{}]*\}|tag\{[^{}]*\})(?![a-zA-Z])|(?<!\\)\\[!,;:>\s]|~|&nbsp;"
)
_GLUED = re.compile(r"\\(left|right|quad|qquad)(?=[a-zA-Z(\[{|\\.)\]}])(?!arrow|Arrow|harpoon)")
_SPACED_COMMA = re.compile(r"\\\s+(?=[a-zA-Z]{2,})")
_DOUBLED = re.compile(r"\\\\(?=(?:d?t?frac|boxed|text|sqrt|left|right|pi|cdot|times|begin|end|mathrm|pm)\b)")
_NULL_DELIMITER = re.compile(r"\\(?:left|right)\s*\.")


def signs(text: str) -> str:
    """`minus 5`, `\\text{negative }5` and 负5 as -5."""
    return _MINUS_WORD.sub("-", text)


def clean(text: str) -> str:
    """`text` with one spelling for each symbol, without math delimiters, spacing and outer punctuation."""
    if len(text) > MAX_CHARS:
        raise ParseError(f"longer than {MAX_CHARS} characters")
    text = _REPEATED.sub(lambda m: f"{m[1]}\\overline{{{m[2] or m[3]}}}", signs(text))
    if not text.isascii():
        text = _CHINESE_LIST.sub(lambda m: " or " if m[1] == "或" else " and ", text)
        text = _SUPERSCRIPT.sub(lambda m: "^{" + m[0].translate(_SUPER_TABLE) + "}", text)
        text = _SUBSCRIPT.sub(lambda m: "_{" + m[0].translate(_SUB_TABLE) + "}", text)
        text = unicodedata.normalize("NFKC", text.translate(_TABLE)).translate(_TABLE)
        if len(text) > 2 * MAX_CHARS:
            raise ParseError("too long once normalised")
    text = text.translate(_ESCAPED).replace("\\\\frac", "\\frac") if "\x0c" in text else text.translate(_ESCAPED)
    if "\\" in text:
        if "\\begin" not in text:
            text = _DOUBLED.sub(r"\\", text)
        text = _NULL_DELIMITER.sub(" ", text)
        text = _GLUED.sub(r"\\\1 ", text)
        text = _TEXT_NUMBER.sub(r"\1\\text{\2}", text)
    text = _DOLLAR.sub(" ", text)
    text = _SPEED.sub(r"\\text{ \1/\2\3}", text)
    text = _THOUSANDS.sub("", text)
    if "\\" in text:
        text = _SPACING.sub(" ", text)
    text = text.replace("**", " ") if text.count("**") > 1 and "*" not in text.replace("**", "") else text
    text = text.strip().strip('"').strip()
    while text and text[-1] in ".,;:!?" and not text.endswith(("\\!", "!!")):
        if text[-1] == "!" or text.endswith("\\,"):
            break
        text = text[:-1].rstrip()
    return text
