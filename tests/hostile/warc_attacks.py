"""Mutants and bombs of crawl files."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable, Iterator

import brotli
import pyarrow as pa

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
GOOD_URL = "http://good.example.com/after"


def record(block: bytes, url: str = "http://a.example.com/", length: int | None = None, more: bytes = b"") -> bytes:
    return (
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: %s\r\nWARC-Date: 2024-05-18T01:02:03Z\r\n%s"
        b"Content-Length: %d\r\n\r\n%s\r\n\r\n" % (url.encode(), more, len(block) if length is None else length, block)
    )


GOOD = record(OK + b"\r\n<html><body>good page</body></html>", GOOD_URL)


def pages(rng: random.Random, count: int) -> list[bytes]:
    """Records of pages with text that compresses about as the web's does."""
    words = [rng.randbytes(rng.randint(2, 6)).hex() for _ in range(300)]
    return [
        record(OK + b"\r\n<html><body>" + " ".join(rng.choices(words, k=rng.randint(20, 2000))).encode(), f"http://p.example.com/{i}")
        for i in range(count)
    ]  # fmt: skip


def mutant(seed: int) -> tuple[bytes, set[int]]:
    """A crawl file of 12 pages with damage, and the numbers of the pages that the damage may cost."""
    rng = random.Random(seed)
    records = pages(rng, 12)
    gz = rng.random() < 0.7
    cost: set[int] = set()
    for _ in range(rng.randint(0, 2)):  # lies inside a record, stored properly
        victim = rng.randrange(12)
        cost |= {victim} if gz else {victim - 1, victim}
        records[victim] = _lie(rng, records[victim])
    stored = [gzip.compress(r, mtime=0) if gz else r for r in records]
    data, starts = bytearray(), []
    for piece in stored:
        starts.append(len(data))
        data += piece

    def page_at(position: int) -> int:
        return max(i for i, start in enumerate(starts) if start <= position)

    for _ in range(rng.randint(0, 3)):  # flipped bytes
        position = rng.randrange(len(data))
        data[position] ^= 1 << rng.randrange(8)
        cost |= {page_at(position)} if gz else {page_at(position) - 1, page_at(position)}
    position = rng.randrange(len(data))
    touched = page_at(position)
    kind = rng.choice(["none", "cut", "insert", "remove", "repeat"])
    if kind == "cut":
        cost |= set(range(touched if gz else touched - 1, 12))
        del data[position:]
    elif kind == "insert":
        cost |= {touched - 1, touched}
        data[position:position] = rng.randbytes(rng.randint(1, 3000))
    elif kind == "remove":
        end = min(len(data), position + rng.randint(1, 3000))
        cost |= set(range(touched - 1, page_at(end - 1) + 2))
        del data[position:end]
    elif kind == "repeat":
        cost |= {touched - 1, touched}
        first = rng.randrange(len(data))
        data[position:position] = data[first : first + rng.randint(1, 3000)]
    return bytes(data), cost


def _lie(rng: random.Random, page: bytes) -> bytes:
    head, _, block = page.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    length = len(block) - 4
    lie = rng.choice(["length", "many lengths", "giant", "twice", "no end", "case", "control", "none", "http"])
    if lie == "length":
        lines[-1] = b"Content-Length: " + rng.choice(
            [b"-1", b"0", b"1e9", b"9" * 18, b"9" * 60, b"", b"0x10", b"%d" % (length + 7)]
        )
    elif lie == "many lengths":
        lines[-1:-1] = [b"Content-Length: %d" % rng.randrange(2 * abs(length) + 2) for _ in range(5)]
    elif lie == "giant":
        lines.append(b"X-Giant: " + b"g" * rng.choice([60_000, 70_000, 3_000_000]))
    elif lie == "twice":
        lines[1:1] = lines[1:] * rng.randint(1, 50)
    elif lie == "no end":
        return head + b"\r\n" + block.replace(b"\n", b"") + b"\r\n\r\n"
    elif lie == "case":
        lines = [line.swapcase() if i else line for i, line in enumerate(lines)]
    elif lie == "control":
        lines.insert(rng.randint(1, len(lines)), rng.randbytes(200).replace(b"\n", b""))
    elif lie == "none":
        lines = [lines[0]]
    else:
        block = block.replace(
            b"200 OK\r\n",
            b"200 OK\r\nContent-Encoding: %s\r\n" % rng.choice([b"br", b"gzip", b"deflate", b"zstd", b"x"] * 2),
            1,
        )
        lines[-1] = b"Content-Length: %d" % (len(block) - 4)
    return b"\r\n".join(lines) + b"\r\n\r\n" + block


def gzip_zeros(before: bytes, mebibytes: int, after: bytes = b"", fill: bytes = b"\0") -> bytes:
    """A valid gzip member of `before`, that many MiB of `fill`, and `after`, made without inflating it."""
    packer = zlib.compressobj(9, wbits=-15)
    start = packer.compress(before) + packer.flush(zlib.Z_FULL_FLUSH)
    block = fill * ((1 << 20) // len(fill))
    middle = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.compress(after) + packer.flush()
    checksum = zlib.crc32(before)
    for _ in range(mebibytes):
        checksum = zlib.crc32(block, checksum)
    size = len(before) + (mebibytes << 20) + len(after)
    trailer = zlib.crc32(after, checksum).to_bytes(4, "little") + (size % (1 << 32)).to_bytes(4, "little")
    return b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + start + middle * mebibytes + end + trailer


def _body_bomb() -> Iterator[bytes]:
    head = record(OK + b"\r\n<html>", length=(1 << 30) + len(OK) + 8)[:-4]
    yield gzip_zeros(head, 1024, b"\r\n\r\n")


def _nested_gzip() -> Iterator[bytes]:
    body = gzip.compress(gzip.compress(gzip_zeros(b"<html>", 1024)))
    yield gzip.compress(record(OK + b"Content-Encoding: gzip, gzip, gzip\r\n\r\n" + body))
    yield gzip.compress(record(OK + b"Content-Encoding: " + b"gzip, " * 5000 + b"\r\n\r\n" + body))


def _header_bomb() -> Iterator[bytes]:
    yield gzip_zeros(b"WARC/1.0\r\nWARC-Type: response\r\n", 300, b"\r\n", b"X-Many: x\r\nX-Mor: \r\n\r"[:16])
    yield gzip_zeros(b"WARC/1.0\r\nWARC-Type: response\r\nX: ", 300, b"\r\n\r\n", b"a")


def _brotli_bomb() -> Iterator[bytes]:
    yield gzip.compress(record(OK + b"Content-Encoding: br\r\n\r\n" + brotli.compress(bytes(1 << 28), quality=5)))


def _zstd_bomb() -> Iterator[bytes]:
    body = pa.Codec("zstd").compress(bytes(1 << 28), asbytes=True)
    wide = b"\x28\xb5\x2f\xfd\0" + bytes([(41 - 10) << 3]) + b"\x02\0\x10A" * 2000  # asks for a window of 2 TiB
    for each in (body, wide):
        yield gzip.compress(record(OK + b"Content-Encoding: zstd\r\n\r\n" + each))


def _chunked_bomb() -> Iterator[bytes]:
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n"
    yield gzip.compress(record(chunked + b"1\r\na\r\n" * 600_000 + b"0\r\n\r\n"))
    yield gzip.compress(record(chunked + b"ffffffff\r\n" + b"a" * 3_000_000))
    yield gzip.compress(record(chunked + b"5" * 3_000_000))


def _tiny_records() -> Iterator[bytes]:
    yield gzip.compress(b"WARC/1.0\r\nContent-Length: 0\r\n\r\n\r\n\r\n" * 20_000)


def _zero_length() -> Iterator[bytes]:
    yield gzip.compress(b"") * 5_000
    yield gzip.compress(record(b"")) * 1_000
    yield gzip.compress(b"\r\n" * 3_000_000)


def _member_maze() -> Iterator[bytes]:
    """Members inside members: each starts a stored block that swallows the starts of thousands of others."""
    start = gzip.compress(b"WARC/1.0\r\n", 0)[:10] + b"\0\x0a\0\xf5\xffWARC/1.0\r\n" + b"\0\xff\xff\0\0"
    yield start * 20_000


def _quine() -> Iterator[bytes]:
    """A crawl file in a crawl file in a crawl file, served as a page."""
    inner = gzip.compress(GOOD.replace(b"good.example.com/after", b"forged.example.com"))
    for _ in range(50):
        inner = gzip.compress(record(OK + b"Content-Encoding: gzip\r\n\r\n" + inner))
    yield inner


def _gzip_starts() -> Iterator[bytes]:
    yield b"\x1f\x8b\x08\0\0\0\0\0\0\x03" * 100_000


def _empty_members_in_a_body() -> Iterator[bytes]:
    yield gzip.compress(record(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"") * 150_000))


BOMBS: dict[str, Callable[[], Iterator[bytes]]] = {
    "body": _body_bomb, "nested gzip": _nested_gzip, "headers": _header_bomb, "brotli": _brotli_bomb,
    "zstd": _zstd_bomb, "chunked": _chunked_bomb, "tiny records": _tiny_records, "zero length": _zero_length,
    "member maze": _member_maze, "quine": _quine, "empty members": _empty_members_in_a_body,
    "gzip starts": _gzip_starts,
}  # fmt: skip
PLAIN_BOMBS: dict[str, Callable[[], bytes]] = {
    "declared lengths": lambda: record(OK, length=10**17) * 1_000,
    "endless header line": lambda: b"WARC/1.0\r\nX: " + b"a" * (30 << 20),
    "no newline": lambda: b"WARC/" * (1 << 20),
    "record starts": lambda: b"WARC/1.0\r\n" * 30_000,
    "gzip in a page": lambda: record(OK + b"\r\n<html>" + b"\x1f\x8b\x08\0\0\0\0\0\0\x03" * 100_000),
}
