"""What the commands of `rigor` do; `flows/cli.py` declares them."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from flows.console import PlainConsole
from flows.settings import Settings
from warehouse.lineage import Lineage
from warehouse.plain import plain
from warehouse.schema import TABLES
from warehouse.tables import TableNotFoundError, Tables

if TYPE_CHECKING:
    from flows.runner import Call

PIPED_WIDTH = 200
"""Characters of a line where nobody says how long one is: a file, a pipe, a log."""
out = PlainConsole(soft_wrap=True, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH)


def warehouse_tables() -> Tables:
    """The tables of the configured warehouse."""
    settings = Settings()
    return Tables(settings.warehouse_uri(), settings.storage_options)


def run_flow(flow: str, profile: str, changes: Sequence[str] | None, paths: Sequence[str] | None) -> None:
    """Run a flow in this process and print what was made, the key figures and where to look closer."""
    from flows.catalogue import configured, entry
    from flows.report import ON_PROGRESS
    from flows.run import from_shell
    from flows.runner import ON_CALL, Runner
    from flows.summary import print_summary

    config = configured(flow, profile or Settings().profile, changes, paths)
    entry(flow).stages(
        Runner(Settings(), dry=True), config
    )  # a mistake in the inputs ends here, before a server starts
    out.print(f"[bold]{flow}[/] on {Settings().warehouse_uri()}")
    started = time.perf_counter()
    calls: list[Call] = []

    def watch(call: Call) -> None:
        calls.append(call)
        _draw_over("")
        out.print(_line(call))

    ON_CALL.set(watch)
    ON_PROGRESS.set(_draw_over)
    try:
        with from_shell():
            made = entry(flow).flow(config)
    finally:
        _draw_over("")
    print_summary(flow, calls, made, time.perf_counter() - started, sample=flow == "mine" and not config.paths)


def plan_flow(flow: str, profile: str, changes: Sequence[str] | None, paths: Sequence[str] | None) -> None:
    """Print every stage call of a run with its fingerprint and whether its artifact exists."""
    from flows.catalogue import configured, entry
    from flows.runner import Runner

    config = configured(flow, profile or Settings().profile, changes, paths)
    runner = Runner(Settings(), dry=True)
    entry(flow).stages(runner, config)
    print_plan(runner.calls)


def print_plan(calls: Iterable[Call]) -> None:
    """Stage calls as a table, one line each, and how many of them are in which state."""
    shown = Table(box=None, pad_edge=False)
    for name in ("stage", "state", "fingerprint", "writes", "reads"):
        shown.add_column(name, no_wrap=name not in ("writes", "reads"))  # these give way where the line is short
    counted = Counter[str]()
    for call in calls:
        named = (Text(text, no_wrap=True, overflow="ellipsis") for text in (call.writes, call.reads))
        shown.add_row(call.stage, call.state, call.fingerprint[:12], *named)
        counted[call.state] += 1
    out.print(shown)
    told = {"cached": "reused", "to do": "to do", "waits": "waiting for what is to do"}
    out.print(f"{counted.total()} stage calls: " + ", ".join(f"{counted[key]} {told[key]}" for key in told))


def list_tables() -> None:
    """Every table with its newest version, rows and partitions; then every model with the stage call that made it."""
    tables = warehouse_tables()
    names = tables.names()
    if not names:
        out.print(f"no tables in {tables.uri} yet; `rigor run mine` makes the first")
        return
    shown = Table("table", "version", "rows", "partitions", "meaning", box=None, pad_edge=False)
    for name in names:
        view = tables.view(name)
        count = view.scan().select(pl.col("partition").n_unique()).collect().item()
        meaning = TABLES[name].meaning if name in TABLES else ""
        shown.add_row(name, str(view.parts[0][0]), f"{view.rows:,}", str(count), meaning)
    out.print(shown)
    models_made = Lineage(tables).calls().filter(pl.col("kind") == "model")
    made = models_made.unique("name", keep="last", maintain_order=True)
    if made.height:
        models = Table("model", "version", "made by", "at", box=None, pad_edge=False)
        for name, version, stage, started in made.select("name", "version", "stage", "started").iter_rows():
            models.add_row(name, str(version), stage, f"{started:%Y-%m-%d %H:%M}")
        out.print("", models)


def show_table(table: str, rows: int, columns: str, where: str) -> None:
    """Columns, history and first rows of a table version."""
    name, _, version = table.partition("@")
    tables = warehouse_tables()
    if version and not version.isdigit():
        raise ValueError(f"{table}: a version is a number, such as {name}@3")
    try:
        view = tables.view(name, int(version) if version else None)
    except TableNotFoundError as error:
        if tables.exists(name):
            raise LookupError(str(error)) from error
        raise LookupError(f"no table {table}; there are: {', '.join(tables.names()) or 'none yet'}") from error
    frame = view.scan()
    names = frame.collect_schema().names()
    chosen = [c.strip() for c in columns.split(",") if c.strip()] or [
        n for n in names if n not in ("payload", "signature")
    ]
    unknown = [c for c in chosen if c not in names]
    if unknown:
        raise LookupError(f"{name} has no column {', '.join(unknown)}; it has {', '.join(names)}")
    try:
        frame = frame.filter(pl.sql_expr(where)) if where else frame
        found = frame.select(chosen).head(rows).collect()  # before anything is printed: some mistakes show here alone
    except pl.exceptions.PolarsError as error:
        if not where:
            raise
        what = str(error).splitlines()[0]  # the query plan follows
        raise ValueError(f"--where {where!r}: {what}") from error
    out.print(f"[bold]{name}@{view.parts[0][0]}[/]  {view.rows:,} rows  {view.uri}")
    if not columns and name in TABLES:
        described = Table("column", "dtype", "unit", "meaning", box=None, pad_edge=False)
        for field in TABLES[name].arrow:
            described.add_row(field.name, str(field.type), field.metadata[b"unit"].decode(),
                              field.metadata[b"meaning"].decode())  # fmt: skip
        out.print(described)
    with pl.Config(tbl_rows=rows, tbl_cols=-1, fmt_str_lengths=60, tbl_width_chars=max(out.width, 100)):
        out.print(str(found), markup=False, highlight=False)


def extract_page(file: str, url: str, *, formulas_only: bool) -> None:
    """Extract one HTML page to the terminal."""
    from tasks.mine.extract_text import extract

    html = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    found = extract(html, url)
    if found.reject is not None:
        raise ValueError(f"{file}: {found.reject.reason} {found.reject.detail}".rstrip())
    text = "\n".join(found.formulas) if formulas_only else found.text
    sys.stdout.write((plain(text) if sys.stdout.isatty() else text) + "\n")
    carriers = ", ".join(found.carriers) or "none"
    Console(stderr=True).print(
        f"title: {found.title!r}; {len(found.formulas)} formulas; carriers: {carriers}", markup=False
    )


def write_domain_review(file: Path) -> None:
    """Write the review file of the last round's domains."""
    from tasks.mine.domain_review import write_review

    tables = warehouse_tables()
    lineage = Lineage(tables)
    domains, scores = lineage.current("domains"), lineage.current("page_scores")
    if domains is None or scores is None:
        raise LookupError("no domains yet; `rigor run mine` makes them")
    read = [tables.view(ref.name, ref.version).scan().collect() for ref in (domains, scores)]
    write_review(read[0], file, read[1])
    out.print(f"wrote {file}: edit the decisions, then mine again as before, with `--set review={file}`")


def _line(call: Call) -> str:
    if call.state == "cached":
        return f"  [dim]{call.stage:<18} reused    {escape(call.writes)}[/]"
    counts = ""
    if call.ref is not None and call.ref.kind == "table":
        counts = f"{call.rows_in:,} in, {call.ref.rows:,} out, {call.rejected:,} rejected"
    return f"  {call.stage:<18} {call.seconds:6.1f} s  {escape(call.writes):<28} {counts}"


def _draw_over(text: str) -> None:
    """How far a stage is, in a line of the terminal that whatever is printed next takes; elsewhere nothing."""
    if out.is_terminal and not out.is_dumb_terminal:
        out.file.write(f"\x1b[2K  {text[: out.width - 3]}\r")
        out.file.flush()
