"""Sampling from our own weights: continuous batching over static slots.

A request's sample is a function of (weights, prompt, params, seed). Randomness is a counter's (`pick.py`); every
product has at least `MIN_ROWS` rows and attention whole blocks, so that on a CPU the logits' bits do not depend on the
rows beside a row either. Where a BLAS breaks that, logits differ in the last bits, and a token flips only where its
uniform number lies within about 1e-7 of an edge of the cumulative distribution.

A prompt's tokens but the last are prefilled (once for all its samples); the last one is the first that a step feeds.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from model.config import ModelConfig
from model.sample.layers import MIN_ROWS
from model.sample.network import Network
from model.sample.params import Codec, Completion, OnToken, SamplingParams, check_request
from model.sample.pick import request_seed
from model.sample.slots import Prefilled, Slots
from model.sample.speculate import propose, verify
from model.sample.stop import StopFinder, bytes_of

PREFILL_TOKENS = 4096
"""Prompts are run together up to so many tokens, padding included."""
PREFILL_BLOCK = 16
"""Prompts are padded to whole blocks, for the same reason as attention's windows."""


@dataclass(slots=True)
class Work:
    """What the last `generate` did."""

    prefilled: int = 0
    """Prompt tokens run."""
    steps: int = 0
    """Forward passes over the running rows."""
    tokens: int = 0
    """Tokens sampled."""
    drafted: int = 0
    """Tokens proposed by the MTP module."""
    accepted: int = 0
    """Of these, kept."""

    @property
    def acceptance(self) -> float:
        """Share of the proposed tokens that was kept."""
        return self.accepted / self.drafted if self.drafted else 0.0


class LocalSampler:
    """Completes prompts with weights in Hugging Face form."""

    def __init__(
        self,
        config: ModelConfig,
        state: Mapping[str, Tensor],
        tokenizer: Codec | None,
        max_rows: int = 64,
        max_tokens: int | None = None,
        speculate: int = 0,
        device: torch.device | None = None,
    ) -> None:
        """Build the engine.

        Args:
            config: The model's shape.
            state: Its weights, in the names of Hugging Face's files.
            tokenizer: None: no end-of-text token, no stop strings, and completions without text.
            max_rows: Requests that run at once.
            max_tokens: Room for prompt and completion of one request; the model's positions by default.
            speculate: Tokens that the MTP module drafts each step; 0 for none.
            device: The CPU by default.

        Raises:
            ValueError: a bound is out of range, drafts without an MTP module, or weights that do not fit.
        """
        self.room = config.max_positions if max_tokens is None else max_tokens
        if max_rows < 1:
            raise ValueError(f"max_rows must be at least 1, not {max_rows}")
        if not 2 <= self.room <= config.max_positions:
            raise ValueError(
                f"max_tokens must be 2 to the model's {config.max_positions:,} positions, not {self.room:,}"
            )
        if not 0 <= speculate <= 8:
            raise ValueError(f"speculate must be 0 to 8 drafts, not {speculate}")
        if speculate and not config.mtp_layers:
            raise ValueError("speculate needs a model with an MTP module")
        self.config, self.tokenizer, self.drafts = config, tokenizer, int(speculate)
        self._device = device
        self.load(state)
        self._slots = Slots.make(self.network, max_rows, self.drafts + 1)
        self.work = Work()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take new weights (copied) for all calls to come.

        Raises:
            ValueError: they do not fit the config.
        """
        with torch.inference_mode():
            self.network = Network(self.config, state, self.room + self.drafts + 1, self._device)

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams,
        n: int = 1,
        seeds: Sequence[int] | None = None,
        on_token: OnToken | None = None,
    ) -> list[list[Completion]]:
        """`n` samples of every prompt, in the prompts' order; see `Sampler`.

        Without `seeds`, a prompt's seed follows from `params.seed` and its place in `prompts`. A completion ends at the
        latest where prompt and completion fill the room of a row. `on_token` is called as tokens come.

        Raises:
            ValueError: an empty prompt, one that fills a row's room, a token outside the vocabulary, n < 1, stop
                strings without a tokenizer.
            FloatingPointError: the model's logits are not finite.
        """
        check_request(prompts, n, seeds)
        for index, prompt in enumerate(prompts):
            if len(prompt) >= self.room:
                raise ValueError(
                    f"prompt {index} has {len(prompt):,} tokens: a row's room is {self.room:,}, completion included"
                )
            if not all(0 <= token < self.config.vocab_size for token in prompt):
                raise ValueError(f"prompt {index} has a token outside the vocabulary of {self.config.vocab_size:,}")
        if params.stop and self.tokenizer is None:
            raise ValueError("stop strings need a tokenizer")
        self.work = Work()
        if params.max_tokens == 0:
            return [[Completion((), "", (), "length")] * n for _ in prompts]
        given = seeds if seeds is not None else [request_seed(params.seed, i) for i in range(len(prompts))]
        with torch.inference_mode():
            call = _Call(self, [tuple(p) for p in prompts], params, n, given, on_token)
            try:
                call.run()
            except FloatingPointError:
                # NaN times a weight of 0 is NaN: left in the cache, it would reach requests that mask its place.
                self._slots = Slots.make(self.network, self._slots.size, self.drafts + 1)
                raise
            finally:
                self._slots.clear()
        return [[call.results[i, j] for j in range(n)] for i in range(len(prompts))]


class _Call:
    """One `generate`: the queue, the slots' owners, and the results."""

    def __init__(
        self,
        sampler: LocalSampler,
        prompts: list[tuple[int, ...]],
        params: SamplingParams,
        n: int,
        seeds: Sequence[int],
        on_token: OnToken | None,
    ) -> None:
        self.sampler, self.prompts, self.params, self.seeds, self.on_token = sampler, prompts, params, seeds, on_token
        self.network, self.slots, self.work = sampler.network, sampler._slots, sampler.work
        self.queue = deque(itertools.product(range(len(prompts)), range(n)))
        self.owners: list[tuple[int, int]] = []
        self.results: dict[tuple[int, int], Completion] = {}
        self.places = sampler.drafts + 1
        self.least = -(-MIN_ROWS // self.places)
        codec = sampler.tokenizer
        self.eos = -1 if codec is None else codec.eos
        device = self.network.device
        self.span_T = torch.arange(self.places, device=device)
        self.stops = None
        if params.stop and codec is not None:
            self.stops = StopFinder(params.stop, codec, sampler.config.vocab_size, device)
        self.prefilled: dict[int, Prefilled] = {}

    def run(self) -> None:
        """Work until nothing is left."""
        # A few slots wait for each other, so that newcomers share a prefill; the running rows stay packed meanwhile.
        patience = max(self.slots.size // 16, 1)
        while self.queue or self.owners:
            if self.queue and (self.slots.free >= patience or not self.owners):
                self._admit()
            self._step()

    def _admit(self) -> None:
        """Give waiting requests the free slots; prompts that are not known yet are run together."""
        newcomers = [self.queue.popleft() for _ in range(min(self.slots.free, len(self.queue)))]
        fresh = sorted({i for i, _ in newcomers} - set(self.prefilled), key=lambda i: (len(self.prompts[i]), i))
        while fresh:
            batch = [fresh.pop(0)]
            width = self._width(batch[0])
            while fresh and self._width(fresh[0]) * (len(batch) + 1) <= PREFILL_TOKENS:
                width = self._width(fresh[0])
                batch.append(fresh.pop(0))
            self._prefill(batch, width)
        for i, j in newcomers:
            prompt = self.prompts[i]
            limit = min(self.params.max_tokens, self.sampler.room - len(prompt))
            self.slots.add(prompt, self.prefilled[i], limit, limit + self.places, request_seed(self.seeds[i], j))
            self.owners.append((i, j))
        waiting = self.queue[0][0] if self.queue else -1
        self.prefilled = {i: known for i, known in self.prefilled.items() if i == waiting}

    def _width(self, index: int) -> int:
        return -(-(len(self.prompts[index]) - 1) // PREFILL_BLOCK) * PREFILL_BLOCK

    def _prefill(self, batch: list[int], width: int) -> None:
        network = self.network
        tokens_BT = torch.zeros(len(batch), width + 1, dtype=torch.int64)
        for row, index in enumerate(batch):
            tokens_BT[row, : len(self.prompts[index])] = torch.tensor(self.prompts[index])
        tokens_BT = tokens_BT.to(network.device)
        if width:
            hidden_BTH, entries_NBGTW = network.prefill(tokens_BT[:, :-1])
            if self.sampler.drafts:
                network.mtp_prefill(hidden_BTH, tokens_BT[:, 1:], entries_NBGTW)
        else:
            hidden_BTH = torch.zeros(len(batch), 1, network.config.hidden_size, device=network.device)
            entries_NBGTW = torch.zeros_like(self.slots.cache_NSGCW[:, : len(batch), :, :0])
        for row, index in enumerate(batch):
            known = len(self.prompts[index]) - 1
            hidden_H = hidden_BTH[row, known - 1] if known else torch.zeros_like(hidden_BTH[row, 0])
            self.prefilled[index] = Prefilled(entries_NBGTW[:, row, :, :known], hidden_H)
            self.work.prefilled += known

    def _step(self) -> None:
        """One forward pass: a token for every running row, and as many more as drafts are accepted."""
        s, network, params = self.slots, self.network, self.params
        running, rows = s.active, max(s.active, self.least)
        tokens_RT, drafts = s.last_S[:rows, None], None
        place_RT = s.count_S[:rows, None] + self.span_T
        uniform_RT3 = s.uniform_SC3[:rows].gather(1, place_RT[..., None].expand(-1, -1, 3))
        if self.sampler.drafts:
            news = (s.hidden_STH[:rows], s.next_ST[:rows], s.valid_S[:rows], s.mtp_start_S[:rows])
            drafts = propose(network, *news, s.cache_NSGCW, params, uniform_RT3)
            tokens_RT = torch.cat((tokens_RT, drafts.tokens_RK), 1)
        hidden_RTH = network.forward(tokens_RT, s.start_S[:rows], s.cache_NSGCW)
        # Rows beyond the running ones only fill the products up.
        new_RT, count_R, log_probs_RT = (
            x[:running] for x in verify(network.logits(hidden_RTH), drafts, params, uniform_RT3)
        )
        self.work.steps += 1
        self.work.drafted += running * self.sampler.drafts
        self.work.accepted += int(count_R.sum()) - running if drafts else 0

        over_RT = (new_RT == self.eos) & (self.span_T < count_R[:, None])
        if drafts:
            count_R = torch.where(over_RT.any(1), over_RT.long().argmax(1) + 1, count_R)
            count_R = torch.minimum(count_R, s.limit_S[:running] - s.count_S[:running])
            over_RT &= self.span_T < count_R[:, None]
        s.record(new_RT, count_R, log_probs_RT, hidden_RTH[:running])
        over_R = over_RT.any(1)
        done_R = over_R | (s.count_S[:running] >= s.limit_S[:running])
        stopped = self._stopped(new_RT, count_R)
        if self.on_token is not None:
            self._tell(self.on_token, new_RT, count_R, stopped)
        if stopped or bool(done_R.any()):
            ended = set(stopped).union(done_R.nonzero()[:, 0].tolist())
            for slot in sorted(ended, reverse=True):
                self._finish(slot, stopped.get(slot), bool(over_R[slot]))

    def _stopped(self, new_RT: Tensor, count_R: Tensor) -> dict[int, int]:
        """Rows in which a stop string is complete, with their number of tokens at that place."""
        found: dict[int, int] = {}
        if self.stops is None:
            return found
        for slot in self.stops.suspects(new_RT, count_R):
            sampled = self.slots.tokens_SC[slot, : int(self.slots.count_S[slot])].tolist()
            length = self.stops.find(sampled, int(count_R[slot]))
            if length is not None:
                found[slot] = length
        return found

    def _tell(self, on_token: OnToken, new_RT: Tensor, count_R: Tensor, stopped: Mapping[int, int]) -> None:
        counts: list[int] = count_R.tolist()
        for slot, length in stopped.items():
            counts[slot] -= int(self.slots.count_S[slot]) - length
        for (i, j), tokens, count in zip(self.owners, new_RT.tolist(), counts, strict=True):
            for token in tokens[:count]:
                on_token(i, j, token)

    def _finish(self, slot: int, stopped: int | None, over: bool) -> None:
        s = self.slots
        count = int(s.count_S[slot]) if stopped is None else stopped
        tokens = tuple(s.tokens_SC[slot, :count].tolist())
        log_probs = tuple(s.log_probs_SC[slot, :count].tolist())
        if any(math.isnan(x) for x in log_probs):
            raise FloatingPointError("the model's logits are not finite: the weights hold NaN or infinity, or overflow")
        codec, text = self.sampler.tokenizer, b""
        if codec is not None:
            body = tokens[:-1] if tokens[-1] == codec.eos else tokens
            text = b"".join(bytes_of(codec, token) for token in body)
            text = self.stops.cut(text) if self.stops else text
        reason: Literal["stop", "length"] = "stop" if over or stopped is not None else "length"
        self.results[self.owners[slot]] = Completion(tokens, text.decode(errors="replace"), log_probs, reason)
        self.work.tokens += count
        s.remove(slot)
        self.owners[slot] = self.owners[-1]
        self.owners.pop()
