"""A reward model's weights from a policy's: the same layers under one score (DeepSeek-R1, arXiv 2501.12948: "a reward
model with the same architecture as the policy, and a reward head")."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from model.config import ModelConfig
from model.convert.names import SCORE


def scorer_shape(config: ModelConfig) -> ModelConfig:
    """The shape without what predicts tokens further ahead, which a score has no use for."""
    return config.model_copy(update={"mtp_layers": 0})


def scorer_state(config: ModelConfig, state: Mapping[str, Tensor], score_1H: Tensor) -> dict[str, Tensor]:
    """A model's tensors under a score: logits and MTP module left out; `score_1H` where it has no score yet."""
    predicting = ("lm_head.", *(f"model.layers.{config.layers + k}." for k in range(config.mtp_layers)))
    kept = {name: tensor for name, tensor in state.items() if not name.startswith(predicting)}
    return {SCORE: score_1H, **kept}
