"""URL patterns under a domain: which parts of a site are mathematical, found from what was collected.

A page's URL gives a chain of patterns, general to special: `''` (the domain), `sub.host/` (a subdomain),
`/forum/`, `/forum/algebra/`, and, where a query key tells pages apart, `/view.php?forum=12`. The patterns of a
domain are a tree. `find_patterns` cuts from it the branches whose share of collected pages differs from their
surroundings, as a person would annotate them (DeepSeekMath §2.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import sqrt
from urllib.parse import parse_qsl, urlsplit

MAX_DEPTH = 6
"""Path segments that make patterns; deeper ones are not looked at."""
MAX_PATTERN_CHARS = 200


@dataclass
class Node:
    """A pattern, its pages, and the patterns one step more special."""

    pattern: str
    pages: int = 0
    collected: int = 0
    children: dict[str, Node] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Collected / pages."""
        return self.collected / self.pages if self.pages else 0.0


def chain(url: str, domain: str, query_keys: frozenset[tuple[str, str]] = frozenset()) -> list[str]:
    """The patterns that a page lies under, from `''` on; `query_keys` are the (path, key) pairs worth a step.

    >>> chain("http://www.a.org/forum/view.php?f=12&t=7", "a.org", frozenset({("/forum/view.php", "f")}))
    ['', '/forum/', '/forum/view.php', '/forum/view.php?f=12']
    """
    host, path, query = split_url(url)
    base = _base(host, domain)
    patterns = ["", base + "/"] if base else [""]
    *folders, _ = path.lstrip("/").split("/")
    place = base + "/"
    for folder in folders[:MAX_DEPTH]:
        place += folder + "/"
        patterns.append(place)
    for key, value in query:
        if (base + path, key) in query_keys:
            patterns += [base + path, f"{base}{path}?{key}={value}"]
            break
    return [p for p in patterns if len(p) <= MAX_PATTERN_CHARS]


def split_url(url: str) -> tuple[str, str, list[tuple[str, str]]]:
    """Host (lower case, no port), path, and the query's (key, value) pairs; a URL that is none has host ''."""
    try:
        parts = urlsplit(url)
        return (
            (parts.hostname or "").rstrip("."),
            parts.path or "/",
            parse_qsl(parts.query, max_num_fields=50),
        )
    except ValueError:
        return "", "/", []


def _base(host: str, domain: str) -> str:
    """What a pattern names of the host: nothing for the domain itself and its www."""
    return "" if host in ("", domain, "www." + domain) else host


def query_steps(rows: Iterable[tuple[str, bool]], domain: str, minimum: int) -> frozenset[tuple[str, str]]:
    """Per path, the query key whose values best tell collected pages from others (largest drop of Gini impurity).

    `rows` are (url, collected). Keys with fewer than two values of at least `minimum` pages tell nothing.
    """
    counts: dict[tuple[str, str], dict[str, list[int]]] = {}
    for url, collected in rows:
        host, path, query = split_url(url)
        base = _base(host, domain)
        for key, value in query:
            cell = counts.setdefault((base + path, key), {}).setdefault(value, [0, 0])
            cell[0] += 1
            cell[1] += collected
    best: dict[str, tuple[float, str]] = {}
    for (path, key), values in counts.items():
        kept = [(n, c) for n, c in values.values() if n >= minimum]
        if len(kept) > 1:
            pages, hits = sum(n for n, _ in kept), sum(c for _, c in kept)
            gain = sum(c * c / n for n, c in kept) - hits * hits / pages
            best[path] = max(best.get(path, (0.0, "")), (gain, key))
    return frozenset((path, key) for path, (gain, key) in best.items() if gain > 0)


def named_steps(patterns: Iterable[str]) -> frozenset[tuple[str, str]]:
    """The (path, key) pairs that patterns with a query ask for."""
    asked = (pattern.partition("?") for pattern in patterns if "?" in pattern)
    return frozenset((path, query.partition("=")[0]) for path, _, query in asked)


def tree(rows: Iterable[tuple[str, bool]], domain: str, minimum: int, named: Iterable[str] = ()) -> Node:
    """The pattern tree of one domain from its pages' (url, collected); `named` patterns have their nodes too."""
    rows = list(rows)
    asked = named_steps(named)
    paths = {path for path, _ in asked}
    steps = asked | {(path, key) for path, key in query_steps(rows, domain, minimum) if path not in paths}
    root = Node("")
    for url, collected in rows:
        node: Node | None = None
        for pattern in chain(url, domain, steps):
            node = root if node is None else node.children.setdefault(pattern, Node(pattern))
            node.pages += 1
            node.collected += collected
    return root


def find_patterns(root: Node, *, bar: float, minimum: int, significance: float) -> list[tuple[Node, bool]]:
    """The domain and the patterns that differ from what surrounds them, each with its verdict, general to special.

    From every node the branches whose share differs from the rest's by more than `significance` standard errors
    are cut off, the clearest first (of equals the fuller, so that unknown parts are doubted); the rest is judged
    by its own share against `bar`. A branch is listed only if its verdict is not the one it would inherit.
    Branches and rests under `minimum` pages are not judged.
    """
    return _judge(root, inherited=False, bar=bar, minimum=minimum, significance=significance, always=True)


def _judge(
    node: Node, *, inherited: bool, bar: float, minimum: int, significance: float, always: bool = False
) -> list[tuple[Node, bool]]:
    pages, collected = node.pages, node.collected
    whole = next((c for c in node.children.values() if c.pages == pages), None)
    if whole is not None:  # the same pages under a longer name: judge them once, for the shorter one
        node = Node(node.pattern, pages, collected, whole.children)
        return _judge(node, inherited=inherited, bar=bar, minimum=minimum, significance=significance, always=always)
    left = {p: c for p, c in sorted(node.children.items()) if c.pages >= minimum}
    while left:
        scores = {p: _differs(c.pages, c.collected, pages - c.pages, collected - c.collected) for p, c in left.items()}
        clearest = max(left, key=lambda p: (round(scores[p], 9), left[p].share))
        if scores[clearest] < significance:
            break
        branch = left.pop(clearest)
        pages, collected = pages - branch.pages, collected - branch.collected
    verdict = collected / pages > bar if pages >= minimum else inherited
    found = [(node, verdict)] if always or verdict != inherited else []
    for _, child in sorted(node.children.items()):
        if child.pages >= minimum:
            found += _judge(child, inherited=verdict, bar=bar, minimum=minimum, significance=significance)
    return found


def _differs(pages: int, hits: int, other_pages: int, other_hits: int) -> float:
    """Standard errors between two shares (two-proportion z, pooled); 0 where one side is empty or both agree."""
    if not pages or not other_pages:
        return 0.0
    pooled = (hits + other_hits) / (pages + other_pages)
    spread = sqrt(pooled * (1 - pooled) * (1 / pages + 1 / other_pages))
    return abs(hits / pages - other_hits / other_pages) / spread if spread else 0.0
