"""The words and commands that the tokenizer knows."""

from __future__ import annotations

TEXT_COMMANDS = frozenset(
    ["\\text", "\\textbf", "\\textit", "\\textrm", "\\textnormal", "\\mbox", "\\textsf", "\\texttt", "\\hbox"]
)
FONT_COMMANDS = frozenset(["\\mathrm", "\\mathbf", "\\mathit", "\\mathsf", "\\rm", "\\bf", "\\operatorname"])
TRANSPARENT = frozenset(["\\boldsymbol", "\\bm", "\\mathcal", "\\mathscr", "\\mathfrak", "\\operatorname*"])

FUNCTIONS = frozenset([
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "arccot", "sinh", "cosh", "tanh",
    "coth", "asin", "acos", "atan", "ln", "log", "lg", "exp", "sqrt", "abs", "floor", "ceil", "max", "min",
    "gcd", "lcm", "Re", "Im", "arg", "arg", "sgn", "sign", "arsinh", "arcosh", "artanh",
])  # fmt: skip
PLAIN_NAMES = {
    "pi": "pi", "theta": "theta", "alpha": "alpha", "beta": "beta", "gamma": "gamma", "lambda": "lambda",
    "omega": "omega", "infty": "oo", "infinity": "oo", "inf": "oo", "oo": "oo", "phi": "phi",
    "sigma": "sigma", "mu": "mu",
}  # fmt: skip
COMMAND_NAMES = {
    **PLAIN_NAMES, "varphi": "phi", "varepsilon": "epsilon", "vartheta": "theta", "emptyset": "emptyset",
    "varnothing": "emptyset", "imath": "i", "jmath": "j",
}  # fmt: skip
COMMAND_OPS = {
    "times": "*", "cdot": "*", "ast": "*", "div": "/", "le": "<=", "leq": "<=", "leqslant": "<=", "leqq": "<=",
    "ge": ">=", "geq": ">=", "geqslant": ">=", "geqq": ">=", "lt": "<", "gt": ">", "ne": "!=", "neq": "!=",
    "approx": "~", "simeq": "~", "sim": "~", "doteq": "~", "equiv": "=", "in": "in", "pm": "pm", "mp": "mp",
    "cup": "union", "cap": "intersect", "setminus": "minus", "backslash": "minus", "mid": "|", "vert": "|",
    "lvert": "|", "rvert": "|", "colon": ":", "prime": "'", "to": "to", "rightarrow": "to", "land": "and",
    "lor": "or", "vee": "or", "wedge": "and", "bmod": "mod", "pmod": "mod", "bigcup": "union",
}  # fmt: skip
BRACKETS = {
    "lfloor": "open", "rfloor": "close", "lceil": "open", "rceil": "close", "lbrace": "open", "rbrace": "close",
    "langle": "open", "rangle": "close", "lbrack": "open", "rbrack": "close", "lparen": "open", "rparen": "close",
}  # fmt: skip
BRACKET_VALUES = {
    "lbrace": "\\{", "rbrace": "\\}", "langle": "(", "rangle": ")", "lbrack": "[", "rbrack": "]", "lparen": "(",
    "rparen": ")",
}  # fmt: skip
STRUCTURES = frozenset([
    "frac", "dfrac", "tfrac", "cfrac", "sqrt", "binom", "dbinom", "tbinom", "choose", "overline", "bar", "hat",
    "vec", "dot", "ddot", "tilde", "widehat", "overrightarrow", "boxed", "mathbb", "sum", "int", "prod",
    "angle", "triangle", "circ", "degree", "underline", "ldots", "cdots", "dots", "boldsymbol",
])  # fmt: skip
GREEK = frozenset([
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu",
    "nu", "xi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta",
    "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega", "pi",
])  # fmt: skip
LETTERS = frozenset(["hbar", "ell", "nabla", "odot", "partial", "mathrm", "text", "left", "right", "quad"])
KNOWN = LETTERS | GREEK | STRUCTURES | FUNCTIONS | COMMAND_OPS.keys() | BRACKETS.keys() | COMMAND_NAMES.keys()
MEASURE_WORDS = frozenset(["per", "square", "cubic", "sq", "squared", "cubed"])
SMALL_WORDS = frozenset([
    "and", "or", "in", "to", "the", "for", "not", "are", "has", "all", "any", "its", "was", "but", "one",
    "two", "six", "ten", "yes",
])  # fmt: skip
