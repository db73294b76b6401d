"""Deduplication against exact all-pairs Jaccard similarity of generated documents, and its rules one by one."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.mine.deduplicate import EXACT, NEAR, STAGE, DeduplicateConfig, deduplicate_frame
from tasks.mine.minhash import assign, signatures, similar_pairs, similarity
from tasks.sample_crawl import SampleCrawlConfig, generate
from tasks.stage import Inputs, RejectedRow
from warehouse.ids import row_id
from warehouse.schema import PAGE_SCORES, PAGES, PAGES_UNIQUE
from warehouse.tables import Tables

CONFIG = DeduplicateConfig()
WORDS = [f"{a}{b}{c}" for a in ("an", "bor", "cel", "dur") for b in "aeiou" for c in ("k", "lm", "ns", "pr", "st")]
HANZI = [chr(c) for c in range(0x4E00, 0x4F00)]


def pages(texts: Iterable[str], **columns: Any) -> pl.DataFrame:
    """Rows of the table pages, and score. Ids ascend with the rows."""
    first = {"partition": "2024-01", "crawl_date": dt.datetime(2024, 1, 1, tzinfo=dt.UTC), "score": 0.9}
    rows = [
        {**first, "id": f"{i:032x}", "source_file": "a.warc.gz", "offset": i, "text": text}
        for i, text in enumerate(texts)
    ]
    schema = {**pl.DataFrame(PAGES.arrow.empty_table()).schema, "score": pl.Float32}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(pl.Series(name, values).cast(schema[name]) for name, values in columns.items())


@cache
def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Word 5-grams: letters, digits, single operators and single Chinese characters are words."""
    words = re.findall(r"[\u4e00-\u9fff]|[a-z]+|[0-9]+|[-+*/=<>^_%!|]", text.lower())
    return frozenset(tuple(words[i : i + 5]) for i in range(max(len(words) - 4, 1)) if words)


def jaccard(a: str, b: str) -> float:
    left, right = shingles(a), shingles(b)
    return len(left & right) / len(left | right)


def corpus(seed: int, count: int, vocabulary: list[str], joint: str) -> list[str]:
    """Documents of which two thirds are copies of an earlier one with words replaced, inserted and removed."""
    rng = random.Random(seed)
    documents: list[list[str]] = []
    for i in range(count):
        if i % 3 and documents:
            words = list(rng.choice(documents))
            for _ in range(rng.choice([0, 1, 2, 4, 8, 40, 120])):
                at = rng.randrange(len(words))
                words[at : at + rng.choice([0, 1])] = rng.choices(vocabulary, k=rng.choice([0, 1, 1]))
        else:
            words = rng.choices(vocabulary, k=rng.randrange(150, 600))
        documents.append(words)
    return [joint.join(words) for words in documents]


def owners(frame: pl.DataFrame, config: DeduplicateConfig = CONFIG, held: pl.DataFrame | None = None) -> dict[str, str]:
    """Each page's kept page."""
    result = deduplicate_frame(frame, config, held)
    kept = dict(result.kept.select("page", "cluster").rows())
    dropped = dict(result.dropped.select("id", "cluster").rows())
    assert not kept.keys() & dropped.keys()
    assert len(kept) + len(dropped) == frame.height
    assert all(page == cluster for page, cluster in kept.items())
    sizes = pl.Series([*kept.values(), *dropped.values()]).value_counts(name="n")
    for cluster, size in result.kept.select("cluster", "cluster_size").rows():
        assert sizes.filter(pl.first() == cluster)["n"].item() == size
    return kept | dropped


@pytest.mark.parametrize(("vocabulary", "joint"), [(WORDS, " "), (HANZI, "")], ids=["english", "chinese"])
def test_near_duplicates_are_those_of_exact_jaccard_over_all_pairs(vocabulary: list[str], joint: str) -> None:
    texts = corpus(7, 210, vocabulary, joint)
    frame = pages(texts)
    ids = frame["id"].to_list()
    cluster = owners(frame)
    near = together = wrong = far = 0
    for a, b in itertools.combinations(range(len(texts)), 2):
        alike, same = jaccard(texts[a], texts[b]), cluster[ids[a]] == cluster[ids[b]]
        near += alike > 0.85
        together += alike > 0.85 and same
        far += alike < 0.5
        wrong += alike < 0.3 and same
    assert near > 150
    assert far > 15_000
    assert together >= 0.99 * near
    assert wrong == 0
    for page, kept in cluster.items():  # what is dropped resembles what is kept for it
        assert page == kept or jaccard(texts[int(page, 16)], texts[int(kept, 16)]) > 0.4
    unique = [page for page, kept in cluster.items() if page == kept]
    assert all(jaccard(texts[int(a, 16)], texts[int(b, 16)]) < 0.85 for a, b in itertools.combinations(unique, 2))


def test_equal_signature_values_estimate_jaccard_without_bias() -> None:
    texts = corpus(3, 60, WORDS, " ")
    left, right = np.triu_indices(len(texts), 1)
    exact = np.array([jaccard(texts[a], texts[b]) for a, b in zip(left, right, strict=True)])
    left, right, exact = left[exact > 0.05], right[exact > 0.05], exact[exact > 0.05]
    assert len(exact) > 30
    errors = []
    for seed in range(16):
        values = signatures(pl.Series(texts), shingle_words=5, permutations=512, seed=seed)
        errors.append(similarity(values, left, right) - exact)
    assert np.abs(errors).max() < 5 * np.sqrt(0.25 / 512)
    assert np.abs(np.mean(errors, axis=0)).max() < 5 * np.sqrt(0.25 / 512 / 16)


def test_candidates_are_all_pairs_that_share_a_band() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 3, (60, 8)).astype(np.uint32)
    values[40:] = values[:20]  # copies
    found = similar_pairs(values, bands=4, threshold=0.4, hubs=1000, held=5)
    expected = {}
    for a, b in itertools.combinations(range(60), 2):
        bands = (values[a] == values[b]).reshape(4, 2).all(axis=1)
        alike = (values[a] == values[b]).mean()
        if b >= 5 and bands.any() and alike >= 0.4:
            expected[a, b] = alike
    pairs = dict(zip(zip(found[0].tolist(), found[1].tolist(), strict=True), found[2].tolist(), strict=True))
    assert pairs.items() <= expected.items()
    first = {tuple(v): i for i, v in reversed(list(enumerate(values.tolist())))}
    for a, b in expected:  # a pair that is left out is there between the first pages with these signatures
        one, two = sorted((first[tuple(values[a].tolist())], first[tuple(values[b].tolist())]))
        assert one == two or (one, two) in pairs or two < 5


PROSE = " ".join(random.Random(1).choices(WORDS, k=60))
SHEETS = [
    ["What is 3 + 4?", "What is 3 - 4?", "What is 3 × 4?", "What is 3 + 5?"],
    ["Find $x$ if $x^2 = 4$.", "Find $x$ if $x^3 = 4$.", "Find $x$ if $x^2 = 9$.", "Find $x$ if $x_2 = 4$."],
    ["求 10² 的值", "求 102 的值", "求 10³ 的值"],
    [
        PROSE
        + "".join(f"\n{n}) Solve ${rng.randrange(99)}x + {rng.randrange(99)} = {rng.randrange(999)}$" for n in range(9))
        for rng in map(random.Random, range(6))
    ],
    [
        PROSE + "".join(f"\nDifferentiate $f(x) = {f}({k}x){op}{k}$" for k in range(1, 16))
        for f, op in itertools.product(["\\sin", "\\cos", "\\log"], "+^/")
    ],
]  # fmt: skip


@pytest.mark.parametrize("texts", SHEETS)
def test_pages_that_differ_only_in_numbers_or_formulas_are_all_kept(texts: list[str]) -> None:
    owner = owners(pages(texts))
    assert all(page == kept for page, kept in owner.items())


def test_exact_duplicates_ignore_white_space_and_nothing_else() -> None:
    result = deduplicate_frame(
        pages(["One  two\n three", " One two three ", "one two three", "One two\u00a0three"]), CONFIG
    )
    assert result.dropped.select("cluster", "reason", "similarity").rows() == [
        (f"{0:032x}", EXACT, 1.0), (f"{0:032x}", NEAR, 1.0), (f"{0:032x}", EXACT, 1.0)]  # fmt: skip


def test_texts_without_words_do_not_swallow_others() -> None:
    owner = owners(pages(["", "", "?!,", "a", "b", "a b", "🙂", "数"]))
    assert [int(owner[page], 16) for page in sorted(owner)] == [0, 0, 2, 3, 4, 5, 6, 7]


DATES = [dt.datetime(2024, 1, day, tzinfo=dt.UTC) for day in (3, 1, 2, 1)]
RULES = [
    (("earliest", "score", "longest"), 3),
    (("earliest", "longest"), 1),
    (("score",), 0),
    (("longest", "earliest"), 2),
    ((), 0),
]


@pytest.mark.parametrize(("keep", "expected"), RULES)
def test_the_kept_page_follows_the_rule(keep: Any, expected: int) -> None:
    texts = [PROSE, PROSE + " end here", PROSE + " end here now", PROSE + " end."]
    frame = pages(texts, crawl_date=DATES, score=[0.9, 0.5, 0.5, 0.8])
    assert set(owners(frame, CONFIG.model_copy(update={"keep": keep})).values()) == {f"{expected:032x}"}


def test_a_chain_of_small_changes_does_not_drop_what_is_unlike_the_kept_page() -> None:
    rng = random.Random(2)
    words, chain = rng.choices(WORDS, k=300), []
    for _ in range(40):
        chain.append(" ".join(words))
        for _ in range(4):
            words[rng.randrange(300)] = rng.choice(WORDS)
    owner = owners(pages(chain))
    assert len(set(owner.values())) > 3
    assert all(jaccard(chain[int(page, 16)], chain[int(kept, 16)]) > 0.4 for page, kept in owner.items())
    assert len(set(owners(pages(chain), CONFIG.model_copy(update={"floor": 0.0})).values())) == 1  # one component


def test_a_held_page_is_never_dropped_for_another() -> None:
    values = np.arange(4 * 100, dtype=np.uint32).reshape(4, 100)  # pages 0 and 1 are held, 2 lies between them
    values[1, :55] = values[0, :55]
    values[2] = np.where(np.arange(100) < 75, values[0], values[1])
    values[3, 10:] = values[1, 10:]
    left, right = np.array([0, 1, 1]), np.array([2, 2, 3])
    assert assign(values, left, right, floor=0.5, held=2).tolist() == [0, 1, 0, 1]


def test_rows_in_any_order_give_the_same_clusters() -> None:
    frame = pages(corpus(5, 150, WORDS, " "))
    expected = owners(frame)
    for seed in range(3):
        shuffled = frame.sample(fraction=1, shuffle=True, seed=seed)
        result = deduplicate_frame(shuffled, CONFIG)
        assert owners(shuffled) == expected
        assert result.kept["page"].to_list() == [i for i in shuffled["id"] if expected[i] == i]


def test_few_hubs_still_cluster_a_large_template() -> None:
    rng = random.Random(3)
    texts = []
    for _ in range(400):
        words = PROSE.split() * 4
        words[rng.randrange(len(words))] = rng.choice(WORDS)
        texts.append(" ".join(words))
    assert len(set(owners(pages(texts), CONFIG.model_copy(update={"bucket_hubs": 2})).values())) == 1


MONTHS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 11)), min_size=1, max_size=40)
POOL = corpus(11, 12, WORDS, " ")


@settings(max_examples=25, deadline=None)
@given(MONTHS)
def test_months_backfilled_one_by_one_equal_all_at_once(rows: list[tuple[int, int]]) -> None:
    frame = pages([POOL[text] for _, text in rows], partition=[f"2024-0{month + 1}" for month, _ in rows])
    together = deduplicate_frame(frame, CONFIG)
    held, dropped = together.kept.clear(), [together.dropped.clear()]
    for month in frame["partition"].unique().sort():
        result = deduplicate_frame(frame.filter(partition=month), CONFIG, held)
        held = pl.concat([held, result.kept])
        dropped.append(result.dropped)
    size = "cluster_size"  # a month already written does not learn of later copies
    assert held.drop(size).sort("page").equals(together.kept.drop(size).sort("page"))
    assert pl.concat(dropped).sort("id").equals(together.dropped.sort("id"))


def test_held_pages_with_other_signatures_are_an_error() -> None:
    held = deduplicate_frame(pages(["one"]), DeduplicateConfig(bands=4, rows=4)).kept
    with pytest.raises(ValueError, match=r"signatures of \[16\] values, the config 120"):
        deduplicate_frame(pages(["two"]), CONFIG, held)


def test_a_floor_above_the_threshold_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"floor 0\.9 is above threshold 0\.7"):
        DeduplicateConfig(floor=0.9)


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


def scores(ids: Iterable[str], collected: Iterable[bool], round_number: int) -> pl.DataFrame:
    rows = [
        {"id": row_id(i, str(round_number)), "parents": [i], "partition": "2024-01", "page": i, "classifier": "c",
         "url": "", "domain": "", "round": round_number, "score": 0.5, "collected": c}
        for i, c in zip(ids, collected, strict=True)]  # fmt: skip
    return pl.DataFrame(rows, schema=pl.DataFrame(PAGE_SCORES.arrow.empty_table()).schema)


def test_the_stage_reads_collected_pages_and_accounts_for_each(tmp_path: Path) -> None:
    texts = corpus(9, 90, WORDS, " ")
    frame = pages(texts).drop("score")
    frame = pl.concat([frame, frame[:1]])  # one capture in two files
    tables = Tables(str(tmp_path))
    tables.commit(PAGES, [frame], partitions=["2024-01"])
    before = [True] * 90
    after = [i % 9 != 0 for i in range(90)]
    ids = frame["id"][:90].to_list()
    tables.commit(PAGE_SCORES, [scores(ids, before, 1), scores(ids, after, 2)], partitions=["2024-01"])
    report = Recorder()
    inputs = Inputs(tables={name: tables.view(name) for name in ("pages", "page_scores")})
    out = pl.concat([pl.DataFrame(rows) for rows in STAGE.run(CONFIG, inputs, report)])  # type: ignore[union-attr]
    assert out.columns == PAGES_UNIQUE.arrow.names
    assert report.count == sum(after) == out.height + len(report.rejected)
    expected = deduplicate_frame(pages(texts).filter(pl.Series(after)), CONFIG)
    assert out["page"].to_list() == expected.kept["page"].to_list()
    assert out["id"].to_list() == [row_id(p) for p in out["page"]]
    assert out["parents"].to_list() == [[p] for p in out["page"]]
    assert {(r.row, r.reject.reason) for r in report.rejected} == set(expected.dropped.select("id", "reason").rows())
    twin = dict(expected.dropped.select("id", "cluster").rows())
    for rejected in report.rejected:
        assert re.fullmatch(rf"kept {twin[rejected.row]}, similarity [01]\.\d{{3}}", rejected.reject.detail)
        assert rejected.source == f"a.warc.gz@{int(rejected.row, 16)}"
    assert report.metrics["duplicates_exact"] + report.metrics["duplicates_near"] == len(report.rejected)

    committed = tables.commit(PAGES_UNIQUE, [out], partitions=["2024-01"])
    assert committed.rows == out.height
    again = Recorder()
    held = Inputs(tables={**inputs.tables, "held": tables.view("pages_unique")})
    assert sum(pl.DataFrame(rows).height for rows in STAGE.run(CONFIG, held, again)) == 0  # type: ignore[union-attr]
    assert len(again.rejected) == again.count == sum(after)


def test_collected_pages_that_are_missing_are_an_error(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path))
    tables.commit(PAGES, [pages(["one", "two"]).drop("score")], partitions=["2024-01"])
    tables.commit(PAGE_SCORES, [scores(["0" * 32, "f" * 32], [True, True], 1)], partitions=["2024-01"])
    inputs = Inputs(tables={name: tables.view(name) for name in ("pages", "page_scores")})
    with pytest.raises(ValueError, match=r"1 collected pages are not in pages, the first f{32}"):
        list(STAGE.run(CONFIG, inputs, Recorder()))  # type: ignore[arg-type]


def test_the_sample_crawl_loses_its_duplicates_and_nothing_else(tmp_path: Path) -> None:
    generate(tmp_path, SampleCrawlConfig(pages_per_month=250, seed=3))
    truth = pl.read_parquet(tmp_path / "truth" / "pages.parquet").filter("is_math")
    frame = pages(truth["main_text"], partition=truth["month"], crawl_date=truth["crawl_date"])
    owner = owners(frame)
    near = right = together = 0
    for (a, one), (b, two) in itertools.combinations(zip(frame["id"], truth["cluster"], strict=True), 2):
        expected, got = one is not None and one == two, owner[a] == owner[b]
        near, together, right = near + expected, together + got, right + (expected and got)
    assert near > 30
    assert right >= 0.99 * near
    assert right >= 0.99 * together
