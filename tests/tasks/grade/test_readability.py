"""Readability numbers against brute force and worked examples."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.grade.readability import NGRAM_WORDS, _longest_loop, measure_text


def loop_by_brute_force(words: list[int]) -> int:
    """Longest stretch with a period that fits into it at least three times."""
    for length in range(len(words), 2, -1):
        for start in range(len(words) - length + 1):
            part = words[start : start + length]
            for period in range(1, length // 3 + 1):
                if all(part[place] == part[place - period] for place in range(period, length)):
                    return length
    return 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 2), max_size=18))
def test_longest_loop(words: list[int]) -> None:
    assert _longest_loop(np.array(words, dtype=np.int64)) == loop_by_brute_force(words)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from("ab"), max_size=60))
def test_repeated_share(words: list[str]) -> None:
    """Against a set of tuples."""
    grams = [tuple(words[at : at + NGRAM_WORDS]) for at in range(len(words) - NGRAM_WORDS + 1)]
    expected = 1 - len(set(grams)) / len(grams) if grams else 0.0
    assert measure_text(" ".join(words)).repeated_ngram_share == pytest.approx(expected)


def test_worked_example() -> None:
    numbers = measure_text("One two three. Four five!\n\nx = 1")
    assert numbers.words == 10  # with ". ! =" as words
    assert numbers.mean_line_chars == pytest.approx((25 + 5) / 2)
    assert numbers.longest_line_chars == 25
    assert numbers.mean_sentence_words == pytest.approx((4 + 3 + 3) / 3)
    assert numbers.longest_sentence_words == 4
    assert numbers.symbol_share == pytest.approx(3 / 24)
    assert numbers.longest_loop_words == 0


def test_chinese_is_counted_by_character() -> None:
    assert measure_text("我们计算。然后检查。").words == 10
    assert measure_text("我们计算。然后检查。").mean_sentence_words == 5
    assert measure_text("我是" * 50).longest_loop_words == 100


def test_empty() -> None:
    numbers = measure_text(" \n ")
    assert (numbers.words, numbers.mean_line_chars, numbers.symbol_share, numbers.longest_loop_words) == (0, 0, 0, 0)


def test_a_loop_stands_out_of_real_traces(rigor_data: Path) -> None:
    """A real trace that ends in `wait, let me check` over and over, against the same trace without."""
    traces = pl.read_parquet(rigor_data / "longcot" / "math500_r1_and_distill_traces.parquet")["reasoning_trace"]
    for trace in random.Random(5).sample(traces.drop_nulls().to_list(), 8):
        clean = measure_text(trace[:4000])
        stuck = measure_text(trace[:4000] + "\nWait, let me check again." * 100)
        assert stuck.longest_loop_words >= 600 > 5 * clean.longest_loop_words
        assert stuck.repeated_ngram_share > clean.repeated_ngram_share + 0.2
