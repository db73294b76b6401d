"""Pages per CPU second of the mine: ours v stock datatrove, on the same pages, in turn, on one core.

`python -m tests.bench.bench_mine STOCK_PYTHON [repeats]`, or `make bench-mine`, which makes the stock environment.

Both read WARC files, extract text, score it with the same fastText model, remove near duplicates and write Parquet.
Ours: read_warc → extract_text → score_pages → deduplicate, with every commit to Delta. datatrove: `stock_mine.py`.
CPU seconds after imports, children included. Pages: the sample crawl's first month, and, where the test data is
there, 210 real pages in Common Crawl's shape; each set is read `COPIES` times over, so that fixed costs weigh little.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
from datatrove.utils.logging import logger

from tasks.mine import deduplicate, extract_text, read_warc, score_pages, train_classifier
from tasks.sample_crawl import generate
from tasks.stage import Inputs, RejectedRow, SourceFile, Stage
from warehouse.schema import TABLES
from warehouse.tables import Tables, TableView

COPIES = 4


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


def stock(python: str, files: tuple[SourceFile, ...], classifier: Path, work: Path) -> tuple[float, dict[str, int]]:
    """datatrove in its own environment: CPU seconds and counts."""
    crawl = work / "crawl"
    crawl.mkdir()
    for file in files:
        shutil.copy(file.path, crawl)
    script = Path(__file__).with_name("stock_mine.py")
    command = [python, str(script), str(crawl), str(classifier / "classifier.bin"), str(work)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    return figures["cpu_seconds"], {"pages": figures["pages"], "kept": figures["kept"]}


def cpu_seconds() -> float:
    """CPU time of this process and of its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def timed(files: tuple[SourceFile, ...], classifier: Path, work: Path) -> tuple[float, dict[str, int]]:
    """Ours: CPU seconds and counts."""
    started = cpu_seconds()
    counts = ours(files, classifier, work)
    return cpu_seconds() - started, counts


def copies(files: list[Path], folder: Path) -> tuple[SourceFile, ...]:
    """Each file `COPIES` times under names of their own."""
    folder.mkdir()
    made = [Path(shutil.copy(file, folder / f"{number}-{file.name}")) for number in range(COPIES) for file in files]
    return tuple(map(source, made))


def source(path: Path) -> SourceFile:
    """A local crawl file with its identity."""
    return SourceFile(str(path), sha256(path.read_bytes()).hexdigest(), path.stat().st_size, "2026-01")


def main() -> None:
    """Print pages per CPU second of both and the ratio, on each set of pages."""
    logger.remove()
    python, repeats = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        crawl = generate(folder / "sample")
        # The month's last file is left out: stock datatrove ends at its first damaged record.
        sound = [p for p in crawl.files["2026-01"] if "wet" not in p.name][:-1]
        sets = {"sample crawl, one month": copies(sound, folder / "sound")}
        data = Path(os.environ.get("RIGOR_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
        real = data / "web" / "warc" / "licensed-pages-cc-shaped.warc.gz"
        if real.exists():
            sets["real pages, Common Crawl shape"] = copies([real], folder / "real")
        classifier = train(crawl.seeds, sets["sample crawl, one month"][: len(sound)], folder)
        for name, files in sets.items():
            rates: dict[str, list[float]] = {"ours": [], "datatrove": []}
            counts: dict[str, dict[str, int]] = {}
            for _ in range(repeats):
                for label in rates:
                    with tempfile.TemporaryDirectory(dir=folder) as work:
                        if label == "ours":
                            seconds, counts[label] = timed(files, classifier, Path(work))
                        else:
                            seconds, counts[label] = stock(python, files, classifier, Path(work))
                    rates[label].append(counts[label]["pages"] / seconds)
            ratios = [a / b for a, b in zip(rates["ours"], rates["datatrove"], strict=True)]
            print(f"{name}: load {os.getloadavg()[0]:.1f}")
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
