"""sha256 of a table's content: order-aware, and blind to how rows were cut into batches or files.

MLflow's own dataset digests ignore row order and Delta's versions change when nothing did; this one changes
exactly when a value, a null, a row's place, a column's name or its dtype changes.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class TableDigest:
    """Streaming digest: feed record batches in row order, then read `hexdigest()`."""

    def __init__(self, schema: pa.Schema) -> None:
        """Digest tables of `schema`; its names and dtypes are part of the digest, its metadata is not."""
        self.schema = schema
        self._leaves: dict[str, Any] = {}
        self.rows = 0

    def update(self, batch: pa.RecordBatch) -> None:
        """Add the rows of `batch`."""
        self.rows += batch.num_rows
        for field, column in zip(self.schema, batch.columns, strict=True):
            self._add(field.name, column)

    def hexdigest(self) -> str:
        """Digest of everything fed so far, 64 hex digits."""
        total = sha256()
        for field in self.schema:
            total.update(f"{field.name}:{_type_name(field.type)};".encode())
        total.update(str(self.rows).encode())
        for path in sorted(self._leaves):
            total.update(path.encode() + self._leaves[path].digest())
        return total.hexdigest()

    def _feed(self, path: str, data: bytes) -> None:
        self._leaves.setdefault(path, sha256()).update(data)

    def _add(self, path: str, array: pa.Array) -> None:
        """Feed validity, lengths and values of `array` to hashers of their own, so that batch borders vanish."""
        kind = array.type
        self._feed(f"{path}/valid", np.asarray(array.is_valid(), dtype=np.uint8).tobytes())
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            lengths = pc.fill_null(pc.list_value_length(array), 0)
            self._feed(f"{path}/length", np.asarray(lengths, dtype=np.int64).tobytes())
            self._add(f"{path}/item", array.flatten())
        elif pa.types.is_struct(kind):
            for index, field in enumerate(kind):
                self._add(f"{path}/{field.name}", pc.struct_field(array, [index]))
        elif pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind):
            dense = array.drop_null()
            self._feed(f"{path}/length", np.asarray(pc.binary_length(dense), dtype=np.int64).tobytes())
            self._feed(f"{path}/value", _dense_bytes(dense))
        elif pa.types.is_timestamp(kind):
            self._feed(f"{path}/value", np.asarray(array.drop_null().cast(pa.int64())).tobytes())
        elif pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
            self._feed(
                f"{path}/value",
                np.ascontiguousarray(array.drop_null().to_numpy(zero_copy_only=False)).tobytes(),
            )
        else:
            raise TypeError(f"column {path!r}: no digest is defined for {kind}; add it to warehouse/digest.py")


def _type_name(kind: pa.DataType) -> str:
    """The dtype in words, without the name of a list's item field (Arrow says item, Delta says element)."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list<{_type_name(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return "struct<" + ",".join(f"{field.name}:{_type_name(field.type)}" for field in kind) + ">"
    return str(kind).removeprefix("large_")


def _dense_bytes(array: pa.Array) -> bytes:
    """The value bytes of a null-free string or binary array, without what its slice leaves out."""
    if len(array) == 0:
        return b""
    _, offsets, data = array.buffers()
    width = np.int64 if pa.types.is_large_string(array.type) else np.int32
    bounds = np.frombuffer(offsets, dtype=width)[array.offset : array.offset + len(array) + 1]
    return b"" if data is None else data[int(bounds[0]) : int(bounds[-1])].to_pybytes()
