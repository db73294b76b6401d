"""reasoning-gym's families: the ones that generate offline, repeatably, and judge safely.

Its scorers are third-party code that reads model output. Those that evaluate the answer as code (`eval`, SymPy's
`parse_expr`) are never called: such a family is judged by a checker of ours, or left out.
"""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import lru_cache
from typing import Any

from tasks.curate.families.draft import Draft
from tasks.stage import Reject

PREFIX = "gym_"
MAX_LEVELS = 3
MAX_ANSWER_CHARS = 2_000

_NO_REFERENCE = "no reference answer, so its scorer cannot be tried out"
_HASH_ORDER = "other problems under another hash seed"
_EVALUATES = "its scorer evaluates the answer as code, and answers are not unique"
_LONG = "prompts of several thousand characters"
EXCLUDED = {
    "composite": "a mixture of other families",
    "boxnet": _NO_REFERENCE, "graph_color": _NO_REFERENCE, "propositional_logic": _NO_REFERENCE,
    "rubiks_cube": _NO_REFERENCE, "rush_hour": _NO_REFERENCE,
    "isomorphic_strings": _HASH_ORDER, "polynomial_multiplication": _HASH_ORDER, "ransom_note": _HASH_ORDER,
    "word_ladder": _HASH_ORDER,
    "intermediate_integration": _EVALUATES, "n_queens": _EVALUATES, "simple_integration": _EVALUATES,
    "arc_agi": _LONG, "figlet_font": _LONG, "mahjong_puzzle": _LONG, "needle_haystack": _LONG, "rearc": _LONG,
    "rectangle_count": _LONG, "codeio": "runs bundled programs with exec in this process",
    "jugs": "reference answers that fail at level 2, endless search above", "knight_swap": "seconds a problem",
    "quantum_lock": "its scorer picks letters out of any text", "sokoban": "endless search for some seeds",
}  # fmt: skip
OWN_CHECKER = {
    "binary_matrix": "exact", "spiral_matrix": "exact", "string_insertion": "exact", "countdown": "target",
    "puzzle24": "target", "game_of_life_halting": "exact", "coin_flip": "math", "gsm_symbolic": "math",
}  # fmt: skip
"""Families whose scorer evaluates the answer, or (the last three) gives full marks to wrong ones: to nonsense, to `0`
for every probability that begins with it, to a number with the wrong sign or with others after it."""

_CATEGORIES = {
    "algebra": "math",
    "arithmetic": "math",
    "geometry": "math",
    "probability": "math",
    "code": "code",
}
_WORD = re.compile(r"\w+")
_NO_NUMBER = re.compile(r"\b(?:nan|inf(?:inity)?)[ij]?\b|[\d.]e[-+]?[\d_]{4,}", re.IGNORECASE)
"""What a scorer must not take for a number: `nan` is near everything, and Fraction("1e999999999") never ends."""
_DROPPED = re.compile(r"[\s,]")
"""What some scorers take out of an answer before they read it."""


def gym_names() -> list[str]:
    """The families that can be used, sorted."""
    from reasoning_gym.factory import DATASETS

    return sorted(set(DATASETS) - set(EXCLUDED))


def gym_category(name: str) -> str:
    """math, code or logic, by the package that the family is in."""
    from reasoning_gym.factory import DATASETS

    return _CATEGORIES.get(DATASETS[name][0].__module__.split(".")[1], "logic")


@lru_cache(maxsize=512)
def _dataset(name: str, level: int, seed: int, size: int) -> Any:
    """The data set of a level; None where there is no such level, or reasoning-gym's own config check refuses it."""
    from reasoning_gym.factory import CURRICULA, DATASETS

    warnings.filterwarnings("ignore", module=r"reasoning_gym\.")  # its scorers warn of answers they cannot read
    dataset, config = DATASETS[name]
    defaults = {"seed": seed, "size": size}
    if name not in CURRICULA:
        return dataset(config(**defaults)) if level == 1 else None
    curriculum = CURRICULA[name]()
    if level > max(len(attribute.levels) for attribute in curriculum.attributes.values()):
        return None
    curriculum.set_global_level(level - 1)
    try:
        return dataset(curriculum.generate_configuration(defaults))
    except (AssertionError, ValueError):
        return None


def gym_drafts(name: str, level: int, count: int, seed: int) -> Iterator[Draft | Reject]:
    """Up to `count` different problems of a level, or why one was not usable; nothing where there is no such level."""
    dataset = _dataset(name, level, seed, count)
    if dataset is None:
        return
    seen: set[str] = set()
    for index in range(count):
        with redirect_stdout(io.StringIO()):  # some families print dots
            entry = dataset[index]
        prompt, gold = entry["question"].strip(), str(entry["answer"])
        if prompt in seen:
            continue
        seen.add(prompt)
        yield _draft(name, level, prompt, gold, entry["metadata"])


def _draft(name: str, level: int, prompt: str, gold: str, metadata: dict[str, Any]) -> Draft | Reject:
    checker = OWN_CHECKER.get(name, f"reasoning_gym:{name}")
    if checker == "target":
        data = {"numbers": metadata["numbers"], "target": metadata.get("target", 24)}
    elif checker in ("exact", "math"):
        data = {}
    else:
        data = {"level": level, "metadata": metadata}
    tests = json.dumps(data, sort_keys=True, default=str)
    if checker.startswith("reasoning_gym:"):
        if gym_score(name, gold=gold, prompt=prompt, tests=tests, answer=gold) < 1:
            return Reject("the reference answer does not score", f"{name}: {gold[:200]!r}")
        if max(gym_score(name, gold=gold, prompt=prompt, tests=tests, answer=text) for text in ("", "zzz")) > 0:
            return Reject("the scorer accepts nonsense", name)
    words = sorted(_WORD.findall(prompt.casefold()))
    return Draft(prompt=prompt, gold=gold, template=name, key=tuple(words), tests=tests, checker=checker)


def gym_score(name: str, *, gold: str, prompt: str, tests: str, answer: str) -> float:
    """1 when reasoning-gym gives full marks, else 0: its part marks reward answers that are not right.

    A scorer that fails on an answer gives 0, and so does a number that is none, unless the gold has one too.
    """
    data = json.loads(tests)
    dataset = _dataset(name, data["level"], 1, 1)
    if dataset is None or name in EXCLUDED or name in OWN_CHECKER or len(answer) > MAX_ANSWER_CHARS:
        return 0.0
    if _NO_NUMBER.search(_DROPPED.sub("", answer)) and not _NO_NUMBER.search(_DROPPED.sub("", gold)):
        return 0.0
    try:
        score = dataset.score_answer(answer, {"question": prompt, "answer": gold, "metadata": data["metadata"]})
    except Exception:  # noqa: BLE001 third-party code on hostile text: no answer may end the run
        return 0.0
    return 1.0 if float(score) >= 1.0 else 0.0
