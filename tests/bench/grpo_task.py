"""What `bench_grpo` gives to both: a policy, questions in the order in which they are asked, and where results go.

Imported by TRL's process too, whose environment has everything of ours beside TRL.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel

from model.tokenizer import Tokenizer
from tasks.rl.config import Questions, ReinforceConfig
from tasks.rl.questions import chosen, draw
from tasks.train.corpora import fraction, lay_out_question


class Task(BaseModel):
    """One run of TRL, as JSON."""

    config: ReinforceConfig
    policy: Path
    """Hugging Face folder with its tokenizer."""
    asked: Path
    """Parquet of questions, one row for each place of each step, in order."""
    look_every: int
    """Steps between two sets of weights that are kept to be measured."""
    pass_rows: int
    """Responses of one pass of the trainer."""
    result: Path
    """Folder for `result.json` and the weights."""


class StepTime(BaseModel):
    """A step."""

    seconds: float
    """Wall time of all of it."""
    phases: dict[str, float]
    """Of which by phase."""
    reward: float
    response_tokens: float


class Look(BaseModel):
    """A measurement."""

    step: int
    seconds: float
    """Of training up to there: neither start-up nor measuring are in it."""
    accuracy: float = 0.0
    """Greedy, on the held-out questions."""
    weights: Path | None = None


class Run(BaseModel):
    """What one run came to."""

    startup_seconds: float
    """From the start of the processes to the first step."""
    cpu_seconds: float = 0.0
    """Of all its processes, start-up and measuring included."""
    steps: list[StepTime]
    looks: list[Look]


def questions_of(problems: pl.LazyFrame, options: Questions, split: str, tokenizer: Tokenizer) -> pl.DataFrame:
    """Rows of the table `problems` with the column `tokens`, as the stage `reinforce` lays them out."""
    rows = chosen(problems, options, split).collect().sort("id")
    tokens = tokenizer.encode_parts([lay_out_question(prompt, "turns") for prompt in rows["prompt"]])
    return rows.with_columns(pl.Series("tokens", tokens, pl.List(pl.Int64)))


def held_out_of(rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """So many of them, drawn once."""
    return rows.sort(pl.col("id").map_elements(lambda key: fraction(0, "held_out", key), pl.Float64)).head(count)


def asked(config: ReinforceConfig, questions: pl.DataFrame) -> pl.DataFrame:
    """The questions of all steps in the order in which our loop asks them."""
    places = range(config.questions_per_step)
    return questions[[index for step in range(config.steps) for index in draw(config, len(questions), step, places)]]


def texts_of(tokenizer: Tokenizer, tokens: list[list[int]]) -> list[str]:
    """Responses as our sampler gives them: special tokens by name, the end of text left out."""
    return [
        b"".join(tokenizer.token_bytes[t] for t in (row[:-1] if row and row[-1] == tokenizer.eos else row)).decode(
            errors="replace"
        )
        for row in tokens
    ]


def rows_of(path: Path) -> list[dict[str, Any]]:
    """A file's rows."""
    return pl.read_parquet(path).to_dicts()
