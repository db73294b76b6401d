# ruff: noqa: ARG001, E501 every carrier has one signature; HTML as it is sent
"""How a page carries a formula: one function a markup found on the web (see `shared/stack.md`, Crawl)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from tasks.sample_crawl.formulas import Node, latex, mathml, plain

XMLNS = 'xmlns="http://www.w3.org/1998/Math/MathML"'
Carrier = Callable[[Node, bool], str]
"""(formula, stands alone) → HTML."""


def _block(display: bool) -> str:
    return ' display="block"' if display else ""


def annotation(node: Node, display: bool) -> str:
    """MathML with its TeX as annotation (KaTeX output="mathml", Temml, pandoc)."""
    tex = escape(latex(node))
    return (
        f"<math {XMLNS}{_block(display)}><semantics><mrow>{mathml(node)}</mrow>"
        f'<annotation encoding="application/x-tex">{tex}</annotation></semantics></math>'
    )


def alttext(node: Node, display: bool) -> str:
    """LaTeXML: the TeX in `alttext`."""
    name = blake2b(latex(node).encode(), digest_size=2).hexdigest()
    return (
        f'<math id="S1.p{name}.m1" class="ltx_Math" alttext={quoteattr(latex(node))}'
        f"{_block(display) or ' display=' + chr(34) + 'inline' + chr(34)}>{mathml(node)}</math>"
    )


def bare_mathml(node: Node, display: bool) -> str:
    """MathML alone."""
    return f"<math {XMLNS}{_block(display)}>{mathml(node)}</math>"


def script(node: Node, display: bool) -> str:
    """MathJax 2 before or after it ran: the TeX in a script element."""
    mode = "; mode=display" if display else ""
    return f'<span class="MathJax_Preview"></span><script type="math/tex{mode}">{latex(node)}</script>'


def _chtml(node: Node) -> str:
    kind, _, parts = node
    if kind in "nv" or kind == "o":
        tag = {"n": "mn", "v": "mi", "o": "mo"}[kind]
        glyphs = "".join(f'<mjx-c class="mjx-c{ord(c):X}"></mjx-c>' for c in plain(node))
        return f'<mjx-{tag} class="mjx-{kind}">{glyphs}</mjx-{tag}>'
    inner = "".join(map(_chtml, parts))
    tag = {"frac": "mfrac", "sup": "msup", "sub": "msub", "sqrt": "msqrt", "big": "munderover"}.get(kind, "mrow")
    return f"<mjx-{tag}>{inner}</mjx-{tag}>"


def mathjax_assistive(node: Node, display: bool) -> str:
    """MathJax 3 CHTML as rendered, with assistive MathML."""
    return (
        f'<mjx-container class="MathJax CtxtMenu_Attached_0" jax="CHTML" tabindex="0" style="position: relative;">'
        f'<mjx-math class="MJX-TEX" aria-hidden="true">{_chtml(node)}</mjx-math>'
        f'<mjx-assistive-mml unselectable="on" display="{"block" if display else "inline"}">'
        f"<math {XMLNS}{_block(display)}>{mathml(node)}</math></mjx-assistive-mml></mjx-container>"
    )


def mathjax_chtml(node: Node, display: bool) -> str:
    """MathJax 3 CHTML as rendered, with no source anywhere: nobody can read it."""
    shown = ' display="true"' if display else ""
    return f'<mjx-container class="MathJax" jax="CHTML"{shown}><mjx-math class="MJX-TEX">{_chtml(node)}</mjx-math></mjx-container>'


def mathjax_svg(node: Node, display: bool) -> str:
    """MathJax 3 SVG, with no source either: paths only."""
    width = 1 + len(plain(node)) * 0.6
    shown = ' display="true"' if display else ""
    paths = "".join(f'<use data-c="{ord(c):X}" xlink:href="#MJX-1-TEX-I-{ord(c):X}"></use>' for c in plain(node))
    return (
        f'<mjx-container class="MathJax" jax="SVG"{shown}><svg xmlns="http://www.w3.org/2000/svg" width="{width:.1f}ex" '
        f'height="2ex" role="img" focusable="false"><g stroke="currentColor">{paths}</g></svg></mjx-container>'
    )


def katex(node: Node, display: bool) -> str:
    """KaTeX as rendered: hidden MathML with the TeX, and visible spans."""
    glyphs = "".join(f'<span class="mord mathnormal">{escape(c)}</span>' for c in plain(node) if c != " ")
    inner = (
        f'<span class="katex"><span class="katex-mathml">{annotation(node, display)}</span>'
        f'<span class="katex-html" aria-hidden="true"><span class="base"><span class="strut" '
        f'style="height:0.8889em;vertical-align:-0.1944em;"></span>{glyphs}</span></span></span>'
    )
    return f'<span class="katex-display">{inner}</span>' if display else inner


def wordpress(node: Node, display: bool) -> str:
    """WordPress.com: an image whose address and alt text hold the TeX."""
    tex = ("\\displaystyle " if display else "") + latex(node)
    return (
        f'<img src="https://s0.wp.com/latex.php?latex={quote(tex, safe="").replace("%20", "+")}&#038;bg=ffffff&#038;fg=333333'
        f'&#038;s=0&#038;c=20201002" alt={quoteattr(tex)} class="latex" />'
    )


def codecogs(node: Node, display: bool) -> str:
    """CodeCogs: an image whose address is the TeX."""
    kind = "svg.image" if display else "gif.latex"
    return f'<img src="https://latex.codecogs.com/{kind}?{quote(latex(node), safe="()=+,!")}" title="" />'


def mimetex(node: Node, display: bool) -> str:
    """mimeTeX: an image made by a CGI program out of the TeX."""
    return f'<img src="/cgi-bin/mimetex.cgi?{quote(latex(node), safe="()=+,!")}" alt="" align="middle" border="0">'


def wikipedia(node: Node, display: bool) -> str:
    """Wikipedia: MathML under display:none, and a fallback image with the TeX as alt text."""
    tex = quoteattr("{\\displaystyle " + latex(node) + "}")
    kind = "block" if display else "inline"
    name = blake2b(latex(node).encode(), digest_size=20).hexdigest()
    return (
        f'<span class="mwe-math-element mwe-math-element-{kind}"><span class="mwe-math-mathml-{kind} '
        f'mwe-math-mathml-a11y" style="display: none;"><math {XMLNS} alttext={tex}><semantics><mrow>'
        f'<mstyle displaystyle="true" scriptlevel="0">{mathml(node)}</mstyle></mrow><annotation '
        f'encoding="application/x-tex">{escape(tex[1:-1])}</annotation></semantics></math></span>'
        f'<img src="https://wikimedia.org/api/rest_v1/media/math/render/svg/{name}" class="mwe-math-fallback-image-{kind} '
        f'mw-invert" aria-hidden="true" style="vertical-align: -0.838ex; width:12.4ex; height:2.843ex;" alt={tex}></span>'
    )


def data_tex(node: Node, display: bool) -> str:
    """The TeX in a data attribute, the glyphs inside."""
    return f'<span class="tex{" tex-display" if display else ""}" data-tex={quoteattr(latex(node))}>{escape(plain(node))}</span>'


def d_math(node: Node, display: bool) -> str:
    """Distill's element."""
    return f"<d-math{' block' if display else ''}>{escape(latex(node))}</d-math>"


def brackets(node: Node, display: bool) -> str:
    r"""`\(…\)` and `\[…\]` in the text."""
    return escape(rf"\[{latex(node)}\]" if display else rf"\({latex(node)}\)")


def dollars(node: Node, display: bool) -> str:
    """`$…$` and `$$…$$` in the text."""
    return escape(f"$${latex(node)}$$" if display else f"${latex(node)}$")


def itex(node: Node, display: bool) -> str:
    """`[itex]…[/itex]` and `[tex]…[/tex]`, as Physics Forums wrote them."""
    tag = "tex" if display else "itex"
    return f"[{tag}]{escape(latex(node))}[/{tag}]"


def asciimath(node: Node, display: bool) -> str:
    """AsciiMath between backquotes."""
    return f"`{escape(plain(node, ascii_math=True))}`"


def unicode_text(node: Node, display: bool) -> str:
    """No markup at all: what people type. Not a carrier: there is no formula to recall, only text."""
    return escape(plain(node))


CARRIERS: dict[str, Carrier] = {f.__name__: f for f in (
    annotation, alttext, bare_mathml, script, mathjax_assistive, mathjax_chtml, mathjax_svg, katex, wordpress,
    codecogs, mimetex, wikipedia, data_tex, d_math, brackets, dollars, itex, asciimath, unicode_text)}  # fmt: skip
SOURCELESS = frozenset({"mathjax_chtml", "mathjax_svg", "unicode_text"})
"""Carriers that hold no readable formula: truth lists none for them."""
HEADS = {
    "brackets": '<script id="MathJax-script" async src="https://cdn.jsdelivr.net/npm/mathjax@3/es5/tex-mml-chtml.js"></script>',
    "dollars": '<script type="text/x-mathjax-config">MathJax.Hub.Config({tex2jax: {inlineMath: [["$","$"]]}});</script>'
    '<script src="https://cdnjs.cloudflare.com/ajax/libs/mathjax/2.7.7/MathJax.js?config=TeX-AMS_HTML"></script>',
    "script": '<script src="https://cdn.mathjax.org/mathjax/latest/MathJax.js?config=TeX-AMS-MML_HTMLorMML"></script>',
    "asciimath": '<script src="https://cdn.jsdelivr.net/npm/mathjax@3/es5/asciimath-mml-chtml.js"></script>'
    '<script src="/js/ASCIIMathML.js"></script>',
    "katex": '<link rel="stylesheet" href="https://cdn.jsdelivr.net/npm/katex@0.16.9/dist/katex.min.css">',
    "d_math": '<script src="https://distill.pub/template.v2.js"></script>',
}
"""What a page with this carrier loads in its head."""
