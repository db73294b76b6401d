"""The trainer in this process: teacher kept or asked each time, stopped and resumed, and its refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from model.convert import to_hf
from model.losses import Distill, NextToken
from tasks.distill.config import Sampling
from tasks.distill.job import DistillJob
from tests.tasks.distill.kit import Bench

SAMPLING = Sampling(max_tokens=6)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"), problems=16)


def weights(bench: Bench, root: Path, job: DistillJob, in_pieces: bool = False) -> dict[str, Tensor]:
    trainer = bench.trainer(root, job, stop=in_pieces)
    while not trainer.run():
        trainer = bench.trainer(root, job, stop=True)
    return {name: tensor.clone() for name, tensor in to_hf(trainer.model).items()}


def curve(root: Path, name: str) -> list[float]:
    events = [json.loads(line) for line in (root / "events.jsonl").read_text().splitlines()]
    return [e["values"][name] for e in events if e["kind"] == "metrics" and name in e["values"]]


def test_kept_or_asked_each_time_the_teacher_teaches_the_same(bench: Bench, tmp_path: Path) -> None:
    objective = Distill(divergence="reverse_kl", temperature=2.0)
    asked = weights(bench, tmp_path / "asked", bench.job(objective, top_k=30))
    kept = weights(bench, tmp_path / "kept", bench.job(objective, top_k=30, kept=tmp_path / "logits"))
    for name, tensor in asked.items():
        torch.testing.assert_close(kept[name], tensor, atol=1e-5, rtol=0)
    losses = [curve(tmp_path / name, "held_out_loss") for name in ("asked", "kept")]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert losses[0][-1] < losses[0][0]
    assert 240 <= curve(tmp_path / "kept", "teacher_bytes_per_token.train")[0] < 300


@pytest.mark.parametrize("sampling", [None, SAMPLING], ids=["kept", "own answers"])
def test_stopped_at_every_step_it_comes_to_the_same_end(
    bench: Bench, tmp_path: Path, sampling: Sampling | None
) -> None:
    job = bench.job(Distill(divergence="reverse_kl"), steps=3, sampling=sampling)
    whole = weights(bench, tmp_path / "whole", job)
    pieces = weights(bench, tmp_path / "pieces", job, in_pieces=True)
    assert all(torch.equal(tensor, whole[name]) for name, tensor in pieces.items())
    measured = curve(tmp_path / "whole", "response_tokens")
    assert len(measured) == (3 if sampling else 0)
    assert all(0 < length <= 6 for length in measured)


def test_another_objective_is_refused(bench: Bench, tmp_path: Path) -> None:
    job = bench.job(Distill())
    config = job.config.model_copy(update={"objective": NextToken()})
    with pytest.raises(ValueError, match="not 'next_token'"):
        bench.trainer(tmp_path, job.model_copy(update={"config": config}))
