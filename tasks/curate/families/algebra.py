"""Linear equations, sequences, comparison, parity, and small proofs about numbers."""

from __future__ import annotations

import random

from tasks.curate.families.arithmetic import BOTH
from tasks.curate.families.draft import Draft, Family, Pad, Params, wording

_SOLVE = {
    "en": ("Solve for x: {e}", "{e}. Find x.", "Find x so that {e}."),
    "zh": ("解方程：{e}", "已知 {e}，求 x。"),
}
_NEXT = {
    "en": ("{s}, ?", "What comes next: {s}?", "Continue: {s}"),
    "zh": ("{s}，下一个数是？", "找规律，下一个数是多少：{s}"),
}
_LARGER = {
    "en": ("Which is larger: {e}?", "Find the largest: {e}"),
    "zh": ("哪个最大：{e}？", "找出最大的数：{e}"),
}
_PARITY = {
    "en": ("Is {e} even or odd?", "{e}: even or odd?"),
    "zh": ("{e} 是偶数还是奇数？请用 even 或 odd 回答。",),
}
_PROVE = {
    "en": ("Show that {e}. What is the common value of both sides?",),
    "zh": ("证明 {e}。两边的共同值是多少？",),
}


def _make_linear(rng: random.Random, level: int, language: str) -> Draft:
    x = rng.randint(1, (9, 9, 9, 12, 20)[level - 1])
    a = 1 if level == 1 else rng.randint(2, (5, 5, 9, 9, 12)[level - 1])
    b = rng.randint(1, (9, 9, 9, 20, 50)[level - 1])
    minus = level >= 3 and rng.random() < 0.5 and a * x > b
    c = a * x - b if minus else a * x + b
    left = f"{'' if a == 1 else a}x {'-' if minus else '+'} {b}"
    key = (b, c) if a == 1 else (a, b, c)
    return Draft(
        **wording(rng, _SOLVE, language, e=f"{left} = {c}"),
        gold=str(x), key=key, params={"a": a, "b": b, "c": c, "minus": minus},
    )  # fmt: skip


def _work_linear(params: Params, pad: Pad) -> str:
    a, b, c, minus = params["a"], params["b"], params["c"], params["minus"]
    sign, undo = ("-", "+") if minus else ("+", "-")
    pad.understand(f"{a}x {sign} {b} is {c}; x is wanted.", f"{a}x {sign} {b} 的值为 {c}，求 x。")
    verb, verb_zh = ("add", "加") if minus else ("subtract", "减")
    then, then_zh = (f", then divide by {a}", f"，再除以 {a}") if a > 1 else ("", "")
    pad.plan(f"{verb} {b}{then}.", f"两边{verb_zh} {b}{then_zh}。")
    x = pad.compute(f"{c} {undo} {b}", c + b if minus else c - b, step=a)
    if a > 1:
        x = pad.compute(f"{x} / {a}", x // a)
    pad.verify(f"{a} * {x} {sign} {b}", a * x - b if minus else a * x + b, c)
    return str(x)


def _make_sequence(rng: random.Random, level: int, language: str) -> Draft:
    start, step = rng.randint(1, (9, 20, 9, 50)[level - 1]), rng.randint(1, (5, 9, 3, 15)[level - 1])
    growth = 1 if level == 3 else 0
    terms = [start]
    for k in range(3):
        terms.append(terms[-1] + step + growth * k)
    if level in (2, 4) and rng.random() < 0.5:
        terms.reverse()
    if terms[-1] < terms[0] and terms[-1] < step:
        terms = [term + step for term in terms]
    gold = terms[-1] + (terms[-1] - terms[-2]) + growth
    return Draft(
        **wording(rng, _NEXT, language, s=", ".join(map(str, terms))),
        gold=str(gold), key=tuple(terms), params={"terms": terms, "growth": growth},
    )  # fmt: skip


def _work_sequence(params: Params, pad: Pad) -> str:
    terms, growth = params["terms"], params["growth"]
    pad.understand(f"find the number after {terms[-1]}.", f"求 {terms[-1]} 后面的数。")
    if terms[-1] < terms[0]:
        pad.plan("find how much it falls each time, then subtract.", "先求每次减少多少，再减。")
        fall = pad.compute(f"{terms[0]} - {terms[1]}", terms[0] - terms[1])
        value = pad.compute(f"{terms[-1]} - {fall}", terms[-1] - fall)
        pad.verify(f"{value} + {terms[-2] - terms[-1]}", value + terms[-2] - terms[-1], terms[-1])
        return str(value)
    if growth:
        pad.plan(
            "each step is 1 more than the last: find the last step, add 1, go on.",
            "每次多加 1：先求上一次的差。",
        )
    else:
        pad.plan("find the step, then add it.", "先求差，再相加。")
    step = pad.compute(f"{terms[-1]} - {terms[-2]}", terms[-1] - terms[-2])
    if growth:
        step = pad.compute(f"{step} + 1", step + 1)
    value = pad.compute(f"{terms[-1]} + {step}", terms[-1] + step)
    pad.verify(f"{value} - {terms[-1]}", value - terms[-1], terms[-1] - terms[-2] + growth)
    return str(value)


def _make_larger(rng: random.Random, level: int, language: str) -> Draft:
    if level <= 3:
        items: list[tuple[int, ...]] = [
            (n,) for n in rng.sample(range(1, (9, 20, 99)[level - 1] + 1), (2, 3, 4)[level - 1])
        ]
    else:
        items = [(rng.randint(1, 9), rng.randint(1, 9)) for _ in range(level - 2)]
    values = [sum(item) for item in items]
    if values.count(max(values)) > 1:
        return _make_larger(rng, level, language)
    return Draft(
        **wording(rng, _LARGER, language, e=", ".join(" + ".join(map(str, item)) for item in items)),
        gold=str(max(values)), key=tuple(n for item in items for n in item), params={"items": items},
    )  # fmt: skip


def _work_larger(params: Params, pad: Pad) -> str:
    items = params["items"]
    pad.understand(f"find the largest of {len(items)}.", f"在 {len(items)} 个中找最大的。")
    pad.plan("keep the larger of two, one after the other.", "逐个比较，留下较大的。")
    values = [item[0] if len(item) == 1 else pad.compute(f"{item[0]} + {item[1]}", sum(item)) for item in items]
    best = values[0]
    for value in values[1:]:
        if best == value:
            continue
        high, low = max(best, value), min(best, value)
        best = pad.claim(f"{high} > {low}", f"{low} > {high}", high, low)
    return str(best)


def _make_parity(rng: random.Random, level: int, language: str) -> Draft:
    count, high = ((1, 99), (2, 9), (3, 9), (3, 50))[level - 1]
    terms = [rng.randint(1, high) for _ in range(count)]
    return Draft(
        **wording(rng, _PARITY, language, e=" + ".join(map(str, terms))),
        gold=("even", "odd")[sum(terms) % 2], key=tuple(terms), params={"terms": terms},
    )  # fmt: skip


def _work_parity(params: Params, pad: Pad) -> str:
    terms: list[int] = params["terms"]
    pad.understand("even or odd?", "偶数还是奇数？")
    pad.plan("add up, then look at the last digit.", "先求和，再看个位。")
    total = terms[0]
    for term in terms[1:]:
        total = pad.compute(f"{total} + {term}", total + term)
    words = ("even", "odd")
    word, other = words[total % 2], words[1 - total % 2]
    return pad.claim(f"{total} is {word}", f"{total} is {other}", word, other)


def _make_identity(rng: random.Random, level: int, language: str) -> Draft:
    a, b = rng.randint(2, 9), rng.randint(2, 9)
    n = rng.randint(3, 6)
    left, right, shown = (
        (f"{a} * {b} + {a}", f"{a} * ({b} + 1)", (a, b)),
        (" + ".join(map(str, range(1, n + 1))), f"{n} * {n + 1} / 2", (n,)),
        (f"({a} + {b}) * ({a} + {b})", f"{a} * {a} + 2 * {a} * {b} + {b} * {b}", (a, b)),
    )[level - 1]
    value = (a * b + a, n * (n + 1) // 2, (a + b) ** 2)[level - 1]
    return Draft(
        **wording(rng, _PROVE, language, e=f"{left} = {right}"),
        gold=str(value), key=(level, *shown), params={"level": level, "a": a, "b": b, "n": n},
    )  # fmt: skip


def _work_identity(params: Params, pad: Pad) -> str:
    a, b, n, level = params["a"], params["b"], params["n"], params["level"]
    pad.understand("both sides must come to the same.", "两边的值必须相等。")
    pad.plan("work out the left side, then the right side.", "先算左边，再算右边。")
    if level == 1:
        product = pad.compute(f"{a} * {b}", a * b)
        left = pad.compute(f"{product} + {a}", product + a)
        more = pad.compute(f"{b} + 1", b + 1)
        right = pad.compute(f"{a} * {more}", a * more)
    elif level == 2:
        left = 1
        for k in range(2, n + 1):
            left = pad.compute(f"{left} + {k}", left + k)
        double = pad.compute(f"{n} * {n + 1}", n * (n + 1), step=2)
        right = pad.compute(f"{double} / 2", double // 2)
    else:
        both = pad.compute(f"{a} + {b}", a + b)
        left = pad.compute(f"{both} * {both}", both * both)
        one = pad.compute(f"{a} * {a}", a * a)
        two = pad.compute(f"2 * {a} * {b}", 2 * a * b)
        three = pad.compute(f"{b} * {b}", b * b)
        right = pad.compute(f"{one} + {two} + {three}", one + two + three)
    pad.verify(f"{left} - {right}", left - right, 0)
    return str(left)


FAMILIES = (
    Family("linear_equations", "math", 5, BOTH, "math", _make_linear, _work_linear),
    Family("sequences", "math", 4, BOTH, "math", _make_sequence, _work_sequence),
    Family("comparison", "math", 5, BOTH, "math", _make_larger, _work_larger),
    Family("parity", "math", 4, BOTH, "exact", _make_parity, _work_parity, space="arithmetic"),
    Family("number_proofs", "proof", 3, BOTH, "math", _make_identity, _work_identity),
)
