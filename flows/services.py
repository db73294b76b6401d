"""`rigor ui`: the dashboards, Prefect with a deployment of every flow, MLflow and the asking, all on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence

from flows.commands import out
from flows.settings import Settings

HOST = "127.0.0.1"
START_SECONDS = 300.0
"""Generous: a server that dies is told at once."""


def serve_ui(port: int) -> None:
    """Start the servers, print their addresses, wait for Ctrl-C or SIGTERM.

    Raises:
        ConnectionError: a port is taken, or a server did not come up.
    """
    settings = Settings()
    ports = range(port, port + 4)
    for number in ports:
        if _open(number):
            raise ConnectionError(f"port {number} on {HOST} is taken; choose another with --port")
    prefect, mlflow, dashboards, ask = (f"http://{HOST}:{number}" for number in ports)
    is_served = settings.mlflow_tracking_uri().startswith(("http://", "https://"))  # by a server of its own
    if is_served:
        mlflow = settings.mlflow_tracking_uri()
    api = f"{prefect}/api"
    # MLflow's database by the environment: on a command line everybody on the machine could read its password.
    environment = {**os.environ, "PREFECT_API_URL": api, "PREFECT_SERVER_UI_API_URL": api,
                   "MLFLOW_BACKEND_STORE_URI": settings.mlflow_tracking_uri(),
                   **dashboard_environment(settings, api, mlflow, ask)}  # fmt: skip
    stores = [["prefect", "server", "start", "--host", HOST, "--port", str(ports[0])]]
    if not is_served:
        stores.append(["mlflow", "server", "--host", HOST, "--port", str(ports[1]), "--workers", "1",
                       "--artifacts-destination", settings.mlflow_artifact_root()])  # fmt: skip
    readers = (["dashboards", "--port", str(ports[2])], ["flows.ask_server", "--port", str(ports[3])])
    out.print("starting MLflow, Prefect and the dashboards; their addresses follow")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what starts it may stop it: nothing is left behind
    servers: list[subprocess.Popen[bytes]] = []
    try:
        servers += [_start(command, environment) for command in stores]
        _wait(servers, (f"{mlflow}/health",))  # it has made its tables: two that make them at once would collide
        servers += [_start(command, environment) for command in readers]
        _wait(servers, (f"{dashboards}/_stcore/health", f"{ask}/models", f"{api}/health"))
        servers.append(_start(["flows.cli", "deploy", "--manual"], environment))
        out.print(f"Dashboards  {dashboards}\nPrefect     {prefect}\nMLflow      {mlflow}\n"
                  f"Runs from another shell show up there live with\n  export RIGOR_PREFECT_API_URL={api}\n"
                  "Ctrl-C stops all of it.")  # fmt: skip
        while all(server.poll() is None for server in servers):
            time.sleep(0.5)
        raise ConnectionError("a server ended by itself; its messages are above")
    except KeyboardInterrupt:
        out.print("stopping")
    finally:
        for server in reversed(servers):
            _stop(server)


def dashboard_environment(settings: Settings, prefect_api: str, mlflow_ui: str, ask: str) -> dict[str, str]:
    """What `dashboards.source.Source` reads."""
    prices = settings.prices
    told = {
        "warehouse": settings.warehouse_uri(),
        "storage_options": json.dumps(settings.storage_options),
        "mlflow": settings.mlflow_tracking_uri(),
        "mlflow_ui": mlflow_ui,
        "prefect_api": prefect_api,
        "ask": ask,
        "currency": prices.currency,
        "cpu_hour": str(prices.cpu_hour),
        "gpu_hour": str(prices.gpu_hour),
        "kilowatt_hour": str(prices.kilowatt_hour),
        "watts_a_core": str(prices.watts_a_core),
    }
    return {f"DASHBOARDS_{name.upper()}": value for name, value in told.items()}


def _start(module: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", *module], env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End a server and all it started."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)


def _open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def _wait(servers: Sequence[subprocess.Popen[bytes]], addresses: Sequence[str]) -> None:
    end = time.monotonic() + START_SECONDS
    for address in addresses:
        while not _answers(address):
            if time.monotonic() > end or any(s.poll() is not None for s in servers):
                raise ConnectionError(f"{address} did not come up; its messages are above")
            time.sleep(0.3)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:  # noqa: S310 a loopback address made above
            return bool(answer.status == 200)
    except OSError:
        return False
