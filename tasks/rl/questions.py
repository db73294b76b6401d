"""Problems as questions to a policy: which there are, as a file for the workers, and which a step asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from model.data import BatchPlan
from model.sample.pick import request_seed
from tasks.rl.config import Questions, ReinforceConfig
from tasks.rl.mix import layout, starts

COLUMNS = ("id", "family", "level", "language", "category", "prompt", "gold", "checker", "tests", "rejected")
"""What graders and rollouts need of a problem; the file has `tokens` beside it."""
ORDER, EXTRA, PARTS = 0, 1, 2
"""Streams of random numbers: epochs, what dynamic sampling draws in addition, and the first part of a mix (its other
parts follow, and then what dynamic sampling draws of each)."""


def chosen(problems: pl.LazyFrame, options: Questions, split: str) -> pl.LazyFrame:
    """The rows of `problems` that the options allow (a mix chooses among them, see `parts`)."""
    allowed = {"family": options.families, "category": options.categories, "language": options.languages,
               "checker": options.checkers}  # fmt: skip
    filters = [pl.col(column).is_in(list(values)) for column, values in allowed.items() if values]
    levels = pl.col("level").is_between(options.lowest_level, options.highest_level)
    return problems.filter(pl.col("split") == split, levels, *filters).select(COLUMNS)


def read_questions(path: Path) -> list[dict[str, Any]]:
    """The questions of a file, in its order."""
    return pl.read_parquet(path).to_dicts()


def parts(options: Questions, problems: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Indices of the problems of each part of the mix; none where there is no mix.

    Raises:
        ValueError: no problem fits a part.
    """
    found: list[list[int]] = [[] for _ in options.mix]
    for index, problem in enumerate(problems):
        number = next((n for n, part in enumerate(options.mix) if part.holds(problem)), None)
        if number is not None:
            found[number].append(index)
    for part, members in zip(options.mix, found, strict=True):
        if not members:
            raise ValueError(f"questions.mix: no problem fits the part {part!r}")
    return found


def by_share(options: Questions, problems: Sequence[Mapping[str, Any]], count: int) -> list[int]:
    """Indices of `count` problems, the first ones of each part by the parts' shares; without a mix the first ones.

    What a part has too few of is left out.
    """
    if not options.mix:
        return list(range(min(count, len(problems))))
    total = sum(part.share for part in options.mix)
    held: dict[int, list[int]] = {n: [] for n in range(len(options.mix))}
    for index, problem in enumerate(problems):
        number = next((n for n, part in enumerate(options.mix) if part.holds(problem)), None)
        if number is not None and len(held[number]) < round(count * options.mix[number].share / total):
            held[number].append(index)
    return sorted(index for members in held.values() for index in members)


def draw(
    config: ReinforceConfig, count: int, step: int, places: Sequence[int], members: Sequence[Sequence[int]] = ()
) -> list[int]:
    """The questions of a step, a pure function of its arguments: no state to save, none skipped in an epoch.

    Args:
        config: order, seed and sizes.
        count: questions there are.
        step: from 0.
        places: which of the step's draws are wanted, from 0; those beyond `questions_per_step` are dynamic sampling's.
        members: of a mix, as `parts` gave them.

    Returns:
        For each place the index of a question, 0 … count - 1.
    """
    asked, seed = config.questions_per_step, config.seed
    if config.questions.order == "curriculum":
        # A short one is asked more slowly towards its end: the last steps must not begin again with the easiest.
        start = min(step * count // config.steps, max(0, count - asked))
        # Dynamic sampling goes beyond the end: then back from where the step begins, to what is nearly as hard.
        return [start + place if start + place < count else (count - 1 - place) % count if start else place % count
                for place in places]  # fmt: skip
    if members:
        return _mixed(config, step, places, members)
    order, extra = (BatchPlan(count, asked, request_seed(seed, stream)) for stream in (ORDER, EXTRA))
    waves = {
        wave: order.rows_of(step) if wave == 0 else extra.rows_of(step * (config.waves - 1) + wave - 1)
        for wave in {place // asked for place in places}
    }
    return [int(waves[place // asked][place % asked]) for place in places]


def _mixed(config: ReinforceConfig, step: int, places: Sequence[int], members: Sequence[Sequence[int]]) -> list[int]:
    """Every part goes through epochs of its own, as fast as it is asked; further waves have epochs of their own, too:
    those that a step does without would leave holes in the first one's.
    """
    found = []
    for place in places:
        row = layout(config, step)
        wave, at = divmod(place, len(row))
        part, extra = row[at], wave > 0
        before = sum(layout(config, earlier).count(part) * (end - earlier) for earlier, end in _phases(config, step))
        drawn = before * (config.waves - 1) + (wave - 1) * row.count(part) if extra else before
        stream = PARTS + part + extra * len(members)
        plan = BatchPlan(len(members[part]), 1, request_seed(config.seed, stream))
        found.append(members[part][int(plan.rows_of(drawn + row[:at].count(part))[0])])
    return found


def _phases(config: ReinforceConfig, step: int) -> list[tuple[int, int]]:
    """(first step, end) of each stretch before `step` in which the same parts are asked."""
    edges = [start for start in starts(config) if start < step] + [step]
    return list(pairwise(edges))
