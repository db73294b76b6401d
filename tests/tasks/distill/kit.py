"""A teacher and a student of tiny shapes with one tokenizer, chats as rows, and transformers' view of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.config import ModelConfig
from model.convert import load_folder, save_folder
from model.data import Rows
from model.losses import Distill
from model.tokenizer import Tokenizer
from model.train.config import AdamWOptions, ScheduleOptions, TrainConfig
from model.train.events import Events
from model.train.job import Folder
from tasks.distill.job import DistillJob
from tasks.distill.trainer import DistillTrainer, make_trainer
from tasks.train.chat_rows import Choice, export_chat_rows
from tests.model.sample_kit import hugging_face, random_state
from tests.model.shapes import DENSE, shape
from tests.tasks.curate.made import Notes
from tests.tasks.train.corpora_made import solutions, tokenizer_folder, view
from warehouse.tables import TableView

VOCABULARY, ROW_TOKENS = 400, 64
TEACHER = shape(vocab_size=VOCABULARY, max_positions=128)
STUDENT = shape(vocab_size=VOCABULARY, max_positions=128, tie_embeddings=True, **DENSE)


class Bench:
    """Everything on disk."""

    def __init__(self, folder: Path, problems: int = 40) -> None:
        self.folder = folder
        self.table: TableView = view(folder, "synthetic_corpus", solutions(problems, correct=True))
        self.tokenizer = tokenizer_folder(folder, {"synthetic_corpus": self.table})[0]
        self.teacher = self.save("teacher", TEACHER, seed=1, std=0.3)
        self.student = self.save("student", STUDENT, seed=2, std=0.05)
        choice = Choice(row_tokens=ROW_TOKENS, packing="best_fit", held_out_share=0.2, styles=(), share=1.0, seed=3)
        export_chat_rows(self.table, Tokenizer.load(self.tokenizer), {}, choice, folder / "rows", Notes())

    def save(self, name: str, config: ModelConfig, seed: int, std: float) -> Path:
        save_folder(self.folder / name, config, random_state(config, seed, std), tokenizer_folder=self.tokenizer)
        return self.folder / name

    def rows(self, split: str = "train") -> Rows:
        return Rows(self.folder / "rows" / split)

    def job(self, objective: Distill, steps: int = 4, **more: Any) -> DistillJob:
        config = TrainConfig(
            model=STUDENT, objective=objective, steps=steps, global_batch_rows=4, micro_batch_rows=2,
            optimizer=AdamWOptions(learning_rate=0.01, weight_decay=0.0), schedule=ScheduleOptions(shape="constant"),
            save_every_steps=1, evaluate_every_steps=steps, init_from=self.student,
        )  # fmt: skip
        rows = self.folder / "rows"
        fields = {"rows": rows / "train", "held_out": rows / "held_out", "tokenizer": self.student,
                  "teacher": self.teacher, "top_k": VOCABULARY}  # fmt: skip
        return DistillJob(config=config, **(fields | more))

    def trainer(self, root: Path, job: DistillJob, stop: bool = False) -> DistillTrainer:
        root.mkdir(parents=True, exist_ok=True)
        folder = Folder(root)
        return make_trainer(job, folder, Events(folder.events), lambda: stop)


def logits_of(model: Any, batch: dict[str, Tensor]) -> Iterator[tuple[int, int, Tensor]]:
    """(row, place, logits [V] of the token at that place) for every learned place, each document read alone."""
    for row, (tokens, document, weight) in enumerate(
        zip(batch["tokens"], batch["document"], batch["weight"], strict=True)
    ):
        for number in range(int(document.max()) + 1):
            places = (document == number).nonzero().flatten()
            logits = model(tokens[places][None]).logits[0]
            for before, place in enumerate(places[1:].tolist()):
                if weight[place] > 0:
                    yield row, place, logits[before]


def kl_on_held_out(bench: Bench, student: Path, scratch: Path, reverse: bool = False) -> float:
    """Mean KL(teacher ‖ student) over held-out rows' learned places, by transformers and the formula; or reversed."""
    batch = bench.rows("held_out").take(np.arange(len(bench.rows("held_out"))))
    with torch.no_grad():
        both = [
            torch.stack([logits for *_, logits in logits_of(hugging_face(*load_folder(path), scratch / name), batch)])
            for name, path in (("teacher", bench.teacher), ("student", student))
        ]
    of, to = (logits.double().log_softmax(-1) for logits in (reversed(both) if reverse else both))
    return float((of.exp() * (of - to)).sum(-1).mean())
