"""A walk as a picture: an SVG of its own, without graphviz; what things were made from stands to their left."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from html import escape

from warehouse.plain import plain
from warehouse.walk import Edge, Node, Trace

BOX_WIDTH, BOX_HEIGHT = 208, 44
COLUMN_GAP, ROW_GAP, MARGIN = 72, 14, 24
COLUMN_BOXES = 24
"""Boxes drawn of one column; the rest is counted."""
SWEEPS = 4

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1c2330 }
  .small { font-size: 10.5px; fill: #5b6472 }
  rect { fill: #fff; stroke: #9aa4b2; rx: 7 }
  .row rect { stroke: #2f6fde } .model rect { stroke: #8b46c9; fill: #f6effc } .table rect { fill: #f2f5f9 }
  .file rect { stroke-dasharray: 4 3 } .rejected rect { stroke: #c8372d; fill: #fdf0ef }
  .start rect { stroke-width: 2.5 }
  path { fill: none; stroke: #9aa4b2; stroke-width: 1.2 } .row-edge { stroke: #2f6fde } .model-edge { stroke: #8b46c9 }
  .rejected-edge { stroke: #c8372d } .sample-edge, .beside-edge { stroke-dasharray: 4 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e9ef } .small { fill: #a3acba } rect { fill: #1b212b; stroke: #667080 }
    .table rect { fill: #222a36 } .model rect { fill: #2b2037 } .rejected rect { fill: #38201f }
  }
"""


def picture(found: Trace) -> str:
    """SVG text: one column a step, the start's box in a heavier line, whole facts as tooltips."""
    nodes, edges = _gathered(found)
    columns = _columns(nodes, edges)
    place: dict[str, tuple[float, float]] = {}
    tallest = min(max(len(keys) for keys in columns), COLUMN_BOXES)
    height = tallest * (BOX_HEIGHT + ROW_GAP) - ROW_GAP + 2 * MARGIN + 18
    width = len(columns) * (BOX_WIDTH + COLUMN_GAP) - COLUMN_GAP + 2 * MARGIN
    body: list[str] = []
    for number, keys in enumerate(columns):
        shown = keys[:COLUMN_BOXES]
        top = (height - len(shown) * (BOX_HEIGHT + ROW_GAP) + ROW_GAP) / 2
        for row, key in enumerate(shown):
            place[key] = (MARGIN + number * (BOX_WIDTH + COLUMN_GAP), top + row * (BOX_HEIGHT + ROW_GAP))
            body.append(_box(nodes[key], *place[key], start=key in found.start))
        if len(keys) > len(shown):
            x, y = place[shown[-1]]
            more = f"and {len(keys) - len(shown)} more"
            body.append(f'<text class="small" x="{x}" y="{y + BOX_HEIGHT + 13}">{more}</text>')
    lines = [_line(place[e.source], place[e.made], e.how) for e in edges if e.source in place and e.made in place]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:.0f}"'
            f' viewBox="0 0 {width} {height:.0f}" role="img"><title>Lineage of {escape(_title(found))}</title>'
            f"<style>{STYLE}</style>\n" + "\n".join(lines + body) + "\n</svg>\n")  # fmt: skip


def _gathered(found: Trace) -> tuple[dict[str, Node], list[Edge]]:
    """The walk with files from outside that the same calls read drawn as one box."""
    readers: dict[str, list[str]] = defaultdict(list)
    for edge in found.edges:
        if found.nodes[edge.source].kind == "file":
            readers[edge.source].append(edge.made)
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for file, made in readers.items():
        groups[tuple(made)].append(file)
    nodes, instead = dict(found.nodes), dict[str, str]()
    for files in (group for group in groups.values() if len(group) > 1):
        names = [nodes[file].artifact for file in files]
        one = replace(
            nodes[files[0]],
            artifact=f"{len(files)} files",
            stage=names[0],
            facts={str(number): name for number, name in enumerate(names)},
        )
        nodes = {key: node for key, node in nodes.items() if key not in files} | {one.key: one}
        instead |= dict.fromkeys(files, one.key)
    moved = (replace(edge, source=instead.get(edge.source, edge.source)) for edge in found.edges)
    return nodes, list(dict.fromkeys(moved))


def _columns(nodes: dict[str, Node], edges: list[Edge]) -> list[list[str]]:
    """Keys by column, ancestors left: a source stands left of all that it went into (longest way from the start).

    Columns are ordered so that lines cross little (barycentre sweeps).
    """
    step = {key: -node.depth for key, node in nodes.items()}
    for _ in nodes:  # a walk has no ring but a model and what was written beside it, told from both sides
        for edge in edges:
            source, made = nodes[edge.source], nodes[edge.made]
            if source.depth > 0 and step[source.key] >= step[made.key]:
                step[source.key] = max(step[made.key] - 1, -len(nodes))
            elif source.depth <= 0 and made.depth < 0 and step[made.key] <= step[source.key]:
                step[made.key] = min(step[source.key] + 1, len(nodes))
    near: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        near[edge.source].append(edge.made)
        near[edge.made].append(edge.source)
    columns: dict[int, list[str]] = defaultdict(list)
    for key in nodes:
        columns[step[key]].append(key)
    for _ in range(SWEEPS):
        rank = {key: i / len(keys) for keys in columns.values() for i, key in enumerate(keys)}
        for keys in columns.values():
            keys.sort(key=lambda key: sum(rank[n] for n in near[key]) / max(len(near[key]), 1))
    return [columns[place] for place in sorted(columns)]


def _box(node: Node, x: float, y: float, *, start: bool) -> str:
    under = {"row": node.facts.get("id", "")[:16], "rejected": node.facts.get("reason", "")}.get(node.kind, node.stage)
    # Control characters have no place in XML: no browser would show the picture.
    tip = plain("\n".join(f"{k}: {str(v)[:200]}" for k, v in node.facts.items() if v not in (None, "", [])))
    name = f"rejected by {node.stage}" if node.kind == "rejected" else node.artifact
    return (f'<g class="{node.kind}{" start" if start else ""}"><title>{escape(tip)}</title>'
            f'<rect x="{x}" y="{y:.1f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}"/>'
            f'<text x="{x + 10}" y="{y + 18:.1f}">{escape(_clip(name, 30))}</text>'
            f'<text class="small" x="{x + 10}" y="{y + 34:.1f}">{escape(_clip(under, 36))}</text></g>')  # fmt: skip


def _line(source: tuple[float, float], made: tuple[float, float], how: str) -> str:
    """A curve from the source's right side to the left side of what was made from it."""
    (x, y), (u, v) = source, made
    x, y, v = x + BOX_WIDTH, y + BOX_HEIGHT / 2, v + BOX_HEIGHT / 2
    bend = max(abs(u - x) / 2, 24)
    return f'<path class="{how}-edge" d="M{x} {y:.1f}C{x + bend:.1f} {y:.1f} {u - bend:.1f} {v:.1f} {u} {v:.1f}"/>'


def _title(found: Trace) -> str:
    return ", ".join(found.nodes[key].artifact for key in found.start)


def _clip(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 1] + "…"
