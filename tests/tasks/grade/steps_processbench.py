"""ProcessBench against the checker: which human-labelled errors are arithmetic, and what is found.

Two independent judgements say which errors are arithmetic. `steps_error_kinds.csv` holds labels made by hand, by
reading the labelled step: `arithmetic` (a computation on numbers alone: + - * / powers, roots, %, factorials, with a
result that recomputing it refutes), `algebra` (a transformation with letters, an inequality or trigonometry), `fact`
(a value or property stated without computation), `setup` (wrong quantity, formula, reading, count or logic). Sample 1
was labelled before the checker was written and used while writing it; sample 2 after (its first run found 12 of its 17
arithmetic errors; three of the gaps it showed were then closed). `looks_arithmetic` is the automatic cross-check:
plain equations in the labelled step, found by its own pattern and evaluated by its own arithmetic, with sides that
differ by more than rounding.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tasks.grade.steps import StepReport, check_steps
from tests.tasks.grade.steps_planted import value_of

_LABELS = Path(__file__).with_name("steps_error_kinds.csv")
_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
_EQUATION = re.compile(
    rf"(?<![\w.,)+*/^%-])\s*(\(?{_NUMBER}\)?(?:\s*[-+*/]\s*\(?{_NUMBER}\)?)+)\s*=\s*({_NUMBER})(?![\w%(^/]|[.,]\d|\s*[-+*/^(%])"
)
_REWRITES: Sequence[tuple[str, str]] = (
    (r"\\boxed\{([^{}]+)\}|\\(?:left|right)(?![a-z])", r"\1 "),
    (r"\\(?:text|mathrm|mbox)\{[^{}]*\}|\\[,;! ]|\\?\$|[&]", " "),
    (r"\\(?:d|t)?frac\{([^{}]+)\}\{([^{}]+)\}", r"(\1)/(\2)"),
    (r"\\(?:times|cdot)|[×·]|(?<=\d)\s*x\s*(?=\d)", "*"), (r"\\div|÷", "/"), (r"[−–]", "-"),
    (r"(?<=\d)\s+[a-z]+(?:\s[a-z]+)?(?=\s*(?:[-+*/=]))", " "),
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One ProcessBench solution with the checker's report; `error_step` is None when every step is right."""

    id: str
    steps: tuple[str, ...]
    error_step: int | None
    report: StepReport

    @property
    def found(self) -> bool:
        """Is the first wrong step the labelled one?"""
        return self.report.first_wrong is not None and self.report.first_wrong == self.error_step


def load(data: Path, keep: Callable[[str], bool] = lambda _: True) -> list[Row]:
    """The solutions whose id `keep` accepts, checked."""
    table = pl.read_parquet(data / "steps" / "processbench.parquet")
    return [_row(r) for r in table.iter_rows(named=True) if keep(r["id"])]


def _row(raw: Mapping[str, Any]) -> Row:
    error = raw["first_error_step"]
    report = check_steps(raw["problem"], raw["steps"])
    return Row(raw["id"], tuple(raw["steps"]), error if error >= 0 else None, report)


def fold(row_id: str, folds: int) -> int:
    """A fixed fold of an id."""
    return int(hashlib.sha256(row_id.encode()).hexdigest()[:8], 16) % folds


def hand_labels(sample: str) -> dict[str, str]:
    """Kind of error by id."""
    with _LABELS.open(encoding="utf-8") as lines:
        return {r["id"]: r["kind"] for r in csv.DictReader(lines) if sample in ("all", r["sample"])}


def looks_arithmetic(step: str) -> bool:
    """Does the step hold a plain numeric equation whose sides differ beyond rounding?"""
    for pattern, new in _REWRITES:
        step = re.sub(pattern, new, step)
    for left, right in _EQUATION.findall(step):
        true, stated = value_of(left), value_of(right)
        if true is None or stated is None:
            continue
        place = 10.0 ** -len(right.partition(".")[2])
        if abs(float(true - stated)) >= place or (true.denominator == 1 and true != stated):
            return True
    return False


@dataclass(frozen=True)
class Figures:
    """Counts over a set of rows: right = flagged at the labelled step."""

    errors: int
    right: int
    flagged_errors: int
    correct: int
    false_alarms: int

    @property
    def recall(self) -> float:
        """Labelled errors found at their step."""
        return self.right / max(1, self.errors)

    @property
    def precision(self) -> float:
        """Flags that are right, over all flags on wrong and correct solutions."""
        return self.right / max(1, self.flagged_errors + self.false_alarms)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.precision * self.recall / max(1e-9, self.precision + self.recall)

    @property
    def alarm_rate(self) -> float:
        """Correct solutions with a flag."""
        return self.false_alarms / max(1, self.correct)


def figures(rows: Iterable[Row], errors: Callable[[Row], bool] = lambda _: True) -> Figures:
    """Figures over the correct solutions and those wrong ones that `errors` accepts."""
    rows = list(rows)
    wrong = [r for r in rows if r.error_step is not None and errors(r)]
    right = [r for r in rows if r.error_step is None]
    return Figures(
        errors=len(wrong),
        right=sum(r.found for r in wrong),
        flagged_errors=sum(r.report.first_wrong is not None for r in wrong),
        correct=len(right),
        false_alarms=sum(r.report.first_wrong is not None for r in right),
    )
