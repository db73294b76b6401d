"""Stage review: what a person decided about the rows of `cold_start` (accept, reject, edit) makes a new version of it.

DeepSeek-R1 had people go over the cold start (arXiv 2501.12948, section 2.3.1). Decisions are an outside file, keyed by
the ids of the rows as the filter made them, so that a review is an artifact like any other: the same rows and the same
decisions give the same version, and each row still leads back to its sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import polars as pl
from pydantic import ConfigDict, Field, ValidationError, model_validator

from tasks.curate.check_chain import ChainLimits, unfit
from tasks.curate.solutions import Solution
from tasks.stage import Inputs, Reject, RejectedRow, Report, Stage, StageConfig
from warehouse.ids import row_id
from warehouse.schema_chains import COLD_START

UNREVIEWED, ACCEPTED, EDITED = "unreviewed", "accepted", "edited"
MAX_PROBLEMS = 20
"""Mistakes of a file that are listed."""


class Decision(StageConfig):
    """About one row. The row's `id` is the one that the filter gave it, also where an earlier review edited it."""

    model_config = ConfigDict(str_strip_whitespace=True)

    id: str = Field(min_length=1)
    decision: Literal["accept", "reject", "edit"]
    steps: tuple[str, ...] = ()
    """Of an edit: the lines of the think part."""
    answer: str = ""
    """Of an edit: the answer part."""
    note: str = Field("", max_length=10_000)
    """Why."""

    @model_validator(mode="after")
    def _edited_to_something(self) -> Self:
        if self.decision == "edit" and not (self.answer and any(self.steps)):
            raise ValueError("an edit needs the steps and the answer as they shall read")
        return self

    @property
    def text(self) -> str:
        """Of an edit: the response as the model shall read it."""
        return Solution("full", self.steps, self.answer).text


Decisions = Mapping[str, Decision]
"""By row."""


class ReviewConfig(StageConfig):
    """By what an edited chain is judged: the limits of the filter that made the table."""

    limits: ChainLimits = ChainLimits()


def read_decisions(lines: Sequence[str]) -> dict[str, Decision]:
    """Decisions from JSON lines.

    Raises:
        ValueError: a line is no decision, or a row is decided twice; the message names the line.
    """
    found: dict[str, Decision] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            decision = Decision.model_validate_json(line)
        except ValidationError as error:
            told = "; ".join(f"{'.'.join(map(str, e['loc']))} {e['msg']}".strip() for e in error.errors())
            raise ValueError(f"line {number}: {told}") from error
        if decision.id in found:
            raise ValueError(f"line {number}: row {decision.id} is decided twice")
        found[decision.id] = decision
    return found


def mistakes(rows: Sequence[Mapping[str, Any]], decisions: Decisions, limits: ChainLimits) -> list[str]:
    """What is wrong with the decisions: unknown rows, and edited chains that are wrong or unfit to be learned from."""
    by_id = {row["id"]: row for row in rows}
    found = [f"{name}: no such row in the table" for name in decisions if name not in by_id]
    leaving = {name for name, decision in decisions.items() if decision.decision != "accept"}
    taken = {name: name for name in by_id.keys() - leaving}
    for name, decision in decisions.items():
        row = by_id.get(name)
        if row is None or decision.decision != "edit":
            continue
        fault = unfit(row, decision.text, limits, readable=True)
        if fault is not None:
            found.append(f"{name} (edited): {fault.reason}: {fault.detail}".rstrip(": "))
        twin = taken.setdefault(_edited_id(row, decision), name)
        if twin != name:
            found.append(f"{name} (edited): reads as row {twin} does")
    return found


def _edited_id(row: Mapping[str, Any], decision: Decision) -> str:
    return row_id(row["problem"], decision.text)


def review_chains(config: ReviewConfig, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    """Yield the rows that stay; rejected ones go to the quarantine.

    Reads `cold_start` as the filter made it, and the file `decisions` (JSON lines). `cold_start_samples` is named
    among the inputs because the rows' parents are in it.

    Raises:
        ValueError: a decision is mistaken; the message lists them.
    """
    rows = inputs.tables["cold_start"].scan().collect().to_dicts()
    (file,) = inputs.files["decisions"]
    decisions = read_decisions(Path(file.path).read_text(encoding="utf-8").split("\n"))
    wrong = mistakes(rows, decisions, config.limits)
    if wrong:
        raise ValueError(listed(wrong))
    report.rows_in(len(rows))
    made: list[dict[str, Any]] = []
    for row in rows:
        decision = decisions.get(row["id"])
        if decision is None:
            made.append(row)
        elif decision.decision == "accept":
            made.append(row | {"review": ACCEPTED, "note": decision.note})
        elif decision.decision == "edit":
            made.append(_edited(row, decision))
        else:
            report.reject([RejectedRow(row["id"], Reject("rejected in review", decision.note), row["problem"])])
    for kind in ("accept", "edit", "reject"):
        report.metric(f"decided.{kind}", sum(d.decision == kind for d in decisions.values()))
    report.metric("unreviewed", sum(row["review"] == UNREVIEWED for row in made))
    yield pl.DataFrame(made, pl.Schema(COLD_START.arrow), orient="row")


def _edited(row: Mapping[str, Any], decision: Decision) -> dict[str, Any]:
    return dict(row) | {
        "id": _edited_id(row, decision), "parents": [row["id"]], "steps": list(decision.steps),
        "answer": decision.answer, "text": decision.text, "correct": True, "rewritten_by": "person",
        "review": EDITED, "note": decision.note,
    }  # fmt: skip


def listed(wrong: Sequence[str]) -> str:
    """Mistakes as a message."""
    more = [f"… and {len(wrong) - MAX_PROBLEMS} more"] if len(wrong) > MAX_PROBLEMS else []
    return "\n".join([f"the review is not taken over: {len(wrong)} mistakes", *wrong[:MAX_PROBLEMS], *more])


def decisions_of(
    rows: Sequence[Mapping[str, Any]], reviewed: Sequence[Mapping[str, Any]], why: Mapping[str, str]
) -> dict[str, Decision]:
    """The decisions that made `reviewed` out of `rows`, and the notes `why` of those that are gone.

    So a review can be gone on with wherever its tables are.
    """
    same = {row["id"]: row for row in reviewed if row["review"] != EDITED}
    edits = {row["parents"][0]: row for row in reviewed if row["review"] == EDITED}
    found: dict[str, Decision] = {}
    for name in (row["id"] for row in rows):
        if name in edits:
            row = edits[name]
            found[name] = Decision(id=name, decision="edit", steps=tuple(row["steps"]), answer=row["answer"],
                                   note=row["note"])  # fmt: skip
        elif name not in same:
            found[name] = Decision(id=name, decision="reject", note=why.get(name, ""))
        elif same[name]["review"] == ACCEPTED:
            found[name] = Decision(id=name, decision="accept", note=same[name]["note"])
    return found


STAGE = Stage(
    name="review",
    version="1",
    reads=("cold_start", "cold_start_samples", "decisions"),
    writes="cold_start",
    config=ReviewConfig,
    run=review_chains,
)
