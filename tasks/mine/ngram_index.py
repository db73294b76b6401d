"""An index of the word n-grams of many texts (benchmarks), to find what other texts (pages) share with them.

Shape legend: _w words, _e entries of the index, _h hashes looked up, _m matches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tasks.mine.ngrams import I64, LETTER, U64, Words, combine, words_of

MAX_TABLE_BITS = 28


class Rules(NamedTuple):
    """Which n-grams of a text are looked for; `DecontaminateConfig` says what each means."""

    ngram_words: int
    min_words: int
    content_words: int
    short_content_words: int
    content_bytes: int


@dataclass
class Run:
    """`length` words of text `text` from word `start` on are the words of indexed text `source` from `origin` on."""

    text: int
    source: int
    start: int
    origin: int
    length: int
    ngrams: int
    """How many indexed n-grams the run is made of."""


class HashSet:
    """A set of 64-bit hashes. A table of their top bits answers first, for most hashes asked are not in the set."""

    def __init__(self, hashes: U64) -> None:
        """Keep each of `hashes` once."""
        self.sorted = np.unique(hashes)
        bits = min(max((len(self.sorted) * 16).bit_length(), 10), MAX_TABLE_BITS)
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(1 << bits, np.bool_)
        self._table[self.sorted >> self._shift] = True

    def find(self, hash_h: U64) -> tuple[I64, I64]:
        """Which of `hash_h` are in the set, and their places in `sorted`."""
        maybe = np.flatnonzero(self._table[hash_h >> self._shift])
        place = np.searchsorted(self.sorted, hash_h[maybe])
        known = np.append(self.sorted, np.uint64(0))[place] == hash_h[maybe]
        known &= place < len(self.sorted)
        return maybe[known], place[known]


class Table:
    """The entries of one n-gram length: a hash, and (indexed text, first word there, words that must agree)."""

    def __init__(self, hash_e: U64, entry_e: I64) -> None:
        """Sort the entries by hash."""
        order = np.argsort(hash_e, kind="stable")
        self._entry_e, self._hashes = entry_e[order], HashSet(hash_e)
        self._first = np.searchsorted(hash_e[order], self._hashes.sorted)
        self._count = np.diff(np.append(self._first, len(hash_e)))

    def find(self, at_h: I64, hash_h: U64) -> I64:
        """Rows of (word, indexed text, first word there, words that must agree) for the n-grams at words `at_h`."""
        which, place = self._hashes.find(hash_h)
        count = self._count[place]
        entry = np.arange(count.sum()) + np.repeat(self._first[place] - np.cumsum(count) + count, count)
        return np.column_stack([np.repeat(at_h[which], count), self._entry_e[entry]])


class NgramIndex:
    """The n-grams of `texts` that `rules` name.

    Of a text every n-gram of `ngram_words` words with enough content words; of a text without one, the whole text.
    `unlisted` are the rows of `texts` of which nothing is looked for: too short, or without content.
    """

    def __init__(self, texts: pl.Series, rules: Rules) -> None:
        """Index `texts`."""
        self._texts, self._rules = texts, rules
        hashes: dict[int, list[U64]] = {}
        entries: dict[int, list[I64]] = {}
        heads = [np.zeros(0, np.uint64)]
        for words in words_of(texts):
            for n, at, entry_e in _entries(words, rules):
                hashes.setdefault(n, []).append(combine(words.hash_w, at, n))
                entries.setdefault(n, []).append(entry_e)
                if n < rules.ngram_words:
                    heads.append(combine(words.hash_w, at, rules.min_words))
        self._tables = {n: Table(np.concatenate(hashes[n]), np.concatenate(entries[n])) for n in sorted(hashes)}
        self._heads = HashSet(np.concatenate(heads))
        listed = [entry_e[:, 0] for parts in entries.values() for entry_e in parts]
        self.unlisted = np.setdiff1d(np.arange(len(texts)), np.concatenate([np.zeros(0, np.int64), *listed]))
        self._spelling: dict[int, list[str]] = {}

    def spelled(self, source: int) -> list[str]:
        """The words of an indexed text."""
        if source not in self._spelling:
            words = next(words_of(self._texts[source : source + 1]))
            self._spelling[source] = [words.word(i) for i in range(len(words))]
        return self._spelling[source]

    def runs(self, texts: pl.Series) -> Iterator[Run]:
        """The maximal runs of shared n-grams, ordered by text, then by indexed text."""
        for words in words_of(texts):
            yield from self._merged(words, self._matches(words))

    def _matches(self, words: Words) -> I64:
        """Equal hashes, as rows of `Table.find`."""
        matches = [np.zeros((0, 4), np.int64)]
        longest = self._rules.ngram_words
        if longest in self._tables:
            hash_w, whole_w = words.ngrams(longest)
            found = self._tables[longest].find(np.arange(len(hash_w)), hash_w)
            matches.append(found[whole_w[found[:, 0]]])
        # Only where the first words of a short text stand can the whole of it stand.
        hash_w, _ = words.ngrams(self._rules.min_words)
        heads, _ = self._heads.find(hash_w)
        for n, table in self._tables.items():
            if n < longest:
                at = heads[heads + n <= len(words)]
                matches.append(table.find(at, combine(words.hash_w, at, n)))
        return np.concatenate(matches)

    def _merged(self, words: Words, match_m: I64) -> Iterator[Run]:
        """Confirm each match word by word, and join those that continue one another."""
        text_m, shift_m = words.text_w[match_m[:, 0]], match_m[:, 0] - match_m[:, 2]
        last: Run | None = None
        spelled = cache(words.word)
        for at, source, origin, length in match_m[np.lexsort((match_m[:, 0], shift_m, match_m[:, 1], text_m))].tolist():
            text = int(words.text_w[at])
            first = int(words.offset_n1[text])
            fits = at + length <= words.offset_n1[text + 1]
            if not fits or [spelled(at + k) for k in range(length)] != self.spelled(source)[origin : origin + length]:
                continue  # at the end of a text, or equal hashes of different words
            run = Run(text + words.first, source, at - first, origin, length, 1)
            if (
                last is not None
                and (last.text, last.source) == (run.text, run.source)
                and last.start - last.origin == run.start - run.origin
                and run.start <= last.start + last.length
            ):
                last.length = max(last.length, run.start + run.length - last.start)
                last.ngrams += 1
                continue
            if last is not None:
                yield last
            last = run
        if last is not None:
            yield last


def _entries(words: Words, rules: Rules) -> Iterator[tuple[int, I64, I64]]:
    """Length of n-grams, the words at which they start, and their entries."""
    content_w = np.where(_is_content(words, rules.content_bytes), words.hash_w, 0)
    n = rules.ngram_words
    enough_w = words.ngrams(n)[1] & (_distinct(content_w, n) >= rules.content_words)
    at = np.flatnonzero(enough_w)
    text = words.text_w[at]
    yield n, at, np.column_stack([text + words.first, at - words.offset_n1[text], np.full(len(at), n)])
    lengths = np.diff(words.offset_n1)
    lengths[text] = 0
    for row in np.flatnonzero(lengths >= rules.min_words):
        start, length = words.offset_n1[row], lengths[row]
        if len(set(content_w[start : start + length].tolist()) - {0}) >= rules.short_content_words:
            yield min(n, int(length)), np.array([start]), np.array([[row + words.first, 0, length]])


def _is_content(words: Words, content_bytes: int) -> NDArray[np.bool_]:
    """Whether each word is a run of at least so many bytes of letters."""
    next_w = np.append(words.start_w[1:], len(words.class_b))
    content_w = np.ones(len(words), np.bool_)
    for k in range(content_bytes):
        byte = words.start_w + k
        content_w &= (byte < next_w) & (words.class_b[np.minimum(byte, len(words.class_b) - 1)] == LETTER)
    return content_w


def _distinct(value_w: U64, n: int) -> I64:
    """How many different values other than 0 stand in each window of n."""
    if len(value_w) < n:
        return np.zeros(0, np.int64)
    window = np.sort(sliding_window_view(value_w, n), axis=1)
    distinct: I64 = (window[:, 1:] != window[:, :-1]).sum(axis=1) + (window[:, 0] != 0)
    return distinct
