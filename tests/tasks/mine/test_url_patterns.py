"""URL patterns against worked examples and a brute-force count."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tasks.mine.url_patterns import Node, chain, find_patterns, query_steps, tree


def found(rows: list[tuple[str, bool]], bar: float = 0.1, minimum: int = 5) -> list[tuple[str, bool]]:
    lines = find_patterns(tree(rows, "a.org", minimum), bar=bar, minimum=minimum, significance=3.0)
    return [(node.pattern, verdict) for node, verdict in lines]


def pages(prefix: str, collected: int, missed: int) -> list[tuple[str, bool]]:
    return [(f"http://www.a.org{prefix}{i}.html", i < collected) for i in range(collected + missed)]


def test_chain_of_a_url() -> None:
    assert chain("https://a.org/", "a.org") == [""]
    assert chain("https://www.A.org:8080/x/y/z.html?q=1#top", "a.org") == ["", "/x/", "/x/y/"]
    assert chain("https://maths.a.org/x/", "a.org") == ["", "maths.a.org/", "maths.a.org/x/"]
    assert chain("http://[bad/x", "a.org") == [""]


def test_a_wholly_mathematical_domain_is_one_line() -> None:
    assert found(pages("/x/", 40, 20) + pages("/y/", 30, 12)) == [("", True)]


def test_a_domain_without_mathematics_is_one_line() -> None:
    assert found(pages("/x/", 1, 40) + pages("/y/", 0, 40)) == [("", False)]


def test_the_mathematical_part_of_a_mixed_domain_is_found() -> None:
    rows = pages("/sport/", 0, 60) + pages("/school/maths/", 18, 6) + pages("/school/art/", 1, 60) + pages("/", 0, 9)
    assert found(rows) == [("", False), ("/school/maths/", True)]


def test_the_other_part_of_a_mathematical_domain_is_found() -> None:
    assert found(pages("/a/", 40, 9) + pages("/b/", 42, 8) + pages("/c/", 39, 9) + pages("/shop/", 0, 30)) == [
        ("", True),
        ("/shop/", False),
    ]


def test_parts_that_differ_but_agree_in_the_verdict_are_no_lines() -> None:
    """The Chinese half of a site, of which an English classifier saw little, stays under the domain's verdict."""
    assert found(pages("/en/", 58, 2) + pages("/zh/", 12, 48)) == [("", True)]


def test_a_query_key_can_tell_pages_apart() -> None:
    rows = [(f"http://a.org/view.php?t={i}&forum={i % 2}", bool(i % 2) and i % 3 > 0) for i in range(120)]
    assert query_steps(rows, "a.org", 5) == {("/view.php", "forum")}
    assert found(rows) == [("", False), ("/view.php?forum=1", True)]


def test_a_subdomain_is_a_pattern() -> None:
    rows = [(f"http://maths.a.org/{i}", i % 4 > 0) for i in range(40)] + pages("/news/", 0, 80)
    assert found(rows) == [("", False), ("maths.a.org/", True)]


def test_small_branches_are_not_judged() -> None:
    assert found(pages("/a/", 4, 0) + pages("/b/", 0, 90)) == [("", False)]


@given(st.integers(0, 2**32))
def test_counts_of_every_node_are_those_of_a_plain_count(seed: int) -> None:
    random_ = random.Random(seed)
    rows = [
        (
            f"http://a.org/{random_.choice('xy')}/{random_.choice('pq')}/?k={random_.choice('12')}",
            random_.random() < 0.4,
        )
        for _ in range(40)
    ]
    root = tree(rows, "a.org", 3)
    steps = query_steps(rows, "a.org", 3)

    def check(node: Node) -> None:
        under = [collected for url, collected in rows if node.pattern in chain(url, "a.org", steps)]
        assert (node.pages, node.collected) == (len(under), sum(under))
        for child in node.children.values():
            check(child)

    check(root)
    assert root.pages == 40
