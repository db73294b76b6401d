"""The process that trainings are forked from: it has imported torch and Megatron once (Chromium's word for such a one).

Ranks that were started anew took seven seconds for these imports, at every stage (docs/decisions/0010). The zygote does
nothing else: it has one thread and no state, so that a fork is as good as a start.

`python -m model.train.zygote` takes requests over the Unix socket that is its standard input: JSON, and the
descriptors of a log and of a pipe. For each it forks an agent, in a session of its own, which starts the ranks and
tells over the pipe its process number and, at the end, its exit code and the ranks' CPU seconds, a line each. (torch's
own `start_processes` would pass on a rank's error as a pickle in the temporary folder, where anybody may put one.)
"""

from __future__ import annotations

import gc
import importlib
import json
import multiprocessing
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NoReturn

import torch

from model.train import lifeline, run, worker  # noqa: F401 (`run` brings all that a rank needs)
from model.train.job import STORE

MOST_BYTES = 2**16
"""A request's length."""
GRACE_SECONDS = 30.0
"""What is left of a world has so long to end by itself, once one rank has failed."""


def main() -> None:
    """Fork an agent for each request, until the other end of the socket is closed."""
    requests = socket.socket(fileno=0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for agents: they tell of their end themselves
    gc.freeze()
    while True:
        request, descriptors, *_ = socket.recv_fds(requests, MOST_BYTES, 2)
        if not request:
            return
        if os.fork() == 0:
            requests.close()
            _agent(json.loads(request), *descriptors)
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


def _agent(request: dict[str, str | int], log: int, told: int) -> None:
    """Start the ranks of one task, wait for their end, and tell it: 0, or the code of one that failed."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), log, log)):
            os.dup2(descriptor, number)
        os.set_inheritable(told, False)
        os.write(told, f"{os.getpid()}\n".encode())
        os.environ[STORE], os.environ[lifeline.PARENT] = str(request["store"]), str(request["parent"])
        # CUDA does not survive a fork.
        spawn, fork = multiprocessing.get_context("spawn"), multiprocessing.get_context("fork")
        start = spawn.Process if torch.cuda.is_available() else fork.Process
        ranks = [start(target=_rank, args=(index, request)) for index in range(int(request["processes"]))]
        for rank in ranks:
            rank.start()
        # The ranks are asked to stop, not their agent. Until here a signal ends it, and they end without it.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        code = _wait(ranks)
    finally:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        with suppress(BrokenPipeError):  # its launcher is gone
            os.write(told, f"{code} {used.ru_utime + used.ru_stime}\n".encode())


def _wait(ranks: Sequence[BaseProcess]) -> int:
    """0 when all have come to their end; the code of the first that failed, when the others are gone too."""
    running = list(ranks)
    while running and not any(rank.exitcode for rank in ranks):
        connection.wait([rank.sentinel for rank in running])
        running = [rank for rank in running if rank.exitcode is None]
    failed = next((rank for rank in ranks if rank.exitcode), None)
    if failed is None:
        return 0
    code = failed.exitcode or 1
    told = signal.Signals(-code).name if code < 0 else code
    print(f"rank {ranks.index(failed)} ended with {told}", file=sys.stderr, flush=True)
    for end in (lambda _: None, BaseProcess.terminate, BaseProcess.kill):
        deadline = time.monotonic() + GRACE_SECONDS
        for rank in ranks:
            end(rank)
        for rank in ranks:
            rank.join(max(0.0, deadline - time.monotonic()))
        if all(rank.exitcode is not None for rank in ranks):
            break
    return code if code > 0 else 1


def _rank(index: int, request: dict[str, str | int]) -> NoReturn:
    """One rank: as torchrun would start it, in this process."""
    world = str(request["processes"])
    os.environ |= {"RANK": str(index), "LOCAL_RANK": str(index), "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world}
    work = importlib.import_module(str(request["worker"])).work
    code = worker.main(Path(str(request["folder"])), str(request["task"]), work)
    sys.stdout.flush()
    os._exit(code)  # all is closed: the interpreter would take two more seconds to take torch and Megatron down


if __name__ == "__main__":
    main()
