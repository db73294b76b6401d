"""SIGKILL the whole DAG at ten seeded moments; run again, it ends with the fingerprints and weights of a whole run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from warehouse.tables import Tables

SEED, KILLS = 20261122, 10
SMALL = (
    'flows=["synthesize", "pretrain", "zero", "cold_start", "reason", "reject", "align", "distill", "evaluate"]',
    "synthesize.make_problems.max_level=1",
    "synthesize.make_problems.per_cell=1500",
    "pretrain.pretrain.recipe.tokens=400000",
    "zero.reinforce.steps=6",
    "zero.reinforce.held_out.problems=20",
    "cold_start.sample_cold_start.problems=120",
    "cold_start.filter_cold_start.rows=100",
    "reason.reinforce.steps=4",
    "reason.reinforce.questions.lowest_level=1",
    "reason.reinforce.held_out.problems=20",
    "reject.sample_rejection.problems=80",
    "reject.label_steps.lowest_step=1",
    "reject.join_general.rows=160",
    "align.collect_preferences.per_family=40",
    "align.reinforce.steps=4",
    "align.reinforce.schedule.warmup_steps=2",
    "align.reinforce.held_out.problems=20",
    "align.reinforce.questions.mix=[{categories=['math'], share=4}, {categories=['safety'], share=4, from_share=0.75}]",
    "distill.large.pretrain.recipe.tokens=40000",
    "distill.small.pretrain.recipe.tokens=40000",
    "distill.control.steps=3",
    "evaluate.sample_answers.limit=20",
)


def start(home: Path, log: Path) -> subprocess.Popen[bytes]:
    """`rigor run r1` on the small world, in a session of its own."""
    changes = [part for change in SMALL for part in ("--set", change)]
    rigor = Path(sys.executable).with_name("rigor")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    environment |= {"RIGOR_HOME": str(home), "RIGOR_WAREHOUSE": str(home / "warehouse")}
    with log.open("ab") as out:
        return subprocess.Popen([rigor, "run", "r1", *changes], env=environment, stdout=out, stderr=out,
                                start_new_session=True)  # fmt: skip


def artifacts(home: Path) -> dict[str, tuple[str, str]]:
    """Name and partitions of every artifact to its fingerprint and the digest of its content: rows, or weights."""
    calls = Tables(str(home / "warehouse")).view("lineage").scan()
    rows = calls.select("name", pl.col("partitions").list.join(","), "fingerprint", "digest").collect().iter_rows()
    return {f"{name}[{partitions}]": (print_, digest) for name, partitions, print_, digest in rows}


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_dag_that_is_killed_ten_times_ends_as_a_whole_one(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    began = time.monotonic()
    assert start(whole, tmp_path / "whole.log").wait() == 0, (tmp_path / "whole.log").read_text()[-3000:]
    seconds = time.monotonic() - began
    rng, log = random.Random(SEED), tmp_path / "killed.log"
    for _ in range(KILLS):
        process = start(killed, log)
        with pytest.raises(subprocess.TimeoutExpired):  # else it was over, and nothing is killed
            process.wait(timeout=rng.uniform(0.05, 0.18) * seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert start(killed, log).wait() == 0, log.read_text()[-3000:]
    expected = artifacts(whole)
    assert any(name.startswith("rigor-distill-small") for name in expected)
    assert artifacts(killed) == expected
