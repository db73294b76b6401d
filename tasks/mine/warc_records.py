"""Cut a crawl file (WARC or ARC; gzip, zstd or plain) into its records, with a hole for whatever is not one.

Where a record is: for a record alone in its gzip member, `offset` and `length` are those of the member in the file
as stored (as in Common Crawl's index). Otherwise (plain files, several records in a member, zstd) they are those
of the record's header and block in the inflated file, which for plain files is the file itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from fastwarc.warc import HeaderMap

from tasks.mine.warc_frames import NEXT_RECORD, RECORD_START, RECORD_START_BYTES, Frame, Limits, frames
from tasks.mine.warc_headers import BadHeadError, read_head
from tasks.mine.warc_open import open_stream
from tasks.mine.warc_window import Window

MAX_LIES = 8
"""Lengths beyond all bounds that a plain file may state falsely; then such lengths are no longer followed."""
NEWLINES = b"\r\n"


@dataclass(frozen=True, slots=True)
class Record:
    """A whole record: its headers by name (ARC's in WARC's words), and its block of `Content-Length` bytes."""

    offset: int
    length: int
    headers: HeaderMap
    head: bytes
    block: bytes


@dataclass(frozen=True, slots=True)
class Hole:
    """Bytes that could not be read as a record, and why."""

    offset: int
    length: int
    reason: str
    detail: str = ""


@dataclass(slots=True)
class _Cut:
    """A record or hole with positions in the inflated file, before it is known whether it is alone."""

    start: int
    stop: int
    record: tuple[HeaderMap, bytes, bytes] | None = None
    reason: str = ""
    detail: str = ""


def cut_file(path: str, limits: Limits, *, allow_private_hosts: bool = False) -> Iterator[Record | Hole]:
    """All records and holes of `path` in file order, in bounded memory.

    Raises:
        OSError: the file is missing or its storage fails. Damage inside the file never raises.
    """
    streams: list[BinaryIO] = []

    def reopen(position: int) -> Callable[[int], bytes]:
        if streams:
            streams.pop().close()
        streams.append(open_stream(path, start=position, allow_private_hosts=allow_private_hosts))
        return streams[-1].read

    try:
        lies: list[int] = []
        for frame in frames(Window(reopen(0)), limits, reopen):
            yield from _placed(frame, _cut_frame(frame, limits, lies))
    finally:
        for stream in streams:
            stream.close()


def read_record_at(path: str, offset: int, length: int, limits: Limits, *, allow_private_hosts: bool = False) -> bytes:
    """The inflated record (headers and block) that `cut_file` reported at `offset` with `length`.

    A record alone in its member and any record of a plain file costs one seek; others, reading up to it.

    Raises:
        LookupError: there is no such record.
    """
    with open_stream(path, allow_private_hosts=allow_private_hosts) as stream:
        plain = not stream.read(2).startswith((b"\x1f\x8b", b"\x28\xb5"))
    if length <= limits.max_payload_bytes + 2 * limits.max_header_bytes:
        with open_stream(path, start=offset, allow_private_hosts=allow_private_hosts) as stream:
            window = Window(stream.read, position=offset)
            stored = window.peek(length)
            if plain and len(stored) == length and RECORD_START.match(stored):
                return stored
        if not plain and (member := _lone_member(stored, limits)):
            return member
    for item in cut_file(path, limits, allow_private_hosts=allow_private_hosts):
        if isinstance(item, Record) and (item.offset, item.length) == (offset, length):
            return item.head + item.block
    raise LookupError(f"{path} has no record of {length} bytes at {offset}")


def _lone_member(stored: bytes, limits: Limits) -> bytes:
    """The record of `stored` if that is one whole gzip member with one record in it, else nothing."""
    try:
        inflater = zlib.decompressobj(wbits=31)
        inflater.decompress(stored, limits.max_payload_bytes + 2 * limits.max_header_bytes)
    except zlib.error:
        return b""
    if not inflater.eof or inflater.unused_data:
        return b""
    window = Window(None, stored)
    items = [item for frame in frames(window, limits, _no_rewind)
             for item in _placed(frame, _cut_frame(frame, limits, []))]  # fmt: skip
    if len(items) == 1 and isinstance(items[0], Record) and items[0].length == len(stored):
        return items[0].head + items[0].block
    return b""


def _no_rewind(_position: int) -> Callable[[int], bytes]:
    raise OSError("a member in memory is not read again")


def _placed(frame: Frame, cuts: Iterator[_Cut]) -> Iterator[Record | Hole]:
    """Give every cut its place: the member's if it is alone there, else its own in the inflated file."""
    cut, following = next(cuts, None), next(cuts, None)
    if cut is None:
        if frame.gzip or frame.error:
            yield Hole(frame.offset, frame.length, frame.error or "empty gzip member")
        return
    if frame.gzip and following is None:
        if cut.record is None or frame.error:  # also where all of it was there, but the member's checksum was not
            yield Hole(frame.offset, frame.length, cut.reason or frame.error, cut.detail)
        else:
            yield Record(frame.offset, frame.length, *cut.record)
        return
    reason = ""
    while cut is not None:
        reason, length = cut.reason, cut.stop - cut.start
        if cut.record is None:
            yield Hole(cut.start, length, cut.reason, cut.detail)
        else:
            yield Record(cut.start, length, *cut.record)
        cut, following = following, next(cuts, None)
    if frame.error and frame.error != reason:
        yield Hole(frame.window.position, 0, frame.error, f"{frame.length} stored bytes from {frame.offset} on")


def _cut_frame(frame: Frame, limits: Limits, lies: list[int]) -> Iterator[_Cut]:
    while True:
        feed = frame.window
        while (piece := feed.peek(64)) and (newlines := len(piece) - len(piece.lstrip(NEWLINES))):
            feed.skip(newlines)
        if not piece:
            return
        yield _cut_one(frame, limits, lies)


def _cut_one(frame: Frame, limits: Limits, lies: list[int]) -> _Cut:
    """What starts here, up to its own end or, where that is unknown, up to the next record."""
    feed, start = frame.window, frame.window.position
    if not _at_record(feed, 0):
        return _resync(frame, start, "not a record")
    try:
        head, headers, length = read_head(feed, limits)
    except BadHeadError as bad:
        return _resync(frame, start, *bad.args)
    if length > limits.max_payload_bytes + limits.max_header_bytes:
        feed.skip(len(head))
        if len(lies) < MAX_LIES and feed.skip(length) == length and _at_boundary(feed, 0):
            return _Cut(start, feed.position, reason="payload too large", detail=f"{length} bytes")
        if frame.reopen and len(lies) < MAX_LIES:
            after = start + len(head)
            frame.window = Window(frame.reopen(after), position=after)
        lies.append(start)
        return _resync(frame, start, "wrong length", f"declared {length} bytes")
    there = feed.fill(len(head) + length) - len(head)
    if there < length:
        reason = "wrong length" if frame.gzip else "truncated"
        return _resync(frame, start, reason, f"declared {length} bytes, at most {there} are there")
    if not _at_boundary(feed, len(head) + length):
        return _resync(frame, start, "wrong length", f"no record ends after the declared {length} bytes")
    block = feed.peek(length, len(head))
    feed.skip(len(head) + length)
    return _Cut(start, feed.position, (headers, head, block))


def _resync(frame: Frame, start: int, reason: str, detail: str = "") -> _Cut:
    """Go on to the next record of the frame; if the frame ends early before that, this is why."""
    frame.window.skip(1)
    if frame.window.skip_to(NEXT_RECORD, RECORD_START_BYTES):
        frame.window.skip(1)  # the newline before it
    elif frame.error:
        reason, detail = frame.error, f"{reason} {detail}".strip()
    return _Cut(start, frame.window.position, None, reason, detail)


def _at_boundary(feed: Window, at: int) -> bool:
    """Whether the frame ends or a record starts `at` bytes ahead, newlines aside."""
    while (tail := feed.peek(64, at)) and (newlines := len(tail) - len(tail.lstrip(NEWLINES))):
        at += newlines
    return not tail or _at_record(feed, at)


def _at_record(feed: Window, at: int) -> bool:
    start = feed.peek(6, at)
    return RECORD_START.match(start if start.startswith(b"WARC/") else feed.peek(RECORD_START_BYTES, at)) is not None
