"""What a distillation step learns from: rows of a folder with the teacher's view of them, or the student's own answers.

Legend of shape suffixes: R rows, T tokens of a row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from model.data import Rows
from model.sample import Completion, LocalSampler, SamplingParams
from model.sample.pick import request_seed
from tasks.distill.config import Sampling
from tasks.distill.teacher import Teacher
from tasks.train.corpora import fraction
from tasks.train.packing import Document, Packer

Teach = Callable[[NDArray[np.int64], dict[str, Tensor]], dict[str, Tensor]]
"""From row indices and their batch to the teacher's columns."""
WINDOW_TOKENS = 1 << 40
"""A batch is packed as a whole."""


class Chat(NamedTuple):
    """A document of a row."""

    key: str
    """STEP/ROW/DOCUMENT: one draw of the student's."""
    question: list[int]
    answer: list[int]
    """The table's."""


class TaughtRows(Rows):
    """Rows as they lie in a folder, with the teacher's columns."""

    def __init__(self, folder: Path, teach: Teach) -> None:
        """Rows of `folder`; `teach` adds to every batch."""
        super().__init__(folder)
        self._teach = teach

    def take(self, indices: NDArray[np.int64]) -> dict[str, Tensor]:
        """Rows by index, see `Rows.take`."""
        batch = super().take(indices)
        return batch | self._teach(np.asarray(indices), batch)


class SampledRows(Rows):
    """Rows whose questions the student answers anew each time, packed again, with the teacher's columns."""

    def __init__(
        self, folder: Path, sampler: LocalSampler, student: Callable[[], Mapping[str, Tensor]], teacher: Teacher,
        options: Sampling, seed: int, multiple: int,
    ) -> None:  # fmt: skip
        """Questions of `folder`.

        Args:
            folder: of packed chats: what bears no loss at a document's beginning is its question.
            sampler: of the student's shape, with room for a row.
            student: its weights whenever a batch is taken, in Hugging Face form.
            teacher: reads the answers.
            options: how to sample.
            seed: of the draws, with step, row and document; ranks and micro batches change none.
            multiple: empty rows fill a batch up to a multiple of this.
        """
        super().__init__(folder)
        self.sampler, self.student, self.teacher = sampler, student, teacher
        self.options, self.seed, self.multiple = options, seed, multiple
        self.params = SamplingParams(temperature=options.temperature, max_tokens=options.max_tokens)
        self.step: Callable[[], int] = lambda: 0
        """Updates made so far."""
        self.measured: dict[str, float] = {}
        """Of this rank's last batch."""

    def take(self, indices: NDArray[np.int64]) -> dict[str, Tensor]:
        """The questions of these rows with new answers: as many rows as they fill."""
        started = time.perf_counter()
        chats = list(self._chats(np.asarray(indices)))
        answers = self._answers(chats)
        batch = self._packed(chats, answers)
        sampled = time.perf_counter()
        batch |= self.teacher.columns(batch)
        self.measured = {"seconds_sample": sampled - started, "seconds_teacher": time.perf_counter() - sampled}
        if answers:
            cut = sum(answer.finish == "length" for answer in answers.values())
            tokens = sum(len(answer.tokens) for answer in answers.values())
            self.measured |= {"response_tokens": tokens / len(answers), "cut_share": cut / len(answers)}
        return batch

    def _answers(self, chats: list[Chat]) -> dict[str, Completion]:
        """The student's answers to its share of the questions, by the chats' keys."""
        asked = [chat for chat in chats if fraction(self.seed, "student", chat.key) < self.options.share]
        if not asked:
            return {}
        self.sampler.load(self.student())
        seeds = [reduce(request_seed, map(int, chat.key.split("/")), self.seed) for chat in asked]
        groups = self.sampler.generate([chat.question for chat in asked], self.params, seeds=seeds)
        return {chat.key: group[0] for chat, group in zip(asked, groups, strict=True)}

    def _packed(self, chats: list[Chat], answers: Mapping[str, Completion]) -> dict[str, Tensor]:
        """The chats with the student's answers, or the table's where it has given none, as rows of the table's length.

        Raises:
            ValueError: there is no chat.
        """
        packer = Packer(row_tokens=self.row_tokens, window_tokens=WINDOW_TOKENS, packing="best_fit", pad=0)
        for chat in chats:
            answer = answers[chat.key].tokens if chat.key in answers else chat.answer
            tokens = np.array([*chat.question, *answer], np.int32)
            packer.add(Document(chat.key, "student", tokens, len(chat.question), 0.0))
        packed = packer.flush()
        if packed is None:
            raise ValueError("these rows hold no question")
        more = (0, 0, 0, -len(packed.tokens) % self.multiple)
        return {
            "tokens": pad(torch.from_numpy(packed.tokens).long(), more),
            "document": pad(torch.from_numpy(packed.document).long(), more, value=-1),
            "weight": pad(torch.from_numpy(packed.weight).float(), more),
        }

    def _chats(self, indices: NDArray[np.int64]) -> Iterator[Chat]:
        batch = super().take(indices)
        columns = (batch[name] for name in ("tokens", "document", "weight"))
        for index, tokens_T, document_T, weight_T in zip(indices.tolist(), *columns, strict=True):
            for number in range(int(document_T.max()) + 1):
                inside_T = document_T == number
                learned = (weight_T[inside_T] > 0).nonzero().flatten().tolist()
                if learned:
                    tokens = tokens_T[inside_T].tolist()
                    yield Chat(f"{self.step()}/{index}/{number}", tokens[: learned[0]], tokens[learned[0] :])
