"""What an artifact took: each stage call of its lineage once, however many ways lead to it.

Time comes from `lineage`; GPU time and energy from `ledger`, or by estimate for calls that have no row there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import polars as pl

from warehouse.ids import row_id
from warehouse.lineage import Lineage, ref_of
from warehouse.schema_ledger import LEDGER

Call = dict[str, Any]
"""A row of the lineage table."""


@dataclass(frozen=True)
class Use:
    """What stage calls took together."""

    calls: int = 0
    seconds: float = 0.0
    """Wall-clock time, calls added up even where they ran side by side."""
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    energy_joules: float = 0.0

    def __add__(self, other: Use) -> Use:
        """Both together."""
        return Use(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Use)))


@dataclass(frozen=True)
class Entry:
    """One stage call in a bill."""

    stage: str
    artifacts: tuple[str, ...]
    """What it wrote: a model stage may write tables beside its model."""
    use: Use
    method: str
    """How its energy was found."""
    run: str
    """Which call it is: its MLflow run, or its fingerprint where it has none."""


class Ledger:
    """The ledger of a warehouse."""

    def __init__(self, lineage: Lineage) -> None:
        """Read and write the table `ledger` beside `lineage`."""
        self.lineage, self.tables = lineage, lineage.tables

    def record(self, row: dict[str, Any]) -> None:
        """Append what one stage call used; `row` has the columns of `LEDGER` but the common ones."""
        full = {"id": row_id(row["mlflow_run"]), "parents": [], "partition": "all", **row}
        self.tables.commit(LEDGER, [pl.from_dicts([full], schema=pl.Schema(LEDGER.arrow))], partitions=None)

    def bill(self, roots: Sequence[Call], watts_a_core: float) -> list[Entry]:
        """One of `bills`."""
        return self.bills([roots], watts_a_core)[0]

    def bills(self, targets: Sequence[Sequence[Call]], watts_a_core: float) -> list[list[Entry]]:
        """For each target (rows of the lineage table): every stage call that it comes from, itself too, oldest first.

        `watts_a_core` estimates the energy of calls without a row in the ledger, from their CPU time.
        """
        used, calls = self._used(), self.lineage.calls().to_dicts()
        return [
            [_entry(together, used.get(together[0]["mlflow_run"]), watts_a_core) for together in ancestry(roots, calls)]
            for roots in targets
        ]

    def _used(self) -> dict[str, dict[str, Any]]:
        """Rows of the ledger by MLflow run; a call that was killed and made again has the newest."""
        if not self.tables.exists(LEDGER.name):
            return {}
        rows = self.tables.view(LEDGER.name).scan().collect().sort("started")
        return {row["mlflow_run"]: row for row in rows.iter_rows(named=True)}


def _entry(together: Sequence[Call], known: Call | None, watts_a_core: float) -> Entry:
    """A stage call's line of a bill, from its lineage rows and its row of the ledger."""
    call = together[0]
    joules, method = call["cpu_seconds"] * watts_a_core, f"not recorded: CPU seconds at {watts_a_core:g} W"
    if known is not None:
        joules, method = known["energy_joules"], known["method"]
    use = Use(1, call["seconds"], call["cpu_seconds"], known["gpu_seconds"] if known else 0.0, joules)
    made = tuple(str(ref_of(c)) for c in together)
    return Entry(call["stage"], made, use, method, call["mlflow_run"] or call["fingerprint"])


def ancestry(roots: Iterable[Call], calls: Iterable[Call]) -> list[list[Call]]:
    """The stage calls above `roots`, oldest first, each as the lineage rows that it left (a model, tables beside)."""
    newest: dict[str, Call] = {call["fingerprint"]: call for call in calls}
    found: dict[str, Call] = {}
    stack = [call["fingerprint"] for call in roots]
    while stack:
        fingerprint = stack.pop()
        if fingerprint in newest and fingerprint not in found:
            found[fingerprint] = newest[fingerprint]
            stack += [given["fingerprint"] for given in newest[fingerprint]["inputs"]]
    together: Mapping[tuple[str, Any], list[Call]] = defaultdict(list)
    for call in found.values():
        together[call["mlflow_run"] or call["fingerprint"], call["started"]].append(call)
    return sorted(together.values(), key=lambda same: (same[0]["started"], same[0]["fingerprint"]))


def by_stage(entries: Iterable[Entry]) -> dict[str, Use]:
    """Use by stage, in order of first appearance."""
    stages: dict[str, Use] = {}
    for entry in entries:
        stages[entry.stage] = stages.get(entry.stage, Use()) + entry.use
    return stages
