"""The program in a response."""

from __future__ import annotations

import re

_BLOCK = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n]*\n(.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
_PYTHON = {"", "py", "python", "python3"}


def extract_program(response: str) -> str:
    """Last fenced Python block after the thinking; empty when there is none.

    A block without a language counts, one marked as another language does not. An unclosed block is no program: the
    response was cut off.
    """
    answer = response.rpartition("</think>")[2]
    blocks = [body for language, body in _BLOCK.findall(answer) if language.lower() in _PYTHON]
    return blocks[-1] if blocks else ""
