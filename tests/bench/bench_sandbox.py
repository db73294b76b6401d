"""Runs per second of the code judge. `python tests/bench/bench_sandbox.py [programs] [workers]`.

Cold: a sandbox started for each program. Warm: taken from the pool, which starts the next one meanwhile. Many tests:
one program, each test in a fork of its own inside one sandbox.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tasks.grade.code import CodeJudge, CodeVerdict, FunctionTest, StdioTest, run_code

STDIO = ("print(int(input()) + 1)", [StdioTest("1\n", "2\n")])
FUNCTION = ("def f(x):\n    return x + 1", [FunctionTest("assert f(1) == 2", ("f",))])


def report(label: str, count: int, verdicts: Iterable[CodeVerdict]) -> None:
    """Consume the verdicts and print runs per second of wall time."""
    start = time.perf_counter()
    passed = sum(verdict.passed for verdict in verdicts)
    seconds = time.perf_counter() - start
    print(
        f"{label:28} {count / seconds:7.1f} runs/s  ({seconds / count * 1000:6.1f} ms a run, {passed}/{count} passed)"
    )


def main() -> None:
    """Print one line a case, after the machine's load: the figures are wall time."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {workers} workers")
    report("cold stdio", count // 4, (run_code(*STDIO) for _ in range(count // 4)))
    with CodeJudge(warm=2 * workers) as judge:
        judge.run(*STDIO)
        report("warm stdio", count, judge.run_many([STDIO] * count, workers=workers))
        report("warm function (2 sandboxes)", count, judge.run_many([FUNCTION] * count, workers=workers))
        start = time.perf_counter()
        passed = judge.run(STDIO[0], STDIO[1] * count).passed
        seconds = time.perf_counter() - start
        print(f"{'many tests, one program':28} {count / seconds:7.1f} tests/s (passed: {passed})")
        time.sleep(1)
        start = time.perf_counter()
        judge.run(*STDIO)
        print(f"{'latency of one, pool full':28} {(time.perf_counter() - start) * 1000:7.1f} ms")


if __name__ == "__main__":
    main()
