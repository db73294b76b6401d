"""The teacher's columns against transformers; kept ones against those worked out in turn; the loss from both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model.convert import load_folder
from model.losses import Distill, Hidden
from model.losses.places import predicted
from tasks.distill import teacher as module
from tasks.distill.teacher import BLOCK, IDS, LOG_PROBS, Kept, Teacher, keep
from tests.model.sample_kit import hugging_face
from tests.tasks.distill.kit import VOCABULARY, Bench, logits_of


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def test_the_likeliest_tokens_are_those_of_transformers(bench: Bench, tmp_path: Path) -> None:
    """Packed with others, in batches whose last is smaller: as if each document had been read alone."""
    batch = bench.rows().take(np.arange(5))
    columns = Teacher(bench.teacher, 7, temperature=2.0, micro_batch_rows=2).columns(batch)
    assert columns[IDS].shape == columns[LOG_PROBS].shape == (*batch["tokens"].shape, 7)
    theirs = hugging_face(*load_folder(bench.teacher), tmp_path / "hf")
    seen = 0
    with torch.no_grad():
        for row, place, logits in logits_of(theirs, batch):
            want, ids = (logits / 2).log_softmax(-1).topk(7)
            torch.testing.assert_close(columns[LOG_PROBS][row, place], want, atol=2e-5, rtol=0)
            assert columns[IDS][row, place].tolist() == ids.tolist()
            seen += 1
    assert seen == int((batch["weight"] > 0).sum()) > 50


@pytest.mark.parametrize("top_k", [5, 10 * VOCABULARY])
def test_what_is_kept_is_what_would_be_said(
    bench: Bench, tmp_path: Path, top_k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK_ROWS", 3)
    rows, teacher = bench.rows(), Teacher(bench.teacher, top_k, temperature=1.0, micro_batch_rows=2)
    keep(tmp_path, rows, teacher)
    kept = Kept(tmp_path, rows)
    indices = np.array([4, 0, len(rows) - 1, 4])
    batch = rows.take(indices)
    place_N = predicted(batch).label_N
    found, wanted = kept.columns(indices, batch), teacher.columns(batch)
    assert torch.equal(found[IDS].flatten(0, 1)[place_N], wanted[IDS].flatten(0, 1)[place_N])
    values = [columns[LOG_PROBS].flatten(0, 1)[place_N] for columns in (found, wanted)]
    torch.testing.assert_close(*values, atol=1e-6, rtol=2e-6)
    k = min(top_k, VOCABULARY)
    assert kept.places == int((rows.take(np.arange(len(rows)))["weight"] > 0).sum())
    assert 8 * k <= kept.bytes_per_place <= 8 * k + 400 * 3 / 10, "8 bytes a token, and headers"


def test_a_second_reading_goes_on_where_the_first_was_killed(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK_ROWS", 4)
    rows, teacher = bench.rows(), Teacher(bench.teacher, 5, temperature=1.0, micro_batch_rows=4)
    keep(tmp_path, rows, teacher)
    paths = sorted(tmp_path.glob("top-*"))
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}
    assert len(before) == -(-len(rows) // 4) > 2
    (tmp_path / BLOCK.format(1)).unlink()
    with pytest.raises(ValueError, match="lacks top-00001"):
        Kept(tmp_path, rows)
    keep(tmp_path, rows, teacher)
    for path in paths:
        content, written = before[path.name]
        assert path.read_bytes() == content
        assert (path.stat().st_mtime_ns == written) == (path.name != BLOCK.format(1))


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl"])
def test_with_the_whole_vocabulary_the_stored_loss_is_the_formula(bench: Bench, tmp_path: Path, kind: str) -> None:
    """Kept columns and a student's logits → value and gradient, against both sides' logits and the formula."""
    indices = np.array([2, 0, 3])
    batch = bench.rows().take(indices)
    teacher = Teacher(bench.teacher, VOCABULARY, temperature=1.5, micro_batch_rows=4)
    keep(tmp_path, bench.rows(), teacher)
    batch |= Kept(tmp_path, bench.rows()).columns(indices, batch)
    rows, row_tokens = batch["tokens"].shape
    hidden = torch.randn(rows, row_tokens, 16, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    head = torch.randn(VOCABULARY, 16, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    hidden.requires_grad_(), head.requires_grad_()
    loss = Distill(divergence=kind, temperature=1.5).loss(Hidden(hidden), head, batch)
    places = predicted(batch)
    q = (hidden.flatten(0, 1)[places.hidden_N] @ head.T / 1.5).log_softmax(-1)
    with torch.no_grad():
        theirs = teacher.model(batch["tokens"], batch["document"]).main_BTH.flatten(0, 1)[places.hidden_N]
        p = (theirs @ teacher.model.head_weight().T / 1.5).double().log_softmax(-1)
    a, b = (p, q) if kind == "forward_kl" else (q, p)
    want = (a.exp() * (a - b)).sum()
    assert float(loss.count) == len(places.label_N)
    assert float(loss.total) / float(loss.count) == pytest.approx(float(want) / float(loss.count), abs=1e-6)
    got = torch.autograd.grad(loss.total, (hidden, head))
    for mine, other in zip(got, torch.autograd.grad(want, (hidden, head)), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-5)
