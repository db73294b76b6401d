"""What every training stage asks for in its config, and how it runs: processes of its own, told of live.

Layout and micro batch come from the machine (`Inputs.layout`): they change no result beyond rounding, so they are no
part of a fingerprint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
from matplotlib.figure import Figure
from pydantic import BeforeValidator, Field

from model.config import ModelConfig, preset
from model.layout import Parallel
from model.losses import AnyObjective
from model.train.config import AdamWOptions, GuardOptions, ScheduleOptions, TrainConfig, TwoPhase
from model.train.events import Event, Follower
from model.train.job import Folder
from model.train.launch import launch
from tasks.stage import Inputs, Report, StageConfig, over


def _named(value: Any) -> Any:
    """A preset's name, or a table with `preset` and what differs from it."""
    if isinstance(value, str):
        return preset(value)
    if isinstance(value, Mapping) and "preset" in value:
        changes = {key: item for key, item in value.items() if key != "preset"}
        return over(preset(str(value["preset"])), changes)
    return value


ModelShape = Annotated[ModelConfig, BeforeValidator(_named)]
"""A shape: a preset's name, `{preset = "laptop", layers = 6}`, or all of it."""


class Recipe(StageConfig):
    """How long and how fast to learn; what DeepSeek-V3 did is in recipes and in `model.train.config`'s defaults."""

    tokens: int = Field(1_000_000, ge=1)
    """Tokens to train on, padding included; rounded up to whole updates."""
    batch_rows: int = Field(32, ge=1, le=1_000_000)
    """Rows of one update."""
    optimizer: AdamWOptions = AdamWOptions()
    schedule: ScheduleOptions = ScheduleOptions()
    """Its warm-up takes a fifth of the steps at most."""
    mtp_weight: TwoPhase = TwoPhase(first=0.3, then=0.1, change_at=0.67)
    """λ of the multi-token prediction loss."""
    bias_rate: TwoPhase = TwoPhase(first=0.001, then=0.0, change_at=0.97)
    """γ, by which the experts' biases move."""
    balance: float = Field(1e-4, ge=0, le=1)
    """α of the sequence-wise balance loss."""
    guard: GuardOptions = GuardOptions()
    seed: int = Field(0, ge=0, lt=2**31)
    looks: int = Field(12, ge=1, le=1000)
    """How often held-out loss is measured and a checkpoint saved."""

    def steps(self, row_tokens: int) -> int:
        """Updates that `tokens` come to."""
        return -(-self.tokens // (self.batch_rows * row_tokens))


def ranks(layout: Mapping[str, int], batch_rows: int) -> int:
    """Processes to train with: as the layout says, else one a GPU, or one a core as far as the batch and what the model
    is cut over divide.

    Raises:
        ValueError: there are fewer cores than the model is cut over.
    """
    if layout.get("ranks"):
        return layout["ranks"]
    if torch.cuda.is_available():
        return torch.cuda.device_count()
    cores, share = layout["cores"], _share(layout)
    experts = layout.get("expert", 1) * layout.get("pipeline", 1)
    for count in range(cores, 0, -1):
        if count % share == 0 and count % experts == 0 and batch_rows % (count // share) == 0:
            return count
    raise ValueError(f"no number of processes up to {cores} cores fits the layout {dict(layout)} and {batch_rows} rows")


def _share(layout: Mapping[str, int]) -> int:
    """Processes over which one model is cut."""
    return math.prod(layout.get(name, 1) for name in ("tensor", "pipeline", "context"))


def train_config(
    recipe: Recipe, shape: ModelConfig, objective: AnyObjective, row_tokens: int, layout: Mapping[str, int], **more: Any
) -> TrainConfig:
    """The child's config: the recipe's, laid over this machine.

    Raises:
        ValueError: an update's rows do not divide over the machine's processes.
    """
    parallel = Parallel(**{k: layout[k] for k in ("tensor", "pipeline", "expert", "context") if k in layout})
    world = ranks(layout, recipe.batch_rows)
    own_rows, rest = divmod(recipe.batch_rows * _share(layout), world)
    if rest or not own_rows:
        raise ValueError(
            f"batch_rows: {recipe.batch_rows} rows do not divide over the {world} processes of the layout"
            f" {dict(layout)}: ask for more rows, or for fewer `ranks` in RIGOR_LAYOUT"
        )
    micro = layout.get("micro_batch_rows") or next(n for n in range(min(own_rows, 16), 0, -1) if own_rows % n == 0)
    steps = recipe.steps(row_tokens)
    every = max(1, -(-steps // recipe.looks))
    return TrainConfig(
        model=shape,
        parallel=parallel,
        objective=objective,
        steps=steps,
        global_batch_rows=recipe.batch_rows,
        micro_batch_rows=micro,
        optimizer=recipe.optimizer,
        schedule=recipe.schedule.model_copy(update={"warmup_steps": min(recipe.schedule.warmup_steps, steps // 5)}),
        mtp_weight=recipe.mtp_weight,
        bias_rate=recipe.bias_rate,
        balance=recipe.balance,
        dtype="bf16" if torch.cuda.is_available() else "fp32",
        seed=recipe.seed,
        save_every_steps=every,
        evaluate_every_steps=every,
        log_every_steps=max(1, steps // 200),
        guard=recipe.guard,
        **more,
    )


Curves = dict[str, list[tuple[int, float]]]
"""Metric → (step, value)."""


def train(
    config: TrainConfig, rows: Path, held_out: Path | None, inputs: Inputs, report: Report, **given: Any
) -> tuple[Path, Curves]:
    """Run a training in `inputs.work`, where a killed one goes on.

    Args:
        config: as `train_config` lays it out.
        rows: as `model.data.write_rows` leaves them.
        held_out: rows to measure on.
        inputs: of the stage.
        report: hears everything live.
        given: `tokenizer` folder and `card` of the exported model.

    Returns:
        The exported Hugging Face folder, and the curves.
    """
    curves: Curves = {}
    count = ranks(inputs.layout, config.global_batch_rows)
    heard = partial(pass_on, report, curves, inputs.work)
    return launch(config, rows, held_out, inputs.work, count, heard, **given), curves


def pass_on(report: Report, curves: Curves, training: Path, event: Event) -> None:
    """Tell `report` what a child said (see `model.train.events`), and keep its metrics in `curves`.

    A child that goes on where a killed one was begins with that one's metrics: else a gain would be measured from the
    middle, and the curves of the new run would lack their beginning.
    """
    kind = event["kind"]
    if kind == "started" and event["step"]:
        curves.clear()
        for earlier in _before(Folder(training).events):
            pass_on(report, curves, training, earlier)
    elif kind == "metrics":
        values = {name: value for name, value in event["values"].items() if value is not None}
        for name, value in values.items():
            curves.setdefault(name, []).append((event["step"], value))
        report.metrics(values, event["step"])
    elif kind == "router":
        loads = {
            f"load.layer_{layer:03d}.expert_{expert:03d}": share
            for layer, shares in enumerate(event["share"])
            for expert, share in enumerate(shares)
        }
        report.metrics(loads, event["step"])
    elif kind == "progress":
        report.progress(event["done"], event["total"], "steps")
    elif kind == "warning":
        report.warn(event["text"])
    elif kind == "used":
        report.cpu_seconds(event["cpu_seconds"])


def _before(events: Path) -> list[Event]:
    """What was measured before the last start in a training's file, without the steps that were made anew since."""
    measured: list[Event] = []
    found: list[Event] = []
    for event in Follower(events, past=True).new():
        if event["kind"] == "started":  # at 0 even the first look is taken again
            measured = [each for each in measured if each["step"] <= event["step"]] if event["step"] else []
            found = list(measured)
        elif event["kind"] in ("metrics", "router"):
            measured.append(event)
    return found


def report_drop(curves: Curves, report: Report) -> None:
    """What the training came to on the held-out rows: the share by which the loss fell, and where next tokens are what
    it is taken of, the perplexity: a divergence has none.
    """
    measured, tokens = (curves.get(name, []) for name in ("held_out_loss", "held_out_next_token"))
    if measured and measured[0][1]:
        report.metric("held_out_loss_drop", 1 - measured[-1][1] / measured[0][1])
    if tokens:
        report.metric("held_out_perplexity", math.exp(tokens[-1][1]))


def curve_figure(curves: Curves, names: Mapping[str, str], title: str, unit: str) -> Any:
    """Curves over steps, one line for each of `names` (metric → label) that there is."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, label in names.items():
        if name in curves:
            axes.plot(*zip(*curves[name], strict=True), label=label, marker="." if len(curves[name]) < 40 else "")
    axes.set(title=title, xlabel="step", ylabel=unit)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    return figure
