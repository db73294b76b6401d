"""`rigor trace`: from a row, an artifact or a model up to the crawl's bytes and down to the scores."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.markup import escape

from flows.commands import out, warehouse_tables
from flows.settings import Settings
from flows.trace_picture import picture
from warehouse import row_index
from warehouse.lineage import Lineage, ref_of
from warehouse.walk import Limits, Node, Trace, Walk

SHOWN = ("url", "crawl_date", "language", "score", "cluster_size", "source_file", "offset", "length", "digest",
         "model", "suite", "family", "level", "question", "policy", "step", "prompt", "answer", "correct", "reward",
         "split", "position", "metric", "value")  # fmt: skip
"""Columns printed of a row, where it has them; `--format json` gives all."""
SHOWN_CHARS = 90


def trace(target: str, direction: str, form: str, limits: Limits, to: Path | None, crawl: Sequence[str] | None) -> None:
    """Print what a walk from `target` finds; on the way up, check that the bytes at its end are the page.

    Raises:
        LookupError: no such row, artifact or model.
    """
    walk = Walk(Lineage(warehouse_tables()), limits)
    found = walk.trace(target, direction)
    if form == "text":
        text = "\n".join(lines(found)) + "\n"
        if to is None:
            out.print(text, end="", highlight=False)
    elif form == "json":
        text = (
            json.dumps({**as_json(found), "bytes": list(_checked(found, crawl, walk.calls))}, indent=2, default=str)
            + "\n"
        )
    else:
        text = picture(found)
    if to is not None:
        to.write_text(text)
        out.print(f"wrote {to}: {len(found.nodes)} nodes, {len(found.edges)} edges", highlight=False)
    elif form != "text":
        sys.stdout.write(text)
    if form == "text":
        for sentence in dict.fromkeys(map(_sentence, _checked(found, crawl, walk.calls))):
            out.print(sentence, highlight=False)


def write_indexes() -> None:
    """Write the row index of every table artifact that has none, or none of its content."""
    lineage = Lineage(warehouse_tables())
    written = 0
    for call in Walk(lineage).calls.values():
        if call["kind"] == "table":
            try:
                row_index.RowIndex(lineage.tables, ref_of(call))
            except row_index.IndexUnusableError:
                row_index.write(lineage.tables, ref_of(call))
                written += 1
    out.print(f"row indexes written: {written}")


def as_json(found: Trace) -> dict[str, Any]:
    """A walk as JSON data."""
    return {"start": found.start, "nodes": [asdict(node) for node in found.nodes.values()],
            "edges": [asdict(edge) for edge in found.edges], "notes": list(found.notes)}  # fmt: skip


def lines(found: Trace) -> Iterator[str]:
    """A walk as an indented tree with rich's markup, upwards first; what came before is not told again."""
    up: dict[str, list[str]] = defaultdict(list)
    down: dict[str, list[str]] = defaultdict(list)
    for edge in found.edges:
        up[edge.made].append(edge.source)
        down[edge.source].append(edge.made)
    for key in found.start:
        yield from _line(found.nodes[key], 0)
    for title, onward, sign in (("made from", up, 1), ("went into", down, -1)):
        reached = {key for key, node in found.nodes.items() if node.depth * sign > 0}
        if not reached:
            continue
        if sign < 0:
            yield f"[bold]{title}[/]"
        told: set[str] = set(found.start)
        for start in found.start:
            stack = [(key, 1) for key in reversed(onward[start])]
            while stack:
                key, indent = stack.pop()
                if key not in reached or key in told or abs(found.nodes[key].depth) != indent:
                    continue  # told already, or told where the walk first came to it
                told.add(key)
                yield from _line(found.nodes[key], indent)
                further = sorted(onward[key], key=lambda k: found.nodes[k].kind != "row")
                stack += [(further_key, indent + 1) for further_key in reversed(further)]
    yield from (f"[dim]{escape(note)}[/]" for note in found.notes)


def _line(node: Node, indent: int) -> Iterator[str]:
    space, facts = "  " * indent, node.facts
    if node.kind == "row":
        yield f"{space}[bold]{escape(node.artifact)}[/] by {node.stage}  {facts['id']}"
        shown = ", ".join(f"{k} {_short(facts[k])}" for k in SHOWN if facts.get(k) not in (None, ""))
        if shown:
            yield f"{space}  {escape(shown)}"
    elif node.kind == "rejected":
        yield f"{space}[red]rejected[/] by {node.stage}: {escape(_short(facts['reason'] + ' ' + facts['detail']))}"
    elif "rows" in facts:
        counted = f"{facts['rows']:,} rows, " if node.kind == "table" else ""
        yield (f"{space}[bold]{escape(node.artifact)}[/] by {node.stage}  {node.kind}, {counted}"
               f"{facts['seconds']:.1f} s, {facts['started']:%Y-%m-%d %H:%M}, {node.fingerprint[:12]}")  # fmt: skip
    else:
        yield f"{space}[bold]{escape(node.artifact)}[/]  {node.kind} from outside  {facts['digest'][:16]}"


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"


def _checked(
    found: Trace, crawl: Sequence[str] | None, calls: Mapping[str, Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """For each crawl record of the walk: where its bytes lie, and whether they are the page."""
    records = [node for node in found.rows() if node.artifact.startswith("crawl_records@")]
    if not records:
        return
    from tasks.mine.crawl_paths import expand
    from tasks.mine.read_warc import ReadWarcConfig
    from tasks.mine.warc_page import record_digest
    from tasks.mine.warc_records import read_record_at

    places = tuple(crawl or [str(Settings().absolute_home() / "sample-crawl" / "crawl")])
    read = {node.fingerprint: ReadWarcConfig.model_validate_json(calls[node.fingerprint]["config"]) for node in records}
    files, missing = {}, f"in {', '.join(places)}"
    try:
        private = any(limits.allow_private_hosts for limits in read.values())
        files = {Path(path).name: path for path in expand(places, allow_private_hosts=private)}
    except (OSError, ValueError) as error:
        missing = f"to be had ({error})"
    for node in records:
        row, limits = node.facts, read[node.fingerprint]
        verdict = {"row": row["id"], **{k: row[k] for k in ("source_file", "offset", "length", "digest")},
                   "file": files.get(row["source_file"]), "same": None, "places": places,
                   "why": f"{row['source_file']} is not {missing}; name its folder with --crawl"}  # fmt: skip
        if verdict["file"]:
            try:
                record = read_record_at(verdict["file"], row["offset"], row["length"], limits,
                                        allow_private_hosts=limits.allow_private_hosts)  # fmt: skip
                verdict["same"] = record_digest(record, limits) == row["digest"]
            except OSError as error:
                verdict["why"] = f"{verdict['file']} could not be read: {error}"
            except LookupError:  # a file of that name without such a record: cut off, or another crawl's
                verdict["same"] = False
        yield verdict


def _sentence(verdict: dict[str, Any]) -> str:
    if verdict["same"] is None:
        return f"bytes not checked: {escape(verdict['why'])}"
    says = "[green]are the page[/]" if verdict["same"] else "[bold red]are NOT the page[/]"
    return (f"{escape(str(verdict['file']))}\n  {verdict['length']:,} bytes at {verdict['offset']:,}:"
            f" their digest says they {says}")  # fmt: skip
