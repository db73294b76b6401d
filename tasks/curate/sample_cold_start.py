"""Stage sample_cold_start: chains from R1-Zero, and from the base prompted for long ones (DeepSeek-R1, section 2.3.1).

The base is shown worked examples as earlier turns, and its response is begun for it in the words of the long form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

import polars as pl
from pydantic import Field, model_validator

from model.convert import config_from_hf
from model.sample import SamplingParams
from model.special_tokens import ID, THINK
from model.tokenizer import Tokenizer
from tasks.curate.chain_rows import chain_rows, no_room
from tasks.curate.families.draft import LABELS
from tasks.curate.sample_chains import sample_chains
from tasks.rl.config import Questions
from tasks.rl.questions import chosen
from tasks.stage import Inputs, Reject, RejectedRow, Report, Stage, StageConfig
from tasks.train.corpora import Parts, fraction, groups_of, lay_out_question, lay_out_solution
from warehouse.schema_chains import COLD_START_SAMPLES

ZERO, BASE = "rigor-zero", "rigor-base"
FROM_ZERO, PROMPTED = "zero", "prompted"
ROWS_A_BATCH = 1024


class SampleColdStartConfig(StageConfig):
    """Which problems, how many responses of whom, and how they are drawn. R1: "thousands" of chains, at T 1.0."""

    questions: Questions = Questions()
    problems: int = Field(8192, ge=1, le=10_000_000)
    """Problems of the training split that are asked at most, drawn by id."""
    zero_samples: int = Field(4, ge=0, le=1024)
    """Responses of R1-Zero to a problem; 0: it is not asked."""
    prompted_samples: int = Field(4, ge=0, le=1024)
    """Responses of the base to a problem, prompted for the long form; 0: it is not asked."""
    shots: int = Field(2, ge=0, le=16)
    """Worked examples before the question, of the same family and language where there are such. A base that has never
    read two problems in one text makes nothing of them."""
    opened: bool = True
    """Begin the base's response with the first word of the long form ("Understand:"), in the question's language."""
    example_style: str = "full"
    """Style of the examples in `synthetic_corpus`."""
    example_pool: int = Field(64, ge=1, le=100_000)
    """Examples of a family and language to draw from."""
    temperature: float = Field(1.0, gt=0, le=100)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(32_768, ge=1, le=10_000_000)
    """Longest response."""
    seed: int = Field(0, ge=0, lt=1 << 31)
    """Of the problems, the examples and the samples."""

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if not self.zero_samples and not self.prompted_samples:
            raise ValueError("zero_samples and prompted_samples are both 0: nothing would be sampled")
        return self


@dataclass(frozen=True)
class Laid:
    """A problem and its prompt in parts (none where it cannot be asked); `used` are the ids of the examples in it."""

    problem: Mapping[str, Any]
    parts: Parts
    used: tuple[str, ...] = ()
    opening: str = ""
    """With which the response begins: its tokens end the prompt."""


def sample_cold_start(config: SampleColdStartConfig, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    """Yield rows of `cold_start_samples`, by source, problem and sample.

    Reads `problems`, as far as they are asked the models `rigor-zero` and `rigor-base`, and where there are worked
    examples `synthetic_corpus`.

    Raises:
        ValueError: no problem of the training split fits `config.questions`.
    """
    found = chosen(inputs.tables["problems"].scan(), config.questions, "train").collect()
    drawn = pl.col("id").map_elements(lambda i: fraction(config.seed, "cold_start", i), pl.Float64)
    problems = found.sort(drawn).head(config.problems).sort("id").to_dicts()
    if not problems:
        raise ValueError("no problem of the split train fits `questions`")
    if config.zero_samples:
        plain = [Laid(problem, lay_out_question(problem["prompt"], "turns")) for problem in problems]
        yield from _sampled(config, FROM_ZERO, ZERO, config.zero_samples, plain, inputs, report)
    if config.prompted_samples:
        shown = list(_with_examples(config, problems, inputs))
        yield from _sampled(config, PROMPTED, BASE, config.prompted_samples, shown, inputs, report)


def _with_examples(
    config: SampleColdStartConfig, problems: Sequence[Mapping[str, Any]], inputs: Inputs
) -> Iterator[Laid]:
    """Every problem with worked examples of other problems before it, as earlier turns of the conversation."""
    groups = groups_of(inputs.tables["problems"])
    pools = _pools(config, inputs) if config.shots else {}
    for problem in problems:
        same = pools.get((problem["family"], problem["language"])) or pools.get(("", problem["language"]), [])
        others = [row for row in same if groups.get(row["problem"]) != groups.get(problem["id"])]
        ranked = sorted(others, key=lambda row: fraction(config.seed, problem["id"], row["id"]))[: config.shots]
        parts: Parts = ()
        for row in ranked:
            said = lay_out_question(row["prompt"], "turns")
            parts += (said if not parts else said[1:]) + lay_out_solution(row["steps"], row["answer"], "turns")
        question = lay_out_question(problem["prompt"], "turns")
        whole = (*parts, *question[1:]) if parts else question
        labels = LABELS.get(problem["language"]) if config.opened else None
        first = labels["understand"].rstrip() if labels else ""
        opened: Parts = (ID[THINK], f"\n{first}") if first else ()
        enough = len(ranked) == config.shots
        yield Laid(problem, (*whole, *opened) if enough else (), tuple(row["id"] for row in ranked),
                   f"{THINK}\n{first}" if first else "")  # fmt: skip


def _pools(config: SampleColdStartConfig, inputs: Inputs) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Examples by (family, language), and under the family '' of all families that are asked."""
    corpus = inputs.tables["synthetic_corpus"].scan()
    meant = corpus.filter(
        pl.col("style") == config.example_style, pl.col("split") == "train", pl.col("correct"),
        pl.col("steps").list.len() > 0,
    )  # fmt: skip
    pools: dict[tuple[str, str], list[dict[str, Any]]] = {}
    rows = meant.select("id", "problem", "family", "language", "prompt", "steps", "answer").collect().to_dicts()
    for row in sorted(rows, key=lambda row: fraction(config.seed, "example", row["id"])):
        for family in (row["family"], ""):
            pool = pools.setdefault((family, row["language"]), [])
            if len(pool) < config.example_pool:
                pool.append(row)
    return pools


def _sampled(
    config: SampleColdStartConfig, source: str, model: str, n: int, laid: Sequence[Laid], inputs: Inputs, report: Report
) -> Iterator[pl.DataFrame]:
    """Ask `model` every prompt `n` times; what cannot be asked is rejected with the samples it would have had."""
    policy = inputs.models[model]
    report.rows_in(n * len(laid))
    asked, prompts = _asked(config, policy, n, laid, report)
    seeds = [_seed(config.seed, source, each.problem["id"]) for each in asked]
    params = SamplingParams(temperature=config.temperature, top_p=config.top_p, max_tokens=config.max_tokens)
    found = sample_chains(policy, prompts, params, n, seeds, inputs.workers, report, keep=inputs.work / source)
    samples = [[replace(c, text=each.opening + c.text) for c in made] for each, made in zip(asked, found, strict=True)]
    right, tokens, cut = 0, 0, 0
    size = max(1, ROWS_A_BATCH // n)
    for start in range(0, len(asked), size):
        part = slice(start, start + size)
        frame = chain_rows(
            COLD_START_SAMPLES, [each.problem for each in asked[part]], samples[part], seeds[part], model, source,
            parents=[each.used for each in asked[part]],
        )  # fmt: skip
        right += int(frame["correct"].sum())
        tokens += int(frame["tokens"].sum())
        cut += int((frame["finish"] == "length").sum())
        if start == 0:
            report.table(f"samples.{source}", frame.select("prompt", "text", "correct", "tokens").head(12))
        yield frame
    count = max(1, n * len(asked))
    for name, value in {
        "pass_rate": right / count,
        "response_tokens": tokens / count,
        "cut_share": cut / count,
    }.items():
        report.metric(f"{source}.{name}", value)


def _asked(
    config: SampleColdStartConfig, policy: Path, n: int, laid: Sequence[Laid], report: Report
) -> tuple[list[Laid], list[list[int]]]:
    """What can be asked, and its prompts in tokens."""
    positions = config_from_hf(json.loads((policy / "config.json").read_text(encoding="utf-8"))).max_positions
    tokenizer = Tokenizer.load(policy)
    tokens = tokenizer.encode_parts([each.parts for each in laid])
    questions = tokenizer.encode_parts([lay_out_question(each.problem["prompt"], "turns") for each in laid])
    asked: list[Laid] = []
    prompts: list[list[int]] = []
    for each, ids, own in zip(laid, tokens, questions, strict=True):
        if not each.parts:
            why = Reject("not enough worked examples in its language", each.problem["language"], n)
        elif len(own) > config.questions.longest_tokens:
            why = Reject("question too long", f"{len(own)} tokens", n)
        elif len(ids) + 1 >= positions:
            why = no_room(len(ids), positions, n)
        else:
            asked.append(each)
            prompts.append(ids)
            continue
        report.reject([RejectedRow(each.problem["id"], why)])
    return asked, prompts


def _seed(*parts: int | str) -> int:
    digest = blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


STAGE = Stage(
    name="sample_cold_start",
    version="2",
    reads=("problems", "synthetic_corpus", ZERO, BASE),
    writes="cold_start_samples",
    config=SampleColdStartConfig,
    run=sample_cold_start,
)
