"""`rigor ui` as a user has it: addresses that answer, a form for every flow, and nothing left after Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from flows.deployments import read_operations
from flows.services import HOST, serve_ui
from tests.flows.postgres import free_port
from tests.operate.live import until

ROOT = Path(__file__).resolve().parents[2]


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConnectionError, match=rf"port {port} on {HOST} is taken; choose another with --port"):
            serve_ui(port)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_starts_all_prints_where_and_ends_with_all(tmp_path: Path, end: signal.Signals) -> None:
    port = next(p for p in iter(free_port, None) if p < 65_000 and all(map(closed, range(p, p + 4))))
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RIGOR_", "PREFECT_", "MLFLOW_"))}
    environment = {**clean, "RIGOR_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "flows.cli", "ui", "--port", str(port)]
    ui = psutil.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True,
                      preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # fmt: skip
    family: list[psutil.Process] = []
    try:
        printed = ""
        while "Ctrl-C stops" not in printed:
            line = ui.stdout.readline()
            assert line, f"it ended with code {ui.wait()}: {printed}"
            printed += line
        addresses = dict(re.findall(r"^(\w+) +(http://\S+)$", printed, re.M))
        assert addresses.keys() == {"Dashboards", "Prefect", "MLflow"}
        for name, title in {"Dashboards": "Rigor", "Prefect": "Prefect", "MLflow": "MLflow"}.items():
            answer = httpx.get(addresses[name], follow_redirects=True, timeout=60)
            assert (answer.status_code, title in answer.text) == (200, True), name
        api = f"{addresses['Prefect']}/api"
        assert f"export RIGOR_PREFECT_API_URL={api}" in printed
        expected = len(read_operations().deployments)
        deployed = until(300, "the deployments", lambda: found if len(found := posted(api, "deployments")) == expected
                         else None, ui)  # fmt: skip
        assert {"mine", "evaluate", "backfill"} <= {str(each["entrypoint"]).rpartition(".")[2] for each in deployed}
        assert all(each["parameter_openapi_schema"]["properties"].keys() == {"config"} for each in deployed)
        assert not any(each["schedules"] for each in deployed), "by hand alone"
        family = ui.children(recursive=True)
        assert len(family) >= 5
        words = [word for each in family for word in each.cmdline()]
        assert not any("mlflow.db" in word for word in words), "a database's address may hold its password"
    finally:
        if ui.poll() is None:
            ui.send_signal(end)  # a terminal's Ctrl-C reaches the foreground group, which is this process alone
        code = ui.wait(60)
    assert code == 0
    assert "stopping" in ui.stdout.read()
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert all(map(closed, range(port, port + 4)))


def posted(api: str, kind: str) -> list[dict[str, object]]:
    answer = httpx.post(f"{api}/{kind}/filter", json={}, timeout=60)
    assert answer.status_code == 200, answer.text
    return list(answer.json())


def closed(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) != 0
