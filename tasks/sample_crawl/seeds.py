"""Seed texts of the first classifier: mathematics in English, mostly of the easy kinds, and random other pages."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from tasks.sample_crawl.grammar import seeded
from tasks.sample_crawl.pages import Draft, draft_text, make_blocks, make_title

POSITIVES = 400
NEGATIVES = 500
_POSITIVE_KINDS = (  # (genre, topics, weight)
    ("lecture", ("algebra", "calculus", "linear"), 5), ("textbook", ("calculus", "linear"), 3),
    ("encyclopedia", ("algebra", "calculus", "linear"), 3), ("blog", ("algebra", "calculus"), 2),
    ("forum", ("algebra", "calculus"), 1),
)  # fmt: skip
_NEGATIVE_KINDS = (("news", 6), ("shop", 5), ("sports", 4), ("finance", 4), ("recipe", 4), ("coding", 1), ("poem", 1),
                   ("admin", 1), ("numerology", 1))  # fmt: skip
_NEGATIVE_LANGUAGES = (("en", 10), ("de", 1), ("fr", 1), ("es", 1), ("ru", 1), ("zh", 1))
_ENGLISH_ONLY = frozenset({"coding", "poem", "numerology"})


def write_seeds(folder: Path, seed: int) -> None:
    """Write `positives.jsonl` and `negatives.jsonl`: one object with `text` a line."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = seeded(f"seeds {seed}")
    positives, negatives = [], []
    for _ in range(POSITIVES):
        genre, topics, _w = rng.choices(_POSITIVE_KINDS, [k[2] for k in _POSITIVE_KINDS])[0]
        positives.append(_text(rng, "en", genre, rng.choice(topics)))
    for _ in range(NEGATIVES):
        genre = rng.choices(_NEGATIVE_KINDS, [k[1] for k in _NEGATIVE_KINDS])[0][0]
        language = rng.choices(_NEGATIVE_LANGUAGES, [k[1] for k in _NEGATIVE_LANGUAGES])[0][0]
        negatives.append(_text(rng, "en" if genre in _ENGLISH_ONLY else language, genre, ""))
    for name, texts in (("positives", positives), ("negatives", negatives)):
        lines = (json.dumps({"text": t}, ensure_ascii=False) for t in texts)
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _text(rng: Random, language: str, genre: str, topic: str) -> str:
    title, blocks = make_title(rng, language, genre, topic), make_blocks(rng, language, genre, topic)
    carrier = ("dollars", "dollars")
    return f"{title}\n{draft_text(Draft('', '', '', genre, topic, language, carrier, title, blocks, 0))}"
