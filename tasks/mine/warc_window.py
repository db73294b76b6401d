"""A forward view of a byte stream: look ahead, search and skip in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Callable

STEP_BYTES = 1 << 18
"""Bytes asked of a stream at a time."""


class Window:
    """A forward view of a byte stream that holds no more than was asked for."""

    def __init__(self, read: Callable[[int], bytes] | None, data: bytes = b"", position: int = 0) -> None:
        """Read `data`, then through `read`; `position` is the stream position of the first byte."""
        self._read, self._data, self._at = read, data, 0
        self.position = position
        self.no_empty_line_before = 0
        """What a search has found already, so that a million header blocks without end cost linear time."""

    def fill(self, size: int) -> int:
        """Have `size` bytes at hand, fewer only where the stream ends; return how many there are."""
        held = len(self._data) - self._at
        if held >= size:
            return size
        if self._read is None:
            return held
        pieces = [self._data[self._at :]]
        while held < size:
            piece = self._read(max(size - held, STEP_BYTES))
            if not piece:
                self._read = None
                break
            pieces.append(piece)
            held += len(piece)
        self._data, self._at = b"".join(pieces), 0
        return min(held, size)

    def peek(self, size: int, start: int = 0) -> bytes:
        """Up to `size` bytes from `start` bytes after the position, left in place."""
        self.fill(start + size)
        first = self._at + start
        return self._data[first : first + size]

    def find(self, needle: bytes, start: int, stop: int) -> int:
        """Where `needle` lies between `start` and `stop`, counted from the position, or -1."""
        while True:
            held = min(len(self._data) - self._at, stop)
            found = self._data.find(needle, self._at + start, self._at + held)
            if found >= 0:
                return found - self._at
            if held == stop or self.fill(min(stop, held + STEP_BYTES)) == held:
                return -1
            start = max(start, held - len(needle) + 1)

    def skip(self, size: int) -> int:
        """Go forward, discarding; return by how much, less than `size` only where the stream ends."""
        left = size
        while left > 0:
            step = self.fill(min(left, STEP_BYTES))
            if not step:
                break
            self._at += step
            self.position += step
            left -= step
        return size - left

    def skip_to(self, pattern: re.Pattern[bytes], overlap: int) -> bool:
        """Go forward to the next match of `pattern`, which may be `overlap` bytes long, or to the end."""
        while True:
            held = self.fill(STEP_BYTES + overlap)
            match = pattern.search(self._data, self._at, self._at + held)
            last = held < STEP_BYTES + overlap
            # A match in the overlap may be cut off: look again with more after it.
            if match and (last or match.start() - self._at < STEP_BYTES):
                self.skip(match.start() - self._at)
                return True
            if last:
                self.skip(held)
                return False
            self.skip(STEP_BYTES)
