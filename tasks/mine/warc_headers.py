"""Header blocks of WARC and ARC records and of HTTP responses, bounded; parsed by fastwarc, ARC lines by warcio."""

from __future__ import annotations

import re
from io import BytesIO

from fastwarc.warc import HeaderMap
from warcio.recordloader import ARC2WARCHeadersParser

from tasks.mine.warc_frames import RECORD_START_BYTES, Limits
from tasks.mine.warc_window import Window

_ARC_PARSER = ARC2WARCHeadersParser()


class BadHeadError(ValueError):
    """Reason and detail of a header block that leads nowhere."""


def read_head(feed: Window, limits: Limits) -> tuple[bytes, HeaderMap, int]:
    """The header block of the record ahead, its headers, and the length of its block in bytes.

    Raises:
        BadHeadError: it has no end within `max_header_bytes`, or no usable `Content-Length`.
    """
    if feed.peek(5) == b"WARC/":
        end = head_end(feed, limits.max_header_bytes)
        if end < 0:
            short = feed.fill(limits.max_header_bytes) < limits.max_header_bytes
            raise BadHeadError("truncated" if short else "header too large")
        head = feed.peek(end)
        headers = parse_headers(head)
    else:
        head = feed.peek(RECORD_START_BYTES).partition(b"\n")[0] + b"\n"
        headers = _arc_headers(head)
    return head, headers, _content_length(headers)


def head_end(feed: Window, most: int) -> int:
    """Length of the header block ahead with its empty line (ClueWeb ends lines with LF alone), or -1."""
    start = min(most, max(0, feed.no_empty_line_before - feed.position))
    crlf = feed.find(b"\n\r\n", start, most)
    lf = feed.find(b"\n\n", start, most if crlf < 0 else crlf)
    if max(crlf, lf) < 0:
        feed.no_empty_line_before = feed.position + feed.fill(most) - 2
    return lf + 2 if lf >= 0 else crlf + 3 if crlf >= 0 else -1


def parse_headers(head: bytes) -> HeaderMap:
    """Status line and headers of a block that ends with an empty line, its line ends mended.

    Raises:
        BadHeadError: fastwarc does not parse it.
    """
    headers = HeaderMap()
    if head.count(b"\n") != head.count(b"\r\n"):
        head = re.sub(rb"\r*\n", b"\r\n", head)
    try:
        headers.parse(BytesIO(head))
    except (OSError, ValueError) as error:
        raise BadHeadError("header too large" if "length" in str(error) else "bad header", str(error)[:100]) from error
    return headers


def _arc_headers(line: bytes) -> HeaderMap:
    """An ARC record's line in WARC's words, as warcio reads it."""
    try:
        arc = _ARC_PARSER.parse(BytesIO(), line)
    except ValueError as error:  # a date such as month 13
        raise BadHeadError("bad date", str(error)[:100]) from error
    headers = HeaderMap()
    for name, value in arc.headers:
        headers.append(name, value)
    return headers


def _content_length(headers: HeaderMap) -> int:
    text = (headers.get("Content-Length") or "").strip()
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise BadHeadError("wrong length", f"Content-Length: {text[:40]!r}")
    return int(text)
