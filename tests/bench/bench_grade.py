"""Verdicts a second: Rigor's mathematics judge against Math-Verify, same cases, one core.

    python tests/bench/bench_grade.py [--rounds 5] [--responses 300]

Both judge the pairs of `verifier_cases` and the first responses of each benchmark in `qwen25_3b_graded_outputs`,
in turn, in one process pinned to one core; our worker process inherits the pin. Gold parsing is counted, our
cache of parsed golds is emptied before each round. Math-Verify reads a LaTeX gold best between dollars, so it
gets them.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from tasks.grade.math import GoldError, parse_gold, verify

Row = tuple[str, str, str, bool]  # gold, gold for Math-Verify, prediction, label


def load(folder: Path, responses: int) -> dict[str, list[Row]]:
    """Cases by file."""
    cases = pl.read_parquet(folder / "verifier" / "verifier_cases.parquet")
    graded = pl.read_parquet(folder / "verifier" / "qwen25_3b_graded_outputs.parquet")
    if responses:
        graded = graded.group_by("dataset", maintain_order=True).head(max(1, responses // graded["dataset"].n_unique()))
    return {
        "verifier_cases": [(g, g, p, e) for g, p, e in cases.select("gold", "pred", "expected_equal").iter_rows()],
        "graded_outputs": [
            (g, g if d in ("aqua", "sat_math") else f"${g}$", r, c)
            for d, g, r, c in graded.select("dataset", "gold", "response", "correct").iter_rows()
        ],
    }


def ours(rows: list[Row]) -> list[bool]:
    """Our verdicts; a broken gold counts as not rewarded."""
    parse_gold.cache_clear()
    verdicts = []
    for gold, _, prediction, _ in rows:
        try:
            verdicts.append(verify(gold=gold, prediction=prediction).correct)
        except GoldError:
            verdicts.append(False)
    return verdicts


def theirs(rows: list[Row]) -> list[bool]:
    """Math-Verify's verdicts with its default extraction and its own timeouts."""
    import math_verify

    return [bool(math_verify.verify(math_verify.parse(gold), math_verify.parse(p))) for _, gold, p, _ in rows]


def measure(judge: Callable[[list[Row]], list[bool]], rows: list[Row]) -> tuple[list[bool], float]:
    """Verdicts and wall seconds."""
    start = time.perf_counter()
    verdicts = judge(rows)
    return verdicts, time.perf_counter() - start


def describe(rows: list[Row], verdicts: list[bool]) -> str:
    """Agreement with the labels."""
    wrong = [(v, label) for v, (*_, label) in zip(verdicts, rows, strict=True) if v != label]
    return (
        f"agreement {1 - len(wrong) / len(rows):.4f}, false positives {sum(v for v, _ in wrong)}, "
        f"false negatives {sum(label for _, label in wrong)}"
    )


def main() -> None:
    """Print one table a file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--responses", type=int, default=300, help="graded outputs to judge; 0 for all")
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RIGOR_DATA", default)))
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for name, rows in load(options.data, options.responses).items():
        rates: dict[str, list[float]] = {"ours": [], "math-verify": []}
        ours(rows[:50]), theirs(rows[:5])  # start the worker, import SymPy
        verdicts: dict[str, list[bool]] = {}
        for _ in range(options.rounds):
            for label, judge in (("ours", ours), ("math-verify", theirs)):
                verdicts[label], seconds = measure(judge, rows)
                rates[label].append(len(rows) / seconds)
        print(f"\n{name}: {len(rows)} pairs, {options.rounds} rounds, one core")
        for label, values in rates.items():
            print(
                f"  {label:12} {statistics.median(values):9.1f} verdicts/s "
                f"(from {min(values):.1f} to {max(values):.1f}); "
                f"{describe(rows, verdicts[label])}"
            )
        ratios = sorted(a / b for a, b in zip(rates["ours"], rates["math-verify"], strict=True))
        print(f"  ratio {statistics.median(ratios):.1f}x (from {ratios[0]:.1f}x to {ratios[-1]:.1f}x)")


if __name__ == "__main__":
    main()
