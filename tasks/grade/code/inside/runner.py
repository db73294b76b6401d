"""First process of a sandbox: says that it is ready, then runs one job after another, each in a fork.

It holds no secret: a job has the program and (as an open file) a test's input, never an expected output. A
hostile program may kill it; the judge outside then sees the channel close and gives no point.
"""

from __future__ import annotations

import atexit
import gc
import os
import resource
import signal
import socket
import sys
import types
from typing import Any

from tasks.grade.code.inside.wire import receive_frame, send_frame

MEMORY_EXIT = 97
"""Exit code of a program that ended with MemoryError: a label for people, not a verdict."""
OWN_PROCESSES = 2
"""The sandbox's init and this process count towards RLIMIT_NPROC too."""


def main(control_fd: int) -> None:
    """Serve jobs until the judge closes the channel.

    A job is a dict: `mode` (script, serve or drive), `source`, `limits`, and for drive `tests`. Its open files
    become 0, 1, 2, 3, … in the forked child.
    """
    gc.collect()
    gc.freeze()  # or the first collection of every fork copies all of these pages
    sys.path[:] = [entry for entry in sys.path if not entry.startswith("/judge")]
    control = socket.socket(fileno=control_fd)
    control.set_inheritable(False)
    send_frame(control, _self_check())
    while True:
        try:
            job, fds = receive_frame(control)
        except EOFError:
            return
        child = os.fork()
        if child == 0:
            control.close()
            _run_child(job, fds)
        for fd in fds:
            os.close(fd)
        _pid, status, used = os.wait4(child, 0)
        _kill_the_rest()
        send_frame(
            control,
            {
                "exit": os.waitstatus_to_exitcode(status),
                "cpu_seconds": used.ru_utime + used.ru_stime,
                "memory_bytes": used.ru_maxrss * 1024,
            },
        )


def _self_check() -> dict[str, Any]:
    """What the judge compares with what it asked for, so that a half-working sandbox is refused."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
        network = "open"
    except OSError:
        network = "closed"
    return {
        "uid": os.getuid(),
        "pid": os.getpid(),
        "root": sorted(entry.name for entry in os.scandir("/")),
        "network": network,
    }


def _kill_the_rest() -> None:
    """Kill every other process here (not init), so that no child of one test lives into the next."""
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        return


def _run_child(job: dict[str, Any], fds: list[int]) -> None:
    """In the fork: take the files and limits, run the job, exit. Never returns."""
    spare = [os.dup2(fd, 100 + place) for place, fd in enumerate(fds)]
    for fd in fds:
        os.close(fd)
    for place, fd in enumerate(spare):
        os.dup2(fd, place, inheritable=place < 3)
        os.close(fd)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    _set_limits(job["limits"])
    os.chdir("/tmp")  # noqa: S108 the sandbox's own tmpfs
    code = 0
    try:
        if job["mode"] == "script":
            run_source(job["source"], "__main__")
        elif job["mode"] == "serve":
            from tasks.grade.code.inside.serve import serve

            serve(job["source"], socket.socket(fileno=3))
        else:
            from tasks.grade.code.inside.drive import drive

            drive(job, socket.socket(fileno=3), verdict_fd=4)
    except MemoryError:
        code = MEMORY_EXIT
    except SystemExit as stop:
        code = _exit_code(stop)
    except BaseException:  # noqa: BLE001 whatever the program raised is reported as Python would
        import traceback

        traceback.print_exc()
        code = 1
    _leave(code)


def _exit_code(stop: SystemExit) -> int:
    if stop.code is None:
        return 0
    if isinstance(stop.code, int):
        return stop.code & 0xFF
    print(stop.code, file=sys.stderr)
    return 1


def _leave(code: int) -> None:
    """Join threads, run exit handlers and flush as Python does, without tearing down every module (10 ms)."""
    try:
        if "threading" in sys.modules:
            sys.modules["threading"]._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 the program's own handlers and files may fail in any way
        code = code or 120
    os._exit(code)


def run_source(source: str, name: str) -> types.ModuleType:
    """Run a program as module `name` (`__main__` or `program`) and return the module."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    sys.argv[:] = ["program.py"]
    exec(compile(source, "program.py", "exec"), module.__dict__)  # noqa: S102 this is the sandbox
    return module


def _set_limits(limits: dict[str, int]) -> None:
    pairs = (
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_NPROC, limits["processes"] + OWN_PROCESSES),
        (resource.RLIMIT_FSIZE, limits["disk_bytes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_CORE, 0),
    )
    for which, value in pairs:
        resource.setrlimit(which, (value, value))
    # One second between SIGXCPU, which names the reason, and SIGKILL, which cannot be caught.
    resource.setrlimit(resource.RLIMIT_CPU, (limits["cpu_seconds"], limits["cpu_seconds"] + 1))
