"""One rank: `work` here, or in the worker module of another kind of training, called by `main`.

On one machine the zygote's agent starts ranks (`model.train.zygote`); over several a torchrun on each:
`torchrun … -m model.train.worker FOLDER {train,prepare,export}`.

FOLDER is laid out as `model.train.job.Folder` says. Exit codes: 0 when it came to its end; 75 (EX_TEMPFAIL) when
SIGTERM or SIGINT asked it to stop, everything saved; anything else is a failure. One signal to one rank stops all.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from model.train import lifeline

if TYPE_CHECKING:
    from model.train.job import Folder

INTERRUPTED = 75
Work = Callable[["Folder", str, Callable[[], bool]], bool]
"""Folder, task, and whether a stop was asked for → whether it came to its end."""


def work(folder: Folder, task: str, stop_asked: Callable[[], bool]) -> bool:
    """The tasks of `model.train.run`."""
    from model.train import run

    job = folder.read_job()
    if task == "train":
        return run.train(folder, job, stop_asked)
    (run.prepare if task == "prepare" else run.export)(folder, job)
    return True


def main(root: Path, task: str, work: Work) -> int:
    """Do `task` in `root`; returns the exit code. `work` imports what it needs when it is called, not before."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: asked.append(received))
    agent = lifeline.identity(os.getppid())
    parents = {agent, os.environ.get(lifeline.PARENT, agent)}
    for parent in parents:
        # Orphaned is as good as asked to stop: save, so that the next training goes on from here.
        lifeline.follow(parent, lambda: os.kill(os.getpid(), signal.SIGTERM))
    lock = lifeline.FolderLock(root)
    lock.join()
    if not all(lifeline.alive(parent) for parent in parents):
        return INTERRUPTED

    # Only now: Megatron's import takes seconds, in which a launcher may die too.
    from model import parallel
    from model.checkpoint import CheckpointError
    from model.train.events import Events
    from model.train.job import Folder
    from model.train.loop import BadStepError

    folder = Folder(root)
    try:
        done = work(folder, task, lambda: bool(asked))
    except (BadStepError, CheckpointError, ValueError) as error:
        # Expected failures, whose text says enough; of others the log holds the traceback.
        Events(folder.events).say("failed", rank=parallel.rank(), error=f"{type(error).__name__}: {error}")
        raise
    parallel.stop()
    return 0 if done else INTERRUPTED


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), sys.argv[2], work)
    sys.stdout.flush()
    os._exit(code)  # all is closed: the interpreter would take two more seconds to take torch and Megatron down
