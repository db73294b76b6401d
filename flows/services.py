"""`rigor ui`: Prefect server with a deployment of every flow, and MLflow, on loopback."""

from __future__ import annotations

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
START_SECONDS = 120.0


def serve_ui(port: int) -> None:
    """Start the servers, print their addresses, wait for Ctrl-C.

    Raises:
        ConnectionError: a port is taken, or a server did not come up.
    """
    settings = Settings()
    for number in (port, port + 1):
        if _open(number):
            raise ConnectionError(f"port {number} on {HOST} is taken; choose another with --port")
    api = f"http://{HOST}:{port}/api"
    environment = {**os.environ, "PREFECT_API_URL": api, "PREFECT_SERVER_UI_API_URL": api}
    prefect = ["prefect", "server", "start", "--host", HOST, "--port", str(port)]
    mlflow = ["mlflow", "server", "--host", HOST, "--port", str(port + 1), "--workers", "1",
              "--backend-store-uri", settings.mlflow_tracking_uri(),
              "--artifacts-destination", settings.mlflow_artifact_root()]  # fmt: skip
    servers = [_start(command, environment) for command in (prefect, mlflow)]
    try:
        _wait(servers, (f"{api}/health", f"http://{HOST}:{port + 1}/health"))
        servers.append(_start(["flows.serve"], environment))
        out.print(f"Prefect  http://{HOST}:{port}\nMLflow   http://{HOST}:{port + 1}\n"
                  f"Runs from another shell show up there live with\n  export RIGOR_PREFECT_API_URL={api}\n"
                  "Ctrl-C stops both.")  # fmt: skip
        while all(server.poll() is None for server in servers):
            time.sleep(0.5)
        raise ConnectionError("a server ended by itself; its messages are above")
    except KeyboardInterrupt:
        out.print("stopping")
    finally:
        for server in reversed(servers):
            _stop(server)


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
