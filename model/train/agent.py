"""A training's processes as their launcher sees them: started by the zygote, of which this process has one."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from model.train import lifeline
from model.train.job import Folder

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_VISIBLE_DEVICES",
    "TRITON_CACHE_DIR", "NCCL_DEBUG", "NCCL_SOCKET_IFNAME", "NCCL_IB_DISABLE", "NCCL_P2P_DISABLE",
)  # fmt: skip
"""What a training inherits; nothing else, so that no secret of its launcher's reaches it."""


class Agent:
    """What starts the ranks of a task and waits for them (see `model.train.zygote`); used as a `subprocess.Popen`."""

    def __init__(self, folder: Folder, worker: str, task: str, processes: int, log: int) -> None:
        """Have it started.

        Args:
            folder: of the training.
            worker: module whose `work` each rank calls.
            task: what it is to do.
            processes: ranks.
            log: a descriptor that takes what they print.

        Raises:
            OSError: the zygote does not live.
        """
        request = {
            "folder": str(folder.root), "worker": worker, "task": task, "processes": processes,
            "store": str(folder.store), "parent": lifeline.identity(os.getpid()),
        }  # fmt: skip
        self._told, theirs = os.pipe()
        try:
            _Zygote.of_this_process(log).ask(json.dumps(request).encode(), log, theirs)
        except BaseException:
            os.close(self._told)
            raise
        finally:
            os.close(theirs)
        self._text = ""
        self.returncode: int | None = None
        self.pid = 0
        """Of the agent, and of its session."""
        self.cpu_seconds = 0.0
        """Of the ranks; told at the end."""
        try:
            while not self.pid and self.returncode is None:
                self.wait(None)
        except BaseException:
            os.close(self._told)  # nobody holds it any more: it ends when it tells its number
            raise
        if not self.pid:
            raise OSError("the process that trainings are forked from died")

    def poll(self) -> int | None:
        """The exit code (-9: it was killed); None while it runs."""
        return self.wait(0)

    def wait(self, timeout_seconds: float | None) -> int | None:
        """Wait for the end or for the next line it tells, no longer than this; as `poll`."""
        if self.returncode is not None or not select.select([self._told], [], [], timeout_seconds)[0]:
            return self.returncode
        told = os.read(self._told, 64).decode()
        self._text += told
        lines = self._text.split("\n")[:-1]
        self.pid = int(lines[0]) if lines else 0
        if not told or len(lines) == 2:
            code, _, used = (lines[1] if len(lines) == 2 else f"{-signal.SIGKILL} 0").partition(" ")
            self.returncode, self.cpu_seconds = int(code), float(used)
            os.close(self._told)
        return self.returncode

    def kill(self) -> None:
        """End the whole session now."""
        os.killpg(self.pid, signal.SIGKILL)


class _Zygote:
    """The process that trainings are forked from; it ends with this one."""

    _lock = threading.Lock()
    _one: _Zygote | None = None

    def __init__(self, log: int) -> None:
        self.environment = _environment()
        self.requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "model.train.zygote"], cwd=ROOT, env=self.environment, stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL, stderr=log, start_new_session=True,
            )  # fmt: skip

    @classmethod
    def of_this_process(cls, log: int) -> _Zygote:
        """The one that lives, or a new one, whose own troubles go to `log`."""
        with cls._lock:
            one = cls._one
            if one is None or one.process.poll() is not None or one.environment != _environment():
                if one is not None:
                    one.requests.close()
                cls._one = one = _Zygote(log)
            return one

    def ask(self, request: bytes, *descriptors: int) -> None:
        """Send a request.

        Raises:
            OSError: it died.
        """
        socket.send_fds(self.requests, [request], descriptors)


def _environment() -> dict[str, str]:
    """What a training gets to see: one thread a rank, nothing listens beyond the loopback interface."""
    inherited = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    return {
        "NCCL_SOCKET_IFNAME": "lo",
        **inherited,
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",  # Megatron's many about what is not installed, so that the log's end says more
        "GLOO_SOCKET_IFNAME": "lo",
        "PYTHONPATH": str(ROOT),
    }
