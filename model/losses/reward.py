"""Reward models: pairwise (helpful) and pointwise (safe) losses on one score a response, and how well they calibrate.

The head is one row, [1, H]; a response's score is read at a place the batch marks, as a rule its last token.

Legend of shape suffixes: B rows, T tokens of a row, H hidden size, P pairs, N responses.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from model.convert.names import Head
from model.losses.places import at
from model.losses.types import Batch, Hidden, Loss, Objective


def bradley_terry(chosen_P: Tensor, rejected_P: Tensor, margin_P: Tensor | None = None) -> Tensor:
    """-log σ(s_chosen - s_rejected - margin) of each pair [P].

    InstructGPT (arXiv 2203.02155, equation 1); the margin by how much better: Llama 2 (arXiv 2307.09288, eq. 2).
    """
    difference_P = chosen_P - rejected_P
    return -F.logsigmoid(difference_P if margin_P is None else difference_P - margin_P)


def calibration_error(probability_N: Tensor, label_N: Tensor, bins: int = 10) -> float:
    """Expected calibration error: Σ_bins share · |mean label - mean probability| over bins of equal width.

    Guo et al. (arXiv 1706.04599, section 2). Probabilities of 1 fall into the last bin; 0 for no response.

    Args:
        probability_N: in 0 … 1.
        label_N: 0 or 1. For pairs: σ(difference), with label 1 throughout, measured on both orders of each pair.
        bins: how many.

    Raises:
        ValueError: a probability outside 0 … 1.
    """
    if probability_N.numel() == 0:
        return 0.0
    if not bool(((probability_N >= 0) & (probability_N <= 1)).all()):
        raise ValueError("a probability is outside 0 … 1")
    bin_N = (probability_N.double() * bins).long().clamp(max=bins - 1)
    gap_N = label_N.double() - probability_N.double()
    gap = torch.zeros(bins, dtype=torch.float64, device=gap_N.device).index_add(0, bin_N, gap_N)
    return float(gap.abs().sum() / probability_N.numel())


def _scores(hidden: Hidden, head_weight: Tensor, index_N: Tensor) -> Tensor:
    """Scores [N] at flat places, in float32 at least."""
    wide = torch.promote_types(hidden.main_BTH.dtype, torch.float32)
    return at(hidden.main_BTH, index_N).to(wide) @ head_weight.to(wide)[0]


def _counted(batch: Batch) -> Tensor | bool:
    """Where responses count: not in rows without weight, which only fill a held-out batch up (see `Trainer`)."""
    return batch["weight"] > 0 if "weight" in batch else True


def _mean_part(value: Tensor) -> Tensor:
    return torch.stack([value.detach().float().sum(), value.new_tensor(value.numel(), dtype=torch.float32)])


class Preference(Objective):
    """Bradley-Terry over pairs of responses that stand in one row."""

    name: Literal["preference"] = "preference"
    head: ClassVar[Head] = "score"

    def loss(self, hidden: Hidden, head_weight: Tensor, batch: Batch, group: dist.ProcessGroup | None = None) -> Loss:
        """From `pair [B,T]` int64: +p where the score of pair p's chosen response is read, -p for its rejected one.

        Pairs are numbered from 1 in each row, 0 elsewhere; `margin [B,T]`, where given, is read at the chosen's place;
        a pair counts where `weight [B,T]`, if given, is above 0.

        Raises:
            ValueError: a pair without its other half in the row, or with two of one.
        """
        pair_BT = batch["pair"] * _counted(batch)
        span = int(pair_BT.abs().max()) + 1 if pair_BT.numel() else 1
        key = (pair_BT.abs() + span * torch.arange(len(pair_BT), device=pair_BT.device)[:, None]).flatten()
        chosen, rejected = ((sign * pair_BT.flatten() > 0).nonzero()[:, 0] for sign in (1, -1))
        chosen, rejected = (places[key[places].argsort()] for places in (chosen, rejected))
        if not torch.equal(key[chosen], key[rejected]) or len(key[chosen].unique()) != len(chosen):
            raise ValueError("every pair needs one chosen and one rejected response in its row")
        chosen_P, rejected_P = _scores(hidden, head_weight, chosen), _scores(hidden, head_weight, rejected)
        margin_P = at(batch["margin"], chosen).to(chosen_P.dtype) if "margin" in batch else None
        loss_P = bradley_terry(chosen_P, rejected_P, margin_P)
        difference_P = chosen_P - rejected_P
        parts = {"preference": loss_P, "accuracy": difference_P > 0, "score_difference": difference_P}
        count = loss_P.new_tensor(len(loss_P))
        return Loss(loss_P.sum(), count, {name: _mean_part(value) for name, value in parts.items()})


class Safety(Objective):
    """Binary cross entropy of each response's score (DeepSeek-R1's safety reward model is pointwise)."""

    name: Literal["safety"] = "safety"
    head: ClassVar[Head] = "score"

    def loss(self, hidden: Hidden, head_weight: Tensor, batch: Batch, group: dist.ProcessGroup | None = None) -> Loss:
        """From `safe [B,T]`: 1 (safe) or 0 (unsafe) where a response's score is read, -1 elsewhere.

        A response counts where `weight [B,T]`, if given, is above 0.
        """
        safe_BT = batch["safe"]
        places = ((safe_BT >= 0) & _counted(batch)).flatten().nonzero()[:, 0]
        score_N = _scores(hidden, head_weight, places)
        label_N = at(safe_BT, places).to(score_N.dtype)
        loss_N = F.binary_cross_entropy_with_logits(score_N, label_N, reduction="none")
        parts = {"safety": loss_N, "accuracy": (score_N > 0) == (label_N > 0.5)}
        count = loss_N.new_tensor(len(loss_N))
        return Loss(loss_N.sum(), count, {name: _mean_part(value) for name, value in parts.items()})
