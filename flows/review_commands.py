"""What `rigor review cold_start` does."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from flows.commands import out
from flows.review import carried, open_review
from flows.review_files import export_rows, import_rows
from flows.review_terminal import review_rows
from flows.runner import Runner
from flows.settings import Settings


def review_cold_start(to: Path | None, read: Path | None, *, carry: bool) -> None:
    """Write the rows to a file, read decisions from one, take over earlier ones, or ask in the terminal."""
    if sum([to is not None, read is not None, carry]) > 1:
        raise ValueError("choose one of --export, --import and --carry")
    run = Runner(Settings(), dry=True)
    table = open_review(run)
    if to is not None:
        count = export_rows(table, to)
        out.print(f"wrote {count:,} rows to {to}: fill in `decision` (accept, reject, edit), then"
                  f" `rigor review cold_start --import {to}`", highlight=False)  # fmt: skip
        return
    lost = 0
    if read is not None:
        decisions = import_rows(table, read)
    elif carry:
        decisions, lost = carried(run, table)
        decisions |= table.decisions
    else:
        decisions = review_rows(table)
    if decisions == table.decisions:
        out.print("no decision is new: nothing changed")
        return
    ref = table.keep(decisions)
    counts = Counter(decision.decision for decision in decisions.values())
    told = ", ".join(f"{counts[kind]:,} {kind}" for kind in ("accept", "edit", "reject"))
    out.print(f"[bold]{ref}[/] {ref.rows:,} rows: {told}, {len(table.rows) - len(decisions):,} not decided",
              highlight=False)  # fmt: skip
    if lost:
        out.print(f"{lost:,} earlier decisions were about rows that are not there any more", highlight=False)
    out.print("`rigor run cold_start` fine-tunes on it", highlight=False)
