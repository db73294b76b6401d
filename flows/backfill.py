"""Backfills: a flow run a month, in order; a failed month is listed with its reason and does not stop the others."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.table import Table

from flows.commands import out, print_plan
from flows.config import ConfigError
from flows.settings import Settings


class BackfillError(ValueError):
    """Some months failed; the table above says which and why."""


def months_between(first: str, last: str) -> list[str]:
    """All months from `first` to `last`, both included, as YYYY-MM.

    Raises:
        ConfigError: a month that is none, or last before first.
    """
    for month in (first, last):
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
            raise ConfigError(f"{month!r} is no month; write it as YYYY-MM, such as 2026-01")
    if first > last:
        raise ConfigError(f"--from {first} is after --to {last}")
    year, number = int(first[:4]), int(first[5:])
    found = [first]
    while found[-1] < last:
        year, number = (year + 1, 1) if number == 12 else (year, number + 1)
        found.append(f"{year:04}-{number:02}")
    return found


def backfill_flow(
    name: str,
    first: str,
    last: str,
    profile: str,
    changes: Sequence[str] | None,
    paths: Sequence[str] | None,
    *,
    dry_run: bool,
) -> None:
    """Run `name` for each month; what exists is reused, so a second call resumes what a first one left."""
    from prefect import tags

    from flows.catalogue import configured, entry
    from flows.runner import Runner

    months = months_between(first, last)
    # The newest classifier scores a backfill unless the user asks for another: a backfill changes data, not models.
    settings = ["classifier=latest", *(changes or ())]
    configs = {
        m: configured(name, profile or Settings().profile, [*settings, f"months={[m]!r}"], paths) for m in months
    }
    table = Table("month", "state", "made or reason", "computed", "reused", box=None, pad_edge=False)
    failed = 0
    for month, config in configs.items():
        runner = Runner(Settings(), dry=dry_run)
        if dry_run:
            out.print(f"[bold]{month}[/]")
            entry(name).stages(runner, config)
            print_plan(runner.calls)
            continue
        try:
            with tags("backfill", f"month:{month}"):
                made, calls = _run(name, config)
        except Exception as error:  # noqa: BLE001 one bad month must not stop the others; it is listed and the exit code says so
            failed += 1
            table.add_row(month, "[red]failed[/]", f"{type(error).__name__}: {error}", "", "")
            continue
        cached = sum(state == "cached" for state in calls)
        state = "unchanged" if cached == len(calls) else "done"
        table.add_row(month, state, ", ".join(made), str(len(calls) - cached), str(cached))
    if not dry_run:
        out.print(table)
    if failed:
        raise BackfillError(f"{failed} of {len(months)} months failed; run the same command again to resume")


def _run(name: str, config: object) -> tuple[list[str], list[str]]:
    from flows.catalogue import entry
    from flows.runner import ON_CALL

    states: list[str] = []
    token = ON_CALL.set(lambda call: states.append(call.state))
    try:
        return entry(name).flow(config), states
    finally:
        ON_CALL.reset(token)
