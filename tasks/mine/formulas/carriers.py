"""All carriers of formulas, outermost first, so that no formula is counted twice."""

from __future__ import annotations

import re
from collections.abc import Callable

from resiliparse.parse.html import HTMLTree

from tasks.mine.formulas.delimiters import Rules, find_spans
from tasks.mine.formulas.elements import (
    drop_alternatives,
    lift_data,
    lift_elements,
    lift_fractions,
    lift_images,
    lift_mathml,
)
from tasks.mine.formulas.ledger import DISPLAY, INLINE, Ledger
from tasks.mine.formulas.page import Page, surroundings
from tasks.mine.formulas.rendered import lift_katex, lift_mathjax
from tasks.mine.formulas.text_nodes import lift_delimited

NAMED: tuple[Callable[[Page], None], ...] = (
    drop_alternatives,
    lift_data,  # the source beside any rendering
    lift_katex,  # holds MathML
    lift_mathjax,  # holds MathML
    lift_mathml,
    lift_elements,
)
"""Families whose markup says `math`, `latex` or `tex` by name."""
UNNAMED: tuple[Callable[[Page], None], ...] = (
    lift_fractions,
    lift_images,
    lift_delimited,  # last: what is left is running text
)
_NAMES = tuple(
    re.compile(name)
    for name in (rb"math(?!\.|emat|s\b|\s(?!inline|display))", rb"latex", rb"tex(?:=|-|html|\.|\]|[\"\'][ >])")
)
"""Not `Math.random` or "mathematics"."""
MAX_HIDDEN_ELEMENTS = 1_000


def lift(tree: HTMLTree, source: bytes) -> Ledger:
    """Replace every formula of the page by a token, in place, and return the formulas.

    `source` is the page's HTML as bytes in lower case; carriers that it does not name are not searched for.

    Raises:
        TooManyElementsError: more elements of one carrier than any page needs.
    """
    around = surroundings(source, b"math") + b"\n" + surroundings(source, b"tex")
    named = any(name.search(around) for name in _NAMES)
    if named:
        around += b"\n" + surroundings(source, b"mjx")
    page = Page(tree, source, Ledger(), named, around)
    for family in (*(NAMED if page.named else ()), *UNNAMED):
        family(page)
    if page.ledger.formulas:
        _unhide(page)
        _flatten_equation_tables(page)
    return page.ledger


def lift_text(text: str) -> tuple[str, Ledger]:
    """The same for a page that came as text: delimiters are all that is left of its formulas."""
    ledger = Ledger()
    rules = Rules(dollar=any(find_spans(text, Rules())))
    out: list[str] = []
    last = 0
    for span in find_spans(text, rules):
        out += (text[last : span.start], ledger.add(span.tex, span.carrier, display=span.display))
        last = span.end
    return "".join([*out, text[last:]]), ledger


def _holds_formula(text: str | None) -> bool:
    return bool(text) and (INLINE in (text or "") or DISPLAY in (text or ""))


def _unhide(page: Page) -> None:
    """Show hidden elements that hold formulas: assistive MathML, folded proofs and solutions."""
    selector = '[hidden], [aria-hidden="true"], [style*="none"], [style*="hidden"]'
    for element in page.select(selector)[:MAX_HIDDEN_ELEMENTS]:
        if _holds_formula(element.text):
            for name in ("hidden", "aria-hidden", "style"):
                if element.hasattr(name):
                    element.delattr(name)


def _flatten_equation_tables(page: Page) -> None:
    """Equations that LaTeXML and publishers lay out in tables become lines of text."""
    if not page.has(b"ltx_eq", b"disp-formula", b"equation"):
        return
    for table in page.select("table.ltx_equation, table.ltx_equationgroup, table.ltx_eqn_table, table.disp-formula, "
                             "table.equation"):  # fmt: skip
        if not _holds_formula(table.text):
            continue
        rows = [" ".join((row.text or "").split()) for row in table.query_selector_all("tr")]
        node = page.tree.create_text_node("\n".join(row for row in rows if row))
        if node is not None:
            table.replace_with(node)
