"""Sums, differences, products, clocks, remainders: from single digits up, one operation a line."""

from __future__ import annotations

import random

from tasks.curate.families.draft import Draft, Family, Pad, Params, wording

_ASK = {
    "en": ("{e} = ?", "{e} =", "What is {e}?", "Compute {e}."),
    # No wording without a word: its language could not be told, nor the answer's language judged by it.
    "zh": ("求 {e}。", "计算 {e}。", "{e} 等于多少？"),
}
_CLOCK = {
    "en": ("It is {a} o'clock. What hour is it {b} hours later?", "{b} hours after {a} o'clock: which hour?"),
    # In Chinese `16 点` is as good as `4 点`, but a clock's face has twelve hours.
    "zh": (
        "钟面上现在是 {a} 点，{b} 小时后钟面上是几点？请只写数字。",
        "钟面上 {a} 点过 {b} 小时，钟面上是几点？请只写数字。",
    ),
}
_REMAINDER = {
    "en": ("What is the remainder of {a} divided by {b}?", "{a} divided by {b}: what is left over?"),
    "zh": ("{a} 除以 {b} 的余数是多少？", "{a} 除以 {b}，还剩多少？"),
}


def _make_sum(rng: random.Random, level: int, language: str) -> Draft:
    count, high = ((3, 9), (4, 9), (5, 9), (4, 20), (6, 20), (5, 99))[level - 1]
    terms = [rng.randint(1, high) for _ in range(count)]
    return Draft(
        **wording(rng, _ASK, language, e=" + ".join(map(str, terms))),
        gold=str(sum(terms)), key=tuple(terms), params={"terms": terms},
    )  # fmt: skip


def _work_sum(params: Params, pad: Pad) -> str:
    terms: list[int] = params["terms"]
    pad.understand(f"add {len(terms)} numbers.", f"把 {len(terms)} 个数相加。")
    pad.plan("add from left to right.", "从左到右依次相加。")
    total = terms[0]
    for term in terms[1:]:
        total = pad.compute(f"{total} + {term}", total + term)
    back = "".join(f" - {term}" for term in reversed(terms[1:]))
    pad.verify(f"{total}{back}", total - sum(terms[1:]), terms[0])
    return str(total)


def _make_difference(rng: random.Random, level: int, language: str) -> Draft:
    count, high, room = ((1, 9, 9), (2, 9, 9), (3, 9, 20), (2, 20, 40), (4, 20, 99))[level - 1]
    terms = [rng.randint(1, high) for _ in range(count)]
    start = sum(terms) + rng.randint(0, room)
    return Draft(
        **wording(rng, _ASK, language, e=" - ".join(map(str, [start, *terms]))),
        gold=str(start - sum(terms)), key=(start, *terms), params={"start": start, "terms": terms},
    )  # fmt: skip


def _work_difference(params: Params, pad: Pad) -> str:
    start: int = params["start"]
    terms: list[int] = params["terms"]
    pad.understand(f"take {len(terms)} numbers away from {start}.", f"从 {start} 中减去 {len(terms)} 个数。")
    pad.plan("subtract from left to right.", "从左到右依次相减。")
    left = start
    for term in terms:
        left = pad.compute(f"{left} - {term}", left - term)
    pad.verify(" + ".join(map(str, [left, *terms])), left + sum(terms), start)
    return str(left)


def _make_product(rng: random.Random, level: int, language: str) -> Draft:
    ranges = (((2, 5),) * 2, ((2, 9),) * 2, ((2, 9),) * 3, ((11, 99), (2, 9)), ((11, 99),) * 2)[level - 1]
    factors = [rng.randint(*each) for each in ranges]
    return Draft(
        **wording(rng, _ASK, language, e=" * ".join(map(str, factors))),
        gold=str(_product(factors)), key=tuple(factors), params={"factors": factors},
    )  # fmt: skip


def _work_product(params: Params, pad: Pad) -> str:
    factors: list[int] = params["factors"]
    pad.understand(f"multiply {len(factors)} numbers.", f"把 {len(factors)} 个数相乘。")
    pad.plan("multiply tens and ones apart, then add.", "十位和个位分开乘，再相加。")
    total = factors[0]
    for factor in factors[1:]:
        total = times(pad, total, factor)
    divided = "".join(f" / {factor}" for factor in factors[:0:-1])
    rest = _product(factors[1:])
    if total % rest == 0:
        pad.verify(f"{total}{divided}", total // rest, factors[0])
    return str(total)


def times(pad: Pad, a: int, b: int) -> int:
    """Work out a * b: at once when one of them has one digit and the other two at most 12, else by tens and ones."""
    if b > 9 and b % 10:
        tens, ones = b // 10 * 10, b % 10
        high = times(pad, a, tens)
        low = times(pad, a, ones)
        return pad.compute(f"{high} + {low}", high + low)
    if a > 12 and a % 10:
        tens, ones = a // 10 * 10, a % 10
        high = pad.compute(f"{tens} * {b}", tens * b, step=10)
        low = pad.compute(f"{ones} * {b}", ones * b)
        return pad.compute(f"{high} + {low}", high + low)
    return pad.compute(f"{a} * {b}", a * b)


def _product(factors: list[int]) -> int:
    result = 1
    for factor in factors:
        result *= factor
    return result


def _make_clock(rng: random.Random, level: int, language: str) -> Draft:
    start, hours = rng.randint(1, 12), rng.randint(*((1, 12), (7, 20), (13, 36), (25, 60))[level - 1])
    return Draft(
        **wording(rng, _CLOCK, language, a=start, b=hours),
        gold=str((start + hours - 1) % 12 + 1), key=(start, hours), params={"start": start, "hours": hours},
    )  # fmt: skip


def _work_clock(params: Params, pad: Pad) -> str:
    start, hours = params["start"], params["hours"]
    pad.understand(f"start at {start} and go {hours} hours on.", f"从 {start} 点起过 {hours} 小时。")
    pad.plan("add, then take 12 away until at most 12 is left.", "先相加，再减 12，直到不超过 12。")
    total = hour = pad.compute(f"{start} + {hours}", start + hours)
    while hour > 12:
        hour = pad.compute(f"{hour} - 12", hour - 12)
    pad.verify(f"{total} - {hours}", total - hours, start)
    return str(hour)


def _make_remainder(rng: random.Random, level: int, language: str) -> Draft:
    divisor = rng.randint(2, (5, 9, 9, 12)[level - 1])
    quotient = rng.randint(*((1, 5), (1, 9), (10, 30), (20, 99))[level - 1])
    number = divisor * quotient + rng.randrange(divisor)
    return Draft(
        **wording(rng, _REMAINDER, language, a=number, b=divisor),
        gold=str(number % divisor), key=(number, divisor), params={"number": number, "divisor": divisor},
    )  # fmt: skip


def _work_remainder(params: Params, pad: Pad) -> str:
    number, divisor = params["number"], params["divisor"]
    quotient = number // divisor
    pad.understand(
        f"what is left of {number} after taking {divisor} as often as it fits.",
        f"{number} 里尽量多地去掉 {divisor}。",
    )
    pad.plan(
        f"{divisor} fits {quotient} times: multiply, then subtract.",
        f"{divisor} 可取 {quotient} 次：先乘后减。",
    )
    taken = pad.compute(f"{quotient} * {divisor}", quotient * divisor)
    left = pad.compute(f"{number} - {taken}", number - taken)
    pad.verify(f"{quotient} * {divisor} + {left}", quotient * divisor + left, number)
    return str(left)


_SHAPES = (
    "{a} + {b} * {c}",
    "({a} + {b}) * {c}",
    "({a} + {b}) * ({d} - {c})",
    "({a} + {b}) * {c} - {d} * {e}",
)


def _make_expression(rng: random.Random, level: int, language: str) -> Draft:
    a, b, c = (rng.randint(2, 9) for _ in range(3))
    e = rng.randint(2, 5)
    d = c + rng.randint(1, 9) if level == 3 else rng.randint(1, max(1, (a + b) * c // e))
    shown = {"a": a, "b": b, "c": c, **({"d": d} if level > 2 else {}), **({"e": e} if level > 3 else {})}
    gold = (a + b * c, (a + b) * c, (a + b) * (d - c), (a + b) * c - d * e)[level - 1]
    return Draft(
        **wording(rng, _ASK, language, e=_SHAPES[level - 1].format(**shown)),
        gold=str(gold), key=tuple(shown.values()), params={"level": level, **shown},
    )  # fmt: skip


def _work_expression(params: Params, pad: Pad) -> str:
    a, b, c, level = params["a"], params["b"], params["c"], params["level"]
    pad.understand("work out the value.", "求算式的值。")
    if level == 1:
        pad.plan("multiply before adding.", "先乘后加。")
        product = pad.compute(f"{b} * {c}", b * c)
        value = pad.compute(f"{a} + {product}", a + product)
        pad.verify(f"{value} - {a}", value - a, b * c)
        return str(value)
    pad.plan("brackets first.", "先算括号。")
    left = pad.compute(f"{a} + {b}", a + b)
    if level == 3:
        right = pad.compute(f"{params['d']} - {c}", params["d"] - c)
        value = times(pad, left, right)
        pad.verify(f"{a} * {right} + {b} * {right}", (a + b) * right, value)
        return str(value)
    value = times(pad, left, c)
    if level == 4:
        taken = times(pad, params["d"], params["e"])
        value = pad.compute(f"{value} - {taken}", value - taken)
    else:
        pad.verify(f"{a} * {c} + {b} * {c}", (a + b) * c, value)
    return str(value)


BOTH = ("en", "zh")
FAMILIES = (
    Family("running_sums", "math", 6, BOTH, "math", _make_sum, _work_sum, space="arithmetic"),
    Family("differences", "math", 5, BOTH, "math", _make_difference, _work_difference, space="arithmetic"),
    Family("products", "math", 5, BOTH, "math", _make_product, _work_product, space="arithmetic"),
    Family("clock", "math", 4, BOTH, "math", _make_clock, _work_clock),
    Family("remainders", "math", 4, BOTH, "math", _make_remainder, _work_remainder),
    Family("expressions", "math", 4, BOTH, "math", _make_expression, _work_expression, space="arithmetic"),
)
