"""Stage sample_rejection: several responses of the reasoning policy to each training problem (DeepSeek-R1, §2.3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from itertools import pairwise
from typing import Annotated, Any

import polars as pl
from pydantic import Field, field_validator

from model.convert import load_shape
from model.sample import SamplingParams
from model.tokenizer import Tokenizer
from tasks.curate.chain_rows import chain_rows, no_room
from tasks.curate.sample_chains import MAX_ROWS, sample_chains
from tasks.rl.config import Questions
from tasks.rl.questions import chosen
from tasks.stage import Inputs, RejectedRow, Report, Stage, StageConfig
from tasks.train.corpora import fraction, lay_out_question
from warehouse.schema_chains import REJECTION_SAMPLES

BATCH_PROBLEMS = 1_000


class SampleRejectionConfig(StageConfig):
    """What is asked, how often and how."""

    model: str = "rigor-reason"
    """Name of the policy."""
    questions: Questions = Questions()
    """Which problems of the training split; their order has no effect here."""
    problems: int = Field(600_000, ge=1)
    """Most of them, drawn by id."""
    samples: int = Field(4, ge=1, le=1024)
    """Responses to a question at each temperature."""
    temperatures: tuple[Annotated[float, Field(gt=0, le=100)], ...] = Field((1.0,), min_length=1, max_length=8)
    """R1 sampled at 1.0, in its last stage at 0.7; both give variety and right answers."""
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(32_768, ge=1, le=10_000_000)
    """Longest response."""
    seed: int = Field(1, ge=0, lt=1 << 31)
    """Of the draw and the samples."""

    @field_validator("temperatures")
    @classmethod
    def _distinct(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a temperature twice: it would give the same samples again")
        return value


def sample_rejection(config: SampleRejectionConfig, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    """Yield the responses by temperature and problem. Reads `problems` and the model `policy` with its tokenizer.

    Raises:
        ValueError: no problem of the training split fits `questions`.
    """
    policy = inputs.models["policy"]
    tokenizer, positions = Tokenizer.load(policy), load_shape(policy).max_positions
    problems = _drawn(config, inputs)
    if not problems:
        raise ValueError("no problem of the split train fits sample_rejection.questions")
    each = config.samples * len(config.temperatures)
    report.rows_in(len(problems) * each)
    prompts = tokenizer.encode_parts([lay_out_question(problem["prompt"], "turns") for problem in problems])
    room = min(positions - 1, config.questions.longest_tokens)
    fits = [index for index, prompt in enumerate(prompts) if len(prompt) <= room]
    report.reject(RejectedRow(problem["id"], no_room(len(prompt), room, each))
                  for problem, prompt in zip(problems, prompts, strict=True) if len(prompt) > room)  # fmt: skip
    problems, prompts = [problems[i] for i in fits], [prompts[i] for i in fits]
    report.metric("problems", len(problems))
    tokens = 0
    for temperature in config.temperatures:
        source = f"rejection at {temperature:g}"
        seeds = [_seed(config.seed, source, problem["id"]) for problem in problems]
        params = SamplingParams(temperature=temperature, top_p=config.top_p, max_tokens=config.max_tokens)
        samples = sample_chains(
            policy, prompts, params, config.samples, seeds, inputs.workers, report, keep=inputs.work / source,
            max_rows=inputs.layout.get("sample_rows", MAX_ROWS),
        )  # fmt: skip
        cuts = [*range(0, len(problems), BATCH_PROBLEMS), len(problems)]
        for a, b in pairwise(cuts):
            rows = chain_rows(REJECTION_SAMPLES, problems[a:b], samples[a:b], seeds[a:b], config.model, source)
            tokens += int(rows["tokens"].sum())
            yield rows
    report.metric("sampled_tokens", tokens)


def _drawn(config: SampleRejectionConfig, inputs: Inputs) -> list[dict[str, Any]]:
    """The problems of the lowest draw, by id."""
    rows = chosen(inputs.tables["problems"].scan(), config.questions, "train").collect().to_dicts()
    rows.sort(key=lambda row: (fraction(config.seed, "problem", row["id"]), row["id"]))
    return sorted(rows[: config.problems], key=lambda row: str(row["id"]))


def _seed(seed: int, source: str, problem: str) -> int:
    """Of a question's request: the same wherever and beside whatever it is asked."""
    digest = blake2b(f"{seed}/{source}/{problem}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


STAGE = Stage(
    name="sample_rejection",
    version="2",
    reads=("problems", "policy"),
    writes="rejection_samples",
    config=SampleRejectionConfig,
    run=sample_rejection,
)
