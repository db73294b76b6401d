"""Problems made, solutions written and solutions checked a minute, on two workers.

    python tests/bench/bench_synthesize.py [--per-cell 500] [--gym 20] [--code 0.05] [--rounds 3]

Runs the three stages on an empty warehouse each round, commits included, and prints wall and CPU time of all
processes. Code solutions run in the sandbox; `--code` is their family's weight.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")

from tasks.curate.check_solutions import STAGE as CHECK, CheckSolutionsConfig
from tasks.curate.make_problems import STAGE as MAKE, MakeProblemsConfig
from tasks.curate.write_solutions import STAGE as WRITE, WriteSolutionsConfig
from tests.tasks.curate.made import run_stage


def cpu_seconds() -> float:
    """Of this process and its ended children (workers are the children of datatrove's fork server)."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def main() -> None:
    """Print one line a stage and round, then the medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--per-cell", type=int, default=500)
    parser.add_argument("--gym", type=int, default=20)
    parser.add_argument("--code", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    problems = MakeProblemsConfig(
        per_cell=options.per_cell, gym_per_cell=options.gym, weights={"code_functions": options.code}
    )
    configs = ((MAKE, problems), (WRITE, WriteSolutionsConfig()), (CHECK, CheckSolutionsConfig()))
    rates: dict[str, list[float]] = {}
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            given, total = {}, 0.0
            for stage, config in configs:
                wall, cpu = time.perf_counter(), cpu_seconds()
                made = run_stage(Path(folder), stage, config, given, options.workers)
                wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu + made.notes.worker_cpu_seconds
                given, total = {stage.writes: made.view}, total + wall
                rates.setdefault(stage.name, []).append(made.done.rows * 60 / wall)
                print(
                    f"round {number}: {stage.name:16} {made.done.rows:8} rows {len(made.notes.rejected):6} quarantined"
                    f" {wall:7.1f} s wall {cpu:7.1f} s CPU {made.done.rows * 60 / wall:10.0f} rows/min"
                    f" {made.done.rows * 60 / cpu:10.0f} rows/CPU-min"
                )
            rates.setdefault("all three", []).append(made.done.rows * 60 / total)
    for name, values in rates.items():
        print(f"{name:16} {statistics.median(values):10.0f} rows/min (from {min(values):.0f} to {max(values):.0f})")


if __name__ == "__main__":
    main()
