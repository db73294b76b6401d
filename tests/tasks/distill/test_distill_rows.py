"""On-policy rows: the student's own answers to the table's questions, and the gradient that they teach by."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from model.build import build
from model.convert import from_hf, load_folder
from model.losses import Distill, Hidden
from model.tokenizer import Tokenizer
from tasks.distill.config import Sampling
from tasks.distill.rows import SampledRows
from tasks.distill.teacher import IDS, LOG_PROBS, Teacher, Top
from tasks.distill.trainer import sampled
from tests.model.sample_kit import hugging_face
from tests.tasks.distill.kit import ROW_TOKENS, VOCABULARY, Bench, logits_of

REVERSE = Distill(divergence="reverse_kl")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def teacher(bench: Bench) -> Teacher:
    return Teacher(bench.teacher, VOCABULARY, temperature=1.0, micro_batch_rows=2)


def rows_of(bench: Bench, teacher: Teacher, **options: float) -> SampledRows:
    config, state = load_folder(bench.student)
    student = build(config)
    from_hf(student, state)
    sampling = Sampling.model_validate({"max_tokens": 8, **options})
    return sampled(bench.job(REVERSE, sampling=sampling), student, teacher)


def chats(bench: Bench, batch: dict[str, Tensor]) -> dict[str, list[int]]:
    """Question → the answers' tokens, of which there may be several alike."""
    tokenizer, found = Tokenizer.load(bench.tokenizer), {}
    for tokens, document, weight in zip(batch["tokens"], batch["document"], batch["weight"], strict=True):
        for number in range(int(document.max()) + 1):
            inside = document == number
            question = tokenizer.decode(tokens[inside & (weight == 0)].tolist())
            found.setdefault(question, []).append(tuple(tokens[inside & (weight > 0)].tolist()))
    return {question: sorted(answers) for question, answers in found.items()}


def test_the_gradient_of_one_place_is_worked_by_hand() -> None:
    """Student (1/2, 1/4, 1/4), teacher (1/4, 1/2, 1/4): KL = ln 2 / 4, and d KL / d z = q (ln q/p - KL)."""
    logits = torch.tensor([[[0.5, 0.25, 0.25], [0.0, 0.0, 0.0]]], dtype=torch.float64).log().nan_to_num(neginf=0.0)
    logits.requires_grad_()
    batch = {"tokens": torch.tensor([[1, 2]]), "document": torch.zeros(1, 2, dtype=torch.int64),
             "weight": torch.tensor([[0.0, 1.0]])}  # fmt: skip
    top = Top(torch.tensor([1]), torch.tensor([[1, 0, 2]]), torch.tensor([[0.5, 0.25, 0.25]]).log())
    loss = REVERSE.loss(Hidden(logits), torch.eye(3, dtype=torch.float64), batch | top.columns(1, 2))
    loss.total.backward()
    assert loss.total.item() == pytest.approx(math.log(2) / 4, abs=1e-7)
    want = torch.tensor([0.375, -0.3125, -0.0625], dtype=torch.float64) * math.log(2)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[0, 0], want, atol=1e-7, rtol=0)
    assert not logits.grad[0, 1].any()


def test_the_student_answers_the_tables_questions_and_learns_from_the_teacher(
    bench: Bench, teacher: Teacher, tmp_path: Path
) -> None:
    """Loss and gradient on sampled rows against transformers' logits of each chat read alone, written out."""
    rows = rows_of(bench, teacher)
    table = chats(bench, bench.rows().take(np.arange(4)))
    batch = rows.take(np.arange(4))
    own = chats(bench, batch)
    assert {question: len(answers) for question, answers in own.items()} == {q: len(a) for q, a in table.items()}
    lengths = [len(answer) for answers in own.values() for answer in answers]
    assert own != table
    assert 0 < max(lengths) <= 8
    assert rows.measured["response_tokens"] == pytest.approx(np.mean(lengths))
    assert batch["tokens"].shape[1] == ROW_TOKENS
    assert batch["tokens"].shape[0] % 2 == 0, "whole micro batches"

    config, state = load_folder(bench.student)
    student = build(config)
    from_hf(student, state)
    student.train(True)
    loss = REVERSE.loss(student(batch["tokens"], batch["document"]), student.head_weight(), batch)
    loss.total.backward()
    theirs = hugging_face(config, state, tmp_path / "student")
    with torch.no_grad():
        teachers = hugging_face(*load_folder(bench.teacher), tmp_path / "teacher")
        p = {(row, place): logits.log_softmax(-1) for row, place, logits in logits_of(teachers, batch)}
    total = torch.zeros(())
    for row, place, logits in logits_of(theirs, batch):
        q = logits.log_softmax(-1)
        total = total + (q.exp() * (q - p[row, place])).sum()
    total.backward()
    assert float(loss.count) == len(p) == sum(lengths)
    assert float(loss.total) == pytest.approx(float(total), rel=1e-5)
    mine = student.embedding.word_embeddings.weight.grad
    assert mine is not None
    torch.testing.assert_close(mine, theirs.get_input_embeddings().weight.grad, atol=2e-4, rtol=1e-3)


def test_answers_depend_on_seed_step_and_question_alone(bench: Bench, teacher: Teacher) -> None:
    rows = rows_of(bench, teacher)
    once, again = (chats(bench, rows.take(np.arange(4))) for _ in range(2))
    assert once == again
    parts = [chats(bench, rows.take(np.array(indices))) for indices in ([2, 0], [3, 1])]
    joined = {q: sorted(parts[0].get(q, []) + parts[1].get(q, [])) for q in parts[0] | parts[1]}
    assert joined == once, "whichever rank asks, in whichever order"
    rows.step = lambda: 1
    assert chats(bench, rows.take(np.arange(4))) != once


def test_a_share_of_the_answers_stays_the_tables(bench: Bench, teacher: Teacher) -> None:
    table = chats(bench, bench.rows().take(np.arange(8)))
    found = chats(bench, rows_of(bench, teacher, share=0.5).take(np.arange(8)))
    kept = sum(len(set(found[q]) & set(answers)) for q, answers in table.items())
    assert 0.25 < kept / sum(map(len, table.values())) < 0.75
    batch = rows_of(bench, teacher, share=1e-9).take(np.arange(8))
    assert chats(bench, batch) == table
    assert {IDS, LOG_PROBS} <= batch.keys()
