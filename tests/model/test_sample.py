"""The decode engine against transformers: logits, greedy texts, log-probs; and what a sample may depend on."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from model.config import ModelConfig
from model.sample import Completion, LocalSampler, SamplingParams
from model.sample.network import Network
from tests.model.sample_kit import Letters, hugging_face, random_state
from tests.model.shapes import DEEPSEEK, OTHERS, YARN, shape

FEW = {
    "mixture": {**DEEPSEEK["4 groups"], "vocab_size": 200, "max_positions": 128},
    "latent apart": {**DEEPSEEK["yarn"], "max_positions": 128},
    "dense": {**OTHERS["qwen2 tied"], "max_positions": 128},
}


def prompts_for(config: ModelConfig, count: int, longest: int = 20, seed: int = 0) -> list[list[int]]:
    """Random prompts of random lengths, the shortest a single token."""
    draw = random.Random(seed)
    return [[draw.randrange(config.vocab_size) for _ in range(draw.randint(1, longest))] for _ in range(count)]


ALIKE = {"2 dense layers", "tied", "qwen2", "llama", "mla without experts"}
"""Shapes whose features others here have together."""


@pytest.mark.parametrize("name", [name for name in [*DEEPSEEK, *OTHERS] if name not in ALIKE])
def test_logits_equal_transformers_step_by_step(name: str, tmp_path: Path) -> None:
    config = shape(**(DEEPSEEK | OTHERS)[name])
    state = random_state(config)
    other, network = hugging_face(config, state, tmp_path / "m"), Network(config, state, 64)
    tokens = torch.randint(0, config.vocab_size, (4, 60), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = other(tokens).logits
        hidden, entries = network.prefill(tokens)
        torch.testing.assert_close(network.logits(hidden), expected, atol=1e-4, rtol=0)
        cache, place, steps = network.cache(6), 30, []
        cache[:, :4, :, :place] = entries[:, :, :, :place]
        for width in [1] * 20 + [2, 3, 5]:
            part = tokens[:, place : place + width]
            steps.append(network.logits(network.forward(part, torch.full((4,), place), cache)))
            place += width
        torch.testing.assert_close(torch.cat(steps, 1), expected[:, 30:], atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", FEW)
def test_greedy_texts_equal_transformers(name: str, tmp_path: Path) -> None:
    config = shape(**FEW[name])
    state = random_state(config)
    other = hugging_face(config, state, tmp_path / "m")
    prompts = prompts_for(config, 6)
    sampler = LocalSampler(config, state, None, max_rows=4)
    ours = sampler.generate(prompts, SamplingParams(temperature=0, max_tokens=40))
    for prompt, (completion,) in zip(prompts, ours, strict=True):
        ids = torch.tensor([prompt])
        theirs = other.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=40, do_sample=False, pad_token_id=0
        )
        assert list(completion.tokens) == theirs[0, len(prompt) :].tolist()
        assert completion.finish == "length"


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize(
    "choice", [{}, {"temperature": 0.7}, {"temperature": 1.3, "top_k": 12, "top_p": 0.8}, {"temperature": 0}]
)
def test_log_probs_equal_a_full_forward(name: str, choice: dict[str, Any], tmp_path: Path) -> None:
    config = shape(**FEW[name])
    state = random_state(config)
    other = hugging_face(config, state, tmp_path / "m")
    prompts = prompts_for(config, 5)
    params = SamplingParams(max_tokens=30, seed=3, **choice)
    samples = LocalSampler(config, state, None, max_rows=3).generate(prompts, params, n=2)
    for prompt, pair in zip(prompts, samples, strict=True):
        for completion in pair:
            with torch.inference_mode():
                logits = other(torch.tensor([[*prompt, *completion.tokens]])).logits[0, len(prompt) - 1 : -1]
            full = (logits.double() / (params.temperature or 1)).log_softmax(-1)
            expected = full.gather(1, torch.tensor(completion.tokens)[:, None])[:, 0]
            torch.testing.assert_close(torch.tensor(completion.log_probs).double(), expected, atol=1e-4, rtol=0)
    assert params.temperature == 0 or len({c.tokens for pair in samples for c in pair}) == 10


@pytest.mark.parametrize("drafts", [0, 2])
@pytest.mark.parametrize("name", FEW)
def test_samples_depend_on_neither_batch_nor_order(name: str, drafts: int) -> None:
    config = shape(**FEW[name])
    if drafts and not config.mtp_layers:
        pytest.skip("a dense student has no MTP module")
    state, prompts = random_state(config), prompts_for(config, 36)
    seeds = list(range(100, 136))
    order = random.Random(5).sample(range(36), 36)
    params = SamplingParams(max_tokens=16, top_p=0.95)
    results: list[list[list[Completion]]] = []
    for rows in (1, 16, 128):
        sampler = LocalSampler(config, state, None, max_rows=rows, max_tokens=60, speculate=drafts)
        count = 4 if rows == 1 else 36
        results.append(sampler.generate(prompts[:count], params, n=2, seeds=seeds[:count]))
        if rows == 16:
            shuffled = sampler.generate([prompts[i] for i in order], params, n=2, seeds=[seeds[i] for i in order])
            assert shuffled == [results[-1][i] for i in order]  # tokens and the bits of log-probs
    alone, *others = results
    assert all(other[:4] == alone for other in others)
    assert others[0] == others[1]


def test_a_prompt_is_prefilled_once_for_all_its_samples() -> None:
    config = shape(**FEW["mixture"])
    sampler = LocalSampler(config, random_state(config), None, max_rows=4)
    prompts = [list(range(1, 18)), list(range(20, 31)), [5]]
    samples = sampler.generate(prompts, SamplingParams(max_tokens=5), n=10)
    assert sampler.work.prefilled == 16 + 10
    assert sampler.work.tokens == 150
    assert all(len(set(completions)) == 10 for completions in samples)
    single = sampler.generate([prompts[1]] * 2, SamplingParams(max_tokens=5), seeds=[8, 8])
    assert single[0] == single[1]


def test_new_weights_take_effect() -> None:
    config = shape(**FEW["dense"])
    first, second = random_state(config, 1), random_state(config, 2)
    params, prompts = SamplingParams(max_tokens=20), prompts_for(config, 3)
    sampler = LocalSampler(config, first, None)
    before = sampler.generate(prompts, params)
    first["model.embed_tokens.weight"].zero_()  # the sampler has its own copy
    assert sampler.generate(prompts, params) == before
    sampler.load(second)
    assert sampler.generate(prompts, params) == LocalSampler(config, second, None).generate(prompts, params) != before


@pytest.fixture(scope="module")
def lettered() -> tuple[LocalSampler, Letters]:
    config = shape(**FEW["mixture"])
    letters = Letters(200)
    return LocalSampler(config, random_state(config, std=0.02), letters, max_rows=8), letters


def test_the_end_token_ends_a_completion(lettered: tuple[LocalSampler, Letters]) -> None:
    sampler, letters = lettered
    seen = []
    ended = 0
    for completion in sampler.generate(
        [[7]], SamplingParams(max_tokens=100), 60, on_token=lambda i, j, t: seen.append((i, j, t))
    )[0]:
        over = completion.tokens[-1] == letters.eos
        assert completion.finish == ("stop" if over else "length")
        assert letters.eos not in completion.tokens[:-1]
        assert len(completion.tokens) == len(completion.log_probs)
        assert over or len(completion.tokens) == 100
        body = completion.tokens[: -1 if over else None]
        assert completion.text == b"".join(letters.token_bytes[t] for t in body).decode(errors="replace")
        ended += over
    assert 5 < ended < 60
    assert len(seen) == sampler.work.tokens


@pytest.mark.parametrize("drafts", [0, 3])
@pytest.mark.parametrize("stop", [("q",), ("ba", "ca"), ("aab", "bc"), ("é",), ("abab", "zz")])
def test_stop_strings_cut_the_text(stop: tuple[str, ...], drafts: int) -> None:
    config = shape(**FEW["mixture"])
    letters = Letters(200)
    state = random_state(config, std=0.02)
    if stop == ("é",):  # its two bytes are two tokens: make them one after the other less rare
        state["lm_head.weight"][1:3] += 6 * state["lm_head.weight"][1:3].sign()
    sampler = LocalSampler(config, state, letters, max_rows=8, speculate=drafts)
    free = sampler.generate([[7, 8]], SamplingParams(max_tokens=80), n=40)[0]
    stopped = sampler.generate([[7, 8]], SamplingParams(max_tokens=80, stop=stop), n=40)[0]
    hits = 0
    for full, cut in zip(free, stopped, strict=True):
        # The free run's tokens, followed by hand: the first place whose text holds a stop string.
        texts = [b"".join(letters.token_bytes[t] for t in full.tokens[: k + 1] if t) for k in range(len(full.tokens))]
        ends = [k for k, text in enumerate(texts) if any(s.encode() in text for s in stop)]
        length = ends[0] + 1 if ends else len(full.tokens)
        assert cut.tokens == full.tokens[:length]
        assert cut.log_probs == full.log_probs[:length]
        whole = texts[length - 1]
        starts = [whole.find(s.encode()) for s in stop if s.encode() in whole]
        assert cut.text == whole[: min(starts, default=len(whole))].decode(errors="replace")
        assert cut.finish == ("stop" if ends else full.finish)
        hits += bool(ends)
    assert hits > 0


def test_bad_requests_are_refused_in_words(lettered: tuple[LocalSampler, Letters]) -> None:
    sampler, _ = lettered
    params = SamplingParams(max_tokens=4)
    for prompts, options, message in (
        ([[1], []], {}, "prompt 1 is empty"),
        ([[1] * 128], {}, "prompt 0 has 128 tokens: a row's room is 128"),
        ([[200]], {}, "outside the vocabulary of 200"),
        ([[-1]], {}, "outside the vocabulary"),
        ([[1]], {"n": 0}, "n must be at least 1"),
        ([[1]], {"seeds": [1, 2]}, "2 seeds for 1 prompts"),
        ([[1]], {"seeds": [-1]}, "seed 0 is -1"),
    ):
        with pytest.raises(ValueError, match=message):
            sampler.generate(prompts, params, **options)
    config, state = sampler.config, random_state(sampler.config)
    with pytest.raises(ValueError, match="stop strings need a tokenizer"):
        LocalSampler(config, state, None).generate([[1]], SamplingParams(stop=("x",)))
    for wrong in (
        {"temperature": -1},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"stop": ("",)},
        {"max_tokens": -1},
        {"best": 1},
    ):
        with pytest.raises(ValidationError):
            SamplingParams.model_validate(wrong)
    for options, message in (
        ({"max_rows": 0}, "max_rows"),
        ({"max_tokens": 129}, "max_tokens must be 2 to the model's 128"),
        ({"speculate": 9}, "0 to 8 drafts"),
    ):
        with pytest.raises(ValueError, match=message):
            LocalSampler(config, state, None, **options)
    dense = shape(**FEW["dense"])
    with pytest.raises(ValueError, match=r"needs a model with an MTP module"):
        LocalSampler(dense, random_state(dense), None, speculate=1)
    with pytest.raises(ValueError, match=r"the weights have no lm_head\.weight"):
        sampler.load({k: v for k, v in state.items() if k != "lm_head.weight"})
    with pytest.raises(ValueError, match=r"norm.weight has the shape \(3,\), the config says \(48,\)"):
        sampler.load(state | {"model.norm.weight": torch.ones(3)})
    with pytest.raises(ValueError, match=r"shared_head\.head\.weight differs"):
        sampler.load(state | {"model.layers.3.shared_head.head.weight": state["lm_head.weight"] + 1})


def test_edges(lettered: tuple[LocalSampler, Letters]) -> None:
    sampler, _ = lettered
    assert sampler.generate([], SamplingParams()) == []
    nothing = sampler.generate([[1], [2]], SamplingParams(max_tokens=0), n=2)
    assert nothing == [[Completion((), "", (), "length")] * 2] * 2
    full = sampler.generate([[1] * 127], SamplingParams(max_tokens=50))[0][0]
    assert len(full.tokens) == 1
    for row in sampler.generate([[1] * 120], SamplingParams(max_tokens=50), n=20)[0]:
        assert len(row.tokens) <= 8
    sure = random_state(sampler.config)
    sure["model.norm.weight"][:] = 0  # all logits are zero
    first = LocalSampler(sampler.config, sure, Letters(200)).generate([[3]] * 9, SamplingParams(temperature=0))
    assert first == [[Completion((0,), "", first[0][0].log_probs, "stop")]] * 9
    assert first[0][0].log_probs[0] == pytest.approx(-5.298317, abs=1e-5)  # ln(1/200)


def test_weights_that_are_not_finite_are_named(lettered: tuple[LocalSampler, Letters]) -> None:
    config = lettered[0].config
    state = random_state(config)
    state["model.norm.weight"][0] = float("nan")
    sampler = LocalSampler(config, state, None)
    with pytest.raises(FloatingPointError, match="not finite"):
        sampler.generate([[1, 2]], SamplingParams(max_tokens=3))
    sampler.load(random_state(config))
    assert sampler.generate([[1, 2]], SamplingParams(max_tokens=3))[0][0].finish == "length"


@pytest.mark.parametrize("drafts", [0, 2])
def test_weights_that_were_not_finite_leave_nothing_behind(drafts: int) -> None:
    config = shape(**FEW["mixture"])
    good, params = random_state(config), SamplingParams(max_tokens=5)
    bad = good | {"model.embed_tokens.weight": good["model.embed_tokens.weight"].clone()}
    bad["model.embed_tokens.weight"][1] = float("nan")  # reaches the cache, at all 40 places
    sampler = LocalSampler(config, bad, None, max_rows=5, speculate=drafts)
    with pytest.raises(FloatingPointError):
        sampler.generate([[1] * 40] * 5, params)
    sampler.load(good)
    fresh = LocalSampler(config, good, None, max_rows=5, speculate=drafts)
    assert sampler.generate([[2, 3]] * 5, params) == fresh.generate([[2, 3]] * 5, params)


def test_tokens_that_the_tokenizer_lacks_have_no_text() -> None:
    """A vocabulary that is padded beyond the tokenizer's."""
    config = shape(**FEW["mixture"])
    letters = Letters(100)
    sampler = LocalSampler(config, random_state(config, std=0.02), letters, max_rows=8)
    for stop in ((), ("q",)):
        samples = sampler.generate([[7]], SamplingParams(max_tokens=30, stop=stop), 20)[0]
        assert any(max(sample.tokens) >= 100 for sample in samples)
        for sample in samples:
            texts = [letters.token_bytes[t] for t in sample.tokens if 0 < t < 100]
            assert sample.text == b"".join(texts).partition(b"q" if stop else b"\0")[0].decode(errors="replace")


def test_yarn_beyond_the_trained_context_stays_equal(tmp_path: Path) -> None:
    config = shape(rope_scaling=YARN, max_positions=128)
    state = random_state(config)
    other = hugging_face(config, state, tmp_path / "m")
    completion = LocalSampler(config, state, None).generate([[3, 4]], SamplingParams(max_tokens=120, seed=1))[0][0]
    with torch.inference_mode():
        logits = other(torch.tensor([[3, 4, *completion.tokens]])).logits[0, 1:-1]
    expected = logits.log_softmax(-1).gather(1, torch.tensor(completion.tokens)[:, None])[:, 0]
    torch.testing.assert_close(torch.tensor(completion.log_probs), expected, atol=1e-4, rtol=0)
