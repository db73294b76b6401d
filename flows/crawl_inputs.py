"""What a mine reads from outside: crawl files by month, seeds, benchmarks and a review file."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING

from flows.config import ConfigError
from flows.settings import Settings
from tasks.mine.crawl_paths import expand, identify, partition_of
from tasks.sample_crawl import SampleCrawlConfig, generate
from tasks.stage import SourceFile

if TYPE_CHECKING:
    from flows.mine import MineConfig


@dataclass(frozen=True)
class CrawlInputs:
    """The outside files of a mine."""

    crawl: dict[str, tuple[SourceFile, ...]]
    positives: tuple[SourceFile, ...]
    negatives: tuple[SourceFile, ...]
    benchmarks: tuple[SourceFile, ...]
    review: tuple[SourceFile, ...]

    @property
    def months(self) -> tuple[str, ...]:
        """Crawl months with files, ascending."""
        return tuple(sorted(self.crawl))


def crawl_inputs(config: MineConfig, settings: Settings) -> CrawlInputs:
    """Resolve a config's paths; without paths, the embedded sample crawl with its seeds and benchmarks.

    Raises:
        ConfigError: no file for a month that was asked for, or no seeds or benchmarks for crawl files.
    """
    paths, positives, negatives, benchmarks = config.paths, config.positives, config.negatives, config.benchmarks
    if not paths:
        sample = sample_crawl(settings)
        paths = (str(sample / "crawl"),)
        positives = positives or (str(sample / "seeds" / "positives.jsonl"),)
        negatives = negatives or (str(sample / "seeds" / "negatives.jsonl"),)
        benchmarks = benchmarks or tuple(str(p) for p in sorted((sample / "benchmarks").iterdir()))
    if not positives:
        raise ConfigError("mine.positives: give seed texts of mathematics (JSONL or Parquet files) with these paths")
    if not benchmarks:
        raise ConfigError("mine.benchmarks: give the files (JSONL or Parquet) that the corpus must not contain")
    names = expand(paths)
    held = sorted({partition_of(name) for name in names})
    missing = [month for month in config.months if month not in held]
    if missing:
        raise ConfigError(f"no crawl files for {', '.join(missing)}; the paths hold {', '.join(held)}")
    crawl: dict[str, list[SourceFile]] = {}
    for file in identify([name for name in names if not config.months or partition_of(name) in config.months]):
        crawl.setdefault(file.partition, []).append(file)
    return CrawlInputs(
        {month: tuple(files) for month, files in crawl.items()},
        outside(positives),
        outside(negatives),
        outside(benchmarks),
        outside((config.review,) if config.review else ()),
    )


def outside(paths: tuple[str, ...]) -> tuple[SourceFile, ...]:
    """Local files with the sha256 of their content.

    Raises:
        ConfigError: a path is no file.
    """
    files = []
    for path in map(Path, paths):
        if not path.is_file():
            raise ConfigError(f"no such file: {path}")
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        files.append(SourceFile(str(path.resolve()), digest, path.stat().st_size))
    return tuple(files)


def sample_crawl(settings: Settings) -> Path:
    """Folder of the embedded sample crawl, generated at first use."""
    config = SampleCrawlConfig()
    folder = settings.absolute_home() / "sample-crawl"
    if not folder.exists():
        making = Path(tempfile.mkdtemp(prefix="sample-crawl-", dir=folder.parent))
        generate(making, config)
        try:
            making.rename(folder)  # whole or not at all: a killed generator leaves no half crawl
        except OSError:
            shutil.rmtree(making)
            if not folder.exists():
                raise
    return folder
