"""Random formulas as small trees, and their spellings: LaTeX, MathML, AsciiMath and plain Unicode text."""

from __future__ import annotations

import re
from functools import lru_cache
from random import Random
from typing import NamedTuple
from xml.sax.saxutils import escape


class Node(NamedTuple):
    """A piece of a formula. `kind` says how `value` and `parts` are read; see `latex` for the kinds."""

    kind: str
    value: str = ""
    parts: tuple[Node, ...] = ()


SYMBOLS = {  # LaTeX: (Unicode, AsciiMath)
    r"\alpha": ("α", "alpha"), r"\beta": ("β", "beta"), r"\lambda": ("λ", "lambda"), r"\mu": ("μ", "mu"),
    r"\sigma": ("σ", "sigma"), r"\theta": ("θ", "theta"), r"\varphi": ("φ", "phi"), r"\varepsilon": ("ε", "epsilon"),
    r"\pi": ("π", "pi"), r"\infty": ("∞", "oo"), r"\leq": ("≤", "<="), r"\geq": ("≥", ">="), r"\neq": ("≠", "!="),
    r"\equiv": ("≡", "-="), r"\in": ("∈", "in"), r"\to": ("→", "->"), r"\mid": ("∣", "|"), r"\cdot": ("⋅", "*"),
    r"\subseteq": ("⊆", "sube"), r"\cap": ("∩", "nn"), r"\cup": ("∪", "uu"), r"\angle": ("∠", "/_"),
    r"\circ": ("∘", "@"), r"\pm": ("±", "+-"), r"\times": ("×", "xx"), r"\mathbb{Z}": ("ℤ", "ZZ"),
    r"\mathbb{R}": ("ℝ", "RR"), r"\mathbb{Q}": ("ℚ", "QQ"), r"\Rightarrow": ("⇒", "=>"), r"\partial": ("∂", "del"),
    r"\triangle": ("△", "Delta"), r"\parallel": ("∥", "||"), r"\cong": ("≅", "~="), r"\sim": ("∼", "~"),
    r"\sum": ("∑", "sum"), r"\prod": ("∏", "prod"), r"\int": ("∫", "int"), r"\ldots": ("…", "..."),
}  # fmt: skip
IDENTIFIERS = {name for name, (glyph, _) in SYMBOLS.items() if glyph.isalpha()} | {r"\infty"}
FUNCTIONS = {"sin", "cos", "tan", "log", "ln", "exp", "gcd", "det", "lim", "max", "min", "dim", "ker", "bmod"}
_COMMAND_LAST = re.compile(r"\\[a-zA-Z]+$")
SUPERSCRIPT = str.maketrans("0123456789n+-ki", "⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ⁺⁻ᵏⁱ")


def row(*parts: Node | str) -> Node:
    """Parts one after the other; strings are read by `atom`."""
    return Node("row", "", tuple(atom(p) if isinstance(p, str) else p for p in parts))


@lru_cache(maxsize=1 << 14)
def atom(text: str) -> Node:
    """A number, an identifier or an operator, by its spelling."""
    if text[0].isdigit():
        return Node("n", text)
    if text in FUNCTIONS or text.isalpha() or text in IDENTIFIERS:
        return Node("v", text)
    return Node("o", text)


def frac(a: Node | str, b: Node | str) -> Node:
    """A fraction."""
    return Node("frac", "", (row(a), row(b)))


def sup(a: Node | str, b: Node | str) -> Node:
    """Base and exponent."""
    return Node("sup", "", (row(a), row(b)))


def sub(a: Node | str, b: Node | str) -> Node:
    """Base and index."""
    return Node("sub", "", (row(a), row(b)))


def paren(*parts: Node | str) -> Node:
    """Round brackets."""
    return row("(", *parts, ")")


def big(sign: str, low: Node | str, high: Node | str, body: Node) -> Node:
    r"""`\sum`, `\prod` or `\int` with both limits."""
    return Node("big", sign, (row(low), row(high), body))


@lru_cache(maxsize=1 << 16)
def latex(node: Node) -> str:
    """The LaTeX spelling; `raw` nodes are LaTeX already."""
    kind, value, parts = node
    if kind in "nv" or kind == "o":
        return "\\" + value if value in FUNCTIONS else value
    if kind == "raw":
        return value
    p = [latex(x) for x in parts]
    if kind == "row":
        out = ""
        for text, part in zip(p, parts, strict=True):
            wide = (part.kind == "o" and part.value not in "(),!|[];'") or part.value == r"\mid"
            gap = " " if wide or (_COMMAND_LAST.search(out) and text[:1].isalpha()) else ""
            out += gap + text + (" " if wide else "")
        return out.replace("  ", " ").strip()
    if kind == "frac":
        return rf"\frac{{{p[0]}}}{{{p[1]}}}"
    if kind in ("sup", "sub"):
        return p[0] + ("^" if kind == "sup" else "_") + (p[1] if len(p[1]) == 1 else f"{{{p[1]}}}")
    if kind == "sqrt":
        return rf"\sqrt{{{p[0]}}}"
    if kind == "binom":
        return rf"\binom{{{p[0]}}}{{{p[1]}}}"
    if kind == "big":
        return f"{value}_{{{p[0]}}}^{{{p[1]}}} {p[2]}"
    if kind == "under":
        return f"\\{value}_{{{p[0]}}} {p[1]}"
    columns = int(value)
    rows = (" & ".join(p[i : i + columns]) for i in range(0, len(p), columns))
    return r"\begin{pmatrix} " + r" \\ ".join(rows) + r" \end{pmatrix}"


def mathml(node: Node) -> str:
    """Presentation MathML, without the outer `math` element."""
    kind, value, parts = node
    if kind in "nv" or kind == "o":
        tag = {"n": "mn", "v": "mi", "o": "mo"}[kind]
        return f"<{tag}>{escape(SYMBOLS.get(value, (value,))[0]).replace('-', '−')}</{tag}>"
    if kind == "raw":
        return f"<mtext>{escape(value)}</mtext>"
    p = [mathml(x) for x in parts]
    if kind == "row":
        return p[0] if len(p) == 1 else f"<mrow>{''.join(p)}</mrow>"
    if kind in ("frac", "sup", "sub", "sqrt"):
        tag = {"frac": "mfrac", "sup": "msup", "sub": "msub", "sqrt": "msqrt"}[kind]
        return f"<{tag}>{''.join(p)}</{tag}>"
    if kind == "binom":
        return f'<mrow><mo>(</mo><mfrac linethickness="0">{p[0]}{p[1]}</mfrac><mo>)</mo></mrow>'
    if kind == "big":
        tag = "msubsup" if value == r"\int" else "munderover"
        return f"<mrow><{tag}><mo>{SYMBOLS[value][0]}</mo>{p[0]}{p[1]}</{tag}>{p[2]}</mrow>"
    if kind == "under":
        return f"<mrow><munder><mo>{value}</mo>{p[0]}</munder>{p[1]}</mrow>"
    columns = int(value)
    rows = (f"<mtr>{''.join(f'<mtd>{x}</mtd>' for x in p[i : i + columns])}</mtr>" for i in range(0, len(p), columns))
    return f"<mrow><mo>(</mo><mtable>{''.join(rows)}</mtable><mo>)</mo></mrow>"


def plain(node: Node, ascii_math: bool = False) -> str:
    """AsciiMath, or the Unicode text that people type where they have no markup."""
    kind, value, parts = node
    if kind in "nv" or kind == "o":
        known = SYMBOLS.get(value)
        return known[1 if ascii_math else 0] if known else value
    if kind == "raw":
        return value
    p = [plain(x, ascii_math) for x in parts]
    if kind == "row":
        pairs = zip(p, parts, strict=True)
        text = ""
        for t, x in pairs:
            wide = (x.kind == "o" and x.value not in "(),!|'") or (text[-2:].isalpha() and t[:1].isalpha())
            text += f" {t} " if wide else t
        return " ".join(text.split())
    if kind == "frac":
        return "/".join(x if len(x) == 1 or x.isdigit() else f"({x})" for x in p)
    if kind in ("sup", "sub"):
        if kind == "sup" and not ascii_math and all(c in "0123456789n" for c in p[1]):
            return p[0] + p[1].translate(SUPERSCRIPT)
        return p[0] + "^_"[kind == "sub"] + (p[1] if len(p[1]) == 1 else f"({p[1]})")
    if kind == "sqrt":
        return f"sqrt({p[0]})" if ascii_math else f"√({p[0]})"
    if kind == "binom":
        return f"(({p[0]}),({p[1]}))" if ascii_math else f"C({p[0]}, {p[1]})"
    if kind == "big":
        return f"{SYMBOLS[value][1 if ascii_math else 0]}_({p[0]})^({p[1]}) {p[2]}"
    if kind == "under":
        return f"{value}_({p[0]}) {p[1]}"
    columns = int(value)
    return "[" + ", ".join("[" + ", ".join(p[i : i + columns]) + "]" for i in range(0, len(p), columns)) + "]"


def signed(rng: Random, low: int = 1, high: int = 12) -> tuple[str, str]:
    """A sign and a number."""
    return rng.choice("+-"), str(rng.randint(low, high))
