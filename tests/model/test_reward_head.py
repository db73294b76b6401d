"""A reward model, a policy's layers under one score: against transformers' own, through training and layouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor

from model.build import RigorModel, build
from model.convert import from_hf, load_folder, save_folder, scorer_shape, scorer_state, to_hf
from model.convert.names import SCORE
from tests.model.shapes import DEEPSEEK, OTHERS, shape
from tests.model.train_ranks import TINY, TOKENS, by_step, forge, make_rows, set_up, tiny_config

SHAPES = {name: (DEEPSEEK | OTHERS)[name] for name in ("no groups", "tied", "qwen2 tied", "llama llama3 rope")}


@torch.no_grad()
def score(model: RigorModel, tokens_BT: Tensor) -> Tensor:
    """At each row's last token [B]."""
    model.train(False)
    hidden = model(tokens_BT, torch.zeros_like(tokens_BT))
    return (hidden.main_BTH @ model.head_weight().T)[:, -1, 0]


@pytest.mark.parametrize("fields", SHAPES.values(), ids=SHAPES.keys())
def test_scores_are_those_of_transformers(fields: dict[str, Any], tmp_path: Path) -> None:
    config = scorer_shape(shape(**fields))
    model = build(config, seed=3, head="score")
    save_folder(tmp_path / "out", config, to_hf(model))
    tokens_BT = torch.randint(config.vocab_size, (3, 20), generator=torch.Generator().manual_seed(7))
    theirs, report = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "out", dtype=torch.float32, attn_implementation="eager", output_loading_info=True, num_labels=1
    )
    assert all("shared_experts" in key for key in report["missing_keys"])
    assert not report["unexpected_keys"] | report["mismatched_keys"]
    theirs.config.pad_token_id = -1  # no token is padding: the last is read
    with torch.no_grad():
        expected_B = theirs.eval()(tokens_BT).logits[:, 0]
    assert expected_B.std() > 0.1
    torch.testing.assert_close(score(model, tokens_BT), expected_B, atol=1e-5, rtol=0)


def test_a_policy_becomes_a_scorer_and_nothing_but_the_head_is_new() -> None:
    config = shape()
    policy = to_hf(build(config, seed=1))
    fresh = torch.ones(1, config.hidden_size)
    state = scorer_state(config, policy, fresh)
    model = build(scorer_shape(config), seed=2, head="score")
    from_hf(model, state)
    left_out = {name for name in policy if name.startswith(("lm_head", f"model.layers.{config.layers}."))}
    assert policy.keys() - state.keys() == left_out
    assert all(torch.equal(state[name], policy[name]) for name in policy.keys() - left_out)
    assert torch.equal(to_hf(model)[SCORE], fresh)
    again = scorer_state(scorer_shape(config), to_hf(model), torch.zeros(1, config.hidden_size))
    assert torch.equal(again[SCORE], fresh), "a head that is there stays"


def test_heads_are_not_mixed_up(tmp_path: Path) -> None:
    config = scorer_shape(shape())
    scorer, policy = build(config, head="score"), build(config)
    with pytest.raises(ValueError, match="a head of tokens"):
        from_hf(scorer, to_hf(policy))
    with pytest.raises(ValueError, match="a head of score"):
        from_hf(policy, to_hf(scorer))
    with pytest.raises(ValueError, match=r"unexpected tensors: lm_head\.weight"):
        save_folder(tmp_path / "both", config, {**to_hf(policy), **to_hf(scorer)})
    with pytest.raises(ValueError, match="predicts no token"):
        build(shape(), head="score")
    save_folder(tmp_path / "scorer", config, to_hf(scorer))
    written = json.loads((tmp_path / "scorer" / "config.json").read_text())
    assert written["architectures"] == ["DeepseekV3ForSequenceClassification"]
    assert "pipeline_tag: text-classification" in (tmp_path / "scorer" / "README.md").read_text()
    assert load_folder(tmp_path / "scorer")[0] == config


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of one pair each: the chosen response is the one with the higher last token."""
    folder = tmp_path_factory.mktemp("pairs")
    for name, count, seed in (("rows", 32, 0), ("held", 5, 1)):
        rng = np.random.default_rng(seed)
        tokens = rng.integers(0, TINY.vocab_size, (count, TOKENS), dtype=np.int32)
        ends = np.array([TOKENS // 2 - 1, TOKENS - 1])
        weight, pair = np.zeros((count, TOKENS), np.float32), np.zeros((count, TOKENS), np.int8)
        weight[:, ends] = 1
        pair[:, ends] = np.where(tokens[:, ends[:1]] > tokens[:, ends[1:]], [[1, -1]], [[-1, 1]])
        make_rows(folder / name, count, seed, tokens=tokens, weight=weight, pair=pair)
    return folder


@pytest.mark.parametrize("name", ["preference", "safety"])
def test_what_is_exported_after_training_scores_as_the_trainer_did(name: str, pairs: Path, tmp_path: Path) -> None:
    """Held-out loss by hand from the exported folder; every layout trains to the same."""
    policy = tmp_path / "policy"
    save_folder(policy, TINY, to_hf(build(TINY, seed=4)))
    data = pairs
    if name == "safety":
        data = tmp_path
        for part in ("rows", "held"):
            count = {"rows": 32, "held": 5}[part]
            rng = np.random.default_rng(count)
            weight = np.zeros((count, TOKENS), np.float32)
            weight[:, -1] = 1
            safe = np.where(weight > 0, rng.integers(0, 2, (count, 1)), -1).astype(np.int8)
            make_rows(tmp_path / part, count, weight=weight, safe=safe)
    changes: dict[str, Any] = {"model": scorer_shape(TINY), "objective": {"name": name}, "steps": 4, "balance": 0.0,
                               "init_from": policy}  # fmt: skip
    single = forge().run(set_up(tmp_path / "one", data / "rows", tiny_config(**changes), data / "held"))
    config, state = load_folder(single.root / "model")
    assert config == scorer_shape(TINY)
    model = build(config, head="score")
    from_hf(model, state)
    held = {key: torch.from_numpy(value.copy()) for key, value in _columns(data / "held").items()}
    model.train(False)
    with torch.no_grad():
        scores_BT = (model(held["tokens"].long(), held["document"].long()).main_BTH @ model.head_weight().T)[..., 0]
    if name == "preference":
        chosen, rejected = ((scores_BT * (held["pair"] == sign)).sum(1) for sign in (1, -1))
        expected = torch.nn.functional.softplus(rejected - chosen).mean()
    else:
        expected = torch.nn.functional.binary_cross_entropy_with_logits(scores_BT[:, -1], held["safe"][:, -1].float())
    assert by_step(single.events(), "held_out_loss")[4] == pytest.approx(float(expected), abs=1e-6)
    for layout in ("tensor", "pipeline"):
        root = set_up(tmp_path / layout, data / "rows", tiny_config(**changes, parallel={layout: 2}), data / "held")
        forge().run(root, task="prepare")
        world = forge().run(root, ranks=2)
        forge().run(root, task="export")
        for metric in ("loss", "grad_norm", "held_out_loss"):
            assert by_step(world.events(), metric) == pytest.approx(by_step(single.events(), metric), abs=1e-5), metric
        mine = load_file(root / "model" / "model.safetensors")
        torch.testing.assert_close(mine[SCORE], state[SCORE], atol=2e-4, rtol=0)


def _columns(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file as load

    return load(folder / "rows-00000.safetensors")
