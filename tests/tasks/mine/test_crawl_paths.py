"""Crawl paths: local, in lists, on S3 (moto's server), over HTTP (a server here), and addresses that are refused."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import pytest
from moto.server import ThreadedMotoServer

from tasks.mine.crawl_paths import expand, identify, partition_of
from tasks.mine.read_warc import ReadWarcConfig, WarcReader
from tasks.mine.warc_open import BlockedAddressError, _guarded_socket, describe, is_public, open_stream
from tasks.mine.warc_records import read_record_at
from tasks.pipeline import REJECT

PAGE = b"<!doctype html><html><body><p>" + b"two and two is four " * 30
BLOCK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + PAGE
RECORD = (
    b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://example.com/\r\nWARC-Date: 2024-05-18T01:02:03Z\r\n"
    b"Content-Type: application/http; msgtype=response\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n" % (len(BLOCK), BLOCK)
)


def make(path: Path, records: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    member = gzip.compress(RECORD, mtime=0)
    path.write_bytes(member * records if path.suffix == ".gz" else RECORD * records)
    return path


def names(files: tuple[Any, ...]) -> list[str]:
    return [file.path.rsplit("/", 1)[-1] for file in files]


@pytest.mark.parametrize(
    ("path", "month"),
    [
        ("crawl-data/CC-MAIN-2024-22/segments/17/warc/CC-MAIN-20240517233122-20240518023122-00000.warc.gz", "2024-05"),
        ("CC-MAIN-20200803083123-20200803113123-00042.warc.wet.gz", "2020-08"),
        ("x/cc-main-2020-34-sample.warc.gz", "2020-08"), ("x/CC-MAIN-2023-50/a.warc.gz", "2023-12"),
        ("CC-NEWS-20240131000000-00001.warc.gz", "2024-01"), ("/data/2019-07/sub/a.warc.gz", "2019-07"),
        ("/data/2019-13/a.warc.gz", "all"), ("CC-MAIN-2024-99/a.warc.gz", "all"), ("a.warc.gz", "all"),
    ],
)  # fmt: skip
def test_partition(path: str, month: str) -> None:
    assert partition_of(path) == month


def test_local_folder_glob_and_file_give_each_file_once_in_order(tmp_path: Path) -> None:
    b = make(tmp_path / "2020-01" / "b.warc.gz", 2)
    a = make(tmp_path / "z" / "a.warc")
    (tmp_path / "notes.md").write_text("no crawl")
    files = identify(expand([str(b), str(tmp_path), f"{tmp_path}/**/*.warc", str(a)]))
    assert [f.path for f in files] == sorted(map(str, (a, b)))
    assert [f.partition for f in files] == ["2020-01", "all"]
    assert files[0].digest == "sha256:" + hashlib.sha256(b.read_bytes()).hexdigest()
    assert files[0].size_bytes == b.stat().st_size


def test_a_copy_is_read_once_and_two_files_of_one_name_are_an_error(tmp_path: Path) -> None:
    make(tmp_path / "x" / "a.warc.gz")
    make(tmp_path / "y" / "a.warc.gz")
    assert len(identify(expand([str(tmp_path)]))) == 1
    make(tmp_path / "y" / "a.warc.gz", 2)
    with pytest.raises(ValueError, match="rename one"):
        identify(expand([str(tmp_path)]))


def test_lists(tmp_path: Path) -> None:
    make(tmp_path / "in" / "a.warc.gz")
    b = make(tmp_path / "b.warc.gz", 2)
    base = tmp_path / "mirror"
    make(base / "crawl-data" / "CC-MAIN-2024-22" / "c.warc.gz", 3)
    text = f"# mine\nin/a.warc.gz\n\n{b}\ncrawl-data/CC-MAIN-2024-22/c.warc.gz\r\n"
    (tmp_path / "crawl.txt").write_text(text)
    (tmp_path / "warc.paths.gz").write_bytes(gzip.compress(text.encode()))
    files = identify(expand([str(tmp_path / "crawl.txt")], base=str(base)))
    assert sorted(names(files)) == ["a.warc.gz", "b.warc.gz", "c.warc.gz"]
    assert {f.partition for f in files} == {"2024-05", "all"}
    assert identify(expand([str(tmp_path / "warc.paths.gz")], base=str(base))) == files


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"", FileNotFoundError, "names no path"), (b"nosuch.warc.gz\n", FileNotFoundError, "no such file"),
        (b"list.txt\n", ValueError, "another list"), (b"\xff\xfe\x00", ValueError, "not a list"),
        (b"x" * 5000, ValueError, "not a list"), (b"picture.png\n", FileNotFoundError, "picture.png"),
    ],
)  # fmt: skip
def test_bad_lists(tmp_path: Path, content: bytes, error: type[Exception], words: str) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(error, match=words):
        expand([str(tmp_path / "list.txt")])


def test_bad_compressed_lists(tmp_path: Path) -> None:
    whole = gzip.compress(b"a.warc.gz\n" * 100)
    for data, words in ((whole[:-9], "one whole"), (b"WARC", "not a list"), (gzip.compress(bytes(65 << 20), 1), "MiB")):
        (tmp_path / "warc.paths.gz").write_bytes(data)
        with pytest.raises(ValueError, match=words):
            expand([str(tmp_path / "warc.paths.gz")])


def test_missing_and_empty(tmp_path: Path) -> None:
    (tmp_path / "readme.md").write_text("x")
    for path, words in (
        (tmp_path / "nosuch", "no such file"),
        (tmp_path, "no crawl file"),
        (tmp_path / "*.gz", "glob"),
    ):
        with pytest.raises(FileNotFoundError, match=words):
            expand([str(path)])
    with pytest.raises(ValueError, match="neither a crawl file"):
        expand([str(tmp_path / "readme.md")])
    with pytest.raises(ValueError, match="no crawl paths"):
        expand([])


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3")
        client.create_bucket(Bucket="crawl")
        member = gzip.compress(RECORD, mtime=0)
        for key, count in (("crawl-data/CC-MAIN-2024-22/a.warc.gz", 3), ("crawl-data/CC-MAIN-2024-22/b.warc.gz", 5)):
            client.put_object(Bucket="crawl", Key=key, Body=member * count)
        client.put_object(Bucket="crawl", Key="crawl-data/notes.txt", Body=b"crawl-data/CC-MAIN-2024-22/a.warc.gz\n")
        yield "s3://crawl"
    server.stop()


def test_s3(bucket: str) -> None:
    whole = identify(expand([f"{bucket}/crawl-data/"]))
    assert names(whole) == ["a.warc.gz", "b.warc.gz"]
    assert identify(expand([f"{bucket}/crawl-data/CC-MAIN-2024-22/*.gz"])) == whole
    assert identify(expand([f"{bucket}/crawl-data/notes.txt"], base=bucket)) == whole[:1]
    assert [f.partition for f in whole] == ["2024-05"] * 2
    member = len(gzip.compress(RECORD, mtime=0))
    assert [f.size_bytes for f in whole] == [3 * member, 5 * member]
    md5 = hashlib.md5(gzip.compress(RECORD, mtime=0) * 3).hexdigest()
    assert whole[0].digest == f"etag:{md5}:{3 * member}"
    documents = list(WarcReader(whole, ReadWarcConfig()).run())
    assert [d.metadata["payload"] for d in documents] == [PAGE] * 8
    last = documents[-1].metadata
    assert read_record_at(whole[1].path, last["offset"], last["length"], ReadWarcConfig()).endswith(PAGE)
    with pytest.raises(FileNotFoundError):
        identify([f"{bucket}/nosuch.warc.gz"])
    with pytest.raises(FileNotFoundError, match="no crawl file"):
        expand([f"{bucket}/empty/"])


class Redirect(BaseHTTPRequestHandler):
    """Sends every request to what follows `/to/`."""

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", self.path.removeprefix("/to/"))
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *args: Any) -> None: ...


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def serve() -> Iterator[Any]:
    servers = []

    def start(handler: Any) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [404, 403, 408, 429, 500, 503])
def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(status: int, serve: Any) -> None:
    class Busy(Quiet):
        def do_GET(self) -> None:
            self.send_error(status, "Slow Down")

        do_HEAD = do_GET

    url = f"{serve(Busy)}/a.warc.gz"
    for ask in (open_stream, describe):
        with pytest.raises(OSError, match=r"a\.warc\.gz") as caught:
            ask(url, allow_private_hosts=True)
        # `flows.triggers.network_failed` tries all again but what is not there.
        assert isinstance(caught.value, FileNotFoundError) is (status in (403, 404))


def test_http(tmp_path: Path, serve: Any) -> None:
    make(tmp_path / "crawl-data" / "CC-MAIN-2024-22" / "a.warc.gz", 4)
    (tmp_path / "warc.paths.gz").write_bytes(gzip.compress(b"crawl-data/CC-MAIN-2024-22/a.warc.gz\n"))
    (tmp_path / "evil.txt").write_bytes(b"/etc/passwd\n")
    base = serve(partial(Quiet, directory=str(tmp_path)))
    files = identify(expand([f"{base}/warc.paths.gz"], base=base, allow_private_hosts=True), allow_private_hosts=True)
    assert (names(files), files[0].partition) == (["a.warc.gz"], "2024-05")
    assert files[0].size_bytes == (tmp_path / "crawl-data" / "CC-MAIN-2024-22" / "a.warc.gz").stat().st_size
    documents = list(WarcReader(files, ReadWarcConfig(allow_private_hosts=True)).run())
    assert [d.metadata["payload"] for d in documents if REJECT not in d.metadata] == [PAGE] * 4
    last = documents[-1].metadata
    record = read_record_at(files[0].path, last["offset"], last["length"], ReadWarcConfig(), allow_private_hosts=True)
    assert record.endswith(PAGE)
    with pytest.raises(FileNotFoundError):
        identify([f"{base}/nosuch.warc.gz"], allow_private_hosts=True)
    with pytest.raises(ValueError, match="may not name the local path"):
        expand([f"{base}/evil.txt"], allow_private_hosts=True)
    with pytest.raises(ValueError, match="cannot be listed"):
        expand([f"{base}/crawl-data/"], allow_private_hosts=True)
    with pytest.raises(BlockedAddressError, match="allow_private_hosts"):
        list(WarcReader(files, ReadWarcConfig()).run())


PRIVATE = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1",
    "2001:0:7f00:1::1", "192.0.0.1", "198.18.0.1", "240.0.0.1",
]  # fmt: skip


def test_addresses() -> None:
    assert not [address for address in PRIVATE if is_public(address)]
    assert all(is_public(a) for a in ("1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::101:101"))


REFUSED: list[tuple[str, type[Exception]]] = [
    *((f"http://{a}/a.warc.gz", BlockedAddressError) for a in PRIVATE if ":" not in a),
    *((f"http://[{a.split('%')[0]}]/a.warc.gz", BlockedAddressError) for a in PRIVATE if ":" in a),
    ("https://127.0.0.1/a.warc.gz", BlockedAddressError),
    ("http://localhost/a.warc.gz", BlockedAddressError),
    ("http://user@127.0.0.1/a.warc.gz", BlockedAddressError),
    ("http://example.com@127.0.0.1/a.warc.gz", BlockedAddressError),
    ("http://127.0.0.1#@example.com/a.warc.gz", BlockedAddressError),
    *((f"http://{odd}/a.warc.gz", OSError) for odd in ("2130706433", "0x7f.1", "0177.0.0.1", "127.1")),
    *((f"{scheme}://127.0.0.1/a.warc.gz", ValueError) for scheme in ("ftp", "gopher", "dict", "HTTP", "sftp", "hdfs")),
    *((f"{scheme}:///etc/a.warc.gz", ValueError) for scheme in ("file", "local", "memory", "reference", "data")),
    ("simplecache::file:///etc/a.warc.gz", ValueError),
    ("zip://a::file:///etc/a.warc.gz", ValueError),
]  # fmt: skip


@pytest.mark.parametrize(("url", "error"), REFUSED)
def test_url_is_refused(url: str, error: type[Exception]) -> None:
    with pytest.raises(error) as failure:
        identify(expand([url]))
    assert not isinstance(failure.value, FileNotFoundError)
    with pytest.raises(error):
        open_stream(url)


def test_a_redirect_is_guarded_like_a_first_request(tmp_path: Path, serve: Any) -> None:
    make(tmp_path / "a.warc.gz")
    inner = serve(partial(Quiet, directory=str(tmp_path))).replace("127.0.0.1", "127.0.0.2")
    outer = serve(Redirect)
    seen: list[str] = []

    def first_hop_only(info: tuple[Any, ...]) -> socket.socket:
        seen.append(info[4][0])
        return socket.socket(*info[:3]) if info[4][0] == "127.0.0.1" else _guarded_socket(info)

    async def get(location: str) -> None:
        connector = aiohttp.TCPConnector(socket_factory=first_hop_only)
        async with aiohttp.ClientSession(connector=connector) as session, session.get(f"{outer}/to/{location}"):
            pass

    with pytest.raises(aiohttp.ClientConnectorError) as failure:
        asyncio.run(get(f"{inner}/a.warc.gz"))
    assert isinstance(failure.value.__cause__, BlockedAddressError)
    assert seen == ["127.0.0.1", "127.0.0.2"]
    with pytest.raises(OSError, match="file:///etc/passwd"):
        open_stream(f"{outer}/to/file:///etc/passwd", allow_private_hosts=True)
