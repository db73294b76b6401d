"""The checker on GSM8K's annotations, on planted errors and on ProcessBench's human labels."""

from __future__ import annotations

import random
import re
from pathlib import Path

import polars as pl
import pytest

from tasks.grade.steps import check_steps
from tests.tasks.grade.steps_planted import Planted, clean_gsm8k, made_chains, plant_gsm8k, score, value_of, wrong_value
from tests.tasks.grade.steps_processbench import figures, fold, hand_labels, load, looks_arithmetic


def gsm8k(data: Path, count: int | None = None) -> list[tuple[str, str]]:
    table = pl.read_parquet(data / "math" / "gsm8k_train.parquet", columns=["question", "answer"])
    return list(table.head(count or table.height).iter_rows())


def judged_annotations(rows: list[tuple[str, str]]) -> tuple[int, int, int]:
    """Annotations, those judged, and those called wrong."""
    total = judged = wrong = 0
    for question, answer in rows:
        steps = answer.split("\n####")[0].split("\n")
        total += sum(len(re.findall(r"<<[^<>]*>>", step)) for step in steps)
        for claim in check_steps(question, steps).claims:
            if claim.kind == "annotation":
                judged += claim.verdict != "not_checkable"
                wrong += claim.verdict == "wrong"
    return total, judged, wrong


def test_annotations_sample(rigor_data: Path) -> None:
    total, judged, wrong = judged_annotations(gsm8k(rigor_data, 700))
    assert (judged, wrong) == (total, 0)


@pytest.mark.slow
def test_every_annotation_is_judged(rigor_data: Path) -> None:
    total, judged, wrong = judged_annotations(gsm8k(rigor_data))
    assert total > 23_000
    assert (judged, wrong) == (total, 0)


def planted(rows: list[tuple[str, str]], seed: int, *, annotated: bool) -> list[Planted]:
    """Every other solution with a planted error, the rest untouched."""
    generator = random.Random(seed)
    cases = [
        clean_gsm8k(q, a, annotated=annotated) if i % 2 else plant_gsm8k(q, a, generator, annotated=annotated)
        for i, (q, a) in enumerate(rows)
    ]
    return [case for case in cases if case is not None]


@pytest.mark.parametrize("annotated", [True, False])
def test_planted_errors_sample(rigor_data: Path, annotated: bool) -> None:
    result = score(planted(gsm8k(rigor_data, 800), 7, annotated=annotated))
    assert result.planted > 350
    assert result.f1 >= 0.98, result


@pytest.mark.slow
@pytest.mark.parametrize("annotated", [True, False])
def test_planted_errors_everywhere(rigor_data: Path, annotated: bool) -> None:
    result = score(planted(gsm8k(rigor_data), 8, annotated=annotated))
    assert result.f1 >= 0.98, result


def test_planted_errors_in_made_chains() -> None:
    result = score(list(made_chains(600, seed=3)))
    assert result.f1 >= 0.98, result


def test_the_generator_plants_real_errors() -> None:
    generator = random.Random(1)
    for true in ("24", "7", "100", "0.5", "1250", "12.75"):
        for _ in range(50):
            assert value_of(wrong_value(true, generator)) != value_of(true)
    for case in made_chains(30, seed=4):
        assert case.error_step is None or 0 <= case.error_step < len(case.steps)


def test_processbench_sample(rigor_data: Path) -> None:
    """A fifth of the correct solutions and the arithmetic errors labelled by hand."""
    labels = hand_labels("all")
    arithmetic = {row_id for row_id, kind in labels.items() if kind == "arithmetic"}
    rows = load(rigor_data, lambda row_id: row_id in arithmetic or fold(row_id, 5) == 0)
    result = figures(rows, lambda row: row.id in arithmetic)
    assert result.errors == len(arithmetic)
    assert result.correct > 100
    assert result.recall >= 0.8, result
    assert result.alarm_rate <= 0.05, result


@pytest.mark.slow
def test_processbench_all(rigor_data: Path) -> None:
    rows = load(rigor_data)
    automatic = figures(rows, lambda row: row.error_step is not None and looks_arithmetic(row.steps[row.error_step]))
    assert automatic.errors >= 20
    assert automatic.recall >= 0.8, automatic
    assert automatic.alarm_rate <= 0.05, automatic
    setup = {row_id for row_id, kind in hand_labels("all").items() if kind == "setup"}
    assert figures(rows, lambda row: row.id in setup).recall <= 0.1


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("so 3 + 4 = 8", True),
        (r"\[ 3 \times \$4 = \$12 \]", False),
        (r"$\frac{10}{4} = 2.6$", True),
        ("10 / 3 = 3.33", False),
        ("5 apples * 3 = 16 apples", True),
        ("x = 5", False),
    ],
)
def test_the_automatic_cross_check(step: str, expected: bool) -> None:
    assert looks_arithmetic(step) is expected
