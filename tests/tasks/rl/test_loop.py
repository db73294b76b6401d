"""The loop on a tiny model: gradients by hand, what teaches nothing, resuming, learning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.build import RigorModel
from model.losses import ALGORITHMS
from tasks.rl import rollouts
from tasks.rl.agreement import agreement
from tasks.rl.loop import Reinforcer
from tests.tasks.rl.kit import Bench, config_of, curve, events_of, weights_of

KL = {"base": "grpo", "kl_weight": 0.2}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def by_letters(_: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
    """A number that differs from text to text."""
    return np.array([sum(map(ord, text)) % 7 for text in responses], np.float64)


def never(_: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
    return np.zeros(len(responses))


def alone(model: RigorModel, prompt: Sequence[int], response: Sequence[int]) -> Tensor:
    """Log-probabilities of a response by the plain formula: one row, whole logits, no packing."""
    tokens = torch.tensor([[*prompt, *response]])
    hidden = model(tokens, torch.zeros_like(tokens)).main_BTH[0]
    every = torch.log_softmax(hidden.double() @ model.head_weight().double().T, dim=-1)
    places = torch.arange(len(prompt) - 1, len(prompt) + len(response) - 1)
    return every[places, torch.tensor(response)]


@pytest.mark.parametrize("kl_weight", [0.0, 0.2])
def test_one_update_has_the_gradient_of_grpo_by_hand(bench: Bench, tmp_path: Path, kl_weight: float) -> None:
    made = bench.reinforcer(tmp_path, config_of(algorithm={"base": "grpo", "kl_weight": kl_weight}), by_letters)
    model, reference = bench.model(), bench.model()
    if kl_weight:
        for one in (made.reference.model, reference):
            with torch.no_grad():
                for index, parameter in enumerate(one.parameters()):
                    parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index)))
    asked = made.asker.ask(0, {})
    made._add_log_probs(asked.mine)
    values = made._learn(asked, rate=0.0)
    assert values["updates"] == 1

    total = torch.zeros((), dtype=torch.float64)
    for place in range(4):
        group = [sample for sample in asked.mine if sample.place == place]
        rewards = np.array([sum(map(ord, s.completion.text)) % 7 for s in group], np.float64)
        for sample, reward in zip(group, rewards, strict=True):
            advantage = (reward - rewards.mean()) / (rewards.std(ddof=1) + 1e-4)
            now = alone(model, sample.prompt, sample.completion.tokens)
            each = -(now - now.detach()).exp() * advantage
            if kl_weight:
                gap = alone(reference, sample.prompt, sample.completion.tokens).detach() - now
                each = each + kl_weight * (gap.exp() - gap - 1)
            total = total + each.mean() / 16
    torch.autograd.backward(total)
    assert values["loss"] == pytest.approx(float(total), abs=1e-6)
    theirs = dict(made.model.named_parameters())
    checked = 0
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            assert not theirs[name].main_grad.any(), name
        else:
            torch.testing.assert_close(theirs[name].main_grad, parameter.grad, atol=2e-6, rtol=1e-4)
            checked += 1
    assert checked > 20


def test_sampler_and_trainer_agree(bench: Bench, tmp_path: Path) -> None:
    made = bench.reinforcer(tmp_path, config_of(temperature=0.7, inner_epochs=2), by_letters)
    made.run()
    assert max(curve(tmp_path, "sampler_gap_max")) < 1e-4
    assert max(curve(tmp_path, "router_mismatch")) == 0
    assert max(curve(tmp_path, "ratio_max")) > 1  # the second inner epoch is off-policy


@pytest.mark.parametrize("rows", [1, 3])
def test_no_pass_has_more_rows_than_the_machine_is_said_to_hold(
    bench: Bench, tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.rl.batches.ROW_TOKENS", 16)  # one response a row
    passes: list[int] = []
    forward = RigorModel.forward

    def counted(model: RigorModel, tokens_BT: Tensor, document_BT: Tensor) -> Any:
        passes.append(len(tokens_BT))
        return forward(model, tokens_BT, document_BT)

    made = bench.reinforcer(tmp_path, config_of(algorithm=KL), by_letters, micro_batch_rows=rows)
    monkeypatch.setattr(RigorModel, "forward", counted)
    made._step()
    assert max(passes) == rows


def test_what_is_compared_does_not_depend_on_the_rows_of_a_pass(bench: Bench, tmp_path: Path) -> None:
    made = bench.reinforcer(tmp_path, config_of(), by_letters)
    mine = made.asker.ask(0, {}).mine
    with torch.no_grad():  # a sampler that is out of date: something differs
        for index, parameter in enumerate(made.model.parameters()):
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index)))
    whole, parted = (
        agreement(made.model, made.reference.model, made.sampler.network, mine, 1.0, rows) for rows in (16, 3)
    )
    assert whole["router_mismatch"] > 0
    assert parted == pytest.approx(whole, abs=1e-5)


def test_groups_of_equal_rewards_change_nothing(bench: Bench, tmp_path: Path) -> None:
    made = bench.reinforcer(tmp_path, config_of(), never)
    before = weights_of(made.model)
    assert made.run()
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights_of(made.model).items())
    assert curve(tmp_path, "updates") == [0, 0, 0]
    assert curve(tmp_path, "zero_variance_share") == [1, 1, 1]
    assert sum("equal rewards" in event["text"] for event in events_of(tmp_path, "warning")) == 1


def test_an_uninformative_group_only_counts(bench: Bench, tmp_path: Path) -> None:
    """The gradient of half-flat rewards is half of what the other half alone would give."""

    def half(prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        flat = np.array([prompt == prompts[0] for prompt in prompts])
        return np.where(flat, 1.0, by_letters(prompts, responses))

    gradients = []
    for run in range(2):
        made = bench.reinforcer(tmp_path / str(run), config_of(questions_per_step=2, algorithm="grpo"), half)
        asked = made.asker.ask(0, {})
        assert asked.live_K.tolist() == [False, True]
        if run:
            asked.kept_K[0] = False
        made._add_log_probs(asked.mine)
        made._learn(asked, rate=0.0)
        gradients.append({name: p.main_grad.clone() for name, p in made.model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(2 * gradient, gradients[1][name], atol=1e-6, rtol=1e-5)


RESUMED: list[dict[str, Any]] = [
    {"waves": 2},
    {"algorithm": KL, "reference_every_steps": 2, "minibatches": 3, "inner_epochs": 2, "steps": 5},
    {"algorithm": KL, "reference_every_steps": 1, "steps": 6},
]


@pytest.mark.parametrize("changes", RESUMED, ids=["dynamic sampling", "KL, minibatches", "KL, reference"])
def test_stopped_anywhere_it_comes_to_the_same_end(bench: Bench, tmp_path: Path, changes: dict[str, Any]) -> None:
    config = config_of(**changes)
    whole = bench.reinforcer(tmp_path / "whole", config, by_letters)
    assert whole.run()
    root = tmp_path / "pieces"
    finished, starts = False, 0
    while not finished:
        piece = bench.reinforcer(root, config, by_letters, stop=lambda: True)
        resume(piece)
        if starts == 2:  # as if killed some steps later, before one was saved
            for _ in range(min(3, config.steps - piece.step)):
                piece._step()
            piece = bench.reinforcer(root, config, by_letters, stop=lambda: True)
            resume(piece)
        finished, starts = piece.run(), starts + 1
    assert starts == config.steps
    expected = weights_of(whole.model)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights_of(piece.model).items())
    frames = [pl.concat(rollouts.read(path / "rollouts", config.steps)) for path in (tmp_path / "whole", root)]
    assert frames[0].equals(frames[1])
    assert frames[0]["id"].n_unique() == frames[0].height >= config.steps * 16
    assert curve(root, "held_out_greedy")[-1] == curve(tmp_path / "whole", "held_out_greedy")[-1]


def resume(made: Reinforcer) -> None:
    from model import checkpoint

    found = checkpoint.latest(made.folder / "checkpoints")
    if found is not None:
        made.take_up(found)


def test_another_config_does_not_resume(bench: Bench, tmp_path: Path) -> None:
    bench.reinforcer(tmp_path, config_of(steps=1), by_letters).run()
    other = bench.reinforcer(tmp_path, config_of(steps=2), by_letters)
    with pytest.raises(ValueError, match="another reinforcement"):
        resume(other)


def test_it_learns_a_bandit(bench: Bench, tmp_path: Path) -> None:
    """A reward for the share of one letter: it must rise far above where it began, at every algorithm's settings."""

    def letter(_: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        return np.array([text.count("1") / 6 for text in responses])

    config = config_of(steps=25, questions_per_step=8, samples=8, save_every_steps=25,
                       optimizer={"learning_rate": 0.02, "weight_decay": 0.0}, held_out={"problems": 0})  # fmt: skip
    bench.reinforcer(tmp_path, config, letter).run()
    rewards = curve(tmp_path, "reward")
    assert np.mean(rewards[:3]) < 0.1
    assert np.mean(rewards[-3:]) > 0.6


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_every_named_algorithm_takes_a_step(bench: Bench, tmp_path: Path, name: str) -> None:
    config = config_of(steps=1, algorithm={"base": name, "sampler_cap": 2.0}, minibatches=2, inner_epochs=2,
                       advantage="none", held_out={"problems": 0})  # fmt: skip
    made = bench.reinforcer(tmp_path, config, by_letters)
    before = weights_of(made.model)
    made.run()
    assert curve(tmp_path, "updates") == [4]
    assert not torch.equal(weights_of(made.model)["lm_head.weight"], before["lm_head.weight"])


def test_dynamic_sampling_draws_until_enough_groups_differ(bench: Bench, tmp_path: Path) -> None:
    def every_third(prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        flat = np.array([int(prompt.split()[0]) % 3 > 0 for prompt in prompts])
        return np.where(flat, 1.0, by_letters(prompts, responses))

    made = bench.reinforcer(tmp_path, config_of(waves=4), every_third)
    asked = made.asker.ask(0, {})
    assert len(asked.drawn) > 4
    assert len(asked.drawn) % 4 == 0
    numbers = [int(made.questions[index]["prompt"].split()[0]) for index in asked.drawn]
    assert asked.live_K.tolist() == [number % 3 == 0 for number in numbers]
    assert asked.kept_K.sum() <= 4
    assert (asked.kept_K <= asked.live_K).all()
    assert asked.kept_K.sum() == min(4, asked.live_K.sum())
    assert not any(sample.trained for sample in asked.mine if numbers[sample.place] % 3)


def test_long_responses_are_punished_or_masked(bench: Bench, tmp_path: Path) -> None:
    config = config_of(overlong={"weight": 0.5, "cache_tokens": 4, "mask": True})
    made = bench.reinforcer(tmp_path, config, never)
    asked = made.asker.ask(0, {})
    for sample in asked.mine:
        length = len(sample.completion.tokens)
        assert sample.reward == pytest.approx(0.5 * max(-1.0, min(0.0, (2 - length) / 4)))
        if sample.completion.finish == "length":
            assert not sample.trained
    assert any(sample.completion.finish == "length" for sample in asked.mine)


def test_figures_follow_from_the_rollouts(bench: Bench, tmp_path: Path) -> None:
    def lucky(_: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        return np.array([len(text) % 2 for text in responses], np.float64)

    made = bench.reinforcer(tmp_path, config_of(steps=2, questions_per_step=6), lucky)
    made.run()
    frame = pl.concat(rollouts.read(tmp_path / "rollouts", 2))
    assert frame.height == 2 * 6 * 4
    for step in range(2):
        rows = frame.filter(pl.col("step") == step)
        values = [
            e["values"] for e in events_of(tmp_path, "metrics") if e["step"] == step + 1 and "reward" in e["values"]
        ]
        (seen,) = values
        assert seen["reward"] == pytest.approx(rows["reward"].mean())
        assert seen["pass_rate"] == pytest.approx(rows["correct"].mean())
        assert seen["response_tokens"] == pytest.approx(rows["tokens"].list.len().mean())
        assert seen["cut_share"] == pytest.approx((rows["finish"] == "length").mean())
        surprise = -sum(map(sum, rows["log_probs"])) / sum(map(len, rows["tokens"]))
        assert seen["entropy"] == pytest.approx(surprise, rel=1e-5)
        flat = rows.group_by("place").agg(pl.col("reward").n_unique() == 1)["reward"].mean()
        assert seen["zero_variance_share"] == pytest.approx(flat)
        for (family, level), cell in rows.group_by("family", "level"):
            assert seen[f"pass_rate.{family}.level_{level}"] == pytest.approx(cell["correct"].mean())
        mean = rows.with_columns(pl.col("reward").mean().over("place").alias("mean"),
                                 pl.col("reward").std().over("place").alias("std"))  # fmt: skip
        expected = mean.select(
            pl.when(pl.col("std") > 0).then((pl.col("reward") - pl.col("mean")) / (pl.col("std") + 1e-4)).otherwise(0)
        ).to_series()
        assert np.allclose(rows["advantage"], expected, atol=1e-5)
    assert frame.select(pl.col("parents").list.first() == pl.col("problem")).to_series().all()
    again = bench.reinforcer(tmp_path / "again", config_of(steps=2, questions_per_step=6), lucky)
    again.run()
    assert pl.concat(rollouts.read(tmp_path / "again" / "rollouts", 2)).equals(frame)
