"""`rigor cost`: time, energy and money of an artifact and of all that it was made from."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import polars as pl
from rich.table import Table

from flows.commands import out, warehouse_tables
from flows.settings import Settings
from warehouse.ledger import Entry, Ledger, Use, by_stage
from warehouse.lineage import Lineage
from warehouse.prices import Prices


def cost(target: str, suite: str, metric: str, against: str, form: str) -> None:
    """Print what `target` took, stage by stage; with a suite, what a point of its score cost.

    Raises:
        LookupError: no such artifact, or no such score of it.
    """
    prices, lineage = Settings().prices, Lineage(warehouse_tables())
    entries = _bill(lineage, target, prices)
    told = as_data(entries, prices)
    if suite:
        told["score"] = point(lineage, entries, target, suite, metric, against, prices)
    if form == "json":
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        _print(told, prices)


def as_data(entries: Sequence[Entry], prices: Prices) -> dict[str, Any]:
    """A bill as JSON data: stages, total, and how each kind of energy figure was found."""
    total = sum((entry.use for entry in entries), Use())
    return {
        "stages": {stage: _figures(use, prices) for stage, use in by_stage(entries).items()},
        "total": _figures(total, prices),
        "calls": [{"stage": e.stage, "artifacts": list(e.artifacts), "method": e.method, **_figures(e.use, prices)}
                  for e in entries],
        "methods": {m: sum(e.method == m for e in entries) for m in sorted({e.method for e in entries})},
        "prices": prices.model_dump(),
    }  # fmt: skip


def point(
    lineage: Lineage, entries: Sequence[Entry], target: str, suite: str, metric: str, against: str, prices: Prices
) -> dict[str, Any]:
    """What a point (a hundredth) of a score cost: over all it took, or over what `against` did not take as well."""
    value = score(lineage, target, suite, metric)
    told: dict[str, Any] = {"suite": suite, "metric": metric, "value": value}
    points = value * 100
    if against:
        base = _bill(lineage, against, prices)
        shared = {entry.run for entry in base}  # a call's artifacts may differ: rollouts may lead to one side alone
        entries = [entry for entry in entries if entry.run not in shared]
        told["against"] = {"model": against, "value": score(lineage, against, suite, metric)}
        points -= told["against"]["value"] * 100
    spent = _figures(sum((entry.use for entry in entries), Use()), prices)
    told["points"] = points
    told["each_point"] = {k: v / points for k, v in spent.items() if k != "calls"} if points > 0 else None
    return told


def score(lineage: Lineage, target: str, suite: str, metric: str) -> float:
    """The newest score of exactly this model version.

    Raises:
        LookupError: it was not evaluated on that suite, or there is no such metric.
    """
    roots = {call["fingerprint"] for call in lineage.called(target)}
    calls = lineage.calls().to_dicts()
    asked = {c["fingerprint"] for c in calls if c["name"] == "eval_samples" and _reads(c) & roots}
    for call in reversed([c for c in calls if c["name"] == "evals" and _reads(c) & asked]):
        rows = lineage.tables.view("evals", call["version"], call["partitions"]).scan()
        whole = (pl.col("family") == "") & (pl.col("level") == "") & (pl.col("suite") == suite)
        found = rows.filter(whole & (pl.col("metric") == metric)).sort("shots").collect()
        if found.height:
            return float(found["value"][0])
    raise LookupError(f"{target} has no {metric} on {suite}; `rigor run evaluate` makes scores")


def _reads(call: dict[str, Any]) -> set[str]:
    return {given["fingerprint"] for given in call["inputs"]}


def _bill(lineage: Lineage, target: str, prices: Prices) -> list[Entry]:
    roots = lineage.called(target)
    if not roots:
        raise LookupError(f"no artifact or model {target!r}; `rigor tables` lists both")
    return Ledger(lineage).bill(roots, prices.watts_a_core)


def _figures(use: Use, prices: Prices) -> dict[str, float]:
    return {**asdict(use), "money": prices.amount(use.cpu_seconds, use.gpu_seconds, use.energy_joules)}


def _print(told: dict[str, Any], prices: Prices) -> None:
    shown = Table("stage", "calls", "hours", "CPU hours", "GPU hours", "Wh", prices.currency, box=None, pad_edge=False)
    for stage, figures in {**told["stages"], "[bold]total[/]": told["total"]}.items():
        hours = (f"{figures[k] / 3600:,.4f}" for k in ("seconds", "cpu_seconds", "gpu_seconds", "energy_joules"))
        shown.add_row(stage, f"{figures['calls']:,}", *hours, f"{figures['money']:,.4f}")
    out.print(shown)
    counted = ", ".join(f"{method} ({count})" for method, count in told["methods"].items())
    out.print(f"energy: {counted}. Each stage call counts once, however many ways lead to it.", highlight=False)
    if "score" in told:
        _print_score(told["score"], prices)


def _print_score(told: dict[str, Any], prices: Prices) -> None:
    line = f"{told['metric']} on {told['suite']}: {told['value']:.4f}"
    if "against" in told:
        line += f", {told['against']['model']}: {told['against']['value']:.4f}"
    out.print(line, highlight=False)
    if told["each_point"] is None:
        out.print("no point gained, so none has a price")
        return
    each = told["each_point"]
    out.print(f"each of {told['points']:.2f} points: {each['cpu_seconds'] / 3600:,.4f} CPU hours,"
              f" {each['gpu_seconds'] / 3600:,.4f} GPU hours, {each['energy_joules'] / 3600:,.3f} Wh,"
              f" {each['money']:,.4f} {prices.currency}", highlight=False)  # fmt: skip
