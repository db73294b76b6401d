"""A raw chain of thought to its steps: numbered steps, paragraphs, lines, in this order of preference."""

from __future__ import annotations

import re
from itertools import pairwise

_COUNT = r"[一二三四五六七八九十\d]{1,3}"
_NUMBERED = re.compile(
    rf"^[ \t]*(?:[#*_>]+[ \t]*)?(?:step[ \t]*\d{{1,3}}\b|第[ \t]*{_COUNT}[ \t]*步|步骤[ \t]*{_COUNT})",
    re.IGNORECASE | re.MULTILINE,
)
_LISTED = re.compile(r"^[ \t]*(\d{1,3})[.)、][ \t]+(?=\S)", re.MULTILINE)
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_OPENERS = re.compile(r"\\begin\{([a-z]+\*?)\}|\\\[|\$\$")
_CLOSER = {"\\[": "\\]", "$$": "$$"}


def split_steps(chain: str) -> list[str]:
    """Steps of `chain` in order, without empty ones; joined, they hold every non-blank character.

    "Step 3:" headings and a list numbered 1, 2, 3 … mark steps where there are two of them or more; else blank
    lines part them; else each line is one. A displayed formula or an environment is never cut.
    """
    text = chain.strip()
    if not text:
        return []
    for starts in ([m.start() for m in _NUMBERED.finditer(text)], _list_starts(text)):
        starts = _outside_displays(text, starts)
        if len(starts) >= 2:
            return _cut(text, starts)
    gaps = _outside_displays(text, [m.end() for m in _PARAGRAPH.finditer(text)])
    if gaps:
        return _cut(text, gaps)
    return _cut(text, _outside_displays(text, [m.end() for m in re.finditer(r"\n\s*", text)]))


def _list_starts(text: str) -> list[int]:
    """Where the items of the outermost list begin that counts up from 1."""
    starts: list[int] = []
    for match in _LISTED.finditer(text):
        if int(match[1]) == len(starts) + 1:
            starts.append(match.start())
    return starts


def _outside_displays(text: str, cuts: list[int]) -> list[int]:
    inside: list[tuple[int, int]] = []
    missing: set[str] = set()
    position = 0
    while cuts and (opened := _OPENERS.search(text, position)):
        closer = f"\\end{{{opened[1]}}}" if opened[1] else _CLOSER[opened[0]]
        end = -1 if closer in missing else text.find(closer, opened.end())
        if end < 0:
            missing.add(closer)
            position = opened.end()
            continue
        inside.append((opened.start(), end))
        position = end + len(closer)
    kept: list[int] = []
    index = 0
    for cut in cuts:
        while index < len(inside) and inside[index][1] < cut:
            index += 1
        if index == len(inside) or not inside[index][0] < cut:
            kept.append(cut)
    return kept


def _cut(text: str, starts: list[int]) -> list[str]:
    edges = sorted({0, *starts, len(text)})
    pieces = (text[a:b].strip() for a, b in pairwise(edges))
    return [piece for piece in pieces if piece]
