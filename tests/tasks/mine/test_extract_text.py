"""extract_text against gold formulas, Trafilatura and resiliparse, and as a stage from records to pages."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import trafilatura
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from tasks.mine.extract_text import STAGE, ExtractTextConfig, extract, extract_plain, is_deeper
from tasks.stage import Inputs, Reject, RejectedRow
from warehouse.ids import row_id
from warehouse.schema import CRAWL_RECORDS, PAGES
from warehouse.tables import Tables

WANTED_MICRO, WANTED_MACRO = 0.95, 0.93
"""Formula recall that the issue asks for."""
_DELIMITERS = (("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$"))


def normal(tex: str) -> str:
    """A formula without what does not matter: white space, outer delimiters and braces, `\\displaystyle`."""
    tex = re.sub(r"\\displaystyle(?![A-Za-z])|\s+", "", tex)
    for left, right in _DELIMITERS:
        if len(tex) > len(left + right) and tex.startswith(left) and tex.endswith(right):
            tex = tex[len(left) : -len(right)]
            break
    while tex[:1] == "{" and tex[-1:] == "}":
        depths = list(accumulate((char == "{") - (char == "}") for char in tex))
        if 0 in depths[:-1]:
            break
        tex = tex[1:-1]
    return tex


def found_in_formulas(formulas: Iterable[str], gold: Iterable[str]) -> list[bool]:
    """Strict: each gold formula is one of the extracted formulas, as often as it occurs."""
    left = Counter(map(normal, formulas))
    hits: list[bool] = []
    for tex in map(normal, gold):
        hits.append(left[tex] > 0)
        left[tex] -= 1
    return hits


def found_in_text(text: str, gold: Iterable[str]) -> list[bool]:
    """Generous, for extractors that mark no formulas: each stands in the text, one occurrence used up by each."""
    flat = re.sub(r"\\displaystyle(?![A-Za-z])|\s+", "", text)
    spaced = re.sub(r"\s+", " ", text)
    at: dict[str, int] = defaultdict(int)
    hits: list[bool] = []
    for tex in map(normal, gold):
        left, right = r"(?<![A-Za-z0-9\\])" * tex[:1].isalnum(), r"(?![A-Za-z0-9])" * tex[-1:].isalnum()
        match = re.compile(left + re.escape(tex) + right).search(spaced if len(tex) < 3 else flat, at[tex])
        hits.append(match is not None)
        at[tex] = match.end() if match else at[tex]
    return hits


def gold_pages(rigor_data: Path) -> list[tuple[str, bytes, list[tuple[str, str]]]]:
    """Name, HTML, and (carrier, TeX) of every page with formulas in its source."""
    folder = rigor_data / "web" / "math_html"
    lines = (json.loads(line) for line in (folder / "gold.jsonl").read_text().splitlines())
    return [
        (
            line["file"],
            gzip.decompress((folder / line["file"]).read_bytes()),
            [(g["kind"], g["tex"]) for g in line["gold_src"]],
        )
        for line in lines
        if line["gold_src"]
    ]


def ours(html: bytes, gold: list[str]) -> list[bool]:
    page = extract(html)
    assert page.reject is None
    in_text = re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", page.text, re.S)
    assert len(page.formulas) <= len(in_text) + page.text.count("\\$")
    return found_in_formulas(page.formulas, gold)


def trafilaturas(html: bytes, gold: list[str]) -> list[bool]:
    return found_in_text(trafilatura.extract(html, include_tables=True) or "", gold)


def resiliparses(html: bytes, gold: list[str]) -> list[bool]:
    return found_in_text(extract_plain_text(html.decode("utf-8", "replace"), main_content=True), gold)


def test_formula_recall(rigor_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Micro: over all formulas; macro: mean of the pages' recalls. One table with the other two extractors."""
    pages = gold_pages(rigor_data)
    table: dict[str, dict[str, float]] = {}
    for name, extractor in (("ours", ours), ("trafilatura", trafilaturas), ("resiliparse", resiliparses)):
        hits = [extractor(html, [tex for _, tex in gold]) for _, html, gold in pages]
        by_carrier: dict[str, list[bool]] = defaultdict(list)
        for page_hits, (_, _, gold) in zip(hits, pages, strict=True):
            for hit, (carrier, _) in zip(page_hits, gold, strict=True):
                by_carrier[carrier].append(hit)
        every = [hit for page_hits in hits for hit in page_hits]
        table[name] = {
            "micro": sum(every) / len(every),
            "macro": sum(sum(h) / len(h) for h in hits) / len(hits),
            **{carrier: sum(h) / len(h) for carrier, h in sorted(by_carrier.items())},
        }
    with capsys.disabled():
        print(f"\nformula recall over {len(pages)} pages\n{'':12}" + "".join(f"{c:>12}" for c in table["ours"]))
        for name, row in table.items():
            print(f"{name:12}" + "".join(f"{value:12.3f}" for value in row.values()))
    assert table["ours"]["micro"] >= WANTED_MICRO
    assert table["ours"]["macro"] >= WANTED_MACRO
    assert table["ours"]["micro"] > max(table["trafilatura"]["micro"], table["resiliparse"]["micro"])


PAGE = b"""<html><head><title>On sums &amp; $n$</title><script src=mathjax.js></script></head><body>
<nav><a href=/>Home</a> <a href=/a>About</a></nav><article><h1>On sums</h1>
<p>The sum of the first <script type="math/tex">n</script> numbers is, for every one of us, the following formula:</p>
<p>$$\\frac{n(n+1)}{2}$$</p><pre><code>def total(n):
    return n * (n + 1) // 2  # costs $5, not $n$</code></pre>
<table><tr><th>how many</th><th>together</th></tr><tr><td>3</td><td>\\(6\\)</td></tr></table>
<p>It is attributed to a schoolboy, who found it in class and kept the answer to himself for a while.</p></article>
<footer>Copyright and terms of use</footer></body></html>"""


def test_math_code_and_tables_in_document_order() -> None:
    page = extract(PAGE, "https://example.org/sums")
    assert page.reject is None
    assert page.formulas == ("n", "\\frac{n(n+1)}{2}", "6")
    assert page.carriers == ("delimiters", "mathjax-script")
    wanted = ["first $n$ numbers", "$$\\frac{n(n+1)}{2}$$", "return n * (n + 1) // 2  # costs $5, not $n$", "how many",
              "together", "$6$", "schoolboy"]  # fmt: skip
    places = [page.text.find(part) for part in wanted]
    assert places == sorted(places)
    assert places[0] >= 0
    assert "Copyright" not in page.text


def test_less_than_in_a_formula_is_no_tag() -> None:
    body = "<p>If $a<b$ or \\(0<x<y\\), pay $5 <b>now</b> or <i>$6</i>; then all is well with the world.</p>"
    page = extract(f"<html><script src=mathjax.js></script><body>{body}</body></html>".encode())
    assert page.reject is None
    assert page.formulas == ("a<b", "0<x<y")
    assert page.text == "If $a<b$ or $0<x<y$, pay $5 now or $6; then all is well with the world."


def test_self_closing_mathml_with_a_prefix_ends() -> None:
    scripts = "<m:mi>C</m:mi><m:mi>k</m:mi><m:none/><m:mprescripts /><m:mi>n</m:mi><m:none/>"
    html = (
        "<p>A space, <mml:math><mml:mi>a</mml:mi><mml:mspace width='1em'/><mml:mi>b</mml:mi></mml:math>, and scripts, "
        f"<m:math><m:mmultiscripts>{scripts}</m:mmultiscripts></m:math>, and the text goes on."
    )
    page = extract(html.encode())
    assert page.text == "A space, $a\\quad b$, and scripts, ${}_{n}C_{k}$, and the text goes on."


@pytest.mark.parametrize("charset", ["utf-8", "windows-1251", "koi8-r", "utf-16"])
@pytest.mark.parametrize("declared", [True, False])
def test_charsets(charset: str, declared: bool) -> None:
    words = "Сумма первых чисел равна половине произведения, и это знает каждый школьник в любой стране мира."
    html = f"<html><body><p>{words} $\\alpha^2$</p></body></html>".encode(charset)
    page = extract(html, charset=charset if declared else "")
    assert page.reject is None
    assert page.text == f"{words} $\\alpha^2$"


@pytest.mark.parametrize(("charset", "meta"), [
    ("utf-8", "windows-1251"), ("utf-8-sig", "windows-1251"), ("utf-16-le", "utf-8"), ("utf-8", "utf-16"),
    ("windows-1251", "utf-8"), ("koi8-r", "utf-8"),
])  # fmt: skip
def test_bytes_are_believed_before_the_page(charset: str, meta: str) -> None:
    words = "Сумма первых чисел равна половине произведения, и это знает каждый школьник в любой стране мира."
    html = f"<html><head><meta charset={meta}></head><body><p>{words} $\\alpha^2$</p></body></html>"
    assert extract(html.encode(charset)).text == f"{words} $\\alpha^2$"


def test_hints_of_line_breaks_are_no_text() -> None:
    page = extract(b"<title>Frac&shy;tions</title><p>Infor&shy;mation on 10&#8288;% of frac&shy;tions.</p>")
    assert (page.title, page.text) == ("Fractions", "Information on 10% of fractions.")


def test_a_wrong_charset_name_is_no_error() -> None:
    page = extract("<p>Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.</p>".encode(), charset="x-none")
    assert page.reject is None
    assert "Zwölf Boxkämpfer" in page.text


def test_plain_text_records() -> None:
    page = extract_plain(b"Title line\n\n\n\nLet \\(x\\) be $5 or $\\beta$.")
    assert page.reject is None
    assert (page.title, page.text) == ("Title line", "Title line\n\nLet $x$ be $5 or $\\beta$.")
    assert page.formulas == ("x", "\\beta")


def record(offset: int, payload: bytes, kind: str = "html", charset: str = "utf-8") -> dict[str, Any]:
    row = {
        "source_file": "a.warc.gz", "offset": offset, "length": 10, "digest": f"sha1:{offset}",
        "url": f"https://example.org/{offset}", "domain": "example.org",
        "crawl_date": dt.datetime(2024, 5, 1, tzinfo=dt.UTC), "status": 200, "mime": "text/html", "charset": charset,
        "kind": kind, "payload": payload,
    }  # fmt: skip
    return {"id": row_id(row["source_file"], offset, row["digest"]), "parents": [], "partition": "2024-05", **row}


class Listener:
    """A report that keeps what it is told."""

    def __init__(self) -> None:
        self.count, self.rejects = 0, list[RejectedRow]()

    def metric(self, name: str, value: float, step: int | None = None) -> None: ...
    def progress(self, done: int, total: int, unit: str = "rows") -> None: ...
    def figure(self, name: str, figure: object) -> None: ...
    def table(self, name: str, frame: pl.DataFrame) -> None: ...
    def rows_in(self, count: int) -> None:
        self.count += count

    def reject(self, rows: Iterable[RejectedRow]) -> None:
        self.rejects += rows


def test_stage_turns_records_into_pages_and_quarantines_the_rest(tmp_path: Path) -> None:
    records = [
        record(0, PAGE),
        record(1, b""),
        record(2, b"<p>short</p>"),
        record(3, b"<div>" * 3_000 + b"x"),
        record(4, b"x" * 20_000),
        record(5, b"A text of a WET record, long enough to be kept, with $\\gamma$ in the middle of it.", kind="text"),
    ]
    tables = Tables(str(tmp_path / "warehouse"))
    tables.commit(
        CRAWL_RECORDS, [pa.RecordBatch.from_pylist(records, schema=CRAWL_RECORDS.arrow)], partitions=["2024-05"]
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    report = Listener()
    inputs = Inputs(tables={"crawl_records": tables.view("crawl_records")}, scratch=scratch)
    config = ExtractTextConfig(max_html_bytes=16_000)
    pages = [row for batch in STAGE.run(config, inputs, report) for row in batch.to_pylist()]
    assert report.count == 6
    assert sorted((r.row, r.reject.reason) for r in report.rejects) == sorted(
        (records[i]["id"], reason)
        for i, reason in [(1, "empty body"), (2, "text too short"), (3, "nested too deep"), (4, "body too large")]
    )
    assert {r.source for r in report.rejects} == {f"a.warc.gz@{i}" for i in (1, 2, 3, 4)}
    assert [sorted(page) for page in pages] == [sorted(PAGES.arrow.names)] * 2
    html, text = sorted(pages, key=lambda page: page["offset"])
    assert html["parents"] == [records[0]["id"]]
    assert html["id"] == row_id(html["url"], html["crawl_date"], html["text"])
    assert (html["formulas"], html["carriers"], html["language"]) == (3, ["delimiters", "mathjax-script"], "en")
    assert (text["formulas"], text["carriers"], text["status"]) == (1, ["dollar"], 200)


def test_equal_pages_give_equal_extractions() -> None:
    assert extract(PAGE) == extract(PAGE)
    assert extract(b"<p></p>") == extract(b"<p></p>")
    assert extract(b"").reject == Reject("empty body", "")


def test_depth_is_that_of_the_tree() -> None:
    """Against the selector alone, on tag soup: the count of tags never hides a deep tree."""
    chosen = random.Random(3)
    names = (
        "table",
        "td",
        "tr",
        "div",
        "b",
        "i",
        "a",
        "p",
        "/p",
        "/div",
        "/b",
        "li",
        "select",
        "svg",
        "/table",
        "nobr",
    )
    tags = [f"<{name}>" for name in names]
    deep = 0
    for _ in range(1_500):
        soup = "".join(chosen.choices(tags, [chosen.random() ** 4 for _ in tags], k=chosen.randint(1, 40)))
        tree, depth = HTMLTree.parse(soup), chosen.randint(8, 40)
        assert tree.document is not None
        found = tree.document.query_selector("*" + ">*" * depth + ":first-child") is not None
        assert is_deeper(tree, soup.encode(), depth) == found, soup
        deep += found
    assert 50 < deep < 1_450
