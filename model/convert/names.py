"""Which tensors a model has: each of Megatron's with those of the Hugging Face form that it is made of.

The Hugging Face form is what DeepSeek (arXiv 2412.19437), Qwen2 and Llama 3 publish: one tensor per projection and per
expert; the MTP module is the layer after the last, without the copies of embedding and head that it shares.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Final, Literal, NamedTuple

from model.config import Gqa, Mla, ModelConfig

Named = tuple[str, tuple[int, ...]]
"""Name and shape of a tensor in the Hugging Face form."""
Head = Literal["tokens", "score"]
"""What stands on the last hidden state: the vocabulary's logits, or one number (a reward model)."""
SCORE: Final = "score.weight"
"""A reward model's head, [1, H]: as transformers names it in its models for sequence classification."""


class Piece(NamedTuple):
    """One tensor of Megatron's and what it is called on disk."""

    megatron: str
    parts: tuple[Named, ...]
    join: Literal["one", "rows", "groups"] = "one"
    """one: equal; rows: parts below one another, experts stacked; groups: queries, key and value of each key head."""


def head_of(state: Container[str]) -> Head:
    """The head of a model with these tensors."""
    return "score" if SCORE in state else "tokens"


def pieces(config: ModelConfig, head: Head = "tokens") -> Iterator[Piece]:
    """All of a model's tensors, lazily, in the order of its layers."""
    c, width = config, config.hidden_size
    yield _one("embedding.word_embeddings.weight", "model.embed_tokens.weight", c.vocab_size, width)
    for i in range(c.layers):
        sparse = c.moe is not None and i >= c.moe.dense_layers
        yield from _layer(c, f"decoder.layers.{i}", f"model.layers.{i}", sparse)
    yield _one("decoder.final_layernorm.weight", "model.norm.weight", width)
    if head == "score":
        yield _one("output_layer.weight", SCORE, 1, width)
    elif not c.tie_embeddings:
        yield _one("output_layer.weight", "lm_head.weight", c.vocab_size, width)
    for k in range(c.mtp_layers):
        ours, theirs = f"mtp.layers.{k}", f"model.layers.{c.layers + k}"
        yield _one(f"{ours}.enorm.weight", f"{theirs}.enorm.weight", width)
        yield _one(f"{ours}.hnorm.weight", f"{theirs}.hnorm.weight", width)
        yield _one(f"{ours}.eh_proj.weight", f"{theirs}.eh_proj.weight", width, 2 * width)
        yield from _layer(c, f"{ours}.transformer_layer", theirs, c.moe is not None)
        yield _one(f"{ours}.final_layernorm.weight", f"{theirs}.shared_head.norm.weight", width)


def shapes(config: ModelConfig, head: Head = "tokens") -> Iterator[Named]:
    """Name and shape of every tensor in the Hugging Face form, lazily."""
    for piece in pieces(config, head):
        yield from piece.parts


def copies(config: ModelConfig) -> dict[str, str]:
    """Tensors that a folder may hold beside those of `shapes`, each with the one that it must equal."""
    found = {"lm_head.weight": "model.embed_tokens.weight"} if config.tie_embeddings else {}
    head = "model.embed_tokens.weight" if config.tie_embeddings else "lm_head.weight"
    for k in range(config.mtp_layers):
        found[f"model.layers.{config.layers + k}.embed_tokens.weight"] = "model.embed_tokens.weight"
        found[f"model.layers.{config.layers + k}.shared_head.head.weight"] = head
    return found


def is_expert_bias(name: str) -> bool:
    """Whether this is a router's balancing bias, which stays fp32 in a model of any dtype."""
    return name.endswith(".e_score_correction_bias")


def _one(megatron: str, name: str, *shape: int) -> Piece:
    return Piece(megatron, ((name, shape),))


def _layer(c: ModelConfig, ours: str, theirs: str, sparse: bool) -> Iterator[Piece]:
    yield _one(f"{ours}.input_layernorm.weight", f"{theirs}.input_layernorm.weight", c.hidden_size)
    attention = _mla if isinstance(c.attention, Mla) else _gqa
    yield from attention(c, f"{ours}.self_attention", f"{theirs}.self_attn")
    yield _one(f"{ours}.pre_mlp_layernorm.weight", f"{theirs}.post_attention_layernorm.weight", c.hidden_size)
    if not sparse or c.moe is None:
        yield from _ffn(c, f"{ours}.mlp", f"{theirs}.mlp", c.ffn_size)
        return
    moe = c.moe
    yield _one(f"{ours}.mlp.router.weight", f"{theirs}.mlp.gate.weight", moe.experts, c.hidden_size)
    yield _one(f"{ours}.mlp.router.expert_bias", f"{theirs}.mlp.gate.e_score_correction_bias", moe.experts)
    inner = moe.expert_ffn_size
    experts = [f"{theirs}.mlp.experts.{j}" for j in range(moe.experts)]
    up = tuple((f"{one}.{x}_proj.weight", (inner, c.hidden_size)) for one in experts for x in ("gate", "up"))
    yield Piece(f"{ours}.mlp.experts.up", up, "rows")
    down = tuple((f"{one}.down_proj.weight", (c.hidden_size, inner)) for one in experts)
    yield Piece(f"{ours}.mlp.experts.down", down, "rows")
    if moe.shared_experts:
        yield from _ffn(c, f"{ours}.mlp.shared_experts", f"{theirs}.mlp.shared_experts", moe.shared_experts * inner)


def _mla(c: ModelConfig, ours: str, theirs: str) -> Iterator[Piece]:
    a = c.attention
    assert isinstance(a, Mla)  # noqa: S101  (narrows the type)
    q_rows = a.heads * (a.qk_nope_head_dim + a.qk_rope_head_dim)
    if a.q_lora_rank is None:
        yield _one(f"{ours}.linear_q_proj.weight", f"{theirs}.q_proj.weight", q_rows, c.hidden_size)
    else:
        yield _one(f"{ours}.linear_q_down_proj.weight", f"{theirs}.q_a_proj.weight", a.q_lora_rank, c.hidden_size)
        yield _one(f"{ours}.q_layernorm.weight", f"{theirs}.q_a_layernorm.weight", a.q_lora_rank)
        yield _one(f"{ours}.linear_q_up_proj.weight", f"{theirs}.q_b_proj.weight", q_rows, a.q_lora_rank)
    down = a.kv_lora_rank + a.qk_rope_head_dim
    yield _one(f"{ours}.linear_kv_down_proj.weight", f"{theirs}.kv_a_proj_with_mqa.weight", down, c.hidden_size)
    yield _one(f"{ours}.kv_layernorm.weight", f"{theirs}.kv_a_layernorm.weight", a.kv_lora_rank)
    up = a.heads * (a.qk_nope_head_dim + a.v_head_dim)
    yield _one(f"{ours}.linear_kv_up_proj.weight", f"{theirs}.kv_b_proj.weight", up, a.kv_lora_rank)
    yield _one(f"{ours}.linear_proj.weight", f"{theirs}.o_proj.weight", c.hidden_size, a.heads * a.v_head_dim)


def _gqa(c: ModelConfig, ours: str, theirs: str) -> Iterator[Piece]:
    a = c.attention
    assert isinstance(a, Gqa)  # noqa: S101  (narrows the type)
    rows = (("q", a.heads * a.head_dim), ("k", a.kv_heads * a.head_dim), ("v", a.kv_heads * a.head_dim))
    parts = tuple((f"{theirs}.{x}_proj.weight", (n, c.hidden_size)) for x, n in rows)
    yield Piece(f"{ours}.linear_qkv.weight", parts, "groups")
    if a.qkv_bias:
        yield Piece(f"{ours}.linear_qkv.bias", tuple((f"{theirs}.{x}_proj.bias", (n,)) for x, n in rows), "groups")
    yield _one(f"{ours}.linear_proj.weight", f"{theirs}.o_proj.weight", c.hidden_size, a.heads * a.head_dim)


def _ffn(c: ModelConfig, ours: str, theirs: str, inner: int) -> Iterator[Piece]:
    up = tuple((f"{theirs}.{x}_proj.weight", (inner, c.hidden_size)) for x in ("gate", "up"))
    yield Piece(f"{ours}.linear_fc1.weight", up, "rows")
    yield _one(f"{ours}.linear_fc2.weight", f"{theirs}.down_proj.weight", c.hidden_size, inner)
