"""The bytes at the end of a trace, checked in files as they are found: whole, cut off, not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.trace import _checked, _sentence
from tasks.mine.read_warc import ReadWarcConfig
from tasks.mine.warc_page import record_digest
from tasks.mine.warc_records import Record, cut_file
from warehouse.walk import Node, Trace

NAME = "a.warc"
BODY = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>1 + 1 = 2</p>"


def record_of(body: bytes) -> bytes:
    head = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://x.org/\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("left", "padding", "same"), [(2, 0, True), (3, 0, True), (1, 0, False), (0, 0, False), (2, 5 << 20, True)]
)
def test_a_file_without_the_record_is_not_the_page(left: int, padding: int, same: bool, tmp_path: Path) -> None:
    record = record_of(BODY + b" " * padding)
    whole = tmp_path / NAME
    whole.write_bytes(record * 2)
    limits = ReadWarcConfig(max_payload_bytes=6 << 20)  # more than the default: bytes are read as the mine read them
    (*_, last) = [item for item in cut_file(str(whole), limits) if isinstance(item, Record)]
    facts = {"id": "i", "source_file": NAME, "offset": last.offset, "length": last.length,
             "digest": record_digest(last.head + last.block, limits)}  # fmt: skip
    found = Trace(("k",), {"k": Node("k", "row", "crawl_records@1", "read_warc", 0, facts, "f")})
    whole.write_bytes(record * left)
    (verdict,) = _checked(found, [str(tmp_path)], {"f": {"config": limits.model_dump_json()}})
    assert verdict["same"] is same


def test_what_cannot_be_read_is_not_checked_and_the_reason_told(tmp_path: Path) -> None:
    facts = {"id": "i", "source_file": NAME, "offset": 0, "length": 9, "digest": "d"}
    found = Trace(("k",), {"k": Node("k", "row", "crawl_records@1", "read_warc", 0, facts, "f")})
    for place in (str(tmp_path / "nowhere"), "http://127.0.0.1:9/x.warc"):
        (verdict,) = _checked(found, [place], {"f": {"config": ReadWarcConfig().model_dump_json()}})
        assert verdict["same"] is None
        assert f"bytes not checked: {NAME} is not " in _sentence(verdict)
        assert place in _sentence(verdict)
