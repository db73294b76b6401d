"""read_warc against warcio (payloads, digests), gzip (offsets) and files made record by record."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import hashlib
import io
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from warcio.archiveiterator import ArchiveIterator

from tasks.mine import warc_records
from tasks.mine.crawl_paths import identify
from tasks.mine.read_warc import STAGE, ReadWarcConfig
from tasks.mine.warc_page import record_digest
from tasks.mine.warc_records import Hole, cut_file, read_record_at
from tasks.stage import Inputs, RejectedRow
from tests.tasks.mine.warc_made import HTML, OK, raw_record, read
from warehouse.schema import CRAWL_RECORDS

CONFIG = ReadWarcConfig()
WARC_FILES = (
    "aut-ia-2008.warc.gz", "cc-main-2020-34-sample.warc.gz", "cc-main-2024-22-whirlwind.warc.gz",
    "cc-main-2024-22-whirlwind.warc.wat.gz", "cc-main-2024-22-whirlwind.warc.wet.gz", "clueweb-quirk.warc.gz",
    "dolma-sample-0000.warc.gz", "dolma-sample-0001.warc.gz", "licensed-pages-cc-shaped.warc.gz",
    "ukwa-wikipedia-2012.warc.gz", "warcio-chunked.warc", "warcio-example.warc.gz",
)  # fmt: skip


@pytest.mark.parametrize("name", WARC_FILES)
def test_pages_are_those_of_warcio(rigor_data: Path, name: str) -> None:
    path = rigor_data / "web" / "warc" / name
    rows, rejects = read(path)
    by_url: dict[tuple[str, str], list[tuple[bytes, str]]] = {}
    records = 0
    with path.open("rb") as stream:
        for record in ArchiveIterator(stream):
            records += 1
            if record.rec_type in ("response", "conversion", "resource"):
                url = record.rec_headers.get_header("WARC-Target-URI")
                stated = record.rec_headers.get_header("WARC-Payload-Digest") or ""
                by_url.setdefault((record.rec_type, url), []).append((record.content_stream().read(), stated))
    assert records == len(rows) + len(rejects)
    assert not any(reason in ("truncated", "wrong length", "bad gzip member") for reason, _ in rejects)
    for row in rows:
        twins = [t for kind in ("response", "conversion", "resource") for t in by_url.get((kind, row["url"]), ())]
        match = [stated for payload, stated in twins if payload == row["payload"]]
        assert match, row["url"]
        if "clueweb" not in name:  # its digests are over something else
            both = {row["digest"], "sha1:" + base64.b32decode(row["digest"][5:]).hex()}
            assert both & set(match) or not any(s.startswith("sha1:") for s in match)
        row["payload"].decode(row["charset"], errors="replace")


@pytest.mark.parametrize("name", WARC_FILES)
def test_offset_and_length_lead_back_to_the_bytes(rigor_data: Path, name: str) -> None:
    path = rigor_data / "web" / "warc" / name
    stored = path.read_bytes()
    rows, _ = read(path)
    for row in rows:
        record = read_record_at(str(path), row["offset"], row["length"], CONFIG)
        assert record_digest(record, CONFIG) == row["digest"]
        piece = stored[row["offset"] : row["offset"] + row["length"]]
        assert (gzip.decompress(piece) if name.endswith(".gz") else piece).startswith(record)


def test_kept_and_rejected_of_real_files(rigor_data: Path) -> None:
    folder = rigor_data / "web" / "warc"
    kept = {name: len(read(folder / name)[0]) for name in WARC_FILES}
    assert kept["cc-main-2020-34-sample.warc.gz"] == 16
    assert kept["clueweb-quirk.warc.gz"] == 29
    assert kept["licensed-pages-cc-shaped.warc.gz"] == 210
    assert kept["cc-main-2024-22-whirlwind.warc.wat.gz"] == 0
    wet, _ = read(folder / "cc-main-2024-22-whirlwind.warc.wet.gz")
    assert (wet[0]["kind"], wet[0]["status"], wet[0]["charset"], wet[0]["mime"]) == (
        "text",
        None,
        "utf-8",
        "text/plain",
    )
    clueweb, _ = read(folder / "clueweb-quirk.warc.gz")  # no date of its own is one: the server's counts
    assert clueweb[0]["crawl_date"] == dt.datetime(2009, 1, 28, 17, 5, 56, tzinfo=dt.UTC)
    rows, rejects = read(folder / "resiliparse-clipped.warc.gz")
    assert (rows, [reason for reason, _ in rejects]) == ([], ["truncated"])
    chinese = [r for r in read(folder / "cc-main-2020-34-sample.warc.gz")[0] if r["charset"] == "gbk"]
    assert chinese
    assert all("的" in r["payload"].decode("gbk", errors="replace") for r in chinese)


def lies(record: bytes) -> dict[str, bytes]:
    flipped = bytearray(gzip.compress(record))
    flipped[len(flipped) // 2] ^= 0xFF
    return {
        "flipped byte": bytes(flipped),
        "cut member": gzip.compress(record)[:-40],
        "swallows the next": gzip.compress(record, 0)[:40],
        "garbage": random.Random(1).randbytes(5000),
        "empty member": gzip.compress(b""),
        "no record": gzip.compress(b"hello" * 100),
    }


@pytest.mark.parametrize("damage", lies(b""))
def test_damage_costs_one_record_and_is_a_hole_of_exact_place(tmp_path: Path, damage: str) -> None:
    records = [raw_record(OK + HTML + bytes([i])) for i in range(b"a"[0], b"e"[0])]
    bad = lies(raw_record(OK + HTML))[damage]
    before, after = [gzip.compress(r) for r in records[:2]], [gzip.compress(r) for r in records[2:]]
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join([*before, bad, *after]))
    rows, rejects = read(path)
    assert [row["payload"][-1:] for row in rows] == [b"a", b"b", b"c", b"d"]
    assert len(rejects) == 1
    (hole,) = [item for item in cut_file(str(path), CONFIG) if isinstance(item, Hole)]
    assert (hole.offset, hole.length) == (len(b"".join(before)), len(bad))


@pytest.mark.parametrize("form", ["plain", "whole-file gzip", "zstd", "LF headers", "two a member"])
def test_positions_where_records_are_not_members(tmp_path: Path, form: str) -> None:
    bodies = [HTML + str(i).encode() for i in range(40)]
    records = [raw_record(OK + b, eol=b"\n" if form == "LF headers" else b"\r\n") for b in bodies]
    data = b"".join(records)
    if form == "whole-file gzip":
        data = gzip.compress(data)
    elif form == "zstd":
        data = pa.Codec("zstd").compress(data, asbytes=True)
    elif form == "two a member":
        data = b"".join(gzip.compress(records[i] + records[i + 1]) for i in range(0, 40, 2))
    path = tmp_path / "a.warc"
    path.write_bytes(data)
    rows, rejects = read(path)
    assert not rejects
    assert [row["payload"] for row in rows] == bodies
    assert len({row["offset"] for row in rows}) == 40
    for row, body in zip(rows[::7], bodies[::7], strict=True):
        assert read_record_at(str(path), row["offset"], row["length"], CONFIG).endswith(OK + body)
    with pytest.raises(LookupError):
        read_record_at(str(path), 3, 77, CONFIG)


@pytest.mark.parametrize("form", ["plain", "gzip", "zstd"])
def test_a_connection_that_breaks_is_no_damage_of_the_file(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(1)
    data = b"".join(raw_record(OK + draw.randbytes(20_000)) for _ in range(40))
    data = {"plain": data, "gzip": gzip.compress(data), "zstd": pa.Codec("zstd").compress(data, asbytes=True)}[form]

    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > len(data) // 3:
                raise ConnectionResetError("reset by peer")
            return super().read(size)

    monkeypatch.setattr(warc_records, "open_stream", lambda *_, **__: Breaking(data))
    with pytest.raises(ConnectionResetError):
        list(cut_file("https://host/a.warc", CONFIG))


def test_a_lying_length_in_a_plain_file_loses_no_later_record(tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    huge = raw_record(OK + HTML, length=10**15)
    path.write_bytes(b"".join([huge, raw_record(OK + HTML + b"1"), huge, raw_record(OK + HTML + b"2")]))
    rows, rejects = read(path)
    assert [row["payload"][-1:] for row in rows] == [b"1", b"2"]
    assert [reason for reason, _ in rejects] == ["wrong length", "wrong length"]


def test_a_page_too_large_is_passed_over_even_with_a_record_inside(tmp_path: Path) -> None:
    forged = raw_record(OK + HTML, WARC_Target_URI="http://forged.example.com/")
    block = OK + b"<html>" + b" " * (1 << 20) + b"\r\n\r\n" + forged + b" " * 99
    path = tmp_path / "a.warc"
    path.write_bytes(raw_record(block) + raw_record(OK + HTML))
    rows, rejects = read(path, max_payload_bytes=1 << 19)
    assert [row["url"] for row in rows] == ["http://a.example.org/p"]
    assert [reason for reason, _ in rejects] == ["payload too large"]


def test_arc(tmp_path: Path) -> None:
    def arc(url: str, mime: str, block: bytes) -> bytes:
        return f"{url} 192.0.2.1 20040712010203 {mime} {len(block)}\n".encode() + block + b"\n"

    version = b"1 0 InternetArchive\nURL IP-address Archive-date Content-type Archive-length\n\n"
    records = [
        arc("filedesc://a.arc", "text/plain", version),
        arc("http://www.math.example.edu/x", "text/html", OK + HTML),
        arc("dns:example.edu", "text/dns", b"x"),
        arc("http://example.edu/old", "text/html", HTML),  # HTTP/0.9
    ]
    for name, data in (("a.arc", b"".join(records)), ("a.arc.gz", b"".join(map(gzip.compress, records)))):
        path = tmp_path / name
        path.write_bytes(data)
        rows, rejects = read(path)
        with path.open("rb") as stream:
            expected = [r.content_stream().read() for r in ArchiveIterator(stream) if r.rec_type == "response"]
        assert [row["payload"] for row in rows] == [HTML, HTML] == [expected[0], HTML]
        assert [row["status"] for row in rows] == [200, None]
        assert rows[0]["crawl_date"] == dt.datetime(2004, 7, 12, 1, 2, 3, tzinfo=dt.UTC)
        assert [reason for reason, _ in rejects] == ["not a page: dns", "not a page: warcinfo"]
        for row in rows:
            record = read_record_at(str(path), row["offset"], row["length"], CONFIG)
            assert record_digest(record, CONFIG) == row["digest"]


class Told:
    """A report that remembers."""

    def __init__(self) -> None:
        self.count, self.rejected = 0, list[RejectedRow]()

    def metric(self, name: str, value: float, step: int | None = None) -> None: ...
    def progress(self, done: int, total: int, unit: str = "rows") -> None: ...
    def figure(self, name: str, figure: Any) -> None: ...
    def table(self, name: str, frame: Any) -> None: ...
    def cpu_seconds(self, seconds: float) -> None: ...
    def rows_in(self, count: int) -> None:
        self.count += count

    def reject(self, rows: Iterable[RejectedRow]) -> None:
        self.rejected += rows


def test_stage_reconciles_and_ignores_the_number_of_workers(rigor_data: Path, tmp_path: Path) -> None:
    names = ["cc-main-2020-34-sample.warc.gz", "warcio-example.warc.gz", "resiliparse-clipped.warc.gz"]
    files = identify([str(rigor_data / "web" / "warc" / name) for name in names])
    tables = []
    for workers in (1, 2):
        told = Told()
        inputs = Inputs(files={"crawl": files}, scratch=tmp_path / str(workers), workers=workers)
        table = pa.Table.from_batches(STAGE.run(CONFIG, inputs, told), CRAWL_RECORDS.arrow)
        assert told.count == table.num_rows + sum(r.reject.count for r in told.rejected)
        tables.append(table)
    assert tables[0].equals(tables[1])
    rows = tables[0].to_pylist()
    assert len({row["id"] for row in rows}) == len(rows) == 17
    assert Counter(r.reject.reason for r in told.rejected)["truncated"] == 1
    assert {row["partition"] for row in rows} == {"2020-08", "all"}
    assert all(row["digest"].startswith("sha1:") and row["parents"] == [] for row in rows)
    assert hashlib.sha256(rows[0]["payload"]).digest() != hashlib.sha256(rows[1]["payload"]).digest()
