"""Stage judge_against_baseline: a judge compares a model's answers with a baseline's, each pair in both orders.

AlpacaEval 2 (arXiv 2404.04475) compares with answers that its file holds, Arena-Hard (arXiv 2406.11939) with those of a
model, which answers the suite first. The judge may be any OpenAI-compatible server; it sees the answers without their
thinking, as DeepSeek-R1 was evaluated (arXiv 2501.12948, section 3). AlpacaEval's own judge compares once, in a random
order, and says a probability; here a preference is the mean over both orders.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from pydantic import Field

from model.sample import SamplingParams
from tasks.curate.check_answer import answer_part
from tasks.curate.judge_pairs import Asked, ask_judge
from tasks.evaluate.grading import PREFERENCE
from tasks.evaluate.preferences import Game, Sign
from tasks.evaluate.sample_answers import Server, keep, scored_mode
from tasks.stage import Inputs, Reject, RejectedRow, Report, Stage, StageConfig
from warehouse.ids import row_id
from warehouse.schema_eval import EVAL_JUDGEMENTS

JUDGED, NO_ANSWER = "judged", "no answer"
NO_VERDICT = "no verdict can be read"
MAX_SHOWN_CHARS = 500
QUESTION = ("suite", "shots", "question")


class JudgeAgainstBaselineConfig(StageConfig):
    """Who judges, and against whom."""

    server: Server
    """The judge; its model's name is part of the fingerprint."""
    baseline: str = ""
    """Name of the model to compare with where a suite's file holds no baseline (Arena-Hard); it must be among
    `evaluate.models`."""
    attempts: int = Field(2, ge=1, le=16)
    """How often a pair is asked for until a verdict can be read: greedily first, then at temperature 1."""
    max_tokens: int = Field(2_048, ge=8, le=1_000_000)
    """Of a judgement, its thinking included."""
    batch_judgements: int = Field(512, ge=2, le=1 << 20, multiple_of=2)
    """Judgements that are asked for at a time: what a killed call does not pay for again."""
    seed: int = Field(0, ge=0, lt=1 << 31)


@dataclass(frozen=True)
class Pair:
    """A model's answer (a row of `eval_samples`) beside the baseline's, with the model's at one place."""

    row: dict[str, Any]
    answer: str
    baseline: str
    baseline_id: str
    """Row of the baseline's answer; '' where the suite's file holds it."""
    model_first: bool

    @property
    def asked(self) -> tuple[str, str, str]:
        """The request and the two answers in their order."""
        one, other = (self.answer, self.baseline) if self.model_first else (self.baseline, self.answer)
        return self.row["problem"], one, other


def judge_against_baseline(
    config: JudgeAgainstBaselineConfig, inputs: Inputs, report: Report
) -> Iterator[pl.DataFrame]:
    """Yield rows of `eval_judgements`: two a pair.

    Reads `eval_samples` of the model, and those of the baseline as `baseline` where a model is the baseline.

    Raises:
        ServerError: the judge failed for good.
    """
    rows = _answers(inputs, "eval_samples")
    report.rows_in(2 * len(rows))
    baselines: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in _answers(inputs, "baseline") if config.baseline else ():
        baselines.setdefault(tuple(row[c] for c in QUESTION), row)  # the first sample
    pairs: list[Pair] = []
    for row in rows:
        other = (
            baselines.get(tuple(row[c] for c in QUESTION)) if config.baseline else {"response": row["gold"], "id": ""}
        )
        if other is None:
            why = Reject("the baseline did not answer this question", row["question"], 2)
            report.reject([RejectedRow(row["id"], why, "eval_samples")])
            continue
        told, against = answer_part(row["response"]), answer_part(other["response"])
        pairs += [Pair(row, told, against, other["id"], first) for first in (True, False)]
    for start in range(0, len(pairs), config.batch_judgements):
        part = pairs[start : start + config.batch_judgements]
        kept = inputs.work / f"judgements-{start:08}.parquet"
        if kept.exists():
            frame = pl.read_parquet(kept)
        else:
            frame = _judged(config, part, inputs.partitions[0])
            keep(frame, kept)
        # One order alone would say who stood first: an answer is compared in both, or not at all.
        unread = pl.col("verdict").is_null().any().over("answer")
        report.reject(
            RejectedRow(row["answer"], Reject(NO_VERDICT, row["judgement"][:MAX_SHOWN_CHARS]), "eval_samples")
            for row in frame.filter(unread).iter_rows(named=True)
        )
        yield frame.filter(~unread)
        report.progress(start + len(part), len(pairs), "judgements")


def _answers(inputs: Inputs, name: str) -> list[dict[str, Any]]:
    """The sampled answers that are to be compared, or the greedy ones where there are no others."""
    samples = inputs.tables[name].scan().filter(pl.col("checker") == PREFERENCE).collect()
    return list(scored_mode(samples).sort(*QUESTION, "sample").iter_rows(named=True))


def _judged(config: JudgeAgainstBaselineConfig, pairs: Sequence[Pair], partition: str) -> pl.DataFrame:
    """One row a pair; its verdict is null where none could be read."""
    found: dict[int, tuple[Sign | None, str, str]] = {}
    for index, pair in enumerate(pairs):
        if not pair.answer or not pair.baseline:
            found[index] = (_by_default(pair), "", NO_ANSWER)
    for attempt in range(config.attempts):
        open_ = [i for i in range(len(pairs)) if i not in found or found[i][0] is None]
        asked: list[Asked] = [(f"{config.seed}/{attempt}", *pairs[i].asked) for i in open_]
        params = SamplingParams(temperature=float(attempt > 0), max_tokens=config.max_tokens)
        for index, (verdict, text) in zip(open_, ask_judge(config.server, params, asked), strict=True):
            found[index] = (verdict, text, JUDGED)
    rows = [_row(config, pair, partition, *found[index]) for index, pair in enumerate(pairs)]
    return pl.DataFrame(rows, pl.Schema(EVAL_JUDGEMENTS.arrow), orient="row").select(EVAL_JUDGEMENTS.arrow.names)


def _by_default(pair: Pair) -> Sign:
    """An empty answer loses clearly to any other."""
    if pair.answer == pair.baseline:
        return "A=B"
    return "A>>B" if bool(pair.answer) == pair.model_first else "B>>A"


def _row(
    config: JudgeAgainstBaselineConfig, pair: Pair, partition: str, verdict: Sign | None, said: str, reason: str
) -> dict[str, Any]:
    row = {
        **{name: pair.row[name] for name in ("model", "suite", "shots", "question", "sample", "cluster")},
        "parents": [pair.row["id"], *([pair.baseline_id] if pair.baseline_id else [])], "partition": partition,
        "answer": pair.row["id"], "judge": config.server.model, "baseline": config.baseline,
        "model_first": pair.model_first, "verdict": verdict,
        "points": None if verdict is None else Game(verdict, pair.model_first).points, "reason": reason,
        "judgement": said, "length": len(pair.answer), "baseline_length": len(pair.baseline),
    }  # fmt: skip
    return {**row, "id": row_id(*(row[column] for column in EVAL_JUDGEMENTS.key))}


STAGE = Stage(
    name="judge_against_baseline",
    version="2",
    reads=("eval_samples",),
    writes="eval_judgements",
    config=JudgeAgainstBaselineConfig,
    run=judge_against_baseline,
)
