"""Crawl paths to files with an identity: folders, globs, files, Common Crawl path lists, `s3://` and `https://`."""

from __future__ import annotations

import datetime as dt
import glob
import hashlib
import re
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tasks.mine.warc_open import CHUNK_BYTES, describe, filesystem, is_remote, open_stream
from tasks.stage import SourceFile

COMMON_CRAWL = "https://data.commoncrawl.org/"
"""What the lines of Common Crawl's `warc.paths` are relative to; `s3://commoncrawl/` inside AWS."""
ARCHIVES = (".warc", ".warc.gz", ".warc.zst", ".warc.wet", ".warc.wet.gz", ".warc.wat.gz", ".wet.gz", ".arc", ".arc.gz")
LISTS = (".txt", ".txt.gz", ".paths", ".paths.gz")
MAX_LIST_BYTES = 64 << 20
MAX_LINE_CHARACTERS = 4096
PARALLEL_LOOKUPS = 16
_CRAWL = re.compile(r"CC-MAIN-(\d{4})-(\d{2})(?!\d)", re.IGNORECASE)
_MOMENT = re.compile(r"CC-(?:MAIN|NEWS)-((?:19|20)\d{2})(0[1-9]|1[0-2])\d{8}(?!\d)", re.IGNORECASE)
_MONTH = re.compile(r"(?:19|20)\d{2}-(?:0[1-9]|1[0-2])")


def expand(paths: Sequence[str], *, base: str = COMMON_CRAWL, allow_private_hosts: bool = False) -> tuple[str, ...]:
    """The crawl files that `paths` name, sorted, each once, unread.

    A path is a crawl file, a folder (searched through), a glob, or a list of paths (`.txt`, `.paths`, both also
    `.gz`). In a list, lines that start with `crawl-data/` are relative to `base`, other relative lines to the
    list.

    Raises:
        FileNotFoundError: a path that does not exist, or one that leads to no crawl file.
        ValueError: a scheme or file type that is not read.
    """
    if not paths:
        raise ValueError("no crawl paths: name a file, a folder, a glob or a list of paths")
    found: dict[str, None] = {}
    for path in paths:
        found |= dict.fromkeys(_expand(path, base, allow_private_hosts, from_list=False))
    return tuple(sorted(found))


def identify(paths: Sequence[str], allow_private_hosts: bool = False) -> tuple[SourceFile, ...]:
    """Crawl files sorted by path, with digest, size in bytes and partition.

    Remote files are not downloaded: their digest is the store's ETag with the size.

    Raises:
        FileNotFoundError: a path that does not exist.
        ValueError: two different files of one name, or a server that states no ETag and size.
    """
    with ThreadPoolExecutor(PARALLEL_LOOKUPS) as pool:
        files = list(pool.map(lambda p: _identify(p, allow_private_hosts), paths))
    named: dict[str, SourceFile] = {}
    for file in files:  # Rows name their file without its folder, so that moving a crawl changes no row.
        twin = named.setdefault(_name(file.path), file)
        if twin.digest != file.digest:
            raise ValueError(
                f"{twin.path} and {file.path} differ but have one name, by which rows are traced: rename one"
            )
    return tuple(sorted(named.values(), key=lambda file: file.path))


def partition_of(path: str) -> str:
    """The crawl month `YYYY-MM`: from the crawl's ISO week, the file's time, a folder called so, else 'all'."""
    if match := _CRAWL.search(path):
        try:
            return f"{dt.date.fromisocalendar(int(match[1]), int(match[2]), 1):%Y-%m}"
        except ValueError:
            pass  # week 00 or 60: no week at all, so the other signs decide
    if match := _MOMENT.search(path):
        return f"{match[1]}-{match[2]}"
    return next((part for part in reversed(path.split("/")[:-1]) if _MONTH.fullmatch(part)), "all")


def _expand(path: str, base: str, allow_private: bool, *, from_list: bool) -> Iterator[str]:
    if "://" in path and not is_remote(path):
        raise ValueError(f"{path}: this scheme is not read; use a local path, s3:// or https://")
    if is_remote(path):
        yield from _expand_remote(path, base, allow_private, from_list)
        return
    if glob.has_magic(path) and not Path(path).exists():
        matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 Path.glob takes no absolute pattern
        if not matches:
            raise FileNotFoundError(f"{path}: no file matches this glob")
        for match in matches:
            yield from _expand(match, base, allow_private, from_list=from_list)
        return
    local = Path(path)
    if local.is_dir():
        inside = [str(p.absolute()) for p in local.rglob("*") if p.name.lower().endswith(ARCHIVES) and p.is_file()]
        if not inside:
            raise FileNotFoundError(f"{path}: no crawl file ({', '.join(ARCHIVES)}) in this folder or below it")
        yield from inside
    elif not local.exists():
        raise FileNotFoundError(f"{path}: no such file; check the spelling, or fetch it first")
    elif local.name.lower().endswith(LISTS):
        yield from _expand_list(path, base, allow_private, from_list)
    else:
        yield _archive(str(local.absolute()))


def _expand_remote(path: str, base: str, allow_private: bool, from_list: bool) -> Iterator[str]:
    if path.lower().endswith(LISTS):
        yield from _expand_list(path, base, allow_private, from_list)
    elif path.startswith("s3://") and (path.endswith("/") or glob.has_magic(path)):
        system = filesystem(path)
        keys = system.glob(path) if glob.has_magic(path) else system.find(path)
        inside = [f"s3://{key}" for key in keys if key.lower().endswith(ARCHIVES)]
        if not inside:
            raise FileNotFoundError(f"{path}: no crawl file there; check the bucket, the prefix and your credentials")
        yield from inside
    elif path.endswith("/"):
        raise ValueError(f"{path}: folders cannot be listed over http; give a list of paths or s3://")
    else:
        yield _archive(path)


def _archive(path: str) -> str:
    if not path.lower().endswith(ARCHIVES):
        raise ValueError(f"{path}: neither a crawl file ({', '.join(ARCHIVES)}) nor a list ({', '.join(LISTS)})")
    return path


def _expand_list(path: str, base: str, allow_private: bool, from_list: bool) -> Iterator[str]:
    if from_list:
        raise ValueError(f"{path}: a list of paths may not name another list")
    names = [line for text in _lines(path, allow_private) if (line := text.strip()) and not line.startswith("#")]
    if not names:
        raise FileNotFoundError(f"{path}: this list names no path")
    folder = path.rsplit("/", 1)[0] if "/" in path else "."
    for name in names:
        if name.startswith("crawl-data/"):
            name = base.rstrip("/") + "/" + name
        elif "://" not in name and is_remote(path):
            if name.startswith(("/", "~")) or ".." in name.split("/"):
                raise ValueError(f"{path}: a remote list may not name the local path {name}")
            name = f"{folder}/{name}"
        elif "://" not in name:
            name = str(Path(folder) / name)
        yield from _expand(name, base, allow_private, from_list=True)


def _lines(path: str, allow_private: bool) -> list[str]:
    """The lines of a list, plain or gzip, of at most `MAX_LIST_BYTES`."""
    inflater = zlib.decompressobj(wbits=31) if path.lower().endswith(".gz") else None
    text = bytearray()
    try:
        with open_stream(path, allow_private_hosts=allow_private) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                text += inflater.decompress(chunk, MAX_LIST_BYTES + 1 - len(text)) if inflater else chunk
                if len(text) > MAX_LIST_BYTES:
                    raise ValueError(f"{path}: a list of paths may have {MAX_LIST_BYTES >> 20} MiB; split it")
        lines = text.decode("utf-8").splitlines()
    except (zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a list of paths: {error}") from error
    if inflater and (not inflater.eof or inflater.unused_data):
        raise ValueError(f"{path}: not one whole gzip member; fetch it again")
    if long := next((line for line in lines if len(line) > MAX_LINE_CHARACTERS), None):
        raise ValueError(f"{path}: not a list of paths: a line starts with {long[:40]!r} and goes on")
    return lines


def _identify(path: str, allow_private: bool) -> SourceFile:
    if is_remote(path):
        info = describe(path, allow_private_hosts=allow_private)
        size = info.get("size")
        tag = info.get("ETag") or info.get("Last-Modified")
        if not tag or size is None:
            raise ValueError(f"{path}: the server states no ETag and size, so a change would go unseen; fetch it first")
        return SourceFile(path, f"etag:{str(tag).strip(chr(34))}:{size}", int(size), partition_of(path))
    with Path(path).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return SourceFile(path, f"sha256:{digest}", stream.tell(), partition_of(path))


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
