"""Formulas that elements or attributes carry: MathML, data attributes, custom elements, `span.math` and images."""

from __future__ import annotations

import re

from resiliparse.parse.html import ElementNode

from tasks.mine.formulas import images
from tasks.mine.formulas.asciimath import asciimath_to_latex
from tasks.mine.formulas.html_math import html_to_latex
from tasks.mine.formulas.ledger import TOKEN
from tasks.mine.formulas.mathml import attribute_to_latex, mathml_to_latex
from tasks.mine.formulas.page import TEX_ANNOTATION, Page, attached, converted, text_of
from tasks.mine.formulas.tex import clean, is_prose, is_tex, may_be_math

_DATA = ("data-tex", "data-latex", "data-math", "data-formula", "data-katex", "data-equation", "data-expr",
         "data-entry", "data-value", "data-original-tex", "data-mathml", "data-asciimath")  # fmt: skip
_DATA_NAME = re.compile(rb"data-[\w-]{3,12}(?==)")
_NEEDS_CLASS = frozenset(["data-entry", "data-value", "data-expr", "data-formula", "data-equation", "data-math"])
_MATH_WORDS = ("math", "tex", "katex", "formula", "equation", "ql-")
_RAW = (
    "d-math, dt-math, tex-math, math-inline, math-block, la-tex, katex-inline, katex-block, x-tex, math-renderer, "
    "mathjax-inline, code[data-math-style], pre[data-math-style], .js-render-math, code.language-math, "
    "code.math-inline, pre.math-block, tex, latex, script[type*='math-tex']"
)
_CLASSES = "span.math, div.math, span.tex, div.tex, span.latex, div.latex, .math-tex, .texhtml, .kdmath, " \
           "span.inline-math, span.math-container, div.display-math, .tex2jax_process, eq, eqn, " \
           "span.math-inline, div.math-display"  # fmt: skip


def lift_data(page: Page) -> None:
    """TeX in a data attribute of the element that shows it (Zhihu, Gemini, Quill, Temml, CKEditor, …)."""
    present = {match.decode() for match in _DATA_NAME.findall(page.source)}
    names = [name for name in _DATA if name in present]
    if not names:
        return
    for element in page.select(", ".join(f"[{name}]:not(img, mjx-container *, .MathJax)" for name in names)):
        name = next((n for n in names if element.hasattr(n)), "")
        value = (element.getattr(name) or "").strip() if name else ""
        if not value or value.lower() in images.NOT_TEX or not attached(element):
            continue
        classes = (element.class_name or "").lower()
        named = any(word in classes for word in _MATH_WORDS)
        if name in _NEEDS_CLASS and not (is_tex(clean(value)) or (named and may_be_math(clean(value)))):
            continue
        if len(text_of(element)) > 20 * len(value) + 2_000:
            continue
        display = any(word in classes for word in ("block", "display")) or element.tag in ("div", "p")
        if name == "data-mathml":
            value = attribute_to_latex(value)
        elif name == "data-asciimath":
            value = asciimath_to_latex(value)
        page.put(element, value, "data-attribute", display=display)


def drop_alternatives(page: Page) -> None:
    """JATS's `<alternatives>` tell one formula in several ways: its TeX is kept, its MathML and its image are not."""
    if page.names(b"<tex-math") and page.has(b"alternatives"):
        for tex in page.select(":is(alternatives, .alternatives) > tex-math"):
            for _ in range(2):
                for beside in (tex.previous_element_sibling, tex.next_element_sibling):
                    if beside is not None and beside.tag in ("math", "mml:math", "img"):
                        beside.decompose()


def lift_mathml(page: Page) -> None:
    """`<math>`: its TeX annotation, else its `alttext`, else the MathML itself; Wikipedia's images go with it."""
    if page.names(b"mwe-math-element"):
        for element in page.select(".mwe-math-element"):
            math = element.query_selector("math")
            if math is not None and attached(element):
                _math(page, math, element)
    if page.names(b"<math", b":math"):
        for math in page.select("math:not(math *), mml\\:math, m\\:math"):
            _math(page, math, _wrapper(math))


def _math(page: Page, math: ElementNode, outer: ElementNode) -> None:
    display = math.getattr("display") == "block" or math.getattr("mode") == "display"
    annotation = math.query_selector(TEX_ANNOTATION)
    tex, carrier = clean(text_of(annotation)), "mathml-annotation"
    if not tex:
        tex, carrier = clean(math.getattr("alttext") or ""), "mathml-alttext"
        if not (is_tex(tex) or may_be_math(tex)):
            tex, carrier = converted(mathml_to_latex, math), "mathml"
    classes = (outer.class_name or "") if outer.tag else ""
    page.put(outer, tex, carrier, display=display or "mathml-display" in classes)


def _wrapper(math: ElementNode) -> ElementNode:
    """The hidden element that holds nothing but this formula (assistive MathML), or the formula itself."""
    parent = math.parent_element
    if parent is None or parent.tag not in ("span", "mjx-assistive-mml"):
        return math
    if math.next_element_sibling is not None or math.previous_element_sibling is not None:
        return math
    hidden = "none" in (parent.getattr("style") or "") or "MathML" in (parent.class_name or "")
    return parent if hidden and text_of(parent).strip() == text_of(math).strip() else math


def lift_elements(page: Page) -> None:
    """Elements whose text is the formula's source: `d-math`, `tex-math`, `code.language-math`, `span.math` …"""
    if page.names(b"-math", b"math-", b"la-tex", b"x-tex", b"<tex", b"<latex", b"katex-"):
        for element in page.select(_RAW):
            source = text_of(element)
            if attached(element) and not TOKEN.search(source):
                block = element.hasattr("block") or element.tag in ("pre", "math-block", "katex-block")
                display = element.matches('[data-math-style="display"], .js-display-math')
                page.put(element, source, _carrier(element), display=block or display)
    refused: ElementNode | None = None  # what was too long as a whole is not tried again part by part
    for element in page.select(_CLASSES):
        if refused is not None and refused.contains(element):
            continue
        source = text_of(element)
        if not source.strip() or len(source) > 20_000 or TOKEN.search(source) or not attached(element):
            continue
        tex = clean(source)
        classes = (element.class_name or "").split()
        display = element.tag == "div" or any(word in classes for word in ("display", "block", "math-display"))
        display = display or source.lstrip().startswith(("$$", "\\["))
        written = element.query_selector("i, em, sup, sub, var") is not None
        if ("texhtml" in classes and "\\" not in source) or (written and "math" in classes):
            if not page.put(element, converted(html_to_latex, element), "html-math", display=display):
                refused = element
        elif element.child_element_count == 0 and _is_one_formula(tex, source.strip()):
            page.put(element, tex, "math-class", display=display)


def lift_fractions(page: Page) -> None:
    """Wikipedia's `{{sfrac}}` and `{{frac}}` in running text, which would read 12 for one half and 31/2 for 3 1/2."""
    if page.has(b'class="den"'):
        for element in page.select(":is(.sfrac, .frac):has(.num):has(.den):not(.sfrac *, .frac *)"):
            if not TOKEN.search(text_of(element)):
                page.put(element, converted(html_to_latex, element), "html-math")


def _is_one_formula(tex: str, source: str) -> bool:
    """Whether a cleaned text is one formula: it stood in delimiters, or looks like one, and is not several."""
    single = tex.count("$") + tex.count("\\(") + tex.count("\\[") < 2
    return single and not is_prose(tex) and (tex != source or is_tex(tex) or may_be_math(tex))


def _carrier(element: ElementNode) -> str:
    tag = element.tag or ""
    return tag if "-" in tag else "element"


def lift_images(page: Page) -> None:
    """Images of formulas, by their address or their alternative text."""
    if not page.named and not images.SOURCE.search(page.source):
        return
    for element in page.select("img"):
        if not images.may_hold_tex(element.html):
            continue
        attributes = {name: element.getattr(name) or "" for name in element.attrs[:60]}
        found = images.tex_of_image(attributes)
        if found is not None:
            tex, display, carrier = found
            page.put(element, tex, carrier, display=display)
