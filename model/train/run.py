"""What a worker does: set up its part of the model, train, export.

Weights are imported and exported by ranks that hold a whole model. Where the layout cuts it, a world of one does so
before and after (`prepare`, `export`), and checkpoints, which load under any layout, carry the weights across.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from model import checkpoint, parallel
from model.build import RigorModel, build
from model.config import ModelConfig
from model.convert import from_hf, load_folder, save_folder, scorer_shape, scorer_state, to_hf
from model.convert.names import SCORE
from model.data import Rows
from model.layout import Parallel
from model.train import lifeline
from model.train.config import TrainConfig
from model.train.events import Events
from model.train.job import STORE, Folder, Job
from model.train.loop import Trainer, writes_events

COLLECTIVE_SECONDS = 600.0
"""How long a rank waits for the others."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def cuts(layout: Parallel) -> bool:
    """Whether no rank holds a whole model under this layout."""
    return layout != Parallel()


def train(folder: Folder, job: Job, stop_asked: Callable[[], bool]) -> bool:
    """Train from the newest checkpoint, or from the start; export if this layout lets it. Collective.

    Returns:
        Whether it came to the end; False after a stop that was asked for.

    Raises:
        ValueError, CheckpointError, BadStepError: as `Trainer` says.
    """
    trainer = make_trainer(folder, job, job.config.parallel, stop_asked)
    events = trainer.events
    events.say(
        "started", process=lifeline.identity(os.getpid()), step=trainer.step, world=parallel.world(),
        peak=trainer.meter.peak.name,
    )  # fmt: skip
    if not trainer.run():
        events.say("interrupted", step=trainer.step)
        return False
    if not cuts(job.config.parallel) and parallel.rank() == 0:
        _export(folder, job, trainer.model)
    events.say("finished", step=trainer.step)
    return True


def prepare(folder: Folder, job: Job) -> None:
    """In a world of one: the checkpoint of step 0 with imported weights, unless there is a checkpoint already."""
    trainer = make_trainer(folder, job, Parallel(), lambda: False)
    if trainer.step == 0:
        trainer.save()


def export(folder: Folder, job: Job) -> None:
    """In a world of one: the newest checkpoint as a Hugging Face folder."""
    meet()
    parallel.start(Parallel(), job.config.seed)
    model = _build(job.config, Parallel())
    found = checkpoint.latest(folder.checkpoints)
    if found is None:
        raise ValueError(f"there is no whole checkpoint in {folder.checkpoints}")
    checkpoint.load(found, model, None)
    _export(folder, job, model)


def pass_on_warnings(path: Path, logger: str = "model") -> None:
    """Say as events what the rest of `model` (or another package) warns of, such as a damaged checkpoint.

    On every rank: who warns (the first of the world, or the one that has met a bad problem) need not be the one that
    writes the metrics.
    """
    logging.getLogger(logger).addHandler(_Warnings(path))


class _Warnings(logging.Handler):
    def __init__(self, path: Path) -> None:
        super().__init__(logging.WARNING)
        self.path = path
        self.events: Events | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.events is None:
            self.events = Events(self.path)
        self.events.warn(record.getMessage())


def make_trainer(folder: Folder, job: Job, layout: Parallel, stop_asked: Callable[[], bool]) -> Trainer:
    """A trainer under `layout`, at the newest checkpoint or at the start. Collective.

    Raises:
        ValueError, CheckpointError: as `train` says.
    """
    config = job.config.model_copy(update={"parallel": layout})
    if layout.context > 1:
        raise ValueError("parallel.context: rows are not cut over processes by this trainer; leave it at 1")
    meet()
    parallel.start(layout, config.seed)
    events = Events(folder.events if writes_events() else None)
    pass_on_warnings(folder.events)
    model = _build(config, layout)
    found = checkpoint.latest(folder.checkpoints)
    if config.init_from is not None and found is None:
        if cuts(layout):
            raise ValueError("init_from under a layout that cuts the model: run the task `prepare` in one rank first")
        import_weights(model, config.init_from)
    held_out = Rows(job.held_out) if job.held_out else None
    trainer = Trainer(config, model, Rows(job.rows), held_out, folder.checkpoints, events, stop_asked)
    if found is not None:
        trainer.take_up(found)
    return trainer


def meet() -> None:
    """Join the ranks of this machine over a file, where the launcher names one; a cluster's torchrun has its own way.

    torch's TCP store listens on all interfaces, whatever address it is given.
    """
    path = os.environ.get(STORE)
    if path is None:
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    world = int(os.environ["WORLD_SIZE"])
    dist.init_process_group(
        "cuda:nccl,cpu:gloo" if cuda else "gloo",
        store=dist.FileStore(path, world),  # type: ignore[attr-defined]
        rank=int(os.environ["RANK"]),
        world_size=world,
        timeout=timedelta(seconds=COLLECTIVE_SECONDS),
    )


def _build(config: TrainConfig, layout: Parallel) -> RigorModel:
    model = build(config.model, layout, DTYPES[config.dtype], config.seed, config.objective.head)
    return model.cuda() if torch.cuda.is_available() else model


def import_weights(model: RigorModel, folder: Path) -> None:
    """Start from the weights of a Hugging Face folder; a reward model from a policy's, under a fresh score.

    Raises:
        ValueError: they are of another shape; the message names the fields.
    """
    shape, state = load_folder(folder)
    if model.head == "score":
        shape, state = scorer_shape(shape), scorer_state(shape, state, to_hf(model)[SCORE])
    looks = ("init_std", "max_positions")  # Neither changes what the weights compute.
    wanted, found = (_without(value, looks) for value in (model.rigor, shape))
    differing = sorted(key for key in wanted if wanted[key] != found[key])
    if differing:
        told = "; ".join(f"{key} is {found[key]}, not {wanted[key]}" for key in differing)
        raise ValueError(f"{folder} is another model: {told}")
    from_hf(model, state)


def _without(shape: ModelConfig, names: tuple[str, ...]) -> dict[str, object]:
    return shape.model_dump(mode="json", exclude=set(names))


def _export(folder: Folder, job: Job, model: RigorModel) -> None:
    if folder.model.exists():
        shutil.rmtree(folder.model)
    save_folder(folder.model, job.config.model, to_hf(model), tokenizer_folder=job.tokenizer, card=job.card)
