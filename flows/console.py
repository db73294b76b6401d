"""The terminal: what is printed may come from a crawl, a model or a file, and must not steer it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from warehouse.plain import plain


class PlainConsole(Console):
    """A console that prints `plain` text; colours and links are its own alone."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich's; every way to print goes through it."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)
