"""Any model behind one question: our sampler on a Hugging Face folder, or a server that speaks OpenAI's protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from model.convert import load_shape
from model.sample import Completion, SamplingParams, ServerSampler
from model.tokenizer import Message, Tokenizer
from tasks.curate.sample_chains import Opened, sample_chains
from tasks.stage import Report

Conversation = Sequence[Message]
Answers = list[Completion] | None
"""Samples of one conversation; None where the prompt alone fills the model's positions."""


class Asker(Protocol):
    """Something that answers conversations."""

    def ask(
        self, conversations: Sequence[Conversation], params: SamplingParams, n: int, seeds: Sequence[int]
    ) -> list[Answers]:
        """`n` samples of every conversation; `seeds` has one for each."""
        ...


class FolderAsker:
    """A model in a folder, with Rigor's own tokenizer."""

    def __init__(self, folder: Path, max_rows: int, workers: int, report: Report) -> None:
        """Look at it; `max_rows` requests run at once in each of `workers` processes, and change no sample.

        Raises:
            ValueError: the folder's tokenizer is of another kind, or its shape no model of Rigor's.
        """
        try:
            self.tokenizer = Tokenizer.load(folder)
        except ValueError as error:
            raise ValueError(
                f"{error}. Serve such a model (vLLM, SGLang) and name it as http://host/v1#model"
            ) from error
        self._positions = load_shape(folder).max_positions
        self._folder, self._max_rows, self._workers, self._report = folder, max_rows, workers, report
        self._opened = Opened()

    def ask(
        self, conversations: Sequence[Conversation], params: SamplingParams, n: int, seeds: Sequence[int]
    ) -> list[Answers]:
        """See `Asker`."""
        prompts = [self.tokenizer.chat(messages, add_generation_prompt=True) for messages in conversations]
        fits = [index for index, prompt in enumerate(prompts) if len(prompt) < self._positions]
        made = sample_chains(
            self._folder, [prompts[i] for i in fits], params, n, [seeds[i] for i in fits], self._workers, self._report,
            max_rows=self._max_rows, opened=self._opened,
        )  # fmt: skip
        found: list[Answers] = [None] * len(prompts)
        for index, samples in zip(fits, made, strict=True):
            found[index] = samples
        return found


class ServerAsker:
    """A model on a server; its own chat template applies."""

    def __init__(self, url: str, model: str, api_key_env: str | None, *, texts_only: bool = False) -> None:
        """Remember where it is (see `ServerSampler`)."""
        self.sampler = ServerSampler(url, model, api_key_env or None, texts_only=texts_only)

    def ask(
        self, conversations: Sequence[Conversation], params: SamplingParams, n: int, seeds: Sequence[int]
    ) -> list[Answers]:
        """See `Asker`."""
        texts = [[{"role": str(m["role"]), "content": m["content"]} for m in messages] for messages in conversations]
        return list(self.sampler.chat(texts, params, n, seeds))
