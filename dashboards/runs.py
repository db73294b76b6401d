"""Reads of MLflow: every attempt at a stage, failed and running ones too, and the curves of a training."""

from __future__ import annotations

import datetime as dt
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import polars as pl
import streamlit as st

from dashboards.source import Source

FRESH_SECONDS = 5.0
MOST_RUNS = 400
"""Newest runs that the pages look at."""
SKEW_SECONDS = 600.0
"""By which the clocks of machines that write runs may differ."""
TALKATIVE = ("load.", "router_violation_0")
"""Metrics that come once a layer and expert."""


@dataclass(frozen=True)
class Attempt:
    """One MLflow run: a stage call, or a flow run if it has no parent."""

    run: str
    parent: str
    flow: str
    name: str
    stage: str
    fingerprint: str
    status: str
    """FINISHED, FAILED, KILLED or RUNNING."""
    started: dt.datetime
    seconds: float
    """Until now for one that runs."""
    task_run: str
    """Prefect task run id, or flow run id."""
    metrics: dict[str, float]
    warnings: tuple[str, ...] = ()
    """What it warned of, in its order."""
    process: str = ""
    """`host pid:start time` (in clock ticks since boot) of what runs it."""

    @property
    def partitions(self) -> str:
        """What the call wrote, as its run's name says."""
        return self.name.removeprefix(self.stage).strip()

    def died(self) -> bool:
        """Whether what ran it on this machine is gone; what runs on another cannot be seen from here."""
        host, _, process = self.process.partition(" ")
        if host != socket.gethostname():
            return False
        pid, _, start = process.partition(":")
        try:
            # The second field is the command in parentheses; the start time is the 22nd.
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19] != start
        except OSError:
            return True


def client(uri: str) -> mlflow.MlflowClient:
    """MLflow's client on a store."""
    return mlflow.MlflowClient(uri)


@st.cache_resource(ttl=600.0, max_entries=8, show_spinner=False)
def _known(uri: str) -> dict[str, Attempt]:  # noqa: ARG001 what is kept is kept for a store
    """Runs by id as they were seen last: MLflow takes milliseconds for each, and one that ended does not change."""
    return {}


@st.cache_data(ttl=FRESH_SECONDS, max_entries=8, show_spinner=False)
def _attempts(uri: str) -> list[Attempt]:
    reader, known = client(uri), _known(uri)
    experiments = {e.experiment_id: e.name for e in reader.search_experiments()}
    before = list(known.values())
    newest = max((attempt.started.timestamp() for attempt in before), default=0.0)
    asked = [f"attributes.start_time > {int(max(newest - SKEW_SECONDS, 0) * 1000)}"]
    if open_ := ", ".join(f"'{attempt.run}'" for attempt in before if attempt.status == "RUNNING"):
        asked.append(f"attributes.run_id IN ({open_})")
    for which in asked:
        found = reader.search_runs(list(experiments), which, max_results=MOST_RUNS,
                                   order_by=["attributes.start_time DESC"])  # fmt: skip
        known.update({run.info.run_id: _attempt(run, experiments[run.info.experiment_id]) for run in found})
    return sorted(known.values(), key=lambda attempt: attempt.started, reverse=True)[:MOST_RUNS]


def attempts() -> list[Attempt]:
    """The newest runs, newest first; none where there is no MLflow store yet.

    Raises:
        MlflowException: the store cannot be read.
    """
    return list(_attempts(Source().mlflow))


def _attempt(run: Any, flow: str) -> Attempt:
    tags, info = run.data.tags, run.info
    started = dt.datetime.fromtimestamp(info.start_time / 1000, dt.UTC)
    ended = dt.datetime.fromtimestamp(info.end_time / 1000, dt.UTC) if info.end_time else dt.datetime.now(dt.UTC)
    return Attempt(
        run=info.run_id,
        parent=tags.get("mlflow.parentRunId", ""),
        flow=flow,
        name=tags.get("mlflow.runName", info.run_name or ""),
        stage=tags.get("stage", ""),
        fingerprint=tags.get("fingerprint", ""),
        status=info.status,
        started=started,
        seconds=max((ended - started).total_seconds(), 0.0),
        task_run=tags.get("prefect_task_run") or tags.get("prefect_flow_run", ""),
        metrics={k: v for k, v in run.data.metrics.items() if not k.startswith(TALKATIVE)},
        warnings=tuple(tags[k] for k in sorted(tags) if k.startswith("warning.")),
        process=tags.get("process", ""),
    )


@st.cache_data(ttl=FRESH_SECONDS, max_entries=16, show_spinner=False)
def last_metrics(uri: str, run: str) -> dict[str, float]:
    """The last value of every metric of a run."""
    return dict(client(uri).get_run(run).data.metrics)


@st.cache_data(ttl=FRESH_SECONDS, max_entries=512, show_spinner=False)
def curve(uri: str, run: str, metric: str) -> pl.DataFrame:
    """One metric's points by step: columns step, value, time (UTC); the last where a step was logged twice."""
    points = client(uri).get_metric_history(run, metric)
    frame = pl.DataFrame(
        {"step": [p.step for p in points], "value": [p.value for p in points], "ms": [p.timestamp for p in points]},
        schema={"step": pl.Int64, "value": pl.Float64, "ms": pl.Int64},
    )
    last = frame.sort("step", "ms").unique("step", keep="last", maintain_order=True)
    return last.select("step", "value", pl.from_epoch("ms", time_unit="ms").alias("time"))
