"""The command `rigor`. Heavy imports happen inside commands, so that `--help` is quick."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.console import PlainConsole
from flows.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Common Crawl shards in, a reasoning model out: one DAG, every artifact versioned.")  # fmt: skip
out = PlainConsole()

FLOW_NAMES = "r1 (all of it), mine, synthesize, pretrain, zero, cold_start, reason, reject, align, distill, evaluate."
FlowName = Annotated[str, typer.Argument(help=FLOW_NAMES)]
Profile = Annotated[str, typer.Option("--profile", help="laptop, gpu or cluster.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="key=value of the flow's config; repeatable.")]
EngineKind = Annotated[str, typer.Option("--engine", help="local, ray or slurm: where CPU-bound stages run.")]
Format = Annotated[Literal["text", "json"], typer.Option("--format", help="How to print.")]
Paths = Annotated[
    list[str] | None, typer.Option("--paths", help="Crawl files, folders, path lists or URLs; repeatable.")
]


@app.command()
def run(
    flow: FlowName, profile: Profile = "", changes: Changes = None, paths: Paths = None, engine: EngineKind = ""
) -> None:
    """Run a flow; stages whose artifact exists are not computed again."""
    from flows.commands import run_flow

    _use(engine)
    run_flow(flow, profile, changes, paths)


@app.command()
def plan(flow: FlowName, profile: Profile = "", changes: Changes = None, paths: Paths = None) -> None:
    """Show what a run would compute and what it would reuse, without running it."""
    from flows.commands import plan_flow

    plan_flow(flow, profile, changes, paths)


@app.command()
def backfill(
    flow: Annotated[str, typer.Argument(help="A flow that runs over months: mine.")],
    first: Annotated[str, typer.Option("--from", help="First crawl month, YYYY-MM.")],
    last: Annotated[str, typer.Option("--to", help="Last crawl month, YYYY-MM, included.")],
    profile: Profile = "",
    changes: Changes = None,
    paths: Paths = None,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Months at once, a process each.")] = 1,
    newest_first: Annotated[bool, typer.Option("--newest-first", help="Begin with the last month.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    engine: EngineKind = "",
) -> None:
    """Run a flow month by month; each month replaces its own partitions and no other."""
    from flows.backfill import BackfillConfig, backfill_from_shell

    _use(engine)
    order = "newest_first" if newest_first else "oldest_first"
    backfill_from_shell(
        BackfillConfig(flow=flow, first=first, last=last, profile=profile, changes=tuple(changes or ()),
                       paths=tuple(paths or ()), parallel=parallel, order=order, dry_run=dry_run)
    )  # fmt: skip


@app.command()
def tables() -> None:
    """List the tables (versions, rows, partitions) and the models."""
    from flows.commands import list_tables

    list_tables()


@app.command()
def show(
    table: Annotated[str, typer.Argument(help="TABLE or TABLE@version.")],
    rows: Annotated[int, typer.Option(min=1, max=10_000, help="Rows to print.")] = 10,
    columns: Annotated[str, typer.Option(help="Columns, separated by commas.")] = "",
    where: Annotated[str, typer.Option(help="Polars SQL condition, such as \"language = 'de'\".")] = "",
) -> None:
    """Print a table's columns, versions and first rows."""
    from flows.commands import show_table

    show_table(table, rows, columns, where)


@app.command()
def trace(
    target: Annotated[
        str, typer.Argument(help="Row id or its beginning, NAME@version:ID, NAME, NAME@version, or fingerprint.")
    ] = "",
    direction: Annotated[
        Literal["up", "down", "both"],
        typer.Option(help="up: what it was made from; down: what was made from it; both."),
    ] = "up",
    depth: Annotated[int, typer.Option(min=1, max=1000, help="Steps to go, in each direction.")] = 64,
    rows: Annotated[int, typer.Option(min=1, max=10_000, help="Rows shown of one table in one step.")] = 20,
    sample: Annotated[int, typer.Option(min=0, max=1000, help="Rows drawn from each table a model learned from.")] = 0,
    models: Annotated[bool, typer.Option(help="Go on through models; else follow rows alone.")] = True,
    form: Annotated[Literal["text", "json", "svg"], typer.Option("--format", help="How to print.")] = "text",
    to: Annotated[Path | None, typer.Option("--to", help="File to write instead of the terminal.")] = None,
    crawl: Annotated[
        list[str] | None, typer.Option("--crawl", help="Where the WARC files lie, to check bytes.")
    ] = None,
    write_index: Annotated[
        bool, typer.Option("--write-index", help="Write the row indexes that are missing or stale.")
    ] = False,
) -> None:
    """Follow a row, an artifact or a model up to the crawl's bytes and down to what came of it."""
    from flows import trace as tracing
    from warehouse.walk import Limits

    if write_index:
        tracing.write_indexes()
    elif not target:
        raise ValueError("name what to trace: a row's id, NAME, NAME@version, or a fingerprint")
    if target:
        tracing.trace(target, direction, form, Limits(depth, rows, sample, models), to, crawl)


@app.command()
def diff(
    first: Annotated[str, typer.Argument(help="NAME@version, NAME, a fingerprint, or an MLflow or Prefect run id.")],
    second: Annotated[str, typer.Argument(help="The other one, of the same kind.")],
    samples: Annotated[int, typer.Option(min=0, max=100, help="Rows shown of each kind of difference.")] = 3,
    form: Format = "text",
) -> None:
    """Say what differs between two artifacts or two runs: config, inputs, code, rows, metrics."""
    from flows.diff import diff as compare

    compare(first, second, samples, form)


@app.command()
def cost(
    target: Annotated[str, typer.Argument(help="NAME, NAME@version or a fingerprint.")],
    suite: Annotated[str, typer.Option(help="Suite by whose score the cost is divided.")] = "",
    metric: Annotated[str, typer.Option(help="Score of that suite.")] = "pass@1",
    against: Annotated[str, typer.Option(help="A model to compare with: cost of each point gained.")] = "",
    form: Format = "text",
) -> None:
    """Time, energy and money of an artifact and of all it was made from, each stage call counted once."""
    from flows.cost import cost as tell

    tell(target, suite, metric, against, form)


@app.command()
def extract(
    file: Annotated[str, typer.Argument(help="HTML file, or - for standard input.")],
    url: Annotated[str, typer.Option(help="The page's address, if known.")] = "",
    formulas: Annotated[bool, typer.Option("--formulas", help="Print the formulas alone, one a line.")] = False,
) -> None:
    """Print the main content of a page, its mathematics as LaTeX."""
    from flows.commands import extract_page

    extract_page(file, url, formulas_only=formulas)


@app.command()
def review(
    what: Annotated[str, typer.Argument(help="cold_start, or the file (TOML) for the mine's domains.")],
    export: Annotated[Path | None, typer.Option("--export", help="Write the rows to this .csv or .jsonl file.")] = None,
    read: Annotated[Path | None, typer.Option("--import", help="Take over the decisions of this file.")] = None,
    carry: Annotated[bool, typer.Option("--carry", help="Take over those of the last review of other rows.")] = False,
) -> None:
    """Accept, reject or edit the chains of the cold start; or write the file in which domains are approved."""
    if what == "cold_start":
        from flows.review_commands import review_cold_start

        review_cold_start(export, read, carry=carry)
    elif export is not None or read is not None or carry:
        raise ValueError(f"--export, --import and --carry are for `rigor review cold_start`, not for {what}")
    else:
        from flows.commands import write_domain_review

        write_domain_review(Path(what))


@app.command()
def grade(
    file: Annotated[Path, typer.Argument(help="JSONL or Parquet file of answers.")],
    kind: Annotated[str, typer.Option(help="math, code or steps.")] = "math",
    to: Annotated[Path | None, typer.Option("--to", help="Where to write; default FILE.graded.SUFFIX.")] = None,
) -> None:
    """Judge answers, programs or chains of steps; adds verdict columns and prints a table of reasons."""
    from flows.grade import grade_file

    grade_file(file, kind, to)


@app.command()
def deploy(
    profile: Profile = "",
    file: Annotated[Path | None, typer.Option("--file", help="Default: prefect.yaml of this checkout.")] = None,
    manual: Annotated[bool, typer.Option("--manual", help="Forms alone: no schedule, no trigger.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the deployments and stop.")] = False,
) -> None:
    """Register every deployment with the running Prefect server and run what it starts; Ctrl-C stops."""
    from flows.deploy import deploy as serve
    from flows.deployments import FILE

    serve(file or FILE, profile, manual=manual, dry_run=dry_run)


@app.command()
def champion(
    consider: Annotated[str, typer.Option(help="MODEL or MODEL@version that may become champion.")] = "",
    profile: Profile = "",
    changes: Changes = None,
) -> None:
    """Show the champion and the decisions so far, or decide whether a model takes its place."""
    from flows.champion_commands import consider_model, show_champion

    if consider:
        consider_model(consider, profile, changes)
    else:
        show_champion()


@app.command()
def ask(
    problem: Annotated[str, typer.Argument(help='The problem, such as "7 + 6 + 12 + 9".')],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="NAME or NAME@version of a model; repeatable. Default: the best."),
    ] = None,
    temperature: Annotated[float, typer.Option(min=0.0, max=10.0, help="0 takes the most probable token.")] = 0.6,
    max_tokens: Annotated[int, typer.Option(min=1, max=32_768, help="Longest answer.")] = 256,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another answer.")] = 0,
) -> None:
    """Ask a model a problem and see it think; every step is marked with its check."""
    from flows.ask import ask_in_terminal

    ask_in_terminal(problem, model or [], temperature, max_tokens, seed)


@app.command()
def ui(
    port: Annotated[
        int, typer.Option(min=1, max=65_532, help="Port of the Prefect UI; the others take the next three.")
    ] = 4200,
) -> None:
    """Start the dashboards, Prefect and MLflow on loopback and print their addresses; Ctrl-C stops them."""
    from flows.services import serve_ui

    serve_ui(port)


def _use(engine: str) -> None:
    """Let this process and those that it starts use an engine, over the settings'."""
    if engine:
        os.environ["RIGOR_ENGINE"] = engine
        Settings()  # an unknown one is the user's mistake, and ends here


def main() -> None:
    """Entry point: a user's mistake and a stage's failure end with clear lines, never with a traceback."""
    from flows.errors import user_errors

    with user_errors(out):
        Settings().apply()
        app(standalone_mode=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
