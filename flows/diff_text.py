"""What `rigor diff` prints."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from flows.commands import out

VALUE_CHARS = 70
METRICS_SHOWN = 20


def show(told: dict[str, Any]) -> None:
    """Print the difference of two artifacts or of two flow runs."""
    if told["kind"] == "runs":
        _runs(told)
    else:
        _artifacts(told)


def _runs(told: dict[str, Any]) -> None:
    left, right = told["left"], told["right"]
    out.print(
        f"[bold]{escape(left['name'])}[/] {left['run']}\n[bold]{escape(right['name'])}[/] {right['run']}",
        highlight=False,
    )
    _pairs("config", told["config"])
    shown = Table("stage", "left", "right", "", box=None, pad_edge=False)
    for stage in told["stages"]:
        same, both = stage["left"] == stage["right"], stage["left"] and stage["right"]
        verdict = "[bold yellow]different[/]" if both else "left alone" if stage["left"] else "right alone"
        names = [escape(name or "") + f" {(print_ or '—')[:12]}" for name, print_ in
                 zip(stage["writes"], (stage["left"], stage["right"]), strict=True)]  # fmt: skip
        shown.add_row(stage["stage"], *names, "[dim]same[/]" if same else verdict)
    out.print(shown)
    alone = any(not (stage["left"] and stage["right"]) for stage in told["stages"])
    none = "no stage call of both differs" if alone else "every stage call is the same"
    out.print(f"[bold]they part at[/] {told['parted_at']}" if told["parted_at"] else none)
    if "first" in told:
        _artifacts(told["first"])
    else:
        _pairs("metrics", told["metrics"])


def _artifacts(told: dict[str, Any]) -> None:
    for side in ("left", "right"):
        one = told[side]
        rows = f"{one['rows']:,} rows, " if one["kind"] == "table" else ""
        facts = f"{rows}{one['seconds']:.1f} s, {one['started']:%Y-%m-%d %H:%M}"
        out.print(
            f"[bold]{escape(one['artifact'])}[/] by {one['stage']}  {one['fingerprint'][:12]}, {facts}", highlight=False
        )
    if told["same_fingerprint"]:
        out.print("the same stage call: one fingerprint")
    if told["same_content"]:
        out.print("the same content, byte for byte")
    _pairs("config", told["config"])
    _pairs("inputs", {given["name"]: [given["left"], given["right"]] for given in told["inputs"]})
    code = told["code"]
    _pairs("code", {key: code[key] for key in ("stage_version", "git_sha") if code[key][0] != code[key][1]})
    for line in code["changed"]:
        out.print(f"  {escape(line)}", highlight=False)
    if told["origins"]:
        out.print("[bold]they part at[/]")
        for origin in told["origins"]:
            out.print(f"  {origin['stage']}: {escape(origin['left'])} and {escape(origin['right'])}: "
                      + escape("; ".join(origin["why"])), highlight=False)  # fmt: skip
    if "rows" in told:
        _rows(told["rows"])
    _pairs("metrics", told["metrics"])


def _rows(rows: dict[str, Any]) -> None:
    out.print(f"[bold]rows[/] {rows['rows'][0]:,} and {rows['rows'][1]:,}: {rows['added']:,} added,"
              f" {rows['removed']:,} removed, {rows['changed']:,} changed", highlight=False)  # fmt: skip
    if rows["columns"]:
        out.print("  changed in " + ", ".join(f"{c} ({n:,})" for c, n in rows["columns"].items()), highlight=False)
    for side, names in zip(("left", "right"), rows["only"], strict=True):
        if names:
            out.print(f"  columns of the {side} alone: {', '.join(names)}", highlight=False)
    for kind, samples in rows["samples"].items():
        for row in samples:
            facts = ", ".join(f"{k} {_short(v)}" for k, v in row.items() if k not in ("id", "parents", "partition"))
            out.print(f"  {kind} {row['id']}  {escape(_short(facts, 3 * VALUE_CHARS))}", highlight=False)


def _pairs(title: str, pairs: dict[str, Any]) -> None:
    if not pairs:
        return
    out.print(f"[bold]{title}[/]")
    whole_first = sorted(pairs.items(), key=lambda pair: pair[0].count("."))  # a figure's parts have dotted names
    for key, (left, right) in whole_first[:METRICS_SHOWN]:
        out.print(f"  {escape(key)}: {escape(_short(left))} → {escape(_short(right))}", highlight=False)
    if len(pairs) > METRICS_SHOWN:
        out.print(f"  and {len(pairs) - METRICS_SHOWN} more (`--format json` has them)")


def _short(value: Any, chars: int = VALUE_CHARS) -> str:
    text = "—" if value is None else f"{value:,.6g}" if isinstance(value, float) else " ".join(str(value).split())
    return text if len(text) <= chars else text[: chars - 1] + "…"
