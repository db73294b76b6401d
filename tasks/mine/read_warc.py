"""read_warc: crawl files to pages, each with the place and digest that lead back to its bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from pydantic import Field

from tasks.mine.warc_page import NOT_A_PAGE, read_page
from tasks.mine.warc_records import Hole, Record, cut_file
from tasks.pipeline import REJECT, run_blocks
from tasks.stage import Inputs, Reject, Report, SourceFile, Stage, StageConfig
from warehouse.ids import row_id
from warehouse.schema import CRAWL_RECORDS


class ReadWarcConfig(StageConfig):
    """Bounds of reading a crawl file. Whatever exceeds one is rejected with that reason, never cut."""

    max_payload_bytes: int = Field(4 << 20, ge=1 << 10, le=64 << 20)
    """Largest body, bytes, as stored and as decoded. Common Crawl cuts at 1 MiB, since 2025 at 5 MiB."""
    max_header_bytes: int = Field(32 << 10, ge=1 << 10, le=32 << 10)
    """Largest header block of a record or HTTP response, bytes; 32 KiB is fastwarc's own bound."""
    max_inflation_ratio: int = Field(200, ge=10, le=2000)
    """Inflated over stored bytes beyond which what exceeds `max_payload_bytes` is a bomb and is not read on."""
    strict_digest: bool = False
    """Reject pages whose stated payload digest is not that of their body. Off: some crawlers digest other bytes."""
    allow_private_hosts: bool = False
    """Let http(s) paths lead to addresses that are not public. Only for crawl files on a network of your own."""


class WarcReader(PipelineStep):
    """datatrove reader: rank r of w reads files r, r + w, …; every record comes out, a page or with its reason."""

    type = "rigor"
    name = "warc_reader"

    def __init__(self, files: Sequence[SourceFile], config: ReadWarcConfig) -> None:
        """Read `files` within the bounds of `config`."""
        super().__init__()
        self.files, self.config = tuple(files), config

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        """Yield this rank's documents in the order of files and offsets."""
        for file in self.files[rank::world_size]:
            yield from self._read(file)

    def _read(self, file: SourceFile) -> Iterator[Document]:
        name, found = PurePosixPath(file.path).name, False
        others: Counter[str] = Counter()
        for item in cut_file(file.path, self.config, allow_private_hosts=self.config.allow_private_hosts):
            found = True
            document = self._document(name, file.partition, item)
            reject = document.metadata.get(REJECT)
            if reject is not None and reject.reason.startswith(NOT_A_PAGE):
                others[reject.reason] += 1  # two for each page of a crawl: counted, not listed
            else:
                yield document
        for reason, count in sorted(others.items()):
            columns = {"source_file": name, REJECT: Reject(reason, f"{count} records", count)}
            yield Document(text="", id=row_id(name, reason), metadata=columns)
        if not found:
            yield self._document(name, file.partition, Hole(0, file.size_bytes, "no record in file"))

    def _document(self, name: str, partition: str, item: Record | Hole) -> Document:
        columns: dict[str, Any] = {
            "parents": [],
            "partition": partition,
            "source_file": name,
            "offset": item.offset,
            "length": item.length,
        }
        if isinstance(item, Hole):
            page: dict[str, Any] | Reject = Reject(item.reason, f"{item.length} bytes; {item.detail}".rstrip("; "))
        else:
            page = read_page(item, self.config)
        if isinstance(page, Reject):
            columns[REJECT] = page
            return Document(text="", id=row_id(name, item.offset, item.length), metadata=columns)
        return Document(text="", id=row_id(name, item.offset, page["digest"]), metadata=columns | page)


def read_warc(config: ReadWarcConfig, inputs: Inputs, report: Report) -> Iterator[pa.RecordBatch]:
    """Read `inputs.files["crawl"]`, a rank for each file."""
    files = inputs.files["crawl"]
    return run_blocks(
        [WarcReader(files, config)],
        schema=CRAWL_RECORDS.arrow,
        tasks=len(files),
        workers=inputs.workers,
        engine=inputs.engine,
        scratch=inputs.scratch,
        report=report,
    )


STAGE = Stage(name="read_warc", version="1", reads=(), writes="crawl_records", config=ReadWarcConfig, run=read_warc)
