"""A record becomes a page or a reason: encodings, charsets, domains, and what is refused."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import brotli
import pyarrow as pa
import pytest
from warcio.archiveiterator import ArchiveIterator

from tasks.mine.warc_page import registered_domain
from tests.tasks.mine.warc_made import HTML, OK, TYPE, http_warc, raw_record, read


def chunked(body: bytes, size: int = 100) -> bytes:
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x;ext=1\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\nTrailer: x\r\n\r\n"


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


ENCODED = {
    "identity": (HTML, []),
    "chunked": (chunked(HTML), [("Transfer-Encoding", "chunked")]),
    "gzip": (gzip.compress(HTML), [("Content-Encoding", "gzip")]),
    "two members": (gzip.compress(HTML[:99]) + gzip.compress(HTML[99:]), [("Content-Encoding", "gzip")]),
    "deflate": (zlib.compress(HTML), [("Content-Encoding", "deflate")]),
    "raw deflate": (raw_deflate(HTML), [("Content-Encoding", "deflate")]),
    "br": (brotli.compress(HTML), [("Content-Encoding", "br")]),
    "zstd": (pa.Codec("zstd").compress(HTML, asbytes=True), [("Content-Encoding", "zstd")]),
    "gzip, then br, chunked": (
        chunked(brotli.compress(gzip.compress(HTML))),
        [("Transfer-Encoding", "chunked"), ("Content-Encoding", "gzip, br")],
    ),
    "stored decoded, says gzip": (HTML, [("Content-Encoding", "gzip")]),
    "stored decoded, says br": (HTML, [("Content-Encoding", "br")]),
    "stored joined, says chunked": (HTML, [("Transfer-Encoding", "chunked")]),
}


@pytest.mark.parametrize("name", ENCODED)
def test_encodings_are_undone_and_the_digest_is_of_the_stored_body(tmp_path: Path, name: str) -> None:
    body, headers = ENCODED[name]
    (row,), rejects = read(http_warc(tmp_path / "a.warc.gz", [(body, TYPE + headers)]), strict_digest=True)
    assert not rejects
    assert row["payload"] == HTML
    with (tmp_path / "a.warc.gz").open("rb") as stream:
        stated = next(iter(ArchiveIterator(stream))).rec_headers.get_header("WARC-Payload-Digest")
    assert row["digest"] == stated
    assert (row["domain"], row["status"], row["mime"], row["kind"]) == ("example.co.uk", 200, "text/html", "html")


REJECTED = {
    "HTTP status not 2xx": {"block": b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n" + HTML},
    "bad HTTP status line": {"block": b"HTTP/1.1 OK\r\n\r\n" + HTML},
    "empty body": {"block": OK + b" \r\n"},
    "not HTML": {"block": OK + b"%PDF-1.7 ..."},
    "header too large": {"block": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n" + HTML},
    "undecodable content encoding": {"block": OK[:-2] + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(HTML)[:-9]},
    "undecodable transfer encoding": {"block": OK[:-2] + b"Transfer-Encoding: chunked\r\n\r\nfff\r\nabc"},
    "no URL": {"block": OK + HTML, "WARC_Target_URI": "urn:x"},
    "bad date": {"block": OK + HTML, "WARC_Date": "yesterday"},
    "digest mismatch": {"block": OK + HTML, "WARC_Payload_Digest": "sha1:" + "A" * 32},
    "not a page: request": {"block": b"GET / HTTP/1.1\r\n\r\n", "WARC_Type": "request"},
    "not a page: dns": {"block": b"20080430\nx. IN A 1.2.3.4", "WARC_Target_URI": "dns:x"},
    "not a page: unknown type": {"block": OK + HTML, "WARC_Type": ""},
    "wrong length": {"block": OK + HTML, "length": 17},
    "payload too large": {"block": OK + HTML + b" " * (1 << 20)},
    "inflation ratio": {"block": OK[:-2] + b"Content-Encoding: br\r\n\r\n" + brotli.compress(HTML + bytes(1 << 21))},
}


@pytest.mark.parametrize("gz", [True, False])
@pytest.mark.parametrize("reason", REJECTED)
def test_each_reason_and_the_next_record_survives(tmp_path: Path, reason: str, gz: bool) -> None:
    options: dict[str, Any] = dict(REJECTED[reason])
    first, good = raw_record(options.pop("block"), **options), raw_record(OK + HTML)
    path = tmp_path / "a.warc"
    path.write_bytes(gzip.compress(first) + gzip.compress(good) if gz else first + good)
    rows, rejects = read(path, strict_digest=True, max_payload_bytes=1 << 20)
    assert [r for r, _ in rejects] == [reason]
    assert [row["payload"] for row in rows] == [HTML]


HOSTILE = {
    "bad date": {  # neither date is one: of the second, datetime says OverflowError
        "block": OK[:-2] + b"Date: Mon, 01 Jan 2020 00:00:00 +99999999999999999999\r\n\r\n" + HTML,
        "WARC_Date": "yesterday",
    },
    "not HTML": {"block": b"HTTP/1.1 200 OK\r\nContent-Type: image/x\r\n\r\n" + b"<!---->" * 580},  # no end of trying
}


@pytest.mark.parametrize("reason", HOSTILE)
def test_hostile_records_have_a_reason_and_the_next_record_survives(tmp_path: Path, reason: str) -> None:
    options: dict[str, Any] = dict(HOSTILE[reason])
    path = tmp_path / "a.warc"
    path.write_bytes(raw_record(options.pop("block"), **options) + raw_record(OK + HTML))
    rows, rejects = read(path)
    assert [r for r, _ in rejects] == [reason]
    assert [row["payload"] for row in rows] == [HTML]


RUSSIAN = "<!doctype html><html><body><p>" + "Пусть дана функция, найдите её производную. " * 20
CHARSETS = {
    "utf-8": (RUSSIAN.encode(), "", "utf-8"),
    "utf-8, header lies": (RUSSIAN.encode(), "windows-1251", "utf-8"),
    "cut in a character": (RUSSIAN.encode()[:-3], "", "utf-8"),
    "windows-1251 in the header": (RUSSIAN.encode("cp1251"), "windows-1251", "cp1251"),
    "koi8-r, silent": (RUSSIAN.encode("koi8-r"), "", "koi8-r"),
    "meta": (RUSSIAN.replace("<body>", '<meta charset="koi8-r"><body>').encode("koi8-r"), "nonsense", "koi8-r"),
    "utf-16 with mark": (RUSSIAN.encode("utf-16"), "", "utf-16-le"),
    "utf-16 without": (RUSSIAN.encode("utf-16-be"), "", "utf-16-be"),
    "iso-2022-jp": (("<html>" + "数学の問題です。" * 20).encode("iso-2022-jp"), "ISO-2022-JP", "iso2022_jp"),
    "latin-1 is windows-1252": ("<html>caf\xe9 d\xe9j\xe0 vu".encode("latin-1"), "ISO-8859-1", "cp1252"),
}


@pytest.mark.parametrize("name", CHARSETS)
def test_charset(tmp_path: Path, name: str) -> None:
    body, declared, expected = CHARSETS[name]
    headers = [("Content-Type", f"text/html; charset={declared}" if declared else "text/html")]
    (row,), _ = read(http_warc(tmp_path / "a.warc.gz", [(body, headers)]))
    assert row["charset"] == expected


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.bbc.co.uk", "bbc.co.uk"), ("a.github.io", "github.io"), ("192.0.2.7", "192.0.2.7"), ("[::1]", "[::1]"),
        ("localhost", "localhost"), ("co.uk", "co.uk"), ("x.y.kawasaki.jp", "x.y.kawasaki.jp"),
    ],
)  # fmt: skip
def test_registered_domain(host: str, domain: str) -> None:
    assert registered_domain(host) == domain
