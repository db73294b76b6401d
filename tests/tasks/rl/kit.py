"""A tiny policy with a tokenizer, small problems, and reinforcements of them in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import torch

from model.build import RigorModel, build
from model.convert import from_hf, load_folder, save_folder, to_hf
from model.tokenizer import Tokenizer
from model.train.events import Events
from tasks.rl.config import ReinforceConfig
from tasks.rl.grading import Judge
from tasks.rl.job import RlJob
from tasks.rl.loop import Reinforcer
from tasks.stage import RejectedRow
from tasks.train.corpora import lay_out_question
from tests.model.shapes import shape

TEXTS = ["1 + 2 = 3 <think> Verify: 3 - 2 = 1", "4 + 5 = 9", "check the answer 12 again"]


def make_policy(folder: Path) -> Path:
    """A model folder with fresh weights and a tokenizer of 300 ids."""
    tokenizer = Tokenizer.train(TEXTS * 3, 300)
    tokenizer.save(folder / "tokenizer")
    config = shape(vocab_size=300, max_positions=256)
    save_folder(folder / "policy", config, to_hf(build(config, seed=1)), tokenizer_folder=folder / "tokenizer")
    return folder / "policy"


def make_problems(path: Path, policy: Path, count: int) -> Path:
    """A file of sums in two families."""
    tokenizer = Tokenizer.load(policy)
    rows: list[dict[str, Any]] = [
        {
            "id": f"{i:032x}", "family": ("sums", "pairs")[i % 2], "level": 1 + i % 3, "language": "en",
            "category": "math", "prompt": f"{i} + {i} =", "gold": str(2 * i), "checker": "math", "tests": "",
        }
        for i in range(count)
    ]  # fmt: skip
    tokens = tokenizer.encode_parts([lay_out_question(row["prompt"], "turns") for row in rows])
    pl.DataFrame(rows).with_columns(pl.Series("tokens", tokens, pl.List(pl.Int64))).write_parquet(path)
    return path


def config_of(**changes: Any) -> ReinforceConfig:
    """Three steps of four questions with four short answers each, rewarded by a judge `test` alone."""
    fields: dict[str, Any] = {
        "steps": 3, "questions_per_step": 4, "samples": 4, "max_tokens": 6, "save_every_steps": 1,
        "algorithm": "dapo", "optimizer": {"learning_rate": 0.01, "weight_decay": 0.0, "clip_norm": 1e9},
        "rewards": {"accuracy": 0, "format": 0, "judges": {"test": 1.0}}, "held_out": {"problems": 6, "every_steps": 2},
    }  # fmt: skip
    return ReinforceConfig.model_validate(fields | changes)


class Bench:
    """A policy and problems on disk."""

    def __init__(self, folder: Path, count: int = 12) -> None:
        self.folder = folder
        self.policy = make_policy(folder)
        self.problems = make_problems(folder / "problems.parquet", self.policy, count)
        self.held_out = make_problems(folder / "held_out.parquet", self.policy, 6)

    def job(self, root: Path, config: ReinforceConfig, **more: Any) -> RlJob:
        return RlJob(config=config, name="rigor-test", model=load_folder(self.policy)[0], policy=self.policy,
                     problems=self.problems, held_out=self.held_out, rollouts=root / "rollouts", **more)  # fmt: skip

    def model(self) -> RigorModel:
        config, state = load_folder(self.policy)
        model = build(config)
        from_hf(model, state)
        return model

    def reinforcer(
        self, root: Path, config: ReinforceConfig, judge: Judge, stop: Callable[[], bool] = lambda: False, **more: Any
    ) -> Reinforcer:
        root.mkdir(parents=True, exist_ok=True)
        events = Events(root / "events.jsonl")
        return Reinforcer(self.job(root, config, **more), self.model(), root, events, stop, {"test": judge})


def events_of(root: Path, kind: str) -> list[dict[str, Any]]:
    """What was said."""
    return [e for line in (root / "events.jsonl").read_text().splitlines() if (e := json.loads(line))["kind"] == kind]


def curve(root: Path, name: str) -> list[float]:
    """A metric over the steps."""
    return [e["values"][name] for e in events_of(root, "metrics") if name in e["values"]]


def weights_of(model: RigorModel) -> Mapping[str, torch.Tensor]:
    """Copies."""
    return {name: tensor.clone() for name, tensor in to_hf(model).items()}


class Listener:
    """A report that remembers curves and rejects."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.curves: dict[str, dict[int, float]] = {}
        self.figures: list[str] = []
        self.tables: dict[str, pl.DataFrame] = {}
        self.rejected: list[RejectedRow] = []
        self.warnings: list[str] = []
        self.read = 0

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        self.values[name] = value

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self.curves.setdefault(name, {})[step] = value

    def progress(self, done: int, total: int, unit: str = "rows") -> None:
        assert done <= total

    def figure(self, name: str, figure: Any) -> None:
        self.figures.append(name)

    def table(self, name: str, frame: pl.DataFrame) -> None:
        self.tables[name] = frame

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def rows_in(self, count: int) -> None:
        self.read += count

    def cpu_seconds(self, seconds: float) -> None:
        pass

    def reject(self, rows: Iterable[RejectedRow]) -> None:
        self.rejected += rows
