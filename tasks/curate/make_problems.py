"""Stage make_problems: verifiable problems of our own families and of reasoning-gym's, split without leaks.

The mix is R1's (arXiv 2501.12948, supplement on RL data): mathematics, code with tests, science, logic, general
instructions, and prompts to refuse beside look-alikes that must not be refused.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Self

import polars as pl
import pyarrow as pa
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from pydantic import Field, model_validator

from tasks.curate.families import FAMILIES, Draft
from tasks.curate.families.gym import EXCLUDED, PREFIX, gym_category, gym_drafts, gym_names
from tasks.curate.figures import bars, share_table
from tasks.curate.splits import LeakGuard, group_of, split_of
from tasks.pipeline import REJECT, run_blocks
from tasks.stage import Inputs, Reject, RejectedRow, Report, Stage, StageConfig
from warehouse.ids import row_id
from warehouse.schema_curate import PROBLEMS

LEAK, DUPLICATE = "a form of it is in another split", "duplicate of another level"
STALE_DRAWS = 500
"""Draws without a new problem after which a level's space counts as used up."""


class MakeProblemsConfig(StageConfig):
    """How many problems of which families, and how they are split."""

    per_cell: int = Field(2_000, ge=1, le=10_000_000)
    """Problems wanted of each family, level and language; fewer where the space is smaller."""
    weights: dict[str, float] = Field(default_factory=dict)
    """Factor on `per_cell` by family name or category (the family's own wins)."""
    families: tuple[str, ...] = ()
    """Our own families to use; none: all."""
    languages: tuple[Literal["en", "zh"], ...] = ("en", "zh")
    """Languages of our own families."""
    max_level: int = Field(6, ge=1, le=6)
    """Highest level of our own families."""
    gym_per_cell: int = Field(200, ge=0, le=100_000)
    """Problems wanted of each reasoning-gym family and level; 0: none, and the package is not imported."""
    gym_families: tuple[str, ...] = ()
    """reasoning-gym families to use, by its names; none: all that are not excluded."""
    gym_max_level: int = Field(2, ge=1, le=3)
    """Highest level of its curricula."""
    max_prompt_chars: int = Field(1_500, ge=50, le=100_000)
    """Longest prompt, in characters."""
    max_tests_chars: int = Field(4_000, ge=50, le=1_000_000)
    """Longest checker data, in characters of JSON."""
    validation_share: float = Field(0.02, ge=0, le=0.5)
    """Share of the groups in the validation split."""
    test_share: float = Field(0.05, ge=0, le=0.5)
    """Share of the groups in the test split."""
    seed: int = Field(1, ge=0, lt=1 << 31)
    """Seed of the draws and of the split."""
    shards: int = Field(16, ge=1, le=10_000)
    """Parts that are made side by side; the rows come in their order."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        if unknown := sorted(set(self.families) - set(FAMILIES)):
            raise ValueError(f"no families {unknown}; there are {', '.join(FAMILIES)}")
        if excluded := sorted(set(self.gym_families) & set(EXCLUDED)):
            raise ValueError("; ".join(f"{name} is left out: {EXCLUDED[name]}" for name in excluded))
        known = set(FAMILIES) | {family.category for family in FAMILIES.values()}
        if unknown := sorted(set(self.weights) - known):
            raise ValueError(f"weights of unknown families or categories {unknown}")
        return self


@dataclass(frozen=True)
class Cell:
    """A family at one level in one language."""

    family: str
    level: int
    language: str
    count: int


def cells(config: MakeProblemsConfig) -> list[Cell]:
    """What is to be made, our own families first."""
    listed = []
    for name in config.families or tuple(FAMILIES):
        family = FAMILIES[name]
        weight = config.weights.get(name, config.weights.get(family.category, 1.0))
        if count := round(config.per_cell * weight):
            listed += [
                Cell(name, level, language, count)
                for level in range(1, min(family.levels, config.max_level) + 1)
                for language in family.languages
                if language in config.languages
            ]
    if config.gym_per_cell:
        names = config.gym_families or tuple(gym_names())
        levels = range(1, config.gym_max_level + 1)
        listed += [Cell(PREFIX + name, level, "en", config.gym_per_cell) for name in names for level in levels]
    return listed


class MakeCells(PipelineStep):
    """Source block: the problems of this rank's cells."""

    type = "rigor"
    name = "make_cells"

    def __init__(self, config: MakeProblemsConfig) -> None:
        """Make problems by `config`."""
        super().__init__()
        self.config = config

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        """Yield one document a problem; what is not usable carries its reason."""
        for cell in cells(self.config)[rank::world_size]:
            for number, draft in enumerate(drafts(cell, self.config.seed)):
                if isinstance(draft, Reject):
                    place = f"{cell.family}/{cell.level}/{cell.language}/{number}"
                    yield Document(text="", id=place, metadata={REJECT: draft})
                    continue
                row = problem_row(cell, draft, self.config)
                if len(draft.prompt) > self.config.max_prompt_chars:
                    row[REJECT] = Reject("prompt too long", f"{cell.family}: {len(draft.prompt)} characters")
                elif len(draft.tests) > self.config.max_tests_chars:
                    row[REJECT] = Reject("checker data too long", f"{cell.family}: {len(draft.tests)} characters")
                yield Document(text="", id=str(row.pop("id")), metadata=row)


def drafts(cell: Cell, seed: int) -> Iterator[Draft | Reject]:
    """The cell's problems, each prompt once; the same for the same cell and seed."""
    rng = random.Random(f"{seed}/{cell.family}/{cell.level}/{cell.language}")  # noqa: S311 no secret
    if cell.family.startswith(PREFIX):
        yield from gym_drafts(cell.family.removeprefix(PREFIX), cell.level, cell.count, rng.randrange(1 << 30))
        return
    family = FAMILIES[cell.family]
    seen: set[str] = set()
    stale = 0
    while len(seen) < cell.count and stale < STALE_DRAWS:
        draft = family.make(rng, cell.level, cell.language)
        stale += 1
        if draft.prompt not in seen:
            stale = 0
            seen.add(draft.prompt)
            yield draft


def problem_row(cell: Cell, draft: Draft, config: MakeProblemsConfig) -> dict[str, object]:
    """A row of `problems`."""
    gym = cell.family.startswith(PREFIX)
    family = None if gym else FAMILIES[cell.family]
    group = group_of((family.space or family.name) if family else cell.family, draft.key)
    return {
        "id": row_id(cell.family, cell.language, draft.prompt, draft.gold), "parents": [], "partition": "all",
        "family": cell.family, "level": cell.level, "language": cell.language,
        "category": family.category if family else gym_category(cell.family.removeprefix(PREFIX)),
        "split": split_of(group, config.seed, config.validation_share, config.test_share),
        "prompt": draft.prompt, "gold": draft.gold, "checker": draft.checker or (family.checker if family else ""),
        "tests": draft.tests or "{}", "params": json.dumps(draft.params, sort_keys=True), "template": draft.template,
        "group": group, "reference": draft.reference, "rejected": draft.rejected,
    }  # fmt: skip


def make_problems(config: MakeProblemsConfig, inputs: Inputs, report: Report) -> Iterator[pa.RecordBatch]:
    """Yield the problems, shard after shard."""
    guard, seen, counts = LeakGuard(), set[str](), Counter[tuple[str, str, int, str, str]]()
    batches = run_blocks(
        [MakeCells(config)], schema=PROBLEMS.arrow, tasks=config.shards, workers=inputs.workers, engine=inputs.engine,
        scratch=inputs.scratch, report=report,
    )  # fmt: skip
    for batch in batches:
        rows = zip(*(batch.column(n).to_pylist() for n in ("id", "prompt", "split", "family")), strict=True)
        keep: list[bool] = []
        rejects: list[RejectedRow] = []
        for row, prompt, split, family in rows:
            reason = DUPLICATE if row in seen else "" if guard.admit(prompt, split) else LEAK
            keep.append(not reason)
            seen.add(row)
            if reason:
                rejects.append(RejectedRow(row, Reject(reason, f"{family}: {prompt[:200]}")))
        report.reject(rejects)
        kept = batch.filter(pa.array(keep))
        columns = (kept.column(n).to_pylist() for n in ("family", "category", "level", "language", "split"))
        counts.update(zip(*columns, strict=True))
        yield kept
    _describe(counts, report)


def _describe(counts: Counter[tuple[str, str, int, str, str]], report: Report) -> None:
    rows = [(*key, count) for key, count in sorted(counts.items())]
    schema = {"family": pl.String, "category": pl.String, "level": pl.Int64, "language": pl.String, "split": pl.String,
              "problems": pl.Int64}  # fmt: skip
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    for column in ("split", "category", "language"):
        for name, count in frame.group_by(column).agg(pl.col("problems").sum()).sort(column).iter_rows():
            report.metric(f"problems.{name}", count)
    report.metric("families", frame["family"].n_unique())
    report.table("family_balance", share_table(frame, ["category", "family"], "problems"))
    by_category = frame.group_by("category").agg(pl.col("problems").sum()).sort("category")
    report.figure("problems_by_category", bars(by_category, "category", "problems", "Problems by category"))
    report.table("gym_left_out", pl.DataFrame(sorted(EXCLUDED.items()), schema=["family", "reason"], orient="row"))


STAGE = Stage(
    name="make_problems",
    version="3",
    reads=(),
    writes="problems",
    config=MakeProblemsConfig,
    run=make_problems,
)
