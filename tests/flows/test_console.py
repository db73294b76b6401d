"""Hostile text on the terminal: it is shown, and steers nothing."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import pytest
from rich.markup import escape
from rich.table import Table

from flows.console import PlainConsole
from flows.trace_picture import picture
from warehouse.plain import plain
from warehouse.walk import Node, Trace

HOSTILE = "a\x1b]0;owned\x07\x1b[2J\x9b31m\rb\u202e\u061cevil\tc\nd 数学 ∑"


def test_only_our_own_colours_reach_the_terminal() -> None:
    into = io.StringIO()
    console = PlainConsole(file=into, force_terminal=True, width=200, color_system="standard")
    table = Table("x")
    table.add_row(escape(HOSTILE))
    console.print(f"[red]{escape(HOSTILE)}[/]")
    console.print(HOSTILE, markup=False)
    console.print(table)
    told = into.getvalue()
    assert "\x1b[31m" in told, "our own"
    for steering in ("\x1b]", "\x1b[2J", "\x9b", "\x07", "\u202e", "\u061c", "\r"):
        assert steering not in told, repr(steering)
    assert "数学 ∑" in told


def test_text_without_control_characters_stays() -> None:
    assert plain("ä\t数\n\u200d🙂") == "ä\t数\n\u200d🙂"


@pytest.mark.parametrize("kind", ["row", "file"])
def test_a_picture_of_hostile_rows_is_xml(kind: str) -> None:
    facts = {"id": "0" * 32, "prompt": HOSTILE, "digest": "d"}
    node = Node("k", kind, "t@1", "s", 0, facts, "f")
    ElementTree.fromstring(picture(Trace(("k",), {"k": node})))
