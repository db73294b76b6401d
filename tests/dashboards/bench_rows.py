"""How long the Data page's reads take on a table of a million rows, cold: CPU and wall seconds, and memory.

python -m tests.dashboards.bench_rows [--rows 1000000]
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator

import polars as pl

from tests.peak import peak_kib, restart_peak
from warehouse.schema import TABLES
from warehouse.tables import Tables

BATCH = 100_000
TEXT = "the sum of all integers from one to n is half of n times n plus one so it grows with the square " * 15


def rows(count: int) -> Iterator[pl.DataFrame]:
    """Corpus pages of about 1,500 characters, no two the same."""
    schema = pl.Schema(TABLES["math_corpus"].arrow)
    for start in range(0, count, BATCH):
        number = pl.int_range(start, min(start + BATCH, count), eager=True).alias("number")
        frame = pl.DataFrame({"number": number}).with_columns(
            pl.format("{}", pl.col("number").hash()).str.zfill(32).alias("id"),
            pl.format("page {} {}", "number", pl.lit(TEXT)).alias("text"),
            pl.lit("all").alias("partition"),
            pl.lit([], dtype=pl.List(pl.String)).alias("parents"),
            pl.format("site{}.org", pl.col("number") % 997).alias("domain"),
            pl.when(pl.col("number") % 3 == 0).then(pl.lit("de")).otherwise(pl.lit("en")).alias("language"),
            (pl.col("number") % 50).cast(pl.Int32).alias("formulas"),
            (pl.col("number") % 1000 / 1000).cast(pl.Float32).alias("score"),
        )
        empty = [pl.lit(None, dtype=schema[c]).alias(c) for c in schema if c not in frame.columns]
        yield frame.with_columns(empty).select(list(schema)).cast(dict(schema))


def main() -> None:
    """Make the table and time the reads."""
    parser = argparse.ArgumentParser(description="The Data page's reads on a large table.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    count = parser.parse_args().rows
    logging.disable(logging.WARNING)  # Streamlit outside its server
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DASHBOARDS_WAREHOUSE"] = folder
        Tables(folder).commit(TABLES["math_corpus"], rows(count), partitions=["all"])
        from dashboards import read

        head = read.heads()["math_corpus"]
        place = (folder, "math_corpus", head)
        before = restart_peak()
        reads: dict[str, Callable[[], object]] = {
            "number of rows": lambda: read.count(*place, ""),
            "first 25 rows": lambda: read.sample(*place, "", 0, 25),
            f"25 rows from row {count * 9 // 10:,}": lambda: read.sample(*place, "", count * 9 // 10, 25),
            "25 rows under a condition": lambda: read.sample(*place, "language = 'de' AND formulas > 48", 0, 25),
            "rows under a condition": lambda: read.count(*place, "language = 'de' AND formulas > 48"),
            "values of language": lambda: read.values(*place, "language", 200_000),
            "histogram of score": lambda: read.spread(*place, "score", 200_000),
            "histogram of text length": lambda: read.spread(*place, "text", 200_000),
        }
        for name, ask in reads.items():
            cpu, wall = time.process_time(), time.perf_counter()
            ask()
            print(f"{name:<32} {time.process_time() - cpu:6.3f} CPU s  {time.perf_counter() - wall:6.3f} s")
        print(f"memory: +{(peak_kib() - before) / 1024:.0f} MB over {before / 1024:.0f} MB")


if __name__ == "__main__":
    main()
