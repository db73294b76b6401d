"""Undo transfer and content encodings of an HTTP body in bounded memory, and name its character set."""

from __future__ import annotations

import codecs
import re
import zlib
from io import BytesIO

import brotli  # type: ignore[import-untyped]
from fastwarc.stream_io import ZstdReader
from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

from tasks.mine.warc_frames import Limits
from tasks.mine.warc_window import STEP_BYTES

MAX_ENCODINGS = 3
"""Encodings stacked on one body; more are an attack."""
MAX_MEMBERS = 64
"""Gzip members in a row in one body."""
BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]{0,1024})?\r?\n")
_HTML = re.compile(
    rb"(?:<\?xml[^>]{0,200}>\s*+|(?><!--.{0,2000}?-->)\s*+)*+<(?:!doctype html|html|head|body)\b",
    re.DOTALL | re.IGNORECASE,
)
"""Comments are atomic: one that could go on past its end makes 4 KB of them a matter of centuries."""
_META = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE)


class UndecodableError(ValueError):
    """The body is not what its encoding headers say. The arguments are reason and detail."""


def looks_html(body: bytes) -> bool:
    """Whether the first bytes are those of an HTML document, UTF-16 included (WHATWG MIME sniffing, narrowed)."""
    start = body[:4096]
    for mark, _ in BOMS:
        start = start.removeprefix(mark)
    if b"\0" in start[:64]:
        start = start.replace(b"\0", b"")
    return _HTML.match(start.lstrip()) is not None


def looks_binary(body: bytes) -> bool:
    """Whether the first bytes cannot be text (WHATWG MIME sniffing, section 7.2), or are a PDF or PostScript."""
    start = body[:1445]
    if start.startswith((b"%PDF-", b"%!PS-", b"{\\rtf")):
        return True
    if start.startswith(tuple(mark for mark, _ in BOMS)) or _utf16(start):
        return False
    return start.translate(None, delete=_BINARY) != start


_BINARY = bytes([*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)])


def _utf16(start: bytes) -> str:
    """Name UTF-16 without a mark by markup's own zero bytes, or ''."""
    zeros = start[:64:2].count(0), start[1:64:2].count(0)
    if len(start) >= 16 and min(zeros) == 0 and max(zeros) > min(len(start), 64) // 4:
        return "utf-16-be" if zeros[0] else "utf-16-le"
    return ""


def charset_of(body: bytes, declared: str) -> str:
    """The WHATWG name, as Python spells it, of the character set that `body` is really in.

    A byte order mark decides, then whether the bytes are valid UTF-8; then the HTTP header, the page's own meta
    element and resiliparse's detector, the first one under which the bytes decode.
    """
    for mark, name in BOMS:
        if body.startswith(mark):
            return name
    start = body[:4096]
    if b"\0" in start and (name := _utf16(start)):
        return name
    meta = _META.search(start)
    names = [declared, meta[1].decode("ascii") if meta else ""]
    escaped = any(n.lower().startswith("iso-2022") for n in names)  # seven-bit, so it passes for UTF-8
    if not escaped and (body.isascii() or _decodes(body, "utf-8")):
        return "utf-8"
    for label in names:
        candidate = map_encoding_to_html5(label, False) if label else None
        if candidate and _decodes(body, candidate):
            return candidate
    return detect_encoding(body) or "cp1252"


def _decodes(body: bytes, name: str) -> bool:
    try:
        codecs.getincrementaldecoder(name)().decode(body)  # a cut last character is no error
    except (UnicodeDecodeError, LookupError):
        return False
    return True


def decode_body(body: bytes, transfer: str, content: str, limits: Limits) -> bytes:
    """Undo `Transfer-Encoding` and `Content-Encoding`; a body that was stored decoded passes as it is.

    Raises:
        UndecodableError: a broken encoding, or more than `max_payload_bytes` come out.
    """
    if "chunked" in transfer.lower():
        body = _dechunk(body)
    names = [name for part in content.lower().split(",") if (name := part.strip()) not in ("", "identity", "none")]
    if len(names) > MAX_ENCODINGS:
        raise UndecodableError("undecodable content encoding", f"{len(names)} encodings stacked")
    for name in reversed(names):
        if not body or (name in ("gzip", "x-gzip") and body[:2] != b"\x1f\x8b"):
            continue  # Crawlers store decoded bodies under the server's header; looks are checked later.
        try:
            body = _inflate(body, name.removeprefix("x-"), limits)
        except (zlib.error, brotli.error, OSError, EOFError) as error:
            if not looks_html(body):
                raise UndecodableError("undecodable content encoding", f"{name}: {error}"[:200]) from error
    return body


def _inflate(body: bytes, name: str, limits: Limits) -> bytes:
    most = limits.max_payload_bytes
    if name in ("gzip", "deflate"):
        wrapped = name == "gzip" or (body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0)
        window_bits = 31 if name == "gzip" else 15 if wrapped else -15
        out, ended, rest = b"", False, body
        for _ in range(MAX_MEMBERS):  # RFC 1952 allows several in a row
            inflater = zlib.decompressobj(window_bits)
            out += inflater.decompress(rest, most + 1 - len(out))
            ended, rest = inflater.eof, inflater.unused_data
            if len(out) > most or rest[:2] != b"\x1f\x8b":
                break
        else:
            ended = False
    elif name == "br":
        out, ended = _unbrotli(body, most)
    elif name == "zstd":
        out, ended = bytes(ZstdReader(BytesIO(body)).read(most + 1)), True
    else:
        raise OSError("unknown encoding")
    if len(out) > most:
        bomb = len(out) > limits.max_inflation_ratio * len(body)
        raise UndecodableError("inflation ratio" if bomb else "payload too large", f"{name}: over {most} bytes")
    if not ended:
        raise EOFError("ended early")
    return out


def _unbrotli(body: bytes, most: int) -> tuple[bytes, bool]:
    inflater = brotli.Decompressor()
    pieces: list[bytes] = []
    size, piece = 0, body
    while size <= most:
        out = inflater.process(piece, output_buffer_limit=STEP_BYTES)
        pieces.append(out)
        size += len(out)
        piece = b""
        if inflater.is_finished() or (not out and inflater.can_accept_more_data()):
            break
    return b"".join(pieces), inflater.is_finished()


def _dechunk(body: bytes) -> bytes:
    """Join the chunks (RFC 9112, section 7.1). A body whose start is no chunk was stored joined."""
    joined, at = bytearray(), 0
    while match := _CHUNK.match(body, at):
        size, start = int(match[1], 16), match.end()
        if size == 0:
            return bytes(joined)
        if start + size > len(body):
            break
        joined += body[start : start + size]
        at = start + size
        at += 2 if body[at : at + 2] == b"\r\n" else body[at : at + 1] == b"\n"
    if not at and (match is None or looks_html(body)):
        return body
    raise UndecodableError("undecodable transfer encoding", f"no whole chunk at byte {at} of {len(body)}")
