"""General instructions: facts, choices, rewriting, lists. All texts are our own."""

from __future__ import annotations

import json
import random

from tasks.curate.families.arithmetic import BOTH
from tasks.curate.families.draft import Draft, Family, wording

_KINDS = {
    "animal": (
        "cat",
        "dog",
        "horse",
        "cow",
        "sheep",
        "goat",
        "duck",
        "hen",
        "frog",
        "lion",
        "bear",
        "wolf",
        "mouse",
        "fox",
    ),
    "fruit": (
        "apple",
        "pear",
        "plum",
        "cherry",
        "lemon",
        "grape",
        "peach",
        "melon",
        "mango",
        "banana",
        "fig",
        "orange",
    ),
    "colour": ("red", "blue", "green", "yellow", "black", "white", "brown", "pink", "grey", "purple"),
    "tool": ("hammer", "saw", "drill", "pliers", "wrench", "shovel", "rake", "axe", "file", "chisel"),
    "vehicle": ("car", "bus", "train", "bicycle", "truck", "boat", "ship", "tram", "plane", "scooter"),
    "instrument": ("piano", "violin", "flute", "drum", "guitar", "trumpet", "harp", "cello", "organ", "oboe"),
}
_ALSO = {"colour": frozenset(["orange", "peach", "plum"]), "tool": frozenset(["plane"])}
"""What of another kind is one of this kind as well: no wrong option beside a right one."""
_KINDS_ZH = {
    "animal": "动物",
    "fruit": "水果",
    "colour": "颜色",
    "tool": "工具",
    "vehicle": "交通工具",
    "instrument": "乐器",
}
_FACTS = (
    ("the number of days in a week", "一周的天数", "7"),
    ("the number of months in a year", "一年的月数", "12"),
    ("the number of hours in a day", "一天的小时数", "24"),
    ("the number of minutes in an hour", "一小时的分钟数", "60"),
    ("the number of seconds in a minute", "一分钟的秒数", "60"),
    ("the number of sides of a triangle", "三角形的边数", "3"),
    ("the number of sides of a hexagon", "六边形的边数", "6"),
    ("the number of corners of a cube", "正方体的顶点数", "8"),
    ("the number of faces of a cube", "正方体的面数", "6"),
    ("the number of edges of a cube", "正方体的棱数", "12"),
    ("the number of legs of a spider", "蜘蛛的腿数", "8"),
    ("the number of legs of an insect", "昆虫的腿数", "6"),
    ("the number of planets in the solar system", "太阳系行星的个数", "8"),
    ("the number of letters in the English alphabet", "英文字母的个数", "26"),
    ("the number of centimetres in a metre", "一米的厘米数", "100"),
    ("the number of metres in a kilometre", "一千米的米数", "1000"),
    ("the number of grams in a kilogram", "一千克的克数", "1000"),
    ("the number of degrees in a right angle", "直角的度数", "90"),
    ("the number of degrees in a full circle", "周角的度数", "360"),
    ("the number of strings of a violin", "小提琴的弦数", "4"),
    ("the number of players of a football team on the field", "足球队上场人数", "11"),
    ("the number of squares of a chessboard", "国际象棋棋盘的格数", "64"),
    ("the number of wheels of a bicycle", "自行车的轮数", "2"),
    ("the number of days in a leap year", "闰年的天数", "366"),
    ("the freezing point of water in degrees Celsius", "水的冰点（摄氏度）", "0"),
    ("the boiling point of water in degrees Celsius", "水的沸点（摄氏度）", "100"),
    ("the number of bits in a byte", "一字节的比特数", "8"),
    ("the number of sides of an octagon", "八边形的边数", "8"),
)
_ASK_FACT = {
    "en": (
        "What is {f}?",
        "Tell me {f}.",
        "State {f}, as a number.",
        "Give {f}.",
        "I forgot {f}. What is it?",
        "Quick question: {f}?",
        "Please answer with a number: {f}.",
        "My friend wants to know {f}. What should I say?",
    ),
    "zh": ("{f}是多少？", "请告诉我{f}。", "{f}？请用数字回答。", "我忘了{f}，是多少？", "请说出{f}。"),
}
_CHOICE = {
    "en": (
        "Which of these is a kind of {k}? A. {a} B. {b} C. {c} D. {d}",
        "Pick the {k}: A. {a} B. {b} C. {c} D. {d}",
    ),
    "zh": ("下列哪个是{k}？A. {a} B. {b} C. {c} D. {d}",),
}
_LISTING = {
    "en": (
        "Name {n} {k}s.",
        "List {n} {k}s.",
        "Give me {n} examples of a {k}.",
        "I need {n} different {k}s.",
    ),
    "zh": ("列出 {n} 种{k}，用英文。", "用英文说出 {n} 个{k}。"),
}
_SUBJECTS = (
    "the cat",
    "my friend",
    "the teacher",
    "a bird",
    "the old man",
    "our dog",
    "the child",
    "a farmer",
)
_VERBS = ("sees", "likes", "finds", "draws", "follows", "paints", "wants", "hears")
_OBJECTS = (
    "the house",
    "a red ball",
    "the river",
    "a small tree",
    "the moon",
    "a long road",
    "the garden",
    "an old boat",
)
_REWRITES = {
    "upper": ("Write in capital letters: {s}", "Rewrite in upper case: {s}"),
    "words": ("Reverse the order of the words: {s}", "Write the words from last to first: {s}"),
    "first": ("Write only the first word: {s}", "Give the first word of: {s}"),
    "join": ("Join the words with dashes: {s}", "Replace the blanks by dashes: {s}"),
    "twice": ("Repeat twice, with a comma between: {s}", "Say it two times, separated by a comma: {s}"),
}


def _make_fact(rng: random.Random, _level: int, language: str) -> Draft:
    en, zh, value = rng.choice(_FACTS)
    asked = wording(rng, _ASK_FACT, language, f=en if language == "en" else zh)
    return Draft(
        **asked, gold=value, key=(en, asked["template"]),  # nobody can infer a fact: what is held out is its wording
        reference=value, rejected=str(int(value) + rng.choice((1, 2, 10))),
    )  # fmt: skip


def _make_choice(rng: random.Random, level: int, language: str) -> Draft:
    kind, *others = rng.sample(sorted(_KINDS), 4 if level == 1 else 2)
    right = rng.choice(_KINDS[kind])
    wrong = [rng.choice(_KINDS[o]) for o in others] if level == 1 else rng.sample(_KINDS[others[0]], 3)
    options = [right, *wrong]
    rng.shuffle(options)
    at = options.index(right)
    said = kind if language == "en" else _KINDS_ZH[kind]
    asked = wording(rng, _CHOICE, language, k=said, a=options[0], b=options[1], c=options[2], d=options[3])
    if not _ALSO.get(kind, frozenset()).isdisjoint(wrong):
        return _make_choice(rng, level, language)  # here, so that all other draws stay what they were
    return Draft(
        **asked,
        gold="ABCD"[at], key=(kind, *options), tests=json.dumps({"options": dict(zip("ABCD", options, strict=True))}),
        reference="ABCD"[at], rejected="ABCD"[(at + 1) % 4],
    )  # fmt: skip


def _make_listing(rng: random.Random, level: int, language: str) -> Draft:
    kind = rng.choice(sorted(_KINDS))
    count = rng.randint(2, 3 + 2 * level)
    names = rng.sample(_KINDS[kind], count)
    said = kind if language == "en" else _KINDS_ZH[kind]
    return Draft(
        **wording(rng, _LISTING, language, n=count, k=said), gold="", key=(kind, count),
        tests=json.dumps({"count": count, "members": sorted(_KINDS[kind])}),
        reference=", ".join(names), rejected=", ".join(names[1:]),
    )  # fmt: skip


def _make_rewriting(rng: random.Random, level: int, _language: str) -> Draft:
    kind = rng.choice(sorted(_REWRITES)[: 2 + level])
    words = " ".join((rng.choice(_SUBJECTS), rng.choice(_VERBS), rng.choice(_OBJECTS))).split()
    text = " ".join(words)
    gold = {
        "upper": text.upper(), "words": " ".join(words[::-1]), "first": words[0], "join": "-".join(words),
        "twice": f"{text}, {text}",
    }[kind]  # fmt: skip
    template = rng.choice(_REWRITES[kind])
    return Draft(
        prompt=template.format(s=text), gold=gold, template=template, key=tuple(sorted(words)),
        reference=gold, rejected=text,
    )  # fmt: skip


FAMILIES = (
    Family("facts", "general", 1, BOTH, "math", _make_fact),
    Family("choices", "general", 2, BOTH, "choice", _make_choice),
    Family("listing", "general", 2, BOTH, "members", _make_listing),
    Family("rewriting", "general", 3, ("en",), "exact", _make_rewriting),
)
