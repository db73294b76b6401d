"""Unicode characters of mathematics as LaTeX commands."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_TABLE = r"""
α alpha β beta γ gamma δ delta ε varepsilon ϵ epsilon ζ zeta η eta θ theta ϑ vartheta ι iota κ kappa ϰ varkappa
λ lambda μ mu µ mu ν nu ξ xi π pi ϖ varpi ρ rho ϱ varrho σ sigma ς varsigma τ tau υ upsilon φ varphi ϕ phi χ chi
ψ psi ω omega ϝ digamma Γ Gamma Δ Delta ∆ Delta Θ Theta Λ Lambda Ξ Xi Π Pi Σ Sigma Υ Upsilon ϒ Upsilon Φ Phi
Ψ Psi Ω Omega Ω Omega
∑ sum ∏ prod ∐ coprod ∫ int ∬ iint ∭ iiint ⨌ iiiint ∮ oint ∯ oiint ⋃ bigcup ⋂ bigcap ⋁ bigvee ⋀ bigwedge
⨁ bigoplus ⨂ bigotimes ⨀ bigodot ⨄ biguplus ⨆ bigsqcup
± pm ∓ mp × times ÷ div ∗ ast ⋆ star ★ bigstar ∘ circ • bullet ∙ bullet ⋅ cdot · cdot ∩ cap ∪ cup ⊎ uplus ⊓ sqcap
⊔ sqcup ∨ vee ∧ wedge ∖ setminus ≀ wr ⋄ diamond ◇ Diamond △ triangle ▵ triangle ▽ bigtriangledown ▿ triangledown
⊕ oplus ⊖ ominus ⊗ otimes ⊘ oslash ⊙ odot ◯ bigcirc † dagger ‡ ddagger ⨿ amalg ⋉ ltimes ⋊ rtimes ⋈ bowtie
⊞ boxplus ⊟ boxminus ⊠ boxtimes ⊡ boxdot ∔ dotplus ⊻ veebar ⌈ lceil ⌉ rceil ⌊ lfloor ⌋ rfloor ⟨ langle ⟩ rangle
〈 langle 〉 rangle 〈 langle 〉 rangle ⟦ llbracket ⟧ rrbracket ‖ | ∥ parallel ∦ nparallel ∣ mid ∤ nmid
≤ leq ≥ geq ⩽ leqslant ⩾ geqslant ≦ leqq ≧ geqq ≺ prec ≻ succ ⪯ preceq ⪰ succeq ≼ preccurlyeq ≽ succcurlyeq ≪ ll
≫ gg ⋘ lll ⋙ ggg ⊂ subset ⊃ supset ⊆ subseteq ⊇ supseteq ⊊ subsetneq ⊋ supsetneq ⊏ sqsubset ⊐ sqsupset
⊑ sqsubseteq ⊒ sqsupseteq ∈ in ∋ ni ∉ notin ≡ equiv ∼ sim ~ sim ≃ simeq ≍ asymp ≈ approx ≅ cong ≠ neq ≐ doteq
∝ propto ⊨ models ⊢ vdash ⊣ dashv ⊩ Vdash ⊥ perp ⌣ smile ⌢ frown ≜ triangleq ≝ overset{\text{def}}{=} ≔ coloneqq
≲ lesssim ≳ gtrsim ≶ lessgtr ≮ nless ≯ ngtr ≰ nleq ≱ ngeq ⊄ nsubset ⊈ nsubseteq ⊉ nsupseteq ≢ not\equiv ≁ nsim
≉ not\approx ≇ ncong ⊲ triangleleft ⊳ triangleright ⊴ trianglelefteq ⊵ trianglerighteq ◃ triangleleft
▹ triangleright ◁ triangleleft ▷ triangleright ≊ approxeq ≏ bumpeq ≎ Bumpeq ⊤ top
← leftarrow → rightarrow ↔ leftrightarrow ⇐ Leftarrow ⇒ Rightarrow ⇔ Leftrightarrow ↑ uparrow ↓ downarrow
↕ updownarrow ⇑ Uparrow ⇓ Downarrow ⇕ Updownarrow ↦ mapsto ⟼ longmapsto ⟵ longleftarrow ⟶ longrightarrow
⟷ longleftrightarrow ⟸ Longleftarrow ⟹ Longrightarrow ⟺ iff ↩ hookleftarrow ↪ hookrightarrow ↼ leftharpoonup
⇀ rightharpoonup ↽ leftharpoondown ⇁ rightharpoondown ⇌ rightleftharpoons ⇋ leftrightharpoons ↗ nearrow
↘ searrow ↙ swarrow ↖ nwarrow ↠ twoheadrightarrow ↣ rightarrowtail ⇝ rightsquigarrow ⇄ rightleftarrows
⇆ leftrightarrows ⇉ rightrightarrows ↛ nrightarrow ⇏ nRightarrow ↺ circlearrowleft ↻ circlearrowright
∞ infty ∀ forall ∃ exists ∄ nexists ¬ neg ∅ emptyset ⌀ varnothing ∇ nabla ∂ partial √ surd ℵ aleph ℶ beth ℏ hbar
ħ hbar ı imath ȷ jmath ℓ ell ℘ wp ℜ Re ℑ Im ℧ mho ∠ angle ∡ measuredangle ∢ sphericalangle □ square ◻ square
■ blacksquare ◼ blacksquare ∎ blacksquare ▪ blacksquare ◊ lozenge ♠ spadesuit ♡ heartsuit ♢ diamondsuit
♣ clubsuit ♯ sharp ♭ flat ♮ natural ′ prime ″ prime\prime ‴ prime\prime\prime ‵ backprime ∴ therefore ∵ because
… ldots ⋯ cdots ⋮ vdots ⋱ ddots § S ¶ P £ pounds © copyright ° circ º circ ∁ complement ð eth ✓ checkmark
"""
LATEX: dict[str, str] = {}
for _line in _TABLE.strip().splitlines():
    _words = _line.split(" ")
    LATEX.update((char, "\\" + command) for char, command in zip(_words[::2], _words[1::2], strict=True))
LATEX |= {"~": "\\sim", "\\": "\\backslash", "{": "\\{", "}": "\\}", "%": "\\%", "#": "\\#", "&": "\\&", "$": "\\$",
          "_": "\\_", "^": "\\hat{}", "−": "-", "–": "-", "—": "-", "‐": "-", "⁄": "/", "∕": "/", "∶": ":", "’": "'",
          "‘": "`", "＝": "=", "，": ",", "°": "^{\\circ}", "º": "^{\\circ}", "\xa0": "~", "ⅆ": "d", "ⅇ": "e",
          "ⅈ": "i", "⎛": "(", "⎝": "(", "⎞": ")", "⎠": ")", "⎡": "[", "⎣": "[", "⎤": "]", "⎦": "]",
          "\u2061": "", "\u2062": "", "\u2063": "", "\u2064": "", "\u200b": "", "\u2009": "\\,",
          "\u200a": "\\,", "\u2005": "\\:", "\u2004": "\\;", "\u2003": "\\quad ", "\u2002": "\\enspace ",
          "\u205f": "\\:", "\u2006": "\\,", "\u202f": "\\,", "\ufeff": "", "ﬁ": "fi", "ﬂ": "fl"}  # fmt: skip

FUNCTIONS = frozenset(["arccos", "arcsin", "arctan", "arg", "cos", "cosh", "cot", "coth", "csc", "deg", "det", "dim",
                       "exp", "gcd", "hom", "inf", "ker", "lg", "lim", "liminf", "limsup", "ln", "log", "max", "min",
                       "Pr", "sec", "sin", "sinh", "sup", "tan", "tanh"])  # fmt: skip

_ALPHABETS = (("DOUBLE-STRUCK", "mathbb"), ("FRAKTUR", "mathfrak"), ("BLACK-LETTER", "mathfrak"),
              ("SCRIPT", "mathcal"), ("MONOSPACE", "mathtt"), ("SANS-SERIF BOLD", "mathbf"),
              ("SANS-SERIF", "mathsf"), ("BOLD ITALIC", "boldsymbol"), ("BOLD", "mathbf"))  # fmt: skip


def char_to_latex(char: str) -> str:
    """One character of mathematics as LaTeX; letters of mathematical alphabets get their font command."""
    known = LATEX.get(char)
    if known is not None:
        return known
    if char < "\x80":
        return char
    name = unicodedata.name(char, "")
    if name.startswith(("MATHEMATICAL", "DOUBLE-STRUCK", "SCRIPT", "BLACK-LETTER")):
        plain = unicodedata.normalize("NFKC", char)
        inner = LATEX.get(plain, plain)
        for alphabet, command in _ALPHABETS:
            if alphabet in name:
                return f"\\{'boldsymbol' if inner.startswith(chr(92)) else command}{{{inner}}}"
        return inner
    return char


def to_latex(text: str) -> str:
    """Characters one by one, with a space after a command that a letter follows."""
    return join(map(char_to_latex, text))


def join(pieces: Iterable[str]) -> str:
    """Concatenate LaTeX pieces; a space only where a command would swallow the next letter."""
    out: list[str] = []
    for piece in pieces:
        if not piece:
            continue
        if out and piece[0].isalpha() and ends_in_command(out[-1]):
            out.append(" ")
        out.append(piece)
    return "".join(out)


def ends_in_command(tex: str) -> bool:
    """Whether the last thing in `tex` is a control word."""
    head = tex.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    if len(head) == len(tex) or not head.endswith("\\"):
        return False
    return (len(head) - len(head.rstrip("\\"))) % 2 == 1
