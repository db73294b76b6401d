"""What a Prefect server says of runs, over its HTTP API: messages of failures, and runs that MLflow never saw."""

from __future__ import annotations

import datetime as dt
import json
import os
import urllib.error
import urllib.request
from base64 import b64encode
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

import streamlit as st

FRESH_SECONDS = 5.0
WAIT_SECONDS = 2.0
MOST_RUNS = 50


@dataclass(frozen=True)
class FlowRun:
    """A flow run as Prefect has it."""

    id: str
    name: str
    state: str
    """Completed, Failed, Crashed, Running, Scheduled, Late, …"""
    message: str
    started: dt.datetime | None
    seconds: float


@st.cache_data(ttl=FRESH_SECONDS, max_entries=8, show_spinner=False)
def flow_runs(api: str) -> list[FlowRun] | None:
    """The newest flow runs; None where no server answers."""
    body = {"sort": "EXPECTED_START_TIME_DESC", "limit": MOST_RUNS}
    found = _post(f"{api}/flow_runs/filter", body)
    if found is None:
        return None
    return [
        FlowRun(
            run["id"], run["name"], run["state_name"] or "", (run["state"] or {}).get("message") or "",
            _time(run["start_time"] or run["expected_start_time"]), float(run["estimated_run_time"] or 0.0),
        )
        for run in found
    ]  # fmt: skip


@st.cache_data(ttl=FRESH_SECONDS, max_entries=8, show_spinner=False)
def task_messages(api: str, task_runs: tuple[str, ...]) -> dict[str, str]:
    """The state's message of each task run that the server knows."""
    found = _post(f"{api}/task_runs/filter", {"task_runs": {"id": {"any_": list(task_runs)}}, "limit": 200})
    return {run["id"]: (run["state"] or {}).get("message") or "" for run in found or []}


def _post(url: str, body: dict[str, Any]) -> list[dict[str, Any]] | None:
    if not url.startswith(("http://", "https://")):
        return None
    headers = {"Content-Type": "application/json"}
    if login := os.environ.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:  # noqa: S310 the scheme is checked above
            return list(json.load(answer))
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError, ValueError):
        return None


def _time(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
