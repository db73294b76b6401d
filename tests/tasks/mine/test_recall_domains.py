"""Domains, patterns, verdicts on pages, a person's review, and the stop rule, on worked examples."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tasks.mine.domain_review import ReviewError, read_review, write_review
from tasks.mine.recall_domains import RecallDomainsConfig, domain_table, find_lines, overlap

CONFIG = RecallDomainsConfig(bar=0.1, min_pages=5, significance=3.0)


def scores(*groups: tuple[str, str, int, int], round_: int = 1) -> pl.DataFrame:
    """Rows of page_scores: (domain, path prefix, collected, missed) each."""
    rows = [
        (f"{domain}{path}{i}", f"http://{domain}{path}{i}.html", domain, i < collected)
        for domain, path, collected, missed in groups
        for i in range(collected + missed)
    ]
    frame = pl.DataFrame(rows, schema=["page", "url", "domain", "collected"], orient="row")
    return frame.with_columns(pl.lit(round_, dtype=pl.Int16).alias("round"))


MIXED = scores(
    ("maths.org", "/a/", 30, 10),
    ("shop.com", "/x/", 0, 50),
    ("uni.edu", "/maths/", 20, 10),
    ("uni.edu", "/history/", 0, 60),
    ("tiny.net", "/", 2, 0),
    ("stray.com", "/", 2, 98),
)


def lines(frame: pl.DataFrame) -> dict[tuple[str, str], bool]:
    return {
        (domain, pattern): m for domain, pattern, m in frame.select("domain", "pattern", "mathematical").iter_rows()
    }


def test_domains_and_patterns_of_a_small_crawl() -> None:
    table = domain_table(MIXED, CONFIG)
    assert lines(table) == {
        ("maths.org", ""): True,
        ("shop.com", ""): False,
        ("stray.com", ""): False,
        ("tiny.net", ""): False,
        ("uni.edu", ""): False,
        ("uni.edu", "/maths/"): True,
    }
    whole = table.filter(pl.col("pattern") == "").select("domain", "pages", "collected", "share").rows()
    assert whole == [
        ("maths.org", 40, 30, 0.75),
        ("shop.com", 50, 0, 0.0),
        ("stray.com", 100, 2, 0.02),
        ("tiny.net", 2, 2, 1.0),
        ("uni.edu", 90, 20, 20 / 90),
    ]
    assert set(table["decision"]) == {"auto"}


def test_row_order_does_not_matter() -> None:
    assert domain_table(MIXED.sample(fraction=1.0, shuffle=True, seed=3), CONFIG).equals(domain_table(MIXED, CONFIG))


def test_pages_are_judged_by_their_longest_line() -> None:
    table = domain_table(MIXED, CONFIG)
    under = find_lines(MIXED, table)["mathematical"]
    expected = MIXED["url"].str.contains("maths.org/|/maths/")
    assert under.to_list() == expected.to_list()
    unknown = pl.DataFrame({"url": ["http://new.org/maths/1"], "domain": ["new.org"]})
    assert find_lines(unknown, table)["mathematical"].to_list() == [False]


def test_a_person_overrules_the_shares() -> None:
    review = {
        ("maths.org", ""): "vetoed",
        ("uni.edu", "/history/"): "approved",
        ("uni.edu", "/none/"): "approved",
        ("tiny.net", ""): "approved",
        ("shop.com", "/x/"): "approved",
    }
    table = domain_table(MIXED, CONFIG, review)
    got = {
        (d, p): (m, decision)
        for d, p, m, decision in table.select("domain", "pattern", "mathematical", "decision").rows()
    }
    assert got["maths.org", ""] == (False, "vetoed")
    assert got["uni.edu", "/history/"] == (True, "approved")
    assert got["uni.edu", "/maths/"] == (True, "auto")
    assert got["uni.edu", "/none/"] == (True, "approved")
    assert got["tiny.net", ""] == (True, "approved")
    assert got["shop.com", "/x/"] == (True, "approved")
    assert table.filter(pattern="/x/")["pages"].to_list() == [50]
    assert (
        find_lines(MIXED, table)["mathematical"].to_list() == MIXED["url"].str.contains("uni.edu/|tiny|shop").to_list()
    )


def test_a_review_of_a_query_pattern_reaches_its_pages() -> None:
    frame = scores(("b.org", "/view.php?forum=1&t=", 0, 8), ("b.org", "/view.php?forum=2&t=", 0, 8))
    table = domain_table(frame, CONFIG, {("b.org", "/view.php?forum=2"): "approved"})
    assert find_lines(frame, table)["mathematical"].to_list() == [False] * 8 + [True] * 8
    assert table.filter(pattern="/view.php?forum=2")["pages"].to_list() == [8]


def test_scores_of_several_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="one round"):
        domain_table(pl.concat([MIXED, scores(("a.org", "/", 1, 1), round_=2)]), CONFIG)


def test_no_scores_make_no_lines() -> None:
    assert domain_table(MIXED.head(0), CONFIG).is_empty()


def test_overlap_is_the_share_already_held() -> None:
    before = pl.DataFrame({"page": list("abcd"), "collected": [True, True, False, True]})
    after = pl.DataFrame({"page": list("abcde"), "collected": [True, False, True, True, True]})
    assert overlap(before, after) == pytest.approx(2 / 4)
    assert overlap(before, before) == 1.0
    assert overlap(before, before.with_columns(collected=pl.lit(value=False))) == 1.0


def test_a_review_file_comes_back_as_it_was_edited(tmp_path: Path) -> None:
    odd = scores(('we"ird\\\x7fé.org', "/", 6, 2))
    table = domain_table(pl.concat([MIXED, odd]), CONFIG)
    file = tmp_path / "review.toml"
    write_review(table, file, pl.concat([MIXED, odd]))
    assert read_review(file) == {}
    text = file.read_text(encoding="utf-8")
    assert "http://uni.edu/maths/0.html" in text
    assert "20 of 30 pages collected (0.667)" in text
    at = text.index('pattern = "/maths/"')
    edited = text[:at] + text[at:].replace('decision = "auto"', 'decision = "veto"', 1)
    file.write_text(edited, encoding="utf-8")
    assert read_review(file) == {("uni.edu", "/maths/"): "vetoed"}
    again = domain_table(MIXED, CONFIG, read_review(file))
    assert not lines(again)["uni.edu", "/maths/"]
    write_review(again, file)
    assert read_review(file) == {("uni.edu", "/maths/"): "vetoed"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[line]\n", "cannot be read"),
        ("\xff", "holds|cannot be read"),
        ('[[line]]\ndomain = "a"\npattern = ""\n', "line 1 needs exactly"),
        ('[[line]]\ndomain = "a"\npattern = ""\ndecision = "yes"\n', "approve, veto|'approve'"),
        ('[[line]]\ndomain = 1\npattern = ""\ndecision = "veto"\n', "line 1"),
        ("line = 3\n", "holds"),
        ("[[lines]]\n", "holds"),
        ("line = [1]\n", "line 1 needs"),
        (
            '[[line]]\ndomain = "a"\npattern = ""\ndecision = "veto"\n'
            '[[line]]\ndomain = "a"\npattern = ""\ndecision = "approve"\n',
            "line 2 contradicts",
        ),
    ],
)
def test_a_bad_review_file_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "review.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ReviewError, match=message):
        read_review(file)


def test_a_missing_review_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match=r"none\.toml"):
        read_review(tmp_path / "none.toml")
