"""Crawl files made record by record, and the reader's answer as plain rows."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from tasks.mine.read_warc import ReadWarcConfig, WarcReader
from tasks.pipeline import REJECT
from tasks.stage import SourceFile

HTML = b"<!doctype html><html><head><title>t</title></head><body><p>" + b"x squared. " * 50 + b"</p></body></html>"
TYPE = [("Content-Type", "text/html; charset=utf-8")]
Row = dict[str, Any]


def read(path: Path | str, **config: Any) -> tuple[list[Row], list[tuple[str, str]]]:
    """Kept rows, and (reason, detail) of the rejected ones, once for each record it counts."""
    reader = WarcReader([SourceFile(str(path), "sha256:0", 0)], ReadWarcConfig(**config))
    documents = list(reader.run())
    rejects = [d.metadata[REJECT] for d in documents if REJECT in d.metadata]
    kept = [d.metadata for d in documents if REJECT not in d.metadata]
    return kept, [(r.reason, r.detail) for r in rejects for _ in range(r.count)]


def http_warc(
    path: Path,
    bodies: Iterable[tuple[bytes, list[tuple[str, str]]]],
    *,
    gz: bool = True,
    status: str = "200 OK",
    url: str = "https://www.example.co.uk/a?b#c",
    extra: dict[str, str] | None = None,
) -> Path:
    """A WARC written by warcio, one response for each body and its headers."""
    with path.open("wb") as out:
        writer = WARCWriter(out, gzip=gz)
        for body, headers in bodies:
            http = StatusAndHeaders(status, headers, protocol="HTTP/1.1")
            record = writer.create_warc_record(
                url, "response", payload=BytesIO(body), http_headers=http, warc_headers_dict=dict(extra or {})
            )
            writer.write_record(record)
    return path


def raw_record(block: bytes, *, length: int | None = None, eol: bytes = b"\r\n", **headers: str) -> bytes:
    fields = {
        "WARC-Type": "response",
        "WARC-Target-URI": "http://a.example.org/p",
        "WARC-Date": "2024-05-18T01:02:03Z",
        "Content-Type": "application/http; msgtype=response",
        "Content-Length": str(len(block) if length is None else length),
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = b"".join(f"{k}: {v}".encode() + eol for k, v in fields.items() if v)
    return b"WARC/1.0" + eol + lines + eol + block + b"\r\n\r\n"


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
