"""The stage with its real child processes: killed and started again, it gives the same model and the same rollouts."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import polars as pl
import psutil
import pytest
from safetensors.torch import load_file

from model.train.launch import TrainingError
from tasks.rl import rollouts
from tasks.rl.config import ReinforceConfig
from tasks.rl.loop import Reinforcer
from tasks.stage import Inputs
from tasks.train.reinforce import reinforce, reinforce_stage
from tests.tasks.curate.made import commit
from tests.tasks.rl.kit import Bench, Listener, config_of, weights_of
from tests.tasks.train.corpora_made import frame
from warehouse.ids import row_id
from warehouse.schema import TABLES
from warehouse.tables import Tables

RULES: dict[str, Any] = {"rewards": {"accuracy": 1, "format": 0.5, "language": 0.1, "repetition": 0.1}, "steps": 4,
                         "algorithm": {"base": "grpo", "kl_weight": 0.1, "entropy_weight": 0.01},
                         "minibatches": 2, "reference_every_steps": 2, "save_every_steps": 1,
                         "questions": {"families": ["sums"]}}  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def inputs_of(folder: Path, bench: Bench, cores: int = 1) -> Inputs:
    rows: list[dict[str, Any]] = [
        {
            "id": row_id(i), "parents": [], "partition": "all", "family": "sums" if i % 5 else "other", "level": 1,
            "category": "math", "language": "en", "split": "validation" if i % 4 == 0 else "train",
            "prompt": f"{i} + 1 =" + " really?" * (100 if i == 7 else 0), "gold": str(i + 1), "checker": "math",
            "tests": "",
        }
        for i in range(40)
    ]  # fmt: skip
    problems = commit(folder, "problems", frame(rows, "problems"))
    work = folder / "work"
    work.mkdir(parents=True)
    return Inputs(tables={"problems": problems}, models={"policy": bench.policy}, work=work, layout={"cores": cores})


class Killer(Listener):
    """Kills a worker when so many steps are made."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.at = step

    def progress(self, done: int, total: int, unit: str = "rows") -> None:
        if done == self.at:
            os.kill(next(iter(children())), signal.SIGKILL)


def children() -> list[int]:
    """Workers of this process's training: grandchildren of its zygote."""
    (zygote,) = (child for child in psutil.Process().children() if "model.train.zygote" in child.cmdline())
    return sorted(rank.pid for agent in zygote.children() for rank in agent.children())


def run_to_the_end(config: ReinforceConfig, inputs: Inputs, kills: list[int]) -> tuple[Any, pl.DataFrame, Listener]:
    """Run the stage, killed at these steps; gives the weights, the rollouts, and what the last run said."""
    for step in kills:
        with pytest.raises(TrainingError):
            reinforce("rigor-test", config, inputs, Killer(step))
    notes = Listener()
    made, beside = cast(
        "tuple[Path, dict[str, Iterator[pl.DataFrame]]]", reinforce("rigor-test", config, inputs, notes)
    )
    assert set(notes.figures) > {"reward", "pass_rate", "seconds"}
    assert sorted(notes.curves["reward"]) == [*range(1, config.steps + 1)], "those of the killed ones, too"
    measured = [value for _, value in sorted(notes.curves["held_out_pass_rate"].items())]
    assert notes.values["held_out_gain"] == measured[-1] - measured[0]
    assert min(notes.curves["held_out_pass_rate"]) == 0
    return load_file(made / "model.safetensors"), pl.concat(beside["rollouts"]), notes


@pytest.mark.timeout(300)
def test_a_killed_stage_gives_what_an_uninterrupted_process_gives(bench: Bench, tmp_path: Path) -> None:
    config = config_of(**RULES)
    inputs = inputs_of(tmp_path, bench)
    weights, rows, notes = run_to_the_end(config, inputs, [2])
    assert [(row.row, row.reject.reason) for row in notes.rejected] == [(row_id(7), "question too long")]
    work = inputs.work
    job = bench.job(tmp_path / "here", config).model_copy(
        update={"problems": work / "problems.parquet", "held_out": work / "held_out.parquet"}
    )
    from model.train.events import Events

    here = Reinforcer(job, bench.model(), tmp_path / "here", Events(None), lambda: False)
    assert here.run()
    expected = weights_of(here.model)
    assert weights.keys() == expected.keys()
    assert all((weights[name] == expected[name]).all() for name in weights)
    assert rows.equals(pl.concat(rollouts.read(tmp_path / "here" / "rollouts", 4)))
    assert set(rows["family"]) == {"sums"}
    done = Tables(str(tmp_path)).commit(TABLES["rollouts"], [rows], partitions=["rigor-test"])
    assert done.rows == rows.height == 4 * 4 * 4
    assert rows["id"].n_unique() == rows.height
    train = {row_id(i) for i in range(40) if i % 4}
    assert set(rows["problem"]) <= train
    total = rows.select(pl.col("rewards").list.eval(
        pl.element().struct.field("value") * pl.element().struct.field("weight")).list.sum()).to_series()  # fmt: skip
    assert total.to_list() == pytest.approx(rows["reward"].to_list())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_ranks_killed_at_random_moments(bench: Bench, tmp_path: Path) -> None:
    config = config_of(**RULES | {"steps": 12})
    rng = random.Random(20261122)
    whole = run_to_the_end(config, inputs_of(tmp_path / "whole", bench, cores=2), [])
    killed = run_to_the_end(config, inputs_of(tmp_path / "killed", bench, cores=2), sorted(rng.sample(range(1, 12), 4)))
    assert all((whole[0][name] == killed[0][name]).all() for name in whole[0])
    assert whole[1].equals(killed[1])
    one = run_to_the_end(config, inputs_of(tmp_path / "one", bench), [])
    first = pl.col("step") == 0
    assert one[1].filter(first).drop("log_probs").equals(whole[1].filter(first).drop("log_probs"))


def test_each_named_variant_writes_its_own_model() -> None:
    zero, reason = reinforce_stage("rigor-zero"), reinforce_stage("rigor-reason")
    assert (zero.writes, zero.name, reason.writes, reason.name) == (
        "rigor-zero", "reinforce_zero", "rigor-reason", "reinforce_reason",
    )  # fmt: skip
    assert zero.beside == ("rollouts",)
