"""What is planted among the pages: near and exact duplicates, leaked benchmark items and their traps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from tasks.sample_crawl.benchmarks import Item, as_inline
from tasks.sample_crawl.carriers import CARRIERS, SOURCELESS
from tasks.sample_crawl.grammar import Inline, seeded
from tasks.sample_crawl.pages import LANGUAGES, Block, Draft
from tasks.sample_crawl.sites import MIRROR

EDIT_SHARE = 0.015
"""An edit of a recrawled page touches at most this share of its words, in one run."""
EDITABLE_WORDS = 300
"""Pages shorter than this are not edited: even two edits leave a Jaccard similarity above 0.85."""
LEAK_GENRES = frozenset({"forum", "problems", "blog", "textbook"})
RAW_SAFE = frozenset(CARRIERS) - SOURCELESS - {"bare_mathml", "mathjax_assistive", "asciimath"}
"""Carriers that keep a formula's LaTeX to the letter."""
INTRO = {"en": ("Someone posted this last week:", "A reader sent us the following.", "Warm-up:", "From an old sheet:"),
         "de": ("Knobelaufgabe:", "Eine Leserin schickte uns dies:"), "fr": ("Pour finir :", "Une énigme :"),
         "es": ("Para terminar:", "Un reto:"), "ru": ("Задача на дом:", "Из письма читателя:"),
         "zh": ("课后思考:", "网友来信:")}  # fmt: skip


def recrawl(draft: Draft, month: str, cluster: str, edited: bool, rng: Random) -> Draft:
    """The same URL a month later: other dates and advertisements, and perhaps a small edit."""
    blocks = _edit(draft.blocks, draft.language, rng) if edited else draft.blocks
    kind = "near" if edited else "exact"
    return replace(draft, month=month, blocks=blocks, visit=draft.visit + 1, cluster=cluster, cluster_kind=kind)


def copy(draft: Draft, url: str, cluster: str) -> Draft:
    """The same page at another URL of its site."""
    return replace(draft, url=url, visit=draft.visit + 7, cluster=cluster, cluster_kind="exact")


def mirror(draft: Draft, cluster: str, edited: bool, rng: Random) -> Draft:
    """The page on the mirror site, under another skin."""
    path = draft.url.split("://", 1)[1]
    url = f"https://{MIRROR.host}/{path}"
    blocks = _edit(draft.blocks, draft.language, rng) if edited else draft.blocks
    return replace(draft, url=url, site=MIRROR.host, blocks=blocks, cluster=cluster, cluster_kind="near")


def _edit(blocks: list[Block], language: str, rng: Random) -> list[Block]:
    """Replace one run of words in one paragraph by words of another sentence."""
    count = max(1, int(word_count(blocks) * EDIT_SHARE))
    at = rng.choice([i for i, b in enumerate(blocks) if b.kind == "p"])
    items = list(blocks[at].items[0])
    longest = max((i for i, p in enumerate(items) if isinstance(p, str)), key=lambda i: len(str(items[i])))
    words = _words(str(items[longest]))
    count = min(count, max(1, len(words) - 2))
    start = rng.randint(0, max(0, len(words) - count))
    other = _words(LANGUAGES[language].text(rng, "newsletter"))[:count]
    items[longest] = "".join(words[:start] + other + words[start + count :])
    return [*blocks[:at], Block("p", (tuple(items),)), *blocks[at + 1 :]]


_WORD = re.compile(r"[\u4e00-\u9fff]|[^\W\d_\u4e00-\u9fff]+|\d+")


def word_count(blocks: Sequence[Block]) -> int:
    """Words outside of formulas; a Chinese character is a word."""
    return sum(len(_WORD.findall(p)) for b in blocks for item in b.items for p in item if isinstance(p, str))


def _words(text: str) -> list[str]:
    return re.findall(r"[\u4e00-\u9fff]|[^\s\u4e00-\u9fff]+\s*|\s+", text)


def can_leak(draft: Draft, item: Item) -> bool:
    """Whether the page is of a kind that quotes problems, in the item's language, and would keep its formulas."""
    return (
        draft.genre in LEAK_GENRES
        and draft.language == item.language
        and (set(draft.carrier) <= RAW_SAFE or ("$" not in item.problem and draft.carrier[0] not in SOURCELESS))
        and draft.cluster is None
        and draft.trap is None
        and draft.leaked_item is None
    )


def leak(draft: Draft, item: Item, rng: Random) -> Draft:
    """Quote the item: whole, in another typing, or (long items without formulas) a run of 11 to 20 words."""
    words = item.problem.split()
    intro: Inline = (rng.choice(INTRO[item.language]) + " ",)
    if "$" not in item.problem and len(words) >= 22 and rng.random() < 0.35:
        size = rng.randint(11, 20)
        start = rng.randint(0, len(words) - size)
        quote: Inline = ("… " + " ".join(words[start : start + size]) + " …",)
    elif "$" not in item.problem and rng.random() < 0.4:
        typed = rng.choice((str.upper, str.lower, lambda s: s.replace(", ", " , ").replace("?", " ??")))
        quote = (typed(item.problem),)
    else:
        quote = as_inline(item.problem)
    return replace(draft, blocks=_insert(draft.blocks, (*intro, *quote), rng), leaked_item=item.id)


def near_miss(draft: Draft, item: Item, rng: Random) -> Draft:
    """Quote at most eight plain words of an item in a row, then go on differently: must not count as a leak."""
    runs = [r.split() for r in re.findall(r"(?:[a-z]+ ){7}[a-z]+", item.problem)]
    words = rng.choice(runs)
    text = f"People often ask about “{' '.join(words)}” and similar riddles, which we will not solve here."
    return replace(draft, blocks=_insert(draft.blocks, (text,), rng), trap="near_miss")


def has_plain_run(item: Item) -> bool:
    """Whether `near_miss` can quote the item."""
    return re.search(r"(?:[a-z]+ ){7}[a-z]+", item.problem) is not None


BORING = (
    "Jump to part 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 of this collection.",
    "Sections: a b c d e f g h i j k l m n",
    "Label the columns a, b, c, d, e, f, g, h, i, j and the rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 before you start.",
    "Pages 1 2 3 4 5 6 7 8 9 10",
)


def boring(draft: Draft, rng: Random) -> Draft:
    """Ten numbers or letters in a row, which also stand in a benchmark item: must not count as a leak."""
    return replace(draft, blocks=_insert(draft.blocks, (rng.choice(BORING),), rng), trap="boring")


def _insert(blocks: Sequence[Block], text: Inline, rng: Random) -> list[Block]:
    at = rng.randint(1, len(blocks))
    while at < len(blocks) and blocks[at - 1].kind == "post":
        at += 1
    return [*blocks[:at], Block("p", (text,)), *blocks[at:]]


def with_template(draft: Draft, rng: Random, key: str) -> Draft:
    """Add text that all pages of a section share (terms, instructions): alike, but not near-duplicates.

    The shared text has at most as many words as the page's own, so two pages have a Jaccard similarity below 1/2.
    """
    shared = seeded(f"template {key}")
    grammar = LANGUAGES[draft.language]
    pool = "problem" if draft.is_math else draft.genre
    texts: list[Block] = []
    left = word_count(draft.blocks)
    while True:
        sentence = grammar.expand(shared, shared.choice(grammar.pools[pool]), draft.topic or "algebra")
        left -= sum(len(_words(p)) for p in sentence if isinstance(p, str))
        if left < 0:
            break
        texts.append(Block("p", (sentence,)))
    return replace(
        draft, blocks=[*draft.blocks, *texts] if rng.random() < 0.5 else [*texts, *draft.blocks], trap="template"
    )
