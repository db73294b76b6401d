"""The step checker's figures. `python tests/bench/bench_steps.py [data folder]`.

Prints the table of GSM8K annotations, planted errors, ProcessBench and speed (CPU seconds of one core).
"""

from __future__ import annotations

import random
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import polars as pl

from tasks.grade.steps import check_steps
from tests.tasks.grade.steps_planted import Score, clean_gsm8k, made_chains, plant_gsm8k, score
from tests.tasks.grade.steps_processbench import Figures, figures, fold, hand_labels, load, looks_arithmetic

_ANNOTATION = re.compile(r"<<[^<>]*>>")
_SHOWN = re.compile(r"[\d)%].*[-+*/x].*=\s*\$?\s*$")


def line(name: str, *cells: str) -> None:
    """One row of the table."""
    print(f"{name:<58} {'  '.join(cells)}", flush=True)


def gsm8k(rows: list[tuple[str, str]]) -> None:
    """Annotations judged, and claims found in the same texts without annotations."""
    total = judged = wrong = shown = found = text_wrong = 0
    for question, answer in rows:
        steps = answer.split("\n####")[0].split("\n")
        for claim in check_steps(question, steps).claims:
            if claim.kind == "annotation":
                judged += claim.verdict != "not_checkable"
                wrong += claim.verdict == "wrong"
        total += sum(len(_ANNOTATION.findall(step)) for step in steps)
        plain = [_ANNOTATION.sub("", step) for step in steps]
        claims = [c for c in check_steps(question, plain).claims if c.verdict != "not_checkable"]
        text_wrong += sum(c.verdict == "wrong" for c in claims)
        for index, step in enumerate(steps):
            removed = 0
            for match in _ANNOTATION.finditer(step):
                place = match.start() - removed
                removed += len(match[0])
                if _SHOWN.search(plain[index][:place]):
                    shown += 1
                    found += any(c.step == index and c.span[0] < place <= c.span[1] for c in claims)
    line("GSM8K train: calculator annotations judged", f"{judged}/{total}", f"called wrong {wrong}")
    line("  same texts without them: computations shown and judged", f"{found}/{shown} = {found / shown:.4f}")
    line("  claims of the texts called wrong (GSM8K has real ones)", str(text_wrong))


def show(name: str, result: Score) -> None:
    """A row of planted errors."""
    line(name, f"F1 {result.f1:.4f}", f"right {result.right} of {result.planted} planted, {result.found} flagged")


def planted(rows: list[tuple[str, str]]) -> None:
    """F1 of the first wrong step; half of the solutions are untouched."""
    for annotated in (True, False):
        generator = random.Random(8)
        cases = [
            clean_gsm8k(q, a, annotated=annotated) if i % 2 else plant_gsm8k(q, a, generator, annotated=annotated)
            for i, (q, a) in enumerate(rows)
        ]
        name = f"planted in GSM8K train, {'with' if annotated else 'without'} annotations"
        show(name, score([case for case in cases if case is not None]))
    show("planted in made chains (EN, ZH, LaTeX)", score(list(made_chains(3000, seed=9))))


def share(name: str, result: Figures) -> None:
    """A row of ProcessBench."""
    line(
        name,
        f"recall {result.right}/{result.errors} = {result.recall:.3f}",
        f"precision {result.precision:.3f}",
        f"F1 {result.f1:.3f}",
    )


def processbench(data: Path) -> None:
    """Against human labels, split by kind of error."""
    rows = load(data)
    total = figures(rows)
    line(
        "ProcessBench: false alarms on correct solutions",
        f"{total.false_alarms}/{total.correct} = {total.alarm_rate:.4f}",
    )
    for half in (0, 1):
        part = figures(r for r in rows if fold(r.id, 2) == half)
        name = (
            "  half whose alarms were read while writing"
            if half == 0
            else "  half whose alarms were read only at the end"
        )
        line(name, f"{part.false_alarms}/{part.correct} = {part.alarm_rate:.4f}")
    for subset in ("gsm8k", "math"):
        share(f"  all labelled errors, {subset}", figures([r for r in rows if r.id.startswith(subset)]))
    for sample in ("1", "2", "all"):
        labels = hand_labels(sample)
        for kind in ("arithmetic", "algebra", "fact", "setup"):
            ids = {row_id for row_id, label in labels.items() if label == kind}
            share(f"  hand-labelled {kind}, sample {sample}", figures(rows, lambda r, ids=ids: r.id in ids))
    automatic = {r.id for r in rows if r.error_step is not None and looks_arithmetic(r.steps[r.error_step])}
    share("  arithmetic by the automatic cross-check", figures(rows, lambda r: r.id in automatic))
    share("  not arithmetic by the automatic cross-check", figures(rows, lambda r: r.id not in automatic))
    labels = hand_labels("all")
    both = sum(labels[i] == "arithmetic" for i in automatic if i in labels)
    line(
        "  cross-check against the hand labels",
        f"{both}/{sum(i in labels for i in automatic)} of its finds are arithmetic",
    )


def speed(rows: list[tuple[str, str]]) -> None:
    """Steps and claims a second on GSM8K solutions not seen before."""
    cases = [(q, [_ANNOTATION.sub("", s) for s in a.split("\n####")[0].split("\n")]) for q, a in rows]
    start = time.process_time()
    reports = [check_steps(question, steps) for question, steps in cases]
    seconds = time.process_time() - start
    steps = sum(len(r.steps) for r in reports)
    claims = sum(len(r.claims) for r in reports)
    line(
        "speed, one core",
        f"{steps / seconds:,.0f} steps/s",
        f"{claims / seconds:,.0f} checks/s",
        f"{len(cases) / seconds:,.0f} solutions/s",
    )


def main() -> None:
    """Print the table."""
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[3] / "shared" / "data"
    table = pl.read_parquet(data / "math" / "gsm8k_train.parquet", columns=["question", "answer"])
    rows = list(table.iter_rows())
    speed(rows)
    gsm8k(rows)
    planted(rows)
    processbench(data)


if __name__ == "__main__":
    main()
