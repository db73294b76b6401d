"""How a student is taught: by the teacher's texts, by its distributions, or by its word on the student's own texts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from model.losses import Distill
from model.train.config import AdamWOptions
from tasks.stage import StageConfig
from tasks.train.fine_tune import PUBLISHED, FineTuneConfig
from tasks.train.recipe import Recipe

STUDENT = PUBLISHED.model_copy(update={"batch_rows": 64, "optimizer": AdamWOptions(learning_rate=1e-4)})
"""R1's students: 64 rows an update, the rate falls to a tenth by a cosine; 1e-4 is for 1.5B parameters (7B 8e-5, 14B
7e-5, 32B 6e-5, Llama's 8B 5e-5 and 70B 2e-5)."""


class Sampling(StageConfig):
    """On-policy distillation: the student answers, the teacher says at each token what it would have said.

    GKD (arXiv 2306.13649, algorithm 1); Thinking Machines, On-Policy Distillation (2025). The gradient is that of the
    divergence at each sampled place, over all tokens there; none flows through the draw.
    """

    epochs: float = Field(1.0, gt=0, le=64)
    """Passes over the prompts, after those of the fine-tuning that the student starts from."""
    learning_rate: float = Field(1e-5, gt=0, le=1)
    """In place of the recipe's."""
    temperature: float = Field(1.0, gt=0, le=100)
    """Of the student's draws."""
    max_tokens: int = Field(32_768, ge=1, le=10_000_000)
    """Longest answer; a row's end cuts it too."""
    share: float = Field(1.0, gt=0, le=1)
    """GKD's λ: share of the answers that the student gives; the others are the table's own."""


class DistillConfig(FineTuneConfig):
    """One student's lessons; the rows are chosen and packed as for fine-tuning, whatever the method."""

    recipe: Recipe = STUDENT
    method: Literal["sft", "logits", "on_policy"] = "sft"
    """sft: next token of the teacher's texts (DeepSeek-R1, section 2.4). logits: the teacher's distribution at each
    token of these texts (arXiv 1503.02531). on_policy: sft, and then the student's own texts; see `sampling`."""
    loss: Distill | None = None
    """None: forward KL for "logits", reverse KL for "on_policy"."""
    top_k: int = Field(64, ge=1, le=1 << 20)
    """Of the teacher's distribution so many tokens are known, at most all; 8 bytes each where they are stored."""
    teacher: Literal["stored", "online"] = "stored"
    """Of "logits": the teacher reads all rows once, before the first step; or each batch when its turn comes. The
    student's own texts are always read as they come."""
    sampling: Sampling = Sampling()

    @property
    def fine_tune(self) -> FineTuneConfig:
        """The part that fine-tuning alone depends on."""
        return FineTuneConfig.model_validate({name: getattr(self, name) for name in FineTuneConfig.model_fields})

    @property
    def objective(self) -> Distill:
        """The divergence that is minimised."""
        return self.loss or Distill(divergence="forward_kl" if self.method == "logits" else "reverse_kl")
