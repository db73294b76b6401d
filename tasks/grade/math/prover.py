"""The pool of worker processes that decide what the exact path cannot.

Safe from any thread and, through `asyncio.to_thread`, from coroutines: no signals in the parent, no pickle.
A worker that is late, out of memory or gone is killed with SIGKILL, reaped and replaced by the next request.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, Field

from tasks.grade.math.nodes import Add, Fn, Mul, Node, Num, Pow, Quantity, Sym

_WORKER = Path(__file__).with_name("worker.py")
_START_SECONDS = 20.0


class ProverLimits(BaseModel):
    """What one undecided pair may cost."""

    model_config = ConfigDict(frozen=True)

    cpu_seconds: float = Field(2.0, gt=0, le=60)
    """CPU time of one pair; counting CPU keeps verdicts the same on a busy machine."""
    time_seconds: float = Field(6.0, gt=0, le=120)
    """Wall time of one pair, enforced with SIGKILL."""
    memory_bytes: int = Field(768 * 2**20, ge=256 * 2**20, le=64 * 2**30)
    """Address space of one worker (RLIMIT_AS)."""
    workers: int = Field(2, ge=1, le=64)
    """Processes at most; they start when first needed."""


@dataclass(frozen=True, slots=True)
class Proof:
    """`equal` is None when undecided; `how` is the method or the limit that was hit; `seconds` the wall time."""

    equal: bool | None
    how: str
    seconds: float = 0.0


class UnencodableError(ValueError):
    """The tree holds something that is no expression."""


def encode(node: Node) -> list[object]:
    """The nested lists that `worker` reads."""
    match node:
        case Num(value):
            if value.numerator.bit_length() + value.denominator.bit_length() > 12_000:
                raise UnencodableError
            return ["n", str(value)]
        case Sym(name):
            return ["s", name]
        case Add(items):
            return ["+", *map(encode, items)]
        case Mul(items):
            return ["*", *map(encode, items)]
        case Pow(base, exp):
            return ["^", encode(base), encode(exp)]
        case Fn(name, args):
            return ["f", name, *map(encode, args)]
        case Quantity(value, "%"):
            return ["*", ["n", "1/100"], encode(value)]
        case _:
            raise UnencodableError


class _Worker:
    """One child process and its two pipes."""

    def __init__(self, memory_bytes: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(_WORKER), str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"},
            close_fds=True,
        )

    def ask(self, request: bytes, seconds: float) -> bytes | None:
        """One answer line, or None when the worker was late or died."""
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            return None
        try:
            stdin.write(request)
            stdin.flush()
        except OSError:
            return None
        return _read_line(stdout, time.monotonic() + seconds)

    def kill(self) -> None:
        """SIGKILL, reap, close."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue


def _read_line(stream: IO[bytes], deadline: float) -> bytes | None:
    data = b""
    descriptor = stream.fileno()
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        if not poller.poll(left * 1000):
            return None
        chunk = os.read(descriptor, 65536)
        if not chunk:
            return None
        data += chunk
        if data.endswith(b"\n"):
            return data
    return None


class Prover:
    """A bounded pool; `prove` blocks while all workers are busy."""

    def __init__(self, limits: ProverLimits) -> None:
        """No process starts before the first hard pair."""
        self.limits = limits
        self._slots = threading.Semaphore(limits.workers)
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._owner = os.getpid()

    def prove(self, a: Node, b: Node, seconds: float) -> Proof:
        """Are two expressions equal? Not decided in `seconds` of a worker's time counts as None."""
        try:
            trees = {"a": encode(a), "b": encode(b), "cpu_seconds": self.limits.cpu_seconds}
        except UnencodableError:
            return Proof(None, "not an expression")
        request = json.dumps(trees).encode() + b"\n"
        with self._slots:
            worker = self._take()
            if worker is None:
                return Proof(None, "no worker could be started")
            start = time.monotonic()
            answer = worker.ask(request, min(seconds, self.limits.time_seconds))
            spent = time.monotonic() - start
            if answer is None:
                worker.kill()
                return Proof(None, "the worker ran out of time or memory", spent)
            with self._lock:
                self._idle.append(worker)
        reply = json.loads(answer)
        return Proof(reply["equal"], str(reply["how"]), spent)

    def _take(self) -> _Worker | None:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        worker = _Worker(self.limits.memory_bytes)
        one: list[object] = ["n", "1"]
        warm = json.dumps({"a": one, "b": one, "cpu_seconds": _START_SECONDS}).encode() + b"\n"
        if worker.ask(warm, _START_SECONDS) is None:
            worker.kill()
            return None
        return worker

    def close(self) -> None:
        """Kill the idle workers; later requests start new ones."""
        if self._owner != os.getpid():
            return
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.kill()


_provers: dict[ProverLimits, Prover] = {}
_provers_lock = threading.Lock()


def _forget() -> None:
    """A forked child starts its own workers; the inherited ones and locks belong to its parent."""
    global _provers_lock
    _provers_lock = threading.Lock()
    _provers.clear()


os.register_at_fork(after_in_child=_forget)


def prover(limits: ProverLimits) -> Prover:
    """The process-wide pool for these limits."""
    with _provers_lock:
        if limits not in _provers:
            _provers[limits] = Prover(limits)
            atexit.register(_provers[limits].close)
        return _provers[limits]
