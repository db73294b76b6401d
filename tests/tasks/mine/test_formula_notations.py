"""MathML and AsciiMath as LaTeX, worked by hand, and the cleaning of LaTeX itself."""

from __future__ import annotations

import pytest

from tasks.mine.formulas.asciimath import asciimath_to_latex
from tasks.mine.formulas.mathml import attribute_to_latex, mathml_to_latex
from tasks.mine.formulas.tex import clean

MATHML = {
    "<mfrac><mi>a</mi><mi>b</mi></mfrac>": r"\frac{a}{b}",
    "<msqrt><mi>x</mi><mo>+</mo><mn>1</mn></msqrt>": r"\sqrt{x+1}",
    "<mroot><mn>8</mn><mn>3</mn></mroot>": r"\sqrt[3]{8}",
    "<msubsup><mi>a</mi><mi>i</mi><mn>2</mn></msubsup>": r"a_{i}^{2}",
    "<msup><mrow><mi>a</mi><mi>b</mi></mrow><mn>2</mn></msup>": r"{ab}^{2}",
    "<msup><mi>f</mi><mo>′</mo></msup>": "f'",
    "<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover><mi>i</mi>":
        r"\sum_{i=1}^{n}i",
    "<munder><mi>lim</mi><mrow><mi>x</mi><mo>→</mo><mn>0</mn></mrow></munder>": r"\lim_{x\rightarrow0}",
    "<mover><mi>x</mi><mo>^</mo></mover><mover><mi>v</mi><mo>→</mo></mover>": r"\hat{x}\vec{v}",
    "<mi>sin</mi><mo>\u2061</mo><mi>x</mi>": r"\sin x",
    "<mi>α</mi><mi>x</mi><mo>≤</mo><mi>ℝ</mi><mi>𝐱</mi><mi>𝒜</mi><mi>𝑦</mi>":
        r"\alpha x\leq\mathbb{R}\mathbf{x}\mathcal{A}y",
    '<mi mathvariant="double-struck">R</mi><mi mathvariant="bold">v</mi>': r"\mathbb{R}\mathbf{v}",
    "<mtext>if </mtext><mi>n</mi>": r"\text{if }n",
    "<mo>(</mo><mtable><mtr><mtd><mi>a</mi></mtd><mtd><mi>b</mi></mtd></mtr><mtr><mtd><mi>c</mi></mtd><mtd><mi>d</mi>"
    "</mtd></mtr></mtable><mo>)</mo>": r"\begin{pmatrix}a & b \\ c & d\end{pmatrix}",
    "<mo>{</mo><mtable><mtr><mtd><mn>1</mn></mtd></mtr><mtr><mtd><mn>2</mn></mtd></mtr></mtable>":
        r"\begin{cases}1 \\ 2\end{cases}",
    '<mo>(</mo><mfrac linethickness="0"><mi>n</mi><mi>k</mi></mfrac><mo>)</mo>': r"\binom{n}{k}",
    "<mo>(</mo><mfrac><mi>n</mi><mi>k</mi></mfrac><mo>)</mo>": r"\left(\frac{n}{k}\right)",
    '<mfenced open="[" close="]"><mi>a</mi><mi>b</mi></mfenced>': "[a,b]",
    "<mmultiscripts><mi>C</mi><mi>k</mi><none></none><mprescripts></mprescripts><mi>n</mi><none></none></mmultiscripts>":
        "{}_{n}C_{k}",
    "<mtable><mlabeledtr><mtd><mtext>(1)</mtext></mtd><mtd><mi>a</mi><mo>=</mo><mi>b</mi></mtd></mlabeledtr></mtable>":
        r"a=b \tag{1}",
    "<mn>5</mn><mo>%</mo><mo>{</mo><mi>a</mi><mo>}</mo>": r"5\%\{a\}",
}  # fmt: skip


@pytest.mark.parametrize("markup", MATHML)
def test_mathml(markup: str) -> None:
    assert mathml_to_latex(f"<math><mrow>{markup}</mrow></math>") == MATHML[markup]


ASCIIMATH = {
    "sum_(i=1)^n i^3=((n(n+1))/2)^2": r"\sum_{i=1}^{n}i^{3}=(\frac{n(n+1)}{2})^{2}",
    "x = (-b +- sqrt(b^2-4ac))/(2a)": r"x=\frac{-b\pm\sqrt{b^{2}-4ac}}{2a}",
    "[[a,b],[c,d]]": r"\begin{bmatrix}a & b \\ c & d\end{bmatrix}",
    "alpha in RR": r"\alpha\in\mathbb{R}",
    "int_0^1 f(x) dx": r"\int_{0}^{1}f(x)dx",
    "|x| <= oo": r"\left|x\right|\leq\infty",
    'a "if" b': r"a\text{if}b",
    "root(3)(x)": r"\sqrt[3]{x}",
    "hat(x) vec v": r"\hat{x}\vec{v}",
    "x^-1 + 10^-3.5": "x^{-1}+10^{-3.5}",
    "e^-(a+b)": "e^{-(a+b)}",
    "1/-x": r"\frac{1}{-x}",
    "(a^-)": "(a^{-})",
    "sinx/cosx": r"\frac{\sin x}{\cos x}",
    "sin^2x/3": r"\frac{\sin^{2}x}{3}",
    "f(x)/g(x)": r"\frac{f(x)}{g(x)}",
    "f^-1(x)/f": r"\frac{f^{-1}(x)}{f}",
    "lim_(x->0) sin x/x": r"\lim_{x\to0}\frac{\sin x}{x}",
    "max x/2": r"\max\frac{x}{2}",
}  # fmt: skip


@pytest.mark.parametrize("source", ASCIIMATH)
def test_asciimath(source: str) -> None:
    assert asciimath_to_latex(source) == ASCIIMATH[source]


@pytest.mark.parametrize("source", ["sin", "sin^2 ", "x^-", "-/", "f("])
def test_asciimath_without_end(source: str) -> None:
    assert asciimath_to_latex(source * 2_000)


def test_mathml_in_an_attribute() -> None:
    """Self-closing tags are XML there, and WIRIS spells `<`, `>`, `"` and `&` in characters that need no escape."""
    markup = "«math»«mi»x«/mi»«mspace width=¨1em¨/»«mo»§#8722;«/mo»«mn»1«/mn»«/math»"
    assert attribute_to_latex(markup) == r"x\quad -1"
    assert attribute_to_latex("<math><mo>«</mo><mi>x</mi><mo>§</mo></math>") == r"«x\S"
    assert attribute_to_latex("<math>" * 100_000) == ""


@pytest.mark.parametrize(("raw", "tidy"), [
    ("{\\displaystyle {\\frac {a}{b}}}", "{\\frac {a}{b}}"),
    ("\\displaystyle x", "x"),
    ("\\(x\\)", "x"),
    ("$$ x $$", "x"),
    ("$a$ and $b$", "$a$ and $b$"),
    ("{\\displaystyle a} + {b}", "{\\displaystyle a} + {b}"),
    ("a &lt; b &amp;&amp; c", "a < b && c"),
    ("x\n\n\ny\u200b", "x\ny"),
    ("x^2&bg=ffffff&fg=000000&s=2", "x^2"),
    ("  ", ""),
    ("x" * 30_000, ""),
])  # fmt: skip
def test_clean(raw: str, tidy: str) -> None:
    assert clean(raw) == tidy
