"""One rank of a reinforcement: see `model.train.worker`."""

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
    """Train the policy of `job.json` from its newest checkpoint, or from the start, and export it. Collective.

    Raises:
        ValueError, CheckpointError, BadStepError: as `Reinforcer` says.
    """
    import torch

    from model import checkpoint, parallel
    from model.build import build
    from model.convert import save_folder, to_hf
    from model.train.events import Events
    from model.train.run import DTYPES, import_weights, meet, pass_on_warnings
    from tasks.rl.job import RlJob
    from tasks.rl.judges import RewardModel
    from tasks.rl.loop import Reinforcer

    job = RlJob.model_validate_json(folder.job.read_bytes())
    meet()
    parallel.start(seed=job.config.seed)
    events = Events(folder.events if parallel.rank() == 0 else None)
    pass_on_warnings(folder.events)
    pass_on_warnings(folder.events, "tasks")
    model = build(job.model, dtype=DTYPES[job.dtype])
    if torch.cuda.is_available():
        model = model.cuda()
    import_weights(model, job.policy)
    device = next(model.parameters()).device
    judges = {name: RewardModel(path, device) for name, path in job.judges.items()}
    trainer = Reinforcer(job, model, folder.root, events, stop_asked, judges)
    found = checkpoint.latest(folder.checkpoints)
    if found is not None:
        trainer.take_up(found)
    events.say("started", process=lifeline.identity(os.getpid()), step=trainer.step, world=parallel.world())
    if not trainer.run():
        events.say("interrupted", step=trainer.step)
        return False
    if parallel.rank() == 0:
        if folder.model.exists():
            shutil.rmtree(folder.model)
        save_folder(folder.model, job.model, to_hf(model), tokenizer_folder=job.policy, card=job.card)
    events.say("finished", step=trainer.step)
    return True


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), sys.argv[2], work)
    sys.stdout.flush()
    os._exit(code)  # all is closed, see `model.train.worker`
