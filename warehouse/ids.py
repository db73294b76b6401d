"""Content-hash row ids: the same content has the same id on every machine, in every run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from hashlib import blake2b

Value = str | bytes | int | float | bool | None | dt.datetime


def row_id(*values: Value) -> str:
    """Hash the key values of a row, in declared order, to 32 hex digits (128 bits of BLAKE2b).

    Values are length- and type-prefixed, so ("ab", "c") and ("a", "bc") differ, and so do 1 and "1".
    """
    digest = blake2b(digest_size=16)
    for value in values:
        digest.update(_encode(value))
    return digest.hexdigest()


def row_ids(*columns: Iterable[Value]) -> list[str]:
    """`row_id` over parallel columns."""
    return [row_id(*values) for values in zip(*columns, strict=True)]


def _encode(value: Value) -> bytes:
    if value is None:
        return b"n0:"
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise ValueError("row ids need timestamps with a time zone")
        value = value.astimezone(dt.UTC).isoformat(timespec="microseconds")
        kind = b"t"
    else:
        kind = type(value).__name__[:1].encode()
    text = value if isinstance(value, str | bytes) else repr(value)
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return kind + str(len(data)).encode() + b":" + data
