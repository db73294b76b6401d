"""A real Prefect server and a real `rigor deploy`, as processes; what they did is read over the server's own API."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from flows.settings import QUIET_AND_LOCAL
from tests.flows.postgres import free_port

ROOT = Path(__file__).resolve().parents[2]
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
T = TypeVar("T")


class Live:
    """Server and deployments; `folder` holds the home and the logs."""

    def __init__(self, folder: Path, database: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        port = free_port()
        self.api = f"http://127.0.0.1:{port}/api"
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("RIGOR_", "PREFECT_", "MLFLOW_"))}
        self.environment = {
            **clean, **QUIET_AND_LOCAL, "PREFECT_HOME": str(folder / "prefect"), "PREFECT_UI_ENABLED": "false",
            "PREFECT_RUNNER_POLL_FREQUENCY": "2", "RIGOR_HOME": str(folder / "home"), "RIGOR_WORKERS": "1",
            "RIGOR_PREFECT_API_URL": self.api, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
            "POLARS_MAX_THREADS": "1",
            # A schedule of seconds would fill the table a hundred runs ahead.
            "PREFECT_SERVER_SERVICES_SCHEDULER_MAX_RUNS": "2", "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_RUNS": "1",
        }  # fmt: skip
        if database:
            self.environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database
        self.client = httpx.Client(base_url=self.api, timeout=300)
        self._server = self._start("server", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))

    def wait(self) -> None:
        """Until the server answers."""
        until(900, "the server's health", self._healthy, self._server)

    def _healthy(self) -> bool:
        try:
            return self.client.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def _start(self, log: str, *module: str) -> psutil.Popen:
        with (self.folder / f"{log}.log").open("ab") as file:
            return psutil.Popen([sys.executable, "-m", *module], env=self.environment, cwd=ROOT, stdout=file,
                                stderr=subprocess.STDOUT)  # fmt: skip

    def deploy(self, file: Path, *deployments: str) -> psutil.Popen:
        """`rigor deploy`, once the named deployments (`flow/name`) are registered and served."""
        self.wait()
        served = self._start("deploy", "flows.cli", "deploy", "--file", str(file))
        for name in deployments:
            until(900, f"the deployment {name}", lambda name=name: self.deployment(name), served)
        return served

    def deployment(self, name: str) -> dict[str, Any] | None:
        """A deployment by `flow/name`."""
        answer = self.client.get(f"/deployments/name/{name}")
        return answer.json() if answer.status_code == 200 else None

    def let_schedules(self, name: str, *, run: bool) -> None:
        """Turn a deployment's schedules on or off. Prefect 3.8.8 forgets parameters that are not said again."""
        found = self.deployment(name)
        assert found is not None, name
        for schedule in found["schedules"]:
            told = {"active": run, "parameters": schedule["parameters"]}
            answer = self.client.patch(f"/deployments/{found['id']}/schedules/{schedule['id']}", json=told)
            assert answer.status_code == 204, answer.text

    def start(self, name: str, parameters: dict[str, Any]) -> str:
        """Ask for a run as the UI's form does; returns its id."""
        found = self.deployment(name)
        assert found is not None, name
        answer = self.client.post(f"/deployments/{found['id']}/create_flow_run",
                                  json={"parameters": parameters, "state": {"type": "SCHEDULED"}})  # fmt: skip
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def runs(self, flow: str, *states: str) -> list[dict[str, Any]]:
        """Runs of a flow, the first started first."""
        body: dict[str, Any] = {"flows": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_ASC"}
        if states:
            body["flow_runs"] = {"state": {"type": {"any_": list(states)}}}
        answer = self.client.post("/flow_runs/filter", json=body)
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    def state(self, run: str) -> dict[str, Any]:
        """The present state of a run."""
        return dict(self.client.get(f"/flow_runs/{run}").json()["state"])

    def ended(self, run: str, seconds: float = 300) -> dict[str, Any]:
        """The final state of a run."""

        def final() -> dict[str, Any] | None:
            state = self.state(run)
            return state if state["type"] in ENDED else None

        return until(seconds, f"run {run} to end", final)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Events of that name, the newest first."""
        answer = self.client.post("/events/filter", json={"filter": {"event": {"name": [name]}}, "limit": 50})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["events"])

    def committed(self) -> list[str]:
        """What events of new artifacts told of, as `name@version`, the newest first."""
        return [event["resource"]["prefect.resource.name"] for event in self.events("rigor.committed")]

    def heartbeats(self, run: str) -> list[dict[str, Any]]:
        """Heartbeats of a run."""
        beats = self.events("prefect.flow-run.heartbeat")
        return [event for event in beats if event["resource"]["prefect.resource.id"].endswith(run)]

    def logs(self, run: str) -> str:
        """What a run logged."""
        body = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC", "limit": 200}
        return "\n".join(line["message"] for line in self.client.post("/logs/filter", json=body).json())

    def artifact(self, key: str) -> dict[str, Any]:
        """The newest artifact of that key."""
        return dict(self.client.get(f"/artifacts/{key}/latest").json())

    def stop(self) -> None:
        """End the server."""
        self.client.close()
        kill(self._server)


@contextmanager
def live(folder: Path, database: str = "") -> Iterator[Live]:
    """A `Live` whose server is ended in any case; it starts while the caller goes on, and `deploy` waits for it."""
    running = Live(folder, database)
    try:
        yield running
    finally:
        running.stop()


def until(seconds: float, what: str, answer: Callable[[], T], process: psutil.Popen | None = None) -> T:
    """The first true answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = answer()
        if found:
            return found
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"waiting for {what}: the process ended with code {process.returncode}")
        time.sleep(0.5)
    raise TimeoutError(f"{what} did not come within {seconds:.0f} s")


def kill(process: psutil.Popen) -> int:
    """kill -9 a process and all that it started; returns how many that were."""
    family = [*process.children(recursive=True), process] if process.is_running() else []
    for each in family:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue  # it ended meanwhile
    process.wait()
    return len(family)
