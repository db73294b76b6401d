"""Do trainer, sampler and reference agree: on log-probabilities, and on the experts that a token is sent to?

Legend of shape suffixes: B responses, T places, M tokens (B times T), E experts, k experts of a token, H hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.build import RigorModel, routers_of
from model.losses import kl_estimate
from model.sample.layers import Mixture
from model.sample.network import Network
from tasks.rl.batches import pack
from tasks.rl.measures import Metrics
from tasks.rl.passes import log_probs, without_mtp
from tasks.rl.sampling import Sample


@dataclass
class _Recorder:
    """A mixture of the sampler's that notes its choice."""

    mixture: Mixture
    chosen_ME: Tensor | None = None

    def __call__(self, x_MH: Tensor, normed_MH: Tensor) -> None:
        experts = self.mixture.gate_up.shape[0]
        score_ME = torch.mm(normed_MH, self.mixture.gate_up_router)[:, -experts:].sigmoid()
        chosen_Mk = self.mixture.route(score_ME)[1]
        self.chosen_ME = torch.zeros_like(score_ME, dtype=torch.bool).scatter_(1, chosen_Mk, value=True)
        self.mixture(x_MH, normed_MH)


ROUTED_SAMPLES = 4
"""On which the routers are compared."""


def agreement(
    model: RigorModel, reference: RigorModel, network: Network, samples: Sequence[Sample], temperature: float,
    micro_batch_rows: int,
) -> Metrics:  # fmt: skip
    """How far the policy is from its sampler and from its reference, over the tokens of some samples.

    `sampler_gap`, `sampler_gap_max`: |log π_trainer - log π_sampler|, nats; `kl`: k3 against the reference;
    `router_mismatch`: see there. No pass has more than `micro_batch_rows` rows.
    """
    if not samples:
        return {}
    packed = pack(samples, micro_batch_rows)
    ours, theirs = (np.concatenate(packed.values_of(log_probs(m, packed, temperature))) for m in (model, reference))
    gap = np.abs(ours - np.concatenate([np.array(sample.completion.log_probs, np.float32) for sample in samples]))
    kl = kl_estimate(torch.from_numpy(ours), torch.from_numpy(theirs), "k3").mean()
    found = {"sampler_gap": float(gap.mean()), "sampler_gap_max": float(gap.max()), "kl": float(kl)}
    mismatch = router_mismatch(model, network, samples[:ROUTED_SAMPLES], micro_batch_rows)
    return found if mismatch is None else {**found, "router_mismatch": mismatch}


@torch.no_grad()
def router_mismatch(
    model: RigorModel, network: Network, samples: Sequence[Sample], micro_batch_rows: int
) -> float | None:
    """Share of (token, layer) pairs whose experts differ between trainer and sampler; None without experts or samples.

    Both run the responses from their beginnings, the sampler as it runs prompts, `micro_batch_rows` at a time.
    """
    if model.rigor.moe is None or not samples:
        return None
    parts = [samples[start : start + micro_batch_rows] for start in range(0, len(samples), micro_batch_rows)]
    return float(torch.cat([_differing(model, network, part) for part in parts]).float().mean())


def _differing(model: RigorModel, network: Network, samples: Sequence[Sample]) -> Tensor:
    """bool, of every layer's tokens: whether the experts differ."""
    rows = [[*sample.prompt, *sample.completion.tokens] for sample in samples]
    tokens_BT = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64, device=network.device)
    document_BT = torch.full_like(tokens_BT, -1)
    for index, row in enumerate(rows):
        tokens_BT[index, : len(row)] = torch.tensor(row)
        document_BT[index, : len(row)] = 0
    theirs = _sampled(network, tokens_BT)
    ours = _trained(model, tokens_BT, document_BT)
    live_M = (document_BT >= 0).flatten()
    return torch.cat([(mine != other).any(1)[live_M] for mine, other in zip(ours, theirs, strict=True)])


def _sampled(network: Network, tokens_BT: Tensor) -> list[Tensor]:
    """[M, E] of every layer with experts, tokens in the order of the rows."""
    layers = network.weights.layers[: network.config.layers]
    recorders = {i: _Recorder(layer.feed_forward) for i, layer in enumerate(layers)
                 if isinstance(layer.feed_forward, Mixture)}  # fmt: skip
    try:
        for index, recorder in recorders.items():
            layers[index].feed_forward = recorder
        network.prefill(tokens_BT)
    finally:
        for index, recorder in recorders.items():
            layers[index].feed_forward = recorder.mixture
    return [recorder.chosen_ME for recorder in recorders.values() if recorder.chosen_ME is not None]


def _trained(model: RigorModel, tokens_BT: Tensor, document_BT: Tensor) -> list[Tensor]:
    """The same from the trainer's model, whose routers see the places one after another."""
    found: list[Tensor] = []

    def note(_: torch.nn.Module, __: object, output: tuple[Tensor, Tensor]) -> None:
        found.append(output[1].bool())

    handles = [router.register_forward_hook(note) for router in routers_of(model)]
    try:
        model.train(False)
        with without_mtp(model):
            model(tokens_BT, document_BT)
    finally:
        for handle in handles:
            handle.remove()
    if tokens_BT.is_cuda:  # there all rows are one
        return found
    rows, places = tokens_BT.shape
    return [chosen.view(places, rows, -1).transpose(0, 1).flatten(0, 1) for chosen in found]
