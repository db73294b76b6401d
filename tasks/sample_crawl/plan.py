"""Which pages are crawled in which month, and what is planted among them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from tasks.sample_crawl import plants
from tasks.sample_crawl.benchmarks import ITEMS
from tasks.sample_crawl.grammar import seeded
from tasks.sample_crawl.pages import MATH_GENRES, Draft, make_blocks, make_title
from tasks.sample_crawl.sites import EASY_GENRES, EASY_TOPICS, SITES, Section, Site

RECRAWL_NEAR, RECRAWL_EXACT, MIRRORED, COPIED = 0.055, 0.03, 0.025, 0.02
"""Shares of a month's pages."""
WET_SHARE = 0.02
TEMPLATED = {  # section: share of its pages that carry the section's shared text
    "homework-help-sample.com/solutions/": 0.5,
    "olympiad-corner-sample.org/zh/": 0.4,
    "exos-maths-sample.fr/exercices/": 0.4,
    "gear-store-sample.com/p/": 0.6,
    "eastfield-college-sample.edu/math-dept/": 0.5,
    "exam-office-sample.edu/schedule/": 0.5,
}
LEAKS_PER_MONTH = 26
TRAPS_PER_MONTH = 9


def plan(seed: int, months: tuple[str, ...], pages_per_month: int) -> list[Draft]:
    """All pages, in crawl order within each month."""
    rng = seeded(f"plan {seed}")
    numbers: Counter[str] = Counter()
    out: list[Draft] = []
    earlier: list[Draft] = []
    for month in months:
        mirrored, copied = int(pages_per_month * MIRRORED), int(pages_per_month * COPIED)
        near = int(pages_per_month * RECRAWL_NEAR) if earlier else 0
        exact = int(pages_per_month * RECRAWL_EXACT) if earlier else 0
        fresh = _fresh(rng, seed, month, pages_per_month - mirrored - copied - near - exact, numbers)
        _plant_leaks(rng, fresh)
        long = [d for d in earlier if _editable(d)]
        again = [plants.recrawl(d, month, f"c{d.seed}", edited=True, rng=rng) for d in rng.sample(long, near)]
        again += [plants.recrawl(d, month, f"c{d.seed}", edited=False, rng=rng) for d in rng.sample(earlier, exact)]
        chosen = rng.sample([d for d in fresh if not d.wet and _editable(d)], mirrored + copied)
        twins = [
            plants.mirror(d, f"c{d.seed}", edited=i % 2 == 0, rng=rng)
            if i < mirrored
            else plants.copy(d, _other_url(d.url, rng), f"c{d.seed}")
            for i, d in enumerate(chosen)
        ]
        pages = fresh + again + twins
        rng.shuffle(pages)
        out += pages
        earlier += [d for d in fresh if not d.wet and d.trap is None]
    clusters = {d.cluster for d in out if d.visit or d.cluster_kind != "none"}
    return [replace(d, cluster=f"c{d.seed}") if f"c{d.seed}" in clusters else d for d in out]


def _fresh(rng: Random, seed: int, month: str, count: int, numbers: Counter[str]) -> list[Draft]:
    sections = [(site, section) for site in SITES.values() for section in site.sections]
    total = sum(section.weight for _, section in sections)
    shares = [section.weight / total * count for _, section in sections]
    counts = [int(s) for s in shares]
    for i in sorted(range(len(shares)), key=lambda i: counts[i] - shares[i])[: count - sum(counts)]:
        counts[i] += 1
    drafts = [
        _draft(seed, month, site, section, numbers)
        for (site, section), n in zip(sections, counts, strict=True)
        for _ in range(n)
    ]
    for i in rng.sample(range(len(drafts)), int(count * WET_SHARE)):
        drafts[i] = replace(drafts[i], wet=True)
    return drafts


def _draft(seed: int, month: str, site: Site, section: Section, numbers: Counter[str]) -> Draft:
    key = site.host + section.path
    numbers[key] += 1
    page_seed = seeded(f"{seed} {key} {numbers[key]}").getrandbits(48)
    rng = seeded(page_seed)
    topic = rng.choice(section.topics) if section.topics else ""
    language, genre = section.language, section.genre
    scheme = "http" if site.skin == "table" else "https"
    name = rng.choice(
        (
            f"{numbers[key]:04}.html",
            f"{rng.randint(1000, 99999)}",
            f"{genre}-{numbers[key]}/",
            f"?id={rng.randint(10**5, 10**6)}",
        )
    )
    easy = language == "en" and genre in EASY_GENRES and topic in EASY_TOPICS
    draft = Draft(
        url=f"{scheme}://{site.host}{section.path}{name}", site=site.host, month=month, genre=genre, topic=topic,
        language=language, carrier=site.carriers, title=make_title(rng, language, genre, topic),
        blocks=make_blocks(rng, language, genre, topic), seed=page_seed, hard=genre in MATH_GENRES and not easy,
    )  # fmt: skip
    return plants.with_template(draft, rng, key) if rng.random() < TEMPLATED.get(key, 0.0) else draft


def _editable(draft: Draft) -> bool:
    """Whether a small edit leaves the page a near-duplicate, and a leak in it whole."""
    return draft.leaked_item is None and plants.word_count(draft.blocks) >= plants.EDITABLE_WORDS


def _other_url(url: str, rng: Random) -> str:
    joint = "&" if "?" in url else "?"
    return url + joint + rng.choice(("utm_source=feed", "print=1", f"sid={rng.randint(10**6, 10**7)}", "amp=1"))


def _plant_leaks(rng: Random, fresh: list[Draft]) -> None:
    """Leak items and set traps, in place."""
    order = list(range(len(fresh)))
    rng.shuffle(order)
    items = list(ITEMS)
    rng.shuffle(items)
    for item in items[:LEAKS_PER_MONTH]:
        at = next((i for i in order if plants.can_leak(fresh[i], item)), None)
        if at is not None:
            fresh[at] = plants.leak(fresh[at], item, rng)
    quotable = [item for item in ITEMS if plants.has_plain_run(item) and item.language == "en"]
    fit = [i for i in order if fresh[i].is_math and fresh[i].language == "en" and fresh[i].leaked_item is None]
    for n, i in enumerate(fit[:TRAPS_PER_MONTH]):
        fresh[i] = plants.boring(fresh[i], rng) if n % 3 == 0 else plants.near_miss(fresh[i], rng.choice(quotable), rng)
