"""The compressed frames of a crawl file, one after the other, whatever is broken between them.

Common Crawl stores every record as a gzip member of its own. fastwarc's iterator ends at the first damaged member
and does not tell how long a member is, so the members are found here: the bytes up to the next gzip header are
inflated by fastwarc in one go (3 times as fast as zlib), and when the member's own size field disagrees, by zlib
step by step. After damage, reading goes on at the next member that inflates to a record.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Protocol

from fastwarc.stream_io import GzipReader, ZstdReader

from tasks.mine.warc_window import STEP_BYTES, Window

GZIP_HEADER = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]....[\x00\x02\x04][\x00-\x0d\xff]", re.DOTALL)
GZIP_HEADER_BYTES = 10
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZSTD_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
RECORD_START = re.compile(
    rb"WARC/\d|(?:filedesc|https?|ftp|dns|whois|metadata):\S{1,4000} [\d.]{7,15} \d{14} \S{1,200} \d{1,12}\r?\n"
)
"""How a WARC record starts, or an ARC one (its whole first line)."""
NEXT_RECORD = re.compile(rb"\n(?=" + RECORD_START.pattern + rb")")
RECORD_START_BYTES = 5000
RETAINED_BYTES = 1 << 18
"""Stored bytes that are kept behind the reader, so that a member swallowed by a damaged one is found again."""

MAX_WASTE_BYTES, MAX_WASTE_RATIO = 64 << 20, 16
"""Stored bytes that damaged members may cause to be read again, and how often on average after that."""


class Limits(Protocol):
    """The bounds of reading; `ReadWarcConfig` has them."""

    @property
    def max_header_bytes(self) -> int: ...  # noqa: D102
    @property
    def max_payload_bytes(self) -> int: ...  # noqa: D102
    @property
    def max_inflation_ratio(self) -> int: ...  # noqa: D102


@dataclass
class Frame:
    """A gzip member, or the rest of the file where it is stored plain or as zstd."""

    offset: int
    """Where it starts in the file as stored, bytes."""
    window: Window
    """Its inflated bytes; positions count from the start of the whole inflated file."""
    gzip: bool
    length: int = 0
    """Stored bytes; known once `window` has ended."""
    error: str = ""
    """Why it ended early, once it has."""
    reopen: Callable[[int], Callable[[int], bytes]] | None = None
    """Plain files: read again from a position."""


def frames(stored: Window, limits: Limits, reopen: Callable[[int], Callable[[int], bytes]]) -> Iterator[Frame]:
    """All frames of a file. Each must be read to its end before the next one is asked for."""
    magic = stored.peek(4)
    if magic == ZSTD_MAGIC or ZSTD_SKIPPABLE.match(magic):
        yield _zstd_frame(stored, limits)
        return
    # A gzip file with a damaged start shows members further on, and no record before them.
    first = stored.find(b"\x1f\x8b\x08", 0, STEP_BYTES)
    if first < 0 or (first and NEXT_RECORD.search(b"\n" + stored.peek(first))):
        yield Frame(0, stored, gzip=False, reopen=reopen)
        return
    inflated = 0
    wasted: list[int] = [0]
    while stored.fill(1):
        frame = _whole_member(stored, limits, inflated) or _stepwise_member(stored, limits, inflated, wasted)
        yield frame
        while frame.window.skip(STEP_BYTES):  # whatever its reader left
            pass
        inflated = frame.window.position


def _whole_member(stored: Window, limits: Limits, inflated: int) -> Frame | None:
    """The member that ends where the next one starts, or None where that does not work out."""
    most = limits.max_payload_bytes + limits.max_header_bytes
    if not GZIP_HEADER.match(stored.peek(GZIP_HEADER_BYTES)):
        return None
    end = stored.find(b"\x1f\x8b\x08", 18, most)
    if end < 0:
        end = stored.fill(most)
        if end == most:
            return None
    member = stored.peek(end)
    size = int.from_bytes(member[-4:], "little")  # RFC 1952: the inflated size ends a member
    if size > most:
        return None
    try:
        with GzipReader(BytesIO(member)) as reader:
            data = reader.read(size + 1)
    except (OSError, ValueError):
        return None
    if len(data) != size:
        return None
    offset = stored.position
    stored.skip(end)
    return Frame(offset, Window(None, data, inflated), gzip=True, length=end)


def _stepwise_member(stored: Window, limits: Limits, inflated: int, wasted: list[int]) -> Frame:
    """A member of unknown length, inflated as it is read; after an error `stored` stands at the next good one."""
    frame = Frame(stored.position, Window(None, b"", inflated), gzip=True)
    inflater = zlib.decompressobj(wbits=31)
    used = ahead = produced = 0

    def read(size: int) -> bytes:
        nonlocal used, ahead, produced
        while not frame.error and not frame.length:
            piece = stored.peek(1 << 16, ahead)
            try:
                data = inflater.decompress(piece, size) if piece else b""
            except zlib.error:
                return fail("bad gzip member", len(piece))
            taken = len(piece) - len(inflater.unconsumed_tail) - len(inflater.unused_data)
            used, ahead, produced = used + taken, ahead + taken, produced + len(data)
            if inflater.eof:
                stored.skip(ahead)
                frame.length = used
            elif not piece and not data:
                return fail("truncated")
            elif produced > limits.max_payload_bytes + limits.max_inflation_ratio * used:
                return fail("inflation ratio")
            elif ahead > 2 * RETAINED_BYTES:
                ahead -= stored.skip(ahead - RETAINED_BYTES)
            if data:
                return data
        return b""

    def fail(reason: str, vain: int = 0) -> bytes:
        frame.error = reason
        wasted[0] += ahead + vain
        if wasted[0] > MAX_WASTE_BYTES + MAX_WASTE_RATIO * stored.position:
            stored.skip(ahead)  # Members laid to overlap: what they swallow is not searched again.
        if stored.position == frame.offset:
            stored.skip(1)
        while stored.skip_to(GZIP_HEADER, GZIP_HEADER_BYTES) and not _inflates_to_record(stored.peek(1 << 12)):
            stored.skip(1)
        frame.length = stored.position - frame.offset
        return b""

    frame.window = Window(read, b"", inflated)
    return frame


def _inflates_to_record(member: bytes) -> bool:
    try:
        start = zlib.decompressobj(wbits=31).decompress(member, RECORD_START_BYTES)
    except zlib.error:
        return False
    return RECORD_START.match(start.lstrip(b"\r\n")) is not None


def _zstd_frame(stored: Window, limits: Limits) -> Frame:
    """A zstd file as one stream: its positions are those of the inflated file, and damage ends it."""
    frame = Frame(0, Window(None), gzip=False)
    source = _Readable(stored)
    reader = ZstdReader(source)
    produced = 0

    def read(size: int) -> bytes:
        nonlocal produced
        try:
            data = bytes(reader.read(size)) if not frame.error else b""
        except (OSError, ValueError):
            if source.failed is not None:
                raise source.failed from None
            frame.error = "bad zstd frame"
            return b""
        produced += len(data)
        if produced > limits.max_payload_bytes + limits.max_inflation_ratio * stored.position:
            frame.error = "inflation ratio"
        return data

    frame.window = Window(read)
    return frame


class _Readable:
    """The file object that fastwarc reads from."""

    def __init__(self, stored: Window) -> None:
        self._stored = stored
        self.failed: Exception | None = None
        """Why its storage could not be read: no damage of the file."""

    def read(self, size: int = STEP_BYTES) -> bytes:
        try:
            data = self._stored.peek(size)
        except Exception as error:
            self.failed = error
            raise
        self._stored.skip(len(data))
        return data

    def tell(self) -> int:
        return self._stored.position

    def seek(self, offset: int, whence: int = 0) -> int:
        raise OSError("not seekable")

    def close(self) -> None:
        """Nothing to close: the stream belongs to the caller."""
