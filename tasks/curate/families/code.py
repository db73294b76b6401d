"""Tiny Python: what does it print, and functions to write, with asserts as tests."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, NamedTuple

from tasks.curate.families.arithmetic import BOTH
from tasks.curate.families.draft import Draft, Family, Pad, Params

_PRINTS = {
    "en": ("What does this print?\n{p}", "{p}\nOutput?"),
    "zh": ("下面的程序输出什么？\n{p}", "{p}\n输出是？"),
}
_WRITE = {
    "en": ("Write a Python function {s} that {d}.", "Implement {s} in Python. It {d}."),
    "zh": ("写一个 Python 函数 {s}，{d}。",),
}


def _make_output(rng: random.Random, level: int, language: str) -> Draft:
    high = (9, 9, 5, 9)[level - 1]
    x, a, b = (rng.randint(1, high) for _ in range(3))
    n = rng.randint(2, 4)
    program, shown = (
        ("x = {x}\nprint(x + {a})", (x, a)),
        ("x = {x}\nx = x + {a}\nx = x * {b}\nprint(x)", (x, a, b)),
        ("x = {x}\nfor i in range({n}):\n    x = x + {a}\nprint(x)", (x, a, n)),
        ("x = {x}\nx = x + {a}\nif x > 10:\n    x = x - {b}\nelse:\n    x = x + {b}\nprint(x)", (x, a, b, b)),
    )[level - 1]
    gold = (x + a, (x + a) * b, x + n * a, x + a - b if x + a > 10 else x + a + b)[level - 1]
    outer = rng.choice(_PRINTS[language])
    return Draft(
        prompt=outer.format(p=program.format(x=x, a=a, b=b, n=n)), gold=str(gold), template=outer.format(p=program),
        key=shown, params={"level": level, "x": x, "a": a, "b": b, "n": n},
    )  # fmt: skip


def _work_output(params: Params, pad: Pad) -> str:
    x, a, b = params["x"], params["a"], params["b"]
    pad.understand("follow x until it is printed.", "跟踪 x，直到输出。")
    pad.plan("one statement a line.", "一条语句一行。")
    for _ in range(params["n"] if params["level"] == 3 else 1):
        x = pad.compute(f"{x} + {a}", x + a)
    if params["level"] == 2:
        x = pad.compute(f"{x} * {b}", x * b)
    if params["level"] == 4:
        if x == 10:
            return str(pad.compute(f"{x} + {b}", x + b))
        above = pad.claim(*((f"{x} > 10", f"{x} < 10") if x > 10 else (f"{x} < 10", f"{x} > 10")), x > 10, x < 10)
        x = pad.compute(f"{x} - {b}", x - b) if above else pad.compute(f"{x} + {b}", x + b)
    return str(x)


class _Numbers(NamedTuple):
    """The small numbers of a task."""

    k: int
    j: int


class _Task(NamedTuple):
    """A function to write. `{k}` and `{j}` in the texts are its numbers; `call` computes expected values."""

    level: int
    signature: str
    en: str
    zh: str
    body: str
    bug: str
    """A body with an error."""
    call: Callable[[Any, _Numbers], Any]
    argument: Callable[[random.Random], Any]


def _int(rng: random.Random) -> int:
    return rng.randint(-9, 20)


def _ints(rng: random.Random) -> list[int]:
    return [rng.randint(0, 12) for _ in range(rng.randint(3, 6))]


def _word(rng: random.Random) -> str:
    return "".join(rng.choice("abcde") for _ in range(rng.randint(4, 8)))


def _prefix_sums(items: list[int], start: int) -> list[int]:
    return [start + sum(items[: n + 1]) for n in range(len(items))]


_TASKS = (
    _Task(1, "shift(x)", "returns x plus {k}", "返回 x 加 {k}",
          "    return x + {k}", "    return x - {k}", lambda x, n: x + n.k, _int),
    _Task(1, "line(x)", "returns {k} times x plus {j}", "返回 {k} 乘以 x 再加 {j}",
          "    return {k} * x + {j}", "    return {k} * (x + {j})", lambda x, n: n.k * x + n.j, _int),
    _Task(1, "gap(x)", "returns the distance between x and {k}", "返回 x 与 {k} 的距离",
          "    return abs(x - {k})", "    return x - {k} - 1", lambda x, n: abs(x - n.k), _int),
    _Task(1, "divides(x)", "tells whether x is a multiple of {k}", "判断 x 是否为 {k} 的倍数",
          "    return x % {k} == 0", "    return x % {k} != 0", lambda x, n: x % n.k == 0, _int),
    _Task(2, "above(items)", "returns the numbers of a list that are greater than {k}", "返回列表中大于 {k} 的数",
          "    return [x for x in items if x > {k}]", "    return [x for x in items if x < {k}]",
          lambda items, n: [x for x in items if x > n.k], _ints),
    _Task(2, "count(items)", "counts the items equal to {k}, plus {j}", "数出等于 {k} 的项数，再加 {j}",
          "    return items.count({k}) + {j}", "    return items.count({k}) - {j}",
          lambda items, n: sum(x == n.k for x in items) + n.j, _ints),
    _Task(2, "scale(items)", "multiplies every item by {k} and adds {j}", "把每一项乘以 {k} 再加 {j}",
          "    return [{k} * x + {j} for x in items]", "    return [{k} * x for x in items]",
          lambda items, n: [n.k * x + n.j for x in items], _ints),
    _Task(2, "spread(items)", "returns the largest minus the smallest item, times {k}",
          "返回最大项减最小项的差乘以 {k}",
          "    return (max(items) - min(items)) * {k}", "    return max(items) - min(items) * {k} + 1",
          lambda items, n: (sorted(items)[-1] - sorted(items)[0]) * n.k, _ints),
    _Task(3, "totals(items)", "returns the running totals of a list, starting from {k}", "返回从 {k} 开始的累计和列表",
          "    out, total = [], {k}\n    for x in items:\n        total += x\n        out += [total]\n    return out",
          "    out, total = [], {k}\n    for x in items:\n        out += [total]\n        total += x\n    return out",
          lambda items, n: _prefix_sums(items, n.k), _ints),
    _Task(3, "pick(text)", "returns every character at an index divisible by {k}", "返回下标能被 {k} 整除的字符",
          "    return text[::{k}]", "    return text[1::{k}]",
          lambda text, n: "".join(c for at, c in enumerate(text) if at % n.k == 0), _word),
    _Task(3, "echo(text)", "returns the text reversed, {k} times in a row", "返回反转后的文本重复 {k} 次",
          "    return text[::-1] * {k}", "    return text[::-1] * ({k} + 1)",
          lambda text, n: "".join(reversed(text)) * n.k, _word),
    _Task(3, "vowels(text)", "counts the letters a and e, times {k}", "数出字母 a 和 e 的个数，再乘以 {k}",
          "    return sum(c in \"ae\" for c in text) * {k}", "    return sum(c in \"ae\" for c in text) * {k} + 1",
          lambda text, n: sum(map(text.count, "ae")) * n.k, _word),
)  # fmt: skip


def _make_function(rng: random.Random, level: int, language: str) -> Draft:
    task = rng.choice([each for each in _TASKS if each.level == level])
    numbers = k, j = _Numbers(rng.randint(2, 9), rng.randint(1, 9))
    name = task.signature.partition("(")[0]
    arguments = [task.argument(rng) for _ in range(5)]
    tests = [f"assert {name}({argument!r}) == {task.call(argument, numbers)!r}" for argument in arguments]
    if level == 2:
        tests.append(f"assert {name}([{k}, 0]) == {task.call([k, 0], numbers)!r}")
    outer = rng.choice(_WRITE[language])
    said = (task.en if language == "en" else task.zh).format(k=k, j=j)
    program = f"def {task.signature}:\n"
    return Draft(
        prompt=outer.format(s=task.signature, d=said), gold="",
        template=outer.format(s=task.signature, d=task.en if language == "en" else task.zh),
        key=(name, k, j) if "{j}" in task.en else (name, k),
        tests=json.dumps({"entry_point": name, "tests": tests}),
        reference=_fence(program + task.body.format(k=k, j=j)), rejected=_fence(program + task.bug.format(k=k, j=j)),
    )  # fmt: skip


def _fence(program: str) -> str:
    return f"```python\n{program}\n```"


FAMILIES = (
    Family("output_prediction", "code", 4, BOTH, "math", _make_output, _work_output),
    Family("code_functions", "code", 3, BOTH, "code", _make_function),
)
