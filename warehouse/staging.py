"""Rows on their way into a table: checked, digested and written as Parquet in their order, visible to nobody yet."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction
from pyarrow import fs

from warehouse.columns import TableSchema
from warehouse.digest import TableDigest

ROW_GROUP_BYTES = 1 << 20
ROW_GROUP_ROWS = 16_384


class SchemaError(ValueError):
    """Rows that do not fit the declared table."""


class Staging:
    """Writes rows to Parquet files below the table, one file a partition run, checking and digesting them."""

    def __init__(self, uri: str, options: dict[str, str], schema: TableSchema, allowed: frozenset[str] | None) -> None:
        """Stage below `uri`; `allowed` are the partitions that rows may be of (None: any)."""
        self.filesystem = fs.PyFileSystem(DeltaStorageHandler(uri, options))
        self.schema, self.arrow, self.allowed = schema, schema.arrow, allowed
        self.stored = pa.schema([f for f in self.arrow if f.name != "partition"])
        self.digest = TableDigest(self.arrow)
        self.prefix = uuid.uuid4().hex
        self.actions: list[AddAction] = []
        self.stream: Any = None

    def write(self, rows: Iterable[pa.RecordBatch | pl.DataFrame]) -> list[AddAction]:
        """Stage everything; the files become visible only through a commit of the returned actions."""
        buffered: list[pa.RecordBatch] = []
        size = count = 0
        partition: str | None = None
        writer: pq.ParquetWriter | None = None
        seen: set[str] = set()
        for batch in self._pieces(rows):
            value = batch.column("partition")[0].as_py()
            if value != partition:
                if value in seen:
                    raise SchemaError(f"{self.schema.name}: rows of partition {value!r} are not contiguous")
                self._close(writer, partition, buffered)
                seen.add(value)
                partition, buffered, size, count = value, [], 0, 0
                writer = self._open(value)
            self.digest.update(batch)
            buffered.append(batch)
            size, count = size + batch.nbytes, count + batch.num_rows
            if size >= ROW_GROUP_BYTES or count >= ROW_GROUP_ROWS:
                self._flush(writer, buffered)
                buffered, size, count = [], 0, 0
        self._close(writer, partition, buffered)
        return self.actions

    def _pieces(self, rows: Iterable[pa.RecordBatch | pl.DataFrame]) -> Iterator[pa.RecordBatch]:
        """Checked batches, each of one partition."""
        for item in rows:
            table = item.to_arrow() if isinstance(item, pl.DataFrame) else pa.Table.from_batches([item])
            for batch in self._checked(table).to_batches():
                if batch.num_rows == 0:
                    continue
                values = batch.column("partition")
                start = 0
                for end in range(1, batch.num_rows + 1):
                    if end == batch.num_rows or values[end] != values[start]:
                        yield batch.slice(start, end - start)
                        start = end

    def _checked(self, table: pa.Table) -> pa.Table:
        missing = [n for n in self.arrow.names if n not in table.column_names]
        unknown = [n for n in table.column_names if n not in self.arrow.names]
        if missing or unknown:
            raise SchemaError(f"{self.schema.name}: missing columns {missing}, unknown columns {unknown}")
        try:
            table = table.select(self.arrow.names).cast(self.arrow)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise SchemaError(f"{self.schema.name}: {error}") from error
        if table.column("id").null_count:
            raise SchemaError(f"{self.schema.name}: rows without an id")
        strays = [p for p in table.column("partition").unique().to_pylist()
                  if p is None or (self.allowed is not None and p not in self.allowed)]  # fmt: skip
        if strays:
            raise SchemaError(f"{self.schema.name}: rows of partitions {strays}; this commit replaces {self.allowed}")
        return table

    def _open(self, partition: str) -> pq.ParquetWriter:
        path = f"partition={partition}/{self.prefix}-{len(self.actions):05}.parquet"
        self.filesystem.create_dir(f"partition={partition}", recursive=True)
        self.actions.append(add_action(path, partition, 0, 0))
        self.stream = self.filesystem.open_output_stream(path)
        # A dictionary of payloads or texts would only be built to be given up; reading it costs five times as much.
        repeating = [f.name for f in self.stored if pa.types.is_string(f.type) and f.name not in ("id", "text")]
        return pq.ParquetWriter(self.stream, self.stored, compression="zstd", use_dictionary=repeating)

    def _flush(self, writer: pq.ParquetWriter | None, batches: list[pa.RecordBatch]) -> None:
        if writer is not None and batches:
            table = pa.Table.from_batches(batches).drop_columns(["partition"])
            writer.write_table(table, row_group_size=table.num_rows)
            self.actions[-1].stats = json.dumps(
                {"numRecords": json.loads(self.actions[-1].stats)["numRecords"] + table.num_rows}
            )

    def _close(self, writer: pq.ParquetWriter | None, partition: str | None, batches: list[pa.RecordBatch]) -> None:
        if writer is None or partition is None:
            return
        self._flush(writer, batches)
        writer.close()
        self.actions[-1].size = self.stream.tell()
        self.stream.close()


def add_action(path: str, partition: str, size_bytes: int, rows: int) -> AddAction:
    """The Delta action that makes a staged file part of a table."""
    stats = json.dumps({"numRecords": rows})
    return AddAction(path, size_bytes, {"partition": partition}, int(time.time() * 1000), True, stats)
