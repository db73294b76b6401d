"""Reward models: what they see, that they learn, and that a score is the trainer's whatever stands beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.build import build
from model.convert import from_hf, load_folder, save_folder, scorer_shape, scorer_state
from model.convert.names import SCORE
from model.data import Rows
from model.losses import informative
from model.tokenizer import Tokenizer
from model.train.config import AdamWOptions, ScheduleOptions
from tasks.rl.judges import RewardModel, describe, lay_out_judged
from tasks.stage import Inputs
from tasks.train.reward_model import PUBLISHED, Labelled, RewardModelConfig, _placed, _write, reward_model_stage
from tests.model.sample_kit import random_state
from tests.model.shapes import shape
from tests.tasks.curate.made import commit
from tests.tasks.train.corpora_made import frame
from tests.tasks.train.test_fine_tune import Told
from warehouse.ids import row_id

SHAPE = {"vocab_size": 320, "hidden_size": 32, "layers": 2, "max_positions": 96, "init_std": 0.1}
DENSE = {**SHAPE, "moe": None, "mtp_layers": 0}
RESPONSE = "<think>\nbad plan\n</think>\n<answer>a good answer</answer>"


def policy(folder: Path, fields: dict[str, Any]) -> Path:
    """A random policy."""
    tokenizer = Tokenizer.train(["what is good or bad, kind or rude, one two three"] * 3, 320)
    tokenizer.save(folder / "tokenizer")
    config = shape(**fields)
    save_folder(folder / "policy", config, random_state(config, std=0.1), tokenizer_folder=folder / "tokenizer")
    return folder / "policy"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With experts and an MTP module."""
    return policy(tmp_path_factory.mktemp("policy"), SHAPE)


def untrained(start: Path, folder: Path, kind: Any) -> RewardModel:
    """The policy under a random score."""
    config, state = load_folder(start)
    fresh = torch.randn(1, config.hidden_size, generator=torch.Generator().manual_seed(5)) / 10
    save_folder(folder, scorer_shape(config), scorer_state(config, state, fresh), tokenizer_folder=start)
    describe(folder, kind, 0.25)
    return RewardModel(folder)


def test_the_helpful_model_sees_the_answer_alone_and_the_safety_model_all(start: Path) -> None:
    tokenizer = Tokenizer.load(start)
    helpful, safety = (
        tokenizer.decode(tokenizer.encode_parts([lay_out_judged(kind, "what?", RESPONSE)])[0])
        for kind in ("helpful", "safety")
    )
    asked = "<|bos|><|user|>what?<|assistant|>"
    assert helpful == f"{asked}<answer>a good answer</answer><|eos|>"
    assert safety == f"{asked}{RESPONSE}<|eos|>"
    # The tags are the special tokens that the policy writes, in both; a user's text forges none.
    ids = tokenizer.encode_parts([lay_out_judged("safety", "a </think> b", RESPONSE)])[0]
    assert [ids.count(tag) for tag in (tokenizer.think, tokenizer.end_think, tokenizer.answer)] == [1, 1, 1]


def test_scores_are_the_trainers_whatever_stands_beside_them(start: Path, tmp_path: Path) -> None:
    judge = untrained(start, tmp_path / "judge", "safety")
    prompts = [f"what is {'good ' * (i % 5)}{i}?" for i in range(12)]
    responses = [RESPONSE + " and more" * (i % 7) for i in range(12)]
    together = judge.scores(prompts, responses)
    assert np.std(together) > 0.01
    for order in (list(reversed(range(12))), [3, 1, 3, 3, 7], [11]):
        some = judge.scores([prompts[i] for i in order], [responses[i] for i in order])
        assert np.abs(some - together[order]).max() < 1e-6
    config, state = load_folder(tmp_path / "judge")
    model = build(config, head="score")
    from_hf(model, state)
    model.train(False)
    for prompt, response, expected in zip(prompts, responses, together, strict=True):
        (ids,) = judge.tokenizer.encode_parts([lay_out_judged("safety", prompt, response)])
        tokens = torch.tensor([ids])
        with torch.no_grad():
            score = model(tokens, torch.zeros_like(tokens)).main_BTH[0, -1] @ model.head_weight()[0]
        assert float(score) == pytest.approx(expected, abs=2e-5)
    rewards = judge(prompts, responses)
    assert rewards.tolist() == pytest.approx(torch.sigmoid(torch.from_numpy(together) - 0.25).tolist())
    assert np.isfinite(judge.scores(["good " * 300], [RESPONSE])).all(), "longer than its positions"


def test_what_a_judge_sees_alike_has_the_very_same_reward(start: Path, tmp_path: Path) -> None:
    """One answer after other thoughts: apart by rounding, its group would seem to teach something."""
    judge = untrained(start, tmp_path / "judge", "helpful")
    thoughts = [f"<think>\n{'one ' * i}\n</think>\n<answer>a good answer</answer>" for i in range(9)]
    others = [f"<answer>{'good or bad ' * (i % 5)}{i}</answer>" for i in range(40)]
    for count in range(40):
        rewards = judge(["what?"] * (count + 9), others[:count] + thoughts)
        groups = torch.tensor([0] * count + [1] * 9)
        assert len(set(rewards[count:])) == 1, count
        assert not informative(torch.from_numpy(rewards), groups)[count:].any()


def test_a_policy_is_no_reward_model(start: Path) -> None:
    with pytest.raises(ValueError, match="no reward model"):
        RewardModel(start)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 64), min_size=1, max_size=300))
def test_packing_places_every_item_once_in_rows_that_hold_it(sizes: list[int]) -> None:
    rows = list(_placed(sizes, 64))
    assert sorted(index for row in rows for index in row) == list(range(len(sizes)))
    assert max(sum(sizes[index] for index in row) for row in rows) <= 64
    if len(rows) <= 64:
        assert len(rows) <= 2 * -(-sum(sizes) // 64), "at most one row is less than half full"


@pytest.mark.parametrize("kind", ["helpful", "safety"])
def test_labels_stand_at_the_last_token_of_each_response(kind: Any, tmp_path: Path) -> None:
    """Every item is found again in the rows, from nothing but tokens, documents and labels."""
    rng = np.random.default_rng(1)
    width = 2 if kind == "helpful" else 1
    items = [tuple([1000 * i + j, *rng.integers(1, 900, int(rng.integers(1, 12))).tolist()] for j in range(width))
             for i in range(30)]  # fmt: skip
    safe = [bool(i % 3) for i in range(30)]
    count = _write(kind, Labelled(items, safe), 32, 2, tmp_path / "rows")
    batch = {name: column.numpy() for name, column in Rows(tmp_path / "rows").take(np.arange(count)).items()}
    found: dict[int, dict[int, list[int]]] = {}
    labels = {}
    for row in range(count):
        places = np.flatnonzero(batch["weight"][row])
        column = batch["pair" if kind == "helpful" else "safe"][row]
        assert (np.flatnonzero(column != (0 if kind == "helpful" else -1)) == places).all()
        for place in places:
            document = batch["document"][row, place]
            assert place == np.flatnonzero(batch["document"][row] == document)[-1]
            ids = batch["tokens"][row][batch["document"][row] == document].tolist()
            item, side = divmod(ids[0], 1000)
            found.setdefault(item, {})[side] = ids
            labels[item, side] = int(column[place])
    assert [tuple(found[i][side] for side in range(width)) for i in range(30)] == items
    for i in range(30):
        if kind == "helpful":
            assert labels[i, 0] == -labels[i, 1] > 0
        else:
            assert labels[i, 0] == safe[i]


def toy(kind: str, count: int) -> list[dict[str, Any]]:
    """Pairs in which the better response says `kind` and the worse one `rude`, among words that say nothing."""
    rng = np.random.default_rng(7)
    words = ["one", "two", "three", "good", "bad"]

    def response(word: str) -> str:
        said = [*rng.choice(words, 3).tolist(), word]
        rng.shuffle(said)
        return f"<answer>{' '.join(said)}</answer>"

    rows = []
    for i in range(count):
        prompt = f"what is {' '.join(rng.choice(words, 2))}?"
        rows.append({
            "id": row_id(kind, i), "parents": [], "partition": "all", "kind": kind, "problem": str(i),
            "family": ("facts", "choices")[i % 2], "category": "general", "language": "en",
            "split": "validation" if i % 4 == 0 else "train", "group": str(i), "prompt": prompt,
            "chosen": response("kind"), "rejected": response("rude"), "chosen_form": "reference",
            "rejected_form": "wrong", "source": "rules", "votes": 0,
        })  # fmt: skip
    return rows


def accuracy(judge: RewardModel, rows: Sequence[dict[str, Any]]) -> float:
    prompts = [row["prompt"] for row in rows]
    chosen, rejected = (judge.scores(prompts, [row[side] for row in rows]) for side in ("chosen", "rejected"))
    return float((chosen > rejected).mean())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["helpful", "safety"])
def test_a_tiny_model_learns_a_separable_preference(kind: Any, tmp_path: Path) -> None:
    start = policy(tmp_path, DENSE)
    rows = toy(kind, 240)
    held_out = [row for row in rows if row["split"] != "train"]
    before = accuracy(untrained(start, tmp_path / "before", kind), held_out)
    assert 0.3 < before < 0.7
    table = commit(tmp_path, "preferences", frame(rows + toy("other", 4), "preferences"))
    changes: dict[str, Any] = {"batch_rows": 4, "looks": 1, "optimizer": AdamWOptions(learning_rate=5e-3)}
    recipe = PUBLISHED.model_copy(update=changes | {"schedule": ScheduleOptions(warmup_steps=5)})
    notes = Told()
    inputs = Inputs(tables={"preferences": table}, models={"policy": start}, scratch=tmp_path / "scratch",
                    work=tmp_path / "work")  # fmt: skip
    made = reward_model_stage(kind).run(RewardModelConfig(epochs=4, recipe=recipe, row_tokens=192), inputs, notes)
    assert isinstance(made, Path)
    judge = RewardModel(made)
    assert accuracy(judge, held_out) > 0.9
    assert notes.values["held_out_pair_accuracy"] == pytest.approx(accuracy(judge, held_out))
    assert notes.values["held_out_accuracy_final"] > 0.9
    assert notes.values["held_out_calibration_error"] < 0.2
    assert notes.read == len(rows)
    assert {"loss", "accuracy", "reliability"} <= notes.figures.keys()
    about = json.loads((made / "reward.json").read_text())
    assert about["kind"] == kind
    if kind == "helpful":
        train = [row for row in rows if row["split"] == "train"]
        scores = [judge.scores([r["prompt"] for r in train], [r[s] for r in train]) for s in ("chosen", "rejected")]
        assert about["centre"] == pytest.approx(np.mean(scores), abs=1e-6)
    else:
        assert about["centre"] == 0
    config, state = load_folder(made)
    assert (config.mtp_layers, state[SCORE].shape) == (0, (1, config.hidden_size))


def test_defaults_are_the_published_ones() -> None:
    config = RewardModelConfig()
    assert (config.epochs, config.recipe.optimizer.learning_rate, config.recipe.batch_rows) == (1, 6e-6, 256)
