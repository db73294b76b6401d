"""Typeset formulas whose source is gone: MathJax CHTML, CommonHTML, HTML-CSS and SVG, and KaTeX boxes."""

from __future__ import annotations

import gzip
from difflib import SequenceMatcher
from pathlib import Path

import pytest
from resiliparse.parse.html import HTMLTree

from tasks.mine.formulas import lift
from tasks.mine.formulas.katex import katex_to_latex
from tasks.mine.formulas.mathjax import mathjax_to_latex
from tasks.mine.formulas.mathml import mathml_to_latex


def chtml(tag: str, code: str) -> str:
    return f'<mjx-{tag}><mjx-c class="mjx-c{code} TEX-I"></mjx-c></mjx-{tag}>'


def svg(tag: str, code: str, up: int = 0) -> str:
    return f'<g data-mml-node="{tag}" transform="translate(9,{up})"><use data-c="{code}" xlink:href="#A"></use></g>'


def common(tag: str, text: str) -> str:
    return f'<span class="mjx-{tag}"><span class="mjx-char MJXc-TeX-math-I">{text}</span></span>'


def css(tag: str, text: str, top: str = "") -> str:
    inner = f'<span class="{tag}" style="font-family: MathJax_Math;">{text}</span>'
    return f'<span style="position: absolute; top: {top}em;"><span>{inner}</span></span>' if top else inner


A, B, TWO = chtml("mi", "1D44E"), chtml("mi", "1D44F"), chtml("mn", "32")
OUTPUT = {
    "CHTML fraction": (f"<mjx-container><mjx-math><mjx-mfrac><mjx-frac><mjx-num><mjx-nstrut></mjx-nstrut>{A}</mjx-num>"
        f"<mjx-dbox><mjx-dtable><mjx-line></mjx-line><mjx-row><mjx-den>{B}</mjx-den></mjx-row></mjx-dtable></mjx-dbox>"
        "</mjx-frac></mjx-mfrac></mjx-math></mjx-container>", r"\frac{a}{b}"),
    "CHTML both scripts, superscript first": (f"<mjx-container><mjx-math><mjx-msubsup>{A}<mjx-script>{TWO}<mjx-spacer>"
        f"</mjx-spacer>{B}</mjx-script></mjx-msubsup></mjx-math></mjx-container>", "a_{b}^{2}"),
    "CHTML root": ('<mjx-container><mjx-math><mjx-msqrt><mjx-sqrt><mjx-surd><mjx-mo><mjx-c class="mjx-c221A"></mjx-c>'
        f"</mjx-mo></mjx-surd><mjx-box>{A}{chtml('mo', '2B')}{B}</mjx-box></mjx-sqrt></mjx-msqrt></mjx-math>"
        "</mjx-container>", r"\sqrt{a+b}"),
    "CHTML cube root": ('<mjx-container><mjx-math><mjx-mroot><mjx-sqrt><mjx-root>' + chtml("mn", "33")
        + f"</mjx-root><mjx-surd></mjx-surd><mjx-box>{A}</mjx-box></mjx-sqrt></mjx-mroot></mjx-math></mjx-container>",
        r"\sqrt[3]{a}"),
    "CHTML limits": ("<mjx-container><mjx-math><mjx-munderover><mjx-over>" + chtml("mi", "1D45B")
        + "</mjx-over><mjx-box>"
        "<mjx-munder><mjx-row><mjx-base>" + chtml("mo", "2211") + f"</mjx-base></mjx-row><mjx-row><mjx-under>{B}"
        "</mjx-under></mjx-row></mjx-munder></mjx-box></mjx-munderover></mjx-math></mjx-container>", r"\sum_{b}^{n}"),
    "CHTML text of version 4": ('<mjx-container><mjx-math><mjx-mi><mjx-c class="mjx-c1D467">𝑧</mjx-c></mjx-mi>'
        "</mjx-math></mjx-container>", "z"),
    "SVG fraction": ('<mjx-container jax="SVG"><svg><g data-mml-node="math"><g data-mml-node="mfrac">'
        + svg("mi", "1D44E", 676) + svg("mi", "1D44F", -686)
        + "<rect></rect></g></g></svg></mjx-container>", r"\frac{a}{b}"),
    "SVG scripts by height": ('<mjx-container jax="SVG"><svg><g data-mml-node="math"><g data-mml-node="msubsup">'
        + svg("mi", "1D44E") + svg("mn", "32", 363) + svg("mi", "1D44F", -247) + "</g></g></svg></mjx-container>",
        "a_{b}^{2}"),
    "CommonHTML fraction": ('<span class="mjx-chtml"><span class="mjx-math"><span class="mjx-mrow">'
        f'<span class="mjx-mfrac"><span class="mjx-box"><span class="mjx-numerator">{common("mi", "a")}</span>'
        f'<span class="mjx-denominator">{common("mi", "b")}</span></span></span></span></span></span>', r"\frac{a}{b}"),
    "CommonHTML superscript": ('<span class="mjx-chtml"><span class="mjx-math"><span class="mjx-msubsup">'
        f'<span class="mjx-base">{common("mi", "a")}</span>'
        f'<span class="mjx-sup">{common("mn", "2")}</span></span></span></span>', "a^{2}"),
    "HTML-CSS superscript": ('<span class="MathJax"><nobr><span class="math"><span class="mrow"><span class="msubsup">'
        + css("mi", "a", "-3.9") + css("mn", "2", "-4.3") + "</span></span></span></nobr></span>", "a^{2}"),
    "HTML-CSS subscript": ('<span class="MathJax"><nobr><span class="math"><span class="mrow"><span class="msubsup">'
        + css("mi", "a", "-3.9") + css("mi", "b", "-3.7") + "</span></span></span></nobr></span>", "a_{b}"),
}  # fmt: skip


@pytest.mark.parametrize("output", OUTPUT)
def test_mathjax_output(output: str) -> None:
    markup, latex = OUTPUT[output]
    assert mathjax_to_latex(markup) == latex
    html = f"<html><head><title>mathjax</title></head><body><p>We see {markup} here.</p></body></html>"
    tree = HTMLTree.parse(html)
    assert [formula.tex for formula in lift(tree, html.lower().encode()).formulas] == [latex]


def row(top: float, inner: str) -> str:
    return f'<span style="top:{top}em;"><span class="pstrut"></span><span class="mord">{inner}</span></span>'


def vlist(*rows: str) -> str:
    return f'<span class="vlist-t"><span class="vlist-r"><span class="vlist">{"".join(rows)}</span></span></span>'


def mord(text: str) -> str:
    return f'<span class="mord mathnormal">{text}</span>'


KATEX = {
    "fraction, denominator first": (
        f'<span class="mord"><span class="mfrac">{vlist(row(-2.3, mord("b")), row(-3.7, mord("a")))}</span></span>',
        r"\frac{a}{b}"),
    "superscript": (f'{mord("x")}<span class="msupsub">{vlist(row(-3.06, "2"))}</span>', "x^{2}"),
    "subscript": (f'{mord("x")}<span class="msupsub">{vlist(row(-2.55, "2"))}</span>', "x_{2}"),
    "both": (f'{mord("x")}<span class="msupsub">{vlist(row(-2.4, mord("i")), row(-3.06, "2"))}</span>', "x_{i}^{2}"),
    "root": (f'<span class="mord sqrt">{vlist(row(-3, mord("xy")))}</span>', r"\sqrt{xy}"),
    "relation and bars": (f'<span class="mopen">∣</span>{mord("x")}<span class="mclose">∣</span>'
                          '<span class="mrel">≤</span><span class="mord">1</span>', r"|x|\leq1"),
}  # fmt: skip


@pytest.mark.parametrize("boxes", KATEX)
def test_katex_boxes(boxes: str) -> None:
    markup, latex = KATEX[boxes]
    base = f'<span class="katex-html"><span class="base"><span class="strut"></span>{markup}</span></span>'
    assert katex_to_latex(f'<span class="katex">{base}</span>') == latex


def test_chtml_agrees_with_the_mathml_beside_it(rigor_data: Path) -> None:
    """A page of MathJax's own that holds both: read each alone."""
    page = gzip.decompress((rigor_data / "web" / "math_html" / "readability__mathjax.html.gz").read_bytes()).decode()
    body = HTMLTree.parse(page).body
    assert body is not None
    likeness: list[float] = []
    for container in body.query_selector_all("mjx-container"):
        math, assistive = container.query_selector("math"), container.query_selector("mjx-assistive-mml")
        assert math is not None
        assert assistive is not None
        wanted = mathml_to_latex(math.html)
        assistive.decompose()
        likeness.append(SequenceMatcher(None, wanted, mathjax_to_latex(container.html), autojunk=False).ratio())
    assert len(likeness) == 13
    assert min(likeness) > 0.85
    assert sum(likeness) / 13 > 0.97


def test_katex_boxes_agree_with_the_annotation_beside_them(rigor_data: Path) -> None:
    name = "defuddle__math--katex-centraliser.html.gz"
    page = gzip.decompress((rigor_data / "web" / "math_html" / name).read_bytes()).decode()
    body = HTMLTree.parse(page).body
    assert body is not None
    likeness: list[float] = []
    for element in body.query_selector_all(".katex"):
        annotation, boxes = element.query_selector("annotation"), element.query_selector(".katex-html")
        assert annotation is not None
        assert boxes is not None
        wanted = "".join((annotation.text or "").replace("\\lvert", "|").replace("\\rvert", "|").split())
        got = "".join(katex_to_latex(boxes.html).split())
        likeness.append(SequenceMatcher(None, wanted, got, autojunk=False).ratio())
    assert len(likeness) == 28
    assert sum(likeness) / 28 > 0.9
