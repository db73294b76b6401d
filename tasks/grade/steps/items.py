"""What a step is read as: values, operators, relations and words, in segments that no claim reaches across."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Item(NamedTuple):
    """`kind`: A value, O operator, R relation, V verb that may be one, W word, S stop word, X not readable.

    `text` is what the mathematics parser will read; `joined` tells that the item touches the one before it
    without a math delimiter between; `%` in a text awaits its reading.
    """

    kind: str
    text: str
    start: int
    end: int
    joined: bool = True
    verbal: bool = False


@dataclass(slots=True)
class Segment:
    """Items between two boundaries; `soft` when only a line or a display ended before it."""

    items: list[Item] = field(default_factory=list)
    soft: bool = True
    line_start: bool = True
