"""Sandboxes leave nothing behind. In a file of its own: no other judge fills its pool while this one is looked at."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tasks.grade.code import CodeJudge, FunctionTest, Limits, StdioTest, run_code

LIMITS = Limits(wall_seconds=3, cpu_seconds=1, memory_bytes=256 << 20, disk_bytes=8 << 20)


def descendants(pid: int) -> set[int]:
    """Process ids below `pid`, from /proc."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(fields[1])
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in {pid, *found}} - found:
        found |= more
    return found


def host_state() -> dict[str, Any]:
    """What a run could leave behind: processes, files, open files, mounts, threads."""
    return {
        "processes": descendants(os.getpid()),
        "files": {path for folder in ("/tmp", "/dev/shm", "/var/tmp") for path in os.listdir(folder)},
        "open files": len(os.listdir("/proc/self/fd")),
        "mounts": Path("/proc/self/mounts").read_text(),
        "threads": threading.active_count(),
    }


def left_behind(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What is there now and was not before; what ended meanwhile, a server of another test, is no matter.

    Other processes of this machine may write to /tmp too: only names of ours count there.
    """
    found = [f"process {pid}" for pid in after["processes"] - before["processes"]]
    found += [name for name in after["files"] - before["files"] if "seccomp" in name or "judge" in name]
    found += [name for name in ("open files", "threads") if after[name] > before[name]]
    return found + ([] if after["mounts"] == before["mounts"] else [after["mounts"]])


@pytest.mark.parametrize("runs", [50, pytest.param(1000, marks=pytest.mark.slow)])
def test_runs_leave_nothing(runs: int) -> None:
    before = host_state()
    litter = (
        "import os, time\nopen('/tmp/litter', 'w').write('x')\n"
        "if os.fork() == 0:\n    os.setsid()\n    time.sleep(99)\nprint(input())"
    )
    with CodeJudge(LIMITS, warm=4) as judge:
        jobs = [(litter, [StdioTest(f"{number}\n", f"{number}\n")]) for number in range(runs)]
        assert all(verdict.passed for verdict in judge.run_many(jobs, workers=2))
    assert left_behind(before, host_state()) == []


def test_an_error_in_the_judge_leaves_nothing() -> None:
    before = host_state()
    with pytest.raises(ValueError, match="no tests"):
        run_code("print(1)", [])
    with CodeJudge(LIMITS, warm=2) as judge, pytest.raises(ValueError, match="two kinds"):
        judge.run("print(1)", [StdioTest("", "1"), FunctionTest("assert f()", ("f",))])  # type: ignore[list-item]
    assert left_behind(before, host_state()) == []
