"""Main-content extraction: the article benchmark, and pages of the kinds that are mined."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections import Counter
from pathlib import Path
from statistics import mean

import pytest
from resiliparse.parse.html import HTMLTree

from tasks.mine.main_content import Article, main_content
from tasks.mine.main_content_scripts import write_scripts

LOREM = (
    "The harmonic series grows without bound, although its terms tend to zero; "
    "the proof groups the terms in blocks whose sums are each at least one half. "
)
TOKEN = re.compile("[\ue000\ue002]\\d+\ue001")


def extract(body: str, head: str = "") -> Article:
    return main_content(HTMLTree.parse(f"<!doctype html><html><head>{head}</head><body>{body}</body></html>"))


def shingles(text: str) -> Counter[tuple[str, ...]]:
    """4-grams of words; a text of fewer words is one shingle, an empty text none."""
    words = re.findall(r"\w+", text)
    return Counter(gram for i in range(max(1, len(words) - 3)) if (gram := tuple(words[i : i + 4])))


def precision_recall_f1(pairs: list[tuple[str, str]]) -> tuple[float, float, float]:
    """The measure of scrapinghub's article-extraction-benchmark, for (gold, predicted) texts.

    Precision is the mean over pages with a prediction, recall over pages with gold; F1 is that of the two means.
    """
    precisions, recalls = [], []
    for gold, predicted in pairs:
        true, found = shingles(gold), shingles(predicted)
        common = (true & found).total()
        if found:
            precisions.append(common / found.total())
        if true:
            recalls.append(common / true.total())
    precision, recall = mean(precisions), mean(recalls)
    return precision, recall, 2 * precision * recall / (precision + recall)


def test_measure_on_worked_example() -> None:
    # "a b c d e" has shingles abcd, bcde; "b c d e f g" has bcde, cdef, defg: one in common.
    precision, recall, f1 = precision_recall_f1([("a b c d e", "b c d e f g"), ("x", "x"), ("y z", "")])
    assert (precision, recall) == (pytest.approx((1 / 3 + 1) / 2), pytest.approx((1 / 2 + 1 + 0) / 3))
    assert f1 == pytest.approx(2 * (2 / 3) * 0.5 / (2 / 3 + 0.5))


def test_articles_of_the_benchmark(rigor_data: Path) -> None:
    """Trafilatura reaches .960 here without comments, resiliparse .934 (its default .898)."""
    folder = rigor_data / "web" / "plain_html" / "scrapinghub"
    if not folder.is_dir():
        pytest.skip(f"no benchmark at {folder}")
    gold = json.loads((folder / "ground-truth.json").read_text("utf-8"))
    pairs = []
    for name, page in gold.items():
        tree = HTMLTree.parse_from_bytes(gzip.decompress((folder / f"{name}.html.gz").read_bytes()), "utf-8")
        pairs.append((page["articleBody"], main_content(tree).text))
    assert len(pairs) == 181
    assert all(predicted for _, predicted in pairs)
    precision, recall, f1 = precision_recall_f1(pairs)
    assert precision >= 0.94
    assert recall >= 0.97
    assert f1 >= 0.96


def test_article_without_furniture() -> None:
    article = extract(
        f"""
        <header><a href="/">Daily Sum</a></header>
        <nav><ul><li><a href="/a">Algebra</a></li><li><a href="/b">Analysis</a></li></ul></nav>
        <div class="cookie-consent"><p>{"We value your privacy and use cookies for the best experience. " * 3}</p></div>
        <div class="layout"><main><article>
          <h1>The harmonic series</h1><p class="byline">By A. Author, 3 May 2020</p>
          <div class="share-buttons"><span>Share on everything</span></div>
          <p>{LOREM}</p><h2>Why it diverges</h2><p>{LOREM * 2}</p>
          <div class="ad-slot"><p>Buy {LOREM}</p></div>
          <h4>More stories</h4><ul><li><a href="/1">Nine primes you will love</a></li></ul>
          <p>The end is nigh.</p>
        </article></main>
        <aside class="sidebar"><p>Sidebar {LOREM}</p></aside></div>
        <section id="comments"><div class="comment"><p>First! {LOREM}</p></div></section>
        <footer><p>Copyright {LOREM}</p></footer>
        """,
        "<title>The harmonic series | Daily Sum</title>",
    )
    lorem = LOREM.strip()
    assert article.title == "The harmonic series"
    assert article.text == f"{lorem}\n\nWhy it diverges\n\n{lorem} {lorem}\n\nThe end is nigh."


def test_question_with_answers_and_their_formulas() -> None:
    comment = "<div class='comments'><ul><li class='comment'>{}</li></ul></div>"
    asked = comment.format("Why \ue0001\ue001?")
    text = extract(
        f"""
        <div id="header"><a href="/">Stack of sums</a></div>
        <div id="question-header"><h1>How to sum a series?</h1></div>
        <div class="question"><div class="post-text"><p>Is it true? {LOREM}</p></div>{comment.format("Nice!")}</div>
        <div id="answers"><h2>2 Answers</h2>
          <div class="answer"><div class="post-text"><p>Yes. {LOREM}</p></div>{asked}</div>
          <div class="answer"><div class="post-text"><p>No: \ue0022\ue001</p></div>{comment.format("Thanks!")}</div>
        </div>
        <div id="sidebar"><h4>Related</h4><div class="related"><a href="/q/2">Sums of \ue0003\ue001</a></div>
          <div><a href="/q/3">Something else entirely</a></div></div>
        """,
        "<title>How to sum a series?</title>",
    ).text
    for kept in ("Is it true?", "Yes.", "No:", "Why \ue0001\ue001?"):
        assert kept in text
    assert TOKEN.findall(text) == ["\ue0001\ue001", "\ue0022\ue001", "\ue0003\ue001"]
    assert "Something else" not in text
    assert "Thanks!" not in text


def test_lecture_notes_keep_every_formula_in_order() -> None:
    boxes = [
        "<h2>Sums</h2><p>Let \ue0000\ue001 be a number.</p>",
        "<aside class='sidebar note'><p>Recall \ue0001\ue001.</p><p>This holds by definition.</p></aside>",
        "<div class='theorem callout'><h3>Theorem \ue0002\ue001</h3><div>\ue0023\ue001</div></div>",
        "<div class='proof' style='display:none'><p>By induction on \ue0004\ue001.</p></div>",
        "<table><tr><th>n</th><th>value</th></tr><tr><td>\ue0005\ue001</td><td>\ue0006\ue001</td></tr></table>",
        "<p>Hidden by a style: <span style='display: none'>junk \ue0007\ue001 junk</span> but read.</p>",
        "<nav><a href='#s'>Back to \ue0008\ue001</a></nav>",
        "<div class='footer footnotes'><ol><li>See \ue0009\ue001.</li></ol></div>",
    ]
    text = extract("<div id='page'>" + "".join(boxes) + f"<p>{LOREM * 4}</p></div>").text
    assert [int(token[1:-1]) for token in TOKEN.findall(text)] == list(range(10))
    assert "This holds by definition." in text
    assert "junk" not in text
    assert "\ue0005\ue001 | \ue0006\ue001" in text


def test_table_code_list_and_quote_are_rendered() -> None:
    code = "def f(x):\n    return x &lt; 1  &amp;&amp; y\n\n\nf(2)"
    text = extract(
        f"""<main><h1>Guide</h1><p>{LOREM}</p>
        <pre><code class="hljs"><span class="hljs-comment share">{code}</span></code></pre>
        <table><tr><th>name</th><th>unit</th><th>note</th></tr><tr><td>speed</td><td></td><td><p>fast</p></td></tr></table>
        <ul><li>one</li><li><p>two</p><p>more of two</p></li></ul>
        <blockquote><p>So it goes.</p></blockquote><p>Line one<br>line two &amp; a half</p></main>"""
    ).text
    code = code.replace("&lt;", "<").replace("&amp;", "&")
    assert text == (
        f"{LOREM.strip()}\n\n```\n{code}\n```\n\nname | unit | note\nspeed |  | fast\n\n"
        "- one\n- two\n\nmore of two\n\n> So it goes.\n\nLine one\nline two & a half"
    )


def test_layout_table_is_not_a_table() -> None:
    text = extract(f"<table><tr><td width=10><a href='/'>Home</a></td><td><p>{LOREM * 5}</p></td></tr></table>").text
    assert text == (LOREM * 5).strip()


def test_shop_page_keeps_the_product() -> None:
    teaser = (
        "<li><h3><a href='/{0}'>Another fine thing number {0}</a></h3>"
        "<p>It is on offer now, for a very low price indeed.</p></li>"
    )
    text = extract(
        f"""<div class="nav"><a href="/">Shop</a><a href="/cart">Cart</a></div>
        <div class="product"><h1>Slide rule</h1><p>A slide rule of bamboo. {LOREM}</p>
        <table><tr><td>Length</td><td>30 cm</td></tr><tr><td>Weight</td><td>90 g</td></tr></table></div>
        <div class="others"><ul>{"".join(teaser.format(i) for i in range(8))}</ul></div>
        <form class="newsletter"><p>Sign up for our letter and never miss an offer again, we promise it.</p></form>"""
    ).text
    assert "A slide rule of bamboo." in text
    assert "Length | 30 cm\nWeight | 90 g" in text
    assert "Another fine thing" not in text
    assert "Sign up" not in text


def test_divs_without_semantics() -> None:
    text = extract(
        f"""<div><div><a href="/1">Home</a> <a href="/2">About us</a> <a href="/3">Contact</a></div>
        <div><div>{LOREM}</div><div>{LOREM}<br><br>A second paragraph. {LOREM}</div></div>
        <div><a href="/4">Impressum</a> | <a href="/5">Terms of use</a></div></div>"""
    ).text
    lorem = LOREM.strip()
    assert text == f"{lorem}\n\n{lorem}\n\nA second paragraph. {lorem}"


def test_chinese_without_spaces() -> None:
    sentence = "调和级数是发散的，尽管它的各项趋于零；证明方法是把各项分组，使每组之和不小于二分之一。"
    article = extract(
        f"""<div class="menu"><ul><li><a href="/1">首页</a></li><li><a href="/2">联系我们</a></li></ul></div>
        <div class="article-content"><h1>调和级数</h1><p>{sentence}</p><p>{sentence * 2}</p></div>
        <div class="related"><p>相关文章：{sentence}</p></div><div class="footer">版权所有，{sentence}</div>""",
        "<title>调和级数 - 数学网</title>",
    )
    assert article == Article(f"{sentence}\n\n{sentence * 2}", "调和级数")


def test_hidden_elements_fall_at_any_depth() -> None:
    text = extract(
        f"""<article><p>{LOREM}</p>
        <div hidden><div><p>secret one, {LOREM}</p></div></div>
        <div style="color: red; display : none"><div style="display:block"><p>secret two</p></div></div>
        <p>Seen <span class="sr-only">secret <b>three</b></span>and <i aria-hidden="true">secret four</i>read.</p>
        <template><p>secret five</p></template><noscript><p>secret six</p></noscript><!-- secret seven -->
        <script>document.write("<p>secret eight</p>")</script><style>p::after {{content: "secret nine"}}</style>
        <p>{LOREM}</p></article>"""
    ).text
    assert "secret" not in text
    assert "Seen and read." in text


def test_sections_with_lists_of_links_stay() -> None:
    article = extract(
        f"""<div id="content"><h1>Site</h1><p>{LOREM * 3}</p><h2>Series</h2><p>{LOREM}</p>
        <h2>See also</h2><ul><li><a href="/wiki/A">Alternating series</a></li>
        <li><a href="/wiki/B">Basel problem</a></li></ul><h2>Notes</h2><p>{LOREM}</p></div>""",
        "<title>Series in analysis</title>",
    )
    text = article.text
    assert article.title == "Series in analysis"
    assert "\n\nSeries\n\n" in text
    assert "See also\n\n- Alternating series\n- Basel problem\n\nNotes" in text


def test_subjects_in_an_article_s_classes_are_no_furniture() -> None:
    text = extract(
        f"""<div class="post-1 post type-post tag-social-choice category-popular hentry"><p>{LOREM * 3}</p></div>
        <div id="comments"><p>{LOREM}I disagree.</p></div>"""
    ).text
    assert text.count(LOREM.strip()) == 3
    assert "disagree" not in text


def test_text_under_bad_names_stays_where_there_is_no_other() -> None:
    text = extract(f"<div class='has-sidebar promo'><p>{LOREM}</p><p>{LOREM}</p></div><div><p>Short.</p></div>").text
    assert text.count(LOREM.strip()) == 2
    comments = "".join(f"<div class='comment'><p>{name}: {LOREM}</p></div>" for name in ("Ann", "Bob"))
    text = extract(f"<h1>A link</h1><div class='comments'>{comments}</div>").text
    assert "Ann: " in text
    assert "Bob: " in text


@pytest.mark.parametrize(
    ("document", "text"),
    [
        *(
            (document, "")
            for document in ("", " ", "<frameset><frame></frameset>", "<title>t</title>", "<script>x</script>")
        ),
        ("just words", "just words"),
        ("<nav><a href='/'>Home</a></nav><footer>Terms</footer>", "Home\n\nTerms"),
        ("<div hidden>Only this</div>", "Only this"),
        ("<span style='display:none'><p>Never closed", "Never closed"),
        ("<object><p>Never closed", "Never closed"),
    ],
)
def test_falls_back_to_all_text(document: str, text: str) -> None:
    assert main_content(HTMLTree.parse(document)).text == text


@pytest.mark.parametrize(
    "document",
    [
        "<div>" * 100_000 + f"<p>{LOREM}",
        "<div class='sidebar share'>" * 100_000 + f"<p>{LOREM}",
        "<ul><li>" * 50_000 + f"<p>{LOREM}",
        "<table><tr><td>" * 10_000 + f"<p>{LOREM}",
        f"<p>{LOREM}</p><div class='" + "sidebar-" * 50_000 + "'>x</div>",
        f"<p>{LOREM}</p><p style='" + "display " * 50_000 + "'>x</p>",
        f"<p>{LOREM}</p><div " + " ".join(f"a{i}=1" for i in range(5_000)) + ">x</div>",
        f"<p>{LOREM}</p><p>" + "word " * 400_000,
        f"<p>{LOREM}</p><p>" + "x<br>" * 50_000,
        f"<p>{LOREM}</p>" + "<svg>" * 50_000,
    ],
    ids=lambda document: document[:24],
)
def test_hostile_documents_keep_their_text(document: str) -> None:
    assert LOREM.strip() in main_content(HTMLTree.parse(document)).text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>one <!-- <b> > <script> -->two</p>", "one two"),
        ("<p>one</p><!-- <div> --><p>two</p>", "one\n\ntwo"),
        ("<div<p>one</div<p>", "one"),
        ("<p <i>one <b <u>two</b></p>", "one two"),
        ("<p>one</p><svg><g <h>no</g></svg><p>two</p>", "one\n\ntwo"),
        ("<pre class='nav'>a <b class=share>b</b>\n  c</pre>", "```\na b\n  c\n```"),
        ("<p>one</p><xmp><!-- <svg>two</xmp><p>three</p>", "one\n\ntwo\n\nthree"),
    ],
)
def test_odd_tags(body: str, text: str) -> None:
    """Names with a `<`, skipped elements, and text that is no markup and begins what it does not end."""
    assert extract(body).text == text


@pytest.mark.parametrize(("markup", "text"), [
    ('10<sup>6</sup><sup class="reference">[1]</sup>', "10⁶[1]"),
    ('10<sup>6</sup><sup id="cite_ref-1"><a href="#cite_note-1">[1]</a></sup>', "10⁶[1]"),
    ("CO<sub>2</sub>, Na<sup>+</sup>, <sup>235</sup>U", "CO₂, Na⁺, ²³⁵U"),
    ("3.0&times;10<sup>&minus;8</sup> m/s<sup>&nbsp;2</sup>", "3.0×10⁻⁸ m/s²"),
    ("x<sup>n+1</sup>, <i>x</i><sup><i>k</i></sup>, 2<sup>1/2</sup>", "x^{n+1}, x^{k}, 2^{1/2}"),
    ("a<sub>i,j</sub>, v<sub>max</sub>, x<sup>a&lt;b</sup>", "a_{i,j}, v_{max}, x^{a<b}"),
    ("e<sup>x<sub>i</sub></sup>, e<sup>x<sup>2</sup></sup>", "e^{x_{i}}, e^{x²}"),
    ("10<sup>\ue0007\ue001</sup>", "10^{\ue0007\ue001}"),
    ("m<sup>e</sup> mod n", "m^{e} mod n"),
    ("The 5<sup>th</sup>, 1<sup>er</sup>, <span>XIX</span><sup>e</sup>, M<sup>me</sup>", "The 5th, 1er, XIXe, Mme"),
    ("A word<sup>*</sup>, TeX<sup>Beta</sup>, 20<sup>°</sup>", "A word*, TeXBeta, 20°"),
    ('Note<sup><a href="#n3">3</a></sup> and<a href="#n4"><sup>4</sup></a>', "Note3 and4"),
    ("<sub>Made with love by us</sub>", "Made with love by us"),
    ('<span class="frac nowrap">3<sup>1</sup>&frasl;<sub>2</sub></span>', "3¹⁄₂"),
])  # fmt: skip
def test_superscripts_and_subscripts(markup: str, text: str) -> None:
    assert extract(f"<p>{markup}</p>").text == text


@pytest.mark.parametrize("markup", ["<sup>", "<sup><i>", "<i></i>", "<sup>x</sup>", "</i>", "<sup> ", "a "])
def test_scripts_take_linear_time(markup: str) -> None:
    hostile = "<p><sup>" + markup * (400_000 // len(markup))
    began = time.process_time()
    write_scripts(hostile)
    assert time.process_time() - began < 2


def test_title_with_a_subscript_is_its_heading() -> None:
    article = extract(f"<h1>What CO<sub>2</sub> does</h1><p>{LOREM}</p>", "<title>What CO2 does - Site</title>")
    assert article == Article(LOREM.strip(), "What CO₂ does")
