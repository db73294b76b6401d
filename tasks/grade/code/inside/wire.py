"""What crosses between sandbox processes: frames of JSON, and Python values as tagged JSON.

Plain data only: None, bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict, range, the builtin
types themselves, and the numbers and dates of the standard library. A subclass travels as its base type, so an
`__eq__` of the program's own stays behind; every other object travels as a numbered reference. No pickle, no eval.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable
from typing import Any

MAX_FRAME_BYTES = 32 << 20
MAX_FDS = 8
EXACT_JSON_INT = 1 << 53
_SEQUENCES: tuple[tuple[str, Any], ...] = (
    ("list", list),
    ("tuple", tuple),
    ("set", set),
    ("frozenset", frozenset),
)
_TYPES: dict[str, Any] = {
    kind.__name__: kind for kind in (bool, int, float, complex, str, bytes, list, tuple, set, dict)
}
_HEADER = struct.Struct("!I")
_BY_TEXT: dict[str, Callable[[Any], str]] = {
    "decimal.Decimal": str,
    "fractions.Fraction": str,
    "datetime.date": lambda value: value.isoformat(),
    "datetime.datetime": lambda value: value.isoformat(),
}


class WireError(Exception):
    """A frame or a value that is not what this module writes."""


def send_frame(channel: socket.socket, message: Any, fds: tuple[int, ...] = ()) -> None:
    """Send one JSON message, with open files attached. OSError when the other side is gone."""
    body = json.dumps(message).encode()
    if len(body) > MAX_FRAME_BYTES:
        raise WireError(f"a frame of {len(body)} bytes")
    head = _HEADER.pack(len(body))
    if fds:
        socket.send_fds(channel, [head], list(fds))
        channel.sendall(body)
    else:
        channel.sendall(head + body)


def receive_frame(channel: socket.socket) -> tuple[Any, list[int]]:
    """Next message and its attached files; EOFError when the other side has closed, WireError for garbage."""
    head, fds, _flags, _address = socket.recv_fds(channel, _HEADER.size, MAX_FDS)
    if len(head) < _HEADER.size:
        head += _receive_exactly(channel, _HEADER.size - len(head)) if head else b""
    if not head:
        raise EOFError("the other side closed the channel")
    (size,) = _HEADER.unpack(head)
    if size > MAX_FRAME_BYTES:
        raise WireError(f"a frame of {size} bytes")
    try:
        return json.loads(_receive_exactly(channel, size)), fds
    except (ValueError, RecursionError) as error:
        raise WireError(f"not a frame: {error}") from None


def _receive_exactly(channel: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = channel.recv(min(size - len(data), 1 << 20))
        if not chunk:
            raise EOFError("the other side closed the channel within a frame")
        data += chunk
    return bytes(data)


def encode(value: Any, keep: Callable[[Any], int]) -> Any:
    """Tagged JSON of a value; `keep` takes an object that is not plain data and returns its number."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        number = int.__add__(value, 0)
        return number if abs(number) < EXACT_JSON_INT else ["int", hex(number)]
    if isinstance(value, float):
        return float.__add__(value, 0.0) if value != 0 else ["float", float.hex(value)]
    if isinstance(value, str):
        return str.__str__(value)
    for tag, base in _SEQUENCES:
        if isinstance(value, base):
            return [tag, [encode(item, keep) for item in base.__iter__(value)]]
    if isinstance(value, dict):
        return ["dict", [[encode(key, keep), encode(item, keep)] for key, item in dict.items(value)]]
    if isinstance(value, bytes):
        return ["bytes", bytes.hex(value)]
    if isinstance(value, complex):
        return ["complex", [value.real.hex(), value.imag.hex()]]
    if isinstance(value, range):
        return ["range", [hex(value.start), hex(value.stop), hex(value.step)]]
    kind = type(value)
    if kind is type and value in _TYPES.values():
        return ["type", value.__name__]
    kind_name = f"{kind.__module__}.{kind.__qualname__}"
    if kind_name in _BY_TEXT:
        return [kind_name, _BY_TEXT[kind_name](value)]
    return ["ref", keep(value)]


def decode(data: Any, reference: Callable[[int], Any]) -> Any:
    """Value of tagged JSON; `reference` makes the stand-in of a numbered object. WireError for anything else."""
    if data is None or isinstance(data, bool | int | float | str):
        return data
    try:
        tag, body = data
        return _decode_tagged(tag, body, reference)
    except WireError:
        raise
    except (TypeError, ValueError, ArithmeticError, RecursionError, AttributeError) as error:
        raise WireError(f"not a value: {error}") from None


def _decode_tagged(tag: str, body: Any, reference: Callable[[int], Any]) -> Any:
    if tag in ("list", "tuple", "set", "frozenset"):
        items = [decode(item, reference) for item in body]
        return dict(_SEQUENCES)[tag](items)
    if tag == "dict":
        return {decode(key, reference): decode(item, reference) for key, item in body}
    if tag == "int":
        return int(body, 16)
    if tag == "float":
        return float.fromhex(body)
    if tag == "bytes":
        return bytes.fromhex(body)
    if tag == "complex":
        return complex(float.fromhex(body[0]), float.fromhex(body[1]))
    if tag == "range":
        return range(*(int(bound, 16) for bound in body))
    if tag == "type" and body in _TYPES:
        return _TYPES[body]
    if tag == "ref":
        return reference(int(body))
    return _decode_by_text(tag, str(body))


def _decode_by_text(tag: str, text: str) -> Any:
    if tag == "decimal.Decimal":
        from decimal import Decimal

        return Decimal(text)
    if tag == "fractions.Fraction":
        from fractions import Fraction

        return Fraction(text)
    if tag in ("datetime.date", "datetime.datetime"):
        import datetime

        kind = datetime.date if tag == "datetime.date" else datetime.datetime
        return kind.fromisoformat(text)
    raise WireError(f"unknown tag {tag!r}")
