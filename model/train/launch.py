"""Starts a training in processes of its own, forwards its events, and gives back the exported model."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel

from model.convert.card import Card
from model.train import lifeline
from model.train.agent import Agent
from model.train.config import TrainConfig
from model.train.events import Event, Follower
from model.train.job import Folder, Job

POLL_SECONDS = 0.2
BUSY_WAIT_SECONDS = lifeline.GRACE_SECONDS + 30
"""How long to wait for what is left of an earlier training in the same folder."""
STOP_SECONDS = 600.0
"""How long a training that was asked to stop may save before it is killed."""


class TrainingError(RuntimeError):
    """The training ended with an error; the message has its last words."""


class Interrupted(RuntimeError):  # noqa: N818 (nothing went wrong)
    """The training was asked to stop and has saved; the same call goes on from there."""


def launch(
    config: TrainConfig,
    rows: Path,
    held_out: Path | None,
    workdir: Path,
    processes: int,
    on_event: Callable[[Event], None],
    *,
    tokenizer: Path | None = None,
    card: Card | None = None,
) -> Path:
    """Train in `processes` processes of this machine; goes on from `workdir`'s checkpoints if it holds any.

    A SIGTERM or SIGINT that reaches this process while it waits here stops the training (in the main thread; elsewhere,
    whatever ends this process does). Should this process be killed, the training saves and ends by itself.

    Args:
        config: the training.
        rows: as `model.data.write_rows` leaves them.
        held_out: rows to measure on, or None.
        workdir: of this training alone: checkpoints, events, log; and `model/`, the result.
        processes: ranks; on a CPU each has one thread.
        on_event: called with every event (see `model.train.events`), in order, from this thread.
        tokenizer: a folder whose tokenizer goes into the result.
        card: goes into the result's README.md.

    Returns:
        The exported Hugging Face folder.

    Raises:
        Interrupted: asked to stop.
        TrainingError: any rank failed or was killed; checkpoints stay, and the same call resumes.
        TimeoutError: another training is at work in `workdir`.
    """
    job = Job(
        config=config,
        rows=rows.resolve(),
        held_out=held_out.resolve() if held_out else None,
        tokenizer=tokenizer.resolve() if tokenizer else None,
        card=card,
    )
    cut = any(size > 1 for size in config.parallel.model_dump().values())
    tasks = [("train", processes)]
    if cut:
        tasks = [*([("prepare", 1)] if config.init_from is not None else []), *tasks, ("export", 1)]
    return launch_job(job, workdir, tasks, on_event).model


def launch_job(
    job: BaseModel,
    workdir: Path,
    tasks: Sequence[tuple[str, int]],
    on_event: Callable[[Event], None],
    worker: str = "model.train.worker",
) -> Folder:
    """Run workers of any kind in `workdir`, one task after another; see `launch`, which this does the work of.

    Args:
        job: what the workers read as `job.json`.
        workdir: as for `launch`.
        tasks: (name, processes) in order.
        on_event: as for `launch`.
        worker: the module whose `work` each rank calls, see `model.train.worker`.

    Raises:
        Interrupted, TrainingError, TimeoutError: as `launch` says.
    """
    folder = Folder(workdir.resolve())
    lock = lifeline.FolderLock(folder.root)
    try:
        lock.take_alone(BUSY_WAIT_SECONDS)
        folder.job.write_text(job.model_dump_json(indent=1) + "\n")
        for task, processes in tasks:
            _Child(folder, worker, task, processes).wait(on_event)
    finally:
        lock.close()
    return folder


class _Child:
    """An agent with its workers."""

    def __init__(self, folder: Folder, worker: str, task: str, processes: int) -> None:
        self.folder, self.task = folder, task
        self.follower = Follower(folder.events)
        self.last: dict[str, Event] = {}
        """The last event of each kind."""
        self.asked = False
        folder.store.unlink(missing_ok=True)
        with folder.log.open("ab") as log:
            self.log_start = log.tell()
            try:
                self.process = Agent(folder, worker, task, processes, log.fileno())
            except OSError as error:
                told = f"no process could be started: {error}\nThe end of {folder.log}:\n{self._tail()}"
                raise TrainingError(told) from error

    def wait(self, on_event: Callable[[Event], None]) -> None:
        """Forward events until the child ends.

        Raises:
            Interrupted, TrainingError: as `launch` says.
        """
        try:
            with _signals(self.stop):
                while self.process.poll() is None:
                    self._forward(on_event)
                    self.process.wait(POLL_SECONDS)
                self._forward(on_event)
                on_event({"kind": "used", "time_unix_seconds": time.time(), "cpu_seconds": self.process.cpu_seconds})
        finally:
            self._end()
        if "interrupted" in self.last:
            step = self.last["interrupted"]["step"]
            raise Interrupted(f"stopped as asked, step {step} is saved: the same call goes on from there")
        if self.asked:
            raise Interrupted("stopped as asked: the same call goes on from the last checkpoint")
        if self.process.returncode == 0:
            return
        failed = self.last.get("failed", {}).get("error", f"the {self.task} processes ended with an error")
        raise TrainingError(f"{failed}\nThe end of {self.folder.log}:\n{self._tail()}")

    def stop(self) -> None:
        """Ask one worker, which tells the others; before they listen, end them all."""
        self.asked = True
        started = self.last.get("started")
        if started is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
        elif lifeline.alive(started["process"]):
            os.kill(int(started["process"].partition(":")[0]), signal.SIGTERM)

    def _forward(self, on_event: Callable[[Event], None]) -> None:
        for event in self.follower.new():
            self.last[event["kind"]] = event
            on_event(event)

    def _end(self) -> None:
        """Leave no process behind, whatever has happened."""
        if self.process.poll() is None:
            self.stop()
            if self.process.wait(STOP_SECONDS) is None:
                self.process.kill()
                self.process.wait(None)

    def _tail(self, size_bytes: int = 6000) -> str:
        with self.folder.log.open("rb") as log:
            log.seek(max(self.log_start, self.folder.log.stat().st_size - size_bytes))
            return log.read().decode(errors="replace")


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Within: SIGTERM and SIGINT call `stop` instead. Handlers belong to the main thread; elsewhere nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = {number: signal.signal(number, lambda *_: stop()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
