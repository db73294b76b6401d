"""One sandbox: started ahead of time, used for one program, killed. And the pool that keeps some started."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

from tasks.grade.code.inside.wire import WireError, receive_frame, send_frame
from tasks.grade.code.isolation import HOW_TO, NOBODY, ROOT_ENTRIES, sandbox_command
from tasks.grade.code.seccomp import build_filter
from tasks.grade.code.verdict import IsolationError, Limits

START_SECONDS = 60.0
"""Patience with a start on a busy machine; a usual one takes some 50 ms."""
END_SECONDS = 30.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def wait_readable(fd: int, seconds: float) -> bool:
    """Whether a file has data or has ended within some seconds (`poll`: `select` stops at file number 1,023)."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(seconds * 1000))


class Sandbox:
    """A bubblewrap process tree with `inside/runner.py` in it. Start it, wait until ready, send jobs, close."""

    def __init__(self, limits: Limits) -> None:
        """Start without waiting. IsolationError when the tools are missing."""
        self._heard = False
        self._ready = False
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._alive_fd, sync_fd = os.pipe()
        error_fd, error_write_fd = os.pipe()
        os.set_blocking(error_fd, False)
        self._errors = os.fdopen(error_fd, "rb", buffering=0)
        self._said = b""
        seccomp_fd = os.memfd_create("seccomp")
        try:
            os.write(seccomp_fd, build_filter())
            os.lseek(seccomp_fd, 0, os.SEEK_SET)
            command = sandbox_command(
                control_fd=theirs.fileno(),
                seccomp_fd=seccomp_fd,
                sync_fd=sync_fd,
                disk_bytes=limits.disk_bytes,
            )
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=error_write_fd,
                pass_fds=(theirs.fileno(), seccomp_fd, sync_fd),
                env={},
                cwd="/",
            )
        except BaseException:
            self.control.close()
            os.close(self._alive_fd)
            self._errors.close()
            raise
        finally:
            theirs.close()
            for fd in (sync_fd, error_write_fd, seccomp_fd):
                os.close(fd)

    def wait_ready(self) -> None:
        """Wait for the runner and compare what it sees with what was asked for. IsolationError if it differs."""
        if self._ready:
            return
        self._heard = True
        self.control.settimeout(START_SECONDS)
        try:
            seen, _fds = receive_frame(self.control)
        except (EOFError, OSError, WireError) as error:
            self.close()
            said = self._said.decode(errors="replace").strip()
            raise IsolationError(f"no isolation: the sandbox did not start ({said or error}). {HOW_TO}") from None
        wrong = [
            f"{what}: {seen.get(what)!r}"
            for what, right in (
                ("uid", seen.get("uid") == int(NOBODY)),
                ("pid", 0 < seen.get("pid", 0) < 10),
                ("root", set(seen.get("root", ["?"])) <= ROOT_ENTRIES),
                ("network", seen.get("network") == "closed"),
            )
            if not right
        ]
        if wrong:
            self.close()
            raise IsolationError(f"no isolation: the sandbox is not closed ({'; '.join(wrong)}). {HOW_TO}")
        self._ready = True

    def send_job(self, job: dict[str, Any], fds: tuple[int, ...]) -> None:
        """Start a job; `fds` become its files 0, 1, 2, …. OSError when the runner is gone."""
        self.wait_ready()
        send_frame(self.control, job, fds)

    def read_report(self) -> dict[str, Any]:
        """How the job's process ended. EOFError when the runner is gone, OSError when it keeps silent."""
        report, _fds = receive_frame(self.control)
        return dict(report)

    def resident_bytes(self) -> int:
        """Memory of all processes of the sandbox now (a page that two share counts twice)."""
        total, todo = 0, [str(self._process.pid)]
        while todo:
            folder = Path("/proc") / todo.pop()
            try:
                total += int((folder / "statm").read_text().split()[1]) * PAGE_BYTES
                for task in (folder / "task").iterdir():
                    todo += (task / "children").read_text().split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended meanwhile
        return total

    def close(self) -> None:
        """Kill everything in the sandbox and wait until nothing of it lives."""
        if self._alive_fd < 0:
            return
        if not self._heard:
            # Killed half-way through its start, bwrap leaves a child that waits for it forever.
            wait_readable(self.control.fileno(), START_SECONDS)
        self._process.kill()
        self._process.wait()
        self.control.close()
        wait_readable(self._alive_fd, END_SECONDS)  # end of file: init and its namespace are gone
        os.close(self._alive_fd)
        self._alive_fd = -1
        self._said = self._errors.read(2000) or b""
        self._errors.close()


class SandboxPool:
    """Keeps `warm` sandboxes started. Each is handed out once and never comes back.

    One thread starts them all: `--die-with-parent` looks at the starting thread, so it must outlive the sandbox.
    """

    def __init__(self, limits: Limits, warm: int) -> None:
        """Start the first sandboxes in the background."""
        self._limits = limits
        self._closing = threading.Event()
        self._started: queue.Queue[Sandbox | Exception] = queue.Queue(maxsize=warm)
        self._thread = threading.Thread(target=self._keep_started, name="sandbox-starter", daemon=True)
        self._thread.start()

    def _keep_started(self) -> None:
        while not self._closing.is_set():
            try:
                entry: Sandbox | Exception = Sandbox(self._limits)
            except Exception as error:  # noqa: BLE001 raised again in the thread that takes it
                entry = error
            self._started.put(entry)

    def take(self) -> Sandbox:
        """A sandbox that is ready; the caller closes it. IsolationError when none can be built here."""
        entry = self._started.get()
        if isinstance(entry, Exception):
            raise entry
        entry.wait_ready()
        return entry

    def close(self) -> None:
        """Stop starting and close what was not used."""
        self._closing.set()
        while self._thread.is_alive() or not self._started.empty():
            with contextlib.suppress(queue.Empty):
                entry = self._started.get(timeout=0.02)
                if isinstance(entry, Sandbox):
                    entry.close()
        self._thread.join()
