"""The trainer of a student: the same loop as every training's, over rows that a teacher has a say in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from model import checkpoint
from model.build import RigorModel, build
from model.convert import to_hf
from model.data import Rows
from model.losses import Distill
from model.sample import LocalSampler
from model.tokenizer import Tokenizer
from model.train.events import Events
from model.train.job import Folder
from model.train.loop import Trainer
from model.train.run import DTYPES, import_weights
from tasks.distill.job import DistillJob
from tasks.distill.rows import SampledRows, TaughtRows
from tasks.distill.teacher import Kept, Teacher, keep


class DistillTrainer(Trainer):
    """Reports, beside what every training does, how the student answered."""

    def _report(self, values: dict[str, float]) -> None:
        super()._report(values | (self.rows.measured if isinstance(self.rows, SampledRows) else {}))


def make_trainer(job: DistillJob, folder: Folder, events: Events, stop_asked: Callable[[], bool]) -> DistillTrainer:
    """A trainer at the newest checkpoint or at the start; teacher and student are whole on every rank. Collective.

    Raises:
        ValueError: the objective is none of distillation's, or the job and its checkpoint do not belong together.
        CheckpointError: the checkpoint is damaged.
    """
    config, objective = job.config, job.config.objective
    if not isinstance(objective, Distill):
        raise ValueError(f"the objective of a distillation is `distill`, not {objective.name!r}")
    student = build(config.model, dtype=DTYPES[config.dtype], seed=config.seed)
    teacher = Teacher(job.teacher, job.top_k, objective.temperature, config.micro_batch_rows, DTYPES[config.dtype])
    student.to(next(teacher.model.parameters()).device)
    found = checkpoint.latest(folder.checkpoints)
    if config.init_from is not None and found is None:
        import_weights(student, config.init_from)

    def taught(path: Path, name: str) -> TaughtRows:
        if job.kept is None:
            return TaughtRows(path, lambda _, batch: teacher.columns(batch))
        keep(job.kept / name, Rows(path), teacher)
        kept = Kept(job.kept / name, Rows(path))
        events.metrics(0, {f"teacher_bytes_per_token.{name}": kept.bytes_per_place})
        return TaughtRows(path, kept.columns)

    held_out = taught(job.held_out, "held_out") if job.held_out else None
    if job.sampling is None:
        rows: Rows = taught(job.rows, "train")
    else:
        rows = sampled(job, student, teacher)
    trainer = DistillTrainer(config, student, rows, held_out, folder.checkpoints, events, stop_asked)
    if isinstance(rows, SampledRows):
        rows.step = lambda: trainer.step
    if found is not None:
        trainer.take_up(found)
    return trainer


def sampled(job: DistillJob, student: RigorModel, teacher: Teacher) -> SampledRows:
    """The job's questions, which the student answers with the weights that it has when a batch is taken."""
    if job.sampling is None or job.tokenizer is None:
        raise ValueError("to answer, a student needs to know how (`sampling`), and a tokenizer")
    config = job.config
    sampler = LocalSampler(
        config.model, to_hf(student), Tokenizer.load(job.tokenizer), max_rows=job.sampler_rows,
        max_tokens=min(Rows(job.rows).row_tokens, config.model.max_positions),
        device=next(student.parameters()).device,
    )  # fmt: skip
    return SampledRows(
        job.rows, sampler, partial(to_hf, student), teacher, job.sampling, config.seed, config.micro_batch_rows
    )
