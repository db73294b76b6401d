"""Model-written code gets nothing: no way out of the sandbox, no reward for a cheat, no trace left behind."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.grade.code import CodeJudge, FunctionTest, IsolationError, Limits, Reason, StdioTest, run_code
from tasks.grade.code.seccomp import DENIED, build_filter
from tests.hostile import sandbox_cheats as cheats
from tests.hostile.sandbox_probes import probes

REPOSITORY = Path(__file__).resolve().parents[2]
LIMITS = Limits(wall_seconds=3, cpu_seconds=1, memory_bytes=256 << 20, disk_bytes=8 << 20)
STDIO_TESTS = [
    StdioTest(cheats.STDIN, cheats.STDOUT),
    StdioTest(cheats.SECOND_STDIN, cheats.SECOND_STDOUT),
]
FUNCTION_TESTS = [FunctionTest(code, ("solve",)) for code in (*cheats.ASSERTS, cheats.CHECK)]


class Listener:
    """A TCP, a UDP and an abstract unix socket of the host that count who comes."""

    def __init__(self) -> None:
        self.name = f"rigor-{uuid.uuid4().hex}"
        self.sockets = [
            socket.socket(),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            socket.socket(socket.AF_UNIX),
        ]
        self.sockets[0].bind(("127.0.0.1", 0))
        self.port = self.sockets[0].getsockname()[1]
        self.sockets[1].bind(("127.0.0.1", self.port))
        self.sockets[2].bind(f"\0{self.name}")
        for each in self.sockets:
            each.setblocking(False)
        self.sockets[0].listen()
        self.sockets[2].listen()

    def visitors(self) -> int:
        count = 0
        for each, ask in zip(
            self.sockets, (lambda s: s.accept(), lambda s: s.recv(9), lambda s: s.accept()), strict=True
        ):
            try:
                ask(each)
                count += 1
            except BlockingIOError:
                continue
        return count


@pytest.fixture(scope="module")
def judge() -> Iterator[CodeJudge]:
    with CodeJudge(LIMITS, warm=4) as judge:
        yield judge


def test_probes(judge: CodeJudge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every probe prints ESCAPED if it gets through; the host checks processes, sockets, files and itself."""
    secret = tmp_path / "secret.txt"
    secret.write_text("secret of the host")
    monkeypatch.setenv("RIGOR_TOKEN", "secret token")
    listener = Listener()
    programs = probes(
        secret=str(secret), port=listener.port, name=listener.name, pid=os.getpid(), project=str(REPOSITORY)
    )
    assert len(programs) >= 40
    # A judge of its own: its sandboxes start when the secrets are already there.
    with CodeJudge(LIMITS, warm=4) as own:
        jobs = [(program, [StdioTest("7\n", "wanted-output-never-printed")]) for program in programs.values()]
        for title, verdict in zip(programs, own.run_many(jobs, workers=3), strict=True):
            printed = verdict.stdout_tail + verdict.stderr_tail
            assert "ESCAPED" not in printed, f"{title}: {printed}"
            assert "secret" not in verdict.stdout_tail, title
            assert "SyntaxError" not in printed, f"{title}: {printed}"
            assert not verdict.passed, title
    assert listener.visitors() == 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert listener.name.encode() not in path.read_bytes(), "a child outlived the sandbox"
        except (FileNotFoundError, ProcessLookupError):
            continue
    assert not Path("/new").exists()
    assert secret.read_text() == "secret of the host"
    assert judge.run(cheats.HONEST_STDIO, STDIO_TESTS).passed


def test_probes_would_notice_a_missing_wall(tmp_path: Path) -> None:
    """The probes themselves work: without a sandbox the harmless ones among them report an escape."""
    secret = tmp_path / "secret.txt"
    secret.write_text("secret of the host")
    listener = Listener()
    programs = probes(
        secret=str(secret), port=listener.port, name=listener.name, pid=os.getpid(), project=str(REPOSITORY)
    )
    for title in ("tcp", "udp", "ipv6", "abstract socket", "passwd", "project", "host file", "proc", "run a shell"):
        done = subprocess.run([sys.executable, "-c", programs[title]], capture_output=True, text=True, cwd=tmp_path)
        assert "ESCAPED" in done.stdout, f"{title}: {done.stdout}{done.stderr}"
    assert listener.visitors() == 3


def test_honest_programs_pass(judge: CodeJudge) -> None:
    """The control of the test below."""
    assert judge.run(cheats.HONEST_STDIO, STDIO_TESTS).passed
    assert judge.run(cheats.HONEST_FUNCTION, FUNCTION_TESTS).passed


def test_no_cheat_is_rewarded(judge: CodeJudge) -> None:
    stdio, functions = cheats.stdio_cheats(), cheats.function_cheats()
    assert len(set(stdio)) + len(set(functions)) >= 200
    jobs = [(cheat, STDIO_TESTS) for cheat in stdio] + [(cheat, FUNCTION_TESTS) for cheat in functions]
    for (cheat, _tests), verdict in zip(jobs, judge.run_many(jobs, workers=3), strict=True):
        assert not verdict.passed, f"rewarded:\n{cheat}"
        assert verdict.reason is not Reason.PASSED
        assert "SyntaxError" not in verdict.stderr_tail, cheat


def test_cheats_fail_on_every_single_check(judge: CodeJudge) -> None:
    """An object that equals everything passes no assert at all, not even the first."""
    for kind in ("", "(list)", "(int)"):
        program = f"class T{kind}:\n    {cheats._ALWAYS}\n    __hash__ = None\ndef solve(numbers): return T()\n"
        verdict = judge.run(program, FUNCTION_TESTS[:1])
        assert verdict.pass_share == 0.0, program


def test_refuses_without_bubblewrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fail closed: no tool, no run, and the message says what to install."""
    marker = tmp_path / "ran"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(IsolationError, match="apt-get install bubblewrap"):
        run_code(f"open({str(marker)!r}, 'w')", [StdioTest("", "")])
    assert not marker.exists()


def test_refuses_when_the_sandbox_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that forbids namespaces: bwrap fails, and so does the judge."""
    broken = shutil.which("false")
    assert broken is not None
    monkeypatch.setattr("tasks.grade.code.isolation.find_tool", lambda name: os.path.realpath(broken))
    with pytest.raises(IsolationError, match="user namespaces"):
        run_code("print(1)", [StdioTest("", "1")])


def test_refuses_a_sandbox_with_a_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner reports what it sees: a filter that lets a socket through is noticed before any program runs."""
    allow_everything = bytes.fromhex("0600000000 00ff7f".replace(" ", ""))
    monkeypatch.setattr("tasks.grade.code.sandbox.build_filter", lambda: allow_everything)
    with pytest.raises(IsolationError, match="network"):
        run_code("print(1)", [StdioTest("", "1")])


def test_filter_tables() -> None:
    """One number a call, none twice, and no filter for an unknown machine."""
    for column in (0, 1):
        numbers = [pair[column] for pair in DENIED.values() if pair[column] is not None]
        assert len(numbers) == len(set(numbers))
    assert len(build_filter("x86_64")) % 8 == 0
    with pytest.raises(IsolationError, match="riscv64"):
        build_filter("riscv64")
