"""Formulas written in plain HTML (`<i>x</i><sup>2</sup>`): Wikipedia's `texhtml`, pandoc without a math engine."""

from __future__ import annotations

from tasks.mine.formulas.markup import Node, parse
from tasks.mine.formulas.symbols import FUNCTIONS, join, to_latex

_SCRIPTS = {"sup": "^", "sub": "_"}


def html_to_latex(markup: str) -> str:
    """LaTeX of one serialised element.

    Raises:
        ValueError: the markup is larger than any formula.
    """
    return _convert(parse(markup)).strip()


def _convert(node: Node) -> str:
    return join(_pieces(node))


def _pieces(node: Node) -> list[str]:
    out: list[str] = []
    top, bottom = _fraction(node)
    for child in node.children:
        if isinstance(child, str):
            child = child if top is None else child.replace("⁄", "")
            words = child.replace("\xa0", " ").split(" ")
            out += [f"\\{w}" if w in FUNCTIONS else to_latex(w) if len(w) < 4 or not w.isalpha() else f"\\text{{{w}}}"
                    for w in words]  # fmt: skip
        elif child is top and bottom is not None:
            out.append(f"\\frac{{{_convert(top).strip()}}}{{{_convert(bottom).strip()}}}")
        elif child is bottom or "sr-only" in child.raw_attributes:
            pass
        elif child.tag in _SCRIPTS:
            tex = _convert(child).strip()
            out.append(f"{_SCRIPTS[child.tag]}{{{tex}}}" if tex else "")
        elif child.tag in ("b", "strong"):
            out.append(f"\\mathbf{{{_convert(child)}}}")
        elif child.tag == "br":
            out.append(" ")
        elif child.tag not in ("style", "script"):
            out.append(_convert(child))
    return out


def _fraction(node: Node) -> tuple[Node, Node] | tuple[None, None]:
    """Numerator and denominator among the children of Wikipedia's `{{sfrac}}` and `{{frac}}`."""
    named = {name: child for child in node.elements if child.raw_attributes for name in child.classes}
    top, bottom = named.get("num"), named.get("den")
    return (top, bottom) if top is not None and bottom is not None else (None, None)
