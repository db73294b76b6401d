"""Write WARC and WET files in Common Crawl's shape, a gzip member a record, the same bytes for the same input."""

from __future__ import annotations

import gzip
from base64 import b32encode
from hashlib import sha1
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from tasks.sample_crawl.grammar import seeded

COMPRESSION = 6


class Place(NamedTuple):
    """Where a record lies in its file, in bytes."""

    offset: int
    length: int


def digest(data: bytes) -> str:
    """Common Crawl's digest: sha1 in base32."""
    return "sha1:" + b32encode(sha1(data, usedforsecurity=False).digest()).decode()


class WarcFile:
    """A WARC or WET file being written. Record ids come from `seed`; `date` is that of the file's first record."""

    def __init__(self, path: Path, seed: str, date: str) -> None:
        """Open `path` and write its warcinfo record."""
        self._rng = seeded(f"warc {seed} {path.name}")
        self._file = path.open("wb")
        self._info = self._record_id()
        self.name = path.name
        text = (
            f"isPartOf: SAMPLE-{date[:7]}\r\npublisher: Rigor sample crawl\r\ndescription: seed {seed}\r\n"
            "software: tasks.sample_crawl\r\nformat: WARC File Format 1.1\r\n"
        )
        head = {"WARC-Type": "warcinfo", "WARC-Date": date, "WARC-Record-ID": self._info,
                "WARC-Filename": path.name, "Content-Type": "application/warc-fields"}  # fmt: skip
        self.write(head, text.encode())

    def __enter__(self) -> WarcFile:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def _record_id(self) -> str:
        return f"<urn:uuid:{UUID(int=self._rng.getrandbits(128), version=4)}>"

    def write(self, headers: dict[str, str], block: bytes, *, length: int | None = None) -> Place:
        """Write one record; `length` overrides its Content-Length."""
        lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        size = len(block) if length is None else length
        record = f"WARC/1.0\r\n{lines}Content-Length: {size}\r\n\r\n".encode() + block + b"\r\n\r\n"
        return self.write_bytes(gzip.compress(record, COMPRESSION, mtime=0))

    def write_bytes(self, data: bytes) -> Place:
        """Write bytes as they are."""
        offset = self._file.tell()
        self._file.write(data)
        return Place(offset, len(data))

    def response_headers(self, url: str, date: str, block: bytes, payload: bytes) -> dict[str, str]:
        """WARC headers of a response."""
        return {
            "WARC-Type": "response", "WARC-Date": date, "WARC-Record-ID": self._record_id(),
            "Content-Type": "application/http; msgtype=response", "WARC-Warcinfo-ID": self._info,
            "WARC-IP-Address": f"192.0.2.{self._rng.randint(1, 250)}", "WARC-Target-URI": url,
            "WARC-Payload-Digest": digest(payload), "WARC-Block-Digest": digest(block),
            "WARC-Identified-Payload-Type": "text/html",
        }  # fmt: skip

    def fetch(
        self, url: str, date: str, http: bytes, payload: bytes, *, language: str = "en", length_error: int = 0
    ) -> Place:
        """Write the request, response and metadata records of one fetch; return the response's place.

        `http` is status line and headers, up to and with the empty line.
        """
        host = url.split("/")[2]
        request = f"GET /{url.split('/', 3)[3]} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: SampleBot/1.0\r\n\r\n"
        common = {"WARC-Date": date, "WARC-Warcinfo-ID": self._info, "WARC-Target-URI": url}
        self.write({"WARC-Type": "request", "WARC-Record-ID": self._record_id(), **common,
                    "Content-Type": "application/http; msgtype=request"}, request.encode())  # fmt: skip
        block = http + payload
        headers = self.response_headers(url, date, block, payload)
        place = self.write(headers, block, length=len(block) + length_error)
        found = f'languages-cld2: {{"languages":[{{"code":"{language}"}}]}}'
        meta = f"fetchTimeMs: {self._rng.randint(40, 900)}\r\ncharset-detected: UTF-8\r\n{found}\r\n\r\n"
        self.write({"WARC-Type": "metadata", "WARC-Record-ID": self._record_id(), **common,
                    "WARC-Concurrent-To": headers["WARC-Record-ID"],
                    "Content-Type": "application/warc-fields"}, meta.encode())  # fmt: skip
        return place

    def conversion(self, url: str, date: str, text: str) -> Place:
        """Write a WET record."""
        data = text.encode()
        headers = {
            "WARC-Type": "conversion", "WARC-Target-URI": url, "WARC-Date": date, "WARC-Record-ID": self._record_id(),
            "WARC-Refers-To": self._record_id(), "WARC-Block-Digest": digest(data), "Content-Type": "text/plain",
        }  # fmt: skip
        return self.write(headers, data)


def http_headers(status: str, content_type: str, size: int, extra: str = "") -> bytes:
    """Status line and headers of a response."""
    head = f"HTTP/1.1 {status}\r\nServer: nginx\r\nContent-Type: {content_type}\r\n{extra}"
    return f"{head}Content-Length: {size}\r\n\r\n".encode("latin-1")
