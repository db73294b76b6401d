"""A model's shape as Hugging Face's config.json and back; what only one of the two can say is refused.

A shape becomes `DeepseekV3ForCausalLM` (MLA), `Qwen2ForCausalLM` (grouped queries with biases) or `LlamaForCausalLM`
(without). RoPE is written in the form that transformers 4 and 5, vLLM and SGLang all read.
"""

from __future__ import annotations

import math
from typing import Any

from pydantic import ValidationError

from model.config import Llama3Rope, Mla, ModelConfig

Json = dict[str, Any]
INNER_NORM_EPS = 1e-6
"""DeepseekV3's norms of the query and key/value latents have this epsilon, whatever `rms_norm_eps` says."""


def hf_config(config: ModelConfig) -> Json:
    """The content of config.json, without dtype and token ids.

    Raises:
        ValueError: the Hugging Face form cannot hold this shape; the message names the field.
    """
    c, a = config, config.attention
    shared: Json = {
        "vocab_size": c.vocab_size,
        "hidden_size": c.hidden_size,
        "intermediate_size": c.ffn_size,
        "num_hidden_layers": c.layers,
        "num_attention_heads": a.heads,
        "hidden_act": "silu",
        "max_position_embeddings": c.max_positions,
        "rope_theta": c.rope_theta,
        "rope_scaling": _rope_out(c),
        "rms_norm_eps": c.norm_eps,
        "initializer_range": c.init_std,
        "attention_dropout": 0.0,
        "tie_word_embeddings": c.tie_embeddings,
        "use_cache": True,
    }
    if isinstance(a, Mla):
        return {
            "architectures": ["DeepseekV3ForCausalLM"],
            "model_type": "deepseek_v3",
            **shared,
            **_deepseek_out(c, a),
        }
    shared["num_key_value_heads"] = a.kv_heads
    if a.qkv_bias:
        own = {} if a.heads * a.head_dim == c.hidden_size else {"head_dim": a.head_dim}
        return {
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            **shared,
            **own,
            "use_sliding_window": False,
        }
    if c.hidden_size % a.heads:
        raise ValueError(
            f"hidden_size ({c.hidden_size}) must be a multiple of attention.heads ({a.heads}) in Llama's form"
        )
    own = {"attention_bias": False, "mlp_bias": False, "head_dim": a.head_dim}
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **shared, **own}


def scoring(written: Json) -> Json:
    """The same shape with one score in the place of logits: the form of transformers' and vLLM's reward models."""
    (name,) = written["architectures"]
    return {
        **written,
        "architectures": [name.replace("ForCausalLM", "ForSequenceClassification")],
        "id2label": {"0": "SCORE"},
        "label2id": {"SCORE": 0},
    }


def config_from_hf(data: Json) -> ModelConfig:
    """The shape that a config.json describes.

    Raises:
        ValueError: another architecture, or a setting that Rigor's model does not have; the message names it.
    """
    kind = data.get("model_type")
    readers = {"deepseek_v3": _deepseek_in, "qwen2": _qwen2_in, "llama": _llama_in}
    if not isinstance(kind, str) or kind not in readers:
        raise ValueError(f"config.json: model_type {kind!r} is none of {', '.join(readers)}")
    _expect(data, hidden_act="silu", attention_dropout=0.0)
    for key, value in data.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"config.json: {key} is {value}")
    fields: Json = {
        "vocab_size": _get(data, "vocab_size"),
        "hidden_size": _get(data, "hidden_size"),
        "layers": _get(data, "num_hidden_layers"),
        "ffn_size": _get(data, "intermediate_size"),
        "max_positions": _get(data, "max_position_embeddings"),
        "norm_eps": data.get("rms_norm_eps", 1e-6),
        "init_std": data.get("initializer_range", 0.02),
        "tie_embeddings": data.get("tie_word_embeddings", False),
        **_rope_in(data),
        **readers[kind](data),
    }
    try:
        config = ModelConfig.model_validate(fields, strict=True)
    except ValidationError as error:
        lines = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)[:5])
        raise ValueError(f"config.json describes no model of Rigor's: {lines}") from error
    hf_config(config)  # what could not be written back was not understood
    return config


def _deepseek_out(c: ModelConfig, a: Mla) -> Json:
    if c.norm_eps != INNER_NORM_EPS:
        raise ValueError(f"norm_eps ({c.norm_eps}) must be {INNER_NORM_EPS}: DeepseekV3's inner norms know no other")
    moe = c.moe
    # Without experts every layer, the MTP module's too, is a leading dense one; the expert fields are then not used.
    dense = moe.dense_layers if moe else c.layers + c.mtp_layers
    return {
        "num_key_value_heads": a.heads,
        "q_lora_rank": a.q_lora_rank,
        "kv_lora_rank": a.kv_lora_rank,
        "qk_nope_head_dim": a.qk_nope_head_dim,
        "qk_rope_head_dim": a.qk_rope_head_dim,
        "v_head_dim": a.v_head_dim,
        "attention_bias": False,
        "rope_interleave": True,
        "first_k_dense_replace": dense,
        "moe_layer_freq": 1,
        "moe_intermediate_size": moe.expert_ffn_size if moe else c.ffn_size,
        "n_routed_experts": moe.experts if moe else 2,
        "n_shared_experts": moe.shared_experts if moe else 0,
        "num_experts_per_tok": moe.experts_per_token if moe else 1,
        "n_group": moe.groups if moe else 1,
        "topk_group": moe.groups_per_token if moe else 1,
        "routed_scaling_factor": moe.routed_scale if moe else 1.0,
        # Megatron normalises the chosen experts' scores only where there are several.
        "norm_topk_prob": moe is not None and moe.experts_per_token > 1,
        "scoring_func": "sigmoid",
        "topk_method": "noaux_tc",
        "num_nextn_predict_layers": c.mtp_layers,
    }


def _deepseek_in(data: Json) -> Json:
    _expect(data, attention_bias=False, rope_interleave=True, scoring_func="sigmoid", topk_method="noaux_tc")
    _expect(data, moe_layer_freq=1, num_key_value_heads=data.get("num_attention_heads"))
    layers, dense = _get(data, "num_hidden_layers"), _get(data, "first_k_dense_replace")
    mtp = data.get("num_nextn_predict_layers", data.get("num_mtp_layers", 1))
    attention = {key: _get(data, key) for key in ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")}
    attention |= {"kind": "mla", "heads": _get(data, "num_attention_heads"), "q_lora_rank": data.get("q_lora_rank")}
    moe: Json | None = None
    if not (isinstance(dense, int) and isinstance(layers, int) and dense >= layers):
        per_token = _get(data, "num_experts_per_tok")
        _expect({"norm_topk_prob": True, **data}, norm_topk_prob=per_token != 1)
        moe = {
            "experts": data.get("n_routed_experts", data.get("num_local_experts")),
            "experts_per_token": per_token,
            "expert_ffn_size": _get(data, "moe_intermediate_size"),
            "shared_experts": data.get("n_shared_experts") or 0,
            "dense_layers": dense,
            "groups": _get(data, "n_group"),
            "groups_per_token": _get(data, "topk_group"),
            "routed_scale": _get(data, "routed_scaling_factor"),
        }
    return {"attention": attention, "moe": moe, "mtp_layers": mtp}


def _qwen2_in(data: Json) -> Json:
    _expect(data, use_sliding_window=False)
    if any(kind != "full_attention" for kind in data.get("layer_types") or ()):
        raise ValueError("config.json: layer_types other than full_attention are not supported")
    return {"attention": _gqa_in(data, qkv_bias=True)}


def _llama_in(data: Json) -> Json:
    _expect(data, attention_bias=False, mlp_bias=False)
    return {"attention": _gqa_in(data, qkv_bias=False)}


def _gqa_in(data: Json, qkv_bias: bool) -> Json:
    heads, width, head_dim = _get(data, "num_attention_heads"), data["hidden_size"], data.get("head_dim")
    if head_dim is None:
        if not (isinstance(heads, int) and isinstance(width, int) and heads > 0 and width % heads == 0):
            raise ValueError(f"config.json: hidden_size {width!r} is no multiple of num_attention_heads {heads!r}")
        head_dim = width // heads
    kv_heads = data.get("num_key_value_heads") or heads
    return {"kind": "gqa", "heads": heads, "kv_heads": kv_heads, "head_dim": head_dim, "qkv_bias": qkv_bias}


def _rope_out(c: ModelConfig) -> Json | None:
    rope = c.rope_scaling
    if rope is None:
        return None
    if isinstance(rope, Llama3Rope):
        return {
            "rope_type": "llama3",
            "factor": rope.factor,
            "original_max_position_embeddings": rope.original_positions,
            "low_freq_factor": rope.low_freq_factor,
            "high_freq_factor": rope.high_freq_factor,
        }
    # Hugging Face reads an mscale of 0 as "not given", Megatron as 0; only these two settings mean the same to both.
    given = rope.mscale > 0 and rope.mscale_all_dim > 0
    if not given and (rope.mscale, rope.mscale_all_dim) != (1.0, 0.0):
        raise ValueError("rope_scaling: mscale and mscale_all_dim must both be above 0, or 1 and 0")
    return {
        "type": "yarn",
        "rope_type": "yarn",
        "factor": rope.factor,
        "original_max_position_embeddings": rope.original_positions,
        "beta_fast": rope.beta_fast,
        "beta_slow": rope.beta_slow,
        **({"mscale": rope.mscale, "mscale_all_dim": rope.mscale_all_dim} if given else {}),
    }


def _rope_in(data: Json) -> Json:
    """`rope_theta` and `rope_scaling`, from transformers 4's two keys or transformers 5's `rope_parameters`."""
    rope = data.get("rope_parameters") or data.get("rope_scaling") or {}
    if not isinstance(rope, dict):
        raise ValueError("config.json: rope_scaling is no object")
    theta = rope.get("rope_theta", data.get("rope_theta", 10_000.0))
    kind = rope.get("rope_type", rope.get("type", "default"))
    shared = {"factor": rope.get("factor"), "original_positions": rope.get("original_max_position_embeddings")}
    if shared["original_positions"] is None:
        shared["original_positions"] = data.get("max_position_embeddings")
    if rope.get("partial_rotary_factor", 1) != 1 or data.get("partial_rotary_factor", 1) != 1:
        raise ValueError("config.json: partial_rotary_factor other than 1 is not supported")
    scaling: Json | None = None
    if kind == "yarn":
        if rope.get("attention_factor") is not None or rope.get("truncate", True) is not True:
            raise ValueError("config.json: yarn's attention_factor and truncate are not supported")
        scale = (rope.get("mscale"), rope.get("mscale_all_dim"))
        mscale, all_dim = (1.0, 0.0) if scale == (None, None) else scale
        betas = {"beta_fast": rope.get("beta_fast") or 32.0, "beta_slow": rope.get("beta_slow") or 1.0}
        scaling = {"kind": "yarn", **shared, **betas, "mscale": mscale, "mscale_all_dim": all_dim}
    elif kind == "llama3":
        frequencies = {key: rope.get(key) for key in ("low_freq_factor", "high_freq_factor")}
        scaling = {"kind": "llama3", **shared, **frequencies}
    elif kind != "default":
        raise ValueError(f"config.json: rope_type {kind!r} is neither default, yarn nor llama3")
    return {"rope_theta": theta, "rope_scaling": scaling}


def _get(data: Json, key: str) -> Any:
    if data.get(key) is None:
        raise ValueError(f"config.json: {key} is missing")
    return data[key]


def _expect(data: Json, **values: object) -> None:
    """Settings that Rigor's model has only in one way."""
    for key, value in values.items():
        if data.get(key) not in (None, value):
            raise ValueError(f"config.json: {key} {data[key]!r} is not supported, only {value!r}")
