"""One rank of a distillation: see `model.train.worker`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from model.train import lifeline
from model.train.worker import main

if TYPE_CHECKING:
    from model.train.job import Folder


def work(folder: Folder, _: str, stop_asked: Callable[[], bool]) -> bool:
    """Train the student of `job.json` from its newest checkpoint, or from the start, and export it. Collective.

    Raises:
        ValueError, CheckpointError, BadStepError: as `model.train.loop.Trainer` says.
    """
    from model import parallel
    from model.convert import save_folder, to_hf
    from model.train.events import Events
    from model.train.run import meet, pass_on_warnings
    from tasks.distill.job import DistillJob
    from tasks.distill.trainer import make_trainer

    job = DistillJob.model_validate_json(folder.job.read_bytes())
    meet()
    parallel.start(seed=job.config.seed)
    events = Events(folder.events if parallel.rank() == 0 else None)
    pass_on_warnings(folder.events)
    pass_on_warnings(folder.events, "tasks")
    trainer = make_trainer(job, folder, events, stop_asked)
    events.say("started", process=lifeline.identity(os.getpid()), step=trainer.step, world=parallel.world(),
               peak=trainer.meter.peak.name)  # fmt: skip
    if not trainer.run():
        events.say("interrupted", step=trainer.step)
        return False
    if parallel.rank() == 0:
        if folder.model.exists():
            shutil.rmtree(folder.model)
        save_folder(folder.model, job.config.model, to_hf(trainer.model), tokenizer_folder=job.tokenizer, card=job.card)
    events.say("finished", step=trainer.step)
    return True


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), sys.argv[2], work)
    sys.stdout.flush()
    os._exit(code)  # all is closed, see `model.train.worker`
