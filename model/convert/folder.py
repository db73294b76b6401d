"""A model as a Hugging Face folder: safetensors, config, generation config, tokenizer and card; written whole or not.

Any program that reads DeepseekV3, Qwen2 or Llama folders reads ours, with no code of ours.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from model.config import ModelConfig
from model.convert import files, names
from model.convert.card import Card, render
from model.convert.hf_config import config_from_hf, hf_config, scoring

MAX_SHARD_BYTES = 5_000_000_000
DTYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
SAMPLING = {"do_sample": True, "temperature": 0.6, "top_p": 0.95}
"""How DeepSeek-R1 is sampled in its evaluations (arXiv 2501.12948, section 3)."""
_MAX_TOKENIZER_BYTES = 256 << 20


def save_folder(
    folder: Path,
    config: ModelConfig,
    state: Mapping[str, Tensor],
    *,
    tokenizer_folder: Path | None = None,
    card: Card | None = None,
    dtype: torch.dtype | None = None,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> None:
    """Write a model; `folder` appears whole, by one rename, or not at all.

    Args:
        folder: must not exist, or be empty.
        config: the model's shape.
        state: tensors in the Hugging Face form, as `to_hf` gives them; a reward model's have a score instead of logits.
        tokenizer_folder: where tokenizer files are copied from.
        card: what README.md says beside the shape.
        dtype: of the weights on disk; None keeps theirs. Expert biases stay as they are.
        max_shard_bytes: a model above this size is cut into several files with an index.

    Raises:
        ValueError: the form cannot hold this shape, the state is not this shape's, the tokenizer has more tokens than
            the model, or the folder is taken.
    """
    head = names.head_of(state)
    written = hf_config(config) if head == "tokens" else scoring(hf_config(config))
    check(config, state)
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} exists and is not empty")
    dtype = dtype or state["model.embed_tokens.weight"].dtype
    if dtype not in DTYPES:
        raise ValueError(f"dtype {dtype} is none of {', '.join(DTYPES.values())}")
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)  # what a killed save has left
    temporary.mkdir(parents=True)
    try:
        ids: dict[str, int | None] = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
        if tokenizer_folder is not None:
            ids = _copy_tokenizer(tokenizer_folder, temporary, config.vocab_size)
        # transformers 4 and servers read torch_dtype, transformers 5 too.
        _write_json(temporary / "config.json", written | ids | {"torch_dtype": DTYPES[dtype]})
        if head == "tokens":
            _write_json(temporary / "generation_config.json", ids | SAMPLING)
        (temporary / "README.md").write_text(render(config, card, DTYPES[dtype], head), encoding="utf-8")
        _write_weights(temporary, state, dtype, max_shard_bytes)
        for path in [*temporary.iterdir(), temporary]:
            _sync(path)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _sync(folder.parent)


def load_shape(folder: Path) -> ModelConfig:
    """The shape alone: config.json and the names of the tensors are read, no weights.

    A config that announces an MTP module of which no tensor is there (transformers drops it when it saves) is read as
    one without.

    Raises:
        ValueError: quantised weights, another architecture, or no safetensors files; the message names what is wrong.
    """
    data = files.read_json(folder / "config.json", 1 << 20)
    if data.get("quantization_config") is not None:
        raise ValueError(f"{folder} is quantised (quantization_config in config.json): {_UNQUANTISE}")
    config = config_from_hf(data)
    if config.mtp_layers:
        first = f"model.layers.{config.layers}."
        if not any(name.startswith(first) for name in files.tensor_names(folder)):
            return config.model_copy(update={"mtp_layers": 0})
    return config


def load_folder(folder: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Read a DeepseekV3, Qwen2 or Llama folder, ours or another's: JSON and safetensors alone, nothing is executed.

    Copies of the embedding and head that an MTP module shares are dropped; so is a tied head. The shape is that of
    `load_shape`.

    Returns:
        Shape and tensors in the Hugging Face form, with the dtypes of the files.

    Raises:
        ValueError: pickles, links, damaged or quantised files, another architecture, or missing, unexpected or
            wrongly shaped tensors; the message names them.
    """
    files.refuse_pickles(folder)
    config = load_shape(folder)
    state: dict[str, Tensor] = {}
    for path, expected in files.weight_files(folder).items():
        files.read_tensors(path, expected, state)
    for copy, original in names.copies(config).items():
        if copy not in state or original not in state:
            continue
        if not torch.equal(state[copy], state[original]):
            raise ValueError(f"{folder}: {copy} differs from {original}, which Rigor's model shares")
        del state[copy]
    check(config, state)
    return config, state


_UNQUANTISE = (
    "convert it to bfloat16 first (for DeepSeek-V3: inference/fp8_cast_bf16.py of its repository), and remove "
    "quantization_config from config.json"
)


def check(config: ModelConfig, state: Mapping[str, Tensor]) -> None:
    """Whether `state` is exactly a model of this shape, in the Hugging Face form.

    Raises:
        ValueError: missing, unexpected, wrongly shaped or quantised tensors; the message names them.
    """
    quantised = sorted(name for name, tensor in state.items() if "scale_inv" in name or tensor.dtype not in DTYPES)
    if quantised:
        kinds = sorted({str(state[name].dtype) for name in quantised})
        raise ValueError(f"quantised tensors or dtypes ({', '.join(kinds)}): {files.some(quantised)}; {_UNQUANTISE}")
    missing: list[str] = []
    known: set[str] = set()
    for name, shape in names.shapes(config, names.head_of(state)):
        if name not in state:
            missing.append(name)
            # A config may announce billions of tensors: the list ends where it is clear that this is not the model.
            if len(missing) > len(state) + 100:
                break
        elif tuple(state[name].shape) != shape:
            raise ValueError(f"{name} has shape {tuple(state[name].shape)}, not {shape}")
        known.add(name)
    unexpected = sorted(state.keys() - known)
    if missing:
        also = f"; unexpected: {files.some(unexpected)}" if unexpected else ""
        raise ValueError(f"missing tensors: {files.some(missing)}{also}")
    if unexpected:
        raise ValueError(f"unexpected tensors: {files.some(unexpected)}")


def _write_weights(folder: Path, state: Mapping[str, Tensor], dtype: torch.dtype, max_shard_bytes: int) -> None:
    """One file, or shards in the order of the state with an index; a shard's copy is all that is held in memory."""
    kinds = {name: tensor.dtype if names.is_expert_bias(name) else dtype for name, tensor in state.items()}
    sizes = {name: tensor.numel() * kinds[name].itemsize for name, tensor in state.items()}
    shards: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes.items():
        if shards[-1] and filled + size > max_shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += size
    paths = [f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors" for i in range(len(shards))]
    if len(shards) == 1:
        paths = ["model.safetensors"]
    for path, held in zip(paths, shards, strict=True):
        # Parts of one tensor of Megatron's share its memory, which save_file refuses.
        own = {name: state[name].detach().to("cpu", kinds[name], copy=True).contiguous() for name in held}
        save_file(own, folder / path, metadata={"format": "pt"})
    if len(shards) > 1:
        weight_map = {name: path for path, held in zip(paths, shards, strict=True) for name in held}
        index = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": weight_map}
        _write_json(folder / "model.safetensors.index.json", index)


def _copy_tokenizer(source: Path, target: Path, vocab_size: int) -> dict[str, int | None]:
    """Copy the tokenizer's files; ids of its special tokens."""
    tokenizer = files.read_json(source / "tokenizer.json", _MAX_TOKENIZER_BYTES)
    settings = files.read_json(source / "tokenizer_config.json", 1 << 24)
    vocabulary = dict(tokenizer.get("model", {}).get("vocab", {}))
    vocabulary |= {token["content"]: token["id"] for token in tokenizer.get("added_tokens", [])}
    largest = max(vocabulary.values(), default=-1)
    if largest >= vocab_size:
        raise ValueError(f"{source}: the tokenizer's ids go to {largest:,}, the model's vocabulary is {vocab_size:,}")
    for name in TOKENIZER_FILES:
        if (source / name).exists():
            shutil.copyfile(files.plain_file(source / name), target / name)
    return {f"{kind}_token_id": _token_id(settings.get(f"{kind}_token"), vocabulary) for kind in ("bos", "eos", "pad")}


def _token_id(token: Any, vocabulary: Mapping[str, int]) -> int | None:
    """The id of a token that tokenizer_config.json gives as text, as an object with `content`, or not at all."""
    text = token.get("content") if isinstance(token, dict) else token
    return None if text is None else vocabulary[text]


def _write_json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
