"""The control: reinforcement takes a dense student with shared key-value heads, biases and a tied head as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model.build import build
from model.convert import from_hf, load_folder
from model.train.events import Events
from tasks.rl.job import RlJob
from tasks.rl.loop import Reinforcer
from tests.tasks.distill.kit import Bench
from tests.tasks.rl.kit import config_of, curve, make_problems, weights_of


def longest_is_best(_: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
    return np.array([float(len(text)) for text in responses])


def test_a_dense_student_is_reinforced(tmp_path: Path) -> None:
    policy = Bench(tmp_path, problems=8).student
    files = {name: make_problems(tmp_path / f"{name}.parquet", policy, 6) for name in ("problems", "held_out")}
    shape, state = load_folder(policy)
    job = RlJob(config=config_of(algorithm={"base": "grpo", "kl_weight": 0.1}), name="rigor-distill-large-rl",
                model=shape, policy=policy, rollouts=tmp_path / "rollouts", **files)  # fmt: skip
    model = build(shape)
    from_hf(model, state)
    before = weights_of(model)
    made = Reinforcer(job, model, tmp_path, Events(tmp_path / "events.jsonl"), lambda: False, {"test": longest_is_best})
    assert made.run()
    after = weights_of(model)
    assert max(curve(tmp_path, "sampler_gap_max")) < 1e-4
    assert not curve(tmp_path, "router_mismatch")
    assert "lm_head.weight" not in after, "tied"
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert {"model.embed_tokens.weight", "model.layers.0.self_attn.k_proj.bias"} <= changed
