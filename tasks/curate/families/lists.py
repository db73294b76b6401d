"""Sorting, counting, reversing, and editing of short lists and words."""

from __future__ import annotations

import random

from tasks.curate.families.arithmetic import BOTH
from tasks.curate.families.draft import Draft, Family, Pad, Params, distinct, wording

_SORT = {
    "en": ("Sort from small to large: {l}", "Sort: {l}", "Put in ascending order: {l}"),
    "zh": ("从小到大排序：{l}", "把下列数按升序排列：{l}"),
}
_COUNT = {
    "en": ("How many {c} in: {l}?", "Count the letter {c}: {l}"),
    "zh": ("{l} 中有几个 {c}？", "数一数 {c} 的个数：{l}"),
}
_REVERSE = {
    "en": ("Reverse: {w}", "Write {w} backwards.", "Spell {w} from the end."),
    "zh": ("把 {w} 倒过来写。", "反转：{w}"),
}
_EDIT = {"en": ("List: {l}. {e}.", "Start with {l}. {e}."), "zh": ("列表：{l}。{e}。",)}
_EDITS = {
    "en": {
        "append": "Append {x}", "prepend": "Prepend {x}", "put": "Replace item {at} by {x}",
        "first": "Drop the first", "last": "Drop the last", "without": "Remove {x}",
    },
    "zh": {
        "append": "在末尾加 {x}", "prepend": "在开头加 {x}", "put": "把第 {at} 项换成 {x}",
        "first": "去掉第一项", "last": "去掉最后一项", "without": "去掉 {x}",
    },
}  # fmt: skip
_CONSONANTS, _VOWELS = "bcdfgklmnprst", "aeiou"


def _make_sorting(rng: random.Random, level: int, language: str) -> Draft:
    count, high = ((3, 9), (4, 9), (5, 9), (5, 50), (6, 99))[level - 1]
    items = distinct(rng, 1, high, count)
    return Draft(
        **wording(rng, _SORT, language, l=" ".join(map(str, items))),
        gold=" ".join(map(str, sorted(items))), key=tuple(items), params={"items": items},
    )  # fmt: skip


def _work_sorting(params: Params, pad: Pad) -> str:
    left = list(params["items"])
    pad.understand(f"put {len(left)} numbers in order.", f"给 {len(left)} 个数排序。")
    pad.plan("take the smallest, again and again.", "每次取最小的。")
    done: list[int] = []
    while len(left) > 1:
        shown, least = " ".join(map(str, left)), min(left)
        other = pad.rng.choice([item for item in left if item != least])
        taken = pad.claim(f"smallest of {shown}: {least}", f"smallest of {shown}: {other}", least, other)
        left.remove(taken)
        done.append(taken)
    return " ".join(map(str, done + left))


def _make_counting(rng: random.Random, level: int, language: str) -> Draft:
    letters = "abc"[: 2 if level == 1 else 3]
    items = [rng.choice(letters) for _ in range((4, 5, 6, 8)[level - 1])]
    target = rng.choice(letters)
    return Draft(
        **wording(rng, _COUNT, language, l=" ".join(items), c=target),
        gold=str(items.count(target)), key=(f"of {target}", "".join(sorted(items))),
        params={"items": items, "target": target},
    )  # fmt: skip


def _work_counting(params: Params, pad: Pad) -> str:
    items, target = params["items"], params["target"]
    pad.understand(f"count every {target}.", f"数出 {target} 的个数。")
    pad.plan("go through the letters and add 1 for each match.", "逐个看字母，相同就加 1。")
    count = 0
    for item in items:
        same, different = f"{item} is {target}", f"{item} is not {target}"
        if pad.claim(same if item == target else different, different if item == target else same,
                     item == target, item != target):  # fmt: skip
            count = pad.compute(f"{count} + 1", count + 1)
    return str(count)


def _make_reversal(rng: random.Random, level: int, language: str) -> Draft:
    word = "".join(rng.choice(_VOWELS if k % 2 else _CONSONANTS) for k in range(level + 2))
    return Draft(
        **wording(rng, _REVERSE, language, w=word), gold=word[::-1], key=(min(word, word[::-1]),),
        params={"word": word},
    )  # fmt: skip


def _work_reversal(params: Params, pad: Pad) -> str:
    word: str = params["word"]
    pad.understand(f"write {word} from its end.", f"从末尾写 {word}。")
    pad.plan("take the last letter, again and again.", "每次取最后一个字母。")
    letters: list[str] = []
    for end in range(len(word), 1, -1):
        head = word[:end]
        other = pad.rng.choice([c for c in _CONSONANTS if c != head[-1]])
        letters.append(
            pad.claim(f"last letter of {head}: {head[-1]}", f"last letter of {head}: {other}", head[-1], other)
        )
    letters.append(word[0])
    answer = "".join(letters)
    swapped = answer[1] + answer[0] + answer[2:]
    wrong = swapped if swapped != answer else answer + answer[-1]
    return pad.claim(f"join {' '.join(letters)}: {answer}", f"join {' '.join(letters)}: {wrong}", answer, wrong)


def _make_editing(rng: random.Random, level: int, language: str) -> Draft:
    items = list(map(str, distinct(rng, 1, 9, rng.randint(3, 4))))
    edits: list[list[str]] = []
    now = items
    for _ in range((1, 2, 3)[level - 1]):
        kind = rng.choice(("append", "prepend", "put", "first", "last", "without"))
        fresh = rng.choice([str(n) for n in range(10) if str(n) not in now])
        item = rng.choice(now) if kind == "without" else fresh if kind in ("append", "prepend", "put") else ""
        at = str(rng.randint(1, len(now))) if kind == "put" else ""
        edits.append([kind, item, at])
        now = _edited(now, kind, item, at)
        if len(now) < 2:
            break
    said = [_EDITS[language][kind].format(x=x, at=at) for kind, x, at in edits]
    joined = ("，再" if language == "zh" else ". ").join(said)
    return Draft(
        **wording(rng, _EDIT, language, l=" ".join(items), e=joined),
        gold=" ".join(now), key=(*items, *(part for edit in edits for part in edit[1:] if part)),
        params={"items": items, "edits": edits},
    )  # fmt: skip


def _edited(items: list[str], kind: str, item: str, at: str) -> list[str]:
    if kind == "append":
        return [*items, item]
    if kind == "prepend":
        return [item, *items]
    if kind == "put":
        return [item if k == int(at) - 1 else old for k, old in enumerate(items)]
    if kind == "without":
        return [old for old in items if old != item]
    return items[1:] if kind == "first" else items[:-1]


def _work_editing(params: Params, pad: Pad) -> str:
    now: list[str] = list(params["items"])
    pad.understand(f"change a list of {len(now)}.", f"修改 {len(now)} 项的列表。")
    pad.plan("one change at a time.", "一步一步改。")
    for kind, item, at in params["edits"]:
        gone = kind == "without" and item not in now
        if gone or len(now) < 2 or (kind == "put" and int(at) > len(now)):
            continue  # only after an earlier slip
        shown = " ".join(now)
        said = f"{shown} without {item}" if kind == "without" else f"{shown}, drop {kind}" if not item else (
            f"{shown}, put {item} at {at}" if kind == "put" else f"{shown}, {kind} {item}"
        )  # fmt: skip
        result = _edited(now, kind, item, at)
        wrong = result[:-1] if len(result) > 2 else [*result, result[0]]
        now = pad.claim(f"{said}: {' '.join(result)}", f"{said}: {' '.join(wrong)}", result, wrong)
    return " ".join(now)


FAMILIES = (
    Family("sorting", "math", 5, BOTH, "list", _make_sorting, _work_sorting),
    Family("counting", "math", 4, BOTH, "math", _make_counting, _work_counting),
    Family("reversal", "logic", 4, BOTH, "exact", _make_reversal, _work_reversal),
    Family("list_editing", "logic", 3, BOTH, "list", _make_editing, _work_editing),
)
