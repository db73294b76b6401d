"""The sample crawl: its truth against brute force and warcio, and the score functions on worked examples."""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from html import unescape
from io import BytesIO
from pathlib import Path
from random import Random
from urllib.parse import unquote

import polars as pl
import pytest
from lxml import etree
from warcio.archiveiterator import ArchiveIterator

from tasks.sample_crawl import SampleCrawl, SampleCrawlConfig, generate, truth
from tasks.sample_crawl.benchmarks import ITEMS
from tasks.sample_crawl.carriers import CARRIERS, SOURCELESS
from tasks.sample_crawl.expressions import BY_TOPIC, display
from tasks.sample_crawl.formulas import Node, frac, latex, mathml, plain, row, sup
from tasks.sample_crawl.plan import plan

SMALL = SampleCrawlConfig(seed=7, pages_per_month=200)
WORD = re.compile(r"[\u4e00-\u9fff]|[^\W\d_]+|\d+")


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> SampleCrawl:
    return generate(tmp_path_factory.mktemp("sample"), SMALL)


@pytest.fixture(scope="module")
def pages(crawl: SampleCrawl) -> pl.DataFrame:
    return truth.read_truth(crawl.truth)[0]


@pytest.fixture(scope="module")
def records(crawl: SampleCrawl) -> pl.DataFrame:
    return truth.read_truth(crawl.truth)[1]


def _stored(crawl: SampleCrawl, file: str, offset: int, length: int) -> bytes:
    data = (crawl.folder / "crawl" / file[7:14] / file).read_bytes()
    return data[offset : offset + length]


def test_same_seed_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    config = SampleCrawlConfig(seed=3, pages_per_month=60, months=("2026-01",))
    first, again = generate(tmp_path / "a", config), generate(tmp_path / "b", config)
    other = generate(tmp_path / "c", config.model_copy(update={"seed": 4}))
    names = sorted(p.relative_to(first.folder) for p in first.folder.rglob("*") if p.is_file())
    assert len(names) == 13
    for name in names:
        assert (first.folder / name).read_bytes() == (again.folder / name).read_bytes(), name
    assert all(
        a.read_bytes() != b.read_bytes() for a, b in zip(first.files["2026-01"], other.files["2026-01"], strict=True)
    )


def test_a_crawl_is_never_overwritten(crawl: SampleCrawl) -> None:
    with pytest.raises(FileExistsError):
        generate(crawl.folder, SampleCrawlConfig(pages_per_month=60, months=("2026-01",)))


def test_warcio_finds_every_page_where_the_truth_says(crawl: SampleCrawl, pages: pl.DataFrame) -> None:
    for page in pages.iter_rows(named=True):
        stored = _stored(crawl, page["source_file"], page["offset"], page["length"])
        record = next(iter(ArchiveIterator(BytesIO(stored), check_digests="raise")))
        assert record.rec_headers["WARC-Target-URI"] == page["url"]
        assert record.rec_headers["WARC-Date"] == page["crawl_date"].strftime("%Y-%m-%dT%H:%M:%SZ")
        payload = record.content_stream().read()
        charset = (re.search(rb'<meta charset="([\w-]+)"', payload) or [b"", b"utf-8"])[1].decode()
        text = "".join(unescape(payload.decode(charset)).split())
        for sentence in (*page["keep"], *page["drop"]):
            assert "".join(sentence.split()) in text
        assert all("".join(f.split()) in _tex_of(text) for f in page["formulas"][:3]) or _no_tex(page)


def _tex_of(text: str) -> str:
    return "".join((text + unquote(text) + unquote(text.replace("+", ""))).split())


def _no_tex(page: dict[str, list[str]]) -> bool:
    return bool({"bare_mathml", "mathjax_assistive", "asciimath"} & set(page["formula_carriers"]))


def test_everything_asked_for_is_planted(crawl: SampleCrawl, pages: pl.DataFrame, records: pl.DataFrame) -> None:
    assert pages.height == 3 * SMALL.pages_per_month == crawl.summary["pages"].sum()
    assert 3 * SampleCrawlConfig().pages_per_month >= 3000
    assert set(pages["language"]) == {"en", "de", "fr", "es", "ru", "zh"}
    assert set(pages["formula_carriers"].explode().drop_nulls()) == set(CARRIERS) - SOURCELESS
    assert set(pages["fate"]) == {"corpus", "not_math", "duplicate", "contaminated"}
    assert set(pages["trap"].drop_nulls()) == {"template", "boring", "near_miss"}
    assert set(pages["cluster_kind"]) == {"exact", "near", "none"}
    assert set(pages["charset_trick"]) == {"honest", "meta_only", "lying_header"}
    assert set(pages["encoding"]) == {"identity", "gzip", "deflate", "chunked", "conversion"}
    assert pages.select("url", "crawl_date").is_unique().all()
    share = pages.group_by("site").agg(pl.col("is_math").mean())["is_math"]
    assert (share == 0).sum() > 10
    assert (share == 1).sum() > 10
    assert ((share > 0) & (share < 1)).sum() > 10
    assert records.group_by("kind").len()["len"].unique().to_list() == [3]


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = WORD.findall(text.lower())
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}


def _check_similarity(texts: list[str], clusters: list[str | None]) -> None:
    """Every pair: above 0.85 within a cluster, below 0.5 otherwise; counted over an inverted index, exactly."""
    shingles = [_shingles(text) for text in texts]
    owners: dict[tuple[str, ...], list[int]] = {}
    for i, mine in enumerate(shingles):
        shared = Counter(k for s in mine for k in owners.get(s, ()))
        for k in {*shared, *(k for k in range(i) if clusters[k] is not None and clusters[k] == clusters[i])}:
            similarity = shared[k] / (len(mine) + len(shingles[k]) - shared[k])
            twins = clusters[i] is not None and clusters[i] == clusters[k]
            assert similarity > 0.85 if twins else similarity < 0.5, (similarity, texts[i][:200], texts[k][:200])
        for s in mine:
            owners.setdefault(s, []).append(i)


def test_duplicates_are_alike_and_nothing_else_is(pages: pl.DataFrame) -> None:
    _check_similarity(pages["main_text"].to_list(), pages["cluster"].to_list())
    clustered = pages.filter(pl.col("cluster").is_not_null())
    assert clustered.group_by("cluster").len()["len"].min() == 2


def _check_leaks(pages: pl.DataFrame) -> None:
    """Ten words in a row, or all of a shorter item: on the planted pages and no others but the boring ones."""
    tens: dict[tuple[str, ...], set[str]] = {}
    whole: dict[tuple[str, ...], str] = {}
    for item in ITEMS:
        words = WORD.findall(item.problem.lower())
        if len(words) < 10:
            whole[tuple(words)] = item.id
        for i in range(len(words) - 9):
            tens.setdefault(tuple(words[i : i + 10]), set()).add(item.id)
    sizes = {len(w) for w in whole}
    for page in pages.iter_rows(named=True):
        words = WORD.findall(f"{page['title']}\n{page['main_text']}".lower())
        hits = {x for i in range(len(words) - 9) for x in tens.get(tuple(words[i : i + 10]), ())}
        hits |= {whole[w] for n in sizes for i in range(len(words)) if (w := tuple(words[i : i + n])) in whole}
        if page["trap"] == "boring":
            assert hits, page["url"]
        else:
            assert hits == ({page["leaked_item"]} - {None}), page["url"]


def test_leaks_are_exactly_where_the_truth_says(pages: pl.DataFrame) -> None:
    _check_leaks(pages)
    assert pages["leaked_item"].drop_nulls().n_unique() > 25
    sizes = sorted(len(item.problem.split()) for item in ITEMS if item.language != "zh")
    assert len(ITEMS) >= 60
    assert sizes[0] >= 3
    assert sizes[9] <= 9


def test_benchmark_files_hold_the_items(crawl: SampleCrawl) -> None:
    frames = [pl.read_ndjson(p) for p in sorted(crawl.benchmarks.glob("*.jsonl"))]
    frames.append(pl.read_parquet(crawl.benchmarks / "college.parquet"))
    assert sorted(pl.concat(frames)["problem"]) == sorted(item.problem for item in ITEMS)


def test_seeds_are_english_mathematics_and_other_pages(crawl: SampleCrawl, pages: pl.DataFrame) -> None:
    positives, negatives = (pl.read_ndjson(crawl.seeds / f"{n}.jsonl")["text"] for n in ("positives", "negatives"))
    assert min(positives.len(), negatives.len()) >= 300
    assert not positives.str.contains(r"[\p{Han}\p{Cyrillic}]").any()
    assert negatives.str.contains(r"[\p{Han}\p{Cyrillic}]").any()
    _check_similarity([*positives, *pages.filter(pl.col("cluster").is_null())["main_text"]], [None] * 10**4)


def test_broken_records_are_broken(crawl: SampleCrawl, records: pl.DataFrame) -> None:
    found = {}
    for r in records.filter(pl.col("month") == "2026-02").iter_rows(named=True):
        found[r["kind"]] = _stored(crawl, r["source_file"], r["offset"], r["length"])
    bomb = zlib.decompressobj(31)
    size, data = 0, found["record_bomb"]
    assert len(data) < 100_000
    while data:
        size += len(bomb.decompress(data, 1 << 20))
        data = bomb.unconsumed_tail
    assert size > 64 << 20
    inner = gzip.decompress(found["content_bomb"]).split(b"\r\n\r\n", 2)[2].removesuffix(b"\r\n\r\n")
    assert len(inner) < 100_000
    assert zlib.decompressobj(31).decompress(inner, 2 << 20) == bytes(2 << 20)
    with pytest.raises(zlib.error):
        zlib.decompress(found["bad_gzip_member"], 31)
    with pytest.raises(EOFError):
        gzip.decompress(found["truncated"])
    assert found["gap"] == bytes(512)
    for kind, error in (("length_too_long", 61), ("length_too_short", -37), ("length_huge", 10**15)):
        head, block = gzip.decompress(found[kind]).split(b"\r\n\r\n", 1)
        stated = int(re.search(rb"Content-Length: (\d+)", head)[1])
        assert stated == len(block.removesuffix(b"\r\n\r\n")) + error
    assert len(gzip.decompress(found["header_bomb"])) > 500_000
    last = (crawl.folder / "crawl/2026-02/sample-2026-02-00002.warc.gz").read_bytes()
    assert last.endswith(found["truncated"])


def test_recrawled_pages_keep_their_url_and_mirrors_do_not(pages: pl.DataFrame) -> None:
    clusters = pages.filter(pl.col("cluster").is_not_null()).group_by("cluster").agg(
        pl.col("url").n_unique(), pl.col("month").n_unique().alias("months"), pl.col("main_text").n_unique(), pl.len()
    )  # fmt: skip
    assert clusters.filter((pl.col("url") == 1) & (pl.col("months") == pl.col("len"))).height > 10
    assert clusters.filter(pl.col("url") > 1).height > 10
    assert clusters.filter(pl.col("main_text") > 1).height > 10
    assert clusters.filter(pl.col("main_text") == 1).height > 10


# --- formulas and carriers -------------------------------------------------------------------------------------------


def test_a_formula_in_four_spellings() -> None:
    node = row(
        frac("1", row("x", "+", "2")), r"\leq", sup(r"\alpha", "10"), r"\cdot", "sin", Node("sqrt", "", (row("y"),))
    )
    assert latex(node) == r"\frac{1}{x + 2} \leq \alpha^{10} \cdot \sin\sqrt{y}"
    assert plain(node) == "1/(x + 2) ≤ α¹⁰ ⋅ sin √(y)".replace("sin √", "sin√")
    assert plain(node, ascii_math=True) == "1/(x + 2) <= alpha^(10) * sin sqrt(y)"
    assert mathml(node) == (
        "<mrow><mfrac><mn>1</mn><mrow><mi>x</mi><mo>+</mo><mn>2</mn></mrow></mfrac><mo>≤</mo>"
        "<msup><mi>α</mi><mn>10</mn></msup><mo>⋅</mo><mi>sin</mi><msqrt><mi>y</mi></msqrt></mrow>"
    )


@pytest.mark.parametrize("topic", sorted(BY_TOPIC))
def test_every_carrier_holds_its_formula(topic: str) -> None:
    rng = Random(topic)
    for _ in range(30):
        node = display(rng, topic)
        assert latex(node).count("{") == latex(node).count("}")
        etree.fromstring(f"<m>{mathml(node)}</m>")
        for name, carrier in CARRIERS.items():
            for block in (True, False):
                html = carrier(node, block)
                parsed = etree.HTML(f"<body>{html}</body>")
                assert parsed is not None
                read = unescape(html) + unquote(html) + unquote(unescape(html).replace("+", " "))
                source = name not in SOURCELESS | {"bare_mathml", "mathjax_assistive", "asciimath"}
                assert latex(node) in read or not source, (name, html)


# --- scores ----------------------------------------------------------------------------------------------------------


def test_page_score_counts_pages(pages: pl.DataFrame) -> None:
    key = ["source_file", "offset"]
    math, rest = pages.filter("is_math"), pages.filter(~pl.col("is_math"))
    assert truth.page_score(pages, math.select(key))[:2] == (1.0, 1.0)
    mixed = pl.concat([math.select(key).head(30), rest.select(key).head(10)])
    assert truth.page_score(pages, mixed) == (30 / math.height, 0.75, 30, math.height, 40)
    stray = pl.DataFrame({"source_file": ["nowhere"], "offset": [0]}, schema=mixed.select(key).schema)
    assert truth.page_score(pages, pl.concat([mixed, stray])).precision == 30 / 41
    by = truth.page_recall_by(pages, math.select(key).head(30))
    assert by["collected"].sum() == 30
    assert by["pages"].sum() == math.height
    with pytest.raises(ValueError, match="cannot tell pages"):
        truth.page_score(pages, pl.DataFrame({"text": ["x"]}))


def test_corpus_score_wants_one_page_a_cluster_and_no_leak(pages: pl.DataFrame) -> None:
    best = pages.filter(pl.col("fate") == "corpus").select("url", "crawl_date")
    assert truth.corpus_score(pages, best)[:2] == (1.0, 1.0)
    twin = pages.filter((pl.col("fate") == "duplicate") & pl.col("leaked_item").is_null()).head(1)
    first = pages.filter((pl.col("cluster") == twin["cluster"][0]) & (pl.col("fate") == "corpus"))
    swapped = pl.concat([best.join(first, on=["url", "crawl_date"], how="anti"), twin.select(best.columns)])
    assert truth.corpus_score(pages, swapped)[:2] == (1.0, 1.0)
    both = truth.corpus_score(pages, pl.concat([best, twin.select(best.columns)]))
    assert both == (1.0, best.height / (best.height + 1), best.height, best.height, best.height + 1)
    leaked = pages.filter(pl.col("fate") == "contaminated").select(best.columns).head(1)
    assert truth.corpus_score(pages, pl.concat([best, leaked])).precision < 1


def test_duplicate_score_counts_pairs() -> None:
    pages = pl.DataFrame({
        "source_file": ["f"] * 6, "offset": range(6), "cluster": ["a", "a", "a", "b", "b", None],
    })  # fmt: skip
    found = pl.DataFrame({"source_file": ["f"] * 6, "offset": range(6), "cluster": list("xxyyyz")})
    # planted: 01 02 12 34; found: 01 23 24 34
    assert truth.duplicate_score(pages, found) == (0.5, 0.5, 2, 4, 4)


def test_leak_language_and_record_scores(pages: pl.DataFrame, records: pl.DataFrame) -> None:
    seen = pages.filter("is_math").select("source_file", "offset")
    leaked = pages.filter(pl.col("leaked_item").is_not_null()).select(seen.columns)
    clean = pages.filter(pl.col("fate") == "corpus").select(seen.columns)
    score = truth.leak_score(pages, seen, pl.concat([leaked[1:], clean[:1]]))
    assert score == ((n := leaked.height - 1) / leaked.height, n / (n + 1), n, leaked.height, n + 1)
    guess = pages.select(
        "source_file", "offset", language=pl.when(pl.col("language") == "es").then(pl.lit("pt")).otherwise("language")
    )
    languages = truth.language_score(pages, guess)
    assert dict(languages.select("language", "accuracy").iter_rows())["es"] == 0
    assert languages["language"][-1] == "all"
    assert languages["accuracy"][-1] == 1 - pages.filter(pl.col("language") == "es").height / pages.height
    quarantine = pl.DataFrame({"source": [f"{f}@{o}" for f, o in records.select("source_file", "offset").iter_rows()]})
    rejected = quarantine.with_columns(*truth.place_of(), reason=pl.lit("why"))
    outcomes = truth.record_outcomes(records, pages, rejected)
    assert outcomes["rejected"].sum() == outcomes["planted"].sum() == records.height
    assert outcomes["read"].sum() == 0


def test_formula_and_text_scores(pages: pl.DataFrame) -> None:
    perfect = pages.select("source_file", "offset", text=pl.col("main_text"))
    assert truth.text_score(pages, perfect) == {"kept": 1.0, "leaked": 0.0}
    scores = truth.formula_score(pages, perfect)
    assert scores["carrier"][-1] == "all"
    assert scores["recall"][-1] == 1.0
    assert scores["formulas"][-1] == pages["formulas"].list.len().sum()
    nothing = truth.formula_score(pages, perfect.with_columns(text=pl.lit("no formula, only $5 and $10")))
    assert nothing["kept"].sum() == 0
    same = (
        (r"\left( x^{2} \right)", "(x^2)"),
        (r"\dfrac{a}{b}", r"\frac ab"),
        (r"a\,\leq b", r"a \le b"),
        (r"\begin{pmatrix}1&2\end{pmatrix}", r"(\begin{matrix} 1 & 2 \end{matrix})"),
        (r"\sin x", r"\mathrm{sin} x"),
    )
    for one, other in same:
        assert truth.normal_form(one) == truth.normal_form(other)
    assert truth.normal_form("x+1") != truth.normal_form("x-1")


@pytest.mark.slow
def test_the_default_crawl_is_sound(tmp_path: Path) -> None:
    crawl = generate(tmp_path / "default")
    pages, _ = truth.read_truth(crawl.truth)
    assert pages.height >= 3000
    _check_leaks(pages)
    _check_similarity(pages["main_text"].to_list(), pages["cluster"].to_list())
    assert len(plan(0, ("2026-01",), 1070)) == 1070
