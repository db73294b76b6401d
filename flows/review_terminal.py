"""The rows under review one after the other in a terminal: accept, reject, edit, skip, quit."""

from __future__ import annotations

from typing import Any

import click
from rich.markup import escape

from flows.commands import out
from flows.review import Open
from tasks.curate.review_chains import Decision, mistakes
from tasks.grade.format import check_format

KEYS = {"a": "accept", "r": "reject", "e": "edit", "s": "skip", "q": "quit"}


def review_rows(table: Open) -> dict[str, Decision]:
    """Ask about every row that is not decided yet; returns all decisions, earlier ones too."""
    decisions = dict(table.decisions)
    open_rows = [row for row in table.rows if row["id"] not in decisions]
    out.print(f"{len(table.rows)} rows, {len(decisions)} decided. accept, reject, edit, skip or quit?")
    try:
        _ask(table, open_rows, decisions)
    except click.Abort:
        out.print("\nstopped; what was decided so far is kept")
    return decisions


def _ask(table: Open, open_rows: list[dict[str, Any]], decisions: dict[str, Decision]) -> None:
    """Take a decision for each row, until it is enough."""
    for number, row in enumerate(open_rows, 1):
        out.rule(f"{number} of {len(open_rows)}  {row['family']}, level {row['level']}  {row['id'][:12]}")
        out.print(f"[bold]{escape(row['prompt'])}[/]\n{escape(row['text'])}", highlight=False)
        out.print(f"[dim]sampled from {row['model']}: {escape(' / '.join(row['rewritten_from'].split()))}[/]")
        said = ""
        while not said:
            key = click.prompt("[a/r/e/s/q]", type=click.Choice(list(KEYS)), show_choices=False)
            said = KEYS[key]
            if said == "edit":
                edited = _edited(table, decisions, row["id"], row["text"])
                if edited is None:
                    said = ""
                else:
                    decisions[row["id"]] = edited
        if said == "quit":
            return
        if said in ("accept", "reject"):
            note = click.prompt("why", default="", show_default=False) if said == "reject" else ""
            decisions[row["id"]] = Decision.model_validate({"id": row["id"], "decision": said, "note": note})


def _edited(table: Open, decisions: dict[str, Decision], name: str, text: str) -> Decision | None:
    """The row as $EDITOR gave it back; None where it was left as it was, or is not fit to be learned from."""
    written = click.edit(text, extension=".txt")
    if written is None or written.strip() == text.strip():
        out.print("unchanged")
        return None
    form = check_format(written)
    if not form.ok:
        out.print(f"[red]not taken: {form.problem}[/]; keep the tags as they were")
        return None
    steps = tuple(line.strip() for line in form.thinking.splitlines() if line.strip())
    decision = Decision(id=name, decision="edit", steps=steps, answer=form.answer)
    wrong = mistakes(table.rows, decisions | {name: decision}, table.config.limits)
    for line in wrong:
        out.print(f"[red]not taken: {escape(line)}[/]")
    return None if wrong else decision
