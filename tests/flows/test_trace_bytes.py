"""The bytes at the end of a trace, checked in files as they are found: whole, cut off, not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.trace import _checked
from tasks.mine.read_warc import ReadWarcConfig
from tasks.mine.warc_page import record_digest
from tasks.mine.warc_records import Record, cut_file
from warehouse.walk import Node, Trace

NAME = "a.warc"
BODY = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>1 + 1 = 2</p>"
RECORD = (b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://x.org/\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n"
          % (len(BODY), BODY))  # fmt: skip


@pytest.mark.parametrize(
    ("content", "same"), [(RECORD * 2, True), (RECORD * 2 + b"more", True), (RECORD, False), (b"", False)]
)
def test_a_file_without_the_record_is_not_the_page(content: bytes, same: bool, tmp_path: Path) -> None:
    whole = tmp_path / NAME
    whole.write_bytes(RECORD * 2)
    limits = ReadWarcConfig()
    (*_, last) = [item for item in cut_file(str(whole), limits) if isinstance(item, Record)]
    facts = {"id": "i", "source_file": NAME, "offset": last.offset, "length": last.length,
             "digest": record_digest(last.head + last.block, limits)}  # fmt: skip
    found = Trace(("k",), {"k": Node("k", "row", "crawl_records@1", "read_warc", 0, facts)})
    whole.write_bytes(content)
    (verdict,) = _checked(found, [str(tmp_path)])
    assert verdict["same"] is same
