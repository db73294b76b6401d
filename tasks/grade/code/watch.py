"""Watching one run from outside: read its pipes with a byte cap until it ends or its time is up."""

from __future__ import annotations

import os
import select
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from tasks.grade.code.inside.wire import WireError
from tasks.grade.code.sandbox import Sandbox, wait_readable
from tasks.grade.code.verdict import Limits, Reason

READ_BYTES = 1 << 16
LOOK_SECONDS = 0.1
"""How often a run's memory is looked at; most runs end before the first look."""
OWN_BYTES = 64 << 20
"""The sandbox's own processes."""
REPORT_SECONDS = 2.0
VERDICT = "verdict"
GONE = b"the program ended"
"""How the driver says so (`inside/drive.py`)."""
MAX_VERDICT_BYTES = 4 << 20


@dataclass
class Run:
    """What was seen of one run."""

    streams: dict[str, bytearray] = field(default_factory=dict)
    report: dict[str, Any] | None = None
    """How the program's process ended, in the words of `inside/runner.py`; None if it was killed."""
    stopped: Reason | None = None
    """Why the judge ended the run, or None if it ended by itself."""
    detail: str = ""
    seconds: float = 0.0


class Watch:
    """Pipes of one run of a program in `box`. The clock starts with the object."""

    def __init__(self, box: Sandbox, limits: Limits) -> None:  # noqa: D107
        self.run = Run()
        self._box = box
        self._limits = limits
        self._read_fds: dict[int, str] = {}
        self._write_fds: list[int] = []
        self._started = self._looked = time.monotonic()

    def __enter__(self) -> Watch:  # noqa: D105
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what is left of the pipes."""
        for fd in (*self._read_fds, *self._write_fds):
            os.close(fd)

    def pipe(self, name: str) -> int:
        """Write end for a stream of that name; the judge's own copy is closed when the wait begins."""
        read_fd, write_fd = os.pipe()
        os.set_blocking(read_fd, False)
        self._read_fds[read_fd] = name
        self._write_fds.append(write_fd)
        self.run.streams[name] = bytearray()
        return write_fd

    def wait(self, *, until_verdict: bool) -> Run:
        """Read until the program's process has ended, or (function tests) until the driver closed its verdict."""
        while self._write_fds:
            os.close(self._write_fds.pop())
        poller = select.poll()
        control_fd = self._box.control.fileno()
        for fd in (*self._read_fds, control_fd):
            poller.register(fd, select.POLLIN)
        deadline = self._started + self._limits.wall_seconds
        while self.run.stopped is None and not self._ended(until_verdict):
            left = deadline - time.monotonic()
            ready = poller.poll(min(max(0.0, left), LOOK_SECONDS) * 1000)
            if left <= 0:
                self.run.stopped = Reason.TIME_LIMIT
            self._look_at_memory()
            for fd, _events in ready:
                still_open = self._take_report() if fd == control_fd else self._read(fd)
                if not still_open:
                    poller.unregister(fd)
        gone = self.run.stopped is None and GONE in self.run.streams.get(VERDICT, b"")
        if gone and self.run.report is None and wait_readable(control_fd, REPORT_SECONDS):
            self._take_report()  # the driver saw the end a moment before the runner could say how
        for fd in list(self._read_fds):
            self._drain(fd)
        self.run.seconds = time.monotonic() - self._started
        return self.run

    def _look_at_memory(self) -> None:
        """RLIMIT_AS holds for one process; this holds for all of the sandbox, within `LOOK_SECONDS`."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            if self._box.resident_bytes() > self._limits.memory_bytes + OWN_BYTES:
                self.run.stopped = self.run.stopped or Reason.MEMORY_LIMIT
                self.run.detail = "all processes together"

    def _ended(self, until_verdict: bool) -> bool:
        if until_verdict:
            return VERDICT not in self._read_fds.values()
        return self.run.report is not None

    def _take_report(self) -> bool:
        """Read the runner's report. A runner that is gone or silent was killed by the program."""
        try:
            self.run.report = self._box.read_report()
        except (EOFError, OSError, WireError):
            self.run.stopped = Reason.RUNTIME_ERROR
            self.run.detail = "the sandbox ended before the program"
        return False

    def _read(self, fd: int) -> bool:
        """Take what is there; False at the end of the file."""
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return True
        if not data:
            os.close(fd)
            del self._read_fds[fd]
            return False
        self.run.streams[self._read_fds[fd]] += data
        printed = sum(len(text) for name, text in self.run.streams.items() if name != VERDICT)
        if printed > self._limits.output_bytes:
            self.run.stopped = self.run.stopped or Reason.OUTPUT_LIMIT
        elif len(self.run.streams.get(VERDICT, b"")) > MAX_VERDICT_BYTES:
            self.run.stopped = self.run.stopped or Reason.TEST_ERROR
        return True

    def _drain(self, fd: int) -> None:
        """Take what a pipe holds now, without waiting for a child that keeps it open, and within the cap."""
        while self.run.stopped is None and wait_readable(fd, 0) and self._read(fd):
            pass
