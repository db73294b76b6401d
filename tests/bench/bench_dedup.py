"""Documents per CPU second of deduplication. `python tests/bench/bench_dedup.py [documents] [repeats]`.

Ours: text hashes, signatures, bands, clusters, verdicts. datasketch: MinHash of the same number of permutations over
the same words' 5-grams, and its LSH. datatrove: its signature step alone (the least part of its four), on words split
at blanks, for its own splitters cost more still.
"""

from __future__ import annotations

import sys
import tempfile

from tests.bench.bench_documents import compare, documents  # isort: skip  # first, for it pins the threads

import datetime as dt

import polars as pl
from datasketch import MinHash, MinHashLSH
from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.utils.hashing import HashConfig

from tasks.mine.deduplicate import DeduplicateConfig, find_duplicates, sketch

CONFIG = DeduplicateConfig()


class Blanks:
    """The cheapest word splitter for datatrove."""

    def word_tokenize(self, text: str) -> list[str]:
        """Split at blanks."""
        return text.split()


def main() -> None:
    """Print one line for ours and one for each peer."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    texts = documents(count, seed=1, copies=0.2, beyond_ascii=0.3)
    pages = pl.DataFrame(
        {"id": [f"{i:032x}" for i in range(count)], "partition": "2024-01", "score": 0.5, "text": texts}
    ).with_columns(pl.lit(dt.datetime(2024, 1, 1, tzinfo=dt.UTC)).alias("crawl_date"))

    def ours() -> int:
        dropped = find_duplicates(sketch(pages, CONFIG), CONFIG)["reason"].count()
        assert 0.15 * count < dropped < 0.25 * count
        return count

    def datasketch() -> int:
        lsh = MinHashLSH(threshold=CONFIG.threshold, num_perm=CONFIG.permutations, params=(CONFIG.bands, CONFIG.rows))
        few = texts[: max(count // 20, 1)]
        for key, text in enumerate(few):
            words = text.split()
            minhash = MinHash(num_perm=CONFIG.permutations)
            minhash.update_batch([" ".join(words[i : i + 5]).encode() for i in range(len(words) - 4)])
            lsh.query(minhash)
            lsh.insert(str(key), minhash)
        return len(few)

    def datatrove() -> int:
        few = texts[: max(count // 40, 1)]
        with tempfile.TemporaryDirectory() as folder:
            config = MinhashConfig(n_grams=5, num_buckets=20, hashes_per_bucket=6, hash_config=HashConfig(precision=64))
            step = MinhashDedupSignature(folder, config, language="zho")  # English wants spaCy
            step.word_tokenizer = Blanks()
            step.run([Document(text, str(i)) for i, text in enumerate(few)])
        return len(few)

    compare(
        ours, {"datasketch": datasketch, "datatrove, signatures alone": datatrove},
        int(sys.argv[2]) if len(sys.argv) > 2 else 5,
    )  # fmt: skip


if __name__ == "__main__":
    main()
