"""AsciiMath to LaTeX, after the grammar at asciimath.org: `sum_(i=1)^n i^3=((n(n+1))/2)^2`."""

from __future__ import annotations

import re
from collections.abc import Callable

from tasks.mine.formulas.symbols import FUNCTIONS, LATEX, join

MAX_DEPTH = 60
"""Deepest nesting that is parsed; what lies deeper is read as plain symbols."""

_GREEK = (
    "alpha beta gamma Gamma delta Delta epsilon varepsilon zeta eta theta Theta vartheta iota "
    "kappa lambda Lambda mu nu xi Xi pi Pi rho sigma Sigma tau upsilon phi Phi varphi chi psi Psi omega Omega"
)
_NAMES = {
    "+-": "pm", "-+": "mp", "*": "cdot", "**": "ast", "***": "star", "//": "/", "\\\\": "backslash",
    "setminus": "setminus", "xx": "times", "|><": "ltimes", "><|": "rtimes", "|><|": "bowtie", "-:": "div", "@": "circ",
    "o+": "oplus", "ox": "otimes", "o.": "odot", "sum": "sum", "prod": "prod", "^^": "wedge", "^^^": "bigwedge",
    "vv": "vee", "vvv": "bigvee", "nn": "cap", "nnn": "bigcap", "uu": "cup", "uuu": "bigcup", "!=": "neq", "ne": "neq",
    "<=": "leq", "le": "leq", "lt=": "leq", ">=": "geq", "ge": "geq", "gt=": "geq", "lt": "<", "gt": ">", "mlt": "ll",
    "mgt": "gg", "-<": "prec", ">-": "succ", "-<=": "preceq", ">-=": "succeq", "in": "in", "!in": "notin",
    "sub": "subset", "sup": "supset", "sube": "subseteq", "supe": "supseteq", "-=": "equiv", "~=": "cong",
    "~~": "approx", "~": "sim", "prop": "propto", "and": "text{ and }", "or": "text{ or }", "not": "neg",
    "=>": "Rightarrow", "if": "text{ if }", "<=>": "Leftrightarrow", "iff": "Leftrightarrow", "AA": "forall",
    "EE": "exists", "_|_": "bot", "TT": "top", "|--": "vdash", "|==": "models", "int": "int", "oint": "oint",
    "del": "partial", "grad": "nabla", "O/": "emptyset", "oo": "infty", "aleph": "aleph", ":.": "therefore",
    ":'": "because", "...": "ldots", "cdots": "cdots", "vdots": "vdots", "ddots": "ddots", "/_": "angle",
    "/_\\": "triangle", "'": "prime", "diamond": "diamond", "square": "square", "|__": "lfloor", "__|": "rfloor",
    "|~": "lceil", "~|": "rceil", "CC": "mathbb{C}", "NN": "mathbb{N}", "QQ": "mathbb{Q}", "RR": "mathbb{R}",
    "ZZ": "mathbb{Z}", "uarr": "uparrow", "darr": "downarrow", "rarr": "rightarrow", "->": "to",
    "->>": "twoheadrightarrow",
    ">->": "rightarrowtail", "|->": "mapsto", "larr": "leftarrow", "harr": "leftrightarrow", "rArr": "Rightarrow",
    "lArr": "Leftarrow", "hArr": "Leftrightarrow", "quad": "quad", "qquad": "qquad", "dx": "dx", "dy": "dy",
    "dz": "dz", "dt": "dt", "lim": "lim", "mod": "bmod",
    **{name: name for name in _GREEK.split()}, **{name: name for name in FUNCTIONS},
}  # fmt: skip
_PLAIN = frozenset(["//", "lt", "gt", "dx", "dy", "dz", "dt"])
_OPEN = {"(": "(", "[": "[", "{": "\\{", "(:": "\\langle ", "{:": ".", "|:": "|", "<<": "\\langle "}
_CLOSE = {")": ")", "]": "]", "}": "\\}", ":)": "\\rangle ", ":}": ".", ":|": "|", ">>": "\\rangle "}
_UNARY = {
    "sqrt": "sqrt", "hat": "hat", "bar": "overline", "overline": "overline", "vec": "vec", "dot": "dot", "ddot": "ddot",
    "tilde": "tilde", "ul": "underline", "underline": "underline", "ubrace": "underbrace", "obrace": "overbrace",
    "cancel": "cancel", "abs": "abs", "norm": "norm", "floor": "floor", "ceil": "ceil", "bb": "mathbf", "bbb": "mathbb",
    "cc": "mathcal", "tt": "mathtt", "fr": "mathfrak", "sf": "mathsf", "overarc": "overparen",
}  # fmt: skip
_AROUND = {
    "abs": "\\left|{}\\right|", "norm": "\\left\\|{}\\right\\|", "floor": "\\lfloor {}\\rfloor ",
    "ceil": "\\lceil {}\\rceil ",
}  # fmt: skip
_BINARY = {"frac": "\\frac{{{}}}{{{}}}", "root": "\\sqrt[{}]{{{}}}", "stackrel": "\\overset{{{}}}{{{}}}",
           "overset": "\\overset{{{}}}{{{}}}", "underset": "\\underset{{{}}}{{{}}}", "color": "{1}"}  # fmt: skip
_FUNCTIONS = frozenset(["sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "arcsin", "arccos",
                        "arctan", "exp", "log", "ln", "lg", "det", "gcd", "f", "g"])  # fmt: skip
"""What takes an argument, so that `sin x/x` is a fraction of both: `lim`, `max` and their like are mere symbols."""
_NO_ARGUMENT = frozenset(["^", "_", "/", "|", ","])
_WORDS = sorted(
    {*_NAMES, *_OPEN, *_CLOSE, *_UNARY, *_BINARY, "text", "mbox", "/", "_", "^", "|"}, key=len, reverse=True
)
_SYMBOL = re.compile(
    r'\s+|"[^"]*"|(?:text|mbox)\([^()]*\)|\d+(?:\.\d+)?|' + "|".join(map(re.escape, _WORDS)) + r"|\\?\S"
)


def asciimath_to_latex(source: str) -> str:
    """LaTeX of an AsciiMath expression. Never fails: what it does not know stays as it is."""
    tokens = [t for t in _SYMBOL.findall(source) if not t.isspace()]
    return _Parser(tokens).expression(0).strip()


class _Parser:
    """Recursive descent over tokens: expression = (intermediate ['/' intermediate])*, see the grammar."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0

    def _peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def expression(self, depth: int) -> str:
        """Everything up to a closing bracket (left for the caller) or the end."""
        pieces: list[str] = []
        while self._peek() and (self._peek() not in _CLOSE or depth == 0):
            tex = self._intermediate(depth)
            if self._peek() == "/" and self.at + 1 < len(self.tokens):
                self.at += 1
                tex = f"\\frac{{{_bare(tex)}}}{{{self._signed(self._intermediate, depth)}}}"
            pieces.append(tex)
        return join(pieces)

    def _intermediate(self, depth: int) -> str:
        """A simple expression with its subscript and superscript, and what a function with scripts is applied to."""
        symbol = self._peek()
        tex = self._simple(depth)
        scripts = self.at
        for mark in "_^":
            if self._peek() == mark:
                self.at += 1
                tex += f"{mark}{{{self._signed(self._simple, depth)}}}"
        if self.at > scripts and depth < MAX_DEPTH and self._is_applied(symbol):
            tex = join([tex, self._intermediate(depth + 1)])
        return tex

    def _signed(self, read: Callable[[int], str], depth: int) -> str:
        """What stands after `^`, `_` or `/`: there a minus belongs to its operand."""
        after = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else ""
        if self._peek() == "-" and (after[:1].isalnum() or after in _OPEN):
            self.at += 1
            return f"-{read(depth)}"
        return _bare(read(depth))

    def _is_applied(self, symbol: str) -> bool:
        """Whether a symbol is a function and its argument comes next; `f` and `g` want a bracket."""
        after = self._peek()
        if symbol not in _FUNCTIONS or not after or after in _CLOSE or after in _NO_ARGUMENT:
            return False
        return len(symbol) > 1 or after == "("

    def _simple(self, depth: int) -> str:
        symbol = self._peek()
        self.at += 1
        if symbol[:1] == '"':
            return f"\\text{{{symbol[1:-1]}}}"
        if symbol.startswith(("text(", "mbox(")):
            return f"\\text{{{symbol[5:-1]}}}"
        if depth < MAX_DEPTH:
            if symbol in _OPEN:
                return self._bracket(symbol, depth)
            if symbol == "|":
                return self._bar(depth)
            if symbol in _UNARY and self._peek():
                inner = _bare(self._simple(depth + 1))
                return _AROUND[symbol].format(inner) if symbol in _AROUND else f"\\{_UNARY[symbol]}{{{inner}}}"
            if symbol in _BINARY and self._peek():
                first, second = _bare(self._simple(depth + 1)), _bare(self._simple(depth + 1))
                return _BINARY[symbol].format(first, second)
            if self._is_applied(symbol):
                return join([_named(symbol), self._simple(depth + 1)])
        return _named(symbol)

    def _bracket(self, symbol: str, depth: int) -> str:
        start = self.at
        inner = self.expression(depth + 1)
        close = self._peek()
        self.at += bool(close)
        rows = self._matrix(start, self.at - 1) if symbol in "([|" + "{:" and close else None
        left, right = _OPEN[symbol], _CLOSE.get(close, "")
        if rows is not None:
            name = {"(": "pmatrix", "[": "bmatrix", "{": "Bmatrix"}.get(symbol, "matrix")
            if symbol == "{" and close == ":}":
                name = "cases"
            lines = " \\\\ ".join(" & ".join(_Parser(cell).expression(depth + 1) for cell in row) for row in rows)
            return f"\\begin{{{name}}}{lines}\\end{{{name}}}"
        if left == "." or right == ".":
            return f"\\left{left}{inner}\\right{right or '.'}"
        return join([left, inner, right])

    def _matrix(self, start: int, end: int) -> list[list[list[str]]] | None:
        """The cells of `[[a,b],[c,d]]` between two tokens, or None where rows are missing or of unlike length."""
        rows: list[list[list[str]]] = []
        depth = 0
        for symbol in self.tokens[start:end]:
            if depth == 0 and symbol in ("(", "["):
                rows.append([[]])
            elif depth == 0 and symbol != ",":
                return None
            elif depth == 1 and symbol == ",":
                rows[-1].append([])
                continue
            elif depth >= 1 and not (depth == 1 and symbol in _CLOSE):
                rows[-1][-1].append(symbol)
            depth += (symbol in _OPEN) - (symbol in _CLOSE)
        return rows if len(rows) > 1 and len({len(row) for row in rows}) == 1 else None

    def _bar(self, depth: int) -> str:
        """`|x|`: up to the next bar on this level, else a lone bar."""
        end = next((i for i in range(self.at, len(self.tokens)) if self.tokens[i] in ("|", *_CLOSE)), None)
        if end is None or self.tokens[end] != "|" or end == self.at:
            return "|"
        inner = _Parser(self.tokens[self.at : end]).expression(depth + 1)
        self.at = end + 1
        return f"\\left|{inner}\\right|"


def _bare(tex: str) -> str:
    """An argument without the brackets that only group it."""
    if tex[:1] in ("(", "[") and tex[-1:] in (")", "]"):
        depth = 0
        for position, char in enumerate(tex):
            depth += (char in "([") - (char in ")]")
            if depth == 0 and position < len(tex) - 1:
                return tex
        return tex[1:-1].strip()
    return tex[2:-2].strip() if tex.startswith("\\{") and tex.endswith("\\}") and tex.count("\\{") == 1 else tex


def _named(symbol: str) -> str:
    """One symbol as LaTeX."""
    if symbol in _NAMES:
        name = _NAMES[symbol]
        return name if name in _PLAIN or name in "</>" else f"\\{name}"
    if len(symbol) > 1 and symbol[0] == "\\":
        return "\\ " if symbol == "\\ " else symbol
    return _CLOSE.get(symbol) or _OPEN.get(symbol) or LATEX.get(symbol, symbol)
