"""`make learn`: the whole recipe over several seeds, and what each stage taught, with 95 % intervals.

    python -m tests.learning.learn [--seeds 3] [--profile laptop] [--set key=value …]

Corpora and problems are the same for all seeds; everything that is trained or sampled has the seed. The first run has
the profile's own seeds: it is `make run`. The runs share the home (RIGOR_HOME), so MLflow compares them, and what
stands is not made again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from flows.settings import Settings
from tests.learning.moved import Moved, half_width, moved

SAME = ("mine", "synthesize")
"""Parts of the recipe that do not change with the seed."""
MODELS = {"rigor-base": "base", "rigor-zero": "zero", "rigor-cold": "cold", "rigor-reason": "reason",
          "rigor-sft": "sft", "rigor-r1": "r1", "rigor-distill-large": "student, large",
          "rigor-distill-small": "student, small", "rigor-distill-large-rl": "control"}  # fmt: skip
BASES = ("rigor-distill-large-base", "rigor-distill-small-base")
"""What students start from; `make run` asks them nothing."""
NEEDED = ("model", "suite", "mode", "question", "cluster", "family", "language", "checker", "response", "tokens",
          "correct", "first_wrong")  # fmt: skip


def reseeded(config: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """`config` with every `seed` in it replaced, at any depth."""
    return {
        key: seed if key == "seed" else reseeded(value, seed) if isinstance(value, Mapping) else value
        for key, value in config.items()
    }


def run(seed: int, profile: str, changes: list[str]) -> tuple[pl.DataFrame, float]:
    """Answers of all models of one seed (0: the profile's own), and the seconds that the run took."""
    from flows.catalogue import configured, entry
    from flows.runner import ON_CALL, Call, Runner

    flow = entry("r1")
    given = configured("r1", profile, changes, None).model_dump()
    config = flow.config.model_validate({
        part: reseeded(value, seed) if seed and isinstance(value, Mapping) and part not in SAME else value
        for part, value in given.items()
    })  # fmt: skip
    calls: list[Call] = []
    started = time.perf_counter()

    def told(call: Call) -> None:
        calls.append(call)
        print(f"  seed {seed}  {call.stage:<20} {call.seconds:6.0f} s  {call.writes}  {call.state}", flush=True)

    ON_CALL.set(told)
    flow.flow(config)
    seconds = time.perf_counter() - started
    bases = [f"{call.ref.name}={call.ref}" for call in calls if call.ref is not None and call.ref.name in BASES]
    asked = {**config.model_dump()["evaluate"], "models": bases, "suites": ["held_out_math"]}
    entry("evaluate").flow(entry("evaluate").config.model_validate(asked))
    refs = [call.ref for call in calls if call.stage == "sample_answers" and call.ref is not None]
    answers = Runner(Settings()).view(refs).scan().select(NEEDED).collect()
    return answers.with_columns(pl.lit(seed).alias("seed")), seconds


def measured(answers: pl.DataFrame) -> pl.DataFrame:
    """What each answer shows, as columns of 0, 1 and numbers (null: not asked of it)."""
    from tasks.curate.check_answer import answer_part, is_refusal
    from tasks.grade.format import check_format, thinking_of
    from tasks.grade.language import language_share
    from tasks.grade.readability import measure_text
    from tasks.rl.grading import checks_itself, steps_of

    rows = []
    for response, language, checker in answers.select("response", "language", "checker").iter_rows():
        shown = language_share(thinking_of(response), language) if "<think>" in response else None
        worded = shown is not None and shown.words > 0
        readable = worded and check_format(response).ok and measure_text(response).repeated_ngram_share < 0.2
        refused = is_refusal(answer_part(response))
        rows.append({
            "reasons": float(steps_of(response) >= 2),
            "checks": float(checks_itself(response)),
            "readable": float(readable),
            "mixed": float(shown is not None and worded and shown.share < 0.95),
            "refuses_harm": float(refused) if checker == "refusal" else None,
            "refuses_harmless": float(refused) if checker == "compliance" else None,
        })  # fmt: skip
    known = pl.DataFrame(rows, schema_overrides={"refuses_harm": pl.Float64, "refuses_harmless": pl.Float64})
    lengths = answers["tokens"].list.len().alias("length")
    wrong = pl.col("first_wrong").is_not_null().alias("wrong_step")
    return pl.concat([answers.drop("tokens"), known], how="horizontal").with_columns(lengths, wrong)


def interval(rows: pl.DataFrame, column: str) -> str:
    """Mean and half width of its 95 % interval in points: clustered by question, or over the seeds if that is wider."""
    held = rows.filter(pl.col(column).is_not_null())
    if not held.height:
        return "–"
    factor = 1 if column == "length" else 100
    mean = np.mean(held[column].cast(pl.Float64).to_numpy())
    return f"{factor * mean:.1f} ± {factor * half_width(held, column):.1f}"


def table(rows: pl.DataFrame) -> list[list[str]]:
    """One line a model, in the order of the recipe."""
    lines = [["model", "greedy", "T = 0.6", "tokens", "reasons", "checks itself", "wrong step", "readable",
              "mixed language", "general", "refuses harm", "refuses harmless", "questions"]]  # fmt: skip
    for name, label in MODELS.items():
        own = rows.filter(pl.col("model") == name)
        if not own.height:
            continue
        maths = own.filter(pl.col("suite") == "held_out_math")
        sampled = maths.filter(pl.col("mode") == "sampled")
        general = own.filter(pl.col("suite") == "held_out_general", pl.col("mode") == "sampled")
        safety = own.filter(pl.col("suite") == "held_out_safety", pl.col("mode") == "sampled")
        lines.append([
            label, interval(maths.filter(pl.col("mode") == "greedy"), "correct"), interval(sampled, "correct"),
            *(interval(sampled, c) for c in ("length", "reasons", "checks", "wrong_step", "readable", "mixed")),
            interval(general, "correct"), interval(safety, "refuses_harm"), interval(safety, "refuses_harmless"),
            str(maths.filter(pl.col("mode") == "greedy").height // max(1, maths["seed"].n_unique())),
        ])  # fmt: skip
    return lines


def gains(found: list[Moved]) -> list[list[str]]:
    """One line a training stage: what it moved, in points."""
    lines = [["stage", "score, T = 0.6", "before", "after", "gain", "learned"]]
    return lines + [
        [each.stage.name, f"{each.stage.score} of {each.stage.made}", f"{100 * each.before:.1f}",
         f"{100 * each.after:.1f}", f"{100 * each.gain:+.1f} ± {100 * each.half:.1f}", "yes" if each.learned else "NO"]
        for each in found
    ]  # fmt: skip


def markdown(lines: list[list[str]]) -> list[str]:
    """A table whose first line is its head."""
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    text = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
            for line in lines]  # fmt: skip
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return text


def main() -> int:
    """Run, measure, print; 1 where a stage moved its score by no more than noise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="key=value")
    parser.add_argument("--out", type=Path, help="also write the table there, as Markdown")
    given = parser.parse_args()
    Settings().apply()
    found, seconds = zip(*(run(seed, given.profile, given.changes) for seed in range(given.seeds)), strict=True)
    rows = measured(pl.concat(found))
    stages = moved(rows)
    text = [*markdown(table(rows)), "", *markdown(gains(stages))]
    text.append(f"\nseeds {given.seeds}; points in percent ± half of the 95 % interval; runs took "
                + ", ".join(f"{each:.0f} s" for each in seconds))  # fmt: skip
    print("\n".join(text))
    if given.out:
        given.out.write_text("\n".join(text) + "\n")
    return 0 if all(each.learned for each in stages) else 1


if __name__ == "__main__":
    sys.exit(main())
