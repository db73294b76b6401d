"""Main content of a parsed page: chooses the page's own blocks of text and renders them.

Boilerplate falls by tag and class words, by density of links (Kohlschütter et al. 2010, "Boilerplate detection using
shallow text features") and by a container's share of the prose (after Readability). A block with a formula never is
boilerplate. Where little is left, the rules are loosened one by one; the last resort is all text.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass

from resiliparse.parse.html import HTMLTree

from tasks.mine.main_content_blocks import Block, Page, cut_blocks, render
from tasks.mine.main_content_scripts import write_scripts
from tasks.mine.main_content_tags import HEADINGS
from tasks.mine.main_content_words import CAPTION, CHROME, COMMENT, CONTENT, HIDDEN, WEAK

_PARAGRAPHS = frozenset(("p", "li", "pre", "blockquote", "td", "dd", "span", "a", "font", "b", "i"))
"""Elements whose class names style a text rather than name a part of the page."""
_LISTS = frozenset(("ul", "ol", "dl", "li", "dd"))
_WRAPPERS = frozenset(("div", "section", "table", "center", "span", "tr", "td"))
_NEVER_ROOT = _PARAGRAPHS | {"ul", "ol", "dl", "table", "tbody", "tr"}
"""What stands beside these belongs to the same text."""
_JUNK = re.compile(
    r"(?:advert(?:isement)?s?|comments?|share(?: this| on)?(?: story| article| post| page)?|tags?|related(?: \w+)?"
    r"|read more|more|story continues(?: below)?(?: advertisement)?|continue reading|loading|like this|copy"
    r"|print|e-?mail|edit|reply|report|image caption|caption|close|推荐阅读|相关阅读|相关文章|分享|广告|打印)[\s:.…]*",
    re.IGNORECASE,
)
_ANNOUNCES_LINKS = re.compile(
    r"(?:you (?:may|might)|more|related|recommended|popular|trending|latest|top|read (?:more|next|also)|also|most|share"
    r"|follow|tags|categories|filed under|don.t miss|see also on|相关|推荐|热门|最新)\b",
    re.IGNORECASE,
)
_SENTENCE_ENDS = tuple('.!?:;…"”’»)。！？：；」』）\ue001')


@dataclass(frozen=True)
class Article:
    """A page's own text and title."""

    text: str
    """Blocks separated by blank lines; list items, table rows and line breaks each on a line."""
    title: str
    """The heading that the document's title repeats, else the document's title; "" where there is neither."""


@dataclass(slots=True)
class _Measures:
    """Per container: sums over its subtree."""

    text: list[int]
    linked: list[int]
    prose: list[int]
    formulas: list[int]
    teasers: list[int]


def main_content(tree: HTMLTree) -> Article:
    """Extracts a page's own text and title, without changing the tree.

    Args:
        tree: parsed page, in which every formula is a text token (U+E000 or U+E002, digits, U+E001).

    Returns:
        Text with every formula token of the body outside skipped elements (script, svg, …), in document order.
        Empty only if the body holds no word.
    """
    body = tree.body
    page = cut_blocks(write_scripts(body.html) if body is not None else "")
    chosen = _choose(page)
    title, heading = _title(page, " ".join((tree.title or "").split()))
    text = render([block for block in chosen if block is not heading] or chosen)
    return Article(html.unescape(text) if "&" in text else text, title)


def _title(page: Page, title: str) -> tuple[str, Block | None]:
    """The title, and the heading that says the same and so need not stand in the text."""
    folded = _folded(title)
    best, named = title, None
    for block in page.blocks:
        if block.tag in ("h1", "h2") and not block.formulas:
            heading = html.unescape(" ".join(block.text.split()))
            before, found, after = folded.partition(_folded(heading))
            if (found and not before and not after.lstrip()[:1].isalnum()) or (not title and block.tag == "h1"):
                return heading, block
            if found and block.tag == "h1" and (named is None or block.length > named.length):
                best, named = heading, block
    return best, named


def _folded(text: str) -> str:
    """Text without the difference between CO2 and CO₂, or between upper and lower case."""
    return unicodedata.normalize("NFKC", text).casefold()


def _prose(block: Block) -> int:
    """How much running text a block is: 0 for headings, links and lines shorter than a sentence."""
    if block.linked * 2 >= block.length or block.tag in HEADINGS:
        return 0
    return max(block.length - 60, 0) + 60 * block.formulas


def _sum_up(page: Page, values: list[int]) -> list[int]:
    """Adds every container's value to all its ancestors, in place; children come after parents, so once is enough."""
    for node in range(len(values) - 1, 0, -1):
        values[page.parent[node]] += values[node]
    return values


def _measure(page: Page) -> _Measures:
    """Sums over subtrees; prose inside an element that calls itself the content counts three times."""
    n = len(page.parent)
    text, linked, prose, formulas, teasers = [0] * n, [0] * n, [0] * n, [0] * n, [0] * n
    within = [0] * n
    for node in range(1, n):
        flag, above = page.flags[node], within[page.parent[node]]
        if page.tag[node] == "article" and above & 2:
            # An article in an article is a comment on it, or another article: HTML standard, section 4.3.2.
            page.flags[node] |= COMMENT
        within[node] = above | (1 if flag & CONTENT else 0) | (2 if page.tag[node] == "article" else 0)
    for block in page.blocks:
        node = block.node
        text[node] += block.length
        linked[node] += block.linked
        if block.tag in HEADINGS:
            teasers[node] += block.linked * 10 >= block.length * 9
        elif value := _prose(block):
            prose[node] += value * 3 if within[node] else value
            formulas[node] += block.formulas
    for values in (text, linked, prose, formulas, teasers):
        _sum_up(page, values)
    return _Measures(text, linked, prose, formulas, teasers)


def _prune(page: Page, sums: _Measures, unwanted: int) -> list[bool]:
    """Which containers are boilerplate, by their flags and teasers (linked headings with a line of text each)."""
    parent = page.parent
    pruned = [False] * len(parent)
    discussed = [False] * len(parent)  # inside a discussion with formulas: keep it whole
    total = sums.prose[0]
    for node in range(1, len(parent)):
        above = parent[node]
        discussed[node] = discussed[above]
        if pruned[above]:
            pruned[node] = True
            continue
        flag, prose = page.flags[node], sums.prose[node]
        if sums.formulas[node]:
            discussed[node] = discussed[node] or flag & COMMENT > 0
            continue
        if prose * 4 > total * 3 or (flag & CONTENT and prose * 5 > total):
            continue
        if sums.teasers[node] >= 3 and sums.text[node] < 450 * sums.teasers[node]:
            pruned[node] = True
            continue
        if discussed[node]:
            flag &= ~COMMENT
        if flag & CHROME and page.tag[node] in _PARAGRAPHS:
            flag = flag & ~CHROME | WEAK
        if flag & unwanted:
            pruned[node] = True
        elif flag & WEAK and not flag & CONTENT:
            pruned[node] = prose == 0 or sums.linked[node] * 3 > sums.text[node]
    return pruned


def _find_root(page: Page, sums: _Measures, pruned: list[bool]) -> tuple[int, int]:
    """Goes down from the body while one child holds nearly all prose and every formula: (root, prose kept)."""
    kept = [0] * len(pruned)
    for block in page.blocks:
        if not pruned[block.node]:
            kept[block.node] += _prose(block)
    _sum_up(page, kept)
    best: dict[int, int] = {}  # container: its child with most prose
    for node in range(1, len(pruned)):
        above = page.parent[node]
        if kept[node] and (above not in best or kept[node] > kept[best[above]]):
            best[above] = node
    root = 0
    while (child := best.get(root)) is not None and page.tag[child] not in _NEVER_ROOT:
        share = 0.6 if page.flags[child] & CONTENT else 0.85
        if kept[child] < share * kept[root] or sums.formulas[child] < sums.formulas[root]:
            break
        root = child
    return root, kept[0]


def _choose(page: Page) -> list[Block]:
    """The page's own blocks, in document order; all blocks if no rule finds any."""
    sums = _measure(page)
    firm = HIDDEN | CHROME | CAPTION
    pruned = _prune(page, sums, firm | COMMENT)
    root, kept = _find_root(page, sums, pruned)
    for unwanted, enough, gain in ((firm, 250, 3), (HIDDEN, 60, 3)):
        if kept < enough:
            other = _prune(page, sums, unwanted)
            other_root, other_kept = _find_root(page, sums, other)
            if other_kept > gain * kept:
                pruned, root, kept = other, other_root, other_kept
    chosen = _trim(_select(page, sums, pruned, root))
    return chosen or [b for b in page.blocks if not pruned[b.node]] or page.blocks


def _select(page: Page, sums: _Measures, pruned: list[bool], root: int) -> list[Block]:
    """Blocks under the root that are neither pruned nor lists of links, and all that hold a formula."""
    n = len(pruned)
    inside, dense = [False] * n, [False] * n
    inside[root] = True
    for node in range(root + 1, n):
        if not inside[above := page.parent[node]] or pruned[node]:
            continue
        linked = not sums.formulas[node] and sums.linked[node] * 2 > sums.text[node]
        inside[node] = not (linked and page.tag[node] in _WRAPPERS)
        dense[node] = dense[above] or (linked and page.tag[node] in _LISTS)
    chosen: list[Block] = []
    intro: Block | None = None  # what announces the list at hand: a heading, or a line such as "More stories:"
    for block in page.blocks:
        listed = dense[block.node] or block.tag == "li"
        announces = block.length < 80 and _ANNOUNCES_LINKS.match(block.text) is not None
        if block.formulas:
            chosen.append(block)
        elif not inside[block.node] or (block.length < 60 and _JUNK.fullmatch(block.text)):
            pass
        elif listed and intro is not None and block.linked * 3 > block.length and _ANNOUNCES_LINKS.match(intro.text):
            if chosen and chosen[-1] is intro:
                chosen.pop()
        elif not dense[block.node] or (intro is not None and intro.tag in HEADINGS):
            # Of lists of links, "See also" and "References" are sections of the text.
            chosen.append(block)
        if not listed:
            intro = block if announces or block.tag in HEADINGS else None
    return chosen


def _is_dull(block: Block) -> bool:
    """Whether a block at the edge of the text is a byline, a date, a button or a title."""
    if block.formulas or block.length >= 120 or block.tag in ("pre", "td", "th", "li", "dd"):
        return False
    if block.tag == "p" and block.linked * 2 <= block.length:
        return False
    return block.tag in HEADINGS or block.linked * 2 > block.length or not block.text.endswith(_SENTENCE_ENDS)


def _trim(blocks: list[Block]) -> list[Block]:
    """Without dull blocks at both ends, but with the heading right before the first other block."""
    first, last = 0, len(blocks)
    while last and _is_dull(blocks[last - 1]):
        last -= 1
    while first < last and _is_dull(blocks[first]):
        first += 1
    if 0 < first < last and blocks[first - 1].tag in HEADINGS:
        first -= 1
    return blocks[first:last]
