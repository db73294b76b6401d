"""Byte streams of crawl files: local paths, `s3://` and `http(s)://`, the last with a guard against SSRF.

Everything is read forward and in pieces; nothing here holds a file in memory.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import aiohttp
import fsspec

CHUNK_BYTES = 1 << 20
REMOTE = ("s3://", "https://", "http://")
BUSY = (408, 425, 429)
"""Answers below 500 after which the same request may be tried again."""


class BlockedAddressError(OSError):
    """A URL led to an address that is not on the public internet."""


def is_remote(path: str) -> bool:
    """Whether `path` is a URL that this module opens."""
    return path.startswith(REMOTE)


def filesystem(path: str, *, allow_private_hosts: bool = False) -> fsspec.AbstractFileSystem:
    """The fsspec file system of a remote path.

    Raises:
        ValueError: a scheme other than s3, http and https.
    """
    scheme = path.split("://", 1)[0]
    if scheme == "s3":  # Endpoint and credentials come from the AWS environment, never from a path.
        return fsspec.filesystem("s3", default_block_size=4 * CHUNK_BYTES, default_cache_type="readahead")
    if scheme in ("http", "https"):
        return fsspec.filesystem("http", get_client=_any_client if allow_private_hosts else _public_client)
    raise ValueError(f"{path}: scheme '{scheme}' is not read; use a local path, s3:// or https://")


def describe(path: str, *, allow_private_hosts: bool = False) -> dict[str, Any]:
    """Size, ETag and the like of a remote file, without its content.

    Raises:
        FileNotFoundError: no such file.
        BlockedAddressError: as `open_stream`.
    """
    with _clear_errors(path):
        return cast("dict[str, Any]", filesystem(path, allow_private_hosts=allow_private_hosts).info(path))


def open_stream(path: str, *, start: int = 0, allow_private_hosts: bool = False) -> BinaryIO:
    """Open `path` for reading at byte `start`.

    A stream without random access (HTTP) is read and discarded up to there.

    Raises:
        FileNotFoundError: no such file.
        BlockedAddressError: the host, or one that it redirects to, has an address that is not public.
    """
    if "://" not in path:
        local = Path(path).open("rb")  # noqa: SIM115 the caller closes it
        local.seek(start)
        return local
    system = filesystem(path, allow_private_hosts=allow_private_hosts)
    with _clear_errors(path):
        if path.startswith("s3://"):
            stream = cast(BinaryIO, system.open(path, "rb"))
            stream.seek(start)
            return stream
        stream = cast(BinaryIO, system.open(path, "rb", block_size=0))
    while start > 0:
        skipped = len(stream.read(min(start, CHUNK_BYTES)))
        if not skipped:
            break
        start -= skipped
    return stream


@contextmanager
def _clear_errors(path: str) -> Iterator[None]:
    """Say what fsspec hides behind FileNotFoundError: a refused address, a host that is not reached or is busy."""
    try:
        yield
    except OSError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, BlockedAddressError | aiohttp.ClientError):
            cause = cause.__cause__ or cause.__context__
        if isinstance(cause, aiohttp.ClientResponseError) and (cause.status >= 500 or cause.status in BUSY):
            raise OSError(f"{path}: the server answers {cause.status} {cause.message}".rstrip()) from error
        if cause is None or isinstance(cause, aiohttp.ClientResponseError):
            raise
        while cause.__cause__ is not None:
            cause = cause.__cause__
        kind = BlockedAddressError if isinstance(cause, BlockedAddressError) else OSError
        raise kind(f"{path}: {cause}") from error


def _guarded_socket(info: tuple[Any, ...]) -> socket.socket:
    """Make the socket of one connection, unless the resolved address is not public.

    aiohttp calls this with what was resolved, for every connection: for each redirect, and for addresses written
    as numbers, so a second DNS answer (rebinding) cannot pass either.
    """
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise BlockedAddressError(
            f"refused to connect to {address[0]}: not a public address (allow_private_hosts is off)"
        )
    return socket.socket(family=family, type=kind, proto=protocol)


def is_public(address: str) -> bool:
    """Whether an IP address, and the IPv4 address that it may carry inside, is on the public internet."""
    parsed = ipaddress.ip_address(address.split("%")[0])
    inside: list[ipaddress.IPv4Address | ipaddress.IPv6Address | None] = [parsed]
    if isinstance(parsed, ipaddress.IPv6Address):
        inside += [parsed.ipv4_mapped, parsed.sixtofour, *(parsed.teredo or ())]
        if parsed in _NAT64 or int(parsed) < 1 << 32:
            inside.append(ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF))
    return all(a.is_global and not a.is_multicast for a in inside if a is not None)


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


async def _public_client(*, loop: asyncio.AbstractEventLoop, **options: Any) -> aiohttp.ClientSession:
    # No proxy from the environment: it would resolve names behind the guard's back.
    connector = aiohttp.TCPConnector(loop=loop, socket_factory=_guarded_socket)
    return aiohttp.ClientSession(connector=connector, trust_env=False, timeout=_TIMEOUT, **options)


async def _any_client(*, loop: asyncio.AbstractEventLoop, **options: Any) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(loop=loop, trust_env=False, timeout=_TIMEOUT, **options)


_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=30, sock_read=120)
"""Seconds; no total, since a file of 1 GB may take long."""
