"""Times `rigor trace` on a synthetic lineage: 10M rows in nine tables, models between; and what the index costs.

    python -m tests.bench.bench_trace [--rows 10000000] [--folder /tmp/bench-trace]

CPU seconds of this process, one thread. Each trace opens the warehouse anew, as the command does. The files are in the
page cache; a cold disk adds its reads, which are printed as bytes.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from warehouse.columns import Column, TableSchema
from warehouse.lineage import ArtifactRef, Lineage
from warehouse.row_index import FOLDER
from warehouse.tables import Tables
from warehouse.walk import Limits, Walk

BATCH_ROWS = 1 << 16
HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
SHARES = {  # (share of all rows, (parent table, parents a row), models read)
    "crawl_records": (0.25, None, ()),
    "pages": (0.24, ("crawl_records", 1), ()),
    "math_corpus": (0.10, ("pages", 1), ()),
    "problems": (0.06, None, ()),
    "tokens": (0.04, ("math_corpus", 8), ("tokenizer",)),
    "rollouts": (0.20, ("problems", 1), ("rigor-base",)),
    "rejection_samples": (0.06, ("rollouts", 1), ("rigor-zero",)),
    "sft_set": (0.04, ("rejection_samples", 1), ()),
    "eval_samples": (0.01, ("problems", 1), ("rigor-r1",)),
}
MODELS = {"tokenizer": ("math_corpus",), "rigor-base": ("tokens",), "rigor-zero": ("problems", "rollouts"),
          "rigor-r1": ("sft_set",)}  # fmt: skip
ORDER = ("crawl_records", "pages", "math_corpus", "tokenizer", "problems", "tokens", "rigor-base", "rollouts",
         "rigor-zero", "rejection_samples", "sft_set", "rigor-r1", "eval_samples")  # fmt: skip


def ids(table: str, numbers: np.ndarray) -> pa.Array:
    """Ids as evenly spread as content hashes, made from a row's number by two rounds of splitmix64."""
    halves = []
    for salt in (1, 2):
        x = numbers.astype(np.uint64) + np.uint64((list(SHARES).index(table) * 2 + salt) << 40)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        halves.append((x ^ (x >> np.uint64(31))).astype(">u8").view(np.uint8).reshape(-1, 8))
    raw = np.concatenate(halves, axis=1)
    text = np.stack([HEX[raw >> 4], HEX[raw & 15]], axis=2).reshape(-1)
    offsets = np.arange(len(numbers) + 1, dtype=np.int32) * 32
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text)))


def batches(table: str, rows: int, counts: dict[str, int], schema: TableSchema) -> Iterator[pa.RecordBatch]:
    """Rows of a table; the parents of row n are the rows n * each, n * each + 1, … of the table above, as they fit."""
    link = SHARES[table][1]
    for first in range(0, rows, BATCH_ROWS):
        numbers = np.arange(first, min(first + BATCH_ROWS, rows))
        each = link[1] if link else 0
        above = (numbers[:, None] * each + np.arange(each)).reshape(-1)
        flat = ids(link[0], above % counts[link[0]]) if link else pa.array([], pa.string())
        parents = pa.ListArray.from_arrays(np.arange(len(numbers) + 1, dtype=np.int32) * each, flat)
        columns = [ids(table, numbers), parents, pa.array(["all"] * len(numbers)), pa.array(numbers, pa.int64())]
        yield pa.RecordBatch.from_arrays(columns, schema=schema.arrow)


def make(folder: Path, total: int) -> dict[str, int]:
    """The warehouse; prints what each commit and its index took."""
    tables = Tables(str(folder))
    lineage, made, counts = Lineage(tables), {}, {}
    print(f"{'table':<18}{'rows':>12}{'commit s':>10}{'index s':>9}{'table MB':>10}{'index MB':>10}")
    for number, name in enumerate(ORDER):
        if name in MODELS:
            ref = ArtifactRef(name=name, kind="model", version=1, partitions=("all",), digest=name,
                              fingerprint=f"{number:032x}")  # fmt: skip
            read = MODELS[name]
        else:
            share, link, models = SHARES[name]
            counts[name] = int(total * share)
            schema = TableSchema(name, "rows of a bench", ("n",), (Column("n", pa.int64(), "a number"),))
            start = time.process_time()
            done = tables.commit(schema, batches(name, counts[name], counts, schema), partitions=["all"])
            commit = time.process_time() - start
            ref = ArtifactRef(name=name, kind="table", version=done.version, partitions=("all",), digest=done.digest,
                              fingerprint=f"{number:032x}", rows=done.rows)  # fmt: skip
            read = ((link[0],) if link else ()) + models
        edges = [made[other].model_dump(exclude={"rows"}) for other in read]
        start = time.process_time()
        lineage.record({**ref.model_dump(), "partitions": ["all"], "stage": f"make_{name}", "stage_version": "1",
                        "rows_in": 0, "rejected": 0, "config": "{}", "inputs": edges, "mlflow_run": name,
                        "prefect_run": "", "git_sha": "", "started": dt.datetime.now(dt.UTC), "seconds": 1.0,
                        "cpu_seconds": 1.0})  # fmt: skip
        spent = time.process_time() - start
        made[name] = ref
        if ref.kind == "table":
            size = sum(f.stat().st_size for f in (folder / name).rglob("*.parquet")) / 1e6
            index = (folder / FOLDER / f"{ref.fingerprint}.parquet").stat().st_size / 1e6
            print(f"{name:<18}{ref.rows:>12,}{commit:>10.2f}{spent:>9.2f}{size:>10.1f}{index:>10.1f}", flush=True)
    return counts


def timed(folder: Path, counts: dict[str, int], table: str, direction: str, tries: int) -> None:
    """Prints median and worst of `tries` walks from rows of a table."""
    draw = np.random.default_rng(7)
    clock, cpu, nodes = [], [], []
    for number in draw.integers(0, counts[table], tries):
        target = ids(table, np.array([number]))[0].as_py()
        start, begin = time.perf_counter(), time.process_time()
        found = Walk(Lineage(Tables(str(folder))), Limits()).trace(target, direction)
        cpu.append(time.process_time() - begin)
        clock.append(time.perf_counter() - start)
        nodes.append(len(found.nodes))
        assert not any("scanned" in note for note in found.notes) or tries == 1
    print(f"{table:<18}{direction:<6}{statistics.median(nodes):>6.0f} nodes  CPU median {statistics.median(cpu):.3f} s,"
          f" worst {max(cpu):.3f} s; wall median {statistics.median(clock):.3f} s", flush=True)  # fmt: skip


def main() -> None:
    """Make, trace, trace without an index, and once as a command."""
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--folder", type=Path, default=Path("/tmp/bench-trace"))
    options.add_argument("--tries", type=int, default=20)
    given = options.parse_args()
    shutil.rmtree(given.folder, ignore_errors=True)
    warehouse = given.folder / "warehouse"
    counts = make(warehouse, given.rows)
    print(f"\n{sum(counts.values()):,} rows")
    for table, direction in (("eval_samples", "up"), ("sft_set", "up"), ("tokens", "up"), ("crawl_records", "down"),
                             ("problems", "down"), ("rollouts", "both")):  # fmt: skip
        timed(warehouse, counts, table, direction, given.tries)
    command = [sys.executable, "-m", "flows.cli", "trace", ids("sft_set", np.array([5]))[0].as_py()]
    environment = {**os.environ, "RIGOR_HOME": str(given.folder), "RIGOR_WAREHOUSE": str(warehouse)}
    start, before = time.perf_counter(), os.times()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"the command `rigor trace ID`, imports included: CPU {cpu:.2f} s, wall {time.perf_counter() - start:.2f} s")
    (warehouse / FOLDER).rename(warehouse / "gone")
    print("without indexes (tables scanned):")
    for table, direction in (("sft_set", "up"), ("tokens", "up"), ("problems", "down")):
        timed(warehouse, counts, table, direction, 1)
    shutil.rmtree(given.folder)


if __name__ == "__main__":
    main()
