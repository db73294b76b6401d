"""Delta tables: rows are staged as Parquet in their order, then committed atomically, one partition set at a time.

A commit replaces exactly the partitions it names. Readers keep the snapshot they opened. Files of a killed
writer are never visible: they are in no commit.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, Field, Schema
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction, CommitProperties
from pyarrow import fs

from warehouse.columns import TableSchema
from warehouse.digest import TableDigest
from warehouse.schema import TABLES
from warehouse.staging import SchemaError, Staging, add_action

COMMIT_TRIES = 60
FOREVER = "interval 36500 days"


@dataclass(frozen=True)
class TableView:
    """Some partitions of some versions of one table. Small and picklable: workers open it themselves."""

    uri: str
    parts: tuple[tuple[int, tuple[str, ...] | None], ...]
    """(version, its partitions; None: all of them). No partition may come twice."""
    storage_options: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _snapshot(self) -> tuple[list[tuple[str, str]], pa.Schema]:
        """(partition, path below the table) in row order: partitions sorted, files as they were staged; the columns."""
        files: list[tuple[str, str]] = []
        for version, partitions in self.parts:
            table = self._open(version)
            actions = pa.table(table.get_add_actions(flatten=True))
            pairs = zip(actions["partition.partition"].to_pylist(), actions["path"].to_pylist(), strict=True)
            files += [(p, path) for p, path in pairs if partitions is None or p in partitions]
        return sorted(files), pa.schema(table.schema())

    @property
    def _files(self) -> list[tuple[str, str]]:
        return self._snapshot[0]

    @property
    def _schema(self) -> pa.Schema:
        return self._snapshot[1]

    def _open(self, version: int) -> DeltaTable:
        return DeltaTable(self.uri, version=version, storage_options=dict(self.storage_options))

    @property
    def paths(self) -> tuple[str, ...]:
        """The Parquet files below the table's folder, in row order."""
        return tuple(path for _, path in self._files)

    def scan(self) -> pl.LazyFrame:
        """Lazy Polars frame over the view, rows in their committed order."""
        frames = []
        base = self.uri.rstrip("/")
        for partition in dict.fromkeys(p for p, _ in self._files):
            paths = [f"{base}/{path}" for p, path in self._files if p == partition]
            frames.append(
                pl.scan_parquet(paths, storage_options=dict(self.storage_options) or None, hive_partitioning=False,
                                glob=False)  # a folder's name may have brackets
                .with_columns(pl.lit(partition).alias("partition"))
            )  # fmt: skip
        if not frames:
            empty = pl.from_arrow(self._schema.empty_table())
            assert isinstance(empty, pl.DataFrame)  # noqa: S101 narrows the type: a table is a frame
            return empty.lazy()
        return pl.concat(frames).select(self._schema.names)

    def batches(
        self, columns: Sequence[str] | None = None, *, rank: int = 0, world_size: int = 1
    ) -> Iterator[pa.RecordBatch]:
        """Record batches of the contiguous share `rank` of `world_size`; in rank order they are the whole view."""
        filesystem = fs.PyFileSystem(DeltaStorageHandler(self.uri, dict(self.storage_options)))
        names = list(columns) if columns is not None else self._schema.names
        files = [(partition, pq.ParquetFile(filesystem.open_input_file(path))) for partition, path in self._files]
        groups = [(p, file, group) for p, file in files for group in range(file.num_row_groups)]
        for index, (partition, file, group) in enumerate(groups):
            if index * world_size // len(groups) != rank:
                continue
            table = file.read_row_group(group, columns=[n for n in names if n != "partition"])
            if "partition" in names:
                table = table.append_column("partition", pa.array([partition] * table.num_rows, pa.string()))
            yield from table.select(names).to_batches()

    @property
    def row_groups(self) -> int:
        """Number of Parquet row groups: the most ranks among which `batches` can share the view."""
        filesystem = fs.PyFileSystem(DeltaStorageHandler(self.uri, dict(self.storage_options)))
        return sum(pq.ParquetFile(filesystem.open_input_file(path)).num_row_groups for path in self.paths)

    @property
    def rows(self) -> int:
        """Number of rows, from the files' metadata."""
        return int(self.scan().select(pl.len()).collect().item())

    def digest(self) -> str:
        """Content digest, computed by reading everything (a commit computes the same while writing)."""
        digest = TableDigest(self._schema)
        for batch in self.batches():
            digest.update(batch)
        return digest.hexdigest()


@dataclass(frozen=True)
class Committed:
    """What a commit made."""

    version: int
    rows: int
    digest: str


class Tables:
    """The Delta tables below one folder or bucket prefix."""

    def __init__(self, uri: str, storage_options: Mapping[str, str] | None = None) -> None:
        """`uri` is a folder or an object-store URL (`s3://…`); options are object_store's (`AWS_…`)."""
        self.uri, self.storage_options = uri.rstrip("/"), dict(storage_options or {})
        self._opened: dict[str, DeltaTable] = {}

    def table_uri(self, name: str) -> str:
        """Where the table lies."""
        return f"{self.uri}/{name}"

    def view(self, name: str, version: int | None = None, partitions: Iterable[str] | None = None) -> TableView:
        """A view of a version (the newest by default).

        Raises:
            TableNotFoundError: there is no such table or version.
        """
        newest = self.newest(name)
        version = newest if version is None else version
        if not 0 <= version <= newest:  # the log is kept forever: no version in between can be missing
            raise TableNotFoundError(f"table {name} has no version {version}; the newest is {newest}")
        wanted = None if partitions is None else tuple(sorted(partitions))
        return TableView(self.table_uri(name), ((version, wanted),), self.storage_options)

    def newest(self, name: str) -> int:
        """The newest version's number: a table that was opened before reads only what was committed since.

        Raises:
            TableNotFoundError: there is no such table.
        """
        if name in self._opened:
            self._opened[name].update_incremental()
        else:
            self._opened[name] = DeltaTable(self.table_uri(name), storage_options=self.storage_options)
        return self._opened[name].version()

    def names(self) -> list[str]:
        """The declared tables that have a first commit."""
        return sorted(name for name in TABLES if self.exists(name))

    def exists(self, name: str) -> bool:
        """Whether the table has a first commit."""
        return DeltaTable.is_deltatable(self.table_uri(name), self.storage_options)

    def history(self, name: str) -> list[dict[str, Any]]:
        """Commits of the table, newest first, with the metadata given to `commit`."""
        return DeltaTable(self.table_uri(name), storage_options=self.storage_options).history()

    def commit(
        self,
        schema: TableSchema,
        rows: Iterable[pa.RecordBatch | pl.DataFrame],
        *,
        partitions: Iterable[str] | None,
        metadata: Mapping[str, str] | None = None,
    ) -> Committed:
        """Stage `rows`, check them against `schema`, and replace `partitions` with them in one atomic commit.

        Rows of a partition must be contiguous. `partitions=None` appends instead (for logs such as lineage).

        Raises:
            SchemaError: a column is missing, unknown or of another dtype, or a row is of another partition.
        """
        self._create(schema)
        allowed = None if partitions is None else frozenset(partitions)
        staged = Staging(self.table_uri(schema.name), self.storage_options, schema, allowed)
        actions = staged.write(rows)
        version = self._transact(schema, actions, allowed, metadata or {})
        return Committed(version, staged.digest.rows, staged.digest.hexdigest())

    def restore(self, schema: TableSchema, version: int, partitions: Iterable[str], metadata: Mapping[str, str]) -> int:
        """Make `partitions` of the newest version what they were at `version`, by reference; returns the version."""
        wanted = frozenset(partitions)
        old = DeltaTable(self.table_uri(schema.name), version=version, storage_options=self.storage_options)
        actions = [
            add_action(a["path"], a["partition.partition"], a["size_bytes"], a["num_records"])
            for a in pa.table(old.get_add_actions(flatten=True)).to_pylist()
            if a["partition.partition"] in wanted
        ]
        return self._transact(schema, actions, wanted, metadata)

    def _create(self, schema: TableSchema) -> None:
        if self.exists(schema.name):
            self._same_columns(schema)
            return
        fields = Schema.from_arrow(schema.arrow)
        described = [Field(f.name, f.type, metadata={"comment": c.metadata[b"meaning"].decode()})
                     for f, c in zip(fields.fields, schema.arrow, strict=True)]  # fmt: skip
        DeltaTable.create(
            self.table_uri(schema.name), Schema(described), mode="ignore", partition_by=["partition"],
            name=schema.name, description=schema.meaning, storage_options=self.storage_options,
            configuration={"delta.logRetentionDuration": FOREVER, "delta.deletedFileRetentionDuration": FOREVER},
        )  # fmt: skip

    def _same_columns(self, schema: TableSchema) -> None:
        """Refuse to write beside files of other columns: no reader could put the two together."""
        table = DeltaTable(self.table_uri(schema.name), storage_options=self.storage_options)
        stored = {f.name: f.type for f in pa.schema(table.schema())}
        declared = {f.name: f.type for f in pa.schema(Schema.from_arrow(schema.arrow))}
        differ = sorted(n for n in stored.keys() | declared.keys() if stored.get(n) != declared.get(n))
        if differ:
            raise SchemaError(
                f"table {schema.name} in {self.uri} was made by another version of Rigor: {', '.join(differ)} differ;"
                " keep that warehouse for the old version and choose another one (RIGOR_HOME or RIGOR_WAREHOUSE)"
            )

    def _transact(
        self,
        schema: TableSchema,
        actions: list[AddAction],
        allowed: frozenset[str] | None,
        metadata: Mapping[str, str],
    ) -> int:
        """Commit, and on a conflict reload and try again: files are staged already, so a retry costs little."""
        for attempt in range(COMMIT_TRIES):
            table = DeltaTable(self.table_uri(schema.name), storage_options=self.storage_options)
            base = table.version()  # no retries inside: success means that ours is the next version
            try:
                table.create_write_transaction(
                    actions,  # type: ignore[arg-type]  # list is invariant in the stub
                    "append" if allowed is None else "overwrite",
                    table.schema(),
                    ["partition"],
                    None if allowed is None else [("partition", "in", sorted(allowed))],
                    commit_properties=CommitProperties(custom_metadata=dict(metadata), max_commit_retries=0),
                )
            except CommitFailedError:
                if attempt == COMMIT_TRIES - 1:
                    raise
                time.sleep(0.005 * (attempt + 1))
                continue
            return base + 1
        raise AssertionError("unreachable")


__all__ = ["Committed", "SchemaError", "TableNotFoundError", "TableView", "Tables"]
