"""What the stage tells its workers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from model.config import ModelConfig
from model.convert.card import Card
from model.train.config import Options
from tasks.rl.config import ReinforceConfig


class RlJob(Options):
    """`job.json` of a reinforcement."""

    config: ReinforceConfig
    name: str
    """Of the model that is made: the policy's name in its rollouts."""
    model: ModelConfig
    policy: Path
    """Hugging Face folder of the weights to start from, with its tokenizer."""
    problems: Path
    """Parquet file of the problems to learn from, in their order (see `tasks.rl.questions`)."""
    held_out: Path
    """The same, of those to measure on."""
    judges: dict[str, Path] = Field(default_factory=dict)
    """Folders of the reward models by name."""
    rollouts: Path
    """Folder for what was sampled."""
    micro_batch_rows: int = Field(8, ge=1, le=65_536)
    """Rows of one pass; changes no result beyond rounding."""
    sampler_rows: int = Field(128, ge=1, le=65_536)
    """Responses that grow at once; changes no result beyond rounding."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    card: Card | None = None

    def identity(self) -> dict[str, object]:
        """What must not change when a reinforcement resumes."""
        free = {"save_every_steps", "watch"}
        return {"name": self.name, "config": self.config.model_dump(mode="json", exclude=free)}
