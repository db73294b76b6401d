"""Distillation: dense students, pre-trained alone, learn from R1; and the control, the same student by RL alone.

DeepSeek-R1 (arXiv 2501.12948), sections 2.4 and 4.1.
"""

from __future__ import annotations

from typing import Literal

from prefect import flow
from pydantic import Field

from flows.run import flow_run
from flows.runner import Given, Runner
from model.config import preset
from tasks.distill.config import DistillConfig
from tasks.rl.config import ReinforceConfig
from tasks.stage import StageConfig
from tasks.train.distill import distill_stage
from tasks.train.fine_tune import fine_tune_stage
from tasks.train.pretrain import PretrainConfig, pretrain_stage
from tasks.train.reinforce import reinforce_stage
from warehouse.lineage import ArtifactRef

Product = Literal["large", "small", "control"]


class StudentConfig(StageConfig):
    """A student: what it knows before, and how it is taught."""

    pretrain: PretrainConfig
    """Its base, which R1's students had from Qwen and Llama: the corpora as tokens, with the teacher's tokenizer."""
    lessons: DistillConfig = DistillConfig()


class DistillFlowConfig(StageConfig):
    """Two students and the control."""

    makes: tuple[Product, ...] = Field(("large", "small", "control"), min_length=1)
    """Which are made, in this order; the control needs the large student's base."""
    large: StudentConfig = StudentConfig(pretrain=PretrainConfig(model=preset("student-medium")))
    small: StudentConfig = StudentConfig(pretrain=PretrainConfig(model=preset("student-small")))
    control: ReinforceConfig = ReinforceConfig()
    """Reinforcement of the large student's base by rules alone."""


@flow(name="distill")
def distill(config: DistillFlowConfig | None = None) -> list[str]:
    """Make the students of the current `rigor-r1` and `sft_set`; returns the artifacts as `name@version`."""
    config = config or DistillFlowConfig()
    with flow_run("distill", config) as run:
        return [str(ref) for ref in run_distill(run, config)]


def run_distill(run: Runner, config: DistillFlowConfig) -> tuple[ArtifactRef, ...]:
    """Base, lessons and control, over the newest tokens, `sft_set` and teacher; the same code plans and runs.

    Raises:
        LookupError: something to learn from is not there.
    """
    students = {"large": config.large, "small": config.small}
    made = [_student(run, name, students[name]) if name in students else _control(run, config.control)
            for name in config.makes]  # fmt: skip
    return tuple(ref for ref in made if ref is not None)


def _student(run: Runner, size: str, config: StudentConfig) -> ArtifactRef | None:
    """`rigor-distill-SIZE`, by whichever method: later flows need not know which."""
    name, lessons = f"rigor-distill-{size}", config.lessons
    corpus = {table: run.newest(table, "pretrain") for table in ("tokens", "tokenizer")}
    base = run.call(pretrain_stage(f"{name}-base"), config.pretrain, corpus)
    rows = {"sft_set": run.newest("sft_set", "reject"), "problems": run.newest("problems", "synthesize")}
    if lessons.method == "sft":
        stage = fine_tune_stage("sft_set", name, start=f"{name}-base", name=f"distill_{size}")
        return run.call(stage, lessons.fine_tune, {**rows, f"{name}-base": _given(base)})
    start, from_ = f"{name}-base", base
    if lessons.method == "on_policy":
        start = f"{name}-sft"
        first = fine_tune_stage("sft_set", start, start=f"{name}-base", name=f"distill_{size}_sft")
        from_ = run.call(first, lessons.fine_tune, {**rows, f"{name}-base": _given(base)})
    taught = distill_stage("sft_set", name, start=start, name=f"distill_{size}_{lessons.method}")
    given = {**rows, start: _given(from_), "rigor-r1": run.newest("rigor-r1", "align")}
    return run.call(taught, lessons, given)


def _control(run: Runner, config: ReinforceConfig) -> ArtifactRef | None:
    given = {"policy": run.newest("rigor-distill-large-base", "distill")}
    given |= {"problems": run.newest("problems", "synthesize")}
    return run.call(reinforce_stage("rigor-distill-large-rl"), config, given)


def _given(ref: ArtifactRef | None) -> Given | None:
    return None if ref is None else (ref,)
