"""Every carrier of formulas, each in a snippet of its own, and what must not be taken for a formula."""

from __future__ import annotations

import pytest
from resiliparse.parse.html import HTMLTree

from tasks.mine.formulas import Formula, lift, lift_text

MATHJAX = '<script src="https://cdn.jsdelivr.net/npm/mathjax@3/es5/tex-mml-chtml.js"></script>'
KATEX_BOXES = '<span class="katex-html" aria-hidden="true"><span class="base"><span class="mord">x</span></span></span>'


def formulas(snippet: str) -> list[Formula]:
    """Formulas of a page's body, in the order of its text."""
    html = f"<html><body><main><p>Before.</p>{snippet}<p>After.</p></main></body></html>"
    tree = HTMLTree.parse(html)
    ledger = lift(tree, html.lower().encode())
    assert tree.body is not None
    text, found = ledger.restore(tree.body.text or "")
    assert text.startswith("Before.")
    assert text.rstrip().endswith("After.")
    return list(found)


def tex(snippet: str) -> list[str]:
    return [formula.tex for formula in formulas(snippet)]


def x_squared(inner: str = "", attributes: str = "") -> str:
    return f"<math {attributes}><semantics><msup><mi>x</mi><mn>2</mn></msup>{inner}</semantics></math>"


SOURCES = {
    "annotation": x_squared('<annotation encoding="application/x-tex">x^2</annotation>'),
    "annotation, other name": x_squared('<annotation encoding="TeX">x^2</annotation>'),
    "alttext": x_squared(attributes='alttext="x^2"'),
    "LaTeXML": x_squared('<annotation encoding="application/x-tex">x^2</annotation>', 'class="ltx_Math" alttext="x^2"'),
    "Wikipedia": '<span class="mwe-math-element"><span class="mwe-math-mathml-inline" style="display: none;">'
    + x_squared('<annotation encoding="application/x-tex">{\\displaystyle x^2}</annotation>')
    + '</span><img class="mwe-math-fallback-image-inline" src="/svg/1" alt="{\\displaystyle x^2}"></span>',
    "Wikipedia image": '<img class="mwe-math-fallback-image-inline" src="/svg/1" alt="{\\displaystyle x^2}">',
    "Wikipedia, before 2015": '<img class="tex" alt="x^2" src="//upload.wikimedia.org/math/a/b/c/abc.png">',
    "script": '<script type="math/tex">x^2</script>',
    "script, CDATA": '<script type="math/tex">% <![CDATA[\nx^2 %]]></script>',
    "MathJax 2 with preview and frame": '<span class="MathJax_Preview">x2</span><span class="MathJax" id="a">'
    '<nobr><span class="math"><span class="mi">x</span></span></nobr></span>'
    '<script type="math/tex" id="b">x^2</script>',
    "MathJax 2, display frame": '<div class="MathJax_Display"><span class="MathJax"><span class="math">x</span></span>'
    '</div><script type="math/tex; mode=display">x^2</script>',
    "KaTeX": '<span class="katex"><span class="katex-mathml">'
    + x_squared('<annotation encoding="application/x-tex">x^2</annotation>') + f"</span>{KATEX_BOXES}</span>",
    "KaTeX, display": '<span class="katex-display"><span class="katex"><span class="katex-mathml">'
    + x_squared('<annotation encoding="application/x-tex">x^2</annotation>') + f"</span>{KATEX_BOXES}</span></span>",
    "KaTeX in data-math": f'<span class="math-inline" data-math="x^2"><span class="katex">{KATEX_BOXES}</span></span>',
    "KaTeX error": '<span class="katex-error" title="ParseError">x^2</span>',
    "MathJax 4 data-latex": '<mjx-container><mjx-math data-latex="x^2"><mjx-mi data-latex="x"></mjx-mi></mjx-math>'
    "</mjx-container>",
    "WordPress": '<img src="https://s0.wp.com/latex.php?latex=x%5E2&#038;bg=ffffff&#038;fg=000" alt="x^2">',
    "WordPress, alt missing": '<img src="https://s0.wp.com/latex.php?latex=x%5E2&#038;bg=ffffff&#038;fg=000">',
    "codecogs": '<img src="https://latex.codecogs.com/gif.latex?x^2">',
    "codecogs, escaped": '<img src="https://latex.codecogs.com/svg.image?%5Cinline%20x%5E2">',
    "mimetex": '<img src="/cgi-bin/mimetex.cgi?x^2">',
    "mathtex": '<img src="http://www.forkosh.com/mathtex.cgi?x^2">',
    "Google chart": '<img src="https://chart.googleapis.com/chart?cht=tx&amp;chl=x%5E2">',
    "Zhihu image": '<img src="https://www.zhihu.com/equation?tex=x%5E2" alt="x^2" eeimg="1">',
    "lazy image": '<img src="data:image/gif;base64,AA" data-lazy-src="/latex.php?latex=x%5E2">',
    "image in a formula folder": '<img src="https://example.org/equation/x%5E%7B2%7D%5C%2C.png"><!-- -->',
    "TeX in alt": '<img src="/images/17.png" alt="$x^2$">',
    "Habr": '<img alt="$x^2$" data-tex="inline" src="https://habrastorage.org/getpro/habr/formulas/1.svg">',
    "Habr, before 2020": '<img alt="$inline$x^2$inline$" src="https://habrastorage.org/getpro/habr/1.svg">',
    "Habr, display": '<img alt="$$display$$x^2$$display$$" data-tex="display" src="/1.svg">',
    "Canvas": '<img class="equation_image" alt="LaTeX: x^2" data-equation-content="x^2" src="/equation_images/x">',
    "Canvas, alt": '<img class="equation_image" alt="LaTeX: x^2" src="/equation_images/x%255E2">',
    "WIRIS": '<img class="Wirisformula" data-mathml="«math xmlns=¨http://www.w3.org/1998/Math/MathML¨»«msup»«mi»x«/mi»'
    '«mn»2«/mn»«/msup»«/math»" alt="x squared" src="data:image/svg+xml;charset=utf8,%3Csvg">',
    "WIRIS, alt": '<img class="Wirisformula" src="/showimage.php?formula=d4a" alt="«math»«msup»«mi»x«/mi»«mn»2«/mn»'
    '«/msup»«/math»">',
    "WIRIS, span": '<span data-mathml="«math»«msup»«mi»x«/mi»«mn»§#50;«/mn»«/msup»«/math»">x2</span>',
    "MathML in alt": "<img alt='<math><msup><mi>x</mi><mn>2</mn></msup></math>' src='1.gif'>",
    "Moodle": '<img class="texrender" title="x^2" alt="x^2" src="/filter/tex/pix.php/1.gif">',
    "MathWorld": '<img class="numberedequation" alt="x^2" src="/images/equations/Circle/NumberedEquation1.svg">',
    "IOP": '<span class="tex"><span class="texImage"><img alt="$x^2$" src="1.gif"></span>'
    '<script type="math/tex">x^2</script></span>',
    "JATS": "<alternatives><tex-math>$x^2$</tex-math><mml:math><mml:mi>x</mml:mi></mml:math></alternatives>",
    "JATS, MathML first": '<span class="alternatives"><mml:math><mml:mi>x</mml:mi></mml:math><img alt="$x^2$">'
    "<tex-math>x^2</tex-math></span>",
    "AsciiMath beside MathML": x_squared('<annotation encoding="text/x-asciimath">x^^2</annotation>'),
    "data-tex": '<span class="ztext-math" data-tex="x^2">x²</span>',
    "data-latex": '<span class="math-tex" data-latex="x^2">x²</span>',
    "data-value of Quill": '<span class="ql-formula" data-value="x^2"><span class="katex">x²</span></span>',
    "data-entry of Temml": f'<span class="hurmet-tex" data-entry="x^2">{x_squared()}</span>',
    "d-math": "<d-math>x^2</d-math>",
    "dt-math": "<dt-math>x^2</dt-math>",
    "tex-math of JATS": "<tex-math>x^2</tex-math>",
    "tex-math of Springer": "<tex-math>\\documentclass{minimal}\\begin{document}$$x^2$$\\end{document}</tex-math>",
    "GitLab": '<code class="code math js-render-math" data-math-style="inline">x^2</code>',
    "remark-math": '<code class="language-math math-inline">x^2</code>',
    "pandoc": f'{MATHJAX}<span class="math inline">\\(x^2\\)</span>',
    "pandoc for KaTeX": '<span class="math inline">x^2</span>',
    "Quarto": f'{MATHJAX}<span class="math display">\\[x^2\\]</span>',
    "pandoc without an engine": '<span class="math inline"><em>x</em><sup>2</sup></span>',
    "Wikipedia HTML": '<span class="texhtml"><i>x</i><sup>2</sup></span>',
    "Sphinx": f'{MATHJAX}<span class="math notranslate nohighlight">\\(x^2\\)</span>',
    "jsMath": '<script src="/jsMath/easy/load.js"></script><span class="math">x^2</span>',
    "StackExchange": f'{MATHJAX}<span class="math-container">$x^2$</span>',
    "Arithmatex": f'{MATHJAX}<span class="arithmatex">\\(x^2\\)</span>',
    "GitHub": "<math-renderer>$x^2$</math-renderer>",
    "GitHub, display": '<math-renderer class="js-display-math">$$x^2$$</math-renderer>',
    "parentheses": f"{MATHJAX}<p>Let \\(x^2\\) be.</p>",
    "brackets": f"{MATHJAX}<p>\\[x^2\\]</p>",
    "dollars": f"{MATHJAX}<p>$$x^2$$</p>",
    "dollar": "<p>Let $x^2$ be.</p>",
    "two backslashes": f"{MATHJAX}<p>Let \\\\(x^2\\\\) be.</p>",
    "itex": "<p>Let [itex]x^2[/itex] be.</p>",
    "tex": "<p>Let [tex]x^2[/tex] be.</p>",
    "latex": "<p>Let [latex]x^2[/latex] be.</p>",
    "WordPress source": "<p>Let $latex x^2$ be.</p>",
    "Physics Forums": "<script>tex: {inlineMath: [['##','##']], mathjax: 1}</script><p>Let ##x^2## be.</p>",
    "across line breaks": f"{MATHJAX}<p>$$<br>x^2<br>$$</p>",
    "AsciiMath script": '<script type="math/asciimath">x^2</script>',
    "AsciiMath": '<script src="MathJax.js?config=AM_HTMLorMML"></script><p>Let `x^2` be.</p>',
}  # fmt: skip


@pytest.mark.parametrize("carrier", SOURCES)
def test_source_is_kept_once(carrier: str) -> None:
    assert [f.replace("{", "").replace("}", "").replace("\\,", "") for f in tex(SOURCES[carrier])] == ["x^2"]


DISPLAYS = ["MathJax 2, display frame", "KaTeX, display", "Quarto", "brackets", "dollars", "across line breaks",
            "Habr, display", "GitHub, display"]  # fmt: skip


@pytest.mark.parametrize("carrier", DISPLAYS)
def test_display_formulas_are_told_from_inline_ones(carrier: str) -> None:
    assert [f.display for f in formulas(SOURCES[carrier])] == [True]


@pytest.mark.parametrize("carrier", ["annotation", "script", "KaTeX", "parentheses", "dollar", "codecogs"])
def test_inline_formulas_are_told_from_display_ones(carrier: str) -> None:
    assert [f.display for f in formulas(SOURCES[carrier])] == [False]


@pytest.mark.parametrize("text", [
    "It costs $5 and $10 today.",
    "From $1,200 to $1,500, or US$3 million (A$4 million).",
    "Set $HOME/bin:$PATH and $USER first.",
    "jQuery: $('a').on and $('b').off",
    "We made $$$ and more $$ last year, then $$ again.",
    "Prices: $5-$10, $3/month; 50$ or 60$.",
    "A $20 bill, a $50 bill and nothing of $ alone.",
    "$1.5M-$2M, $2k/$3k, $2m to $4m, from $20 off ($5 more), A$5m,B$6m, $AUD/$USD, $TSLA $AAPL.",
])  # fmt: skip
@pytest.mark.parametrize("head", ["", MATHJAX])
def test_money_and_shells_are_no_formulas(text: str, head: str) -> None:
    assert tex(f"{head}<p>{text}</p>") == []


def test_dollars_beside_prices() -> None:
    page = f"{MATHJAX}<p>It costs $100 per unit, and $x$ units at $p_i$ cost $10 each for the $n$th one.</p>"
    assert tex(page) == ["x", "p_i", "n"]


SHORT = [
    "2k+1",
    "2k",
    "2m",
    "2n",
    "5x",
    "2ab",
    "4ac",
    "2xy = 1",
    "3b",
    "2mn",
    "2AB",
    "ABC",
    "\\R",
    "50\\%",
    "log n",
    "mod p",
]


@pytest.mark.parametrize("formula", SHORT)
def test_coefficients_are_no_money(formula: str) -> None:
    assert tex(f"{MATHJAX}<p>Let $x_0$ be with ${formula}$ so.</p>") == ["x_0", formula]


def test_a_class_for_formulas_needs_no_script() -> None:
    page = '<p>Where <span class="math-container">$AB=AC$</span> and <span class="math-container">$$n$$</span>.</p>'
    assert [(f.tex, f.display) for f in formulas(page)] == [("AB=AC", False), ("n", True)]


def test_weak_formulas_count_only_where_the_page_has_strong_ones() -> None:
    assert tex("<p>Let $x$ be, or $y$.</p>") == []
    assert tex("<p>Let $x$ be, or $\\alpha_1$.</p>") == ["x", "\\alpha_1"]


@pytest.mark.parametrize("tag", ["pre", "code", "textarea", "kbd"])
def test_code_is_left_alone(tag: str) -> None:
    html = f"<html><body>{MATHJAX}<{tag}>a $x^2$ b \\(y\\)</{tag}></body></html>"
    tree = HTMLTree.parse(html)
    assert lift(tree, html.lower().encode()).formulas == []
    assert tree.body is not None
    assert "a $x^2$ b \\(y\\)" in (tree.body.text or "")


def test_ignored_regions_and_processed_ones_inside() -> None:
    page = '<div class="tex2jax_ignore"><p>$x^2$</p><span class="tex2jax_process"><b>$y^2$</b></span></div>'
    assert tex(MATHJAX + page) == ["y^2"]


def test_formulas_do_not_cross_blocks() -> None:
    assert tex(f"{MATHJAX}<p>a $x^2</p><p>y^2$ b</p><div>\\(c<p>d</p>\\)</div>") == []


def test_emphasis_that_ate_underscores() -> None:
    assert tex(f"{MATHJAX}<p>$a<em>i + b</em>j$</p>") == ["a_i + b_j"]


def test_mixed_carriers_stay_in_document_order() -> None:
    page = f'<p>$a_1$ <script type="math/tex">a_2</script> <d-math>a_3</d-math> {x_squared()} <em>\\(a_5\\)</em></p>'
    assert tex(MATHJAX + page + '<img alt="$a_6$">') == ["a_1", "a_2", "a_3", "x^{2}", "a_5", "a_6"]


SLASH = '<span class="sr-only">/</span>'


@pytest.mark.parametrize(("markup", "latex"), [
    (f'<span class="sfrac">\u2060<span class="tion"><span class="num">1</span>{SLASH}<span class="den">2</span></span>'
     "\u2060</span>", r"\frac{1}{2}"),
    ('<span class="frac">3<span class="sr-only">+</span><span class="num">1</span>⁄<span class="den">2</span></span>',
     r"3\frac{1}{2}"),
    (f'<span class="texhtml">2<span class="sfrac"><span class="tion"><span class="num">π</span>{SLASH}'
     '<span class="den">3</span></span></span></span>', r"2\frac{\pi}{3}"),
    ('<span class="texhtml">π &gt; 3</span>', r"\pi>3"),
])  # fmt: skip
def test_fractions_and_formulas_in_html(markup: str, latex: str) -> None:
    assert tex(markup) == [latex]


def test_an_image_beside_another_formula_stays() -> None:
    page = (
        '<img alt="$x^2$"><script type="math/tex">y</script><img class="tex" alt="1"><img alt="LaTeX: a fine system">'
    )
    assert tex(page) == ["x^2", "y", "1"]


def test_hidden_formulas_are_shown() -> None:
    html = f'<html><body><div style="display:none">Hidden proof: {x_squared()}</div></body></html>'
    tree = HTMLTree.parse(html)
    lift(tree, html.encode())
    assert tree.document is not None
    assert tree.document.query_selector('[style*="none"]') is None


def test_forged_tokens_do_not_come_back() -> None:
    ledger = lift(HTMLTree.parse("<p>x</p>"), b"<p>x</p>")
    assert ledger.restore("a\ue0007\ue001b\ue000c") == ("abc", ())


def test_plain_text_keeps_only_delimited_formulas() -> None:
    text, ledger = lift_text("Let $\\alpha$ and $n$ cost $5 or $6.\n\n\\[ x = y \\]\nEnd.")
    text, found = ledger.restore(text)
    assert [f.tex for f in found] == ["\\alpha", "n", "x = y"]
    assert text == "Let $\\alpha$ and $n$ cost $5 or $6.\n\n$$x = y$$\nEnd."
