"""Stage filter_rejection: of many sampled chains the right, readable and different ones (DeepSeek-R1, §2.3.3).

R1 kept correct responses and dropped chains with mixed languages, long paragraphs and code blocks. Every dropped row
goes to the quarantine with the first reason that applies: cut off, not well-formed, answer not right, mixed language,
code block, long paragraph, repetition, wrong step, the judge says no (or nothing), near the same as a kept one, beyond
the cap.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import polars as pl
from pydantic import Field

from tasks.curate.chain_steps import ChainVerdict, judge_chains, stays_wrong
from tasks.curate.choose_different import choose_different, distance, grams
from tasks.curate.judge_answers import AnswerJudge, judge_answers
from tasks.grade.format import check_format, thinking_of
from tasks.grade.language import LANGUAGES, language_share
from tasks.grade.readability import measure_text
from tasks.stage import Inputs, Reject, RejectedRow, Report, Stage, StageConfig
from tasks.train.corpora import fraction
from warehouse.ids import row_id
from warehouse.schema_sft import REJECTION_KEPT

Row = Mapping[str, Any]
READ = ("id", "problem", "family", "level", "language", "category", "prompt", "gold", "checker", "model", "text",
        "steps", "answer", "correct", "finish")  # fmt: skip
CHAT = ("problem", "family", "level", "language", "category", "prompt", "steps", "answer")


class FilterRejectionConfig(StageConfig):
    """What a chain must be to be learned from."""

    least_language_share: float = Field(0.95, ge=0, le=1)
    """Of the chain's words, in the question's language; a chain without words passes."""
    code_blocks: bool = False
    """Whether the think part may hold fenced code."""
    longest_line_chars: int = Field(2_000, ge=1)
    """A paragraph is a line."""
    repeated_share: float = Field(0.3, ge=0, le=1)
    """Most of the word 8-grams that may have occurred before."""
    longest_loop_words: int = Field(24, ge=3)
    """Longest stretch that may be one unit said three times or more."""
    wrong_steps: Literal["drop", "drop unless noticed", "keep"] = "drop unless noticed"
    """Chains with a step that the checker calls wrong; noticed: the chain itself takes it back later on, and is the
    self-correction that is wanted."""
    per_problem: int = Field(4, ge=1)
    """Most kept chains of a prompt."""
    least_distance: float = Field(0.2, ge=0, le=1)
    """Between two kept chains of a prompt: 1 minus the share of word trigrams that they have in common."""
    judge: AnswerJudge | None = None
    """Who judges answers that no rule can; R1: DeepSeek-V3."""
    seed: int = Field(1, ge=0, lt=1 << 31)
    """Of the chain that is chosen first."""


def filter_rejection(config: FilterRejectionConfig, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    """Yield the kept chains as chat rows, by problem. Reads `rejection_samples`."""
    samples = inputs.tables["rejection_samples"]
    total, read = samples.rows, 0
    right: Counter[str] = Counter()
    asked: set[str] = set()
    passed: dict[str, list[Row]] = defaultdict(list)
    for batch in samples.batches(READ):
        rows = batch.to_pylist()
        report.rows_in(len(rows))
        asked.update(row["problem"] for row in rows)
        right.update(row["family"] for row in rows if row["correct"])
        for row, why in zip(rows, _judged(config, rows, inputs.workers, report), strict=True):
            if why is None:
                passed[row["problem"]].append(row)
            else:
                report.reject([RejectedRow(row["id"], why)])
        read += len(rows)
        report.progress(read, total)
    kept = [row for problem in sorted(passed) for row in _chosen(config, passed[problem], report)]
    frame = pl.DataFrame(kept, pl.Schema(REJECTION_KEPT.arrow), orient="row").select(REJECTION_KEPT.arrow.names)
    _describe(frame, total, right, len(asked), report)
    yield frame


def _judged(config: FilterRejectionConfig, rows: Sequence[Row], workers: int, report: Report) -> list[Reject | None]:
    """Why each row is dropped; None: it passed."""
    why = [_look(config, row) for row in rows]
    left = [index for index, reject in enumerate(why) if reject is None]
    if config.wrong_steps != "keep":
        chains = [(rows[i]["prompt"], tuple(rows[i]["steps"])) for i in left]
        for index, verdict in zip(left, judge_chains(chains, workers, report), strict=True):
            why[index] = _wrong_step(config, rows[index], verdict)
    if config.judge is not None:
        left = [i for i, reject in enumerate(why) if reject is None and rows[i]["checker"] in config.judge.checkers]
        for index, said in zip(left, judge_answers(config.judge, [rows[i] for i in left]), strict=True):
            if said != "yes":
                why[index] = Reject("the judge says no" if said else "the judge gives no verdict")
    return why


def _look(config: FilterRejectionConfig, row: Row) -> Reject | None:
    """What is seen without checking steps or asking a judge."""
    if row["finish"] != "stop":
        return Reject("cut off")
    form = check_format(row["text"])
    if not form.ok:
        return Reject("not well-formed", form.problem)
    ruled = config.judge is None or row["checker"] not in config.judge.checkers
    if ruled and not row["correct"]:
        return Reject("answer not right", row["answer"][:200])
    thinking = thinking_of(row["text"])
    if row["language"] in LANGUAGES:
        words = language_share(thinking, row["language"])
        if words.words and words.share < config.least_language_share:
            return Reject("mixed language", f"{words.share:.2f} of {words.words:.0f} words in {row['language']}")
    if not config.code_blocks and "```" in thinking:
        return Reject("code block")
    numbers = measure_text(thinking)
    if numbers.longest_line_chars > config.longest_line_chars:
        return Reject("long paragraph", f"{numbers.longest_line_chars} characters")
    if numbers.repeated_ngram_share > config.repeated_share or numbers.longest_loop_words > config.longest_loop_words:
        detail = f"{numbers.repeated_ngram_share:.2f} of the 8-grams, a loop of {numbers.longest_loop_words} words"
        return Reject("repetition", detail)
    return None


def _wrong_step(config: FilterRejectionConfig, row: Row, verdict: ChainVerdict) -> Reject | None:
    if not verdict.wrong:
        return None
    if config.wrong_steps == "drop unless noticed" and not stays_wrong(row["steps"], verdict):
        return None
    return Reject("wrong step", f"step {verdict.first_wrong}: {verdict.claim[:200]}")


def _chosen(config: FilterRejectionConfig, rows: list[Row], report: Report) -> list[dict[str, Any]]:
    """Few and different chains of one problem; the others are reported."""
    rows = sorted(rows, key=lambda row: (fraction(config.seed, "first", row["id"]), row["id"]))
    texts = ["\n".join(row["steps"]) for row in rows]
    chosen, near = choose_different(texts, config.per_problem, config.least_distance)
    report.reject(
        RejectedRow(rows[index]["id"], Reject("near the same as a kept one" if index in near else "beyond the cap"))
        for index in range(len(rows)) if index not in chosen
    )  # fmt: skip
    sets = {index: grams(texts[index]) for index in chosen}
    found = []
    for index in chosen:
        row = rows[index]
        judged = config.judge is not None and row["checker"] in config.judge.checkers
        others = [distance(sets[index], sets[other]) for other in chosen if other != index]
        found.append({name: row[name] for name in CHAT} | {
            "id": row_id(row["id"]), "parents": [row["id"], row["problem"]], "partition": "all", "sample": row["id"],
            "model": row["model"], "distance": min(others, default=None),
            "judge": config.judge.server.model if config.judge and judged else "rules",
        })  # fmt: skip
    return found


def _describe(kept: pl.DataFrame, samples: int, right: Counter[str], asked: int, report: Report) -> None:
    figures = {
        "right_share": sum(right.values()) / max(samples, 1), "kept_share": kept.height / max(samples, 1),
        "problems_kept_share": kept["problem"].n_unique() / max(asked, 1),
    }  # fmt: skip
    for name, value in figures.items():
        report.metric(name, value)
    families = pl.DataFrame(sorted(right.items()), schema={"family": pl.String, "right": pl.Int64}, orient="row")
    counted = kept.group_by("family").agg(kept=pl.len(), problems=pl.col("problem").n_unique(),
                                          distance=pl.col("distance").mean())  # fmt: skip
    report.table("families", families.join(counted, on="family", how="left").fill_null(0))
    report.table(
        "examples", kept.head(50).select("family", "language", "prompt", pl.col("steps").list.join("\n"), "answer")
    )


STAGE = Stage(
    name="filter_rejection",
    version="4",
    reads=("rejection_samples",),
    writes="rejection_kept",
    config=FilterRejectionConfig,
    run=filter_rejection,
)
