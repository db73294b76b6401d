"""Stage score_answers: the samples of a model as scores with intervals, by suite, family and level.

| metric | mean over questions of |
|-|-|
| pass@k | the unbiased estimate that one of k samples is right; k = 1, 2, 4 … and the number of samples |
| cons@n | the majority vote over all n samples, ties shared; where there is something to vote on |
| greedy | the verdict at temperature 0 |
| clean pass@1 | pass@1 over the questions that are not in the training tables |
| answered, truncated, reasoned | share of responses with an answer, cut at the limit, with steps |
| wrong_step | share of responses with a step that the step checker calls wrong |
| tokens | their length |

IFEval and suites that a judge compares have scores of their own: `tasks/evaluate/further_scores.py`.

The last three rows are over sampled answers; where there is none, over greedy ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from tasks.evaluate.contamination import TABLES, contaminated
from tasks.evaluate.further_scores import instruction_scores, preference_scores
from tasks.evaluate.grading import IFEVAL, NO_VOTE, PREFERENCE
from tasks.evaluate.sample_answers import GREEDY, SAMPLED, scored_mode
from tasks.evaluate.statistics import majority, mean_interval, pass_at_k
from tasks.mine.decontaminate import DecontaminateConfig
from tasks.stage import Inputs, Report, Stage, StageConfig
from warehouse.ids import row_id
from warehouse.schema_eval import EVALS

QUESTION = ["suite", "shots", "question"]
SCOPES: tuple[tuple[str, ...], ...] = ((), ("family",), ("family", "level"))
UNBOUNDED = ("tokens",)
NOT_METRICS = ("question", "cluster", "family", "level", "ids", "greedy_ids", "seen")
HEADLINE = ("pass@1", "greedy", "win_rate", "length_controlled_win_rate")


class ScoreAnswersConfig(StageConfig):
    """What counts as a question that was trained on."""

    contamination: DecontaminateConfig = DecontaminateConfig()


def score_answers(config: ScoreAnswersConfig, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    """Yield rows of `evals`, by suite, shots, scope and metric.

    Reads `eval_samples` of one model, its `eval_judgements` if a judge was asked, and those of the training tables that
    are given.

    Raises:
        ValueError: samples of several models.
    """
    samples = inputs.tables["eval_samples"].scan().drop("prompt", "response", "gold").collect()
    # One order whatever the samples' own, so that sums come out the same to the last bit.
    samples = samples.sort("suite", "shots", "question", "mode", "sample")
    report.rows_in(samples.height)
    models = samples["model"].unique().to_list()
    if len(models) > 1:
        raise ValueError(f"samples of several models at once: {models}")
    training = {name: view for name, view in inputs.tables.items() if name in TABLES}
    shown: list[dict[str, Any]] = []
    for (suite, shots), part in samples.group_by("suite", "shots", maintain_order=True):
        questions = _questions(part)
        problems = part.group_by("question", maintain_order=True).agg(pl.col("problem").first())
        own = bool((part["parents"].list.len() > 0).all())
        seen = contaminated(problems["problem"], training, config.contamination, templated=own)
        known = problems.select("question").with_columns(
            pl.Series("seen", seen if seen is not None else [None] * problems.height, pl.Boolean)
        )
        questions = questions.join(known, on="question", maintain_order="left")
        rows = [row for scope in SCOPES for row in _scored(questions, scope)]
        share = questions["seen"].mean()
        place = {"family": "", "level": "", "contaminated": float(share) if isinstance(share, float) else None}
        rows += [{**place, **row} for row in _further(inputs, part)]
        frame = pl.DataFrame(
            [{"model": models[0], "suite": suite, "shots": shots, "partition": inputs.partitions[0], **row}
             for row in rows],
            pl.Schema(EVALS.arrow), orient="row",
        )  # fmt: skip
        yield frame.with_columns(
            pl.Series("id", [row_id(*key) for key in frame.select(EVALS.key).iter_rows()], pl.String)
        ).select(EVALS.arrow.names)
        whole = [row for row in rows if not row["family"] and not row["level"]]
        for row in {row["metric"]: row for row in whole}.values():
            report.metric(metric_name(str(suite), int(str(shots)), row["metric"]), row["value"])
        shown += [{"suite": suite, "shots": shots, **row} for row in whole if not row["metric"].startswith("clean")]
    columns = ["suite", "shots", "metric", "value", "low", "high", "questions", "samples", "contaminated"]
    report.table("scores", pl.DataFrame(shown, infer_schema_length=None).select(columns))
    report.figure("scores", _figure([row for row in shown if row["metric"] in HEADLINE], str(models[0])))


def metric_name(suite: str, shots: int, metric: str) -> str:
    """The score's name in MLflow, the same for every model: `math500.pass_at_1`, `gsm8k.4_shot.greedy`."""
    shot = f".{shots}_shot" if shots else ""
    return f"{suite}{shot}.{metric.replace('@', '_at_').replace(' ', '_')}"


def _further(inputs: Inputs, part: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Scores of instructions, and of judged pairs, of the suite whose samples are `part`."""
    here = (pl.col("suite") == part["suite"][0]) & (pl.col("shots") == part["shots"][0])
    if (part["checker"] == IFEVAL).any():
        answers = inputs.tables["eval_samples"].scan().filter(here & (pl.col("checker") == IFEVAL))
        wanted = ("id", "suite", "shots", "mode", "question", "cluster", "gold", "response")
        yield from instruction_scores(scored_mode(answers.select(wanted).collect()).sort("question", "id"))
    if "eval_judgements" in inputs.tables:
        judged = inputs.tables["eval_judgements"].scan().filter(here).collect().sort("question", "id")
        if judged.height:
            yield from preference_scores(judged)


def _questions(part: pl.DataFrame) -> pl.DataFrame:
    """One row a question, one column a metric; null where a question has none of it."""
    told = part.select("question", "cluster", "family", "level").unique("question", maintain_order=True)
    rows: list[dict[str, Any]] = []
    wide = part.group_by("question", "mode", maintain_order=True).agg(
        pl.col("id"), pl.col("correct"), pl.col("vote"), pl.col("checker").first(), pl.col("tokens").list.len().mean(),
        answered=(pl.col("answer") != "").mean(), truncated=(pl.col("finish") != "stop").mean(),
        reasoned=(pl.col("steps").list.len() > 0).mean(), wrong_step=pl.col("first_wrong").is_not_null().mean(),
    )  # fmt: skip
    by_question: dict[str, dict[str, dict[str, Any]]] = {}
    for row in wide.iter_rows(named=True):
        by_question.setdefault(row["question"], {})[row["mode"]] = row
    for question, modes in by_question.items():
        values: dict[str, Any] = {"question": question}
        first = modes.get(SAMPLED) or modes[GREEDY]
        judged_here = first["checker"] != PREFERENCE
        if SAMPLED in modes and judged_here:
            verdicts, numbers = modes[SAMPLED]["correct"], modes[SAMPLED]["vote"]
            count, right = len(verdicts), sum(verdicts)
            values |= {f"pass@{k}": pass_at_k(count, right, k) for k in ks(count)}
            if count > 1:
                values[f"cons@{count}"] = None if modes[SAMPLED]["checker"] in NO_VOTE else majority(numbers, verdicts)
        if GREEDY in modes and judged_here:
            values["greedy"] = float(modes[GREEDY]["correct"][0])
            values["greedy_ids"] = modes[GREEDY]["id"]
        values |= {name: float(first[name]) for name in ("answered", "truncated", "reasoned", "wrong_step", "tokens")}
        values["ids"] = first["id"]
        rows.append(values)
    return told.join(pl.DataFrame(rows, infer_schema_length=None), on="question", maintain_order="left")


def ks(samples: int) -> list[int]:
    """1, 2, 4 … below the number of samples, and that number."""
    return sorted({*(1 << i for i in range(samples.bit_length()) if 1 << i <= samples), samples})


def _scored(questions: pl.DataFrame, scope: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Scores of the whole, or of each family, or of each family and level."""
    metrics = [name for name in questions.columns if name not in NOT_METRICS]
    groups = questions.group_by(scope, maintain_order=True) if scope else [((), questions)]
    for key, group in sorted(groups, key=lambda item: item[0]):
        place = {"family": "", "level": "", **dict(zip(scope, map(str, key), strict=True))}
        if scope and not place[scope[-1]]:
            continue  # the suite has no such field: the wider scope has said it all
        for metric in metrics:
            have = group.filter(pl.col(metric).is_not_null())
            if have.height:
                yield {**place, **_row(metric, have, metric)}
        clean = group.filter(~pl.col("seen"))
        if "pass@1" in metrics and clean.height < group.height and clean.height:
            yield {**place, **_row("clean pass@1", clean, "pass@1")}


def _row(name: str, group: pl.DataFrame, metric: str) -> dict[str, Any]:
    found = mean_interval(np.asarray(group[metric]), group["cluster"].to_list(), share=metric not in UNBOUNDED)
    seen = group["seen"].mean()
    answers = group["greedy_ids" if name == "greedy" else "ids"].explode().to_list()
    return {"metric": name, "value": found.value, "low": found.low, "high": found.high, "questions": group.height,
            "samples": len(answers), "parents": answers,
            "contaminated": float(seen) if isinstance(seen, float) else None}  # fmt: skip


def _figure(rows: list[dict[str, Any]], model: str) -> Any:
    """Each suite's score with its interval."""
    figure = Figure(figsize=(8, 1.5 + 0.3 * max(len(rows), 1)), layout="constrained")
    axes = figure.subplots()
    names = [f"{r['suite']} {r['metric']}" + (f", {r['shots']} shots" if r["shots"] else "") for r in rows]
    values = np.array([row["value"] for row in rows])
    ends = np.array([[row["value"] - row["low"], row["high"] - row["value"]] for row in rows]).reshape(-1, 2).T
    axes.errorbar(values, range(len(rows)), xerr=ends, fmt="o", capsize=3)
    axes.set_yticks(range(len(rows)), names)
    axes.set(xlim=(0, 1), title=f"Scores of {model}, 95 % intervals", xlabel="share right")
    axes.invert_yaxis()
    axes.grid(visible=True, axis="x", alpha=0.3)
    return figure


STAGE = Stage(
    name="score_answers",
    version="2",
    reads=("eval_samples", "eval_judgements", *TABLES),
    writes="evals",
    config=ScoreAnswersConfig,
    run=score_answers,
    reconciles=False,
)
