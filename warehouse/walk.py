"""Walks lineage from a row, an artifact or a model: up to what it was made from, down to what was made from it.

Rows are followed through `parents`, from each table to the tables that its stage call read. At a model the walk goes
on from artifact to artifact, and rows of what the model learned from are drawn when asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from string import hexdigits
from typing import Any

import polars as pl

from warehouse.lineage import Lineage, ref_of
from warehouse.row_lookup import ArtifactRows, Row

Call = dict[str, Any]
"""A row of the lineage table."""


@dataclass(frozen=True)
class Limits:
    """How far a walk goes and how much of each step it shows."""

    depth: int = 64
    """Steps from the start, in each direction."""
    rows: int = 20
    """Rows shown of one artifact in one step; more are counted and noted."""
    sample: int = 0
    """Rows drawn from each table that a model learned from, and followed; 0: none."""
    models: bool = True
    """Go on through models. False: rows alone."""


@dataclass(frozen=True)
class Node:
    """A row, an artifact (table or model), a file from outside, or a row's rejection."""

    key: str
    kind: str
    """row, table, model, file or rejected."""
    artifact: str
    """`name@version`, of a row's table too; a file's name."""
    stage: str
    depth: int
    """Steps from the start; negative on the way down."""
    facts: dict[str, Any] = field(default_factory=dict)
    """A row's columns; an artifact's fingerprint, rows, seconds; a rejection's reason."""
    fingerprint: str = ""


@dataclass(frozen=True)
class Edge:
    """`made` came from `source`."""

    source: str
    made: str
    how: str
    """row (a parent), model (it was used), read (by artifact), beside (written with its model), sample, rejected."""


@dataclass
class Trace:
    """What a walk found, in the order in which it was found."""

    start: tuple[str, ...] = ()
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: dict[Edge, None] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    """What the walk left out or could not look up quickly, in words."""

    def rows(self) -> list[Node]:
        """The rows alone."""
        return [node for node in self.nodes.values() if node.kind == "row"]


class Walk:
    """Walks one warehouse; reads the lineage table once and keeps what it opens."""

    def __init__(self, lineage: Lineage, limits: Limits | None = None) -> None:
        """Walk what `lineage` knows, within `limits`."""
        self.lineage, self.limits = lineage, limits or Limits()
        self.calls: dict[str, Call] = {}
        for call in lineage.calls().iter_rows(named=True):  # oldest first: the newest of a fingerprint stays
            self.calls[call["fingerprint"]] = call
        self.users: dict[str, list[Call]] = defaultdict(list)
        self.beside: dict[str, list[Call]] = defaultdict(list)
        for call in self.calls.values():
            self.beside[call["mlflow_run"]].append(call)
            for source in dict.fromkeys(given["fingerprint"] for given in call["inputs"]):
                self.users[source].append(call)
        self._opened: dict[str, ArtifactRows] = {}
        self._used: set[str] = set()
        self._missing: dict[str, str] = {}
        self.found = Trace()

    def trace(self, target: str, direction: str = "up") -> Trace:
        """Walk from a row, an artifact or a model.

        `target` is a row's id or a unique beginning of it (at least 6 digits), looked for in the newest artifacts
        first, or in one (`name@version:id`); or `name@version`, a name, or a fingerprint. `direction` is up, down or
        both.

        Raises:
            LookupError: nothing has this name or id, or several rows have it.
        """
        self.found, self._used, self._missing = Trace(), set(), {}
        first = [self._artifact(call, 0) for call in self._called(target)] or [self._row_of(target)]
        self.found.nodes = {node.key: node for node in first}
        self.found.start = tuple(self.found.nodes)
        for way in ("up", "down") if direction == "both" else (direction,):
            level = first
            for step in range(1, self.limits.depth + 1):
                level = self._step(level, step if way == "up" else -step)
                if not level:
                    break
        met = {row.facts["id"] for row in self.found.rows()}  # a grandparent may be named beside the parent
        for child in sorted({child for parent, child in self._missing.items() if parent not in met}):
            self._note(f"some parents of rows of {child} are in none of the tables that it was made from")
        for problem in sorted(self._opened[fingerprint].problem for fingerprint in self._used):
            if problem:
                self._note(problem)
        return self.found

    def _called(self, text: str) -> list[Call]:
        """The calls that a text stands for, with all that they wrote."""
        return [self.calls[call["fingerprint"]] for call in self.lineage.called(text)]

    def _row_of(self, text: str) -> Node:
        where, _, row = text.rpartition(":")
        among = self._called(where) if where else list(self.calls.values())
        if len(row) >= 6 and set(row) <= set(hexdigits.lower()):
            for call in reversed(among):
                rows = self._rows(call).beginning(row) if call["kind"] == "table" else []
                if len({found["id"] for found in rows}) > 1:
                    raise LookupError(f"{row!r} is the beginning of several ids of {call['name']}; give more digits")
                if rows:
                    return self._row(call, rows[0], 0)
        raise LookupError(
            f"no row, artifact or model {text!r}; `rigor tables` lists tables, `rigor show TABLE` ids, of which"
            " six digits or more are needed"
        )

    def _step(self, level: Sequence[Node], depth: int) -> list[Node]:
        """One step from every node of a level; the nodes that are new."""
        new: dict[str, Node] = {}
        rows: dict[str, list[Node]] = defaultdict(list)
        for node in level:
            if node.kind == "row":
                rows[node.fingerprint].append(node)
            elif node.kind in ("table", "model") and node.fingerprint in self.calls:
                step = self._artifact_up if depth > 0 else self._artifact_down
                self._add(step(self.calls[node.fingerprint], node, depth), new)
        for fingerprint, group in rows.items():
            walk = self._rows_up if depth > 0 else self._rows_down
            self._add(walk(self.calls[fingerprint], group, depth), new)
        return list(new.values())

    def _add(self, steps: Iterable[tuple[Node, Edge]], new: dict[str, Node]) -> None:
        for node, edge in steps:
            if node.key not in self.found.nodes:
                self.found.nodes[node.key] = new[node.key] = node
            self.found.edges[edge] = None

    def _rows_up(self, call: Call, rows: Sequence[Node], depth: int) -> Iterable[tuple[Node, Edge]]:
        parents = list(dict.fromkeys(p for row in rows for p in row.facts["parents"] or ()))
        wanted = parents[: self.limits.rows]
        self._left_out(len(parents) - len(wanted), f"parents of rows of {ref_of(call)}")
        missing = set(wanted)
        for given in call["inputs"]:
            above = self.calls.get(given["fingerprint"])
            if above is None or (given["kind"] == "table" and not wanted):
                continue
            if given["kind"] == "model":
                if self.limits.models:
                    node = self._artifact(above, depth)
                    yield from ((node, Edge(node.key, row.key, "model")) for row in rows)
                continue
            for found in self._rows(above).by_id(wanted):
                if found["partition"] not in given["partitions"]:
                    continue
                missing.discard(found["id"])
                node = self._row(above, found, depth)
                yield from ((node, Edge(node.key, row.key, "row"))
                            for row in rows if found["id"] in (row.facts["parents"] or ()))  # fmt: skip
        self._missing |= dict.fromkeys(missing, str(ref_of(call)))

    def _rows_down(self, call: Call, rows: Sequence[Node], depth: int) -> Iterable[tuple[Node, Edge]]:
        by_id = {row.facts["id"]: row for row in rows}
        for user in self.users[call["fingerprint"]]:
            read = {p for given in user["inputs"] if given["fingerprint"] == call["fingerprint"]
                    for p in given["partitions"]}  # fmt: skip
            ids = [key for key, row in by_id.items() if row.facts["partition"] in read]
            if user["kind"] == "model":
                if self.limits.models:
                    node = self._artifact(user, depth)
                    yield from ((node, Edge(by_id[key].key, node.key, "read")) for key in ids)
                continue
            count, found = self._rows(user).made_from(ids, self.limits.rows)
            self._left_out(count - len(found), f"rows of {ref_of(user)} that were made from rows of {ref_of(call)}")
            for row in found:
                node = self._row(user, row, depth)
                yield from ((node, Edge(by_id[p].key, node.key, "row")) for p in row["parents"] if p in by_id)
            lived = {parent for row in found for parent in row["parents"]}
            yield from self._rejections(user, {key: row for key, row in by_id.items() if key not in lived}, depth)
        yield from ((node, Edge(row.key, node.key, "beside"))
                    for node in self._written_beside(call, "model", depth) for row in rows)  # fmt: skip

    def _artifact_up(self, call: Call, node: Node, depth: int) -> Iterable[tuple[Node, Edge]]:
        learned = [given for given in call["inputs"] if given["kind"] == "table"]
        for given in call["inputs"]:
            above = self.calls.get(given["fingerprint"])
            if above is not None:
                source = self._artifact(above, depth)
            else:  # a file from outside, or an artifact of another warehouse
                label = given["name"] if given["kind"] == "file" else f"{given['name']}@{given['version']}"
                digest = given["digest"]
                source = Node(f"{label}:{digest}", given["kind"], label, "", depth, {"digest": digest})
            yield source, Edge(source.key, node.key, "read")
        if call["kind"] == "model":
            for source in self._written_beside(call, "table", depth):
                learned.append(self.calls[source.fingerprint])
                yield source, Edge(source.key, node.key, "beside")
            yield from self._drawn(learned, node, depth)

    def _artifact_down(self, call: Call, node: Node, depth: int) -> Iterable[tuple[Node, Edge]]:
        for user in self.users[call["fingerprint"]]:
            made = self._artifact(user, depth)
            yield made, Edge(node.key, made.key, "read")
        for made in self._written_beside(call, "table" if call["kind"] == "model" else "model", depth):
            yield made, Edge(node.key, made.key, "beside")

    def _drawn(self, learned: Sequence[dict[str, Any]], node: Node, depth: int) -> Iterable[tuple[Node, Edge]]:
        """Rows of the tables that a model learned from."""
        for given in learned if self.limits.sample else ():
            above = self.calls.get(given["fingerprint"])
            for row in self._rows(above).sample(self.limits.sample) if above is not None else ():
                drawn = self._row(self.calls[given["fingerprint"]], row, depth)
                yield drawn, Edge(drawn.key, node.key, "sample")

    def _written_beside(self, call: Call, kind: str, depth: int) -> list[Node]:
        """Artifacts of that kind that the same stage call wrote: rollouts and the model that learned from them."""
        same = self.beside[call["mlflow_run"]] if call["mlflow_run"] else []
        return [self._artifact(other, depth) for other in same if other["kind"] == kind != call["kind"]]

    def _rejections(self, user: Call, rows: dict[str, Node], depth: int) -> Iterable[tuple[Node, Edge]]:
        if not rows or user["rejected"] == 0 or not self.lineage.tables.exists("quarantine"):
            return
        view = self.lineage.tables.view("quarantine", partitions=[user["fingerprint"]])
        if not view.paths:
            return
        for row in view.scan().filter(pl.col("row").is_in(list(rows))).collect().iter_rows(named=True):
            node = Node(f"{user['fingerprint']}/{row['id']}", "rejected", user["name"], user["stage"], depth, row)
            yield node, Edge(rows[row["row"]].key, node.key, "rejected")

    def _rows(self, call: Call) -> ArtifactRows:
        fingerprint = call["fingerprint"]
        if fingerprint not in self._opened:
            self._opened[fingerprint] = ArtifactRows(self.lineage.tables, ref_of(call))
        self._used.add(fingerprint)
        return self._opened[fingerprint]

    def _row(self, call: Call, row: Row, depth: int) -> Node:
        key = f"{call['fingerprint']}/{row['id']}"
        return Node(key, "row", str(ref_of(call)), call["stage"], depth, row, call["fingerprint"])

    def _artifact(self, call: Call, depth: int) -> Node:
        facts = {k: call[k] for k in ("fingerprint", "rows", "seconds", "cpu_seconds", "started", "git_sha")}
        key = call["fingerprint"]
        return Node(key, call["kind"], str(ref_of(call)), call["stage"], depth, facts, key)

    def _left_out(self, count: int, what: str) -> None:
        if count > 0:
            self._note(f"{count:,} more of the {what}: `--rows` shows more")

    def _note(self, text: str) -> None:
        self.found.notes[text] = None
