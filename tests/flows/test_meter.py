"""Energy counters, read from a folder laid out as Linux lays out powercap."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flows.meter import Meter, Nvml, Rapl, _visible
from warehouse.prices import Prices


def package(root: Path, name: str, joules: float, greatest: float = 1_000.0) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "max_energy_range_uj").write_text(f"{int(greatest * 1e6)}\n")
    counter(folder, joules)
    return folder


def counter(folder: Path, joules: float) -> None:
    (folder / "energy_uj").write_text(f"{int(joules * 1e6)}\n")


def test_packages_add_up_sub_domains_do_not_and_a_counter_may_wrap(tmp_path: Path) -> None:
    first, second = package(tmp_path, "intel-rapl:0", 100), package(tmp_path, "intel-rapl:1", 990)
    package(tmp_path, "intel-rapl:0:0", 50)
    package(tmp_path, "intel-rapl-mmio:0", 50)
    with Meter(Prices(), tmp_path / "used.json", rapl=Rapl(tmp_path)) as meter:
        counter(first, 130)
        counter(second, 15)
        counter(tmp_path / "intel-rapl:0:0", 75)
        reading = meter.read(worker_cpu_seconds=1e9)
    assert reading.energy_joules == pytest.approx(30 + 25)
    assert reading.method.startswith("rapl")


def test_a_counter_may_wrap_many_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.meter.SAMPLE_SECONDS", 0.01)
    folder = package(tmp_path, "intel-rapl:0", 900)
    with Meter(Prices(), tmp_path / "used.json", rapl=Rapl(tmp_path)) as meter:
        for total in range(1_200, 6_901, 300):  # six times around
            (folder / "new").write_text(f"{int(total % 1_000 * 1e6)}\n")
            (folder / "new").replace(folder / "energy_uj")
            time.sleep(0.1)
        assert meter.read(worker_cpu_seconds=0).energy_joules == pytest.approx(6_000)


def test_without_counters_cpu_time_is_multiplied_and_the_method_says_so(tmp_path: Path) -> None:
    with Meter(Prices(watts_a_core=7), tmp_path / "used.json", rapl=Rapl(tmp_path)) as meter:
        reading = meter.read(worker_cpu_seconds=10)
    assert reading.energy_joules == pytest.approx(7 * reading.cpu_seconds)
    assert reading.cpu_seconds >= 10
    assert reading.method.startswith("estimated: CPU seconds at 7 W")


def test_a_killed_attempt_is_charged_with_its_running_children(tmp_path: Path) -> None:
    file = tmp_path / "used.json"
    text = f"""
import subprocess, sys
from pathlib import Path
import flows.meter as m
m.SAMPLE_SECONDS = m.KEEP_SECONDS = 0.1
with m.Meter(m.Prices(), Path({str(file)!r})):
    subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
    print("works", flush=True)
    input()
"""
    attempt = subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert attempt.stdout is not None
    assert attempt.stdout.readline() == "works\n"
    (worker,) = psutil.Process(attempt.pid).children()
    while sum(worker.cpu_times()[:2]) < 0.7:
        time.sleep(0.05)
    time.sleep(0.5)
    attempt.kill()
    worker.kill()
    attempt.communicate()
    with Meter(Prices(), file) as meter:
        reading = meter.read(worker_cpu_seconds=0)
    assert reading.seconds > 0.7
    assert reading.cpu_seconds > 0.7
    with Meter(Prices(), file) as meter:  # the second attempt is in the file too
        assert meter.read(worker_cpu_seconds=0).seconds > reading.seconds


def test_gpus_that_cuda_does_not_see_are_not_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"": [], "-1": [], "1": [1], "1,-1,0": [1], " 2, 0": [2, 0], "7": [], "GPU-8a7f": [0, 1, 2]}
    for chosen, seen in wanted.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
        assert _visible(3) == seen, chosen
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert _visible(3) == [0, 1, 2]


def test_the_last_part_of_a_second_is_charged(tmp_path: Path) -> None:
    class Working(Nvml):
        def working(self) -> int:
            return 2

    started = time.monotonic()
    with Meter(Prices(), tmp_path / "used.json", gpus=Working()) as meter:
        time.sleep(0.2)
        assert 0.4 <= meter.read(worker_cpu_seconds=0).gpu_seconds <= 2 * (time.monotonic() - started)


def test_money_is_hours_and_kilowatt_hours_at_their_prices() -> None:
    prices = Prices(cpu_hour=0.1, gpu_hour=2, kilowatt_hour=0.3)
    assert prices.amount(7_200, 1_800, 7.2e6) == pytest.approx(0.2 + 1.0 + 0.6)
