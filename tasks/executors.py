"""datatrove's Ray and Slurm executors for the blocks of a stage; this machine's own is in `tasks/pipeline.py`.

Both write what the local one writes, a file a rank in the call's scratch folder, so that the rows are the same and a
rank that died is found by the counts that it did not leave. Both serialise the blocks (cloudpickle, dill) for workers
of the same installation and user; nothing that a crawl wrote is ever loaded that way.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from datatrove.executor.ray import RayPipelineExecutor
from datatrove.executor.slurm import SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.logging import logger

from tasks.engine import Engine

RETRIES = 2
"""Times that a rank is started again after its process died."""


class EngineError(RuntimeError):
    """The engine is not there, or a job of it failed."""


def run_elsewhere(engine: Engine, blocks: Sequence[PipelineStep], *, tasks: int, workers: int, logs: Path) -> None:
    """Run all ranks and wait for the last.

    Raises:
        EngineError: Ray is not installed, or Slurm refused or failed the job.
    """
    if engine.kind == "ray":
        _on_ray(engine, blocks, tasks, workers, logs)
        return
    executor = slurm_executor(engine, blocks, tasks=tasks, workers=workers, logs=logs)
    try:
        executor.run()
    except FileNotFoundError as error:
        raise EngineError(f"engine slurm: no {error.filename} on this machine; submit from a login node") from error
    except subprocess.CalledProcessError as error:
        raise EngineError(f"engine slurm: sbatch ended with code {error.returncode}; logs in {logs}") from error


def slurm_executor(
    engine: Engine, blocks: Sequence[PipelineStep], *, tasks: int, workers: int, logs: Path
) -> SlurmPipelineExecutor:
    """A job array with a task a rank, `workers` at once; `sbatch --wait` returns when the last is done."""
    return SlurmPipelineExecutor(
        list(blocks),
        tasks=tasks,
        workers=min(workers, tasks),
        time=engine.time,
        partition=engine.partition,
        qos=engine.qos,
        mem_per_cpu_gb=engine.memory_gib,
        job_name="rigor",
        env_command=engine.prepare or f"source {sys.prefix}/bin/activate",
        logging_dir=str(logs),
        sbatch_args={"wait": ""},
    )


def _on_ray(engine: Engine, blocks: Sequence[PipelineStep], tasks: int, workers: int, logs: Path) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    try:
        ray: Any = import_module("ray")  # an extra: absent where nobody asked for it
    except ModuleNotFoundError as error:
        raise EngineError("engine ray: Ray is not installed; pip install 'rigor[ray]'") from error
    if not ray.is_initialized():
        elsewhere = engine.address or os.environ.get("RAY_ADDRESS")
        here = {} if elsewhere else {"num_cpus": workers, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        ray.init(address=elsewhere, log_to_driver=False, logging_level=logging.ERROR, **here)
    ranks = RayRanks(list(blocks), tasks=tasks, workers=workers, mem_per_cpu_gb=engine.memory_gib,
                     logging_dir=str(logs))  # fmt: skip
    ranks.run()


class RayRanks(RayPipelineExecutor):
    """datatrove's executor, with a Ray worker for each rank.

    datatrove's own `run` starts a `Pool` in each worker for its rank, and a pool waits forever for a process that was
    killed (out of memory, a crash in a parser): the stage would never end.
    """

    def run(self) -> None:
        """Run every rank, at most `workers` at once; what ends a rank's process is tried twice more, then logged."""
        ray: Any = import_module("ray")
        memory_bytes = int(self.mem_per_cpu_gb * (1 << 30))
        one = ray.remote(num_cpus=1, memory=memory_bytes, max_retries=RETRIES, max_calls=1)(_run_rank)
        executor, waiting = ray.put(self), list(range(self.tasks))
        running: list[Any] = []
        while waiting or running:
            while waiting and len(running) < self.workers:
                running.append(one.remote(executor, waiting.pop(0)))
            done, running = ray.wait(running)
            for rank in done:
                try:
                    ray.get(rank)
                except ray.exceptions.RayError as error:
                    logger.error(f"engine ray: {error}")  # the rank's missing counts stop the stage


def _run_rank(executor: RayRanks, rank: int) -> None:
    executor._run_for_rank(rank)
