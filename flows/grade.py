"""`rigor grade FILE`: verdict columns for a file of answers, and a table of the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from rich.progress import track
from rich.table import Table

from flows.commands import out

NEEDS = {
    "math": ("gold", "prediction"),
    "code": ("program", "tests"),
    "steps": ("problem", "steps"),
}
"""Columns that each kind needs. `prediction` may be a whole `response`; `tests` is a list of assert lines or of
{stdin, stdout}; `steps` is a list of steps or one text."""

WRITES = {
    "math": ("correct", "reason", "gold_read", "answer_read"),
    "code": ("correct", "reason"),
    "steps": ("correct", "reason", "first_wrong", "claim", "expected", "claims"),
}
"""Verdict columns of each kind."""


def grade_file(path: Path, kind: str, to: Path | None) -> None:
    """Grade every row of a JSONL or Parquet file and write it beside the input with verdict columns.

    Raises:
        ValueError: unknown kind or file type, or a column is missing.
    """
    if kind not in NEEDS:
        raise ValueError(f"no kind {kind!r}; there are: {', '.join(NEEDS)}")
    frame = _read(path)
    if kind == "math" and "prediction" not in frame.columns and "response" in frame.columns:
        frame = frame.with_columns(pl.col("response").alias("prediction"))
    missing = [c for c in NEEDS[kind] if c not in frame.columns]
    if missing:
        raise ValueError(f"{path}: kind {kind} needs columns {', '.join(NEEDS[kind])}; it lacks {', '.join(missing)}")
    if taken := [name for name in WRITES[kind] if name in frame.columns]:
        raise ValueError(f"{path} has columns {', '.join(taken)} already, which hold the verdicts: rename or drop them")
    target = to or path.with_name(f"{path.stem}.graded{path.suffix}")
    if target.suffix not in (".parquet", ".jsonl", ".ndjson"):
        raise ValueError(f"{target}: write .parquet, .jsonl or .ndjson")
    rows = frame.to_dicts()
    if not rows:
        raise ValueError(f"{path}: there are no rows in it")
    verdicts = {"math": _math, "code": _code, "steps": _steps}[kind](rows)
    graded = pl.concat([frame, pl.from_dicts(verdicts, infer_schema_length=None)], how="horizontal")
    graded.write_parquet(target) if target.suffix == ".parquet" else graded.write_ndjson(target)
    counts = Counter((str(v["correct"]), str(v["reason"])) for v in verdicts)
    shown = Table("correct", "reason", "rows", "share", box=None, pad_edge=False)
    for (correct, reason), count in counts.most_common():
        shown.add_row(correct, reason, f"{count:,}", f"{count / len(verdicts):.1%}")
    out.print(shown)
    out.print(f"{sum(v['correct'] is True for v in verdicts):,} of {len(verdicts):,} correct; wrote {target}")


def _read(path: Path) -> pl.DataFrame:
    readers: dict[str, Callable[[Path], pl.DataFrame]] = {
        ".parquet": pl.read_parquet, ".jsonl": pl.read_ndjson, ".ndjson": pl.read_ndjson,
    }  # fmt: skip
    if path.suffix not in readers:
        raise ValueError(f"{path}: read {', '.join(readers)}")
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        return readers[path.suffix](path)
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{path}: {str(error).splitlines()[0]}") from error


def _math(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from tasks.grade.math import GoldError, verify

    verdicts: list[dict[str, Any]] = []
    for row in track(rows, "grading", transient=True):
        try:
            found = verify(gold=str(row["gold"]), prediction=str(row["prediction"]))
        except GoldError as error:
            verdicts.append({"correct": None, "reason": f"unusable gold: {error}", "gold_read": "", "answer_read": ""})
            continue
        verdicts.append({"correct": found.correct, "reason": found.reason, "gold_read": found.gold,
                         "answer_read": found.prediction})  # fmt: skip
    return verdicts


def _code(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from tasks.grade.code import CodeJudge, FunctionTest, IsolationError, StdioTest

    def tests(row: dict[str, Any]) -> list[Any]:
        if not isinstance(row["tests"], list):
            raise ValueError(f"tests must be a list of assert lines or of {{stdin, stdout}}, not {row['tests']!r:.60}")
        given = row["tests"]
        if given and isinstance(given[0], dict):
            if not {"stdin", "stdout"} <= given[0].keys():
                raise ValueError(f"a test needs stdin and stdout, or is an assert line; not {given[0]!r:.60}")
            return [StdioTest(str(t["stdin"]), str(t["stdout"])) for t in given]
        names = tuple(row.get("entry_points") or ([row["entry_point"]] if row.get("entry_point") else ()))
        if not names:
            raise ValueError("assert tests need a column entry_point (or entry_points): the names the program defines")
        return [FunctionTest(str(test), names) for test in given]

    jobs = [(str(row["program"]), tests(row)) for row in rows]
    try:
        with CodeJudge() as judge:
            return [{"correct": v.passed, "reason": str(v.reason)} for v in judge.run_many(jobs, workers=2)]
    except IsolationError as error:  # it says what to install
        raise ValueError(str(error)) from error


def _steps(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from tasks.grade.steps import check_steps, split_steps

    verdicts = []
    for row in track(rows, "checking", transient=True):
        if not isinstance(row["steps"], str | list):
            raise ValueError(f"steps must be a text or a list of steps, not {row['steps']!r:.60}")
        steps = split_steps(row["steps"]) if isinstance(row["steps"], str) else [str(s) for s in row["steps"]]
        report = check_steps(str(row["problem"]), steps)
        wrong = next((c for c in report.claims if c.verdict == "wrong"), None)
        verdicts.append({
            "correct": report.first_wrong is None, "reason": wrong.reason if wrong else "no wrong step found",
            "first_wrong": report.first_wrong, "claim": wrong.text if wrong else "",
            "expected": wrong.expected if wrong else "", "claims": len(report.claims),
        })  # fmt: skip
    return verdicts
