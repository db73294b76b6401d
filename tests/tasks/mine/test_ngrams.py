"""Words and n-gram hashes against a character-by-character reference in plain Python."""

from __future__ import annotations

import re
import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.mine import ngrams
from tasks.mine.ngrams import LAYOUT_COMMANDS, UNSPACED, words_of

PIECES = st.sampled_from(
    [*" x3$\\{}+-=^_.!\n\u00a0éΣ数学กข²½①×≤“—…ﬁ한١Ⅷｘ！💡", "ab", "Sum", "12", "frac", "\\frac", "\\alpha",
     "\u00ad", "\u200d", "\u202a", "e\u0301",
     "か\u3099", "ｶ\uff9e", "\u1112\u1161\u11ab", "हिन्दी"]
)  # fmt: skip
UNSEEN = {
    chr(c)
    for c in (0xAD, 0x200C, 0x200D, 0x200E, 0x200F, *range(0x202A, 0x202F), 0x2060, *range(0x2066, 0x206A), 0xFEFF)
}
TEXTS = st.lists(st.one_of(st.lists(PIECES, max_size=30).map("".join), st.text(max_size=20)), max_size=6)


def reference_words(text: str, symbols: bool) -> list[str]:
    """The rule of the module's docstring, one character at a time."""
    text = re.sub(r"(\\[dt]?frac\s*\d)\s*(\d)", r"\1 \2 ", text)
    spaced = "".join(f" {c} " if unicodedata.category(c) == "No" else c for c in text)
    text = "".join(c for c in unicodedata.normalize("NFKC", spaced) if c not in UNSEEN)
    words: list[str] = []
    previous = ""
    for index, c in enumerate(text):
        if any(low <= ord(c) <= high for low, high in UNSPACED) and unicodedata.category(c)[0] in "LMN":
            kind = f"alone {index}"
        elif "0" <= c <= "9":
            kind = "digit"
        elif unicodedata.category(c)[0] in "LMN":
            kind = "letter"
        elif symbols and (c in "+-*/=<>^_%!|" or (ord(c) > 127 and unicodedata.category(c)[0] == "S")):
            kind = f"alone {index}"
        else:
            kind = ""
        if kind and kind == previous:
            words[-1] += c
        elif kind:
            words.append(("\\" if index and text[index - 1] == "\\" and kind == "letter" else "") + c)
        previous = kind
    layout = {f"\\{name}" for name in LAYOUT_COMMANDS.split()}
    lower = [w.casefold().lower() for w in words]
    return [w.removeprefix("\\") for w in lower if symbols or w not in layout]


def words_and_hashes(texts: list[str | None], symbols: bool) -> list[list[tuple[str, int]]]:
    rows: list[list[tuple[str, int]]] = []
    for words in words_of(pl.Series(texts, dtype=pl.String), symbols=symbols):
        assert words.first == len(rows)
        for start, end in zip(words.offset_n1[:-1], words.offset_n1[1:], strict=True):
            rows.append([(words.word(i), int(words.hash_w[i])) for i in range(start, end)])
    return rows


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.booleans())
def test_words_are_those_of_the_reference_and_hash_alike_wherever_they_stand(texts: list[str], symbols: bool) -> None:
    rows = words_and_hashes([*texts, *texts[::-1]], symbols)
    assert [[w for w, _ in row] for row in rows] == [reference_words(t, symbols) for t in [*texts, *texts[::-1]]]
    pairs = {pair for row in rows for pair in row}
    assert len({w for w, _ in pairs}) == len({h for _, h in pairs}) == len(pairs)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.integers(1, 12))
def test_ngrams_hash_equal_exactly_where_the_words_are_equal(texts: list[str], n: int) -> None:
    seen: dict[int, tuple[str, ...]] = {}
    for words in words_of(pl.Series([*texts, *texts], dtype=pl.String)):
        hashes, whole = words.ngrams(n)
        spelled = [words.word(i) for i in range(len(words))]
        assert len(hashes) == len(whole) == max(len(words) - n + 1, 0)
        expected = sum(max(len(reference_words(t, False)) - n + 1, 0) for t in texts) * 2
        assert int(whole.sum()) == expected
        for i, value in enumerate(hashes.tolist()):
            assert seen.setdefault(value, tuple(spelled[i : i + n])) == tuple(spelled[i : i + n])
    assert len(set(seen.values())) == len(seen)


def test_slabs_do_not_change_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["one two three " * 40, None, "", "four", "a" * 700, "five six", "数学" * 300]
    whole = words_and_hashes(texts, False)
    monkeypatch.setattr(ngrams, "SLAB_BYTES", 256)  # several texts a slab, and texts longer than a slab
    assert words_and_hashes(texts, False) == whole
    assert [len(row) for row in whole] == [120, 0, 0, 1, 1, 2, 600]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("$x+\\frac{1}{2}$", "x + 1/2"),
        ("\\left( 2x \\right) \\cdot y^{2}", "(2x)·y²"),
        ("\\[ \\sin x \\leq 1 \\]", "sin x ≤ 1"),
        ("Ｆｕｌｌ ｗｉｄｔｈ １２", "full width 12"),
        ("“Quoted” — text…", '"quoted" - text...'),
        ("Nata\u00adlia sold 48 clips to her fri\u200dends", "natalia sold 48 clips to her friends"),
        ("\\frac12+\\dfrac 3 4", "\\frac{1}{2}+\\frac{3}{4}"),
        ("\\dbinom{8}{4}", "\\binom{8}{4}"),
    ],
)
def test_the_same_mathematics_written_differently_has_the_same_words(left: str, right: str) -> None:
    assert reference_words(left, False) == reference_words(right, False)
    rows = words_and_hashes([left, right], False)
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("left", "right"), [("x+1", "x-1"), ("x<y", "x>y"), ("a×b", "a÷b"), ("10²", "102"), ("3!", "3")]
)
def test_symbols_keep_formulas_apart(left: str, right: str) -> None:
    rows = words_and_hashes([left, right], True)
    assert rows[0] != rows[1]


def test_layout_commands_are_words_where_they_are_no_commands() -> None:
    text = "The text in the box: \\text{in} \\infty"
    assert [w for w, _ in words_and_hashes([text], False)[0]] == ["the", "text", "in", "the", "box", "in"]
    assert re.findall(r"[a-z]+", LAYOUT_COMMANDS) == LAYOUT_COMMANDS.split()
