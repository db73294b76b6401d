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

from datatrove.executor.slurm import SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from tasks.engine import Engine


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
    from datatrove.executor.ray import RayPipelineExecutor

    if not ray.is_initialized():
        elsewhere = engine.address or os.environ.get("RAY_ADDRESS")
        here = {} if elsewhere else {"num_cpus": workers, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        ray.init(address=elsewhere, log_to_driver=False, logging_level=logging.ERROR, **here)
    RayPipelineExecutor(
        list(blocks), tasks=tasks, workers=min(workers, tasks), mem_per_cpu_gb=engine.memory_gib, logging_dir=str(logs)
    ).run()
