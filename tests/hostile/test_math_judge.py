"""Attacks on the mathematics judge: bombs, fuzz, injected code. Nothing runs, nothing hangs, nothing crashes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.grade.math import GoldError, ProverLimits, extract_answer, verify
from tests.peak import peak_kib

LIMITS = ProverLimits(cpu_seconds=0.4, time_seconds=4, workers=1)
GRACE_SECONDS = 1.0

BOMBS = [
    "((20!)!)", "(((3!)!)!)!", "(10^9)!", "(10^{9})!!", r"10^{10^{10}}", r"9^{9^{9^{9}}}",
    r"2^{2^{2^{2^{2^{2}}}}}",
    r"(1+10^{-9})^{10^{15}}", "9" * 3000, "1e9999", "1e400+1", "0." + "1" * 3900, r"\binom{10^9}{5\cdot10^8}",
    "(" * 1500 + "1" + ")" * 1500, "-" * 3000 + "1",
    r"\sqrt{" * 400 + "2" + "}" * 400, r"\frac{1}{" * 300 + "2" + "}" * 300,
    "{" * 2000 + "1" + "}" * 2000, "x^" * 500 + "2", "|" * 2000, "1" + "!" * 1500, "x_" * 1000 + "1",
    "+".join(f"x{i}" for i in range(400)), "(x+y+z+w)^{50}", "(x+1)^{10000000}", "(x+y)^{10^{10}}",
    r"\prod_{k=1}^{10^{9}} k", r"\int_0^{10^9} x^{x^x} dx", r"\sin(10^{10^{8}})", r"\tan(10^{10^{10^{10}}})",
    r"\gcd(10^{10^9},6)", r"10^{10^9} \mod 7", r"\lfloor \pi^{10^6} \rfloor", r"e^{e^{e^{e^{e^{5}}}}}",
    r"\log_{1}(1)", "0^{-1}",
    r"\frac{0}{0}", r"\begin{pmatrix}" + "&".join("1" * 1900) + r"\end{pmatrix}",
    r"\{" + ",".join(map(str, range(900))) + r"\}", "ﷺ" * 3000, "\x00" * 100, "\u202e1+1", "\ud800", "é" * 4000,
    "a" * 100_000, r"\boxed{" * 5000, "$" * 20_000, r"\(" * 9000, "<answer>" * 4000, "the answer is " * 2000,
    "\\" * 20_000, " \n" * 10_000, "1,,," * 900, r"\pm" * 300 + "1", "x<" * 700 + "1",
    r"(1,2)\cup" * 350 + "(1,2)",
]  # fmt: skip
INJECTIONS = [
    "__import__('os').system('touch {mark}')",
    "eval(compile('import os;os.system(\"touch {mark}\")','','exec'))",
    "exec(\"open('{mark}','w')\")",
    "lambda: open('{mark}','w')",
    "().__class__.__bases__[0].__subclasses__()",
    "Symbol('x').__class__('{mark}')",
    r"\write18{{touch {mark}}}",
    'sympify(\'__import__("os").system("touch {mark}")\')',
]
FRAGMENTS = [
    r"\frac{1}{2}", r"\sqrt{3}+1", "(1,2]", r"\{1,2\}", "x^2+1=0", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
    "10!", "2^{100}",
    r"\sin^2 x", r"5\text{ cm}", "$1,234.50", r"50\%", r"\boxed{7}", "The answer is 5.", "1e10", "x<3 or x>5",
    r"\log_2 8",
    "|x|", "答案是５", "²√π≤", "f(x)=x^2", "a_{n}", "1 1/2", r"0.\overline{3}", "<answer>3</answer>", "204_5",
]  # fmt: skip
PIECES = [
    *"{}()[]\\^_!%$,;&=<>|+-*/:.eE19xn 'é\"`~#@°½²①٣ﷺ\x00\u202e\n", r"\frac", r"\sqrt", r"\left", r"\right",
    r"\pi", r"\infty", r"\pm",
    r"\cup", r"\text{", r"\boxed{", r"\begin{pmatrix}", r"\end{pmatrix}", r"\sum_{k=1}^{n}", r"\int_0^1",
    r"\log_", r"\binom", "and",
    "or", "mod", "99999", "lambda", "import", r"\sin", r"\max", "\\\\", "!!",
]  # fmt: skip


def fuzz_string(generator: random.Random) -> str:
    kind = generator.random()
    if kind < 0.4:
        text = generator.choice(FRAGMENTS)
        for _ in range(generator.randint(1, 6)):
            at = generator.randrange(len(text) + 1)
            cut = generator.randrange(3)
            text = text[:at] + generator.choice([*PIECES, *FRAGMENTS]) + text[at + cut :]
        return text
    if kind < 0.85:
        return "".join(generator.choice(PIECES) for _ in range(generator.randint(1, 40)))
    if kind < 0.92:
        return generator.choice(PIECES) * generator.randint(1, 20_000)
    return "".join(
        chr(generator.choice([generator.randrange(32, 127), generator.randrange(0xA0, 0x3000)])) for _ in range(99)
    )


def cost_of(gold: str, prediction: str) -> tuple[float, float]:
    """CPU seconds of this process and wall seconds of one verdict and one extraction."""
    wall, cpu = time.monotonic(), time.thread_time()
    with contextlib.suppress(GoldError):
        verify(gold=gold, prediction=prediction, limits=LIMITS)
    extract_answer(prediction)
    return time.thread_time() - cpu, time.monotonic() - wall


def fuzz(count: int) -> tuple[float, float]:
    generator = random.Random(11)
    slowest = (0.0, 0.0)
    for _ in range(count):
        gold = generator.choice(FRAGMENTS) if generator.random() < 0.5 else fuzz_string(generator)
        cost = cost_of(gold, fuzz_string(generator))
        slowest = max(slowest[0], cost[0]), max(slowest[1], cost[1])
    return slowest


def test_fuzz() -> None:
    assert fuzz(1_000)[0] <= LIMITS.cpu_seconds + GRACE_SECONDS


@pytest.mark.slow
def test_fuzz_ten_thousand() -> None:
    cpu_seconds, wall_seconds = fuzz(10_000)
    print(f"slowest of 10,000: {cpu_seconds:.2f} CPU s here, {wall_seconds:.2f} s wall")
    assert cpu_seconds <= LIMITS.cpu_seconds + GRACE_SECONDS
    assert wall_seconds <= LIMITS.time_seconds + GRACE_SECONDS


def test_there_are_fifty_bombs() -> None:
    assert len(BOMBS) >= 50


def explode() -> None:
    """Print of each bomb the most CPU seconds of a verdict, and the peaks of this process and its children in KiB."""
    for bomb in BOMBS:
        pairs = (("1", bomb), (r"x^2+\sqrt{2+\sqrt{3}}", bomb), (bomb, "1"))
        cpu_seconds = max(cost_of(gold, prediction)[0] for gold, prediction in pairs)
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(json.dumps([cpu_seconds, peak_kib(), children]), flush=True)


@pytest.fixture(scope="module")
def exploded() -> list[list[float]]:
    """What `explode` prints, in a fresh process: what other tests needed before is in neither peak."""
    code = "from tests.hostile.test_math_judge import explode; explode()"
    root = Path(__file__).resolve().parents[2]
    out = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, cwd=root)
    return [json.loads(line) for line in out.stdout.splitlines()]


@pytest.mark.parametrize("index", range(len(BOMBS)))
def test_bomb_is_answered_in_time_and_memory(index: int, exploded: list[list[float]]) -> None:
    cpu_seconds, own_kib, children_kib = exploded[index]
    assert cpu_seconds <= LIMITS.cpu_seconds + GRACE_SECONDS
    assert own_kib <= 1 << 20
    assert children_kib <= LIMITS.memory_bytes >> 10


def test_bombs_are_not_rewarded() -> None:
    rewarded = [b[:40] for b in BOMBS[:13] if verify(gold="1", prediction=b, limits=LIMITS).correct]
    assert rewarded == []


def test_no_code_in_an_answer_runs(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    for template in INJECTIONS:
        code = template.replace("{mark}", str(mark)).replace("{{", "{").replace("}}", "}")
        cost_of("1", code)
        cost_of(r"x+1", code)
        cost_of(code, code)
    assert not mark.exists()


def test_worker_is_confined(tmp_path: Path) -> None:
    """The limits hold in the process itself: it cannot write a file, and memory beyond the limit is refused."""
    worker = Path(__file__).resolve().parents[2] / "tasks" / "grade" / "math" / "worker.py"
    code = (
        "import runpy,sys;m=runpy.run_path(sys.argv[1]);m['confine'](256*2**20)\n"
        "try: bytearray(2**30)\n"
        "except MemoryError: print('memory', flush=True)\n"
        "import signal;signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try:\n f=open(sys.argv[2],'w');f.write('x'*10);f.close()\n"
        "except OSError: print('files', flush=True)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(worker), str(tmp_path / "f")], capture_output=True, text=True, check=True
    )
    assert out.stdout.split() == ["memory", "files"]


def test_no_worker_outlives_its_parent() -> None:
    code = (
        "from tasks.grade.math import verify\n"
        "from tasks.grade.math.prover import _provers\n"
        r"verify(gold=r'\sqrt{3+2\sqrt2}', prediction=r'1+\sqrt2')" + "\n"
        "print([w.process.pid for p in _provers.values() for w in p._idle][0], flush=True)\n"
        "import os; os.kill(os.getpid(), 9)\n"
    )
    root = Path(__file__).resolve().parents[2]
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=root)
    child = int(out.stdout)
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the worker still runs")
