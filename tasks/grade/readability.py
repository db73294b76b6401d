"""How readable is a text, in numbers: repetition, loops, lengths, symbols. Thresholds belong to the caller."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NGRAM_WORDS = 8
MAX_PERIOD_WORDS = 200
"""Longest unit of a loop that is looked for."""
MAX_WORDS = 200_000
_WORD = re.compile(r"[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\W_]+|[^\w\s]|_")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")


@dataclass(frozen=True)
class TextNumbers:
    """Measures of one text. A word is a run of letters and digits, one CJK character or one symbol."""

    words: int
    repeated_ngram_share: float
    """Share of the word 8-grams that occurred earlier in the text (0 = nothing twice)."""
    longest_loop_words: int
    """Longest stretch that is one unit (at most 200 words) said at least three times in a row."""
    mean_line_chars: float
    longest_line_chars: int
    mean_sentence_words: float
    longest_sentence_words: int
    symbol_share: float
    """Share of the characters, white space left out, that are neither letters nor digits."""


def measure_text(text: str) -> TextNumbers:
    """Measure a text; words beyond the first 200,000 are not looked at for repetition."""
    words = _WORD.findall(text)
    numbers = _as_numbers(words[:MAX_WORDS])
    lines = [line for line in text.splitlines() if line.strip()]
    sentences = [len(_WORD.findall(part)) for part in _SENTENCE_END.split(text) if part.strip()]
    visible = [char for char in text if not char.isspace()]
    return TextNumbers(
        words=len(words),
        repeated_ngram_share=_repeated_share(numbers),
        longest_loop_words=_longest_loop(numbers),
        mean_line_chars=sum(map(len, lines)) / len(lines) if lines else 0.0,
        longest_line_chars=max(map(len, lines), default=0),
        mean_sentence_words=sum(sentences) / len(sentences) if sentences else 0.0,
        longest_sentence_words=max(sentences, default=0),
        symbol_share=sum(not char.isalnum() for char in visible) / len(visible) if visible else 0.0,
    )


def _as_numbers(words: list[str]) -> npt.NDArray[np.int64]:
    """Words as numbers, the same for the same word; shape (words,)."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(word, len(known)) for word in words], dtype=np.int64)


def _repeated_share(numbers: npt.NDArray[np.int64]) -> float:
    count = len(numbers) - NGRAM_WORDS + 1
    if count <= 0:
        return 0.0
    windows = np.lib.stride_tricks.sliding_window_view(numbers, NGRAM_WORDS)
    distinct = len(np.unique(windows, axis=0))
    return 1.0 - distinct / count


def _longest_loop(numbers: npt.NDArray[np.int64]) -> int:
    """A loop of period p is a stretch whose every word equals the one p earlier, over at least 2 p words."""
    longest = 0
    for period in range(1, min(MAX_PERIOD_WORDS, len(numbers) // 3) + 1):
        same = numbers[period:] == numbers[:-period]
        edges = np.flatnonzero(np.diff(np.concatenate(([False], same, [False])).astype(np.int8)))
        runs = edges[1::2] - edges[::2]
        run = int(runs.max()) if len(runs) else 0
        if run >= 2 * period:
            longest = max(longest, run + period)
    return longest
