r"""Words and word n-grams of many texts at once, as flat NumPy arrays of 64-bit hashes.

The words of a text, the same for pages and benchmarks: after NFKC and lower case, a run of letters is a word, a
run of digits is a word, and a character of a script written without spaces (Chinese, Japanese, Thai …) is a word.
What cannot be seen (soft hyphens, joiners, marks of direction) is not there, and `\frac12` is `\frac{1}{2}`.
Punctuation ends words and is dropped, and so are LaTeX commands that only lay out: `$x+\frac{1}{2}$` and `x + 1/2`
have the same words. With `symbols=True` no command is dropped and operators (+ - = < ^ × …) are words of their own:
then `x+1` and `x-1` differ.

Shape legend: _n texts, _w words of all texts in order, _b bytes of all texts in order, _n1 one more than texts.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]

SLAB_BYTES = 1 << 19
"""Texts are hashed in slabs of about this size, so that the arrays stay in the cache."""

# Scripts whose words are not set apart by spaces: Thai and Lao, Burmese, Khmer, kana and Han. Every character counts
# as a word.
UNSPACED = ((0xE00, 0xEFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3040, 0x30FF),
            (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))  # fmt: skip
# What NFKC can join with its neighbours: marks, Hangul letters, half-width voicing marks. Everything else it replaces
# one by one, which costs a tenth of normalising whole texts (45 µs for 3 kB).
JOINING = r"[\p{M}\x{1100}-\x{11ff}\x{3131}-\x{318e}\x{a960}-\x{a97f}\x{d7b0}-\x{d7ff}\x{ff9e}-\x{ffdc}]"

# LaTeX commands that lay out, or whose plain counterpart is punctuation or an operator, and so no word.
LAYOUT_COMMANDS = (
    "begin end left right big bigg bigl bigr frac dfrac tfrac cfrac sqrt text textbf textit textrm mathrm mathbf mathit"
    " mathsf mathbb mathcal boldsymbol operatorname displaystyle textstyle limits nolimits quad qquad hspace vspace"
    " hline label tag nonumber overline underline hat bar vec tilde overrightarrow times cdot div pm mp le leq leqslant"
    " ge geq geqslant lt gt ne neq approx equiv sim simeq cong propto in notin ni subset subseteq cup cap setminus"
    " emptyset forall exists neg land lor wedge vee to rightarrow leftarrow implies iff mapsto mid parallel perp angle"
    " triangle circ degree prime infty sum prod int partial nabla lfloor rfloor lceil rceil langle rangle ldots cdots"
    " dots vdots ddots binom dbinom tbinom"
)
INVISIBLE = frozenset(
    "\u00ad\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)
_BARE_FRACTION = r"(\\[dt]?frac\s*\d)\s*(\d)"

SEPARATOR, LETTER, DIGIT, SYMBOL = range(4)
_MULTIPLIER = 0x9E3779B97F4A7C15 | 1


def _powers(multiplier: int, count: int) -> U64:
    """multiplier ** (0 … count - 1) modulo 2 ** 64."""
    powers = np.full(count, multiplier, np.uint64)
    powers[:1] = 1
    return np.multiply.accumulate(powers)


def _byte_classes(symbols: bool) -> bytes:
    classes = bytearray([SEPARATOR] * 128 + [LETTER] * 128)
    for kind, members in ((LETTER, string.ascii_lowercase), (DIGIT, string.digits), (SYMBOL, "+-*/=<>^_%!|")):
        for byte in members.encode():
            classes[byte] = kind if symbols or kind != SYMBOL else SEPARATOR
    return bytes(classes)


_CLASSES = {symbols: _byte_classes(symbols) for symbols in (False, True)}
_VALUES = {symbols: bytes(b if kinds[b] != SEPARATOR else 0 for b in range(256)) for symbols, kinds in _CLASSES.items()}
_GROW = _powers(_MULTIPLIER, SLAB_BYTES)
_SHRINK = _powers(pow(_MULTIPLIER, -1, 1 << 64), SLAB_BYTES)


@dataclass(frozen=True)
class Words:
    """The words of N consecutive texts.

    `hash_w` are 64-bit hashes of the words, `start_w` the byte at which each begins in `data_b`, `text_w` the index
    of the text it stands in (from 0), and the words of text i are those from `offset_n1[i]` to `offset_n1[i + 1]`.
    """

    first: int
    """Index of the first of these texts in the whole series."""
    data_b: bytes
    class_b: NDArray[np.uint8]
    start_w: I64
    hash_w: U64
    text_w: I64
    offset_n1: I64

    def __len__(self) -> int:
        """How many words."""
        return len(self.hash_w)

    def word(self, index: int) -> str:
        """The word at `index`, to compare exactly what the hashes say is equal."""
        start = end = int(self.start_w[index])
        kind = self.class_b[start]
        limit = len(self.data_b) if index + 1 == len(self) else int(self.start_w[index + 1])
        while end < limit and self.class_b[end] == kind:
            end += 1
        return self.data_b[start:end].decode()

    def ngrams(self, n: int) -> tuple[U64, NDArray[np.bool_]]:
        """Hashes of the n words from each word on, and whether these n stand in one text."""
        count = max(len(self) - n + 1, 0)
        return _rolling(self.hash_w, n), self.text_w[:count] == self.text_w[n - 1 : n - 1 + count]


def combine(hash_w: U64, at: I64, n: int) -> U64:
    """The hashes of the n words from each position in `at` on. Every position needs n words after it."""
    result = np.zeros(len(at), np.uint64)
    for k in range(n - 1, -1, -1):
        result *= np.uint64(_MULTIPLIER)
        result += hash_w[at + k]
    return result


def _rolling(hash_w: U64, n: int) -> U64:
    """`combine` at every position, in log2(n) passes: the hash of 2k words comes from two hashes of k words."""
    count = max(len(hash_w) - n + 1, 0)
    total, block, size, done = np.zeros(count, np.uint64), hash_w, 1, 0
    while True:
        if n & size:
            total += block[done : done + count] * _power(done)
            done += size
        if done == n:
            return total
        block = block[:-size] + block[size:] * _power(size)
        size *= 2


def _power(exponent: int) -> np.uint64:
    return np.uint64(pow(_MULTIPLIER, exponent, 1 << 64))


def words_of(texts: pl.Series, *, symbols: bool = False) -> Iterator[Words]:
    """The words of `texts` (a null counts as empty), slab by slab in order."""
    texts = normalise(texts, symbols=symbols)
    arrow = texts.rechunk().to_arrow()
    offsets = np.frombuffer(arrow.buffers()[1], np.int64, len(texts) + 1, arrow.offset * 8)
    data = arrow.buffers()[2]
    flat = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    first = 0
    while first < len(texts):
        last = int(np.searchsorted(offsets, offsets[first] + SLAB_BYTES, "right")) - 1
        last = min(max(last, first + 1), len(texts))
        yield _slab(
            first, flat[offsets[first] : offsets[last]].tobytes(), offsets[first : last + 1] - offsets[first], symbols
        )
        first = last


def _slab(first: int, data_b: bytes, byte_n1: I64, symbols: bool) -> Words:
    """Cut the lower-case UTF-8 of some texts into words and hash them."""
    class_b = np.frombuffer(data_b.translate(_CLASSES[symbols]), np.uint8)
    edge_b = np.ones(len(data_b) + 1, np.bool_)
    edge_b[1:-1] = class_b[1:] != class_b[:-1]
    edge_b[byte_n1] = True
    if symbols:
        edge_b[:-1] |= class_b == SYMBOL
    start_w = np.flatnonzero(edge_b[:-1] & (class_b != SEPARATOR))
    hash_w = _word_hashes(data_b.translate(_VALUES[symbols]), start_w)
    if not symbols:
        command_w = (np.frombuffer(data_b, np.uint8)[start_w - 1] == ord("\\")) & ~np.isin(start_w, byte_n1)
        command_w[command_w] = np.isin(hash_w[command_w], _layout_hashes())
        start_w, hash_w = start_w[~command_w], hash_w[~command_w]
    offset_n1 = np.searchsorted(start_w, byte_n1)
    text_w = np.repeat(np.arange(len(byte_n1) - 1), np.diff(offset_n1))
    return Words(first, data_b, class_b, start_w, hash_w, text_w, offset_n1)


def _word_hashes(value_b: bytes, start_w: I64) -> U64:
    """A word's hash is the polynomial of its bytes.

    Separators are zero, so the sum from a word's start to the next word's start is the word's, times a power that
    depends on where it stands; that is divided out.
    """
    grow, shrink = _GROW, _SHRINK
    if len(value_b) > SLAB_BYTES:  # one text longer than a slab
        grow = _powers(_MULTIPLIER, len(value_b))
        shrink = _powers(int(_SHRINK[1]), len(value_b))
    terms_b = np.frombuffer(value_b, np.uint8).astype(np.uint64)
    terms_b *= grow[: len(value_b)]
    sums_b = np.cumsum(terms_b, out=terms_b)
    before_w = np.append(sums_b[start_w], sums_b[-1:])
    before_w[:-1] -= np.frombuffer(value_b, np.uint8)[start_w] * grow[start_w]
    hash_w = np.diff(before_w[: len(start_w) + 1]) * shrink[start_w]
    hash_w ^= hash_w >> np.uint64(29)  # spread: the low bits of a polynomial know little of its last bytes
    hash_w *= np.uint64(0xBF58476D1CE4E5B9)
    hash_w ^= hash_w >> np.uint64(32)
    return hash_w


@cache
def _layout_hashes() -> U64:
    return np.concatenate([words.hash_w for words in words_of(pl.Series([LAYOUT_COMMANDS]), symbols=True)])


def normalise(texts: pl.Series, *, symbols: bool = False) -> pl.Series:
    """Lower-case NFKC text in which the bytes 0 to 127 tell where each word ends."""
    text = texts.fill_null("").alias("text")
    text = _replace_where(text, text.str.contains(_BARE_FRACTION), _apart)
    beyond = text.str.len_bytes() != text.str.len_chars()
    return _replace_where(text, beyond, lambda part: _replace_beyond_ascii(part, symbols)).str.to_lowercase()


def _replace_where(text: pl.Series, mask: pl.Series, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    if not mask.any():
        return text
    own = (mask.cast(pl.Int64).cum_sum() - 1).clip(0)
    return text.zip_with(~mask, change(text.filter(mask)).gather(own))


def _replace_beyond_ascii(text: pl.Series, symbols: bool) -> pl.Series:
    text = _replace_where(text, text.str.contains(JOINING), _compose)
    characters = text.str.extract_all(r"[^\x00-\x7f]").list.explode().unique().drop_nulls().sort().to_list()
    changed = {c: r for c in characters if (r := _replacement(c, symbols)) != c}
    return text.str.replace_many(changed) if changed else text


def _apart(text: pl.Series) -> pl.Series:
    return text.str.replace_all(_BARE_FRACTION, "$1 $2 ")


def _compose(text: pl.Series) -> pl.Series:
    return text.str.replace_all(r"(\p{No})", " $1 ").str.normalize("NFKC")


@cache
def _replacement(character: str, symbols: bool) -> str:
    """What stands for a character beyond ASCII: itself, its NFKC form, words of their own, a blank, or nothing."""
    if character in INVISIBLE:
        return ""
    parts = []
    for c in unicodedata.normalize("NFKC", character):
        kind = unicodedata.category(c)[0]
        if ord(c) < 128 or (kind in "LMN" and not any(low <= ord(c) <= high for low, high in UNSPACED)):
            parts.append(c.casefold())  # one form of σ and ς, where lower case depends on the place
        elif kind in "LMN" or (symbols and kind == "S"):
            parts.append(f" {c} ")
        else:
            parts.append(" ")
    replaced = "".join(parts)
    # 10² is not 102, 2½ is not 21⁄2, ①② is not 12.
    return f" {replaced} " if unicodedata.category(character) == "No" else replaced
