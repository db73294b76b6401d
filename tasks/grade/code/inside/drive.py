"""The tests' side of function tests: a process of its own, in a sandbox of its own.

Names of the program are stand-ins that call over the channel and bring plain data back, so the expected values,
the asserts and the verdict live where the program never runs: it cannot patch, read or print them.
"""

from __future__ import annotations

import builtins
import json
import os
import socket
from typing import Any

from tasks.grade.code.inside.wire import WireError, decode, encode, receive_frame, send_frame

GONE = ["runtime error", "the program ended"]
_NOT_RAISED = (StopIteration, StopAsyncIteration, UnicodeError)
"""Not raised as themselves: the first two would end a loop of the tests as if all were done, the third needs more."""


class ProgramGone(BaseException):
    """The program's process ended. Not an Exception: a test's own `except Exception` must not swallow it."""


class ProgramError(Exception):
    """The program raised something that is not a builtin Exception (SystemExit and its own classes too)."""


class Reference:
    """An object that stays with the program. It has no truth and no equality here: those must be real values."""

    __slots__ = ("_link", "_number")

    def __init__(self, link: Link, number: int | None) -> None:  # noqa: D107
        object.__setattr__(self, "_link", link)
        object.__setattr__(self, "_number", number)

    def __getattr__(self, name: str) -> Any:  # noqa: D105
        if name.startswith("__"):
            raise AttributeError(name)
        return self._link.ask("get", self._number, name)

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: D105
        self._link.ask("set", self._number, (name, value))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return self._link.ask("call", self._number, (args, kwargs))

    def __iter__(self) -> Any:  # noqa: D105
        return iter(_exactly(list, self._link.ask("iter", self._number, None)))

    def __len__(self) -> int:  # noqa: D105
        return int(_exactly(int, self._link.ask("len", self._number, None)))

    def __getitem__(self, key: Any) -> Any:  # noqa: D105
        return self._link.ask("item", self._number, key)

    def __str__(self) -> str:  # noqa: D105
        return str(_exactly(str, self._link.ask("str", self._number, None)))

    def _refuse(self, *_others: object) -> bool:
        raise TypeError("an object of the program's own class cannot decide a test: return plain data")

    __eq__ = __ne__ = _refuse
    __bool__ = _refuse
    __contains__ = _refuse
    __hash__ = None  # type: ignore[assignment]


def _exactly(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise ProgramError(f"expected {kind.__name__}, not {type(value).__name__}")
    return value


class Link:
    """Requests to the program's process."""

    def __init__(self, channel: socket.socket) -> None:
        """Wait until the program has run its top level; `failure` says why it could not, or is empty."""
        self.channel = channel
        self.last_error: Exception | None = None
        self.failure: list[str] = []
        """Outcome of every test from now on, once the program is gone."""
        try:
            self._receive()
        except ProgramGone:
            pass
        except Exception as error:  # noqa: BLE001 the program's own error, reported as such
            reason = "memory limit" if isinstance(error, MemoryError) else "runtime error"
            self.failure = [reason, f"{type(error).__name__}: {error}"[:500]]

    def ask(self, operation: str, target: int | None, arguments: Any) -> Any:
        """The program's answer as plain data. Raises what the program raised, or ProgramGone."""
        try:
            send_frame(self.channel, [operation, target, encode(arguments, _own_number)])
        except OSError:
            self.failure = GONE
            raise ProgramGone from None
        return self._receive()

    def raised(self, error: BaseException) -> bool:
        """Whether this error is the one that the program answered last."""
        return error is self.last_error

    def _receive(self) -> Any:
        try:
            answer, _fds = receive_frame(self.channel)
        except (EOFError, OSError):
            self.failure = GONE
            raise ProgramGone from None
        if not isinstance(answer, dict) or len(answer) != 1:
            raise WireError("an answer that is none")
        if "value" in answer:
            return decode(answer["value"], lambda number: Reference(self, number))
        name, message = (str(part) for part in answer["error"])
        kind = getattr(builtins, name, None)
        usable = isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, _NOT_RAISED)
        self.last_error = kind(message) if usable else ProgramError(f"{name}: {message}")  # type: ignore[misc]
        raise self.last_error


def _own_number(thing: Any) -> int:
    """A reference travels back as its number; anything else of the tests' own cannot leave."""
    number = object.__getattribute__(thing, "_number") if type(thing) is Reference else None
    if number is None:
        raise TypeError(f"a {type(thing).__name__} cannot be passed to the program")
    return int(number)


def drive(job: dict[str, Any], channel: socket.socket, *, verdict_fd: int) -> None:
    """Run every test of the job; write one JSON line a test: `[outcome, detail]`."""
    link = Link(channel)
    for test in job["tests"]:
        outcome = link.failure or _run_test(test, link)
        os.write(verdict_fd, json.dumps(outcome).encode() + b"\n")
    os._exit(0)


def _run_test(test: dict[str, Any], link: Link) -> list[str]:
    """Outcome of one test. Passed means only: every statement of the test ran to its end."""
    namespace: dict[str, Any] = {"__name__": "tests"}
    try:
        _execute(test["setup"], namespace)
        for name in test["entry_points"]:
            namespace[name] = link.ask("get", None, name)
        _execute(test["code"], namespace)
    except BaseException as error:  # noqa: BLE001 a test that ends in any error is not passed
        if isinstance(error, ProgramGone):
            return link.failure
        detail = f"{type(error).__name__}: {error}"[:500]
        if link.raised(error):
            return ["memory limit" if isinstance(error, MemoryError) else "runtime error", detail]
        return ["wrong answer" if isinstance(error, AssertionError) else "test error", detail]
    # A test's own bare `except` may have swallowed the end of the program.
    return link.failure or ["passed", ""]


def _execute(code: str, namespace: dict[str, Any]) -> None:
    exec(compile(code, "tests.py", "exec"), namespace)  # noqa: S102 this is the sandbox
