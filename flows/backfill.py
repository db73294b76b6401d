"""Backfills: a flow run a month, some at once; a failed month is listed with its reason and does not stop the others.

Each month runs in a process of its own, so that one that runs out of memory takes no other with it. What exists is
reused, so the same call again resumes what the last one left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import mlflow
from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.exceptions import FailedRun
from prefect.states import Failed
from pydantic import Field
from rich.markup import escape
from rich.table import Table

from flows.backfill_months import Outcome, run_months
from flows.catalogue import FLOWS, configured, entry
from flows.commands import out, print_plan, warehouse_tables
from flows.config import ConfigError
from flows.run import from_shell
from flows.runner import Runner
from flows.settings import Settings
from flows.triggers import announce
from tasks.stage import StageConfig
from warehouse.lineage import ArtifactRef, Lineage
from warehouse.tables import TableNotFoundError, Tables

MONTH = r"[0-9]{4}-(0[1-9]|1[0-2])"


class BackfillError(ValueError):
    """Some months failed; the table above says which and why."""


class BackfillConfig(StageConfig):
    """Which months of which flow, and how."""

    flow: str = "mine"
    """A flow whose config has `months`."""
    first: str
    """First crawl month, YYYY-MM."""
    last: str
    """Last crawl month, YYYY-MM, included."""
    order: Literal["oldest_first", "newest_first"] = "oldest_first"
    """Which month begins. The rows come out the same: months out of order are settled in a second pass."""
    parallel: int = Field(1, ge=1, le=64)
    """Months at once, a process each."""
    dry_run: bool = False
    """Only say what would run."""
    profile: str = ""
    """laptop, gpu or cluster; default: that of the settings."""
    changes: tuple[str, ...] = ()
    """`key=value` of the flow's config, as in `--set`."""
    paths: tuple[str, ...] = ()
    """Crawl files, folders, path lists or URLs; default: the flow's own."""


def months_between(first: str, last: str) -> list[str]:
    """All months from `first` to `last`, both included, as YYYY-MM.

    Raises:
        ConfigError: a month that is none, or last before first.
    """
    for month in (first, last):
        if not re.fullmatch(MONTH, month):
            raise ConfigError(f"{month!r} is no month; write it as YYYY-MM, such as 2026-01")
    if first > last:
        raise ConfigError(f"--from {first} is after --to {last}")
    year, number = int(first[:4]), int(first[5:])
    found = [first]
    while found[-1] < last:
        year, number = (year + 1, 1) if number == 12 else (year, number + 1)
        found.append(f"{year:04}-{number:02}")
    return found


@flow(name="backfill")
def backfill(config: BackfillConfig) -> list[str] | State[Any]:
    """Run a flow for each month; returns what was made, or fails when a month failed, the others being done."""
    months = months_between(config.first, config.last)
    configs = configs_of(config, months)
    if config.dry_run:
        outcomes = _planned(config, configs)
    else:
        tables = warehouse_tables()
        before = {name: tables.view(name).parts[0][0] for name in tables.names()}
        newest_first = config.order == "newest_first"
        outcomes = run_months(config.flow, configs, parallel=config.parallel, newest_first=newest_first)
        refs = [ArtifactRef(**ref) for outcome in outcomes for ref in outcome.made]
        for outcome in outcomes:
            outcome.changed = _changed(tables, before, outcome)
        mlflow.set_tracking_uri(Settings().mlflow_tracking_uri())
        announce(Lineage(tables), refs, changed=lambda ref: _differs(tables, before, ref))
    shown = [
        {k: v for k, v in asdict(o).items() if k != "made"} | {"returned": ", ".join(o.returned)} for o in outcomes
    ]
    create_table_artifact(shown, key="backfill", description=f"{config.flow} {config.first} … {config.last}")
    out.print(_as_table(outcomes))
    failed = [outcome.month for outcome in outcomes if outcome.state == "failed"]
    if failed:
        return Failed(message=f"{len(failed)} of {len(months)} months failed ({', '.join(failed)});"
                              " run the same backfill again to resume")  # fmt: skip
    return [name for outcome in outcomes for name in outcome.returned]


def backfill_from_shell(config: BackfillConfig) -> None:
    """The flow for the command line: a failed month is the user's to mend, so it ends without a traceback.

    Raises:
        BackfillError: a month failed.
    """
    # A mistake ends here, before a server starts.
    configs = configs_of(config, months_between(config.first, config.last))
    if config.dry_run:  # needs no server
        outcomes = _planned(config, configs)
        out.print(_as_table(outcomes))
        if failed := [outcome.month for outcome in outcomes if outcome.state == "failed"]:
            raise BackfillError(f"{len(failed)} of {len(outcomes)} months would fail ({', '.join(failed)})")
        return
    try:
        with from_shell():
            backfill(config)
    except FailedRun as error:
        raise BackfillError(str(error)) from error


def configs_of(config: BackfillConfig, months: Iterable[str]) -> dict[str, Any]:
    """The flow's config for each month.

    Raises:
        ConfigError: a flow without months, or a key or value that does not fit.
    """
    able = [name for name in FLOWS if "months" in entry(name).config.model_fields]
    if config.flow not in able:
        raise ConfigError(f"{config.flow} runs over no months; these do: {', '.join(able)}")
    # The newest classifier scores a backfill unless the user asks for another: a backfill changes data, not models.
    settings = ["classifier=latest", *config.changes]
    profile = config.profile or Settings().profile
    return {m: configured(config.flow, profile, [*settings, f"months={[m]!r}"], config.paths) for m in months}


def _planned(config: BackfillConfig, configs: Mapping[str, Any]) -> list[Outcome]:
    """What each month would run, from what the tables hold now; behind one that changes that is not the last word."""
    outcomes, changes = list[Outcome](), False
    for month, flow_config in configs.items():
        runner = Runner(Settings(), dry=True)
        try:
            entry(config.flow).stages(runner, flow_config)
        except Exception as error:  # noqa: BLE001 one bad month does not stop the others, as in a backfill
            outcomes.append(Outcome(month, "failed", f"{type(error).__name__}: {error}"))
            continue
        out.print(f"[bold]{month}[/]")
        print_plan(runner.calls)
        cached = sum(call.state == "cached" for call in runner.calls)
        reason = "as things stand: a month before it changes what it reads" if changes else ""
        outcomes.append(Outcome(month, "planned", reason, computed=len(runner.calls) - cached, reused=cached))
        changes = changes or cached < len(runner.calls) or bool(runner.stale)
    return outcomes


def _changed(tables: Tables, before: dict[str, int], outcome: Outcome) -> str:
    """`math_corpus 120 → 131` for each table whose rows of the month are others than before the backfill."""
    said = []
    for ref in (ArtifactRef(**made) for made in outcome.made):
        if ref.kind == "table" and outcome.month in ref.partitions and _differs(tables, before, ref):
            rows = [_rows(tables, ref.name, version, outcome.month) for version in (before.get(ref.name), ref.version)]
            said.append(f"{ref.name} {rows[0]:,} → {rows[1]:,}")
    return "; ".join(said)


def _rows(tables: Tables, name: str, version: int | None, month: str) -> int:
    return 0 if version is None else tables.view(name, version, [month]).rows


def _differs(tables: Tables, before: dict[str, int], ref: ArtifactRef) -> bool:
    """Whether a table's partitions hold other files than they did."""
    if ref.kind != "table":
        return False
    if ref.name not in before:
        return True
    try:
        old = tables.view(ref.name, before[ref.name], ref.partitions)
    except TableNotFoundError:
        return True
    return old.paths != tables.view(ref.name, ref.version, ref.partitions).paths


def _as_table(outcomes: Sequence[Outcome]) -> Table:
    names = ("month", "state", "made, or reason", "changed rows", "computed", "reused", "seconds")
    shown = Table(*names, box=None, pad_edge=False)
    colours = {"failed": "[red]failed[/]", "done": "[green]done[/]"}
    for o in outcomes:
        shown.add_row(o.month, colours.get(o.state, o.state), escape(o.reason or ", ".join(o.returned)), o.changed,
                      str(o.computed), str(o.reused), f"{o.seconds:.0f}")  # fmt: skip
    return shown
