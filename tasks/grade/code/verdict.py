"""What goes into the code judge and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class IsolationError(RuntimeError):
    """The sandbox cannot be built on this machine. The message says what to install; no program was run."""


class Limits(BaseModel):
    """What one program may use. Sizes and counts hold per sandbox or per process, as each field says."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    wall_seconds: float = Field(10.0, gt=0, le=600)
    """Wall time of one run: one stdin test, or all function tests of a program together."""
    cpu_seconds: int = Field(10, ge=1, le=600)
    """CPU time of one process (RLIMIT_CPU)."""
    memory_bytes: int = Field(512 << 20, ge=64 << 20, le=64 << 30)
    """Address space of one process (RLIMIT_AS), and resident memory of all together (looked at ten times a second)."""
    processes: int = Field(8, ge=1, le=256)
    """Processes and threads at a time, the program's own included (RLIMIT_NPROC)."""
    disk_bytes: int = Field(16 << 20, ge=1 << 16, le=4 << 30)
    """Size of /tmp (in memory), the only place that can be written; also of one file (RLIMIT_FSIZE)."""
    open_files: int = Field(64, ge=16, le=4096)
    """Open files of one process (RLIMIT_NOFILE)."""
    output_bytes: int = Field(1 << 20, ge=1, le=1 << 30)
    """Standard output and standard error of one run together; one byte more ends the run."""
    stop_at_first_failure: bool = True
    """Leave the rest of a program's stdin tests unrun after the first that fails (their reason: not run)."""


class Reason(StrEnum):
    """Why a test or a program got its verdict. Only `PASSED` earns anything."""

    PASSED = "passed"
    WRONG_ANSWER = "wrong answer"
    TIME_LIMIT = "time limit"
    MEMORY_LIMIT = "memory limit"
    OUTPUT_LIMIT = "output limit"
    RUNTIME_ERROR = "runtime error"
    TEST_ERROR = "test error"
    """The test's own code failed, not on an assert (or it compared something that is not plain data)."""
    NOT_RUN = "not run"


@dataclass(frozen=True)
class StdioTest:
    """A program reads `stdin` and must print `stdout`: all of it, nothing more (see `compare.py`).

    Args:
        stdin: the whole input.
        stdout: the whole expected output.
        tolerance: absolute or relative error allowed for tokens that are numbers; None = as text.
    """

    stdin: str
    stdout: str
    tolerance: float | None = None


@dataclass(frozen=True)
class FunctionTest:
    """Python code that passes when it runs to its end: asserts, or `def check(candidate)` and a call of it.

    Args:
        code: the test.
        entry_points: the names that are taken from the program. Every other name must be the test's own, so a
            program cannot slip in its own `isclose`.
        setup: trusted code to run first, such as imports and the helper functions of the prompt.
    """

    code: str
    entry_points: tuple[str, ...]
    setup: str = ""


@dataclass(frozen=True)
class TestOutcome:
    """Verdict of one test."""

    reason: Reason
    detail: str = ""
    seconds: float = 0.0
    """Wall time; for function tests that of the whole run is in the verdict only."""

    __test__ = False  # pytest: not a test class


@dataclass(frozen=True)
class CodeVerdict:
    """Verdict of one program. `passed` only if every test passed."""

    passed: bool
    reason: Reason
    """That of the first test that did not pass."""
    tests: tuple[TestOutcome, ...]
    stdout_tail: str
    """Last 2,000 characters of the last run's standard output."""
    stderr_tail: str
    seconds: float
    """Wall time of all runs, without the start of the sandbox when it was warm."""
    cpu_seconds: float
    """CPU time of the program's processes as far as they ended by themselves."""

    @property
    def pass_share(self) -> float:
        """Share of tests that passed."""
        return sum(test.reason is Reason.PASSED for test in self.tests) / len(self.tests)


def make_verdict(
    tests: list[TestOutcome], *, stdout: bytes, stderr: bytes, seconds: float, cpu_seconds: float
) -> CodeVerdict:
    """Verdict of the outcomes of all tests."""
    reason = next((test.reason for test in tests if test.reason is not Reason.PASSED), Reason.PASSED)
    return CodeVerdict(
        passed=reason is Reason.PASSED and len(tests) > 0,
        reason=reason,
        tests=tuple(tests),
        stdout_tail=stdout[-8000:].decode(errors="replace")[-2000:],
        stderr_tail=stderr[-8000:].decode(errors="replace")[-2000:],
        seconds=seconds,
        cpu_seconds=cpu_seconds,
    )
