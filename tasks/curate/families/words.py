"""Word problems in English and Chinese, and small science problems: one operation a sentence.

Their numbers share a key space with plain arithmetic, so that "3 + 5 + 2" and its story are in one split.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from tasks.curate.families.arithmetic import BOTH, times
from tasks.curate.families.draft import Draft, Family, Pad, Params

_NAMES = {
    "en": ("Tom", "Anna", "Ben", "Lily", "Sam", "Mia"),
    "zh": ("小明", "小红", "小刚", "小丽", "小华", "小雨"),
}
_THINGS = {"en": ("apples", "books", "pens", "cards", "coins"), "zh": ("苹果", "书", "铅笔", "卡片", "硬币")}
_STARTS = {
    "en": ("{n} has {a} {t}.", "There are {a} {t} in {n}'s box."),
    "zh": ("{n}有 {a} 个{t}。", "{n}的盒子里有 {a} 个{t}。"),
}
_SENTENCES = {
    "en": {
        "+": ("{n} gets {b} more.", "{n} finds {b} more.", "{m} gives {n} {b} more."),
        "-": ("{n} gives away {b}.", "{n} loses {b}.", "{m} takes {b}."),
        "*": ("Then the number becomes {b} times as large.", "{n} trades each for {b} of them."),
    },
    "zh": {
        "+": ("{n}又得到 {b} 个。", "{m}又给{n} {b} 个。"),
        "-": ("{n}送出 {b} 个。", "{m}拿走 {b} 个。"),
        "*": ("后来数量变成原来的 {b} 倍。",),
    },
}
_ENDS = {
    "en": ("How many {t} are there now?", "How many {t} does {n} have now?"),
    "zh": ("现在有多少个{t}？", "{n}现在有多少个{t}？"),
}


def _make_story(rng: random.Random, level: int, language: str) -> Draft:
    high = (9, 9, 9, 20, 50)[level - 1]
    total = start = rng.randint(2, high)
    changes: list[list[str | int]] = []
    for _ in range((1, 2, 3, 3, 4)[level - 1]):
        sign = rng.choice("+-*" if level >= 3 and total <= 30 and not any(s == "*" for s, _ in changes) else "+-")
        if sign == "-" and total < 2:
            sign = "+"
        amount = rng.randint(1, min(total, high) if sign == "-" else high) if sign != "*" else rng.randint(2, 5)
        changes.append([sign, amount])
        total = total + amount if sign == "+" else total - amount if sign == "-" else total * amount
    name, friend = rng.sample(_NAMES[language], 2)
    thing = rng.choice(_THINGS[language])
    parts = [rng.choice(_STARTS[language])]
    parts += [rng.choice(_SENTENCES[language][str(sign)]) for sign, _ in changes]
    parts.append(rng.choice(_ENDS[language]))
    joint = "" if language == "zh" else " "
    fills: list[dict[str, int | str]] = [{"a": start}, *({"b": amount} for _, amount in changes), {}]
    prompt = joint.join(part.format(n=name, m=friend, t=thing, **fill) for part, fill in zip(parts, fills, strict=True))
    return Draft(
        prompt=prompt, gold=str(total), template=joint.join(parts), key=(start, *(amount for _, amount in changes)),
        params={"start": start, "changes": changes},
    )  # fmt: skip


def _work_story(params: Params, pad: Pad) -> str:
    total: int = params["start"]
    pad.understand(
        f"start with {total} and follow {len(params['changes'])} changes.",
        f"从 {total} 开始，有 {len(params['changes'])} 次变化。",
    )
    pad.plan("one change a line.", "一次变化一行。")
    for sign, amount in params["changes"]:
        if sign == "*":
            total = times(pad, total, amount)
        else:
            total = pad.compute(f"{total} {sign} {amount}", total + amount if sign == "+" else total - amount)
    if all(sign != "*" for sign, _ in params["changes"]):
        back = "".join(f" {'-' if sign == '+' else '+'} {amount}" for sign, amount in reversed(params["changes"]))
        undone = total - sum(amount if sign == "+" else -amount for sign, amount in params["changes"])
        pad.verify(f"{total}{back}", undone, params["start"])
    return str(total)


class _Law(NamedTuple):
    """c = a * b, asked for c (times) or for b (by division), in words of one field."""

    en_product: str
    en_factor: str
    zh_product: str
    zh_factor: str


_LAWS = (
    _Law("A train moves at {a} m/s for {b} s. How many metres does it go?",
         "A train goes {c} m at {a} m/s. How many seconds does it take?",
         "列车以 {a} 米/秒行驶 {b} 秒，共行驶多少米？", "列车以 {a} 米/秒行驶 {c} 米，需要多少秒？"),
    _Law("A current of {b} A flows through {a} ohm. What is the voltage in volts?",
         "The voltage across {a} ohm is {c} V. What is the current in amperes?",
         "电阻 {a} 欧，电流 {b} 安，电压是多少伏？", "电阻 {a} 欧，电压 {c} 伏，电流是多少安？"),
    _Law("A force of {a} N pushes a box {b} m. How much work is done, in joules?",
         "A force of {a} N does {c} J of work. Over how many metres?",
         "用 {a} 牛的力推箱子 {b} 米，做功多少焦？", "{a} 牛的力做功 {c} 焦，移动了多少米？"),
    _Law("A body of {b} kg accelerates at {a} m/s2. What is the force in newtons?",
         "A force of {c} N gives an acceleration of {a} m/s2. What is the mass in kg?",
         "质量 {b} 千克的物体加速度为 {a} 米每二次方秒，受力多少牛？",
         "受力 {c} 牛，加速度 {a} 米每二次方秒，质量多少千克？"),
    _Law("A liquid has density {a} g/mL. What is the mass of {b} mL in grams?",
         "A liquid has density {a} g/mL. How many mL weigh {c} g?",
         "液体密度为 {a} 克/毫升，{b} 毫升的质量是多少克？", "液体密度为 {a} 克/毫升，{c} 克的体积是多少毫升？"),
)  # fmt: skip


def _make_law(rng: random.Random, level: int, language: str) -> Draft:
    law = rng.choice(_LAWS)
    a, b = rng.randint(2, (9, 9, 12)[level - 1]), rng.randint(2, (9, 9, 40)[level - 1])
    divide = level >= 2 and rng.random() < 0.5
    template = (
        (law.en_factor if divide else law.en_product)
        if language == "en"
        else (law.zh_factor if divide else law.zh_product)
    )
    return Draft(
        prompt=template.format(a=a, b=b, c=a * b), gold=str(b if divide else a * b), template=template,
        key=(a, a * b if divide else b), params={"a": a, "b": b, "divide": divide},
    )  # fmt: skip


def _work_law(params: Params, pad: Pad) -> str:
    a, b = params["a"], params["b"]
    if params["divide"]:
        pad.understand(f"{a} times what makes {a * b}?", f"{a} 乘以几得到 {a * b}？")
        pad.plan("divide.", "用除法。")
        other = pad.compute(f"{a * b} / {a}", b)
        pad.verify(f"{a} * {other}", a * other, a * b)
        return str(other)
    pad.understand(f"the product of {a} and {b}.", f"求 {a} 与 {b} 的积。")
    pad.plan("multiply.", "用乘法。")
    return str(times(pad, b, a))


FAMILIES = (
    Family("word_problems", "math", 5, BOTH, "math", _make_story, _work_story, space="arithmetic"),
    Family("science", "stem", 3, BOTH, "math", _make_law, _work_law, space="arithmetic"),
)
