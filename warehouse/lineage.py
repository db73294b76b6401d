"""Lineage: which stage call made which artifact from which, kept as a table; `warehouse/walk.py` walks it."""

from __future__ import annotations

from typing import Any

import polars as pl
from deltalake import DeltaTable
from pydantic import BaseModel, ConfigDict

from warehouse import row_index
from warehouse.ids import row_id
from warehouse.schema import LINEAGE
from warehouse.tables import Tables

COMPACT_EVERY = 64
"""Stage calls after which the table's small files are made one: a reading opens at most about as many."""


class ArtifactRef(BaseModel):
    """A committed artifact, small enough to cross any task boundary: `name@version` and its fingerprint."""

    model_config = ConfigDict(frozen=True)

    name: str
    kind: str
    """table, model or file."""
    version: int
    partitions: tuple[str, ...] = ()
    digest: str
    """sha256 of the content: what downstream fingerprints depend on."""
    fingerprint: str = ""
    rows: int = 0

    def only(self, partition: str) -> ArtifactRef:
        """The same artifact, read in one of its partitions; its digest stays that of the whole."""
        return self.model_copy(update={"partitions": (partition,)})

    def __str__(self) -> str:
        """`name@version`, with the partitions where they are not all."""
        parts = f"[{','.join(self.partitions)}]" if self.partitions not in ((), ("all",)) else ""
        return f"{self.name}@{self.version}{parts}"


class Lineage:
    """The lineage table of a warehouse."""

    def __init__(self, tables: Tables) -> None:
        """Read and write the table `lineage` of `tables`."""
        self.tables = tables
        self._read: tuple[int, pl.DataFrame] = (-1, pl.DataFrame())

    def record(self, row: dict[str, Any]) -> None:
        """Append one stage call; `row` has the columns of `LINEAGE` but the common ones.

        A table's row index is written first: what is in the lineage table can be traced.
        """
        if row["kind"] == "table":
            row_index.write(self.tables, ref_of(row))
        full = {"id": row_id(row["fingerprint"], row["started"]), "parents": [], "partition": "all", **row}
        frame = pl.from_dicts([full], schema=pl.Schema(LINEAGE.arrow))
        done = self.tables.commit(LINEAGE, [frame], partitions=None, metadata={"fingerprint": row["fingerprint"]})
        if done.version % COMPACT_EVERY == 0:
            uri = self.tables.table_uri(LINEAGE.name)
            DeltaTable(uri, storage_options=self.tables.storage_options).optimize.compact()

    def calls(self) -> pl.DataFrame:
        """All stage calls, oldest first."""
        if not self.tables.exists(LINEAGE.name):
            return pl.DataFrame(schema=pl.Schema(LINEAGE.arrow))
        view = self.tables.view(LINEAGE.name)
        version = view.parts[0][0]
        if version != self._read[0]:
            self._read = version, view.scan().collect().sort("started", "fingerprint")
        return self._read[1]

    def find(self, fingerprint: str) -> ArtifactRef | None:
        """The committed artifact of a fingerprint, the newest if a killed run left two."""
        found = self.calls().filter(pl.col("fingerprint") == fingerprint)
        return ref_of(found.row(-1, named=True)) if found.height else None

    def made(self) -> dict[str, ArtifactRef]:
        """Every committed artifact by its fingerprint, in one reading; the newest if a killed run left two."""
        return {call["fingerprint"]: ref_of(call) for call in self.calls().iter_rows(named=True)}

    def current(self, name: str, partition: str | None = None) -> ArtifactRef | None:
        """The newest committed artifact of that name (that covers the partition)."""
        found = self.calls().filter(pl.col("name") == name)
        if partition is not None:
            found = found.filter(pl.col("partitions").list.contains(partition))
        return ref_of(found.row(-1, named=True)) if found.height else None

    def called(self, text: str) -> list[dict[str, Any]]:
        """The stage calls that a text stands for, [] where it is none.

        The text is `name@version` (what that version added), a name (what its newest version holds), or a
        fingerprint, of which 12 digits are enough. Where a version holds a part of what a call wrote, its `partitions`
        are those; `[…]` after a name asks for some alone.
        """
        calls = self.calls()
        text, _, chosen = text.removesuffix("]").partition("[")
        name, _, version = text.partition("@")
        named = calls.filter(pl.col("name") == name)
        if named.is_empty():
            found = calls.filter(pl.col("fingerprint").str.starts_with(text)) if len(text) >= 12 else calls.clear()
            return found.unique("fingerprint", keep="last", maintain_order=True).to_dicts()
        if version and not (version.isascii() and version.isdigit() and len(version) < 19):
            return []
        found = named.filter(pl.col("version") == int(version)) if version else named.clear()
        is_table = named.row(-1, named=True)["kind"] == "table"
        if not is_table:
            return (found if version else named).to_dicts()[-1:]
        holds: dict[str, list[str]] = {}
        if found.height:
            newest = ref_of(found.row(-1, named=True))
            holds[newest.fingerprint] = list(newest.partitions)
        else:
            for ref in self.held(name, int(version) if version else None):
                holds.setdefault(ref.fingerprint, []).extend(ref.partitions)
        if chosen:
            holds = {print_: [p for p in parts if p in chosen.split(",")] for print_, parts in holds.items()}
        held = named.filter(pl.col("fingerprint").is_in([print_ for print_, parts in holds.items() if parts]))
        found = held.unique("fingerprint", keep="last", maintain_order=True)
        return [call | {"partitions": holds[call["fingerprint"]]} for call in found.iter_rows(named=True)]

    def held(self, name: str, version: int | None = None) -> tuple[ArtifactRef, ...]:
        """What a version of a table holds (the newest by default), one artifact a partition; () where there is none."""
        held: dict[str, ArtifactRef] = {}
        commits = self.tables.history(name) if self.tables.exists(name) else []
        if version is not None:
            numbers = [commit["version"] for commit in commits]
            commits = commits[numbers.index(version) :] if version in numbers else []
        made = self.made() if commits else {}
        for commit in commits:  # newest first
            found = made.get(commit.get("fingerprint", ""))
            if found is not None:
                held = {partition: found.only(partition) for partition in found.partitions} | held
        return tuple(held[partition] for partition in sorted(held))

    def call_of(self, ref: ArtifactRef) -> dict[str, Any]:
        """The stage call that made an artifact.

        Raises:
            LookupError: it is not in the lineage table.
        """
        found = self.calls().filter(pl.col("fingerprint") == ref.fingerprint)
        if found.is_empty():
            raise LookupError(f"{ref} is not in the lineage table")
        return found.row(-1, named=True)


def ref_of(call: dict[str, Any]) -> ArtifactRef:
    """The artifact that a row of the lineage table made."""
    return ArtifactRef(**{name: call[name] for name in ArtifactRef.model_fields})
