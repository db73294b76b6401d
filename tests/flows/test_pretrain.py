"""The pre-training flow through the real runner, and Megatron, small: it learns, resumes and is traceable."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from flows import models
from flows.config import load_config
from flows.pretrain import PretrainFlowConfig, pretrain
from flows.runner import ON_CALL, Call, Runner
from flows.settings import Settings
from flows.synthesize import SynthesizeConfig, synthesize
from model.build import build
from model.convert import from_hf, load_folder
from warehouse.lineage import Lineage
from warehouse.walk import Walk

CORPUS = ["make_problems.per_cell=6", "make_problems.gym_per_cell=1", "make_problems.weights={code_functions=0.0}"]
SMALL = [
    "train_tokenizer.vocab_size=512", "pack_tokens.row_tokens=64", "pack_tokens.held_out_share=0.05",
    'pretrain.model={preset="laptop", vocab_size=512, hidden_size=32, layers=2, ffn_size=64, moe={expert_ffn_size=16}}',
    "pretrain.recipe.tokens=49_152", "pretrain.recipe.batch_rows=8", "pretrain.recipe.looks=4",
    "pretrain.recipe.optimizer.learning_rate=0.01", "pretrain.prompt_tokens=8",
]  # fmt: skip
STEPS = 49_152 // (8 * 64)


def run(changes: list[str]) -> list[Call]:
    calls: list[Call] = []
    token = ON_CALL.set(calls.append)
    try:
        pretrain(load_config(PretrainFlowConfig, "pretrain", "laptop", changes))
    finally:
        ON_CALL.reset(token)
    return calls


@pytest.fixture
def corpus(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("RIGOR_LAYOUT", '{"ranks": 2}')
    synthesize(load_config(SynthesizeConfig, "synthesize", "laptop", CORPUS))
    return home


def test_a_base_model_learns_is_registered_and_leads_back_to_problems(corpus: Settings) -> None:
    calls = run(SMALL)
    assert [(c.stage, c.state) for c in calls] == [
        ("train_tokenizer", "done"), ("pack_tokens", "done"), ("pretrain", "done"),
    ]  # fmt: skip
    assert {c.state for c in run(SMALL)} == {"cached"}
    tables, base = Runner(corpus).tables, calls[-1].ref
    assert base is not None
    assert base.name == "rigor-base"

    client = mlflow.MlflowClient()
    made = client.get_run(Lineage(tables).call_of(base)["mlflow_run"])
    held_out = [point.value for point in client.get_metric_history(made.info.run_id, "held_out_next_token")]
    assert len(held_out) == 5, "before the first step and at four looks"
    assert held_out[0] == pytest.approx(torch.log(torch.tensor(512.0)).item(), rel=0.05), (
        "fresh weights guess nearly evenly"
    )
    assert held_out[-1] < 0.75 * held_out[0], held_out
    assert made.data.metrics["held_out_loss_drop"] == pytest.approx(1 - held_out[-1] / held_out[0])
    for name in (
        "next_token",
        "mtp_1",
        "router_violation_max",
        "load.layer_000.expert_007",
        "load.layer_001.expert_000",
    ):
        assert len(client.get_metric_history(made.info.run_id, name)) == STEPS, name
    shares = [made.data.metrics[f"load.layer_000.expert_{n:03d}"] for n in range(8)]
    assert sum(shares) == pytest.approx(1, abs=1e-4)
    assert {f.path for f in client.list_artifacts(made.info.run_id, "figures")} >= {"figures/loss.png"}
    assert client.get_model_version("rigor-base", str(base.version)).tags["fingerprint"] == base.fingerprint

    packed = tables.view("tokens").scan().filter(pl.col("split") == "train").head(1).collect()
    assert [row.artifact.split("@")[0] for row in Walk(Lineage(tables)).trace(packed["id"][0]).rows()][:2] == [
        "tokens", "synthetic_corpus",
    ]  # fmt: skip


def test_the_registered_folder_is_a_hugging_face_model_with_the_same_logits(corpus: Settings, tmp_path: Path) -> None:
    base = run([*SMALL, "pretrain.recipe.tokens=4096", "pretrain.prompts=[]"])[-1].ref
    assert base is not None
    with pytest.raises(ValueError, match="more than the model's 1,024 positions"):  # before, not after the training
        run([*SMALL, "pretrain.prompt_tokens=1024"])
    folder = models.fetch(base, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokens_BT = torch.tensor([AutoTokenizer.from_pretrained(folder)("Compute 3 + 4 + 5.")["input_ids"]])
    shape, state = load_folder(folder)
    ours = build(shape)
    from_hf(ours, state)
    with torch.no_grad():
        hidden = ours.eval()(tokens_BT, torch.zeros_like(tokens_BT))
        logits_BTV = hidden.main_BTH @ ours.head_weight().t()
        assert (logits_BTV - theirs(tokens_BT).logits).abs().max() < 1e-4


@pytest.mark.slow
def test_a_flow_killed_in_training_goes_on_to_the_same_weights(corpus: Settings) -> None:
    """SIGKILL of the whole `rigor run`, then the same command: same digest as an uninterrupted run."""
    changes = [*SMALL, "pretrain.recipe.looks=12"]
    command = [sys.executable, "-m", "flows.cli", "run", "pretrain"]
    command += [part for change in changes for part in ("--set", change)]
    child = subprocess.Popen(command, env={**os.environ, "RIGOR_HOME": str(corpus.home)}, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    saved = Path(corpus.home) / "work"
    deadline = time.monotonic() + 300
    while not list(saved.glob("*/checkpoints/step-*[0-9]")):
        assert child.poll() is None, "ended before the first checkpoint"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    (checkpoint,) = sorted(saved.glob("*/checkpoints/step-*[0-9]"))[-1:]
    timed = [e for line in (checkpoint.parents[1] / "events.jsonl").read_text().splitlines()
             if "tokens_per_second" in (e := json.loads(line)).get("values", {})]  # fmt: skip
    before = {e["step"]: e["values"]["tokens_per_second"] for e in timed if e["step"] <= int(checkpoint.name[5:])}
    resumed = run(changes)[-1].ref
    assert resumed is not None
    curve = mlflow.MlflowClient().get_metric_history(
        Lineage(Runner(corpus).tables).call_of(resumed)["mlflow_run"], "tokens_per_second"
    )
    assert len(curve) == STEPS
    assert before
    assert before.items() <= {point.step: point.value for point in curve}.items(), "the killed one's steps, not again"
    uninterrupted = run([*changes, "pretrain.recipe.looks=6"])[-1].ref  # another fingerprint, the same training
    assert uninterrupted is not None
    assert uninterrupted.version != resumed.version
    assert uninterrupted.digest == resumed.digest
