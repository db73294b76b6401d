"""Stage write_repairs: a policy's wrong chains become examples of an error that is noticed and put right.

A repair is the chain up to and with its first wrong step, a line that notices ("Wait, that is wrong."), and the way
from there to the right answer: that of a right rollout which has the same steps before and puts this one right, else
the same lines worked out again. The step checker and the answer checker judge each as a whole: one wrong step, where it
was, and a right answer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import polars as pl
from pydantic import Field

from tasks.curate.chain_steps import as_words, judge_chains
from tasks.curate.correct_lines import correct_lines, notice
from tasks.curate.families.draft import LABELS
from tasks.rl.grading import right_answers
from tasks.stage import Inputs, Reject, RejectedRow, Report, Stage, StageConfig
from tasks.train.corpora import fraction
from warehouse.ids import row_id
from warehouse.schema_sft import REPAIRS

Row = Mapping[str, Any]
VERIFY = tuple(labels["verify"].strip() for labels in LABELS.values())
KEPT = ("problem", "family", "level", "language", "category", "prompt", "rollout", "policy", "claim")


class WriteRepairsConfig(StageConfig):
    """How many repairs are written."""

    per_problem: int = Field(2, ge=1)
    """Most of one problem, those of the lowest draw."""
    limit: int = Field(100_000, ge=1)
    """Most of all."""
    seed: int = Field(1, ge=0, lt=1 << 31)
    """Of the draw and the notices."""


@dataclass(frozen=True)
class Draft:
    """A repair before it is judged."""

    label: Row
    steps: tuple[str, ...]
    answer: str
    source: Row | None
    """The right rollout that it goes on as; None: derived."""

    @property
    def text(self) -> str:
        """The steps as one."""
        return "\n".join(self.steps)


def write_repairs(config: WriteRepairsConfig, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    """Yield the repairs, in the order of their draw. Reads `step_labels` and `problems`."""
    labels = inputs.tables["step_labels"].scan().collect()
    named = inputs.tables["problems"].scan().filter(pl.col("id").is_in(labels["problem"].unique().to_list()))
    problems = {row["id"]: row for row in named.collect().iter_rows(named=True)}
    report.rows_in(labels.height)
    refused: Counter[str] = Counter()
    wrong, right = _sorted_out(config, labels, problems, refused)
    drafts = [(row, _drafts(config, row, right[row["problem"]])) for row in wrong]
    flat = [draft for _, found in drafts for draft in found if isinstance(draft, Draft)]
    verdicts = judge_chains([(draft.label["prompt"], draft.steps) for draft in flat], inputs.workers, report)
    answers = right_answers(
        [problems[d.label["problem"]] for d in flat], [f"<answer>{d.answer}</answer>" for d in flat]
    )
    faults = {
        id(draft): _fault(draft, verdict.wrong, answer == 1.0)
        for draft, verdict, answer in zip(flat, verdicts, answers, strict=True)
    }
    rows: list[dict[str, Any]] = []
    written: set[tuple[str, str]] = set()
    per_problem: Counter[str] = Counter()
    for row, found in drafts:
        good = [draft for draft in found if isinstance(draft, Draft) and not faults[id(draft)]]
        if not good:
            last = found[-1]
            reason = last if isinstance(last, str) else faults[id(last)]
            report.reject([RejectedRow(row["id"], Reject(reason, f"{row['family']}: {row['claim'][:200]}"))])
        elif (row["problem"], good[0].text) in written:
            refused["the same repair is there already"] += 1
        elif per_problem[row["problem"]] >= config.per_problem or len(rows) >= config.limit:
            refused["beyond the cap"] += 1
        else:
            written.add((row["problem"], good[0].text))
            per_problem[row["problem"]] += 1
            rows.append(_row(good[0]))
    report.reject(RejectedRow("step_labels", Reject(why, count=n)) for why, n in sorted(refused.items()))
    frame = pl.DataFrame(rows, pl.Schema(REPAIRS.arrow), orient="row").select(REPAIRS.arrow.names)
    _describe(frame, len(wrong), report)
    yield frame


def _sorted_out(
    config: WriteRepairsConfig, labels: pl.DataFrame, problems: Mapping[str, Row], refused: Counter[str]
) -> tuple[list[Row], dict[str, list[Row]]]:
    """Wrong chains whose first wrong step is known, by draw; and by problem the right ones without a wrong step."""
    wrong: list[Row] = []
    right: dict[str, list[Row]] = defaultdict(list)
    for row in labels.iter_rows(named=True):
        if row["correct"]:
            if row["first_wrong"] is None and row["finish"] == "stop":
                right[row["problem"]].append(row)
            refused["right: nothing to repair"] += 1
        elif row["problem"] not in problems:
            refused["its problem is not in the table problems"] += 1
        elif row["first_wrong"] is None:
            refused["wrong, but no wrong step was found"] += 1
        else:
            wrong.append(row)
    for rows in (wrong, *right.values()):
        rows.sort(key=lambda row: (fraction(config.seed, "repair", row["id"]), row["id"]))
    return wrong, right


def _drafts(config: WriteRepairsConfig, row: Row, right: Sequence[Row]) -> list[Draft | str]:
    """Ways to repair a chain, the best first; a text says why one is none."""
    wrong, steps = row["first_wrong"], row["steps"]
    before, after = steps[: wrong + 1], notice(row["language"], fraction(config.seed, "notice", row["id"]))
    found: list[Draft | str] = []
    twins = (other for other in right if other["steps"][:wrong] == steps[:wrong] and len(other["steps"]) > wrong)
    twin = next((other for other in twins if _same_statement(steps[wrong], other["steps"][wrong])), None)
    if twin is not None:
        found.append(Draft(row, (*before, after, *twin["steps"][wrong:]), twin["answer"], twin))
    elif row["finish"] != "stop":
        found.append("cut off, and no right rollout puts that step right")
    else:
        ways = correct_lines(row["prompt"], steps, wrong, row["answer"])
        found += [way if isinstance(way, str) else Draft(row, (*before, after, *way.lines), way.answer, None)
                  for way in ways]  # fmt: skip
    return found


def _same_statement(wrong: str, right: str) -> bool:
    """Whether one step says of the same thing something else: at least the first half of its words is the same."""
    one, other = as_words(wrong), as_words(right)
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    return 2 * common >= len(one)


def _fault(draft: Draft, wrong: tuple[int, ...], right: bool) -> str:
    """Why a draft is no repair; '' when it is one."""
    if wrong != (draft.label["first_wrong"],):
        return "another step is wrong" if len(wrong) > 1 else "the wrong step is none in the repair"
    if not right:
        return "its answer is not right"
    results = [step.rpartition("=")[2] for step in draft.steps if "=" in step and not step.startswith(VERIFY)]
    if draft.source is None and (not results or results[-1].strip(" .。") != draft.answer.strip()):
        return "its answer does not follow from its steps"
    return ""


def _row(draft: Draft) -> dict[str, Any]:
    row = draft.label
    source = [] if draft.source is None else [draft.source["id"]]
    return {name: row[name] for name in KEPT} | {
        "id": row_id(row["rollout"], draft.text), "parents": [row["id"], *source, row["problem"]], "partition": "all",
        "steps": list(draft.steps), "answer": draft.answer, "wrong_step": row["first_wrong"],
        "continued": "derived" if draft.source is None else "rollout", "steps_text": draft.text,
    }  # fmt: skip


def _describe(repairs: pl.DataFrame, wrong: int, report: Report) -> None:
    families = repairs.group_by("family").agg(
        repairs=pl.len(), derived=(pl.col("continued") == "derived").sum(), wrong_step=pl.col("wrong_step").mean()
    )  # fmt: skip
    report.metric("wrong_with_step", wrong)
    report.metric("derived", repairs.filter(continued="derived").height)
    report.table("repairs", families.sort("family"))
    shown = repairs.group_by("family", maintain_order=True).head(3).sort("family", maintain_order=True)
    report.table("examples", shown.select("family", "prompt", "steps_text", "answer", "continued"))


STAGE = Stage(
    name="write_repairs",
    version="3",
    reads=("step_labels", "problems"),
    writes="repairs",
    config=WriteRepairsConfig,
    run=write_repairs,
)
