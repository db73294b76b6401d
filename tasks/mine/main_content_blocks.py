"""Cuts a parsed page into blocks of text and a flat tree of their containers, in one linear pass.

Walking the DOM from Python costs 3 µs a node; lexbor serialises a whole page in half a millisecond, and what it
writes is well formed: tags balance, and `<`, `>`, `&` are escaped in text and attributes. So one regular expression
over the serialised body finds every tag, a flat loop keeps the stack, and no input can make it recurse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import groupby

from tasks.mine.main_content_words import HIDDEN, PRUNED_TAGS, classify, words

# https://html.spec.whatwg.org/multipage/syntax.html#void-elements, and the obsolete ones that serialise alike.
_VOID = words("area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr")
_SKIPPED = "s(?:cript|tyle|vg|elect)|iframe|no(?:embed|frames)|te(?:mplate|xtarea)"
_TOKEN = re.compile(
    rf"<(?:(/[^>]*+|(?!(?:{_SKIPPED})[\s>])[a-zA-Z][^\s>]*+)([^>]*+)"
    rf"|!--.*?--|({_SKIPPED})\b[^>]*>[^<]*(?:<(?!/\3>)[^<]*)*</\3)>([^<]*+)",
    re.DOTALL,
)
"""A tag (`/` and name, attributes), or a skipped element or comment as a whole; and the text after it."""
_WORD = re.compile(r"\w")
_BREAK = "\0"  # cannot occur in parsed HTML
_FORMULA = re.compile("[\ue000\ue002]\\d+\ue001")
_BLOCK = words(
    "address article aside audio blockquote body button canvas caption center dd details dialog dir div dl dt"
    " fieldset figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 header hgroup html legend li main menu nav"
    " noscript object ol optgroup option p pre search section summary table tbody td tfoot th thead tr ul video"
)
_CLOSES = {f"/{name}" for name in _BLOCK}
HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))


@dataclass(slots=True)
class Block:
    """A paragraph-like run of text. Lengths count UTF-8 bytes, so that a Chinese sentence weighs like an English."""

    node: int
    """Index of the innermost container."""
    tag: str
    """How to render it: p, li, h1 to h6, pre, br (a line of the block before), or the container's tag."""
    text: str
    """Whitespace collapsed (verbatim in pre); entities still escaped."""
    length: int
    linked: int
    """Part of the length that lies inside links."""
    formulas: int
    quoted: bool
    row: int
    """Number of the innermost table row from 1, or 0 outside tables."""
    cell: int


@dataclass(slots=True)
class Page:
    """Containers in document order (parents first; 0 is the root, its own parent), and the blocks of text."""

    parent: list[int] = field(default_factory=lambda: [0])
    tag: list[str] = field(default_factory=lambda: ["#root"])
    flags: list[int] = field(default_factory=lambda: [0])
    blocks: list[Block] = field(default_factory=list)


def weigh(text: str) -> int:
    """Length in UTF-8 bytes."""
    return len(text) if text.isascii() else len(text.encode())


def cut_blocks(html: str) -> Page:
    """Blocks and containers of a serialised body (lexbor's `node.html`). Linear in the length of `html`."""
    page = Page()
    parents, tags, flags, blocks = page.parent, page.tag, page.flags, page.blocks
    memo: dict[str, int] = {}
    # One entry an open element: its end tag, and the state to go back to (None: an inline one that changed nothing).
    stack: list[tuple[str, tuple[int, bool, bool, bool, bool, int, int] | None]] = []
    parts: list[str] = []
    cells = [0]  # cells so far in each row
    node = linked = row = cell = 0
    in_link = in_pre = in_quote = skipping = bullet = False
    kind = "div"

    def flush() -> None:
        nonlocal linked, bullet
        text = "".join(parts)
        if in_pre:
            text = text.replace(_BREAK, "\n").strip("\n")
        elif _BREAK in text:
            text = "\n".join([" ".join(line.split()) for line in text.split(_BREAK)]).strip()
        else:
            text = " ".join(text.split())
        parts.clear()
        if text and _WORD.search(text):
            formulas = len(_FORMULA.findall(text)) if "\ue001" in text else 0
            tag = "li" if bullet and kind != "pre" and kind not in HEADINGS else kind
            blocks.append(Block(node, tag, text, weigh(text), linked, formulas, in_quote, row, cell))
            bullet = False
        linked = 0

    for name, attributes, _, text in _TOKEN.findall(html):
        if not name:
            pass
        elif name[0] == "/":
            if stack and stack[-1][0] == name:
                state = stack.pop()[1]
                if state is not None:
                    if name in _CLOSES or node != state[0]:
                        if parts:
                            flush()
                        kind = "div"
                        bullet = bullet and name != "/li"
                    node, in_link, in_pre, in_quote, skipping, row, cell = state
        elif name in _VOID:
            if name == "br":
                parts.append(_BREAK)
            elif name == "hr":
                if parts:
                    flush()
                kind = "div"
        else:
            if name == "a":
                # A page has more links than anything else, and their classes say little.
                flag = HIDDEN if "headerlink" in attributes else 0
            elif not attributes or in_pre:
                flag = PRUNED_TAGS.get(name, 0)
            else:
                flag = memo.get(name + attributes, -1)
                if flag < 0:
                    flag = memo[name + attributes] = classify(name, attributes)
            if name in _BLOCK or flag & ~HIDDEN:
                if parts:
                    flush()
                stack.append(("/" + name, (node, in_link, in_pre, in_quote, skipping, row, cell)))
                parents.append(node)
                tags.append(name)
                # A hidden inline element that was never closed can hold the page: let the rules decide.
                flags.append(flag | HIDDEN if skipping else flag)
                skipping = False
                node = len(tags) - 1
                kind = name
                if name == "li":
                    bullet = True
                elif name == "pre":
                    in_pre = True
                elif name == "blockquote":
                    in_quote = True
                elif name == "tr":
                    cells.append(0)
                    row, cell = len(cells) - 1, 0
                elif name == "td" or name == "th":
                    cells[row] += 1
                    cell = cells[row]
                elif name == "table":
                    row = cell = 0
            elif name == "a" or flag:
                stack.append(("/" + name, (node, in_link, in_pre, in_quote, skipping, row, cell)))
                # A heading that links to itself is no link.
                in_link = in_link or (name == "a" and not ('href="#' in attributes and kind in HEADINGS))
                skipping = skipping or flag > 0
            else:
                stack.append(("/" + name, None))
        if not text:
            continue
        if skipping:
            parts.extend(_FORMULA.findall(text))
        elif not parts and text.isspace() and not in_pre:
            pass
        else:
            if "&nbsp;" in text:
                text = text.replace("&nbsp;", " ")
            parts.append(text)
            if in_link:
                linked += weigh(text.strip())
    if parts:
        flush()
    return page


def render(blocks: list[Block]) -> str:
    """Markdown-like text of the blocks, entities still escaped."""
    parts: list[str] = []
    previous = ""
    for row, group in groupby(blocks, key=lambda block: block.row):
        run = list(group)
        if row and run[0].cell < run[-1].cell and sum([len(block.text) for block in run]) < 600:
            cells = [""] * run[-1].cell
            for block in run:
                cells[block.cell - 1] += " " + " ".join(block.text.split())
            parts.append(("\n" if previous == "tr" else "\n\n") + " | ".join([cell.strip() for cell in cells]))
            previous = "tr"
            continue
        for block in run:
            text = f"```\n{block.text}\n```" if block.tag == "pre" else block.text
            if block.tag == "li":
                text = "- " + text
            if block.quoted:
                text = "> " + text.replace("\n", "\n> ")
            parts.append(("\n" if block.tag == previous == "li" else "\n\n") + text)
            previous = block.tag
    return "".join(parts).strip()
