"""What `rigor run` says at its end: what was made, its figures and scores, and where to look closer."""

from __future__ import annotations

from collections.abc import Sequence

import mlflow
import polars as pl
from rich.markup import escape
from rich.table import Table

from flows.commands import out, warehouse_tables
from flows.runner import Call
from flows.sample_figures import sample_figures
from flows.settings import Settings
from flows.tracking import metrics_of
from tasks.evaluate.score_answers import HEADLINE
from warehouse.lineage import ArtifactRef, Lineage

MODEL_FIGURES = ("parameters", "parameters_active", "tokens_trained", "tokens_per_second", "mfu",
                 "held_out_next_token", "held_out_mtp_1", "held_out_loss_drop", "held_out_greedy",
                 "held_out_pass_rate", "held_out_accuracy_final")  # fmt: skip
"""Metrics of a model's stage that are printed after a run, where there are such."""


def print_summary(flow: str, calls: Sequence[Call], made: Sequence[str], seconds: float, *, sample: bool) -> None:
    """Say what the stage calls of a run made; `sample`: how the mine did on the sample crawl, whose truth is known."""
    computed = sum(call.state == "done" for call in calls)
    out.print(f"\n[bold]made[/] {escape(', '.join(made)) or 'nothing'}")
    if computed:
        out.print(f"{computed} stages computed, {len(calls) - computed} reused, {seconds:.0f} s")
    else:
        out.print(f"nothing recomputed: all {len(calls)} artifacts exist, {seconds:.0f} s")
    refs = [call.ref for call in calls if call.ref is not None]
    _models([ref for ref in refs if ref.kind == "model"])
    _corpus([ref for ref in refs if ref.name == "math_corpus"])
    _rejected({ref.fingerprint for ref in refs})
    print_scores([ref for ref in refs if ref.name == "evals"])
    if sample:
        out.print("[bold]the sample crawl's truth says[/]")
        figures = sample_figures(warehouse_tables(), refs, Settings().absolute_home() / "sample-crawl" / "truth")
        for name, recall, precision, hits, wanted, _ in figures.iter_rows():
            told = f"  {name:<22} recall {recall:.4f}  precision {precision:.4f}  ({hits:,} of {wanted:,})"
            out.print(told, highlight=False)
    _look_closer(flow, refs)


def print_scores(refs: Sequence[ArtifactRef]) -> None:
    """The headline of each suite with its interval, the models under each other; one model alone: its suites."""
    if not refs:
        return
    tables = warehouse_tables()
    whole = (pl.col("family") == "") & (pl.col("level") == "") & pl.col("metric").is_in(HEADLINE)
    views = [tables.view(ref.name, ref.version, ref.partitions).scan() for ref in refs]
    rows = pl.concat(views).filter(whole).collect()
    metrics = [metric for metric in HEADLINE if metric in set(rows["metric"])]
    outer, inner = ("suite", "model") if rows["model"].n_unique() > 1 else ("model", "suite")
    table = Table("", *metrics, box=None, pad_edge=False)
    for (title,), part in rows.group_by(outer, maintain_order=True):
        table.add_row(f"[bold]{escape(str(title))}[/]")
        for (name, shots), scores in part.group_by(inner, "shots", maintain_order=True):
            told = {metric: f"{value:.3f} [{low:.3f}, {high:.3f}]" for metric, value, low, high
                    in scores.select("metric", "value", "low", "high").iter_rows()}  # fmt: skip
            shown = f"  {name}, {shots} shots" if shots else f"  {name}"
            table.add_row(escape(shown), *(escape(told.get(metric, "")) for metric in metrics))
    if rows.height:  # a judge may have found nothing to compare
        out.print(table)


def _models(refs: Sequence[ArtifactRef]) -> None:
    lineage = Lineage(warehouse_tables())
    for ref in refs:
        found = metrics_of(lineage.call_of(ref)["mlflow_run"])
        known = [f"{name} {_figure(found[name])}" for name in MODEL_FIGURES if name in found]
        if known:
            out.print(f"[bold]{ref}[/] " + ", ".join(known), highlight=False)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _corpus(refs: Sequence[ArtifactRef]) -> None:
    if not refs:
        return
    tables = warehouse_tables()
    frame = pl.concat([tables.view(r.name, r.version, r.partitions).scan() for r in refs])
    figures = frame.select(
        pl.len().alias("pages"), pl.col("formulas").sum(), pl.col("domain").n_unique().alias("domains"),
        pl.col("language").n_unique().alias("languages"), pl.col("text").str.len_chars().sum().alias("characters"),
    ).collect()  # fmt: skip
    out.print("[bold]math_corpus[/] " + ", ".join(f"{v:,} {k}" for k, v in figures.row(0, named=True).items()))


def _rejected(fingerprints: set[str]) -> None:
    """The commonest reasons for which the stage calls of these fingerprints refused rows."""
    tables = warehouse_tables()
    if not tables.exists("quarantine"):
        return
    reasons = (
        tables.view("quarantine").scan().filter(pl.col("fingerprint").is_in(fingerprints))
        .group_by("stage", "reason").agg(pl.col("count").sum().alias("rows"))
        .sort(["rows", "stage", "reason"], descending=[True, False, False]).head(12).collect()
    )  # fmt: skip
    if reasons.height:
        out.print("[bold]rejected[/] " + "; ".join(f"{s}: {r} {n:,}" for s, r, n in reasons.iter_rows()))


def _look_closer(flow: str, refs: Sequence[ArtifactRef]) -> None:
    """Commands that can be typed as they stand; only another run's id is left to fill in."""
    run, last = mlflow.last_active_run(), refs[-1] if refs else None
    closer = {"rigor tables": "the tables and their versions"}
    if tables := [ref.name for ref in refs if ref.kind == "table"]:
        closer[f"rigor show {tables[-1]}"] = "rows of one, with their ids"
    if last is not None:
        closer[f"rigor trace {last.name}@{last.version}"] = "what it was made from; so for the id of a row"
    closer[f"rigor plan {flow}"] = "what a run would compute"
    if last is not None and last.kind == "model" and last.version > 1:
        before = f"{last.name}@{last.version - 1}"
        closer[f"rigor diff {before} {last.name}@{last.version}"] = "what differs from the version before"
    closer[f"rigor diff {run.info.run_id if run else 'RUN'} RUN"] = "what differs from another run"
    closer["rigor ui"] = "dashboards, the Prefect UI and MLflow"
    out.print("\nLook closer:")
    for command, meaning in closer.items():
        out.print(f"  {command:<50} {escape(meaning)}", highlight=False)
