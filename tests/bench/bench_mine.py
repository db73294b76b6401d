"""Pages per CPU second of the mine: ours v stock datatrove, on the same pages, in turn, on one core.

`python -m tests.bench.bench_mine [repeats]`, or `make bench-mine`.

Both read WARC files, extract text, score it with the same fastText model, remove near duplicates and write Parquet.
Ours: read_warc → extract_text → score_pages → deduplicate, with every commit to Delta. datatrove: WarcReader →
Trafilatura → FastTextClassifierFilter → MinHash (signatures, buckets, clusters, filter) → ParquetWriter, with its
defaults but for the word splitter (spaCy is not installed; splitting at blanks is cheaper) and the logging.
CPU seconds are this process's and its children's. Pages: the sample crawl's first month, and, where the test data
is there, 210 real pages in Common Crawl's shape.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import resource
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import FastTextClassifierFilter
from datatrove.pipeline.readers import ParquetReader, WarcReader
from datatrove.pipeline.writers import ParquetWriter
from datatrove.utils.hashing import HashConfig
from datatrove.utils.logging import logger

from tasks.mine import deduplicate, extract_text, read_warc, score_pages, train_classifier
from tasks.mine.classifier_file import MATHEMATICS
from tasks.sample_crawl import generate
from tasks.stage import Inputs, RejectedRow, SourceFile, Stage
from tests.bench.bench_dedup import Blanks
from warehouse.schema import TABLES
from warehouse.tables import Tables, TableView


class Silent:
    """A report that keeps the counts."""

    def __init__(self) -> None:
        self.read = self.rejected = 0

    def metric(self, name: str, value: float, step: int | None = None) -> None: ...
    def progress(self, done: int, total: int, unit: str = "rows") -> None: ...
    def figure(self, name: str, figure: Any) -> None: ...
    def table(self, name: str, frame: pl.DataFrame) -> None: ...
    def cpu_seconds(self, seconds: float) -> None: ...

    def rows_in(self, count: int) -> None:
        self.read += count

    def reject(self, rows: Any) -> None:
        self.rejected += sum(isinstance(row, RejectedRow) for row in rows)


def stage(tables: Tables, work: Path, what: Stage[Any], **given: Any) -> TableView:
    """Run one stage on one worker and commit its rows."""
    scratch = Path(tempfile.mkdtemp(dir=work))
    inputs = Inputs(
        tables={k: v for k, v in given.items() if isinstance(v, TableView)},
        models={k: v for k, v in given.items() if isinstance(v, Path)},
        files={k: v for k, v in given.items() if isinstance(v, tuple)},
        partitions=("2026-01",), scratch=scratch, workers=1,
    )  # fmt: skip
    done = tables.commit(TABLES[what.writes], what.run(what.config(), inputs, Silent()), partitions=["2026-01"])
    return tables.view(what.writes, done.version)


def ours(files: tuple[SourceFile, ...], classifier: Path, work: Path) -> dict[str, int]:
    """The four stages of the mine."""
    tables = Tables(str(work / "warehouse"))
    records = stage(tables, work, read_warc.STAGE, crawl=files)
    pages = stage(tables, work, extract_text.STAGE, crawl_records=records)
    scores = stage(tables, work, score_pages.STAGE, pages=pages, classifier=classifier)
    unique = stage(tables, work, deduplicate.STAGE, pages=pages, page_scores=scores)
    return {"pages": pages.rows, "kept": unique.rows}


def stock(files: tuple[SourceFile, ...], classifier: Path, work: Path) -> dict[str, int]:
    """datatrove's own blocks."""
    crawl = work / "crawl"
    crawl.mkdir()
    for file in files:
        shutil.copy(file.path, crawl)
    config = MinhashConfig(n_grams=5, num_buckets=20, hashes_per_bucket=6, hash_config=HashConfig(precision=64))
    signatures = MinhashDedupSignature(str(work / "signatures"), config, language="zho")
    signatures.word_tokenizer = Blanks()
    FastTextClassifierFilter._requires_dependencies = []  # fasttext-community goes by another name
    classify = FastTextClassifierFilter(str(classifier / "classifier.bin"), keep_labels=(MATHEMATICS.removeprefix("__label__"), 0.5))
    pages = ParquetWriter(str(work / "pages"))
    steps: list[list[Any]] = [
        [WarcReader(str(crawl)), Trafilatura(timeout=5), pages],
        [ParquetReader(str(work / "pages")), classify, ParquetWriter(str(work / "math"))],
        [ParquetReader(str(work / "math")), signatures],
        [MinhashDedupBuckets(str(work / "signatures"), str(work / "buckets"), config=config)],
        [MinhashDedupCluster(str(work / "buckets"), str(work / "remove"), config=config)],
        [ParquetReader(str(work / "math")), MinhashDedupFilter(str(work / "remove")), ParquetWriter(str(work / "out"))],
    ]
    for number, blocks in enumerate(steps):
        tasks = config.num_buckets if isinstance(blocks[0], MinhashDedupBuckets) else 1
        LocalPipelineExecutor(blocks, tasks=tasks, workers=1, logging_dir=str(work / f"log{number}")).run()
    counted = [pl.scan_parquet(str(work / d / "*.parquet")).select(pl.len()).collect().item() for d in ("pages", "out")]
    return {"pages": counted[0], "kept": counted[1]}


def cpu_seconds() -> float:
    """CPU time of this process and of its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def measure(run: Callable[..., dict[str, int]], *args: Any) -> tuple[float, dict[str, int]]:
    """CPU seconds and counts of one run in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        started = cpu_seconds()
        counts = run(*args, Path(folder))
        return cpu_seconds() - started, counts


def source(path: Path) -> SourceFile:
    """A local crawl file with its identity."""
    return SourceFile(str(path), sha256(path.read_bytes()).hexdigest(), path.stat().st_size, "2026-01")


def main() -> None:
    """Print pages per CPU second of both and the ratio, on each set of pages."""
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    with tempfile.TemporaryDirectory() as folder:
        crawl = generate(Path(folder) / "sample")
        # The month's last file is left out: stock datatrove ends at its first damaged record.
        sound = [p for p in crawl.files["2026-01"] if "wet" not in p.name][:-1]
        sets = {"sample crawl, one month": tuple(map(source, sound))}
        data = Path(os.environ.get("RIGOR_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
        real = data / "web" / "warc" / "licensed-pages-cc-shaped.warc.gz"
        if real.exists():
            sets["real pages, Common Crawl shape"] = (source(real),)
        classifier = train(crawl.seeds, next(iter(sets.values())), Path(folder))
        for name, files in sets.items():
            rates: dict[str, list[float]] = {"ours": [], "datatrove": []}
            counts: dict[str, dict[str, int]] = {}
            for _ in range(repeats):
                for label, run in (("ours", ours), ("datatrove", stock)):
                    seconds, counts[label] = measure(run, files, classifier)
                    rates[label].append(counts[label]["pages"] / seconds)
            ratios = [a / b for a, b in zip(rates["ours"], rates["datatrove"], strict=True)]
            print(f"{name}")
            for label, values in rates.items():
                print(f"  {label:<10} {statistics.median(values):8.1f} pages/CPU-s"
                      f" ({min(values):.1f} to {max(values):.1f}), {counts[label]}")  # fmt: skip
            print(f"  ratio      {statistics.median(ratios):8.1f} ({min(ratios):.1f} to {max(ratios):.1f})", flush=True)


def train(seeds: Path, files: tuple[SourceFile, ...], work: Path) -> Path:
    """A classifier of round 1 for both (not timed)."""
    tables = Tables(str(work / "training"))
    pages = stage(tables, work, extract_text.STAGE, crawl_records=stage(tables, work, read_warc.STAGE, crawl=files))
    scratch = Path(tempfile.mkdtemp(dir=work))
    given = {name: (source(seeds / f"{name}.jsonl"),) for name in ("positives", "negatives")}
    config = train_classifier.TrainClassifierConfig(dim=64, buckets=200_000, cut="f1")
    return train_classifier.train_classifier(config, Inputs({"pages": pages}, files=given, scratch=scratch), Silent())


if __name__ == "__main__":
    main()
