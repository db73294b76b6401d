"""Where a row lies, and what was made from it: one small sorted file beside each table artifact.

An entry is (first 64 bits of an id, row, link). With `link` false the row has that id; with `link` true the row was
made from the row of that id. Entries are sorted by id in runs of `RUN_ENTRIES`, so the row groups' own statistics
say which one to read. The index is derived data: without it, or with one of other content, a lookup scans.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.fs import DeltaStorageHandler
from pyarrow import fs

from warehouse.tables import Tables

if TYPE_CHECKING:
    from warehouse.lineage import ArtifactRef

FOLDER = "row_index"
RUN_ENTRIES = 4_000_000
"""Entries that are sorted together; bounds the memory of writing (about 30 bytes an entry)."""
GROUP_ENTRIES = 32_768
KEY_DIGITS = 16
FORMAT = 1

Keys = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]

_SCHEMA = pa.schema([("key", pa.uint64()), ("row", pa.uint32()), ("link", pa.bool_())])
_NIBBLES = np.full(256, 255, np.uint8)
_NIBBLES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16, dtype=np.uint8)


class IndexUnusableError(LookupError):
    """There is no index of an artifact, or not of its content; the message says which."""


def write(tables: Tables, ref: ArtifactRef) -> None:
    """Write the index of a committed table artifact; an older one of the same fingerprint is replaced."""
    view = tables.view(ref.name, ref.version, ref.partitions)
    source = store(tables, ref.name)
    files: list[tuple[str, int]] = []
    complete = True
    store(tables).create_dir(FOLDER, recursive=True)
    with store(tables).open_output_stream(_path(ref)) as stream, pq.ParquetWriter(
        stream, _SCHEMA, compression="zstd", compression_level=1, use_dictionary=False,
        column_encoding={"key": "DELTA_BINARY_PACKED", "row": "PLAIN", "link": "RLE"}, write_page_checksum=True,
    ) as writer:  # fmt: skip
        run, first = _Run(writer), 0
        for path in view.paths:
            file = pq.ParquetFile(source.open_input_file(path))
            files.append((path, file.metadata.num_rows))
            for batch in file.iter_batches(columns=["id", "parents"]):
                complete &= run.add(batch.column("id"), batch.column("parents"), first)
                first += batch.num_rows
        run.flush()
        facts = {"format": FORMAT, "digest": ref.digest, "complete": complete, "files": files}
        writer.add_key_value_metadata({"rigor": json.dumps(facts)})


class RowIndex:
    """The index of one artifact, opened."""

    def __init__(self, tables: Tables, ref: ArtifactRef) -> None:
        """Open it.

        Raises:
            IndexUnusableError: there is none, it is damaged, or it is of other content than `ref`.
        """
        try:
            self._file = pq.ParquetFile(store(tables).open_input_file(_path(ref)), page_checksum_verification=True)
        except FileNotFoundError as error:
            raise IndexUnusableError(f"{ref} has no row index") from error
        except (pa.ArrowInvalid, OSError) as error:
            raise IndexUnusableError(f"the row index of {ref} is damaged") from error
        facts = json.loads((self._file.metadata.metadata or {}).get(b"rigor", b"{}"))
        if facts.get("format") != FORMAT or facts["digest"] != ref.digest or not facts["complete"]:
            raise IndexUnusableError(f"the row index of {ref} is stale")
        self.files: tuple[tuple[str, int], ...] = tuple((path, rows) for path, rows in facts["files"])
        self._ref = ref

    def holding(self, keys: Keys) -> Positions:
        """Rows that may have one of these ids (a 64-bit key stands for the id), ascending."""
        return self._rows(keys, keys, link=False)

    def made_from(self, keys: Keys) -> Positions:
        """Rows that may name one of these ids as a parent, ascending."""
        return self._rows(keys, keys, link=True)

    def beginning(self, prefix: str) -> Positions:
        """Rows whose ids may begin with `prefix`, ascending."""
        head = prefix[:KEY_DIGITS]
        low, high = (int(head.ljust(KEY_DIGITS, fill), 16) for fill in "0f")
        return self._rows(np.array([low], np.uint64), np.array([high], np.uint64), link=False)

    def _rows(self, low: Keys, high: Keys, *, link: bool) -> Positions:
        """Rows of the entries whose key lies within one of the closed ranges."""
        first, last = self._bounds
        wanted = [g for g in range(len(first)) if bool(np.any((low <= last[g]) & (high >= first[g])))]
        if not wanted:
            return np.empty(0, np.int64)
        try:
            read = self._file.read_row_groups(wanted)
        except (pa.ArrowInvalid, OSError) as error:
            raise IndexUnusableError(f"the row index of {self._ref} is damaged") from error
        keys, rows, links = (read.column(name).to_numpy() for name in ("key", "row", "link"))
        order = np.argsort(low)  # ranges do not overlap: the last one that begins at or below a key may hold it
        place = np.searchsorted(low[order], keys, side="right") - 1
        inside = (place >= 0) & (keys <= high[order][np.maximum(place, 0)]) & (links == link)
        return np.unique(rows[inside]).astype(np.int64)

    @cached_property
    def _bounds(self) -> tuple[Keys, Keys]:
        """Least and greatest key of each row group, from the file's footer."""
        facts = self._file.metadata
        bounds = [facts.row_group(g).column(0).statistics for g in range(facts.num_row_groups)]
        return np.array([b.min for b in bounds], np.uint64), np.array([b.max for b in bounds], np.uint64)


def keys_of(ids: pa.Array | Sequence[str]) -> tuple[Keys, npt.NDArray[np.bool_]]:
    """(the first 64 bits of each id, whether it is an id at all: 32 lower-case hex digits).

    What is no id has no key: the first result is as long as there are true values in the second.
    """
    array = ids if isinstance(ids, pa.Array) else pa.array(ids, pa.string())
    valid = np.asarray(pc.fill_null(pc.equal(pc.binary_length(array), 32), False), dtype=np.bool_)
    kept = array if valid.all() else array.filter(pa.array(valid))
    ascii_only = np.asarray(pc.string_is_ascii(kept), dtype=np.bool_)
    if not ascii_only.all():
        valid[np.flatnonzero(valid)[~ascii_only]] = False
        kept = kept.filter(pa.array(ascii_only))
    if len(kept) == 0:
        return np.empty(0, np.uint64), valid
    heads = pc.utf8_slice_codeunits(kept, 0, KEY_DIGITS)
    raw = np.frombuffer(heads.buffers()[2], np.uint8)[: len(heads) * KEY_DIGITS].reshape(-1, KEY_DIGITS)
    nibbles = _NIBBLES[raw]
    hexadecimal = nibbles.max(axis=1) < 16
    if not hexadecimal.all():
        valid[np.flatnonzero(valid)[~hexadecimal]] = False
        nibbles = nibbles[hexadecimal]
    packed = np.ascontiguousarray((nibbles[:, 0::2] << 4) | nibbles[:, 1::2])
    return packed.view(">u8")[:, 0].astype(np.uint64), valid


class _Run:
    """Collects entries and writes them sorted, a run at a time."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._parts: list[tuple[Keys, npt.NDArray[np.uint32], npt.NDArray[np.bool_]]] = []
        self._count = 0

    def add(self, ids: pa.Array, parents: pa.Array, first: int) -> bool:
        """Take the rows from number `first` on; False where one of their own ids is no id."""
        rows = np.arange(first, first + len(ids), dtype=np.uint32)
        own, valid = keys_of(ids)
        above, traced = keys_of(parents.flatten())
        lengths = np.asarray(pc.fill_null(pc.list_value_length(parents), 0), dtype=np.int64)
        for keys, places, link in ((own, rows[valid], False), (above, np.repeat(rows, lengths)[traced], True)):
            self._parts.append((keys, places, np.full(len(keys), link)))
            self._count += len(keys)
        if self._count >= RUN_ENTRIES:
            self.flush()
        return bool(valid.all())

    def flush(self) -> None:
        """Sort and write what was taken."""
        if self._count == 0:
            return
        keys, rows, links = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        order = np.argsort(keys)
        table = pa.table([keys[order], rows[order], links[order]], schema=_SCHEMA)
        self._writer.write_table(table, row_group_size=GROUP_ENTRIES)
        self._parts, self._count = [], 0


def store(tables: Tables, name: str = "") -> fs.PyFileSystem:
    """The file system of a table's folder, or of the whole warehouse."""
    uri: str = tables.table_uri(name) if name else tables.uri
    return fs.PyFileSystem(DeltaStorageHandler(uri, dict(tables.storage_options)))


def _path(ref: ArtifactRef) -> str:
    return f"{FOLDER}/{ref.fingerprint}.parquet"
