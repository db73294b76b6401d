"""What was sampled, kept as Parquet: a file for each step and rank, written whole or not at all, again if rerun."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.ids import row_ids
from warehouse.schema_rl import ROLLOUTS

if TYPE_CHECKING:
    from tasks.rl.sampling import Sample  # with it comes Megatron, which only the workers need

_NAME = re.compile(r"step-(\d{8})\.rank-(\d{5})\.parquet")


def write(folder: Path, policy: str, step: int, samples: Sequence[Sample]) -> None:
    """Write this rank's rollouts of a step over those of an earlier run of it.

    Args:
        folder: of all files; made where there is none.
        policy: name of the model in training.
        step: policy version, from 0.
        samples: in order. A reward model that was not asked for a sample is none of its terms.
    """
    from model import parallel  # Megatron: only the workers have it, the stage reads without

    folder.mkdir(parents=True, exist_ok=True)
    completions = [sample.completion for sample in samples]
    problems = [sample.problem for sample in samples]
    places, numbers = [s.place for s in samples], [s.number for s in samples]
    count, texts = len(samples), [c.text for c in completions]
    columns = {
        "id": row_ids([policy] * count, [step] * count, places, numbers, texts),
        "parents": [[problem["id"]] for problem in problems],
        "partition": [policy] * count,
        "policy": [policy] * count,
        "step": [step] * count,
        "place": places,
        "sample": numbers,
        "problem": [problem["id"] for problem in problems],
        "family": [problem["family"] for problem in problems],
        "level": [problem["level"] for problem in problems],
        "language": [problem["language"] for problem in problems],
        "prompt": [problem["prompt"] for problem in problems],
        "text": texts,
        "tokens": [c.tokens for c in completions],
        "log_probs": [c.log_probs for c in completions],
        "finish": [c.finish for c in completions],
        "rewards": [
            [
                {"term": name, "value": value, "weight": s.weights[name]}
                for name, value in s.terms.items()
                if not math.isnan(value)
            ]
            for s in samples
        ],
        "reward": [s.reward for s in samples],
        "correct": [s.terms["accuracy@1"] == 1 for s in samples],
        "advantage": [s.advantage for s in samples],
        "trained": [s.trained for s in samples],
    }
    path = folder / f"step-{step:08}.rank-{parallel.data_rank():05}.parquet"
    tmp = path.with_suffix(".tmp")
    pq.write_table(pa.table(columns, schema=ROLLOUTS.arrow), tmp, compression="zstd")
    with tmp.open("rb+") as file:
        os.fsync(file.fileno())  # a checkpoint after this step must not outlive its rollouts
    tmp.replace(path)
    if parallel.data_rank() == 0:  # an earlier run of this step may have had more ranks
        for stale in folder.glob(f"step-{step:08}.rank-*.parquet"):
            found = _NAME.fullmatch(stale.name)
            if found and int(found[2]) >= parallel.data_world():
                stale.unlink(missing_ok=True)


def read(folder: Path, steps: int) -> Iterator[pl.DataFrame]:
    """The rollouts of steps 0 … steps - 1, a frame for each, groups and samples in order.

    Raises:
        ValueError: a step has none.
    """
    for step in range(steps):
        files = sorted(folder.glob(f"step-{step:08}.rank-*.parquet"))
        if not files:
            raise ValueError(f"{folder} has no rollouts of step {step}")
        yield pl.concat(pl.read_parquet(path) for path in files).sort("place", "sample")
