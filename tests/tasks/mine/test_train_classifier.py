"""The stages train_classifier, score_pages and recall_domains over committed tables, and the choice of examples."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import polars as pl
import pytest

from tasks.mine import recall_domains, score_pages, train_classifier
from tasks.mine.classifier_examples import choose
from tasks.mine.classifier_file import load_classifier
from tasks.mine.classifier_fit import Examples, FastTextConfig, score_unseen
from tasks.mine.recall_domains import RecallDomainsConfig, domain_table
from tasks.mine.score_pages import ScorePagesConfig
from tasks.mine.train_classifier import TrainClassifierConfig
from tasks.stage import Inputs, RejectedRow, SourceFile
from warehouse.ids import row_id
from warehouse.schema import DOMAINS, PAGE_SCORES, PAGES
from warehouse.tables import Tables

MATH = "lemma proof theorem integral prime matrix kernel bound limit series"
WEB = "price order cheap shoes match goal recipe butter weather bus"
NEW = "beweis satz folgt sei gilt primzahl"
CONFIG = TrainClassifierConfig(
    dim=8, learning_rate=0.5, epochs=10, word_ngrams=1, min_count=1, buckets=1_000, max_positives=500, max_negatives=500
)


class Recorder:
    """A report that keeps what it is told."""

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}
        self.figures: list[str] = []
        self.rows = 0

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        self.metrics[name] = value

    def progress(self, done: int, total: int, unit: str = "rows") -> None:
        assert done <= total

    def figure(self, name: str, figure: Any) -> None:
        self.figures.append(name)

    def table(self, name: str, frame: pl.DataFrame) -> None: ...

    def rows_in(self, count: int) -> None:
        self.rows += count

    def cpu_seconds(self, seconds: float) -> None: ...

    def reject(self, rows: Iterable[RejectedRow]) -> None:
        assert list(rows) == []


def text(random: Random, *vocabularies: str) -> str:
    words = " ".join(vocabularies).split()
    return " ".join(random.choice(words) for _ in range(40))


def crawl() -> pl.DataFrame:
    """Four mathematical sites (two also in words that no seed has), four others."""
    random = Random(5)
    rows = []
    for site in range(8):
        for page in range(25):
            if site < 4:
                body = text(random, NEW) if site < 2 and page % 2 else text(random, MATH)
            else:
                body = text(random, WEB)
            url = f"http://site{site}.org/{page}.html"
            rows.append(
                {"id": row_id(url), "partition": "2024-01", "url": url, "domain": f"site{site}.org", "text": body}
            )
    frame = pl.DataFrame(rows)
    schema = pl.DataFrame(PAGES.arrow.empty_table()).schema
    when = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    missing = [pl.lit(None, dtype=schema[n]).alias(n) for n in PAGES.arrow.names if n not in frame.columns]
    return (
        frame.with_columns(missing)
        .with_columns(crawl_date=pl.lit(when).cast(schema["crawl_date"]))
        .select(schema.names())
    )


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[SourceFile, ...]]:
    folder, random = tmp_path_factory.mktemp("seeds"), Random(1)
    files = {}
    for name, vocabulary in (("positives", MATH), ("negatives", WEB)):
        lines = [json.dumps({"text": text(random, vocabulary)}) for _ in range(60)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
        files[name] = (SourceFile(str(folder / f"{name}.jsonl"), "", 0),)
    return files


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    tables = Tables(str(tmp_path_factory.mktemp("tables")))
    tables.commit(PAGES, [crawl()], partitions=["2024-01"])
    return tables


def train(tables: Tables, seeds: dict[str, tuple[SourceFile, ...]], scratch: Path, number: int, **change: Any) -> Path:
    scratch.mkdir()
    names = ("pages", "page_scores", "domains") if number > 1 else ("pages",)
    inputs = Inputs(tables={n: tables.view(n) for n in names}, files=seeds, scratch=scratch)
    found = train_classifier.STAGE.run(CONFIG.model_copy(update={"round": number, **change}), inputs, Recorder())
    assert isinstance(found, Path)
    return found


def rows_of(found: Any) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(rows) for rows in found])


def test_two_rounds_over_the_warehouse(
    tables: Tables, seeds: dict[str, tuple[SourceFile, ...]], tmp_path: Path
) -> None:
    recall = []
    for number in (1, 2):
        model = train(tables, seeds, tmp_path / f"train{number}", number)
        report, scratch = Recorder(), tmp_path / f"score{number}"
        scratch.mkdir()
        inputs = Inputs(tables={"pages": tables.view("pages")}, models={"classifier": model}, scratch=scratch)
        scores = rows_of(score_pages.STAGE.run(ScorePagesConfig(), inputs, report))
        assert report.rows == scores.height == 200
        assert scores.columns == PAGE_SCORES.arrow.names
        card = json.loads((model / "classifier.json").read_text())
        assert card["round"] == number
        assert scores["collected"].to_list() == [s >= card["threshold"] for s in scores["score"]]
        assert scores["id"].to_list() == [row_id(page, card["sha256"]) for page in scores["page"]]
        assert scores["parents"].to_list() == [[page] for page in scores["page"]]
        tables.commit(PAGE_SCORES, [scores], partitions=["2024-01"])
        domains = rows_of(
            recall_domains.STAGE.run(
                RecallDomainsConfig(), Inputs(tables={"page_scores": tables.view("page_scores")}), Recorder()
            )
        )
        tables.commit(DOMAINS, [domains], partitions=["all"])
        assert sorted(domains.filter("mathematical")["domain"]) == [f"site{i}.org" for i in range(4)]
        assert set(domains["round"]) == {number}
        math = scores["domain"].is_in([f"site{i}.org" for i in range(4)])
        assert not (scores["collected"] & ~math).any()
        recall.append((scores["collected"] & math).sum() / math.sum())
    assert recall[0] < 0.8
    assert recall[1] == 1.0


def test_same_seed_and_inputs_make_the_same_bytes(
    tables: Tables, seeds: dict[str, tuple[SourceFile, ...]], tmp_path: Path
) -> None:
    def digest(name: str, **change: Any) -> tuple[str, str]:
        folder = train(tables, seeds, tmp_path / name, 1, **change)
        binary, card = ((folder / file).read_bytes() for file in ("classifier.bin", "classifier.json"))
        return hashlib.sha256(binary).hexdigest(), hashlib.sha256(card).hexdigest()

    assert digest("a") == digest("b")
    assert digest("c", seed=1)[0] != digest("a2")[0]


def test_budgets_of_pages_and_tokens_are_kept(
    tables: Tables, seeds: dict[str, tuple[SourceFile, ...]], tmp_path: Path
) -> None:
    pages = crawl()
    for name, change, most in (
        ("share", {"cut": "share", "cut_target": 0.25}, 50),
        ("tokens", {"cut": "tokens", "cut_target": 40 * 30}, 30),
    ):
        classifier = load_classifier(train(tables, seeds, tmp_path / name, 1, **change))
        collected = sum(classifier.score(text) >= classifier.threshold for text in pages["text"])
        assert most <= collected <= most + 8  # pages may tie with the last one


def test_examples_come_from_lines_and_in_turns() -> None:
    rows = [(f"p{d}-{i}", f"http://{d}/{i}", d, d in ("big", "small")) for d, n in
            (("big", 50), ("small", 5), ("shop", 30), ("mixed", 40)) for i in range(n)]  # fmt: skip
    pages = pl.DataFrame(rows, schema=["id", "url", "domain", "math"], orient="row")
    stray = {"pmixed-1", "pmixed-2"}
    scores = pages.select("url", "domain", page="id").with_columns(
        collected=(pages["math"] & ~pages["id"].str.ends_with("3")) | pages["id"].is_in(list(stray)),
        round=pl.lit(1, dtype=pl.Int16),
    )
    domains = domain_table(scores, RecallDomainsConfig())
    few = {"most_positives": 10, "most_negatives": 1_000, "most_sample": 7, "stray_share": 0.1, "seed": 3}
    choice = choose(pages.drop("math"), scores, domains, **few)  # type: ignore[arg-type]
    assert sorted(i[1:4] for i in choice.positives) == ["big"] * 5 + ["sma"] * 5
    assert {i for i in choice.negatives if i.startswith("pmixed")} >= stray
    assert len(choice.negatives) == 70
    assert len(choice.sample) == 7
    strict = choose(pages.drop("math"), scores, domains, **{**few, "stray_share": 0.01})  # type: ignore[arg-type]
    assert set(choice.negatives) - set(strict.negatives) == stray
    shuffled = choose(pages.drop("math").reverse(), scores.reverse(), domains, **few)  # type: ignore[arg-type]
    assert shuffled == choice
    first = choose(pages.drop("math"), None, None, **few)  # type: ignore[arg-type]
    assert first.positives == first.negatives == []


def test_a_wrongly_labelled_domain_is_contradicted_by_the_others(tmp_path: Path) -> None:
    """What doubting rests on: its pages, all called mathematics, score low in a model that did not see them."""
    random = Random(2)
    columns = [
        (text(random, MATH if site < 6 else WEB), site < 7, f"site{site}.org") for site in range(12) for _ in range(20)
    ]
    lines, math, groups = (list(column) for column in zip(*columns, strict=True))
    examples = Examples(lines, np.array(math), np.zeros(len(lines), dtype=np.bool_), groups)
    config = FastTextConfig(dim=8, learning_rate=0.5, epochs=10, word_ngrams=1, min_count=1, buckets=1_000)
    scores = score_unseen(config, examples, tmp_path)
    wrong = np.array([group == "site6.org" for group in groups])
    assert scores[wrong].max() < scores[examples.math & ~wrong].min()


def test_without_negative_seeds_random_pages_of_the_crawl_are_negatives() -> None:
    pages = pl.DataFrame({"id": [f"p{i}" for i in range(40)], "url": [f"http://s{i % 4}.org/{i}" for i in range(40)],
                          "domain": [f"s{i % 4}.org" for i in range(40)]})  # fmt: skip
    rules = {"most_positives": 10, "most_negatives": 8, "most_sample": 0, "stray_share": 0.1, "seed": 3}
    blind = choose(pages, None, None, **rules, blind_negatives=True)
    assert blind.positives == []
    assert Counter(int(i[1:]) % 4 for i in blind.negatives) == {0: 2, 1: 2, 2: 2, 3: 2}, "dealt out domain by domain"
    assert choose(pages, None, None, **rules).negatives == []


def test_a_round_without_examples_is_refused(
    tables: Tables, seeds: dict[str, tuple[SourceFile, ...]], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="nothing to learn"):
        train(tables, {"positives": (), "negatives": seeds["negatives"]}, tmp_path / "none", 1)
