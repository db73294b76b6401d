"""What losses take and give: hidden states, a batch, and sums with counts.

Legend of shape suffixes: B rows, T tokens of a row, H hidden size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Self, TypeAlias

import torch.distributed as dist
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from model.convert.names import Head

Batch: TypeAlias = dict[str, Tensor]
"""`tokens [B,T]` int64, `document [B,T]` int64 (index of a token's document in its row, -1 padding), `weight [B,T]`
float32 (loss weight of PREDICTING the token at that place), and the objective's own columns, laid out likewise."""


class Hidden(NamedTuple):
    """Hidden states after the final norms: what losses and heads take instead of logits."""

    main_BTH: Tensor
    """The main model's."""
    mtp: tuple[Tensor, ...] = ()
    """The MTP modules', [B,T,H] each: place i of the first predicts token i + 2."""


@dataclass(frozen=True)
class Loss:
    """A sum and what it is a sum over, so that micro batches, accumulation and ranks give the mean of one batch."""

    total: Tensor
    """Scalar to call backward on: a sum over tokens, sequences or pairs."""
    count: Tensor
    """Scalar: how many. The loss of a step is (sum of totals) / (sum of counts) over micro batches and ranks."""
    parts: dict[str, Tensor] = field(default_factory=dict)
    """What is logged beside it: name → [2] float32, (sum, count), detached. Add them up, then divide."""
    peaks: dict[str, Tensor] = field(default_factory=dict)
    """Largest values, logged too: name → scalar, detached. Combined by maximum, not by sum."""


class Objective(BaseModel, ABC):
    """Options of an objective, with the loss they make: a frozen config that can be called."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    head: ClassVar[Head] = "tokens"
    """Of the model that it trains."""

    def with_mtp_weight(self, mtp_weight: float) -> Self:
        """The objective at a step's λ; one that trains no MTP module stays as it is."""
        if "mtp_weight" not in type(self).model_fields:
            return self
        return self.model_copy(update={"mtp_weight": mtp_weight})

    @abstractmethod
    def loss(self, hidden: Hidden, head_weight: Tensor, batch: Batch, group: dist.ProcessGroup | None = None) -> Loss:
        """The loss of one micro batch.

        Args:
            hidden: of this batch's rows, [B,T,H] each.
            head_weight: [V / tensor parallel size, H]; a reward model's is [1, H].
            batch: columns as in `Batch`.
            group: the tensor-parallel processes when the head's vocabulary is sharded over them.
        """
