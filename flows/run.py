"""One flow run: the parent MLflow run that its stages nest in, and the figures by which two runs compare."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run as prefect_run
from pydantic import BaseModel

from flows.errors import hushed_prefect
from flows.runner import Runner
from flows.settings import Settings
from flows.tracking import git_sha, if_not_there, log_config, process_tag
from flows.triggers import announce_run


@contextmanager
def flow_run(name: str, config: BaseModel) -> Iterator[Runner]:
    """A `Runner` inside an MLflow run of experiment `name`; the run's metrics are its stages' last figures."""
    settings = Settings()
    open_mlflow(settings, name)
    with mlflow.start_run(run_name=f"{name} {prefect_run.name or ''}".strip()) as run:
        log_config(run.info.run_id, config)
        tags = {"git_sha": git_sha(), "process": process_tag(), "prefect_flow_run": str(prefect_run.id or ""),
                "prefect_flow_run_url": str(prefect_run.ui_url or "")}  # fmt: skip
        mlflow.set_tags(tags)
        runner = Runner(settings)
        yield runner
        runner.summarise(run.info.run_id)
    announce_run(runner.lineage, (call.ref for call in runner.calls if call.ref is not None))


def open_mlflow(settings: Settings, experiment: str) -> None:
    """Point MLflow at its store and experiment; the experiment is created with our artifact root."""
    mlflow.set_tracking_uri(settings.mlflow_tracking_uri())
    client = mlflow.MlflowClient()
    if client.get_experiment_by_name(experiment) is None:
        with if_not_there():
            client.create_experiment(experiment, artifact_location=f"{settings.mlflow_artifact_root()}/{experiment}")
    mlflow.set_experiment(experiment)


@contextmanager
def from_shell() -> Iterator[None]:
    """Around a flow that a command runs: Ctrl-C stops it alone, and its failure is told once, by `user_errors`."""
    start_server()
    with hushed_prefect():
        yield


def start_server() -> None:
    """Start Prefect's embedded server, unless another is set, so that Ctrl-C stops the run alone.

    A terminal sends SIGINT to all that the command started; the server must live on to hear how the run ended.
    """
    if api := os.environ.get("PREFECT_API_URL"):
        from flows.deploy import reach

        reach(api)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # what is started now inherits it
    try:
        with get_client(sync_client=True):
            pass
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
