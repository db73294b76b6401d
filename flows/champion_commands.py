"""`rigor champion`: who holds the alias, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl
from rich.table import Table

from flows.commands import out
from flows.settings import Settings
from warehouse.lineage import ArtifactRef

if TYPE_CHECKING:
    from flows.runner import Runner

SHOWN = ("scope", "suite", "candidate_score", "champion_score", "difference", "low", "high", "questions")


def consider_model(candidate: str, profile: str, changes: Sequence[str] | None) -> None:
    """Run the flow for one candidate and print its decision."""
    from flows.champion import ChampionConfig, champion
    from flows.config import load_config
    from flows.run import from_shell

    settings = [f"candidate='{candidate}'", *(changes or ())]
    with from_shell():
        champion(load_config(ChampionConfig, "champion", profile or Settings().profile, settings))
    show_champion()


def show_champion() -> None:
    """The champion, and each decision with its numbers, the newest first."""
    from flows.champion import held_by
    from flows.run import open_mlflow
    from flows.runner import Runner

    open_mlflow(Settings(), "champion")
    run = Runner(Settings(), dry=True)
    holder = held_by(run)
    out.print(f"champion: [bold]{holder}[/]" if holder else "no champion yet: `rigor champion --consider MODEL`")
    for ref in reversed(_decisions(run)):
        rows = run.view([ref]).scan().drop("parents").collect().sort("scope", "suite", maintain_order=True)
        first = rows.row(0, named=True)
        verdict = "[green]taken[/]" if first["taken"] else "[red]refused[/]"
        against = f" against {first['champion']}" if first["champion"] else ""
        out.print(f"\n[bold]{first['candidate']}[/]{against}: {verdict}, {first['reason']}", highlight=False)
        table = Table(*SHOWN, box=None, pad_edge=False)
        for row in rows.select(SHOWN).iter_rows():
            table.add_row(*(f"{v:.4f}" if isinstance(v, float) else "" if v is None else str(v) for v in row))
        out.print(table)


def _decisions(run: Runner) -> list[ArtifactRef]:
    """Decisions in the order in which they were made."""
    calls = run.lineage.calls().filter(pl.col("stage") == "compare_models")
    return [
        ArtifactRef(**{name: call[name] for name in ArtifactRef.model_fields}) for call in calls.iter_rows(named=True)
    ]
