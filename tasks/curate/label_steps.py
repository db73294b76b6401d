"""Stage label_steps: the steps of a policy's rollouts judged, and where each chain first goes wrong.

Self-evaluation fed back: what the step checker finds in rollouts becomes labels, and (`write_repairs`) examples.
Rollouts are drawn by whole groups, so that a wrong chain comes with its right siblings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
from matplotlib.figure import Figure
from pydantic import Field

from tasks.curate.chain_rows import split_response
from tasks.curate.chain_steps import ChainVerdict, judge_chains
from tasks.stage import Inputs, Reject, RejectedRow, Report, Stage, StageConfig
from tasks.train.corpora import fraction
from warehouse.ids import row_id
from warehouse.schema_sft import STEP_LABELS

GROUP = ("policy", "step", "place")
_READ = ("id", "policy", "step", "problem", "family", "level", "language", "prompt", "text", "finish", "correct")
SHOWN_STEPS = 12


class LabelStepsConfig(StageConfig):
    """Which rollouts are judged."""

    groups: int = Field(100_000, ge=1)
    """Groups (the samples of one question at one policy version) of each policy, drawn by content."""
    lowest_step: int = Field(0, ge=0)
    """Policy versions before this one are left out: what a beginner writes is no error worth a label."""
    seed: int = Field(1, ge=0, lt=1 << 31)
    """Of the draw."""


def label_steps(config: LabelStepsConfig, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    """Yield a row for each drawn rollout that has steps.

    Reads `rollouts` (of any policies) and `problems`.
    """
    rollouts = inputs.tables["rollouts"]
    total = rollouts.rows
    report.rows_in(total)
    rows = _drawn(config, inputs).to_dicts()
    report.reject([RejectedRow("rollouts", Reject("not drawn", count=total - len(rows)))] if total > len(rows) else [])
    chains = [(row, *split_response(row["text"])) for row in rows]
    report.reject(
        RejectedRow(row["id"], Reject("no steps", row["text"][:200])) for row, steps, _ in chains if not steps
    )
    chains = [chain for chain in chains if chain[1]]
    verdicts = judge_chains([(row["prompt"], tuple(steps)) for row, steps, _ in chains], inputs.workers, report)
    labels = [_label(*chain, verdict) for chain, verdict in zip(chains, verdicts, strict=True)]
    frame = pl.DataFrame(labels, pl.Schema(STEP_LABELS.arrow), orient="row").select(STEP_LABELS.arrow.names)
    _describe(frame, report)
    yield frame


def _drawn(config: LabelStepsConfig, inputs: Inputs) -> pl.DataFrame:
    """Rollouts of the drawn groups, in the table's order, with their problems' categories."""
    late = inputs.tables["rollouts"].scan().filter(pl.col("step") >= config.lowest_step)
    groups = late.select(GROUP).unique().collect().sort(GROUP)
    draws = [fraction(config.seed, "group", f"{policy}/{step}/{place}") for policy, step, place in groups.iter_rows()]
    chosen = (
        groups.with_columns(pl.Series("draw", draws, pl.Float64)).sort("draw").group_by("policy").head(config.groups)
    )
    categories = inputs.tables["problems"].scan().select(problem="id", category="category")
    return (
        late.select(*dict.fromkeys((*_READ, *GROUP)))
        .join(chosen.lazy(), on=GROUP, how="semi", maintain_order="left")
        .join(categories, on="problem", how="left", maintain_order="left")
        .collect()
    )


def _label(row: dict[str, Any], steps: list[str], answer: str, verdict: ChainVerdict) -> dict[str, Any]:
    kept = ("policy", "step", "problem", "family", "level", "language", "category", "prompt", "finish", "correct")
    return {name: row[name] for name in kept} | {
        "id": row_id(row["id"]), "parents": [row["id"], row["problem"]], "partition": "all", "rollout": row["id"],
        "steps": steps, "answer": answer, "verdicts": list(verdict.verdicts),
        "first_wrong": verdict.first_wrong, "claim": verdict.claim, "expected": verdict.expected,
        "reason": verdict.reason,
    }  # fmt: skip


def _describe(labels: pl.DataFrame, report: Report) -> None:
    """How many wrong answers a wrong step explains, by family; and where the errors sit."""
    found = pl.col("first_wrong").is_not_null()
    wrong = labels.filter(~pl.col("correct"))
    families = (
        wrong.group_by("family").agg(wrong=pl.len(), explained=found.sum()).sort("family")
        .with_columns(share=pl.col("explained") / pl.col("wrong"))
    )  # fmt: skip
    right = labels.filter("correct")
    figures = {
        "chains": labels.height, "wrong": wrong.height, "explained": int(families["explained"].sum()),
        "right_with_wrong_step": right.filter(found).height,
        **({"explained_share": float(families["explained"].sum()) / wrong.height} if wrong.height else {}),
        **{f"explained_share.{family}": share for family, share in families.select("family", "share").iter_rows()},
    }  # fmt: skip
    for name, value in figures.items():
        report.metric(name, value)
    report.table("explained", families)
    report.figure("first_wrong", _where(labels))


def _where(labels: pl.DataFrame) -> Figure:
    """Bars: first wrong steps by their index, a colour for each policy."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    errors = labels.filter(~pl.col("correct")).drop_nulls("first_wrong")
    policies = errors["policy"].unique().sort().to_list()
    for number, policy in enumerate(policies):
        places = errors.filter(policy=policy)["first_wrong"].clip(0, SHOWN_STEPS)
        counts = [int((places == index).sum()) for index in range(SHOWN_STEPS + 1)]
        width = 0.8 / len(policies)
        axes.bar(
            [index + (number + 0.5) * width - 0.4 for index in range(SHOWN_STEPS + 1)], counts, width, label=policy
        )
    axes.set_xticks(range(SHOWN_STEPS + 1), [*map(str, range(SHOWN_STEPS)), f"≥ {SHOWN_STEPS}"])
    axes.set(xlabel="first wrong step", ylabel="wrong answers", title="Where errors sit")
    if policies:
        axes.legend()
    return figure


STAGE = Stage(
    name="label_steps",
    version="4",
    reads=("rollouts", "problems"),
    writes="step_labels",
    config=LabelStepsConfig,
    run=label_steps,
)
