"""What MathML operators mean in LaTeX by their place: accents, fences, limits, alphabets."""

from __future__ import annotations

ACCENTS = {"^": "hat", "ˆ": "hat", "~": "tilde", "˜": "tilde", "∼": "tilde", "→": "vec", "⃗": "vec", "⇀": "vec",
            "¯": "bar", "‾": "bar", "―": "bar", "_": "bar", "̄": "bar", "ˉ": "bar", "−": "bar", "˙": "dot", ".": "dot",
            "¨": "ddot", "..": "ddot", "⃛": "dddot", "ˇ": "check", "˘": "breve", "´": "acute", "`": "grave",
            "˚": "mathring", "⏞": "overbrace", "︷": "overbrace", "←": "overleftarrow", "↔": "overleftrightarrow",
            "⏜": "overparen", "─": "bar"}  # fmt: skip
WIDE = {"hat": "widehat", "tilde": "widetilde", "bar": "overline", "vec": "overrightarrow", "check": "widecheck"}
UNDER = {"⏟": "underbrace", "︸": "underbrace", "_": "underline", "¯": "underline", "―": "underline", "‾": "underline",
          "̲": "underline", "→": "underrightarrow", "←": "underleftarrow", "─": "underline"}  # fmt: skip
LIMITS = frozenset("∑∏∐⋃⋂⋁⋀⨁⨂⨀⨄⨆∫∬∭∮") | {
    "lim", "max", "min", "sup", "inf", "limsup", "liminf", "det", "gcd", "Pr", "lim sup", "lim inf"}  # fmt: skip
VARIANTS = {"bold": "mathbf", "double-struck": "mathbb", "script": "mathcal", "fraktur": "mathfrak",
             "sans-serif": "mathsf", "monospace": "mathtt", "bold-italic": "boldsymbol", "bold-script": "mathcal",
             "bold-fraktur": "mathfrak", "bold-sans-serif": "mathbf", "-tex-calligraphic": "mathcal"}  # fmt: skip
OPEN, CLOSE = frozenset("([{|‖⌈⌊⟨〈∣∥"), frozenset(")]}|‖⌉⌋⟩〉∣∥")
MATRICES = {("(", ")"): "pmatrix", ("[", "]"): "bmatrix", ("|", "|"): "vmatrix", ("∣", "∣"): "vmatrix",
             ("{", "}"): "Bmatrix", ("‖", "‖"): "Vmatrix", ("∥", "∥"): "Vmatrix"}  # fmt: skip
TALL = frozenset(["mfrac", "mtable", "munderover", "munder", "mover"])
ENCLOSURES = (("updiagonalstrike", "cancel"), ("downdiagonalstrike", "bcancel"), ("horizontalstrike", "cancel"),
              ("radical", "sqrt"), ("bottom", "underline"), ("top", "overline"), ("box", "boxed"),
              ("longdiv", "overline"), ("actuarial", "overline"))  # fmt: skip
