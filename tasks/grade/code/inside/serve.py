"""The program's side of function tests: run the program, then answer calls with plain data."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from tasks.grade.code.inside.runner import run_source
from tasks.grade.code.inside.wire import WireError, decode, encode, receive_frame, send_frame

MAX_ITEMS = 1_000_000


def serve(source: str, channel: socket.socket) -> None:
    """Run the program, report `ready` or its error, then answer requests until the driver closes the channel.

    A request is `[operation, target, arguments]`, an answer `{"value": …}` or `{"error": [type, message]}`.
    """
    objects: list[Any] = []

    def keep(thing: Any) -> int:
        objects.append(thing)
        return len(objects) - 1

    module: Any = None

    def load() -> str:
        nonlocal module
        module = run_source(source, "program")
        return "ready"

    send_frame(channel, _answer(load, keep))
    while True:
        try:
            (operation, target, arguments), _fds = receive_frame(channel)
        except EOFError:
            return
        owner = module if target is None else objects[target]
        values = decode(arguments, objects.__getitem__)
        answer = _answer(lambda: _perform(operation, owner, values), keep)  # noqa: B023 called at once
        send_frame(channel, answer)


def _answer(action: Callable[[], Any], keep: Callable[[Any], int]) -> dict[str, Any]:
    try:
        return {"value": encode(action(), keep)}
    except WireError as error:
        return {"error": ["WireError", str(error)]}
    except BaseException as error:  # noqa: BLE001 SystemExit too: leaving is no answer
        return {"error": [type(error).__name__, str(error)[:500]]}


def _perform(operation: str, owner: Any, values: Any) -> Any:
    if operation == "get":
        return getattr(owner, values)
    if operation == "set":
        setattr(owner, values[0], values[1])
        return None
    if operation == "call":
        return owner(*values[0], **values[1])
    if operation == "item":
        return owner[values]
    if operation == "len":
        return len(owner)
    if operation == "str":
        return str(owner)
    items = []
    for item in owner:
        items.append(item)
        if len(items) > MAX_ITEMS:
            raise OverflowError(f"more than {MAX_ITEMS} items")
    return items
