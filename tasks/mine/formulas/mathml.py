"""Presentation MathML to LaTeX (W3C MathML Core and MathML 3, chapter 3), where no TeX source came with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tasks.mine.formulas.markup import Node, parse
from tasks.mine.formulas.mathml_layout import enclosed, fenced, flat, multiscripts, only_table, space, table
from tasks.mine.formulas.mathml_names import (
    ACCENTS,
    CLOSE,
    LIMITS,
    MATRICES,
    OPEN,
    TALL,
    UNDER,
    VARIANTS,
    WIDE,
)
from tasks.mine.formulas.symbols import FUNCTIONS, join, to_latex

_WIRIS = str.maketrans("«»¨§`", "<>\"&'")


def mathml_to_latex(markup: str) -> str:
    """LaTeX of one serialised `<math>` element.

    Raises:
        ValueError: the markup is larger than any formula.
    """
    return node_to_latex(parse(markup))


def attribute_to_latex(markup: str) -> str:
    """LaTeX of a `<math>` element in an attribute, perhaps in WIRIS's spelling `«mo»§lt;«/mo»`; '' if too large."""
    if markup.startswith("«"):
        markup = markup.translate(_WIRIS)
    try:
        return mathml_to_latex(markup)
    except ValueError:
        return ""


def node_to_latex(node: Node) -> str:
    """LaTeX of a MathML tree."""
    return _row(node.elements).strip() if node.tag == "#root" else _convert(node).strip()


def tex_annotation(node: Node) -> str | None:
    """The TeX that a `semantics` element carries beside its MathML, if any."""
    for child in node.elements:
        if child.tag == "annotation" and child.attributes.get("encoding", "").lower().endswith("tex"):
            return "".join(c for c in child.children if isinstance(c, str))
    return None


def _convert(node: Node) -> str:
    handler = _HANDLERS.get(node.tag)
    if handler is not None:
        return handler(node)
    return _row(node.elements) if node.elements else to_latex(node.text)


def _row(nodes: Sequence[Node]) -> str:
    """Children side by side; a fence around a table makes a matrix, around something tall a `\\left … \\right`."""
    nodes = [n for n in nodes if n.tag not in ("annotation", "annotation-xml", "mprescripts", "none")]
    if len(nodes) > 1:
        left, right = nodes[0], nodes[-1]
        opening = left.text if left.tag == "mo" else ""
        closing = right.text if right.tag == "mo" else ""
        if opening in OPEN:
            inner = nodes[1:-1]
            closes = closing in CLOSE
            body = only_table(inner if closes else nodes[1:])
            if body is not None:
                if closes and (opening, closing) in MATRICES:
                    return table(body, _convert, MATRICES[opening, closing])
                if opening == "{" and (not closes or not closing):
                    return table(body, _convert, "cases")
            if closes and len(inner) > 0 and any(n.tag in TALL for n in flat(inner)):
                if len(inner) == 1 and inner[0].tag == "mfrac" and opening == "(" and _no_line(inner[0]):
                    top, bottom = map(_convert, _pair(inner[0]))
                    return f"\\binom{{{top}}}{{{bottom}}}"
                if not any(n.tag == "mo" and n.text in (opening, closing) for n in inner):
                    return join([f"\\left{to_latex(opening)}", _row(inner), f"\\right{to_latex(closing)}"])
    return join(map(_convert, nodes))


def _pair(node: Node) -> tuple[Node, Node]:
    children = [*node.elements, Node("mrow"), Node("mrow")]
    return children[0], children[1]


def _three(node: Node) -> tuple[Node, Node, Node]:
    children = [*node.elements, Node("mrow"), Node("mrow"), Node("mrow")]
    return children[0], children[1], children[2]


def _identifier(node: Node) -> str:
    text = node.text
    if text in FUNCTIONS:
        return f"\\{text}"
    variant = node.attributes.get("mathvariant", "").lower() if node.raw_attributes else ""
    if variant in VARIANTS:
        inner = to_latex(text)
        command = "boldsymbol" if inner.startswith("\\") and "bold" in variant else VARIANTS[variant]
        return f"\\{command}{{{inner}}}"
    if len(text) > 1 and text.isascii() and text.isalpha():
        return f"\\mathrm{{{text}}}" if node.tag == "mi" else f"\\operatorname{{{text}}}"
    if variant == "normal" and text.isascii() and text.isalpha():
        return f"\\mathrm{{{text}}}"
    return to_latex(text)


def _text(node: Node) -> str:
    raw = node.text if node.elements else "".join(c for c in node.children if isinstance(c, str))
    raw = raw.replace("\xa0", " ")
    if not raw.strip():
        return "\\ " if raw else ""
    lead, trail = raw[:1].isspace() and "\n" not in raw, raw[-1:].isspace() and "\n" not in raw
    words = " ".join(raw.split())
    for char in "%#&$_":
        words = words.replace(char, "\\" + char)
    return f"\\text{{{' ' * lead}{words}{' ' * trail}}}"


def _fraction(node: Node) -> str:
    top, bottom = map(_convert, _pair(node))
    if _no_line(node):
        return f"{{{top} \\atop {bottom}}}"
    return f"\\frac{{{top}}}{{{bottom}}}"


def _no_line(node: Node) -> bool:
    return node.attributes.get("linethickness", "").strip().rstrip("emptxin%") in ("0", "0.0")


def _base(node: Node) -> str:
    """A script's base: grouped unless it is one atom, so that `{a b}^2` keeps its meaning."""
    tex = _convert(node)
    if node.tag in ("mi", "mo", "mn", "mtext") and (len(tex) <= 1 or tex.startswith("\\") or tex.isdigit()):
        return tex or "{}"
    if node.tag in ("mrow", "mstyle", "mpadded") and (len(tex) == 1 or _is_fenced(tex)):
        return tex
    if node.tag in ("munder", "munderover", "mover", "msqrt", "mfrac"):
        return tex
    return f"{{{tex}}}"


def _is_fenced(tex: str) -> bool:
    return tex.startswith("\\left") and tex.count("\\left") == 1 and "\\right" in tex[-10:]


def _script(node: Node) -> str:
    mark = "^" if node.tag == "msup" else "_"
    base, script = _pair(node)
    tex = _convert(script).strip()
    if mark == "^" and tex in ("\\prime", "'", "\\prime\\prime", "''", "^{\\circ}"):
        return _base(base) + {"^{\\circ}": "^{\\circ}"}.get(tex, "'" * max(tex.count("prime"), tex.count("'")))
    return f"{_base(base)}{mark}{{{tex}}}" if tex else _convert(base)


def _both(node: Node) -> str:
    base, low, high = _three(node)
    down, up = _convert(low).strip(), _convert(high).strip()
    up = "'" * up.count("prime") if up.replace("\\prime", "") == "" and up else f"^{{{up}}}" if up else ""
    return _base(base) + (f"_{{{down}}}" if down else "") + up


def _over(node: Node) -> str:
    base, mark = _pair(node)
    accent = ACCENTS.get(mark.text) if mark.tag in ("mo", "mi", "mtext") or mark.tag == "mrow" else None
    inner = _convert(base)
    if accent:
        single = len(base.text) <= 1
        return f"\\{accent if single else WIDE.get(accent, accent)}{{{inner}}}"
    if _is_limit_base(base) or inner.startswith("\\overbrace"):
        return f"{inner}^{{{_convert(mark)}}}"
    if base.text in ("→", "⟶", "←", "=") and mark.tag != "mo":
        command = {"=": "xlongequal", "←": "xleftarrow"}.get(base.text, "xrightarrow")
        return f"\\overset{{{_convert(mark)}}}{{=}}" if base.text == "=" else f"\\{command}{{{_convert(mark)}}}"
    return f"\\overset{{{_convert(mark)}}}{{{inner}}}"


def _under(node: Node) -> str:
    base, mark = _pair(node)
    inner = _convert(base)
    if mark.tag in ("mo", "mtext") and mark.text in UNDER:
        return f"\\{UNDER[mark.text]}{{{inner}}}"
    if _is_limit_base(base) or inner.startswith("\\underbrace"):
        return f"{inner}_{{{_convert(mark)}}}"
    return f"\\underset{{{_convert(mark)}}}{{{inner}}}"


def _under_over(node: Node) -> str:
    base, low, high = _three(node)
    inner, down, up = _convert(base), _convert(low), _convert(high)
    return inner + (f"_{{{down}}}" if down else "") + (f"^{{{up}}}" if up else "")


def _is_limit_base(node: Node) -> bool:
    while len(node.elements) == 1:
        node = node.elements[0]
    return not node.elements and node.text.replace("\u2061", "") in LIMITS


def _semantics(node: Node) -> str:
    return (tex_annotation(node) or "").strip() or (_convert(node.elements[0]) if node.elements else "")


def _operator(node: Node) -> str:
    text = node.text
    if text in FUNCTIONS or (len(text) > 1 and text.isascii() and text.isalpha()):
        return _identifier(node)
    return to_latex(text)


_HANDLERS: dict[str, Callable[[Node], str]] = {
    "mi": _identifier,
    "mn": lambda node: to_latex(node.text.replace("\xa0", "")),
    "mo": _operator,
    "mtext": _text,
    "ms": _text,
    "mspace": space,
    "mfrac": _fraction,
    "msqrt": lambda node: f"\\sqrt{{{_row(node.elements)}}}",
    "mroot": lambda node: "\\sqrt[{1}]{{{0}}}".format(*map(_convert, _pair(node))),
    "msup": _script,
    "msub": _script,
    "msubsup": _both,
    "mover": _over,
    "munder": _under,
    "munderover": _under_over,
    "mmultiscripts": lambda node: multiscripts(node, _convert),
    "mtable": lambda node: table(node, _convert),
    "mfenced": lambda node: fenced(node, _convert),
    "menclose": lambda node: enclosed(node, _convert),
    "mphantom": lambda node: f"\\phantom{{{_row(node.elements)}}}",
    "maction": lambda node: _convert(node.elements[0]) if node.elements else "",
    "semantics": _semantics,
    "annotation": lambda _: "",
    "annotation-xml": lambda _: "",
}
