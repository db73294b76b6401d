# ruff: noqa: E501 the programs are kept as they run
"""The code judge: verdicts, reasons, and the reference solutions of HumanEval and MBPP."""

from __future__ import annotations

import ast
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.grade.code import CodeJudge, FunctionTest, Limits, Reason, StdioTest, run_code, same_output
from tasks.grade.code.inside.wire import decode, encode

pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")
LIMITS = Limits(wall_seconds=4, cpu_seconds=1, memory_bytes=256 << 20, output_bytes=100_000)
SUBSET = 30


@pytest.fixture(scope="module")
def judge() -> Iterator[CodeJudge]:
    with CodeJudge(LIMITS, warm=4) as judge:
        yield judge


def function_reason(judge: CodeJudge, program: str, code: str, *names: str) -> Reason:
    return judge.run(program, [FunctionTest(code, names or ("f",))]).reason


def test_run_code_alone() -> None:
    verdict = run_code("print(int(input()) * 2)", [StdioTest("4\n", "8\n")])
    assert verdict.passed
    assert verdict.stdout_tail == "8\n"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("print(input())", Reason.PASSED),
        ("print(input() + '!')", Reason.WRONG_ANSWER),
        ("print(1 / 0)", Reason.RUNTIME_ERROR),
        ("print(input()); raise SystemExit(3)", Reason.RUNTIME_ERROR),
        ("print(input()", Reason.RUNTIME_ERROR),
        ("\0", Reason.RUNTIME_ERROR),
        ("while True: pass", Reason.TIME_LIMIT),
        ("import time; time.sleep(60)", Reason.TIME_LIMIT),
        ("x = [0] * (1 << 30)", Reason.MEMORY_LIMIT),
        ("x = []\nwhile True: x.append(bytearray(1 << 20))", Reason.MEMORY_LIMIT),
        ("import os, time\nfor _ in range(5):\n  if os.fork() == 0:\n    x = bytearray(90 << 20); time.sleep(9)\ntime.sleep(9)", Reason.MEMORY_LIMIT),
        ("while True: print('x' * 1000)", Reason.OUTPUT_LIMIT),
        ("import sys\nwhile True: print('x' * 1000, file=sys.stderr)", Reason.OUTPUT_LIMIT),
        ("import sys; sys.stdout.write('x' * 100_001)", Reason.OUTPUT_LIMIT),
        ("import sys; sys.setrecursionlimit(10**6)\ndef f(n): return n and 1 + f(n - 1)\nf(50_000); print(input())", Reason.PASSED),
        ("import threading\nt = threading.Thread(target=lambda: print(input())); t.start()", Reason.PASSED),
        ("import atexit; atexit.register(lambda: print(input()))", Reason.PASSED),
        ("import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())", Reason.PASSED),
        ("import sys; sys.stdout.buffer.write(b'\\xff')", Reason.WRONG_ANSWER),
        ("if __name__ == '__main__': print(open(0).read())", Reason.PASSED),
        ("import subprocess, sys; print(subprocess.run([sys.executable, '-c', 'print(input())'], text=True, "
         "capture_output=True, input=input()).stdout)", Reason.PASSED),
    ],
)  # fmt: skip
def test_stdio_reasons(judge: CodeJudge, program: str, reason: Reason) -> None:
    verdict = judge.run(program, [StdioTest("héllo\n", "héllo\n")])
    assert verdict.reason is reason, verdict
    assert verdict.passed is (reason is Reason.PASSED)


def test_every_stdin_test_counts(judge: CodeJudge) -> None:
    """One failing test fails the program; the rest is not run, or is with `stop_at_first_failure=False`."""
    tests = [StdioTest(f"{number}\n", f"{number % 3}\n") for number in (0, 1, 2, 3, 4)]
    verdict = judge.run("n = int(input())\nprint(n)", tests)
    assert [test.reason.value for test in verdict.tests] == ["passed"] * 3 + ["wrong answer", "not run"]
    assert not verdict.passed
    with CodeJudge(LIMITS.model_copy(update={"stop_at_first_failure": False, "wall_seconds": 0.7})) as all_tests:
        verdict = all_tests.run("n = int(input())\nwhile n == 1: pass\nprint(n)", tests)
    assert [test.reason.value for test in verdict.tests] == [
        "passed",
        "time limit",
        "passed",
        "wrong answer",
        "wrong answer",
    ]
    assert verdict.pass_share == 0.4
    assert verdict.reason is Reason.TIME_LIMIT


def test_runs_of_one_program_share_nothing_in_memory(judge: CodeJudge) -> None:
    program = "import builtins\nbuiltins.seen = getattr(builtins, 'seen', 0) + 1\nprint(builtins.seen)"
    assert judge.run(program, [StdioTest("", "1\n")] * 3).passed


def test_large_input_and_output() -> None:
    numbers = list(range(200_000))
    text = "\n".join(map(str, numbers))
    program = "import sys\nfor line in sys.stdin: print(int(line) + 1)"
    expected = "\n".join(str(number + 1) for number in numbers)
    assert run_code(program, [StdioTest(text, expected)], Limits(output_bytes=4 << 20)).passed


@pytest.mark.parametrize(
    ("program", "code", "reason"),
    [
        ("def f(x): return x + 1", "assert f(1) == 2", Reason.PASSED),
        ("def f(x): return x + 1", "assert f(1) == 3", Reason.WRONG_ANSWER),
        ("def f(x): return x.y", "assert f(1) == 3", Reason.RUNTIME_ERROR),
        ("def g(x): return x", "assert f(1) == 1", Reason.RUNTIME_ERROR),
        ("def f(x:", "assert f(1) == 1", Reason.RUNTIME_ERROR),
        ("def f(x):\n  while True: pass", "assert f(1) == 1", Reason.TIME_LIMIT),
        ("while True: pass", "assert f(1) == 1", Reason.TIME_LIMIT),
        ("def f(x): return [0] * 10**9", "assert f(1) == 1", Reason.MEMORY_LIMIT),
        ("def f(x):\n  while True: print('x' * 999)", "assert f(1) == 1", Reason.OUTPUT_LIMIT),
        ("import os\ndef f(x): os._exit(0)", "assert f(1) == 1", Reason.RUNTIME_ERROR),
        ("def f(x): raise SystemExit", "try:\n  f(1)\nexcept Exception: raise\nassert False", Reason.RUNTIME_ERROR),
        ("def f(x): raise ValueError('no')", "try:\n  f(1)\n  assert False\nexcept ValueError: pass", Reason.PASSED),
        ("def f(x): return x", "assert f(1) == undefined", Reason.TEST_ERROR),
        ("def f(x): return x\ndef isclose(a, b): return True", "assert isclose(f(1), 2)", Reason.TEST_ERROR),
        ("def f(*a, **k): return a, k", "assert f(1, b=2) == ((1,), {'b': 2})", Reason.PASSED),
        ("from collections import Counter\ndef f(x): return Counter(x)", "assert f('aab') == {'a': 2, 'b': 1}", Reason.PASSED),
        ("def f(x): return map(str, x)", "assert list(f([1, 2])) == ['1', '2']", Reason.PASSED),
        ("def f(x): return (i for i in x)", "assert f([1]) == [1]", Reason.TEST_ERROR),
        ("def f(x): return x == x", "assert f(float('nan')) is False", Reason.PASSED),
        ("def f(x): return 10 ** x", "assert f(6000) == 10 ** 6000", Reason.PASSED),
        ("input = None\ndef f(x): return x\nif __name__ == '__main__': raise SystemExit", "assert f(1) == 1", Reason.PASSED),
    ],
)  # fmt: skip
def test_function_reasons(judge: CodeJudge, program: str, code: str, reason: Reason) -> None:
    assert function_reason(judge, program, code) is reason


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("def f(x): raise StopIteration", "assert all(map(lambda x: f(x) == x, [1, 2]))"),
        ("class StopIteration(Exception): pass\ndef f(x): raise StopIteration", "assert all(map(f, [1, 2]))"),
        ("import os\ndef f(x): os._exit(0)", "try:\n  f(1)\nexcept:\n  pass"),
        ("import os\ndef f(x): os._exit(0)", "try:\n  assert f(1) == 1\nfinally:\n  f = lambda x: 1"),
    ],
)
def test_careless_tests_are_not_tricked(judge: CodeJudge, program: str, code: str) -> None:
    """Tests that would pass in one process with the program, when it ends their loop or the process."""
    assert function_reason(judge, program, code) is not Reason.PASSED


def test_tests_that_spoil_their_own_verdict(judge: CodeJudge) -> None:
    """Broken test code fails its program; it does not break the judge."""
    for mess in (b"{\n", b"[1, 2, 3]\n", b'["no such reason", ""]\n', b"\xff\n", b"[[], {}]\n"):
        assert function_reason(judge, "f = 1", f"import os; os.write(4, {mess!r})") is Reason.TEST_ERROR
    assert function_reason(judge, "f = 1", "import os; os._exit(0)") is Reason.TEST_ERROR


def test_objects_of_the_program(judge: CodeJudge) -> None:
    """A class of the program's own can be built, linked and passed back, but not compared."""
    program = "class Node:\n  def __init__(self, v): self.v = v; self.next = None\ndef f(n): return n.v + n.next.v"
    build = "a = Node(3)\na.next = Node(4)\n"
    assert function_reason(judge, program, build + "assert f(a) == 7 and a.next.v == 4", "f", "Node") is Reason.PASSED
    assert function_reason(judge, program, build + "assert a == a", "f", "Node") is Reason.TEST_ERROR
    assert function_reason(judge, program, build + "assert a", "f", "Node") is Reason.TEST_ERROR
    assert function_reason(judge, program, build + "assert a in [1, 2]", "f", "Node") is Reason.TEST_ERROR


def test_bad_calls() -> None:
    with pytest.raises(ValueError, match="no tests"):
        run_code("print(1)", [])


def test_judge_is_thread_safe(judge: CodeJudge) -> None:
    """Programs judged at the same time get their own verdicts; a caller's thread may end at any time."""
    verdicts = {}

    def ask(number: int) -> None:
        verdicts[number] = judge.run(f"print({number} % 2)", [StdioTest("", "1")]).passed

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == {number: number % 2 == 1 for number in range(8)}


@pytest.mark.parametrize(
    ("printed", "expected", "tolerance", "same"),
    [
        ("1\n2\n", "1\n2", None, True),
        ("1  \r\n2\n\n\n", "1\n2\n", None, True),
        ("1\n", "1\n2\n", None, False),
        ("", "1", None, False),
        ("", "", None, True),
        ("\n1", "1", None, False),
        (" 1", "1", None, False),
        ("1\n2\n3", "1\n2", None, False),
        ("1 2", "1\n2", None, False),
        ("0.333", "0.3333333", None, False),
        ("0.33333", "0.3333333", 1e-4, True),
        ("0.333", "0.3333333", 1e-6, False),
        ("nan", "nan", 1e-6, True),
        ("nan", "1", 1e-6, False),
        ("inf", "1e308", 1e-6, False),
        ("YES 1.0000001", "YES 1", 1e-6, True),
        ("1", "1\n1", 1e-6, False),
        ("1 1", "1", 1e-6, False),
    ],
)
def test_same_output(printed: str, expected: str, tolerance: float | None, same: bool) -> None:
    assert same_output(printed, expected, tolerance) is same


@given(st.text(alphabet="ab \n", max_size=12), st.text(alphabet="ab \n", max_size=12))
def test_same_output_is_line_equality(left: str, right: str) -> None:
    """Against a one-line reference, for every pair of short texts."""

    def plain(text: str) -> str:
        return "\n".join(line.rstrip() for line in text.split("\n")).rstrip("\n")

    assert same_output(left, right) is (plain(left) == plain(right))


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
hashable = st.recursive(scalars, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5)
values = st.recursive(
    hashable,
    lambda inner: st.lists(inner) | st.dictionaries(hashable, inner, max_size=3) | st.sets(hashable, max_size=3),
    max_leaves=12,
)


def exact(value: object) -> object:
    """A text that tells types, signs of zero and order apart, in which NaN equals NaN and sets have one order."""
    if isinstance(value, dict):
        return [type(value).__name__, [(exact(key), exact(item)) for key, item in value.items()]]
    if isinstance(value, list | tuple):
        return [type(value).__name__, [exact(item) for item in value]]
    if isinstance(value, set | frozenset):
        return [type(value).__name__, sorted(repr(exact(item)) for item in value)]
    return repr(value)


@settings(max_examples=60, deadline=None)
@given(values)
def test_values_cross_unchanged(value: object) -> None:

    def refuse(thing: object) -> int:
        raise AssertionError(thing)

    assert exact(decode(json.loads(json.dumps(encode(value, refuse))), refuse)) == exact(value)


def defined_names(code: str) -> set[str]:
    """Names that a program defines at its top level."""
    names: set[str] = set()
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def humaneval(folder: Path) -> list[tuple[str, str, list[FunctionTest]]]:
    """(id, reference program, tests): helper functions of the prompt are the tests' own copies."""
    rows = pl.read_parquet(folder / "code" / "humaneval.parquet").iter_rows(named=True)
    return [
        (
            row["task_id"],
            row["prompt"] + row["canonical_solution"],
            [FunctionTest(f"{row['test']}\ncheck({row['entry_point']})", (row["entry_point"],), row["prompt"])],
        )
        for row in rows
    ]


def mbpp(folder: Path) -> list[tuple[str, str, list[FunctionTest]]]:
    """(id, reference program, tests): one test an assert."""
    problems = []
    for row in pl.read_parquet(folder / "code" / "mbpp.parquet").iter_rows(named=True):
        tests = []
        for code in row["test_list"]:
            code = f"{row['test_setup_code']}\n{code}"
            used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
            names = tuple(sorted(used & defined_names(row["code"])))
            tests.append(FunctionTest(code, names, setup="import math, re, sys"))
        problems.append((f"MBPP/{row['task_id']}", row["code"], tests))
    return problems


def failing(judge: CodeJudge, problems: list[tuple[str, str, list[FunctionTest]]]) -> list[str]:
    verdicts = judge.run_many([(program, tests) for _name, program, tests in problems], workers=2)
    return [
        f"{name}: {verdict.reason}"
        for (name, _program, _tests), verdict in zip(problems, verdicts, strict=True)
        if not verdict.passed
    ]


def test_reference_solutions_pass_sample(judge: CodeJudge, rigor_data: Path) -> None:
    problems = random.Random(7).sample(humaneval(rigor_data) + mbpp(rigor_data), SUBSET)
    assert failing(judge, problems) == []


def test_wrong_solutions_fail_sample(judge: CodeJudge, rigor_data: Path) -> None:
    """The same tests with another problem's program under the right name: none passes."""
    problems = random.Random(8).sample(humaneval(rigor_data), 10)
    wrong = [
        (name, f"def {tests[0].entry_points[0]}(*arguments):\n    return arguments", tests)
        for name, _, tests in problems
    ]
    assert len(failing(judge, wrong)) == len(wrong)


@pytest.mark.slow
def test_reference_solutions_pass(rigor_data: Path) -> None:
    """All of HumanEval (164) and MBPP (974)."""
    with CodeJudge(Limits(wall_seconds=60, cpu_seconds=30), warm=4) as judge:
        assert failing(judge, humaneval(rigor_data) + mbpp(rigor_data)) == []
