"""From a crawl record to a row of `crawl_records`, or the reason why it is not a page."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Protocol

import tldextract
from fastwarc.warc import HeaderMap

from tasks.mine.warc_decode import UndecodableError, charset_of, decode_body, looks_binary, looks_html
from tasks.mine.warc_frames import Limits
from tasks.mine.warc_headers import head_end, parse_headers
from tasks.mine.warc_records import Record
from tasks.mine.warc_window import Window
from tasks.stage import Reject

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml"})
NOT_A_PAGE = "not a page"
OTHER_TYPES = frozenset({"warcinfo", "request", "metadata", "revisit", "continuation"})
_STATUS = re.compile(rb"HTTP/\d(?:\.\d{1,2})? +(\d{3})\b")
_HOST = re.compile(r"https?://(?:[^/?#@]*@)?(\[[0-9A-Fa-f:.]+\]|[^/?#:@\[\]\s]+)", re.IGNORECASE)
_MIME = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,100}", re.ASCII)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{2,40})", re.IGNORECASE | re.ASCII)
# The list of public suffixes that ships with tldextract; nothing is fetched and nothing is cached on disk.
_SUFFIXES = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


class StrictLimits(Limits, Protocol):
    """Limits, and whether a digest that the file states must match."""

    @property
    def strict_digest(self) -> bool: ...  # noqa: D102


def read_page(record: Record, limits: StrictLimits) -> dict[str, Any] | Reject:
    """The columns of `crawl_records` that come from the record itself, or why there is no page in it."""
    headers = record.headers
    kind = (headers.get("WARC-Type") or "").strip().lower()
    if kind in OTHER_TYPES:
        return Reject(f"{NOT_A_PAGE}: {kind}")
    if kind not in ("response", "resource", "conversion"):
        return Reject(f"{NOT_A_PAGE}: unknown type", kind[:40])
    url = (headers.get("WARC-Target-URI") or "").strip().strip("<>")
    if kind == "response" and url.startswith(("dns:", "whois:")):
        return Reject(f"{NOT_A_PAGE}: dns")
    host = _HOST.match(url)
    if not host:
        return Reject("no URL", url[:200])
    try:
        status, http, body = _split_http(record.block, limits) if kind == "response" else (None, None, record.block)
    except ValueError as bad:
        return _reject(bad)
    date = _crawl_date(headers, http)
    if date is None:
        return Reject("bad date", (headers.get("WARC-Date") or "")[:40])
    if status is not None and not 200 <= status < 300:
        return Reject("HTTP status not 2xx", str(status))
    if limits.strict_digest and (stated := _other_digest(headers, body)):
        return Reject("digest mismatch", stated)
    served = (http or headers).get("Content-Type") or ""
    try:
        payload = body if http is None else _decoded(http, body, limits)
    except UndecodableError as bad:
        return _reject(bad)
    if not payload or payload.isspace():
        return Reject("empty body")
    if len(payload) > limits.max_payload_bytes:
        return Reject("payload too large", f"{len(payload)} bytes")
    if kind == "response" and http is None:
        served = ""  # HTTP/0.9: the header is that of the record
    mime = found[0] if (found := _MIME.match(served.strip().lower())) else ""
    page_kind = "text" if kind == "conversion" else _page_kind(mime, payload, kind)
    if page_kind is None:
        return Reject("not HTML", f"{mime or 'no type'}{', binary' if looks_binary(payload) else ''}")
    declared = match[1] if (match := _CHARSET.search(served)) else ""
    return {
        "digest": payload_digest(body),
        "url": url,
        "domain": registered_domain(host[1].lower()),
        "crawl_date": date,
        "status": status,
        "mime": mime,
        "charset": charset_of(payload, declared),
        "kind": page_kind,
        "payload": payload,
    }


def _reject(error: ValueError) -> Reject:
    """Errors of decoding carry (reason, detail)."""
    reason, *details = map(str, error.args)
    return Reject(reason, "; ".join(details))


def payload_digest(body: bytes) -> str:
    """`sha1:` and base32 over the stored body, as `WARC-Payload-Digest` has it (WARC 1.1, section 5.9)."""
    return "sha1:" + base64.b32encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()


def record_digest(record: bytes, limits: Limits) -> str:
    """The payload digest of a whole record, as `read_record_at` returns it: what `digest` of its row must be."""
    window = Window(None, record)
    warc = record.startswith(b"WARC/")
    end = head_end(window, limits.max_header_bytes) if warc else record.find(b"\n") + 1
    block = record[end:]
    response = not warc or (parse_headers(record[:end]).get("WARC-Type") or "").strip().lower() == "response"
    return payload_digest(_split_http(block, limits)[2] if response else block)


@lru_cache(maxsize=1 << 16)
def registered_domain(host: str) -> str:
    """Public suffix + 1 of a host, or the host itself where there is none (addresses, `localhost`)."""
    return _SUFFIXES.extract_str(host[:253]).top_domain_under_public_suffix or host


def _split_http(block: bytes, limits: Limits) -> tuple[int | None, HeaderMap | None, bytes]:
    """Status, headers and stored body of an HTTP response; a block without a status line is all body (HTTP/0.9)."""
    if not block.startswith(b"HTTP/"):
        return None, None, block
    status = _STATUS.match(block)
    if not status:
        raise ValueError("bad HTTP status line", block[:60].decode("utf-8", "replace"))
    end = head_end(Window(None, block), limits.max_header_bytes)
    if end < 0:
        if len(block) > limits.max_header_bytes:
            raise ValueError("header too large", f"no end in {limits.max_header_bytes} bytes")
        end = len(block)
    return int(status[1]), parse_headers(block[:end]), block[end:]


def _decoded(http: HeaderMap, body: bytes, limits: Limits) -> bytes:
    return decode_body(body, http.get("Transfer-Encoding") or "", http.get("Content-Encoding") or "", limits)


def _page_kind(mime: str, payload: bytes, kind: str) -> str | None:
    if looks_binary(payload):
        return None
    if mime in HTML_TYPES or looks_html(payload):
        return "html"
    return "text" if mime == "text/plain" and kind == "response" else None


def _crawl_date(headers: HeaderMap, http: HeaderMap | None) -> dt.datetime | None:
    """`WARC-Date`, or the server's own where that is no date (ClueWeb09 has days such as 2008-10-294)."""
    try:
        date = dt.datetime.fromisoformat((headers.get("WARC-Date") or "").strip())
    except ValueError:
        try:
            date = parsedate_to_datetime((http.get("Date") if http else None) or "")
        except (ValueError, IndexError, OverflowError):  # a zone of +99999999999999999999
            return None
    date = date.replace(tzinfo=dt.UTC) if date.tzinfo is None else date
    return date.astimezone(dt.UTC) if 1990 <= date.year < 2200 else None


def _other_digest(headers: HeaderMap, body: bytes) -> str:
    """The stated payload digest if it differs from the body's, '' if it agrees or cannot be compared."""
    algorithm, _, stated = (headers.get("WARC-Payload-Digest") or "").strip().partition(":")
    name = algorithm.lower().replace("-", "")
    if name not in ("md5", "sha1", "sha256", "sha512"):
        return ""
    raw = hashlib.new(name, body, usedforsecurity=False).digest()
    same = stated.upper().rstrip("=") == base64.b32encode(raw).decode().rstrip("=") or stated.lower() == raw.hex()
    return "" if same else f"{algorithm}:{stated}"[:150]
