"""Sentences from templates: `{name}` draws from a word list or a formula, `[a|b]` one of its alternatives."""

from __future__ import annotations

import re
from functools import cache
from random import Random

from tasks.sample_crawl import expressions
from tasks.sample_crawl.formulas import Node

Piece = str | Node
Inline = tuple[Piece, ...]
"""A run of text: strings and formulas."""
_TOKEN = re.compile(r"\{(\w+)\}|\[([^\[\]]*)\]")


@cache
def _parse(template: str) -> tuple[tuple[str, str], ...]:
    parts: list[tuple[str, str]] = []
    end = 0
    for match in _TOKEN.finditer(template):
        if match.start() > end:
            parts.append(("text", template[end : match.start()]))
        parts.append(("slot", match[1]) if match[1] else ("choice", match[2]))
        end = match.end()
    if end < len(template):
        parts.append(("text", template[end:]))
    return tuple(parts)


@cache
def _split(words: str) -> tuple[str, ...]:
    return tuple(words.split("|"))


def seeded(*parts: object) -> Random:
    """A generator of its own for whatever `parts` name: what is drawn here moves nothing elsewhere."""
    return Random(" ".join(map(str, parts)))  # noqa: S311 nothing secret


class Grammar:
    """One language: word lists (`a|b|c`) and sentence templates by pool."""

    def __init__(self, language: str, words: dict[str, str], pools: dict[str, str]) -> None:
        """`pools` hold one template a line."""
        self.language = language
        self.words = {name: _split(value.replace("\n", "")) for name, value in words.items()}
        self.pools = {name: tuple(x for x in value.strip().split("\n") if x) for name, value in pools.items()}

    def expand(self, rng: Random, template: str, topic: str = "") -> Inline:
        """One sentence. `{f}` is a formula of `topic`, `{c}` one of its concepts, `{n}` and its kin are numbers."""
        out: list[Piece] = []
        self._expand(rng, template, topic, out)
        if out and isinstance(out[0], str) and out[0][:1].islower():
            out[0] = out[0][0].upper() + out[0][1:]
        return tuple(out)

    def _expand(self, rng: Random, template: str, topic: str, out: list[Piece]) -> None:
        for kind, value in _parse(template):
            if kind == "choice":
                self._expand(rng, rng.choice(_split(value)), topic, out)
            elif kind == "text":
                _append(out, value)
            elif value == "f":
                out.append(expressions.inline(rng, topic))
            elif value == "c":
                _append(out, rng.choice(self.words["c_" + topic]))
            elif value in NUMBERS:
                low, high, form = NUMBERS[value]
                _append(out, form.format(rng.randint(low, high), rng.randint(0, 59)))
            else:
                self._expand(rng, rng.choice(self.words[value]), topic, out)

    def sentences(self, rng: Random, pool: str, count: int, topic: str = "") -> list[Inline]:
        """`count` sentences of `pool`, each template once before any comes again."""
        bag: list[str] = []
        out: list[Inline] = []
        while len(out) < count:
            if not bag:
                bag = list(self.pools[pool])
                rng.shuffle(bag)
            out.append(self.expand(rng, bag.pop(), topic))
        return out

    def text(self, rng: Random, pool: str, topic: str = "") -> str:
        """One sentence of a pool without formulas."""
        return "".join(str(p) for p in self.expand(rng, rng.choice(self.pools[pool]), topic))


NUMBERS = {  # slot: (low, high, form)
    "d": (2, 9, "{}"), "n": (3, 98, "{}"), "m": (101, 4990, "{}"), "k": (11, 29, "{}"), "year": (1958, 2025, "{}"),
    "price": (4, 480, "{}.{:02}"), "pct": (1, 89, "{}.{}"), "hour": (8, 21, "{}:{:02}"), "big": (12, 980, "{},{:03}"),
}  # fmt: skip


def _append(out: list[Piece], text: str) -> None:
    if out and isinstance(out[-1], str):
        out[-1] += text
    else:
        out.append(text)
