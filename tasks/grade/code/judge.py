"""The judge: outside the sandbox, the only place where expected outputs are known and verdicts are made."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType

from tasks.grade.code.compare import same_output
from tasks.grade.code.inside.runner import MEMORY_EXIT
from tasks.grade.code.sandbox import Sandbox, SandboxPool
from tasks.grade.code.verdict import (
    CodeVerdict,
    FunctionTest,
    Limits,
    Reason,
    StdioTest,
    TestOutcome,
    make_verdict,
)
from tasks.grade.code.watch import GONE, VERDICT, Run, Watch

TIME_EXITS = (-24, -9)
"""SIGXCPU, and SIGKILL one CPU second later."""
Tests = Sequence[StdioTest] | Sequence[FunctionTest]


class CodeJudge:
    """Runs programs against tests, each in sandboxes of its own. Thread-safe; use it as a context manager."""

    def __init__(self, limits: Limits | None = None, *, warm: int = 4) -> None:
        """Start sandboxes ahead: `warm` wait at any time (a function-tested program takes two).

        Nothing is raised here: an IsolationError comes with the first program, before anything of it runs.
        """
        self.limits = limits or Limits()
        self._pool = SandboxPool(self.limits, max(1, warm))

    def __enter__(self) -> CodeJudge:  # noqa: D105
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill every sandbox that is left."""
        self._pool.close()

    def run(self, program: str, tests: Tests) -> CodeVerdict:
        """Verdict of one program.

        Args:
            program: Python source text, untrusted.
            tests: all `StdioTest` or all `FunctionTest`, at least one.

        Raises:
            IsolationError: no sandbox can be built here; nothing was run.
            ValueError: no tests, or two kinds at once.
        """
        if not tests:
            raise ValueError("no tests: a program that nothing tests cannot pass")
        stdio = [test for test in tests if isinstance(test, StdioTest)]
        functions = [test for test in tests if isinstance(test, FunctionTest)]
        if stdio and functions:
            raise ValueError("tests of two kinds: judge stdin tests and function tests apart")
        return self._run_stdio(program, stdio) if stdio else self._run_functions(program, functions)

    def run_many(self, jobs: Iterable[tuple[str, Tests]], *, workers: int = 2) -> Iterator[CodeVerdict]:
        """Verdicts in the order of the jobs, `workers` programs at a time."""
        with ThreadPoolExecutor(workers) as threads:
            yield from threads.map(lambda job: self.run(*job), jobs)

    def _run_stdio(self, program: str, tests: list[StdioTest]) -> CodeVerdict:
        """One sandbox runs one test after another, each in a fork; it is replaced when a run had to be killed."""
        outcomes: list[TestOutcome] = []
        runs: list[Run] = []
        box: Sandbox | None = None
        try:
            for test in tests:
                if self.limits.stop_at_first_failure and any(out.reason is not Reason.PASSED for out in outcomes):
                    outcomes.append(TestOutcome(Reason.NOT_RUN))
                    continue
                box = box or self._pool.take()
                runs.append(self._run_script(box, program, test))
                outcomes.append(_stdio_outcome(runs[-1], test))
                if runs[-1].stopped is not None:
                    box.close()
                    box = None
        finally:
            if box is not None:
                box.close()
        return make_verdict(
            outcomes,
            stdout=bytes(runs[-1].streams["stdout"]),
            stderr=bytes(runs[-1].streams["stderr"]),
            seconds=sum(run.seconds for run in runs),
            cpu_seconds=sum(run.report["cpu_seconds"] for run in runs if run.report),
        )

    def _run_script(self, box: Sandbox, program: str, test: StdioTest) -> Run:
        job = {"mode": "script", "source": program, "limits": self.limits.model_dump()}
        stdin_fd = _sealed_file(test.stdin.encode(errors="surrogateescape"))
        with Watch(box, self.limits) as watch:
            try:
                box.send_job(job, (stdin_fd, watch.pipe("stdout"), watch.pipe("stderr")))
            except OSError:
                # An earlier run of this same program killed or stopped the runner.
                watch.run.stopped = Reason.RUNTIME_ERROR
            finally:
                os.close(stdin_fd)
            return watch.wait(until_verdict=False)

    def _run_functions(self, program: str, tests: list[FunctionTest]) -> CodeVerdict:
        """Two sandboxes: the program's, which answers calls, and the tests', which makes them and reports."""
        limits = self.limits.model_dump()
        listed = [{"code": test.code, "setup": test.setup, "entry_points": test.entry_points} for test in tests]
        with ExitStack() as files:
            program_box = self._pool.take()
            files.callback(program_box.close)
            driver_box = self._pool.take()
            files.callback(driver_box.close)
            program_end, driver_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            null_fd = os.open(os.devnull, os.O_RDWR)
            watch = files.enter_context(Watch(program_box, self.limits))
            try:
                fds = (null_fd, watch.pipe("stdout"), watch.pipe("stderr"), program_end.fileno())
                program_box.send_job({"mode": "serve", "source": program, "limits": limits}, fds)
                driver_fds = (null_fd, null_fd, null_fd, driver_end.fileno(), watch.pipe(VERDICT))
                driver_box.send_job({"mode": "drive", "tests": listed, "limits": limits}, driver_fds)
            finally:
                program_end.close()
                driver_end.close()
                os.close(null_fd)
            run = watch.wait(until_verdict=True)
        return make_verdict(
            _function_outcomes(run, len(tests)),
            stdout=bytes(run.streams["stdout"]),
            stderr=bytes(run.streams["stderr"]),
            seconds=run.seconds,
            cpu_seconds=run.report["cpu_seconds"] if run.report else 0.0,
        )


def run_code(program: str, tests: Tests, limits: Limits | None = None) -> CodeVerdict:
    """Verdict of one program in sandboxes started for it (`CodeJudge` keeps some started: use it for many)."""
    with CodeJudge(limits, warm=1) as judge:
        return judge.run(program, tests)


def _sealed_file(data: bytes) -> int:
    """Read-only file in memory that holds a test's input; the program can neither change nor grow it."""
    fd = os.memfd_create("stdin", os.MFD_ALLOW_SEALING)
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def _exit_reason(run: Run) -> tuple[Reason, str]:
    """Why the program's process ended as it did: a label, never a pass."""
    if run.stopped is not None:
        return run.stopped, run.detail
    code = run.report["exit"] if run.report else None
    if code == MEMORY_EXIT:
        return Reason.MEMORY_LIMIT, "MemoryError"
    if code in TIME_EXITS:
        return Reason.TIME_LIMIT, f"ended by signal {-code}"
    return Reason.RUNTIME_ERROR, f"exit code {code}"


def _stdio_outcome(run: Run, test: StdioTest) -> TestOutcome:
    if run.stopped is not None or run.report is None or run.report["exit"] != 0:
        return TestOutcome(*_exit_reason(run), run.seconds)
    printed = run.streams["stdout"].decode(errors="surrogateescape")
    if same_output(printed, test.stdout, test.tolerance):
        return TestOutcome(Reason.PASSED, "", run.seconds)
    return TestOutcome(Reason.WRONG_ANSWER, "", run.seconds)


def _function_outcomes(run: Run, count: int) -> list[TestOutcome]:
    """Outcomes from the driver's lines; a test without a line did not pass, and nothing did past a limit."""
    outcomes = []
    for line in run.streams[VERDICT].split(b"\n")[:-1]:
        try:
            reason, detail = json.loads(line)
            outcome = TestOutcome(Reason(reason), str(detail))
        except (ValueError, TypeError):
            outcome = TestOutcome(Reason.TEST_ERROR, "the tests wrote over their own verdict")
        if outcome.reason is Reason.RUNTIME_ERROR and outcome.detail == GONE.decode():
            outcome = TestOutcome(*_exit_reason(run))
        outcomes.append(outcome)
    if len(outcomes) < count or run.stopped is not None:
        late = _exit_reason(run) if run.stopped else (Reason.TEST_ERROR, "the tests' own process ended early")
        outcomes = outcomes[: count - 1] + [TestOutcome(*late)] * (count - len(outcomes[: count - 1]))
    return outcomes[:count]
