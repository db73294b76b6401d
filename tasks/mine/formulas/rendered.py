"""Formulas that a script has typeset: KaTeX, MathJax 2 to 4, with their source where the page still has it."""

from __future__ import annotations

from resiliparse.parse.html import ElementNode

from tasks.mine.formulas.asciimath import asciimath_to_latex
from tasks.mine.formulas.katex import katex_to_latex
from tasks.mine.formulas.mathjax import mathjax_to_latex
from tasks.mine.formulas.mathml import mathml_to_latex
from tasks.mine.formulas.page import TEX_ANNOTATION, Page, attached, converted, text_of
from tasks.mine.formulas.tex import clean

_FRAMES = (".MathJax_Display, .MathJax_SVG_Display, .MJXc-display",
           ".MathJax:not(mjx-container, .MathJax *), .MathJax_SVG, .MathJax_CHTML, .mjx-chtml, .MathJax_MathML",
           ".MathJax_Preview, .MathJax_PlainSource, .MathJax_Processing, .MJX_Assistive_MathML")  # fmt: skip
_DISPLAY_PARENT = ("display", "block")


def lift_katex(page: Page) -> None:
    """KaTeX: the TeX annotation of its MathML, else the MathML, else its boxes."""
    if not page.names(b"katex"):
        return
    for selector in (".katex-display", ".katex", ".katex-error", ".katex-mathml"):
        for element in page.select(f"{selector}:not({selector} *)"):
            if not attached(element):
                continue
            display = selector == ".katex-display" or _in_display(element)
            annotation = element.query_selector("annotation")
            if selector == ".katex-error":
                page.put(element, text_of(element), "katex", display=display)
            elif annotation is not None:
                page.put(element, text_of(annotation), "katex", display=display)
            elif (math := element.query_selector("math")) is not None:
                page.put(element, converted(mathml_to_latex, math), "katex", display=display)
            elif selector != ".katex-display" or element.query_selector(".katex") is not None:
                page.put(element, converted(katex_to_latex, element), "katex-html", display=display)


def lift_mathjax(page: Page) -> None:
    """MathJax: `script` sources first (their typeset twins go), then containers without a source."""
    if page.names(b"mjx-container"):
        for element in page.select("mjx-container:not(mjx-container *)"):
            _container(page, element)
    scripts = page.select('script[type^="math/"]') if page.names(b"math/") else []
    if page.names(b"mathjax", b"mjxc-display", b"mjx-chtml"):
        for selector in _FRAMES:
            for element in page.select(selector):
                if attached(element):
                    _frame(page, element)
    for script in scripts:
        _script(page, script)


def _container(page: Page, element: ElementNode) -> None:
    display = element.getattr("display", "") in ("true", "block") or _in_display(element)
    annotation = element.query_selector(TEX_ANNOTATION)
    source = element.query_selector("[data-latex]")
    math = element.query_selector("math")
    if annotation is not None:
        tex, carrier = text_of(annotation), "mathjax"
    elif source is not None and element.query_selector("mjx-math > [data-latex], mjx-math[data-latex]") is not None:
        tex, carrier = _whole_source(element), "mathjax"
    else:
        tex, carrier = "", ""
    if not tex and math is not None:
        tex, carrier = converted(mathml_to_latex, math), "mathjax-mathml"
    if not tex:
        tex, carrier = converted(mathjax_to_latex, element), "mathjax-output"
    if not page.put(element, tex, carrier, display=display):
        element.decompose()


def _whole_source(element: ElementNode) -> str:
    """MathJax 4 writes `data-latex` on every box: the root's is the formula, else the only top box's."""
    root = element.query_selector("mjx-math[data-latex]")
    if root is not None:
        return root.getattr("data-latex") or ""
    tops = element.query_selector_all("mjx-math > *")
    return (tops[0].getattr("data-latex") or "") if len(tops) == 1 else ""


def _frame(page: Page, element: ElementNode) -> None:
    """A typeset frame of MathJax 2: dropped beside its script, else read from what it still holds."""
    sibling, script = element.next_element, None
    for _ in range(4):
        if sibling is None:
            break
        if sibling.tag == "script" and (sibling.getattr("type") or "").startswith("math/"):
            script = sibling
            break
        sibling = sibling.next_element
    classes = element.class_name or ""
    if script is not None or element.query_selector('script[type^="math/"]') is not None:
        if script is not None:
            element.decompose()
        return
    if "Preview" in classes or "Processing" in classes:
        if not text_of(element).strip():
            element.decompose()
        return
    display = "isplay" in classes or _in_display(element)
    holder = element if element.hasattr("data-mathml") else element.query_selector("[data-mathml]")
    math = element.query_selector("math")
    annotation = element.query_selector(TEX_ANNOTATION)
    if annotation is not None:
        tex, carrier = text_of(annotation), "mathjax"
    elif holder is not None:
        try:
            tex, carrier = mathml_to_latex(holder.getattr("data-mathml") or ""), "mathjax-mathml"
        except ValueError:
            return
    elif math is not None:
        tex, carrier = converted(mathml_to_latex, math), "mathjax-mathml"
    else:
        tex, carrier = converted(mathjax_to_latex, element), "mathjax-output"
    page.put(element, tex, carrier, display=display)


def _script(page: Page, script: ElementNode) -> None:
    kind = (script.getattr("type") or "").lower()
    source = text_of(script)
    display = "display" in kind.replace(" ", "")
    _drop_twin(script, clean(source))
    if "asciimath" in kind:
        page.put(script, asciimath_to_latex(source), "asciimath", display=display)
    elif "mml" in kind:
        try:
            page.put(script, mathml_to_latex(source), "mathjax-mathml", display='display="block"' in source)
        except ValueError:
            return
    elif "tex" in kind:
        page.put(script, source, "mathjax-script", display=display)


def _drop_twin(script: ElementNode, tex: str) -> None:
    """IOP shows the formula of a script as an image beside it too."""
    for beside in (script.previous_element_sibling, script.next_element_sibling):
        image = beside if beside is None or beside.tag == "img" else beside.query_selector("img")
        if image is not None and tex and clean(image.getattr("alt") or "") == tex:
            image.decompose()


def _in_display(element: ElementNode) -> bool:
    """Whether the parent's class says that it holds a display formula."""
    parent = element.parent_element
    classes = (parent.class_name or "").lower() if parent is not None else ""
    return ("math" in classes and any(word in classes for word in _DISPLAY_PARENT)) or "katex-display" in classes
