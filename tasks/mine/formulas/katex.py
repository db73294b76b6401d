"""KaTeX's visual HTML without its MathML: boxes with known classes, heights in their styles, back to MathML."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tasks.mine.formulas.markup import Node, parse
from tasks.mine.formulas.mathml import node_to_latex

_TOP = re.compile(r"\btop:\s*(-?[\d.]+)em")
_VARIANTS = {"mathbf": "bold", "mathbb": "double-struck", "mathcal": "script", "mathscr": "script",
             "mathfrak": "fraktur", "mathsf": "sans-serif", "mathtt": "monospace", "boldsymbol": "bold-italic",
             "mathrm": "normal"}  # fmt: skip
_SKIPPED = frozenset(["strut", "pstrut", "vlist-s", "frac-line", "nulldelimiter", "mspace", "katex-mathml", "rule",
                      "hide-tail", "arraycolsep", "sqrt-sign", "overline-line", "underline-line"])  # fmt: skip
_OPERATORS = frozenset(["mbin", "mrel", "mopen", "mclose", "mpunct", "mop"])
_SUPERSCRIPT_TOP_EM = -2.75
"""A lone script box above this (its `top` is smaller) is a superscript."""


def katex_to_latex(markup: str) -> str:
    """LaTeX of one serialised `.katex` or `.katex-html` element.

    Raises:
        ValueError: the markup is larger than any formula.
    """
    return node_to_latex(Node("#root", children=[*_boxes(parse(markup).children)]))


def _boxes(children: Sequence[Node | str]) -> list[Node]:
    out: list[Node] = []
    for child in children:
        if isinstance(child, str):
            out += [_leaf(char, []) for char in child if not char.isspace() and char != "\u200b"]
        elif not _SKIPPED.intersection(child.classes):
            out += _box(child, out)
    return out


def _box(node: Node, before: list[Node]) -> list[Node]:
    """MathML of one box; a `msupsub` takes its base, the last element of `before`, away from there."""
    classes = node.classes
    if "msupsub" in classes:
        base = before.pop() if before else Node("mrow")
        return [_scripts(base, _rows(node), limits=False)]
    if "mfrac" in classes:
        parts = [_group(content) for _, content in _rows(node)]
        return [Node("mfrac", "", [parts[0], parts[-1]])] if len(parts) >= 2 else parts
    if "sqrt" in classes:
        index = next((c for c in node.elements if "root" in c.classes), None)
        body = [n for child in node.elements if child is not index for n in _boxes([child])]
        return [Node("mroot", "", [_group(body), _group(_boxes([index]))]) if index else Node("msqrt", "", [*body])]
    if "op-limits" in classes:
        limits = _rows(node)
        at = next((i for i, (_, content) in enumerate(limits) if any(n.tag == "mo" for n in content)), 0)
        marks = [(-9.0 if i < at else 0.0, content) for i, (_, content) in enumerate(limits) if i != at]
        return [_scripts(_group(limits[at][1]), marks, limits=True)] if limits else []
    if "accent" in classes:
        rows = [c for _, c in _rows(node) if c]
        return (
            [Node("mover", "", [_group(rows[-1]), _group(rows[0])])] if len(rows) >= 2 else [n for r in rows for n in r]
        )
    if "overline" in classes or "underline" in classes:
        return [
            Node("menclose", f'notation="{"top" if "overline" in classes else "bottom"}"', [*_boxes(node.children)])
        ]
    if "mtable" in classes:
        columns = [_rows(c) for c in node.elements if any(name.startswith("col-align") for name in c.classes)]
        height = max(map(len, columns), default=0)
        cells = [[Node("mtd", "", [*(c[i][1] if i < len(c) else [])]) for c in columns] for i in range(height)]
        right = any("col-align-r" in c.classes for c in node.elements)
        return [Node("mtable", 'columnalign="right"' * right, [Node("mtr", "", [*row]) for row in cells])]
    if "text" in classes:
        return [Node("mtext", "", [node.raw_text])]
    if "mathnormal" in classes and not node.elements:
        return [_leaf(char, classes) for char in node.text]
    if not node.elements and node.text:
        return [_leaf(node.text, classes)]
    content = _boxes(node.children)
    if "mop" in classes and content and all(n.tag == "mi" for n in content):
        return [Node("mi", "", ["".join(n.text for n in content)])]
    return content if len(content) <= 1 or "base" in classes or "katex-html" in classes else [_group(content)]


def _leaf(text: str, classes: Sequence[str]) -> Node:
    if _OPERATORS.intersection(classes):
        text = text if "mrel" in classes else text.replace("∣", "|")
        return Node("mi" if len(text) > 1 and text.isalpha() else "mo", "", [text])
    text = text.replace("∣", "|")
    variant = next((f'mathvariant="{_VARIANTS[c]}"' for c in classes if c in _VARIANTS), "")
    if text.isdigit():
        return Node("mn", "", [text])
    return Node("mi" if text[:1].isalpha() else "mo", variant, [text])


def _rows(node: Node) -> list[tuple[float, list[Node]]]:
    """Contents of the nearest vertical list, with their `top` in em, from the highest to the lowest."""
    vlist = _find_vlist(node)
    rows: list[tuple[float, list[Node]]] = []
    for child in vlist.elements if vlist else []:
        top = _TOP.search(child.attributes.get("style", ""))
        content = _boxes(child.children)
        if content:
            rows.append((float(top[1]) if top else 0.0, content))
    if any(top for top, _ in rows):
        return sorted(rows, key=lambda row: row[0])
    return rows[::-1]


def _find_vlist(node: Node) -> Node | None:
    level = node.elements
    while level:
        for child in level:
            if "vlist" in child.classes:
                return child
        level = [grandchild for child in level for grandchild in child.elements]
    return None


def _scripts(base: Node, rows: list[tuple[float, list[Node]]], *, limits: bool) -> Node:
    over, under = ("mover", "munder") if limits else ("msup", "msub")
    if len(rows) >= 2:
        return Node("munderover" if limits else "msubsup", "", [base, _group(rows[-1][1]), _group(rows[0][1])])
    if not rows:
        return base
    top, content = rows[0]
    return Node(
        over if top < _SUPERSCRIPT_TOP_EM or (top == 0.0 and not limits) else under, "", [base, _group(content)]
    )


def _group(nodes: Sequence[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else Node("mrow", "", [*nodes])
