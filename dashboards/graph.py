"""Stages and artifacts as a Graphviz graph: the DAG of a pipeline, and what an artifact came from."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dashboards.look import STATES
from warehouse.plain import plain

FILL = {
    False: {"failed": "#fbe3e3", "abandoned": "#fbe3e3", "running": "#e0edf8", "done": "#e4f4ea", "planned": "#f1f2f4"},
    True: {"failed": "#5a2226", "abandoned": "#5a2226", "running": "#1d3a57", "done": "#1d4330", "planned": "#33363d"},
}
INK = {False: "#1f2430", True: "#f2f3f5"}


@dataclass(frozen=True)
class Box:
    """One node."""

    key: str
    head: str
    lines: tuple[str, ...]
    state: str
    group: str = ""


def draw(boxes: Sequence[Box], edges: Iterable[tuple[str, str]], *, is_dark: bool) -> str:
    """A DOT text, top to bottom; boxes of one group stand in one frame. The background is the page's own."""
    ink, fill = INK[is_dark], FILL[is_dark]
    font = 'fontname="Helvetica,Arial,sans-serif"'
    out = [
        "digraph {",
        f'bgcolor="transparent"; ranksep=0.35; nodesep=0.25; {font}; fontcolor="{ink}"; fontsize=13;',
        f'node [shape=box, style="rounded,filled", {font}, fontsize=12, margin="0.14,0.07", fontcolor="{ink}"];',
        'edge [color="#8a8f98", arrowsize=0.6];',
    ]
    groups: Mapping[str, list[Box]] = defaultdict(list)
    for box in boxes:
        groups[box.group].append(box)
    for number, (group, members) in enumerate(groups.items()):
        nodes = [_node(box, fill) for box in members]
        if group:
            out.append(f'subgraph cluster_{number} {{ label={_text(group)}; labeljust=l; style="rounded,dashed";'
                       f' color="#8a8f98"; fontcolor="{ink}"; {" ".join(nodes)} }}')  # fmt: skip
        else:
            out += nodes
    known = {box.key for box in boxes}
    out += [f"{_text(a)} -> {_text(b)};" for a, b in dict.fromkeys(edges) if a in known and b in known and a != b]
    return "\n".join([*out, "}"])


def _node(box: Box, fill: Mapping[str, str]) -> str:
    sign, border = STATES.get(box.state, STATES["planned"])
    label = "\n".join([f"{sign} {box.head}", *box.lines])
    width = 2.6 if box.state in ("failed", "abandoned") else 1.2
    return (f'{_text(box.key)} [label={_text(label)}, fillcolor="{fill.get(box.state, fill["planned"])}",'
            f' color="{border}", penwidth={width}];')  # fmt: skip


def _text(text: str) -> str:
    """A DOT string: what JSON escapes, DOT reads the same way; newlines become line breaks."""
    lines = [json.dumps(plain(line).replace("\\", "/"), ensure_ascii=False)[1:-1] for line in text.split("\n")]
    return '"' + "\\n".join(lines) + '"'
