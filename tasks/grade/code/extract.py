"""The program in a response."""

from __future__ import annotations

import re

_OPENS = re.compile(r"[ \t]*```[ \t]*([\w+-]*)")
_CLOSES = re.compile(r"[ \t]*```[ \t]*")
_PYTHON = {"", "py", "python", "python3"}


def extract_program(response: str) -> str:
    """Last fenced Python block after the thinking; empty when there is none.

    A block without a language counts, one marked as another language does not. An unclosed block is no program: the
    response was cut off.
    """
    program, language = "", ""
    body: list[str] | None = None
    for line in response.rpartition("</think>")[2].split("\n"):
        if body is None:
            if opened := _OPENS.match(line):
                language, body = opened[1].lower(), []
        elif _CLOSES.fullmatch(line):
            if language in _PYTHON:
                program = "".join(body)
            body = None
        else:
            body.append(f"{line}\n")
    return program
