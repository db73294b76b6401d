"""Rewards: named, versioned terms, weighted by config, kept apart in the result.

A term takes a batch and returns one number a row. A run's reward can be taken apart afterwards, because each term's
raw values are stored under `name@version` beside the total: total = Σ weight · clip(term).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.grade.code import CodeJudge, FunctionTest, Limits, StdioTest
from tasks.grade.code.extract import extract_program
from tasks.grade.format import check_format, thinking_of
from tasks.grade.language import LanguageCode, language_share
from tasks.grade.math import Case, extract_answer, verify_many
from tasks.grade.readability import measure_text

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RewardBatch:
    """Rows to be rewarded; all sequences have the same length (ValueError if not)."""

    prompts: Sequence[str]
    responses: Sequence[str]
    golds: Sequence[str | Sequence[StdioTest] | Sequence[FunctionTest] | None]
    """What the answer is judged by: a text (mathematics), tests (code), or None (no rule can judge)."""
    meta: Sequence[Mapping[str, Any]]
    """More of each row; `language` (default en) is the target of the language term."""
    code_limits: Limits = field(default_factory=Limits)
    workers: int = 2
    """Programs judged at a time; never part of a result."""

    def __post_init__(self) -> None:  # noqa: D105
        lengths = {len(self.prompts), len(self.responses), len(self.golds), len(self.meta)}
        if len(lengths) != 1:
            raise ValueError(f"a batch of columns with different lengths: {sorted(lengths)}")


TermFunction = Callable[[RewardBatch], Values]
_TERMS: dict[tuple[str, str], TermFunction] = {}


def term(name: str, version: str) -> Callable[[TermFunction], TermFunction]:
    """Register a term function. A change of meaning needs a new version; the old one stays under its own."""

    def register(function: TermFunction) -> TermFunction:
        if (name, version) in _TERMS:
            raise ValueError(f"two reward terms {name}@{version}")
        _TERMS[name, version] = function
        return function

    return register


class RewardTerm(BaseModel):
    """One term of a reward."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """Registered name: `accuracy`, `math_accuracy`, `code_accuracy`, `format`, `answer_format`, `language`,
    `repetition`."""
    version: str = "1"
    """Version of the term's meaning."""
    weight: float = Field(1.0, ge=-100, le=100)
    """Factor of the clipped value in the total."""
    clip: tuple[float, float] | None = None
    """Lowest and highest value that counts; the stored value stays unclipped."""

    @model_validator(mode="after")
    def _known(self) -> RewardTerm:
        if (self.name, self.version) not in _TERMS:
            known = ", ".join(f"{name}@{version}" for name, version in sorted(_TERMS))
            raise ValueError(f"no reward term {self.name}@{self.version}: known are {known}")
        if self.clip is not None and not self.clip[0] <= self.clip[1]:
            raise ValueError(f"an empty clip range {self.clip}")
        return self

    @property
    def key(self) -> str:
        """`name@version`, the name of the term's column."""
        return f"{self.name}@{self.version}"


class RewardConfig(BaseModel):
    """A reward as a weighted sum of terms."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    terms: tuple[RewardTerm, ...] = Field(min_length=1)
    """The terms, each at most once."""

    @model_validator(mode="after")
    def _distinct(self) -> RewardConfig:
        keys = [each.key for each in self.terms]
        if len(keys) != len(set(keys)):
            raise ValueError(f"a reward term twice: {', '.join(sorted(keys))}")
        return self


@dataclass(frozen=True)
class Rewards:
    """Rewards of a batch; every array has shape (rows,)."""

    total: Values
    terms: Mapping[str, Values]
    """Raw values by `name@version`, before clip and weight."""
    contributions: Mapping[str, Values]
    """What each term added to the total."""


def compute_rewards(config: RewardConfig, batch: RewardBatch) -> Rewards:
    """Rewards of a batch, in its order.

    Raises:
        ValueError: a term returned another shape, or a value that is not finite.
        GoldError: a mathematics gold cannot be read.
        IsolationError: code is to be judged where no sandbox can be built.
    """
    terms: dict[str, Values] = {}
    contributions: dict[str, Values] = {}
    total = np.zeros(len(batch.responses))
    for each in config.terms:
        values = np.asarray(_TERMS[each.name, each.version](batch), dtype=np.float64)
        if values.shape != total.shape or not np.isfinite(values).all():
            raise ValueError(f"reward term {each.key}: shape {values.shape}, or a value that is not finite")
        low, high = each.clip or (-np.inf, np.inf)
        terms[each.key] = values
        contributions[each.key] = each.weight * np.clip(values, low, high)
        total += contributions[each.key]
    return Rewards(total, terms, contributions)


@term("math_accuracy", "1")
def math_accuracy(batch: RewardBatch) -> Values:
    """1 where the answer equals a text gold, else 0; also 0 for rows with another kind of gold."""
    rows = [row for row, gold in enumerate(batch.golds) if isinstance(gold, str)]
    cases = [Case(gold=cast(str, batch.golds[row]), prediction=extract_answer(batch.responses[row])) for row in rows]
    values = np.zeros(len(batch.golds))
    for row, verdict in zip(rows, verify_many(cases), strict=True):
        values[row] = float(verdict.correct)
    return values


@term("code_accuracy", "1")
def code_accuracy(batch: RewardBatch) -> Values:
    """1 where the response's program passes every test, else 0; also 0 for rows without tests or program."""
    programs = [extract_program(response) for response in batch.responses]
    rows = [row for row, gold in enumerate(batch.golds) if gold and not isinstance(gold, str) and programs[row]]
    values = np.zeros(len(batch.golds))
    if rows:
        jobs = [(programs[row], cast(Sequence[StdioTest], batch.golds[row])) for row in rows]
        with CodeJudge(batch.code_limits, warm=2 * batch.workers) as judge:
            for row, verdict in zip(rows, judge.run_many(jobs, workers=batch.workers), strict=True):
                values[row] = float(verdict.passed)
    return values


@term("format", "1")
def format_reward(batch: RewardBatch) -> Values:
    """1 where thinking is well-formed and an answer follows (R1's template), else 0."""
    return _format_values(batch, answer_tags=False)


@term("answer_format", "1")
def answer_format(batch: RewardBatch) -> Values:
    """1 where thinking and answer tags are well-formed (R1-Zero's template), else 0."""
    return _format_values(batch, answer_tags=True)


def _format_values(batch: RewardBatch, *, answer_tags: bool) -> Values:
    pairs = zip(batch.prompts, batch.responses, strict=True)
    checks = [check_format(response, prompt=prompt, answer_tags=answer_tags) for prompt, response in pairs]
    return np.array([float(check.ok) for check in checks])


@term("language", "1")
def language_consistency(batch: RewardBatch) -> Values:
    """Share of the chain's words in the row's target language, 0 to 1."""
    rows = zip(batch.prompts, batch.responses, batch.meta, strict=True)
    return np.array(
        [
            language_share(thinking_of(response, prompt=prompt), cast(LanguageCode, meta.get("language", "en"))).share
            for prompt, response, meta in rows
        ]
    )


@term("repetition", "1")
def repetition(batch: RewardBatch) -> Values:
    """Minus the share of repeated word 8-grams in the response, -1 to 0."""
    return np.array([-measure_text(response).repeated_ngram_share for response in batch.responses])
