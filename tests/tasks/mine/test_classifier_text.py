"""Normalisation and seed files: worked examples, properties, and every way a seed file can be wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.mine.classifier_seeds import SeedError, read_seeds
from tasks.mine.classifier_text import READ_CHARS, normalise
from tasks.stage import SourceFile


def files(*paths: Path) -> tuple[SourceFile, ...]:
    return tuple(SourceFile(str(path), "", 0) for path in paths)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Solve $\\frac{1}{2}x = 10.5$", "solve \\( \\frac { 0 } { 0 } x = 0 \\)"),
        ("证明：$a+b$", "证 明 \\( a + b \\)"),
        ("$total = $row * $rate; costs $5 and $6", "total = row * rate costs 0 and 0"),
        ("関数 f(x)", "関 数 f x"),
        ("Решите УРАВНЕНИЕ", "решите уравнение"),
        ("$$x^2$$ 1,234,567 sheep.", "\\( x ^ 0 \\) 0 sheep"),
        ("a__label__b </s>\r\n\0", "a _ _ label _ _ b < / s >"),
        ("", ""),
    ],
)
def test_examples(text: str, line: str) -> None:
    assert normalise(text) == line


@given(st.text())
def test_every_text_becomes_one_line_of_plain_tokens(text: str) -> None:
    line = normalise(text)
    assert line == " ".join(line.split())
    assert "__label__" not in line
    line.encode()


def test_only_the_beginning_is_read() -> None:
    assert normalise("a " * READ_CHARS) == normalise("a " * (READ_CHARS // 2))


def test_seeds_of_all_kinds_in_order_without_repeats(tmp_path: Path) -> None:
    rows = [{"text": "one"}, {"text": "  "}, {"text": None}, {"text": "two", "problem": "no"}, {"text": "one"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"problem": "three"}\n'))
    pl.DataFrame({"question": ["four", "one"], "answer": ["4", "1"]}).write_parquet(tmp_path / "c.parquet")
    found = read_seeds(files(tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz", tmp_path / "c.parquet"))
    assert found == ["one", "two", "three", "four"]
    assert read_seeds(()) == []


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"x", "named"),
        ("a.jsonl", b'{"body": "x"}\n', "has columns"),
        ("a.jsonl", b"not json\n", "cannot be read"),
        ("a.jsonl", b'{"text": 5}\n', "holds Int64"),
        ("a.jsonl", b'{"text": ""}\n', "no text"),
        ("a.jsonl", b"", "cannot be read|has columns"),
        ("a.parquet", b"PAR1 broken", "cannot be read"),
        ("a.jsonl.gz", b"\x1f\x8b broken", "cannot be read"),
    ],
)
def test_a_bad_seed_file_says_what_is_wrong(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SeedError, match=message):
        read_seeds(files(tmp_path / name))


def test_a_missing_seed_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match=r"none\.jsonl"):
        read_seeds(files(tmp_path / "none.jsonl"))


def test_math_and_gsm8k_training_sets_are_seeds(rigor_data: Path) -> None:
    for name in ("math_train", "gsm8k_train"):
        assert len(read_seeds(files(rigor_data / f"math/{name}.parquet"))) > 5_000
