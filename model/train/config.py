"""Everything that decides a training, but its data: frozen, bounded, JSON both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from model.config import ModelConfig
from model.layout import Parallel
from model.losses import AnyObjective, NextToken


class Options(BaseModel):
    """Base of a training's options: frozen, an unknown key is an error, and numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class AdamWOptions(Options):
    """The update (defaults: DeepSeek-V3, arXiv 2412.19437, section 4.2)."""

    learning_rate: float = Field(3e-4, gt=0, le=1)
    """Peak; `schedule` scales it."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.95)
    eps: float = Field(1e-8, gt=0, le=1e-2)
    weight_decay: float = Field(0.1, ge=0, le=10)
    """Pulls on matrices (projections, router, embedding, head), not on norms and biases."""
    clip_norm: float = Field(1.0, gt=0)
    """Largest L2 norm of the whole gradient; 1e9 never clips."""


class ScheduleOptions(Options):
    """Learning rate over the steps: linear warm-up, then one of four shapes down to `final_share` of the peak."""

    shape: Literal["cosine", "wsd_linear", "wsd_sqrt", "constant"] = "cosine"
    """wsd: warm-up, stable, decay; its decay is linear or 1 - sqrt (arXiv 2405.18392)."""
    warmup_steps: int = Field(0, ge=0)
    """Steps of the linear rise; step 0 already has a rate above 0."""
    decay_share: float = Field(0.2, gt=0, le=1)
    """Last part of all steps in which a wsd shape decays."""
    final_share: float = Field(0.1, ge=0, le=1)
    """Rate at the end, as a share of the peak."""


class TwoPhase(Options):
    """A value that changes once."""

    first: float = Field(ge=0, le=10)
    then: float = Field(ge=0, le=10)
    change_at: float = Field(ge=0, le=1)
    """Share of all steps after which `then` holds."""


class GuardOptions(Options):
    """What counts as a bad step, and what happens then."""

    on_nan: Literal["stop", "rollback"] = "stop"
    """At a loss or gradient norm that is not finite. Weights have not been touched by it."""
    on_spike: Literal["stop", "rollback", "ignore"] = "ignore"
    """At a loss above mean + `spike_deviations` standard deviations of the last `window_steps` losses."""
    spike_deviations: float = Field(6.0, gt=0, le=1000)
    window_steps: int = Field(64, ge=4, le=10_000)
    """Losses to compare with; before half of them are there, nothing is a spike."""
    spike_floor: float = Field(0.1, ge=0)
    """In nats: a loss closer to the mean than this is no spike, however flat the window."""
    skip_batches: int = Field(1, ge=1, le=10_000)
    """Batches that a rollback leaves out: the one at which it happened and those before it, as far back as the
    checkpoint reaches."""
    max_rollbacks: int = Field(3, ge=0, le=1000)
    """In one training; then it stops."""


class TrainConfig(Options):
    """A training."""

    model: ModelConfig
    parallel: Parallel = Parallel()
    objective: AnyObjective = NextToken()
    """What is learned, with its own options; `mtp_weight` in it gives way to the schedule below."""
    steps: int = Field(ge=1)
    """Updates."""
    global_batch_rows: int = Field(ge=1, le=1_000_000)
    """Rows of one update, over all ranks and micro batches."""
    micro_batch_rows: int = Field(1, ge=1, le=65_536)
    """Rows of one forward pass on one rank; global_batch_rows is a multiple of it times the data-parallel ranks."""
    optimizer: AdamWOptions = AdamWOptions()
    schedule: ScheduleOptions = ScheduleOptions()
    mtp_weight: TwoPhase = TwoPhase(first=0.3, then=0.1, change_at=0.67)
    """λ of the multi-token prediction loss (DeepSeek-V3: 0.3, after two thirds of the tokens 0.1)."""
    bias_rate: TwoPhase = TwoPhase(first=0.001, then=0.0, change_at=0.97)
    """γ: how far an update moves the bias of an expert with too much or too little load; 0 freezes it."""
    balance: float = Field(1e-4, ge=0, le=1)
    """α of the sequence-wise balance loss; 0 turns it off."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    """Of weights and activations; gradients, optimizer state and its master weights are fp32 always."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Of initial weights and data order."""
    init_from: Path | None = None
    """A Hugging Face folder whose weights to start from; None starts from fresh ones."""
    save_every_steps: int = Field(100, ge=1)
    """The last step is saved too."""
    keep_checkpoints: int = Field(2, ge=1, le=1000)
    evaluate_every_steps: int = Field(100, ge=1)
    """The last step is evaluated too; without held-out rows nothing is."""
    evaluate_rows: int = Field(64, ge=1, le=1_000_000)
    """So many of the held-out rows, evenly spread."""
    log_every_steps: int = Field(1, ge=1)
    """Steps between two metrics events; means over the steps between are not taken, the step's own values are."""
    guard: GuardOptions = GuardOptions()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.schedule.warmup_steps >= self.steps:
            raise ValueError(f"schedule.warmup_steps ({self.schedule.warmup_steps}) leaves none of {self.steps} steps")
        if self.global_batch_rows % self.micro_batch_rows:
            raise ValueError(
                f"global_batch_rows ({self.global_batch_rows}) must be a multiple of"
                f" micro_batch_rows ({self.micro_batch_rows})"
            )
        return self

    def identity(self) -> dict[str, object]:
        """What must not change when a training resumes: all but layout, cadence, and what only looks."""
        free = {
            "parallel", "micro_batch_rows", "save_every_steps", "keep_checkpoints", "evaluate_every_steps",
            "evaluate_rows", "log_every_steps", "guard", "init_from",
        }  # fmt: skip
        return self.model_dump(mode="json", exclude=free)
