"""Between a Megatron model in memory and the Hugging Face form. Every number is moved, none is changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from model.config import Gqa, ModelConfig
from model.convert import names
from model.convert.folder import check

if TYPE_CHECKING:  # folders are read, by the sampler too, without waiting for Megatron's import
    from model.build import RigorModel


_FUSED_NORMS = {
    "self_attention.linear_qkv.layer_norm_weight": "input_layernorm.weight",
    "self_attention.linear_q_up_proj.layer_norm_weight": "self_attention.q_layernorm.weight",
    "self_attention.linear_kv_up_proj.layer_norm_weight": "self_attention.kv_layernorm.weight",
    "mlp.linear_fc1.layer_norm_weight": "pre_mlp_layernorm.weight",
}
"""Transformer Engine holds a norm in the product that follows it; elsewhere it is a module of its own."""
_NUMBERED = re.compile(r"(.*\.experts)\.linear_(fc1|fc2)\.weight\d+")
"""Transformer Engine's grouped experts are a tensor each, in order; elsewhere they are one stack."""


def to_hf(model: RigorModel) -> dict[str, Tensor]:
    """A model's tensors in the Hugging Face form: views where the model holds them so, else copies; dtypes kept.

    Raises:
        ValueError: the model is cut over several ranks, or holds a tensor that the form does not know.
    """
    state: dict[str, Tensor] = {}
    tensors = _tensors(model)
    for piece in names.pieces(model.rigor, model.head):
        views = _views(piece, tensors.pop(piece.megatron), model.rigor)
        for (name, shape), view in zip(piece.parts, views, strict=True):
            state[name] = view.reshape(shape)
    if tensors:
        raise ValueError(f"tensors without a name in the Hugging Face form: {', '.join(sorted(tensors)[:8])}")
    return state


def from_hf(model: RigorModel, state: Mapping[str, Tensor]) -> None:
    """Fill a model with tensors in the Hugging Face form; all are checked before the first is copied.

    Raises:
        ValueError: the model is cut over several ranks, or the state is not that of its shape.
    """
    tensors = _tensors(model)
    check(model.rigor, state)
    if names.head_of(state) != model.head:
        raise ValueError(f"a state with a head of {names.head_of(state)} for a model with one of {model.head}")
    for piece in names.pieces(model.rigor, model.head):
        views = _views(piece, tensors[piece.megatron], model.rigor)
        for (name, _), view in zip(piece.parts, views, strict=True):
            view.copy_(state[name].reshape(view.shape))


def _tensors(model: RigorModel) -> dict[str, list[Tensor]]:
    """Parameters and expert biases by the names of `names.pieces`, detached; a list where experts are a tensor each."""
    cut = {name: size for name, size in model.parallel.model_dump().items() if size > 1}
    if cut:
        sizes = ", ".join(f"{name} {size}" for name, size in cut.items())
        raise ValueError(
            f"this rank holds a part of the model ({sizes}): load its checkpoint at one rank to convert it"
        )
    found: dict[str, list[Tensor]] = {}
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        numbered = _NUMBERED.fullmatch(name)
        if numbered:
            name = f"{numbered[1]}.{'up' if numbered[2] == 'fc1' else 'down'}"
        layer, dot, fused = _cut_layer(name)
        if isinstance(tensor, torch.nn.Parameter) or name.endswith(".expert_bias"):
            found.setdefault(layer + dot + _FUSED_NORMS.get(fused, fused), []).append(tensor.detach())
    return found


def _cut_layer(name: str) -> tuple[str, str, str]:
    """A name's layer, and what follows it."""
    start = re.match(r"decoder\.layers\.\d+|mtp\.layers\.\d+\.transformer_layer", name)
    return (start[0], ".", name[start.end() + 1 :]) if start else ("", "", name)


def _views(piece: names.Piece, tensors: list[Tensor], config: ModelConfig) -> list[Tensor]:
    """Views of Megatron's tensors, one for each part on disk, equal to it but for the number of dimensions."""
    if piece.join == "one":
        return tensors
    if piece.join == "rows":
        rows = len(piece.parts) // len(tensors) * [piece.parts[0][1][0]]
        return [view for tensor in tensors for view in tensor.flatten(0, -2).split(rows)]
    a = config.attention
    assert isinstance(a, Gqa)  # noqa: S101  (narrows the type)
    grouped = tensors[0].unflatten(0, (a.kv_heads, -1))
    return list(grouped.split([a.heads // a.kv_heads * a.head_dim, a.head_dim, a.head_dim], dim=1))
