"""Decontamination against a naive scan over all word windows, on generated text and on real benchmarks."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.mine import ngram_index, ngrams
from tasks.mine.decontaminate import STAGE, DecontaminateConfig, find_contamination, read_benchmarks
from tasks.sample_crawl import SampleCrawlConfig, generate
from tasks.stage import Inputs, RejectedRow, SourceFile
from warehouse.ids import row_id
from warehouse.schema import MATH_CORPUS, PAGES_UNIQUE
from warehouse.tables import Tables

CONFIG = DecontaminateConfig()
SMALL = DecontaminateConfig(ngram_words=4, min_words=2, content_words=2)
Hits = dict[tuple[int, str, str], int]


def words_of(text: str) -> list[str]:
    """Words of text without LaTeX commands: runs of ASCII letters, of digits, and single Chinese characters."""
    return re.findall(r"[\u4e00-\u9fff]|[a-z]+|[0-9]+", text.lower())


def naive_hits(texts: Iterable[str], benchmarks: pl.DataFrame, config: DecontaminateConfig) -> Hits:
    """(text, benchmark, item) and how many windows they share, window by window."""

    def content(words: Sequence[str]) -> int:
        return len({w for w in words if not w.isdigit() and len(w.encode()) >= config.content_bytes})

    hits: Hits = {}
    pages = [words_of(text) for text in texts]
    windows: dict[int, list[Counter[tuple[str, ...]]]] = {}
    for benchmark, item, text in benchmarks.select("benchmark", "item", "text").iter_rows():
        words, n = tuple(words_of(text)), config.ngram_words
        wanted = [
            words[i : i + n] for i in range(len(words) - n + 1) if content(words[i : i + n]) >= config.content_words
        ]
        if not wanted and len(words) >= config.min_words and content(words) >= config.short_content_words:
            wanted, n = [words], len(words)
        if n not in windows:
            windows[n] = [Counter(tuple(p[j : j + n]) for j in range(len(p) - n + 1)) for p in pages]
        for row, counts in enumerate(windows[n]):
            shared = sum(counts[window] for window in wanted)
            if shared:
                hits[row, benchmark, item] = hits.get((row, benchmark, item), 0) + shared
    return hits


def found(texts: Iterable[str], benchmarks: pl.DataFrame, config: DecontaminateConfig) -> Hits:
    texts = list(texts)
    frame = find_contamination(texts, benchmarks, config)
    for text, words in frame.select("text", "words").iter_rows():
        assert f" {words} " in f" {' '.join(words_of(texts[text]))} "
        assert len(words.split()) >= config.min_words
    hits = {(text, benchmark, item): n for text, benchmark, item, _, n in frame.iter_rows()}
    assert len(hits) == frame.height
    assert frame["text"].is_sorted()
    return hits


def items(*texts: str, benchmark: str = "bench") -> pl.DataFrame:
    return pl.DataFrame({"benchmark": benchmark, "item": [str(i) for i in range(len(texts))], "text": texts})


SENTENCES = st.lists(st.sampled_from(["the", "sum", "of", *"abx12数学"]), max_size=14).map(" ".join)


@settings(max_examples=120, deadline=None)
@given(st.lists(SENTENCES, max_size=6), st.lists(SENTENCES, min_size=1, max_size=6))
@example(["the sum of the sum of the sum of"], ["the sum of the sum x 1 2"])
def test_hits_are_those_of_the_naive_scan(texts: list[str], problems: list[str]) -> None:
    benchmarks = items(*problems).with_columns(pl.Series("item", [str(i // 2) for i in range(len(problems))]))
    assert found(texts, benchmarks, SMALL) == naive_hits(texts, benchmarks, SMALL)


def test_equal_hashes_of_different_words_are_no_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(0)
    few_words = ["the", "sum", "of", "product", "and", "1", "2", "x"]
    texts = [" ".join(rng.choices(few_words, k=40)) for _ in range(20)]
    problems = items(*(" ".join(rng.choices(few_words, k=9)) for _ in range(20)))
    expected = naive_hits(texts, problems, SMALL)
    assert 5 < len(expected) < 300
    few = np.uint64(7 << 61)  # of every n-gram hash keep three bits: nearly all collide
    rolling, combine = ngrams._rolling, ngram_index.combine
    monkeypatch.setattr(ngrams, "_rolling", lambda hash_w, n: rolling(hash_w, n) & few)
    monkeypatch.setattr(ngram_index, "combine", lambda hash_w, at, n: combine(hash_w, at, n) & few)
    assert found(texts, problems, SMALL) == expected


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ("Well: solve $\\frac{x+1}{2}=3$ for x.", "Solve (x + 1)/2 = 3 for $x$"),
        ("EVALUATE THE INTEGRAL OF SINE SQUARED FROM ZERO TO PI OVER TWO now", "Evaluate the integral of sine squared, "
         "from zero to pi over two, exactly."),
        ("练习:求方程 ｘ²+5ｘ+6=0 的所有实数根。答案", "求方程 $x^2 + 5x + 6 = 0$ 的所有实数根。"),
        ("What is 7 × 8?", "what is 7 \\times 8"),
        ("so $2x^2 + 3x - 5 + 7y - 8z + 9w$, expand it", "$2x^{2}+3x-5+7y-8z+9w$, expand"),
    ],
)  # fmt: skip
def test_other_typography_does_not_hide_a_leak(page: str, problem: str) -> None:
    hits = find_contamination(["nothing here", page], items(problem), CONFIG)
    assert hits["text"].to_list() == [1]


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        (
            "Pages 1 2 3 4 5 6 7 8 9 10 11",
            "The numbers 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 are written on a board in chalk",
        ),
        (
            "a b c d e f g h i j k l m n",
            "Points a, b, c, d, e, f, g, h, i, j, k, l lie on one circle in that very order",
        ),
        ("1 2 3 4 5", "1 + 2 + 3 + 4 + 5"),
        ("is it", "is it"),
        ("one two three four five six seven eight nine but", "one two three four five six seven eight nine ten"),
        ("solve for x in the other way", "Solve for x in the equation"),
        ("solve for", "solve for x"),
    ],
)
def test_trivial_or_partial_matches_are_no_leak(page: str, problem: str) -> None:
    assert find_contamination([page], items(problem), CONFIG).height == 0


def test_the_longest_shared_run_is_recorded() -> None:
    problem = (
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon"
    )
    names = problem.split()
    page = f"{' '.join(names[2:12])} break {' '.join(names[5:18])} end"
    hits = find_contamination([page, page], items("unrelated words of another problem", problem), CONFIG)
    assert hits.rows() == [(i, "bench", "1", " ".join(names[5:18]), 1 + 4) for i in range(2)]


def benchmark_files(folder: Path, *names: str) -> tuple[SourceFile, ...]:
    return tuple(SourceFile(str(folder / f"{name}.parquet"), "", 0) for name in names)


def filler(rng: random.Random, words: list[str]) -> str:
    return " ".join(rng.choices(words, k=120))


def test_planted_gsm8k_and_math_items_are_found_and_nothing_else(rigor_data: Path) -> None:
    benchmarks = read_benchmarks(benchmark_files(rigor_data / "math", "gsm8k_test", "math_test"), CONFIG)
    rng = random.Random(4)
    plain = benchmarks.filter(~pl.col("text").str.contains(r"[\\\x80-\x{10ffff}]")).sample(300, seed=4)
    vocabulary = words_of(" ".join(plain["text"]))
    planted = plain[:120]
    texts = [f"{filler(rng, vocabulary)}\n{text}\n{filler(rng, vocabulary)}" for text in planted["text"]]
    texts += [filler(rng, vocabulary) for _ in range(80)]
    hits = found(texts, plain, CONFIG)
    assert hits == naive_hits(texts, plain, CONFIG)
    every = find_contamination(texts, benchmarks, CONFIG)
    for row, (benchmark, item) in enumerate(planted.select("benchmark", "item").iter_rows()):
        assert every.filter(text=row, benchmark=benchmark, item=item).height == 1
    assert every["text"].max() < 120  # type: ignore[operator]


def test_math500_is_found_in_math_test_and_partly_in_math_train(rigor_data: Path) -> None:
    math500 = read_benchmarks(benchmark_files(rigor_data / "math", "math500"), CONFIG)
    assert math500["benchmark"].unique().to_list() == ["math500"]
    test = pl.read_parquet(rigor_data / "math" / "math_test.parquet").filter("in_math500")
    hits = find_contamination(test["problem"], math500, CONFIG)
    own = hits.join(test.with_row_index("text").select(pl.col("text").cast(pl.Int64), "unique_id"), on="text")
    assert own.filter(pl.col("item") == pl.col("unique_id"))["text"].n_unique() >= test.height - 1  # one has two words
    train = pl.read_parquet(rigor_data / "math" / "math_train.parquet")["problem"]
    assert find_contamination(train, math500, CONFIG)["item"].n_unique() >= 32


def test_every_leak_of_the_sample_crawl_is_caught_and_no_clean_page_dropped(tmp_path: Path) -> None:
    generate(tmp_path, SampleCrawlConfig(pages_per_month=250, seed=3))
    truth = pl.read_parquet(tmp_path / "truth" / "pages.parquet")
    files = [SourceFile(str(path), "", 0) for path in sorted((tmp_path / "benchmarks").iterdir())]
    benchmarks = read_benchmarks(files, CONFIG)
    hits = find_contamination(truth["main_text"], benchmarks, CONFIG)
    leaked = truth.with_row_index("text").filter(pl.col("leaked_item").is_not_null())
    leaked = leaked.select(pl.col("text").cast(pl.Int64), "leaked_item", "main_text")
    assert leaked.height > 60
    assert truth["trap"].count() > 20
    assert set(hits["text"]) <= set(leaked["text"])
    caught = set(hits.select("text", "item").rows())
    for row, item, text in leaked.rows():
        if (row, item) not in caught:  # the crawl quotes some items in part, and edits some quotes later
            problem = benchmarks.filter(item=item)["text"].item()
            assert not any(
                len({w for w in run if len(w) > 2 and w.isalpha()}) > 2 for run in shared_runs(text, problem)
            )


def shared_runs(left: str, right: str) -> set[tuple[str, ...]]:
    """Runs of ten words that stand in both texts."""
    words = [re.findall(r"\w+", text.lower()) for text in (left, right)]
    one, two = ({tuple(w[i : i + 10]) for i in range(len(w) - 9)} for w in words)
    return one & two


def test_benchmark_files_of_every_shape(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    pl.DataFrame({"unique_id": ["p/1", None], "problem": ["First", "Second"], "answer": ["1", "2"]}).write_parquet(
        tmp_path / "a" / "test.parquet"
    )
    (tmp_path / "b" / "test.jsonl").write_text(
        '{"question": "Wer?", "text": null}\n{"question": "Wo?", "text": "Da."}\n'
    )
    (tmp_path / "turns.jsonl").write_text('{"question_id": 7, "turns": ["One", "Two"]}\n')
    files = [SourceFile(str(p), "", 0) for p in tmp_path.rglob("*.*")]
    rows = read_benchmarks(files, CONFIG.model_copy(update={"text_columns": ("problem", "question", "text", "turns")}))
    assert rows.sort("benchmark", "text").rows() == [
        ("a/test", "p/1", "First"), ("a/test", "row 1", "Second"), ("b/test", "row 1", "Da."),
        ("b/test", "row 0", "Wer?"), ("b/test", "row 1", "Wo?"), ("turns", "7", "One"),
        ("turns", "7", "Two")]  # fmt: skip


def test_unusable_benchmark_files_are_clear_errors(tmp_path: Path) -> None:
    def read(name: str) -> None:
        read_benchmarks([SourceFile(str(tmp_path / name), "", 0)], CONFIG)

    pl.DataFrame({"id": ["1"], "quiz": ["Who?"]}).write_parquet(tmp_path / "quiz.parquet")
    pl.DataFrame({"text": [1]}).write_parquet(tmp_path / "numbers.parquet")
    with pytest.raises(ValueError, match=r"quiz.parquet: has none of the text .* \['id', 'quiz'\]"):
        read("quiz.parquet")
    with pytest.raises(ValueError, match="column text is Int64, not text"):
        read("numbers.parquet")
    with pytest.raises(ValueError, match=r"a benchmark file is .parquet, .jsonl or .ndjson"):
        read("bench.csv")
    with pytest.raises(ValueError, match="nothing to decontaminate against"):
        read_benchmarks([], CONFIG)
    with pytest.raises(ValidationError, match="min_words 12 is above ngram_words 10"):
        DecontaminateConfig(min_words=12)


class Recorder:
    """A report that keeps what it is told."""

    def __init__(self) -> None:
        self.count = 0
        self.rejected: list[RejectedRow] = []
        self.metrics: dict[str, float] = {}
        self.tables: dict[str, pl.DataFrame] = {}

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        self.metrics[name] = value

    def progress(self, done: int, total: int, unit: str = "rows") -> None:
        assert done <= total

    def figure(self, name: str, figure: Any) -> None: ...

    def table(self, name: str, frame: pl.DataFrame) -> None:
        self.tables[name] = frame

    def rows_in(self, count: int) -> None:
        self.count += count

    def reject(self, rows: Iterable[RejectedRow]) -> None:
        self.rejected.extend(rows)


def test_the_stage_keeps_clean_pages_and_records_every_hit(tmp_path: Path) -> None:
    problems = [f"Farmer {name} sells {k} ducks at the market and buys a goat; how many coins remain?"
                for k, name in enumerate(("Anna", "Bruno", "Clara"))]  # fmt: skip
    (tmp_path / "farm.jsonl").write_text(
        "".join(json.dumps({"id": i, "question": q}) + "\n" for i, q in enumerate([*problems, "Hi"]))
    )
    texts = ["A clean page", f"Leak: {problems[2]} And {problems[0]}", "Farmer Anna sells 0 ducks", problems[1].upper()]
    schema = pl.DataFrame(PAGES_UNIQUE.arrow.empty_table()).schema
    pages = pl.DataFrame(
        [{"id": f"u{i}", "parents": [f"p{i}"], "partition": "2024-01", "page": f"p{i}", "text": text, "signature": [1]}
         for i, text in enumerate(texts)],
        schema=schema,
    )  # fmt: skip
    tables = Tables(str(tmp_path / "tables"))
    tables.commit(PAGES_UNIQUE, [pages], partitions=["2024-01"])
    report = Recorder()
    files = {"benchmarks": (SourceFile(str(tmp_path / "farm.jsonl"), "", 0),)}
    inputs = Inputs(tables={"pages_unique": tables.view("pages_unique")}, files=files)
    out = pl.concat([pl.DataFrame(rows) for rows in STAGE.run(CONFIG, inputs, report)])  # type: ignore[union-attr]
    assert out.select("id", "parents", "page", "text").rows() == [
        (row_id(f"p{i}"), [f"u{i}"], f"p{i}", texts[i]) for i in (0, 2)]  # fmt: skip
    assert report.count == 4
    assert [(r.row, r.reject.reason, r.source) for r in report.rejected] == [
        ("u1", "contaminated", "p1"), ("u3", "contaminated", "p3")]  # fmt: skip
    detail = json.loads(report.rejected[0].reject.detail)
    assert {(hit["benchmark"], hit["item"]) for hit in detail} == {("farm", "0"), ("farm", "2"), ("farm", "1")}
    assert detail[0]["words"] == " ".join(words_of(problems[2] if detail[0]["item"] == "2" else problems[0]))
    assert report.metrics == {"benchmark_texts": 4, "benchmark_texts_not_looked_for": 1}
    assert report.tables["contamination"].rows() == [("farm", 4, 3, 6)]
    assert tables.commit(MATH_CORPUS, [out], partitions=["2024-01"]).rows == 2
    with pytest.raises(ValueError, match="nothing to decontaminate against"):
        list(STAGE.run(CONFIG, Inputs(tables=inputs.tables), Recorder()))  # type: ignore[arg-type]
