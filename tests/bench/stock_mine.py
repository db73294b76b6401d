"""datatrove's own blocks over a folder of WARC files: the peer of `bench_mine`.

`python stock_mine.py CRAWL_FOLDER CLASSIFIER_BIN WORK_FOLDER`, in an environment with datatrove as it declares itself
(`datatrove[io,processing]` and spaCy: `make bench-mine` makes one). Prints one line of JSON: CPU seconds after imports,
pages extracted, pages kept. It imports nothing of Rigor.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import FastTextClassifierFilter
from datatrove.pipeline.readers import ParquetReader, WarcReader
from datatrove.pipeline.writers import ParquetWriter


def cpu_seconds() -> float:
    """CPU time of this process and of its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def main(crawl: str, classifier: str, work: Path) -> None:
    """WarcReader → Trafilatura → fastText filter → MinHash in its four steps → Parquet, all with defaults."""
    started = cpu_seconds()
    config = MinhashConfig()
    folders = {name: str(work / name) for name in ("pages", "math", "signatures", "buckets", "remove", "out")}
    steps: list[list[Any]] = [
        [WarcReader(crawl), Trafilatura(timeout=5), ParquetWriter(folders["pages"])],
        [ParquetReader(folders["pages"]), FastTextClassifierFilter(classifier, keep_labels=("math", 0.5)),
         ParquetWriter(folders["math"])],
        [ParquetReader(folders["math"]), MinhashDedupSignature(folders["signatures"], config)],
        [MinhashDedupBuckets(folders["signatures"], folders["buckets"], config=config)],
        [MinhashDedupCluster(folders["buckets"], folders["remove"], config=config)],
        [ParquetReader(folders["math"]), MinhashDedupFilter(folders["remove"]), ParquetWriter(folders["out"])],
    ]  # fmt: skip
    for number, blocks in enumerate(steps):
        tasks = config.num_buckets if isinstance(blocks[0], MinhashDedupBuckets) else 1
        LocalPipelineExecutor(blocks, tasks=tasks, workers=1, logging_dir=str(work / f"log{number}")).run()
    stats = json.loads((work / "log0" / "stats.json").read_text())
    kept = json.loads((work / f"log{len(steps) - 1}" / "stats.json").read_text())
    figures = {"pages": stats[1]["stats"]["forwarded"], "kept": kept[-1]["stats"]["total"]}
    print(json.dumps({"cpu_seconds": cpu_seconds() - started, **figures}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
