# ruff: noqa: E501 one record a line
"""Records that no reader should trust: damaged, mislabelled, empty, or far bigger than they look."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from random import Random
from typing import NamedTuple

from tasks.sample_crawl.warc import Place, WarcFile, http_headers

BOMB_BYTES = 64 << 20
HTML = "text/html; charset=utf-8"


class Broken(NamedTuple):
    """One planted record. `outcome`: reject; recover (a reader can still read the page); either; skip (no page)."""

    kind: str
    outcome: str
    url: str
    place: Place


def _page(rng: Random, words: int = 120) -> bytes:
    text = " ".join(
        rng.choice(["lorem", "ipsum", "dolor", "sit", "amet", "tempor", "magna", "aliqua", "velit", "quis", "nostrud"])
        for _ in range(words)
    )
    return f"<html><head><title>{text[:20]}</title></head><body><p>{text}</p></body></html>".encode()


@lru_cache(maxsize=2)
def _deflated_zeros(size: int, wbits: int, fill: bytes = b"\0", head: bytes = b"", tail: bytes = b"") -> bytes:
    """`head`, `size` bytes of `fill` and `tail`, compressed without ever being held."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, wbits)
    chunk = (fill * (1 << 20))[: 1 << 20]
    parts = [squeeze.compress(head)] + [squeeze.compress(chunk) for _ in range(size >> 20)]
    return b"".join(parts) + squeeze.compress(tail) + squeeze.flush()


def plant(file: WarcFile, rng: Random, date: str) -> Iterator[Broken]:
    """Write one record of every kind; a damaged gzip member is among them, a cut-off one is `truncate`."""

    def fetch(kind: str, outcome: str, http: bytes, payload: bytes, length_error: int = 0) -> Broken:
        url = f"https://broken-sample.net/{kind}-{rng.randint(100, 999)}.html"
        return Broken(kind, outcome, url, file.fetch(url, date, http, payload, length_error=length_error))

    page = _page(rng)
    ok = http_headers("200 OK", HTML, len(page))
    garbage = rng.randbytes(4000)
    for kind, outcome, http, payload in (
        ("not_found", "skip", http_headers("404 Not Found", HTML, len(page)), page),
        ("server_error", "skip", http_headers("503 Service Unavailable", HTML, len(page)), page),
        ("redirect", "skip", http_headers("301 Moved Permanently", HTML, 0, "Location: https://broken-sample.net/\r\n"), b""),
        ("pdf", "skip", http_headers("200 OK", "application/pdf", 3000), b"%PDF-1.7\n" + rng.randbytes(2991)),
        ("image", "skip", http_headers("200 OK", "image/png", 3008), b"\x89PNG\r\n\x1a\n" + rng.randbytes(3000)),
        ("json", "skip", http_headers("200 OK", "application/json", 24), b'{"rows": [1, 2, 3, 4.5]}'),
        ("empty_body", "reject", http_headers("200 OK", HTML, 0), b""),
        ("white_space_body", "reject", http_headers("200 OK", HTML, 2000), b" \r\n\t\n" * 400),
        ("binary_as_html", "either", http_headers("200 OK", HTML, 4000), garbage),
        ("unknown_charset", "either", http_headers("200 OK", "text/html; charset=x-klingon-42", len(page)), page),
        ("utf16_odd", "either", http_headers("200 OK", "text/html; charset=utf-16", 1201), rng.randbytes(1201)),
        ("no_http_headers", "either", b"", page),
        ("bad_status_line", "either", b"HTP/x OK fine\r\nContent-Type: text/html\r\n\r\n", page),
        ("wrong_http_length", "either", http_headers("200 OK", HTML, 10 * len(page)), page),
        ("bad_content_gzip", "either", http_headers("200 OK", HTML, 900, "Content-Encoding: gzip\r\n"), b"\x1f\x8b\x08\x00" + rng.randbytes(896)),
        ("bad_chunks", "either", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n", b"zz\r\n" + page),
        ("deep_nesting", "either", ok, b"<html><body>" + b"<div>" * 6000 + b"deep" + b"</div>" * 6000 + b"</body></html>"),
        ("many_attributes", "either", ok, b"<html><body><p " + b" ".join(b"a%d=1" % i for i in range(20_000)) + b">x</p></body></html>"),
        ("header_bomb", "reject", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(60_000)) + b"\r\n", page),
    ):  # fmt: skip
        yield fetch(kind, outcome, http, payload)
    yield fetch("length_too_long", "either", ok, page, length_error=61)
    yield fetch("length_too_short", "either", ok, page, length_error=-37)
    yield fetch("length_huge", "either", ok, page, length_error=10**15)
    yield Broken(
        "bad_gzip_member",
        "reject",
        "https://broken-sample.net/bad.html",
        file.write_bytes(_flip(_member(file, rng, date, "bad"))),
    )
    yield fetch("after_damage", "recover", ok, page)
    yield Broken("gap", "skip", "", file.write_bytes(b"\0" * 512))
    yield fetch("after_gap", "recover", ok, page)
    bomb = _deflated_zeros(BOMB_BYTES, 31)
    yield fetch("content_bomb", "reject", http_headers("200 OK", HTML, len(bomb), "Content-Encoding: gzip\r\n"), bomb)
    nested = gzip.compress(bomb, 6, mtime=0)
    yield fetch(
        "nested_bomb", "reject", http_headers("200 OK", HTML, len(nested), "Content-Encoding: gzip, gzip\r\n"), nested
    )
    url = "https://broken-sample.net/record-bomb.html"
    head = file.response_headers(url, date, b"", b"")
    lines = "".join(f"{k}: {v}\r\n" for k, v in head.items())
    http = http_headers("200 OK", HTML, BOMB_BYTES)
    start = f"WARC/1.0\r\n{lines}Content-Length: {len(http) + BOMB_BYTES}\r\n\r\n".encode() + http
    yield Broken(
        "record_bomb", "reject", url, file.write_bytes(_deflated_zeros(BOMB_BYTES, 31, b" ", start, b"\r\n\r\n"))
    )
    yield fetch("after_bomb", "recover", ok, page)


def truncate(file: WarcFile, rng: Random, date: str) -> Broken:
    """End the file in the middle of a record."""
    data = _member(file, rng, date, "cut")
    return Broken(
        "truncated", "reject", "https://broken-sample.net/cut.html", file.write_bytes(data[: len(data) * 2 // 3])
    )


def _member(file: WarcFile, rng: Random, date: str, name: str) -> bytes:
    page = b"<html><body><p>" + rng.randbytes(3000).hex().encode() + b"</p></body></html>"
    block = http_headers("200 OK", HTML, len(page)) + page
    head = file.response_headers(f"https://broken-sample.net/{name}.html", date, block, page)
    lines = "".join(f"{k}: {v}\r\n" for k, v in head.items())
    return gzip.compress(
        f"WARC/1.0\r\n{lines}Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n", 6, mtime=0
    )


def _flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(b ^ 0x5A for b in data[middle : middle + 64]) + data[middle + 64 :]


Recode = Callable[[str, str], tuple[bytes, str]]
"""(HTML, the site's character set) → body and Content-Type."""


def honest(html: str, charset: str) -> tuple[bytes, str]:
    """Bytes in the site's character set, named in the header."""
    return html.encode(charset, "xmlcharrefreplace"), f"text/html; charset={charset}"


def meta_only(html: str, charset: str) -> tuple[bytes, str]:
    """The character set stands in the meta element alone."""
    return html.encode(charset, "xmlcharrefreplace"), "text/html"


def lying_header(html: str, charset: str) -> tuple[bytes, str]:
    """The header names another character set than the meta element and the bytes."""
    lie = "iso-8859-1" if charset == "utf-8" else "utf-8"
    return html.encode(charset, "xmlcharrefreplace"), f"text/html; charset={lie}"
