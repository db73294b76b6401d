"""Texts of the warehouse were written by strangers: what of them must not reach a terminal, a page or a picture."""

from __future__ import annotations

import re

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line feed, and those that turn the direction of writing."""


def plain(text: object) -> str:
    """Text in which each character that steers a terminal, or turns the direction of writing, reads �."""
    return _STEERING.sub("�", str(text))
