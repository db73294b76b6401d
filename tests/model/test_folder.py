"""A model's folder: written whole or not, cut into shards, with tokenizer, generation config and card."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor

from model.config import ModelConfig, preset
from model.convert import Card, hf_config, load_folder, load_shape, save_folder
from model.convert.names import is_expert_bias, shapes
from model.tokenizer import Tokenizer

CARD = Card(
    name="rigor-base",
    stage="pretrain",
    fingerprint="ab12cd34",
    inputs={"tokens": "7", "tokenizer": "3"},
    settings={"tokens": "5,000,000", "learning rate": "3e-3"},
    scores={"held-out loss": 2.34567891},
)


def config() -> ModelConfig:
    data = preset("laptop").model_dump()
    return ModelConfig.model_validate(data | {"vocab_size": 320, "hidden_size": 32, "layers": 2, "ffn_size": 48})


def random_state(shape: ModelConfig, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(size, generator=generator).to(torch.float32 if is_expert_bias(name) else dtype)
        for name, size in shapes(shape)
    }


def tokenizer(folder: Path, vocab_size: int = 320) -> Path:
    Tokenizer.train(["the sum of 12 and 30 is 42 " * 20], vocab_size).save(folder)
    return folder


def test_shards_hold_what_one_file_holds(tmp_path: Path) -> None:
    state = random_state(config())
    save_folder(tmp_path / "one", config(), state)
    save_folder(tmp_path / "many", config(), state, max_shard_bytes=200_000)
    assert (tmp_path / "one" / "model.safetensors").exists()
    shards = sorted(p.name for p in (tmp_path / "many").glob("*.safetensors"))
    count = len(shards)
    assert count > 3
    assert shards == [f"model-{i:05d}-of-{count:05d}.safetensors" for i in range(1, count + 1)]
    index = json.loads((tmp_path / "many" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(4 * tensor.numel() for tensor in state.values())
    for folder in ("one", "many"):
        read, tensors = load_folder(tmp_path / folder)
        assert read == config()
        assert tensors.keys() == state.keys()
        assert all(tensors[name].equal(tensor) for name, tensor in state.items())


def test_the_same_model_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_folder(tmp_path / name, config(), random_state(config()), card=CARD, max_shard_bytes=200_000)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_weights_are_rounded_once_and_expert_biases_never(tmp_path: Path) -> None:
    state = random_state(config())
    save_folder(tmp_path / "half", config(), state, dtype=torch.bfloat16)
    _, tensors = load_folder(tmp_path / "half")
    for name, tensor in state.items():
        assert tensors[name].equal(tensor if is_expert_bias(name) else tensor.bfloat16()), name
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "half")
    assert theirs.dtype == torch.bfloat16


def test_changing_the_file_does_not_change_what_was_loaded(tmp_path: Path) -> None:
    save_folder(tmp_path / "out", config(), random_state(config()))
    _, tensors = load_folder(tmp_path / "out")
    before = tensors["model.embed_tokens.weight"].clone()
    with (tmp_path / "out" / "model.safetensors").open("r+b") as file:
        file.truncate(100)
    assert tensors["model.embed_tokens.weight"].equal(before)


def test_the_shape_alone_is_that_of_the_whole_folder(tmp_path: Path) -> None:
    shape, folder = config(), tmp_path / "out"
    assert shape.mtp_layers == 1
    save_folder(folder, shape, random_state(shape))
    assert load_shape(folder) == load_folder(folder)[0] == shape
    path = folder / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(path).items() if not name.startswith("model.layers.2.")}
    save_file(kept, path)  # as transformers does
    assert load_shape(folder) == load_folder(folder)[0] == shape.model_copy(update={"mtp_layers": 0})


def test_tokenizer_and_its_ids_travel_with_the_model(tmp_path: Path) -> None:
    source = tokenizer(tmp_path / "tokenizer")
    save_folder(tmp_path / "out", config(), random_state(config()), tokenizer_folder=source)
    ours = Tokenizer.load(source)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert theirs("the sum of 12").input_ids == ours.encode("the sum of 12")
    generation = transformers.GenerationConfig.from_pretrained(tmp_path / "out")
    assert (generation.bos_token_id, generation.eos_token_id, generation.pad_token_id) == (ours.bos, ours.eos, ours.pad)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert (model.config.bos_token_id, model.config.eos_token_id) == (ours.bos, ours.eos)
    out = model.generate(torch.tensor([ours.encode("the sum")]), max_new_tokens=4, do_sample=False)
    assert out.shape[1] <= len(ours.encode("the sum")) + 4


def test_without_a_tokenizer_no_token_ends_a_text(tmp_path: Path) -> None:
    # DeepseekV3Config's defaults are 0 and 1: a config that is silent would stop at token 1.
    save_folder(tmp_path / "out", config(), random_state(config()))
    read = transformers.AutoConfig.from_pretrained(tmp_path / "out")
    assert (read.bos_token_id, read.eos_token_id, read.pad_token_id) == (None, None, None)


def test_a_tokenizer_larger_than_the_model_is_refused(tmp_path: Path) -> None:
    source = tokenizer(tmp_path / "tokenizer", vocab_size=400)
    with pytest.raises(ValueError, match="the tokenizer's ids go to 399, the model's vocabulary is 320"):
        save_folder(tmp_path / "out", config(), random_state(config()), tokenizer_folder=source)
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer"]


def test_a_link_to_a_secret_is_not_copied_as_a_tokenizer(tmp_path: Path) -> None:
    source = tokenizer(tmp_path / "tokenizer")
    (tmp_path / "secret").write_text("{}")
    (source / "special_tokens_map.json").unlink()
    (source / "special_tokens_map.json").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match="is a link"):
        save_folder(tmp_path / "out", config(), random_state(config()), tokenizer_folder=source)


def test_a_full_folder_is_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    save_folder(folder, config(), random_state(config()))
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(ValueError, match="exists and is not empty"):
        save_folder(folder, config(), {name: -tensor for name, tensor in random_state(config()).items()})
    assert (folder / "model.safetensors").read_bytes() == before


KILLED = """
import os, shutil, sys
from pathlib import Path
import torch
from model.config import ModelConfig
from model.convert import folder
from model.convert.names import shapes

torch.set_num_threads(1)
target, shape = Path(sys.argv[1]), ModelConfig.model_validate_json(sys.argv[2])
state = {name: torch.full(size, 0.5) for name, size in shapes(shape)}

def save(lines):
    "Save; after so many lines of folder.py the process kills itself."
    left = lines
    def trace(frame, event, argument):
        nonlocal left
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), 9)
        return trace
    sys.settrace(lambda frame, event, argument: trace if frame.f_code.co_filename == folder.__file__ else None)
    folder.save_folder(target, shape, state, max_shard_bytes=400_000)
    sys.settrace(None)
    return lines - left

total = save(10**9)
for lines in sorted({1, total - 1, *range(1, total, total // 18), *range(total - 9, total)}):
    shutil.rmtree(target, ignore_errors=True)
    child = os.fork()
    if child == 0:
        save(lines)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 9, lines
    held = "none"
    if target.exists():
        held = "whole" if folder.load_folder(target)[1].keys() == state.keys() else "torn"
    left = target.with_name(".out.tmp")
    print(held, len(list(left.iterdir())) if left.exists() else 0)
shutil.rmtree(target, ignore_errors=True)
save(10**9)
assert [path.name for path in target.parent.iterdir()] == ["out"]
"""


def test_a_killed_save_leaves_a_whole_folder_or_none_and_the_next_one_succeeds(tmp_path: Path) -> None:
    """A child kills itself at some 28 places of a save, from the first line to the last."""
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path / "out"), config().model_dump_json()]
    run = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert run.returncode == 0, run.stderr
    held, left = zip(*(line.split() for line in run.stdout.splitlines()), strict=True)
    assert set(held) == {"none", "whole"}
    assert len(held) > 20
    assert len(set(left)) > 3, "no save was killed between its files"


def test_the_card_says_what_how_and_how_good(tmp_path: Path) -> None:
    save_folder(tmp_path / "out", config(), random_state(config()), card=CARD)
    text = (tmp_path / "out" / "README.md").read_text()
    count = config().count()
    for row in (
        "license: apache-2.0",
        "# rigor-base",
        "Made by Rigor's stage `pretrain`, fingerprint `ab12cd34`.",
        "| attention.kv_lora_rank | 64 |",
        "| moe.experts | 8 |",
        "| dtype | float32 |",
        f"| total | {count.total:,} |",
        f"| active per token | {count.active:,} |",
        f"| MTP module, beside the total | {count.mtp:,} |",
        "| tokens | 5,000,000 |",
        "| learning rate | 3e-3 |",
        "| tokenizer | 3 |",
        "| held-out loss | 2.34568 |",
    ):
        assert row in text.splitlines(), row
    front = text.split("---")[1]
    import yaml

    assert yaml.safe_load(front)["license"] == "apache-2.0"


@pytest.mark.parametrize("name", ["a\n---\nlicense: mit", "a | b", "<script>", "", "[x](http://y)"])
def test_a_card_takes_no_markup(name: str) -> None:
    with pytest.raises(ValidationError):
        Card(name=name, stage="pretrain")


def test_the_config_is_read_by_transformers_as_it_was_meant(tmp_path: Path) -> None:
    for name in ("v3-base", "student-70b", "student-1.5b"):
        shape = preset(name)
        (tmp_path / "config.json").write_text(json.dumps(hf_config(shape)))
        read = transformers.AutoConfig.from_pretrained(tmp_path)
        assert read.rope_parameters["rope_theta"] == shape.rope_theta
        assert read.rope_parameters["rope_type"] == (shape.rope_scaling.kind if shape.rope_scaling else "default")
        assert read.tie_word_embeddings == shape.tie_embeddings
        assert read.max_position_embeddings == shape.max_positions
