"""Read seed texts: JSON lines (plain, .gz or .zst) or Parquet files with a text, problem or question column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import polars as pl

from tasks.stage import SourceFile

TEXT_COLUMNS = ("text", "problem", "question")
JSONL_NAMES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".ndjson")


class SeedError(ValueError):
    """A seed file that cannot be used; the message names the file and what is wrong."""


def read_seeds(files: Sequence[SourceFile]) -> list[str]:
    """The distinct, non-empty texts of the files, in file and row order.

    The first of `text`, `problem`, `question` that a file has is read.

    Raises:
        SeedError: a file is missing, of another kind, unreadable, without such a column, or all are empty.
    """
    texts = dict.fromkeys(text for file in files for text in _read(file.path))
    if files and not texts:
        raise SeedError(f"no text in the seed files {[file.path for file in files]}")
    return list(texts)


def _read(path: str) -> list[str]:
    name = PurePosixPath(path).name.lower()
    if not name.endswith((".parquet", *JSONL_NAMES)):
        raise SeedError(f"{path}: seed files are named *.parquet or {', '.join('*' + n for n in JSONL_NAMES)}")
    try:
        frame = pl.scan_parquet(path) if name.endswith(".parquet") else pl.scan_ndjson(path, infer_schema_length=None)
        columns = frame.collect_schema().names()
        column = next((c for c in TEXT_COLUMNS if c in columns), None)
        if column is None:
            raise SeedError(f"{path}: has columns {columns}, needs one of {', '.join(TEXT_COLUMNS)}")
        rows = frame.select(pl.col(column)).collect().get_column(column)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SeedError(f"{path}: cannot be read: {error}") from error
    if rows.dtype != pl.String:
        raise SeedError(f"{path}: column {column!r} holds {rows.dtype}, not text")
    return [text for text in rows if text is not None and text.strip()]
