"""Stage write_solutions: every problem of the training split worked out in several styles, errors planted in some."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
import pyarrow as pa
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from pydantic import Field

from tasks.curate.families import FAMILIES
from tasks.curate.families.draft import NOTICES
from tasks.curate.families.gym import PREFIX
from tasks.curate.solutions import STYLES, Solution, Style, work_out
from tasks.pipeline import ReadTable, ranks_for, run_blocks
from tasks.stage import Inputs, Report, Stage, StageConfig
from warehouse.ids import row_id
from warehouse.schema_curate import SOLUTIONS

_CARRIED = ("family", "category", "level", "language", "split", "prompt", "gold", "checker", "tests")
_READ = ("id", *_CARRIED, "params", "reference", "rejected")


class WriteSolutionsConfig(StageConfig):
    """How many solutions of which style. A rate of 0.25 gives every fourth problem one."""

    bare: float = Field(1.0, ge=0, le=1)
    """Answers without reasoning, a problem."""
    steps: float = Field(1.0, ge=0, le=1)
    """Running computations, a problem."""
    full: float = Field(0.5, ge=0, le=1)
    """Understand, break down, compute, verify, a problem."""
    repair: float = Field(0.25, ge=0, le=8)
    """With a mistake that is noticed and repaired, a problem."""
    wrong: float = Field(0.2, ge=0, le=8)
    """With a planted error carried to a wrong answer, a problem."""
    reference: float = Field(1.0, ge=0, le=1)
    """Reference responses of the families that have no worked reasoning (code, general, safety), a problem."""
    gym_bare: bool = False
    """Also write reasoning-gym's reference answers, as bare answers."""
    other_language: float = Field(0.0, ge=0, le=1)
    """Share of the worked solutions whose words are in another language than the question, as in texts of the crawl:
    what the language-consistency reward must undo."""
    splits: tuple[str, ...] = ("train",)
    """Splits to write solutions for; held-out splits in here would end up in training data."""
    seed: int = Field(1, ge=0, lt=1 << 31)
    """Seed of styles and planted errors."""

    def rate(self, style: Style) -> float:
        """Solutions of a style, a problem."""
        return float(getattr(self, style))


class WriteSolutions(PipelineStep):
    """A problem to its solutions; problems of other splits and without solutions give none."""

    type = "rigor"
    name = "write_solutions"

    def __init__(self, config: WriteSolutionsConfig) -> None:
        """Write by `config`."""
        super().__init__()
        self.config = config

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        """Yield one document a solution."""
        for problem in data:
            row = problem.metadata
            if row["split"] not in self.config.splits:
                continue
            for variant, solution in write(str(problem.id), row, self.config):
                text = f"{row['prompt']}\n{solution.text}"
                made = {name: row[name] for name in _CARRIED} | {
                    "parents": [problem.id], "partition": "all", "problem": problem.id, "style": solution.style,
                    "variant": variant, "steps": list(solution.steps), "answer": solution.answer,
                    "planted": solution.planted,
                }  # fmt: skip
                yield Document(text=text, id=row_id(problem.id, solution.style, variant, text), metadata=made)


def write(problem: str, row: Mapping[str, Any], config: WriteSolutionsConfig) -> Iterator[tuple[int, Solution]]:
    """(variant, solution) of one problem, the same for the same id and seed; no text comes twice."""
    family = FAMILIES.get(row["family"])
    if family is None:
        if config.gym_bare and row["family"].startswith(PREFIX) and row["gold"]:
            yield 0, Solution("bare", (), row["gold"])
        return
    rng = random.Random(f"{config.seed}/{problem}")  # noqa: S311 no secret
    params = json.loads(row["params"])
    texts: set[str] = set()
    for style in STYLES:
        rate = config.rate(style)
        for variant in range(int(rate) + (rng.random() < rate % 1)):
            if family.work is not None:
                solution = work_out(family, params, _language(row["language"], config, rng), style, rng)
            else:
                given = {"reference": row["reference"], "wrong": row["rejected"]}.get(style, "")
                solution = Solution(style, (), given) if given else None
            if solution is not None and solution.text not in texts:
                texts.add(solution.text)
                yield variant, solution


def _language(asked: str, config: WriteSolutionsConfig, rng: random.Random) -> str:
    """In which a problem is worked out: the question's, or now and then the other one."""
    others = [language for language in NOTICES if language != asked]
    return rng.choice(others) if config.other_language and rng.random() < config.other_language else asked


def write_solutions(config: WriteSolutionsConfig, inputs: Inputs, report: Report) -> Iterator[pa.RecordBatch]:
    """Yield the solutions in the order of their problems."""
    problems = inputs.tables["problems"]
    counts: dict[str, int] = dict.fromkeys(STYLES, 0)
    for batch in run_blocks(
        [ReadTable(problems, _READ), WriteSolutions(config)], schema=SOLUTIONS.arrow,
        tasks=ranks_for(problems, inputs.workers), workers=inputs.workers, engine=inputs.engine,
        scratch=inputs.scratch, report=report,
    ):  # fmt: skip
        for style in batch.column("style").to_pylist():
            counts[style] += 1
        yield batch
    for style, count in counts.items():
        report.metric(f"written.{style}", count)
    report.table("styles", pl.DataFrame(list(counts.items()), schema=["style", "solutions"], orient="row"))


STAGE = Stage(
    name="write_solutions",
    version="1",
    reads=("problems",),
    writes="solutions",
    config=WriteSolutionsConfig,
    run=write_solutions,
)
