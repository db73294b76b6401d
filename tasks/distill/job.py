"""What the stage tells its workers: a training's job, and the teacher."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from model.train.job import Job
from tasks.distill.config import Sampling


class DistillJob(Job):
    """`job.json` of a distillation; the objective of `config` is a `Distill`."""

    teacher: Path
    """Hugging Face folder."""
    top_k: int = Field(ge=1)
    kept: Path | None = None
    """Folder for what the teacher says of the rows; None: it is asked each time."""
    sampling: Sampling | None = None
    """How the student answers; None: the rows' own answers are learned from."""
    sampler_rows: int = Field(64, ge=1, le=65_536)
    """Answers that grow at once; changes no result beyond rounding."""
