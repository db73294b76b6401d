"""Crawl records to pages: the main content with its mathematics as LaTeX, in document order.

Each formula is lifted out of the DOM (`tasks.mine.formulas`) and stands there as a token while the main content
is chosen (`tasks.mine.main_content`), which so can neither lose its markup nor mangle it; then it is put back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
from datatrove.data import Document
from pydantic import Field
from resiliparse.parse.encoding import bytes_to_str
from resiliparse.parse.html import HTMLTree

from tasks.mine.detect_language import detect_language
from tasks.mine.formulas import Formula, TooManyElementsError, lift, lift_text
from tasks.mine.formulas.delimiters import escape_less_than, may_hold_less_than
from tasks.mine.formulas.ledger import without_tokens
from tasks.mine.formulas.markup import close_prefixed
from tasks.mine.main_content import main_content
from tasks.mine.warc_decode import charset_of
from tasks.pipeline import ReadTable, RowStep, ranks_for, run_blocks
from tasks.stage import Inputs, Reject, Report, Stage, StageConfig
from warehouse.ids import row_id
from warehouse.schema import PAGES

_WIDE = re.compile(r"utf-?(16|32)", re.I)
_ATTRIBUTE = rb"[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s>\"'][^\s>]*+|))?+"
MAX_ATTRIBUTES = 2_000
_PLAIN = rb" [^\s/>=\"']++=\"[^\"]*+\""  # most attributes: told in half the time
_TAG = rb"<[a-zA-Z][^\s/>]*+"
_MANY_ATTRIBUTES = re.compile(
    rb"[^<]*+(?:(?:<(?![a-zA-Z])|%b(?:(?:%b){0,%d}+>|(?:%b){0,%d}+(?!%b)))[^<]*+)*+%b(?:%b){%d}"
    % (_TAG, _PLAIN, MAX_ATTRIBUTES - 1, _ATTRIBUTE, MAX_ATTRIBUTES - 1, _ATTRIBUTE, _TAG, _ATTRIBUTE, MAX_ATTRIBUTES)
)
"""A tag with too many attributes: the parser's time grows with their square (50,000: over 4 s). Linear to match."""

_BLANK_LINES = re.compile(r"\n\s*\n\s*")
_INVISIBLE = re.compile("[\u00ad\u2060\ufeff]")
"""Soft hyphens and word joiners say where a line may break, in the midst of words."""


class ExtractTextConfig(StageConfig):
    """What is worth keeping, and what is too much to look at."""

    min_text_chars: int = Field(50, ge=1, le=100_000)
    """Shortest main content that is kept, in characters."""
    max_html_bytes: int = Field(2_000_000, ge=1_000, le=100_000_000)
    """Longest body that is parsed, in bytes; up to here no page of the fuzz tests takes a second."""
    max_depth: int = Field(512, ge=16, le=2_000)
    """Deepest nesting that is read, in elements; browsers flatten beyond 512."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """A page as text.

    `text` holds formulas as `$…$` and `$$…$$`; `formulas` are their LaTeX in document order, `carriers` the sorted
    names of the markup that carried them. A page without any text has a `reject` that says why.
    """

    text: str
    title: str
    formulas: tuple[str, ...]
    carriers: tuple[str, ...]
    charset: str
    reject: Reject | None = None


def extract(html: bytes, url: str = "", *, charset: str = "", max_depth: int = 512) -> Extraction:
    """Extract the main content of an HTML page; where there is none, `reject` says why.

    `charset` is the one the body is in, as `charset_of` finds it; without it that is asked here.
    """
    if not html.strip(b"\0 \t\r\n"):
        return _nothing("empty body", url)
    if _MANY_ATTRIBUTES.match(html):
        return _nothing("too many attributes", f"more than {MAX_ATTRIBUTES} in one tag")
    charset = charset or charset_of(html, "")
    source = _decode(html, charset)
    known = charset == "utf-8"  # its bytes say what is not in the text, and looking there is cheaper
    if not known or b"\xee" in html:
        source = without_tokens(source)
    if not known or may_hold_less_than(html):
        source = escape_less_than(source)
    tree = HTMLTree.parse(close_prefixed(source))
    if tree.body is None:
        return _nothing("no body", url)
    if is_deeper(tree, html, max_depth):
        return _nothing("nested too deep", f"more than {max_depth} elements")
    lower = source.lower().encode("utf-8", "replace") if _WIDE.search(charset) else html.lower()
    try:
        ledger = lift(tree, lower)
    except TooManyElementsError as error:
        return _nothing("too many elements", str(error))
    article = main_content(tree)
    text, formulas = ledger.restore(article.text)
    title, _ = ledger.restore(article.title)
    return _extraction(text, title, formulas, charset)


def is_deeper(tree: HTMLTree, html: bytes, depth: int) -> bool:
    """Whether elements nest deeper than this. No start tag makes the tree deeper by more than four (`<td>`: three)."""
    if (html.count(b"<") - html.count(b"</")) * 4 < depth or tree.document is None:
        return False
    return tree.document.query_selector("*" + ">*" * depth + ":first-child") is not None


def extract_plain(body: bytes, *, charset: str = "") -> Extraction:
    """The same for a body that is text already (a WET record): its delimited formulas are recognised."""
    if not body.strip(b"\0 \t\r\n"):
        return _nothing("empty body")
    charset = charset or charset_of(body, "")
    text, ledger = lift_text(without_tokens(_decode(body, charset)).replace("\0", " "))
    text, formulas = ledger.restore(text)
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return _extraction(_BLANK_LINES.sub("\n\n", text), first[:200], formulas, charset)


def _decode(body: bytes, charset: str) -> str:
    """Text of a body. An unknown charset name is read as UTF-8, bytes that do not fit as Windows-1252."""
    try:
        return str(bytes_to_str(body, charset, errors="replace"))
    except LookupError:
        return str(bytes_to_str(body, "utf-8", errors="replace"))


def _extraction(text: str, title: str, formulas: tuple[Formula, ...], charset: str) -> Extraction:
    text = _INVISIBLE.sub("", text).strip()
    return Extraction(
        text=text,
        title=" ".join(_INVISIBLE.sub("", title).split()),
        formulas=tuple(formula.tex for formula in formulas),
        carriers=tuple(sorted({formula.carrier for formula in formulas})),
        charset=charset,
        reject=None if text else Reject("no main text"),
    )


def _nothing(reason: str, detail: str = "") -> Extraction:
    return Extraction("", "", (), (), "", Reject(reason, detail))


class ExtractText(RowStep):
    """A crawl record to a page, or the reason why it is none."""

    name = "extract_text"

    def __init__(self, config: ExtractTextConfig) -> None:
        """Extract by `config`."""
        super().__init__()
        self.config = config

    def apply(self, doc: Document) -> Reject | None:
        """Fill the columns of `pages` from the payload."""
        row = doc.metadata
        body: bytes = row.pop("payload", None) or b""
        if len(body) > self.config.max_html_bytes:
            return Reject("body too large", f"{len(body)} bytes")
        charset = row.get("charset") or ""
        if row.get("kind") == "text":
            page = extract_plain(body, charset=charset)
        else:
            page = extract(body, row.get("url") or "", charset=charset, max_depth=self.config.max_depth)
        if page.reject is not None:
            return page.reject
        if len(page.text) < self.config.min_text_chars:
            return Reject("text too short", f"{len(page.text)} characters")
        row.update(
            parents=[doc.id],
            charset=page.charset,
            language=detect_language(page.text),
            title=page.title,
            formulas=len(page.formulas),
            carriers=list(page.carriers),
        )
        doc.text = page.text
        doc.id = row_id(row.get("url"), row.get("crawl_date"), page.text)
        return None


def extract_text(config: ExtractTextConfig, inputs: Inputs, report: Report) -> Iterator[pa.RecordBatch]:
    """Every crawl record as a page of `pages`, or in the quarantine."""
    records = inputs.tables["crawl_records"]
    yield from run_blocks(
        [ReadTable(records), ExtractText(config)],
        schema=PAGES.arrow,
        tasks=ranks_for(records, inputs.workers),
        workers=inputs.workers,
        engine=inputs.engine,
        scratch=inputs.scratch,
        report=report,
    )


STAGE = Stage(
    name="extract_text",
    version="3",
    reads=("crawl_records",),
    writes="pages",
    config=ExtractTextConfig,
    run=extract_text,
)
