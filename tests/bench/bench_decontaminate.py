"""Documents per CPU second of decontamination. `python tests/bench/bench_decontaminate.py [documents] [repeats]`.

8,000 generated benchmark items of 40 words against 3 kB documents of which one in a hundred holds an item. The peer is
the loop that most projects use: a Python set of 10-grams of lower-case words, every window of a document looked up.
It splits at blanks, so it sees a third fewer words in formulas and has no rule for short items.
"""

from __future__ import annotations

import sys

from tests.bench.bench_documents import compare, documents  # isort: skip  # first, for it pins the threads

import polars as pl

from tasks.mine.decontaminate import DecontaminateConfig, find_hits
from tasks.mine.ngram_index import NgramIndex

CONFIG = DecontaminateConfig()
ITEMS = 8000


def main() -> None:
    """Print one line for ours and one for the peer."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    words = " ".join(documents(ITEMS // 8, seed=2)).split()
    items = [" ".join(words[i * 40 : i * 40 + 40]) for i in range(ITEMS)]
    benchmarks = pl.DataFrame({"benchmark": "generated", "item": [str(i) for i in range(ITEMS)], "text": items})
    texts = documents(count, seed=3, beyond_ascii=0.3)
    for at in range(0, count, 100):
        texts[at] = texts[at][:1400] + " " + items[at % ITEMS] + " " + texts[at][1600:]
    series = pl.Series(texts)
    index = NgramIndex(benchmarks["text"], CONFIG.rules)

    def ours() -> int:
        assert find_hits(index, benchmarks, series)["text"].n_unique() == len(range(0, count, 100))
        return count

    grams = {tuple(item.lower().split()[i : i + 10]) for item in items for i in range(31)}

    def python_set() -> int:
        few = texts[: count // 4]
        hits = 0
        for text in few:
            split = text.lower().split()
            hits += any(tuple(split[i : i + 10]) in grams for i in range(len(split) - 9))
        assert hits == len(range(0, len(few), 100))
        return len(few)

    compare(ours, {"Python set of 10-grams": python_set}, int(sys.argv[2]) if len(sys.argv) > 2 else 5)


if __name__ == "__main__":
    main()
