"""The page that formulas are lifted from: its DOM, its bytes for cheap looks, and the ledger they go to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resiliparse.parse.html import ElementNode, HTMLTree

from tasks.mine.formulas.ledger import Ledger

MAX_ELEMENTS = 20_000
"""Most elements of one carrier that one page may have."""


class TooManyElementsError(ValueError):
    """A page has more elements of one carrier than `MAX_ELEMENTS`."""


TEX_ANNOTATION = 'annotation[encoding$="tex" i]'
"""MathML's TeX: `application/x-tex`, `TeX`, `LaTeX`, but not `text/x-asciimath`."""
AROUND_BYTES = 40
"""How much is kept on each side of a word that speaks of mathematics."""


@dataclass(frozen=True, slots=True)
class Page:
    """A parsed page. `source` is its HTML in lower case; a carrier is searched in the DOM only if named there.

    `named`: the source says `math`, `latex` or `tex` in some markup. `around`: what stands around every `math`, `tex`
    and, on a named page, `mjx`. Looking for one needle in a whole page costs 0.1 ms, in these extracts nothing.
    """

    tree: HTMLTree
    source: bytes
    ledger: Ledger
    named: bool
    around: bytes

    def has(self, *needles: bytes) -> bool:
        """Whether the page's bytes contain one of the needles (lower case)."""
        return any(needle in self.source for needle in needles)

    def names(self, *needles: bytes) -> bool:
        """The same for needles of at most `AROUND_BYTES` with `math`, `tex` or `mjx` in them or beside them."""
        return any(needle in self.around for needle in needles)

    def select(self, selector: str) -> list[ElementNode]:
        """Elements in document order, each once.

        Raises:
            TooManyElementsError: more than `MAX_ELEMENTS`.
        """
        body = self.tree.body
        found = body.query_selector_all(f":is({selector})") if body is not None else ()
        if len(found) > MAX_ELEMENTS:
            raise TooManyElementsError(f"{len(found)} elements {selector[:80]}")
        return list(found[:])  # iterating the live list itself takes time in its square

    def put(self, element: ElementNode, tex: str | None, carrier: str, *, display: bool = False) -> bool:
        """Replace `element` by the token of its formula; False, and no change, where there is no formula."""
        token = self.ledger.add(tex, carrier, display=display)
        node = self.tree.create_text_node(token) if token else None
        if node is None:
            return False
        element.replace_with(node)
        return True


def surroundings(source: bytes, stem: bytes) -> bytes:
    """Every occurrence of a stem with `AROUND_BYTES` on both sides."""
    between = source.split(stem)
    if len(between) == 1:
        return b""
    most = 2 * AROUND_BYTES
    return stem.join([b if len(b) <= most else b[:AROUND_BYTES] + b"\n" + b[-AROUND_BYTES:] for b in between])


def attached(element: ElementNode) -> bool:
    """Whether an element found earlier is still in the page, not inside a formula replaced since."""
    return element.closest("body") is not None


def converted(convert: Callable[[str], str], element: ElementNode) -> str:
    """LaTeX of an element's markup, '' where the markup is beyond any formula's size."""
    try:
        return convert(element.html)
    except ValueError:
        return ""


def text_of(element: ElementNode | None) -> str:
    """Text content, '' for none."""
    return (element.text or "") if element is not None else ""
