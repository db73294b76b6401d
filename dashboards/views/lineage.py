"""Lineage: from a score, a model, a table or a row to what it was made from, step by step, down to the WARC file."""

from __future__ import annotations

from typing import Any

import polars as pl
import streamlit as st

from dashboards import look, read
from dashboards.graph import Box, draw
from dashboards.source import Source
from warehouse.lineage import Lineage
from warehouse.plain import plain
from warehouse.tables import Tables
from warehouse.walk import Edge, Limits, Node, Trace, Walk

ROWS = 12
"""Rows offered of each table."""
TELLING = ("prompt", "problem", "title", "url", "text", "metric", "domain", "source_file", "question")
ORIGIN = ("source_file", "offset", "length", "digest", "url", "crawl_date")
LONG = 90
DEEP = 12


def page() -> None:
    """Draw the page."""
    look.title("Lineage", "From a score to the page it came from: choose where to begin, then follow it.")
    heads = read.heads()
    if "lineage" not in heads:
        st.info("Nothing has run here yet. `rigor run mine` makes the first tables.")
        return
    first = _begin(heads)
    at = st.query_params.get("at", first)
    if not at:
        return
    try:
        up = _step(Source().warehouse, heads["lineage"], at, "up")
        down = _step(Source().warehouse, heads["lineage"], at, "down")
    except (LookupError, ValueError) as error:
        st.error(look.md(error))
        return
    _path(at, up)
    for key in up.start:
        _node(up.nodes[key])
    _neighbours(heads["lineage"], up, down)
    if not _is_row(up):
        _picture(heads["lineage"], up)


def _is_row(trace: Trace) -> bool:
    return trace.nodes[trace.start[0]].kind == "row"


@st.cache_resource(max_entries=4, show_spinner=False)
def _lineage(uri: str, head: int) -> Lineage:  # noqa: ARG001 the head is for the cache
    return Lineage(Tables(uri, Source().storage_options))


@st.cache_data(max_entries=256, show_spinner="Following the lineage …")
def _step(uri: str, head: int, target: str, direction: str) -> Trace:
    """One step from `target`."""
    return Walk(_lineage(uri, head), Limits(depth=1, rows=ROWS, sample=ROWS)).trace(target, direction)


@st.cache_data(max_entries=32, show_spinner=False)
def _above(uri: str, head: int, target: str) -> Trace:
    return Walk(_lineage(uri, head), Limits(depth=DEEP, rows=1)).trace(target, "up")


def _go(target: str) -> None:
    st.query_params["at"] = target


def _begin(heads: dict[str, int]) -> str:
    """The ways to begin; returns what the one on show begins with."""
    kinds = ["A score", "A model or table", "A row's id"]
    how = look.choose("Begin with", kinds if "evals" in heads else kinds[1:], "lineage-begin")
    if how == "A score":
        return _begin_with_score(heads["evals"])
    if how == "A model or table":
        calls = read.calls()
        names = [f"{c['name']}@{c['version']}" for c in reversed(calls.select("name", "version").to_dicts())]
        left, right = st.columns([5, 1], vertical_alignment="bottom")
        chosen = left.selectbox("Artifact, newest first", list(dict.fromkeys(names)), key="lineage-artifact")
        right.button("Follow", on_click=_go, args=(chosen,), width="stretch", key="go-artifact", type="primary")
        return str(chosen)
    with st.form("lineage-row", border=False):
        left, right = st.columns([5, 1], vertical_alignment="bottom")
        text = left.text_input("Id of a row, or its first 6 digits and more", key="lineage-id")
        if right.form_submit_button("Follow", width="stretch", type="primary") and text.strip():
            _go(text.strip())
    return ""


def _begin_with_score(head: int) -> str:
    scores = _scores(Source().warehouse, head)
    cells = st.columns([2, 2, 2, 2, 1], vertical_alignment="bottom")
    model = cells[0].selectbox("Model", scores["model"].unique(maintain_order=True).to_list(), key="lineage-model")
    of = scores.filter(pl.col("model") == model)
    suite = cells[1].selectbox("Suite", of["suite"].unique(maintain_order=True).to_list(), key=f"lineage-suite-{model}")
    of = of.filter(pl.col("suite") == suite)
    metrics = of["metric"].unique(maintain_order=True).to_list()
    metric = cells[2].selectbox("Metric", metrics, key=f"lineage-metric-{suite}")
    row = of.filter(pl.col("metric") == metric).row(0, named=True)
    cells[3].metric(f"{metric} [95 %]", f"{row['value']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}",
                    delta_color="off", delta_arrow="off")  # fmt: skip
    cells[4].button("Follow", on_click=_go, args=(row["id"],), width="stretch", key="go-score", type="primary")
    return str(row["id"])


@st.cache_data(max_entries=8, show_spinner=False)
def _scores(uri: str, head: int) -> pl.DataFrame:
    whole = (pl.col("family") == "") & (pl.col("level") == "")
    frame = read.view(uri, "evals", head).scan().filter(whole).drop("parents").collect()
    first = pl.when(pl.col("metric") == "pass@1").then(0).when(pl.col("metric") == "greedy").then(1).otherwise(2)
    return frame.reverse().sort("suite", first, "metric", maintain_order=True)


def _path(at: str, up: Trace) -> None:
    """The way taken so far; each step of it is a button."""
    way: list[tuple[str, str]] = st.session_state.setdefault("lineage-way", [])
    start = up.nodes[up.start[0]]
    label = _label(start) if len(up.start) == 1 else start.artifact.partition("@")[0]
    places = [target for target, _ in way]
    if at in places:
        del way[places.index(at) + 1 :]
    else:
        way.append((at, label))
    st.markdown("**The way so far**")
    with st.container(horizontal=True):
        for number, (target, name) in enumerate(way[-6:]):
            st.button(f"{number + 1 + max(len(way) - 6, 0)}. {look.md(name[:60])}", on_click=_go, args=(target,),
                      key=f"way-{number}-{target}", disabled=target == at, type="tertiary")  # fmt: skip


def _label(node: Node) -> str:
    if node.kind != "row":
        return node.artifact
    return f"{node.artifact.partition('@')[0]} row {node.facts['id'][:8]}"


def _node(node: Node) -> None:
    with st.container(border=True):
        made = f" by {look.md(node.stage)}" if node.stage else ""
        st.markdown(f"#### {look.md(_label(node))}\n{look.md(node.kind)} of {look.md(node.artifact)}{made}")
        if all(node.facts.get(field) is not None for field in ("source_file", "offset", "digest")):
            st.success(
                f"This is where it comes from: **{look.md(node.facts['source_file'])}**, byte {node.facts['offset']:,},"
                f" {node.facts['length']:,} bytes, digest {look.md(node.facts['digest'])}", icon=":material/flag:",
            )  # fmt: skip
        texts = {k: v for k, v in node.facts.items() if isinstance(v, str) and (len(v) > LONG or "\n" in v)}
        short = {k: plain(v)[:LONG] for k, v in node.facts.items()
                 if k not in texts and k != "parents" and v is not None and v != ""}  # fmt: skip
        left, right = st.columns([2, 3]) if texts else (st.container(), None)
        left.dataframe(pl.DataFrame({"field": list(short), "value": list(short.values())}), hide_index=True,
                       width="stretch", height=min(320, 38 + 36 * len(short)), alt="Fields")  # fmt: skip
        if right is not None:
            with right:
                for column, text in list(texts.items())[:3]:
                    st.caption(column)
                    look.text_block(text[:20_000], height=180 if len(text) > 400 else None)


def _neighbours(head: int, up: Trace, down: Trace) -> None:
    left, right = st.columns(2)
    with left:
        st.subheader("Made from")
        sources = _group(up, [e for e in up.edges if e.made in up.start])
        if not sources:
            st.caption("Nothing in this warehouse: this is an origin.")
        _listed(sources, "up")
        if not _is_row(up):
            _own_rows(head, up)
    with right:
        st.subheader("Went into")
        users = _group(down, [e for e in down.edges if e.source in down.start], source=False)
        if not users:
            st.caption("Nothing yet.")
        _listed(users, "down")
    notes = list(dict.fromkeys([*up.notes, *down.notes]))
    if notes:
        with st.expander(f"Left out, or slow: {len(notes)} notes"):
            look.text_block("\n".join(notes))


def _group(trace: Trace, edges: list[Edge], *, source: bool = True) -> dict[str, list[Node]]:
    """Neighbours under a heading that says how they are related."""
    words = {"row": "rows", "model": "the model that wrote it", "read": "artifacts", "beside": "written together with",
             "sample": "rows that it learned from, drawn evenly", "rejected": "rejected"}  # fmt: skip
    found: dict[str, list[Node]] = {}
    for edge in edges:
        node = trace.nodes[edge.source if source else edge.made]
        how = words.get(edge.how, edge.how)
        heading = f"{how}: {node.artifact}" if node.kind == "row" else how
        nodes = found.setdefault(heading, [])
        if node not in nodes:
            nodes.append(node)
    return found


def _listed(groups: dict[str, list[Node]], side: str) -> None:
    for heading, nodes in groups.items():
        st.caption(look.md(heading))
        for node in nodes[:ROWS]:
            target = node.facts["id"] if node.kind == "row" else node.fingerprint
            text = _told(node.facts) if node.kind == "row" else node.artifact
            if node.kind == "rejected":
                st.markdown(f"✗ {look.md(node.facts.get('reason', ''))}: {look.md(node.facts.get('detail', ''))}")
            elif not target:
                st.markdown(look.md(node.artifact))
            else:
                st.button(look.md(text), on_click=_go, args=(target,), key=f"{side}-{node.key}", width="stretch")


def _told(facts: dict[str, Any]) -> str:
    words = plain(" ".join(next((str(facts[c]) for c in TELLING if facts.get(c)), facts["id"]).split()))[:LONG]
    sign = {True: "✓ ", False: "✗ "}.get(facts.get("correct"), "")  # type: ignore[arg-type]
    number = f"  ·  {facts['mode']} {facts['sample']}" if "mode" in facts and "sample" in facts else ""
    return f"{sign}{words}{number}"


def _own_rows(head: int, up: Trace) -> None:
    """Some rows of what a stage call wrote into a table, to go on from."""
    start = up.nodes[up.start[0]]
    name, _, version = start.artifact.partition("[")[0].partition("@")
    if start.kind != "table" or name not in read.heads():
        return
    uri = Source().warehouse
    (call,) = _lineage(uri, head).called(start.fingerprint)
    st.caption(f"rows of {look.md(start.artifact)}")
    own = read.sample(uri, name, int(version), "", 0, ROWS, tuple(call["partitions"]))
    for row in own.iter_rows(named=True):
        st.button(look.md(_told(row)), on_click=_go, args=(row["id"],), key=f"own-{row['id']}", width="stretch")


def _picture(head: int, up: Trace) -> None:
    start = up.nodes[up.start[0]]
    whole = _above(Source().warehouse, head, start.fingerprint or start.artifact)
    boxes = []
    for node in (n for n in whole.nodes.values() if n.kind != "row"):
        told = f"by {node.stage}, {look.duration(node.facts['seconds'])}" if node.stage else "from outside"
        boxes.append(Box(node.key, node.artifact, (told,), "done" if node.stage else "planned"))
    edges = [(e.source, e.made) for e in whole.edges]
    st.subheader("Everything it came from")
    st.graphviz_chart(draw(boxes, edges, is_dark=look.dark()), width="content",
                      alt=f"Graph of {len(boxes)} artifacts; the lists above lead through it")  # fmt: skip
