"""MathML's layouts around rows: tables, fences, prescripts, enclosures and spaces, as LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tasks.mine.formulas.markup import Node
from tasks.mine.formulas.mathml_names import ENCLOSURES, MATRICES, TALL
from tasks.mine.formulas.symbols import join, to_latex

Convert = Callable[[Node], str]
_SPACES = ((2.0, "\\qquad "), (1.0, "\\quad "), (0.27, "\\;"), (0.1, "\\,"))


def flat(nodes: Sequence[Node]) -> list[Node]:
    """Elements with plain groups opened, two levels deep."""
    out: list[Node] = []
    for node in nodes:
        out += node.elements if node.tag in ("mrow", "mstyle") else [node]
    return out


def only_table(nodes: Sequence[Node]) -> Node | None:
    """The `mtable` that is all there is in `nodes`, groups opened."""
    nodes = [n for n in nodes if n.tag != "mspace" and not (n.tag == "mo" and not n.text)]
    while len(nodes) == 1 and nodes[0].tag in ("mrow", "mstyle", "mpadded"):
        nodes = nodes[0].elements
    return nodes[0] if len(nodes) == 1 and nodes[0].tag == "mtable" else None


def table(node: Node, convert: Convert, environment: str = "") -> str:
    """Rows to an environment; a table of one labelled row is the row and its `\\tag`."""
    rows = [row for row in node.elements if row.tag in ("mtr", "mlabeledtr")]
    lines: list[str] = []
    for row in rows:
        cells = row.elements
        tag = ""
        if row.tag == "mlabeledtr" and cells:
            label = cells[0].text.strip("()")
            tag = f" \\tag{{{to_latex(label)}}}" if label else ""
            cells = cells[1:]
        lines.append(" & ".join(convert(cell).strip() for cell in cells) + tag)
    if not environment and len(rows) == 1 and " & " not in lines[0]:
        return lines[0]
    if not environment:
        attributes = node.attributes
        aligned = "right" in attributes.get("columnalign", "") or attributes.get("displaystyle") == "true"
        environment = "aligned" if aligned else "matrix"
    return f"\\begin{{{environment}}}" + " \\\\ ".join(lines) + f"\\end{{{environment}}}"


def fenced(node: Node, convert: Convert) -> str:
    """`mfenced`: fences and separators from its attributes (MathML 3, 3.3.8)."""
    attributes = node.attributes
    left, right = attributes.get("open", "("), attributes.get("close", ")")
    inner = node.elements
    if len(inner) == 1 and (body := only_table(inner)) is not None:
        environment = _matrix(left, right)
        if environment:
            return table(body, convert, environment)
    separators = attributes.get("separators", ",").split() or [""]
    pieces: list[str] = []
    for index, child in enumerate(inner):
        if index:
            pieces.append(to_latex(separators[min(index - 1, len(separators) - 1)]))
        pieces.append(convert(child))
    if any(n.tag in TALL for n in flat(inner)):
        return join([f"\\left{to_latex(left) or '.'}", *pieces, f"\\right{to_latex(right) or '.'}"])
    return join([to_latex(left), *pieces, to_latex(right)])


def _matrix(left: str, right: str) -> str:
    return "cases" if left == "{" and not right else MATRICES.get((left, right), "")


def multiscripts(node: Node, convert: Convert) -> str:
    """`mmultiscripts`: prescripts on an empty base, then the base with its scripts."""
    children = node.elements
    if not children:
        return ""
    split = next((i for i, c in enumerate(children) if c.tag == "mprescripts"), len(children))
    post, before = children[1:split], children[split + 1 :]
    return (
        (_script_run(before, "{}", convert) if before else "")
        + _atom(convert(children[0]))
        + _script_run(post, "", convert)
    )


def _atom(tex: str) -> str:
    return tex if len(tex) == 1 else f"{{{tex}}}"


def _script_run(scripts: Sequence[Node], base: str, convert: Convert) -> str:
    """Pairs of subscript and superscript, as `mmultiscripts` lists them."""
    down = join(convert(s) for s in scripts[0::2] if s.tag != "none").strip()
    up = join(convert(s) for s in scripts[1::2] if s.tag != "none").strip()
    marks = (f"_{{{down}}}" if down else "") + (f"^{{{up}}}" if up else "")
    return base + marks if marks else ""


def enclosed(node: Node, convert: Convert) -> str:
    """`menclose` by its notation; an unknown one is only its content."""
    inner = convert(Node("mrow", "", node.children))
    notation = node.attributes.get("notation", "longdiv")
    for name, command in ENCLOSURES:
        if name in notation:
            return f"\\{command}{{{inner}}}"
    return inner


def space(node: Node) -> str:
    """Horizontal space by its width, or a line break."""
    attributes = node.attributes
    if attributes.get("linebreak") == "newline":
        return " \\\\ "
    width = attributes.get("width", "")
    number = width[:-2]
    if not width.endswith("em") or not number.replace(".", "", 1).isdigit():
        return ""
    ems = float(number)
    return next((tex for least_ems, tex in _SPACES if ems >= least_ems), "")
