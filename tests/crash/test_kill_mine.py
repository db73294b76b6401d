"""SIGKILL a mine at seeded moments; what is left, once rerun, equals an uninterrupted run by content hash."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.sample_crawl import SampleCrawlConfig, generate
from warehouse.lineage import Lineage
from warehouse.tables import Tables

OUTPUTS = ("crawl_records", "pages", "page_scores", "domains", "pages_unique", "math_corpus")
SEED = 20261121


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Prefect server of the module's own: one that a killed run cannot take with it."""
    home = tmp_path_factory.mktemp("crash-home")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    api = f"http://127.0.0.1:{port}/api"
    crawl = home / "small"
    generate(crawl, SampleCrawlConfig(pages_per_month=60, months=("2026-01",)))
    environment = {
        **os.environ, "RIGOR_HOME": str(home), "PREFECT_HOME": str(home / "prefect"), "PREFECT_API_URL": api,
        "RIGOR_PREFECT_API_URL": api, "RIGOR_CRASH_CRAWL": str(crawl), "RIGOR_WORKERS": "2",
        "MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow.db'}",
    }  # fmt: skip
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{api}/health", timeout=2)
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        yield environment
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Miner:
    """Small mines, forked from one process that has imported everything."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.mine_once"], env=environment, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def mine(self, warehouse: Path, kill_after_seconds: float | None = None) -> float | None:
        """Run one; returns the seconds it took, or None when it was killed before its end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{warehouse}\n")
        self.process.stdin.flush()
        child, started = int(self.process.stdout.readline()), time.monotonic()
        killer = None
        if kill_after_seconds is not None:
            killer = threading.Timer(kill_after_seconds, os.killpg, (child, signal.SIGKILL))
            killer.start()
        status = int(self.process.stdout.readline())
        if killer is not None:
            killer.cancel()
        assert status in (0, -signal.SIGKILL), f"the mine failed: exit status {status}"
        assert status == 0 or kill_after_seconds is not None
        return time.monotonic() - started if status == 0 else None


def contents(warehouse: Path) -> dict[str, str]:
    """Content hash of every table as a reader finds it, checked against the bytes, not against what lineage says."""
    tables = Tables(str(warehouse))
    return {name: tables.view(name).digest() for name in OUTPUTS}


def rejected(warehouse: Path) -> list[tuple[str, str, str]]:
    """Quarantine rows of the fingerprints that lineage knows, sorted."""
    tables = Tables(str(warehouse))
    known = set(Lineage(tables).calls()["fingerprint"])
    rows = tables.view("quarantine").scan().select("fingerprint", "row", "reason").collect()
    return sorted(row for row in rows.iter_rows() if row[0] in known)


def kill_until(environment: dict[str, str], folder: Path, points: int, seed: int) -> None:
    """Kill at `points` seeded moments, in as many warehouses as that takes; each ends like the uninterrupted one."""
    miner = Miner(environment)
    whole = folder / "uninterrupted"
    miner.mine(whole)
    seconds = miner.mine(folder / "timed")
    assert seconds is not None
    wanted, wanted_rejects = contents(whole), rejected(whole)
    assert contents(folder / "timed") == wanted, "two uninterrupted runs differ: nothing to compare with"
    rng = random.Random(seed)
    done = number = 0
    while done < points:
        number += 1
        warehouse = folder / f"killed-{number}"
        # Several kills of one warehouse, each finding the last one's ruins; early enough that several are needed.
        for _ in range(min(12, points - done)):
            if miner.mine(warehouse, kill_after_seconds=rng.uniform(0.05, 0.5) * seconds) is not None:
                break
            done += 1
        assert miner.mine(warehouse) is not None
        assert contents(warehouse) == wanted, f"warehouse {number}"
        assert rejected(warehouse) == wanted_rejects, f"warehouse {number}"
        shutil.rmtree(warehouse)
        print(f"{done} of {points} kills, {number} warehouses, a mine takes {seconds:.1f} s", flush=True)
    miner.process.kill()
    miner.process.wait()


@pytest.mark.timeout(900)
def test_a_killed_mine_ends_like_an_uninterrupted_one(server: dict[str, str], tmp_path: Path) -> None:
    kill_until(server, tmp_path, points=2, seed=SEED)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_200_kills(server: dict[str, str], tmp_path: Path) -> None:
    kill_until({**server, "RIGOR_WORKERS": "1"}, tmp_path, points=160, seed=SEED + 1)
    kill_until(server, tmp_path / "with workers", points=40, seed=SEED + 2)
