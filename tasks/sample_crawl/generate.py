"""Write a sample crawl: WARC and WET files of three months, seeds, benchmarks, and the truth beside them."""

from __future__ import annotations

import datetime as dt
import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from tasks.sample_crawl import broken
from tasks.sample_crawl.benchmarks import write_benchmarks
from tasks.sample_crawl.grammar import seeded
from tasks.sample_crawl.pages import Draft, draft_text
from tasks.sample_crawl.plan import plan
from tasks.sample_crawl.seeds import write_seeds
from tasks.sample_crawl.sites import MIRROR, SITES
from tasks.sample_crawl.skins import Rendered, render
from tasks.sample_crawl.truth import PAGES_SCHEMA, RECORDS_SCHEMA, settle_fates
from tasks.sample_crawl.warc import Place, WarcFile, http_headers

FILES_PER_MONTH = 3
LAST_FILE_PAGES = 12
"""Pages after the broken records, in each month's last file: a reader must get past the damage to find them."""


class SampleCrawlConfig(BaseModel):
    """What to generate."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    seed: int = Field(default=0, ge=0)
    """Same seed and sizes, same bytes."""
    pages_per_month: int = Field(default=1070, ge=60, le=100_000)
    """Readable pages planted in each month, WET records included."""
    months: tuple[str, ...] = ("2026-01", "2026-02", "2026-03")
    """Crawl months, YYYY-MM."""


@dataclass(frozen=True)
class SampleCrawl:
    """A generated crawl: its folders, files and counts."""

    folder: Path
    files: dict[str, tuple[Path, ...]]
    """WARC and WET files by month."""
    summary: pl.DataFrame
    """Pages by month, genre, language, mathematics and fate."""

    @property
    def seeds(self) -> Path:
        """Folder of `positives.jsonl` and `negatives.jsonl`."""
        return self.folder / "seeds"

    @property
    def benchmarks(self) -> Path:
        """Folder of the benchmark files."""
        return self.folder / "benchmarks"

    @property
    def truth(self) -> Path:
        """Folder of `pages.parquet` and `records.parquet`."""
        return self.folder / "truth"


def generate(folder: Path, config: SampleCrawlConfig | None = None) -> SampleCrawl:
    """Write everything under `folder`: `crawl/<month>/…`, `seeds/`, `benchmarks/` and `truth/`.

    Raises:
        FileExistsError: there is a crawl already.
    """
    config = config or SampleCrawlConfig()
    rows: list[dict[str, Any]] = []
    records: list[dict[str, Any]] = []
    files: dict[str, tuple[Path, ...]] = {}
    drafts = plan(config.seed, config.months, config.pages_per_month)
    for month in config.months:
        (folder / "crawl" / month).mkdir(parents=True)
        pages = [d for d in drafts if d.month == month]
        files[month] = tuple(_write_month(folder / "crawl" / month, config.seed, month, pages, rows, records))
    (folder / "truth").mkdir()
    truth = settle_fates(pl.DataFrame(rows, schema=PAGES_SCHEMA, orient="row"))
    truth.write_parquet(folder / "truth" / "pages.parquet")
    pl.DataFrame(records, schema=RECORDS_SCHEMA, orient="row").write_parquet(folder / "truth" / "records.parquet")
    write_benchmarks(folder / "benchmarks")
    write_seeds(folder / "seeds", config.seed)
    by = ["month", "genre", "language", "is_math", "fate"]
    return SampleCrawl(folder, files, truth.group_by(by).len("pages").sort(by))


def _write_month(
    folder: Path, seed: int, month: str, pages: list[Draft], rows: list[dict[str, Any]], records: list[dict[str, Any]]
) -> list[Path]:
    rng = seeded(f"month {seed} {month}")
    web = [d for d in pages if not d.wet]
    last, rest = web[-LAST_FILE_PAGES:], web[:-LAST_FILE_PAGES]
    cut = len(rest) // (FILES_PER_MONTH - 1)
    parts = [rest[:cut], rest[cut:], last]
    paths = []
    for number, part in enumerate(parts):
        path = folder / f"sample-{month}-{number:05}.warc.gz"
        paths.append(path)
        with WarcFile(path, str(seed), _date(month, rng, 1)) as file:
            if part is last:
                bad = broken.plant(file, rng, _date(month, rng))
                records.extend(_record_row(record, file.name, month) for record in bad)
            for draft in part:
                _write_page(file, draft, rng, rows)
            if part is last:
                records.append(_record_row(broken.truncate(file, rng, _date(month, rng)), file.name, month))
    path = folder / f"sample-{month}-00000.warc.wet.gz"
    with WarcFile(path, str(seed), _date(month, rng, 1)) as file:
        for draft in (d for d in pages if d.wet):
            text = f"{draft.title}\n{draft_text(draft)}\n"
            place = file.conversion(draft.url, date := _date(month, rng), text)
            rendered = render(draft, SITES[draft.site])
            rows.append(_page_row(draft, rendered, file.name, place, date, "honest", "conversion", ()))
    return [*paths, path]


def _date(month: str, rng: Random, day: int | None = None) -> str:
    hour, minute, second = rng.randint(0, 23), rng.randint(0, 59), rng.randint(0, 59)
    return f"{month}-{day or rng.randint(2, 28):02}T{hour:02}:{minute:02}:{second:02}Z"


def _write_page(file: WarcFile, draft: Draft, rng: Random, rows: list[dict[str, Any]]) -> None:
    site = MIRROR if draft.site == MIRROR.host else SITES[draft.site]
    rendered = render(draft, site)
    recode = rng.choices((broken.honest, broken.meta_only, broken.lying_header), (0.72, 0.25, 0.03))[0]
    payload, content_type = recode(rendered.html, site.charset)
    encoding = rng.choices(("identity", "gzip", "deflate", "chunked"), (0.9, 0.05, 0.02, 0.03))[0]
    body, extra = payload, ""
    if encoding == "gzip":
        body, extra = gzip.compress(payload, 6, mtime=0), "Content-Encoding: gzip\r\n"
    elif encoding == "deflate":
        body, extra = zlib.compress(payload, 6), "Content-Encoding: deflate\r\n"
    elif encoding == "chunked":
        half = len(payload) // 2
        chunks = (payload[:half], payload[half:])
        body = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"
        extra = "Transfer-Encoding: chunked\r\n"
    date = _date(draft.month, rng)
    http = http_headers("200 OK", content_type, len(body), extra)
    place = file.fetch(draft.url, date, http, body, language=draft.language)
    rows.append(_page_row(draft, rendered, file.name, place, date, recode.__name__, encoding, rendered.drop))


def _page_row(
    draft: Draft, page: Rendered, file: str, place: Place, date: str, charset: str, encoding: str, drop: tuple[str, ...]
) -> dict[str, Any]:
    wet = encoding == "conversion"
    formulas = [] if wet else list(page.formulas)
    return {
        "url": draft.url, "site": draft.site, "month": draft.month, "crawl_date": dt.datetime.fromisoformat(date),
        "source_file": file, "offset": place.offset, "length": place.length,
        "genre": draft.genre, "topic": draft.topic, "language": draft.language,
        "is_math": draft.is_math, "hard": draft.hard, "carriers": sorted({c for _, c in formulas}),
        "formulas": [f for f, _ in formulas], "formula_carriers": [c for _, c in formulas],
        "title": draft.title, "main_text": draft_text(draft), "keep": _keep(draft), "drop": list(drop),
        "cluster": draft.cluster, "cluster_kind": draft.cluster_kind, "leaked_item": draft.leaked_item,
        "trap": draft.trap, "charset_trick": charset, "encoding": encoding,
    }  # fmt: skip


def _keep(draft: Draft) -> list[str]:
    """Runs of text without formulas that must survive extraction: the longest of three paragraphs."""
    runs = [
        max((p for p in b.items[0] if isinstance(p, str)), key=len, default="").strip()
        for b in draft.blocks
        if b.kind == "p"
    ]
    return sorted((r for r in runs if len(r) > 12), key=len, reverse=True)[:3]


def _record_row(bad: broken.Broken, file: str, month: str) -> dict[str, Any]:
    return {
        "kind": bad.kind, "outcome": bad.outcome, "url": bad.url, "month": month, "source_file": file,
        "offset": bad.place.offset, "length": bad.place.length,
    }  # fmt: skip
