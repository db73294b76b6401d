"""Stage check_solutions: every step and every answer judged; only what is as it claims to be goes on.

A correct solution has no wrong step and the right answer. One with a planted error has exactly that step wrong: a
repaired one ends right, a wrong one ends wrong and is kept with its label. Everything else is quarantined.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from hashlib import blake2b
from typing import Any

import pyarrow as pa
from datatrove.data import Document, DocumentsPipeline
from pydantic import Field

from tasks.curate.check_answer import LIMITS, function_tests, score
from tasks.curate.corpus_report import CorpusCounts
from tasks.curate.facts import check_fact
from tasks.grade.code import CodeJudge, IsolationError
from tasks.grade.code.extract import extract_program
from tasks.grade.steps import check_steps
from tasks.pipeline import ReadTable, RowStep, ranks_for, run_blocks
from tasks.stage import Inputs, Reject, Report, Stage, StageConfig
from warehouse.schema_curate import SYNTHETIC_CORPUS


class CheckSolutionsConfig(StageConfig):
    """What goes into the pre-training corpus."""

    wrong_share: float = Field(0.1, ge=0, le=1)
    """Share of the wrong solutions with a planted step that belong to the pre-training corpus all the same."""
    seed: int = Field(1, ge=0, lt=1 << 31)
    """Seed of that choice."""


def judge_steps(prompt: str, steps: Sequence[str]) -> list[str]:
    """A verdict a step: ok, wrong or not_checkable; arithmetic by the step checker, other statements by `facts`."""
    verdicts: list[str] = list(check_steps(prompt, steps).steps) if steps else []
    for index, verdict in enumerate(verdicts):
        if verdict == "not_checkable":
            verdicts[index] = check_fact(steps[index])
    return verdicts


class CheckSolutions(RowStep):
    """A solution with its verdicts, or the reason why it is not what it claims to be."""

    name = "check_solutions"

    def __init__(self, config: CheckSolutionsConfig) -> None:
        """Check by `config`."""
        super().__init__()
        self.config = config
        self.judge: CodeJudge | None = None

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        """Judge row by row; the sandboxes of the first program are kept until the end."""
        with ExitStack() as stack:
            self.stack = stack
            yield from super().run(data, rank, world_size)
        self.judge = None

    def apply(self, doc: Document) -> Reject | None:
        """Fill the columns of `synthetic_corpus`."""
        row = doc.metadata
        steps: list[str] = row["steps"] or []
        verdicts = judge_steps(row["prompt"], steps)
        wrong = [index for index, verdict in enumerate(verdicts) if verdict == "wrong"]
        planted = [row["planted"]] if row["planted"] is not None else []
        if wrong != planted:
            unplanned = next((index for index in wrong if index not in planted), None)
            if unplanned is not None:
                return Reject("a step is wrong", f"{row['family']} step {unplanned}: {steps[unplanned][:200]}")
            return Reject("the planted error was not found", f"{row['family']} step {planted[0]}: {steps[planted[0]]}")
        checked = sum(verdict != "not_checkable" for verdict in verdicts)
        if steps and not checked:
            return Reject("no step could be checked", row["family"])
        try:
            right = self._right(row)
        except IsolationError as error:
            return Reject("no sandbox to run the program in", str(error)[:300])
        if row["style"] == "wrong" and right:
            return Reject("meant to be wrong, but the answer is right", f"{row['family']}: {row['answer'][:200]}")
        if row["style"] != "wrong" and not right:
            return Reject("the answer is wrong", f"{row['family']}: {row['answer'][:200]}, not {row['gold'][:200]}")
        row.update(
            parents=[doc.id, row["problem"]], first_wrong=row["planted"], steps_checked=checked, correct=right,
            pretrain=right or (bool(planted) and self._chosen(str(doc.id))),
        )  # fmt: skip
        return None

    def _right(self, row: Mapping[str, Any]) -> bool:
        if row["checker"] != "code":
            return score(row, row["answer"]) == 1.0
        if self.judge is None:
            self.judge = self.stack.enter_context(CodeJudge(LIMITS, warm=2))
        program = extract_program(row["answer"])
        return bool(program) and self.judge.run(program, function_tests(row["tests"])).passed

    def _chosen(self, row: str) -> bool:
        digest = blake2b(f"{self.config.seed}:{row}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64 < self.config.wrong_share


def check_solutions(config: CheckSolutionsConfig, inputs: Inputs, report: Report) -> Iterator[pa.RecordBatch]:
    """Yield the solutions that hold, and report how the corpus is made up."""
    solutions = inputs.tables["solutions"]
    counts = CorpusCounts()
    started = time.perf_counter()
    for batch in run_blocks(
        [ReadTable(solutions), CheckSolutions(config)], schema=SYNTHETIC_CORPUS.arrow,
        tasks=ranks_for(solutions, inputs.workers), workers=inputs.workers, engine=inputs.engine,
        scratch=inputs.scratch, report=report,
    ):  # fmt: skip
        counts.add(batch)
        yield batch
    counts.describe(report, written=solutions.rows, seconds=time.perf_counter() - started)


STAGE = Stage(
    name="check_solutions",
    version="3",
    reads=("solutions",),
    writes="synthetic_corpus",
    config=CheckSolutionsConfig,
    run=check_solutions,
)
