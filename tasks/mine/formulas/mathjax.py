"""MathJax output without its source: the glyph boxes of CHTML, CommonHTML, HTML-CSS and SVG back to MathML.

Every box keeps the name of the MathML element that it draws (`mjx-mfrac`, `class="mjx-mfrac"`, `class="mfrac"`,
`data-mml-node="mfrac"`), and every glyph its code point (`class="mjx-c1D465"`, `data-c="1D465"`), so that only
the places of scripts have to be read from the layout.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tasks.mine.formulas.markup import Node, parse
from tasks.mine.formulas.mathml import node_to_latex

_GLYPH = re.compile(r"\bmjx-c([0-9A-F]{2,5})\b")
_TRANSLATE = re.compile(r"translate\(\s*[-\d.]+[\s,]+([-\d.]+)")
_TOP = re.compile(r"\btop:\s*(-?[\d.]+)em")
_NAMES = frozenset(["mi", "mo", "mn", "mtext", "ms", "mspace", "mfrac", "msqrt", "mroot", "msup", "msub", "msubsup",
                    "munder", "mover", "munderover", "mtable", "mtr", "mlabeledtr", "mtd", "mfenced", "menclose",
                    "mphantom", "mmultiscripts", "mrow", "mstyle", "mpadded", "math", "texatom", "merror",
                    "semantics"])  # fmt: skip
_LEAVES = frozenset(["mi", "mo", "mn", "mtext", "ms"])
_PARTS = frozenset(["num", "den", "numerator", "denominator", "base", "over", "under", "op", "script", "sub", "sup",
                    "box", "root", "surd", "stack"])  # fmt: skip
_LAYOUT = ("munder", "mover", "munderover", "msub", "msup", "msubsup")


def mathjax_to_latex(markup: str) -> str:
    """LaTeX of one serialised `mjx-container`, `.MathJax`, `.mjx-chtml` or MathJax SVG element; '' if unreadable.

    Raises:
        ValueError: the markup is larger than any formula.
    """
    boxes = _boxes(parse(markup))
    return node_to_latex(Node("#root", children=list(boxes)))


def _kind(node: Node) -> str:
    """Name of the MathML element, or of the part of one, that a box draws; '' for mere layout."""
    if node.tag.startswith("mjx-"):
        return node.tag[4:]
    if "data-mml-node" in node.raw_attributes:
        return node.attributes.get("data-mml-node", "").lower()
    if node.tag == "span" and "class=" in node.raw_attributes:
        for name in node.classes:
            short = name.removeprefix("mjx-").lower()
            if short in _NAMES or (short != name and short in _PARTS):
                return short
    return ""


def _boxes(node: Node) -> list[Node]:
    """MathML elements drawn inside `node`, in order, layout boxes opened."""
    out: list[Node] = []
    for child in node.elements:
        kind = _kind(child)
        if kind in ("assistive-mml", "speech", "labels", "surd", "mspace", "nstrut", "dstrut", "line", "spacer"):
            continue
        if kind in _LEAVES:
            out.append(Node(kind, _variant(child), [_glyphs(child)]))
        elif kind in _NAMES:
            out.append(_element(kind, child))
        else:
            out += _boxes(child)
    return out


def _element(kind: str, node: Node) -> Node:
    if kind == "mfrac":
        top, bottom = _part(node, "num", "numerator"), _part(node, "den", "denominator")
        if top is not None and bottom is not None:
            bare = node.tag.startswith("mjx-") and node.first("mjx-line") is None
            return Node("mfrac", 'linethickness="0"' * bare, [_group(_boxes(top)), _group(_boxes(bottom))])
        return Node("mfrac", "", [*_boxes(node)])
    if kind in ("msqrt", "mroot"):
        return _root(node)
    if kind in _LAYOUT:
        return _scripts(kind, node)
    if kind in ("math", "texatom", "merror"):
        kind = "mrow"
    if kind == "mtable":
        first = node.first("mjx-mtd")
        right = first is not None and "text-align: right" in first.raw_attributes
        return Node(kind, 'columnalign="right"' if right else node.raw_attributes, [*_boxes(node)])
    return Node(kind, "", [*_boxes(node)])


def _root(node: Node) -> Node:
    index, radicand = _part(node, "root"), _part(node, "box")
    if index is not None and radicand is not None:
        return Node("mroot", "", [_group(_boxes(radicand)), _group(_boxes(index))])
    body = [box for box in _boxes(node) if not (box.tag == "mo" and box.text == "√")]
    if _kind(node) == "mroot" and len(body) == 2:
        first_is_index = bool(node.elements) and "scale(" in node.elements[0].raw_attributes
        return Node("mroot", "", [*(body[::-1] if first_is_index else body)])
    return Node("msqrt", "", [*body])


def _scripts(kind: str, node: Node) -> Node:
    """Base, subscript and superscript of a script or limit box, found by part names or else by their height."""
    base, over, under = _part(node, "base", "op"), _part(node, "over", "sup"), _part(node, "under", "sub")
    if base is not None and (over is not None or under is not None):
        low = _group(_boxes(under)) if under is not None else None
        high = _group(_boxes(over)) if over is not None else None
        return _scripted(kind, _group(_boxes(base)), low, high)
    script = next((child for child in node.elements if _kind(child) == "script"), None)
    if script is not None:
        rest = Node("#root", children=[c for c in node.children if c is not script])
        marks = _boxes(script)
        both = kind in ("msubsup", "munderover") and len(marks) == 2
        low, high = (marks[1], marks[0]) if both else (_group(marks), None)
        if kind in ("msup", "mover"):
            low, high = None, _group(marks)
        return _scripted(kind.replace("munder", "msub").replace("mover", "msup"), _group(_boxes(rest)), low, high)
    return _by_height(kind, node)


def _by_height(kind: str, node: Node) -> Node:
    """SVG and HTML-CSS: the base comes first; of two scripts, the higher one is the superscript."""
    placed = [(child, _boxes(Node("#root", children=[child]))) for child in node.elements]
    placed = [(child, boxes) for child, boxes in placed if boxes]
    if len(placed) < 2:
        return _group(placed[0][1] if placed else [])
    base = _group(placed[0][1])
    marks = [(_height(child, _height(placed[0][0], 0.0)), _group(boxes)) for child, boxes in placed[1:3]]
    if len(marks) == 2:
        marks.sort(key=lambda mark: -mark[0])
        return _scripted(kind, base, marks[1][1], marks[0][1])
    height, mark = marks[0]
    up = kind in ("msup", "mover") or (kind in ("msubsup", "munderover") and height > 0)
    return _scripted(kind, base, None if up else mark, mark if up else None)


def _height(node: Node, base: float) -> float:
    """Height of a box over its base: SVG units up, or CSS `top` (which grows downwards) in em."""
    attributes = node.attributes
    up = _TRANSLATE.search(attributes.get("transform", ""))
    if up:
        return float(up[1])
    down = _TOP.search(attributes.get("style", ""))
    return -float(down[1]) - base if down else 0.0


def _scripted(kind: str, base: Node, low: Node | None, high: Node | None) -> Node:
    limits = kind.startswith(("munder", "mover"))
    if low is not None and high is not None:
        return Node("munderover" if limits else "msubsup", "", [base, low, high])
    if low is not None:
        return Node("munder" if limits else "msub", "", [base, low])
    return Node("mover" if limits else "msup", "", [base, high or Node("mrow")])


def _part(node: Node, *names: str) -> Node | None:
    """The nearest box below `node` that is its numerator, base, limit …, not looking into other elements' boxes."""
    level = [node]
    while level:
        level = [child for parent in level for child in parent.elements]
        for child in level:
            if _kind(child) in names:
                return child
        level = [c for c in level if (k := _kind(c)) not in _NAMES or (k in _LAYOUT and c.elements and k != "msub")]
        level = [c for c in level if _kind(c) not in _PARTS or _kind(c) in ("box", "stack")]
    return None


def _group(nodes: Sequence[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else Node("mrow", "", [*nodes])


def _variant(node: Node) -> str:
    """The `mathvariant` that glyph classes tell (`TEX-B` bold, `TEX-A` double-struck …) for plain code points."""
    return 'mathvariant="normal"' if "mjx-n" in node.classes and node.tag == "mjx-mi" else ""


def _glyphs(node: Node) -> str:
    """Characters of a leaf box: code points in class or `data-c`, or real text."""
    out: list[str] = []
    for child in node.children:
        if isinstance(child, str):
            out.append(child.strip("\n\t ") if child.isspace() and "\n" in child else child)
            continue
        glyph = _GLYPH.search(child.raw_attributes) if "mjx-c" in child.raw_attributes else None
        code = glyph[1] if glyph else child.attributes.get("data-c", "") if "data-c=" in child.raw_attributes else ""
        try:
            out.append(chr(int(code, 16)) if code else _glyphs(child))
        except (ValueError, OverflowError):
            continue
    return "".join(out)
