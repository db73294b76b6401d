"""Time and energy of a stage call, measured where the machine tells, estimated where it does not.

Processors: the RAPL counters of Linux's powercap. GPUs: NVIDIA's management library (NVML), asked through ctypes.
Both count the whole machine: a call that shares it is charged for its neighbours too, and idle draw is counted.

What a killed attempt at the call used is kept in a file as it goes, and added: its work was not lost either.
"""

from __future__ import annotations

import ctypes
import json
import os
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

import psutil

from flows.tracking import cpu_seconds
from warehouse.prices import Prices

POWERCAP = Path("/sys/class/powercap")
SAMPLE_SECONDS = 1.0
KEEP_SECONDS = 10.0


@dataclass(frozen=True)
class Reading:
    """What a call used."""

    seconds: float
    cpu_seconds: float
    gpu_seconds: float
    energy_joules: float
    method: str


@dataclass(frozen=True)
class Kept:
    """What attempts at a call have used; energy as far as it was measured."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    rapl_joules: float = 0.0
    nvml_joules: float = 0.0

    def __add__(self, other: Kept) -> Kept:
        """Both together."""
        return Kept(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Kept)))


class Rapl:
    """The energy counters of the processor packages."""

    def __init__(self, root: Path = POWERCAP) -> None:
        """Find the readable packages (`intel-rapl:0`, not its sub-domains) below `root`."""
        self.packages = [p for p in sorted(root.glob("intel-rapl:*")) if p.name.count(":") == 1 and _readable(p)]
        self._last = [self._joules(p, "energy_uj") for p in self.packages]
        self._spent = 0.0

    def joules(self) -> float | None:
        """Energy since the start; None where no counter can be read.

        To be asked again and again: a counter wraps within the hour, and that it did so twice since the last time
        cannot be seen.
        """
        if not self.packages:
            return None
        for index, package in enumerate(self.packages):
            before, now = self._last[index], self._joules(package, "energy_uj")
            wrapped = self._joules(package, "max_energy_range_uj") if now < before else 0.0
            self._spent += now - before + wrapped
            self._last[index] = now
        return self._spent

    @staticmethod
    def _joules(package: Path, name: str) -> float:
        return int((package / name).read_text()) / 1e6


class _Utilization(ctypes.Structure):
    """`nvmlUtilization_t`: per cent of the last sampling period in which the GPU, and its memory, worked."""

    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


class Nvml:
    """The visible NVIDIA GPUs; none where there is no driver."""

    def __init__(self) -> None:
        """Load the driver's library and take the counters' start."""
        self.devices: list[ctypes.c_void_p] = []
        self._start: list[int | None] = []
        try:
            self._library = ctypes.CDLL("libnvidia-ml.so.1")
        except OSError:
            return
        count = ctypes.c_uint(0)
        if self._library.nvmlInit_v2() or self._library.nvmlDeviceGetCount_v2(ctypes.byref(count)):
            return
        for number in _visible(count.value):
            device = ctypes.c_void_p()
            if self._library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(number), ctypes.byref(device)) == 0:
                self.devices.append(device)
        self._start = [self._millijoules(device) for device in self.devices]

    def joules(self) -> float | None:
        """Energy since the start; None where there is no GPU, or one without a counter (before Volta)."""
        spent = [(now - start) / 1e3 for device, start in zip(self.devices, self._start, strict=True)
                 if start is not None and (now := self._millijoules(device)) is not None]  # fmt: skip
        return sum(spent) if spent and len(spent) == len(self.devices) else None

    def working(self) -> int:
        """How many of the GPUs have worked within NVML's last sampling period."""
        used = 0
        for device in self.devices:
            rates = _Utilization()
            failed = self._library.nvmlDeviceGetUtilizationRates(device, ctypes.byref(rates))
            used += not failed and rates.gpu > 0
        return used

    def _millijoules(self, device: ctypes.c_void_p) -> int | None:
        value = ctypes.c_ulonglong(0)
        failed = self._library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(value))
        return None if failed else value.value


class Meter:
    """Measures within its `with` block."""

    def __init__(self, prices: Prices, file: Path, rapl: Rapl | None = None, gpus: Nvml | None = None) -> None:
        """Start; `prices` holds the watts for what cannot be measured, `file` what earlier attempts have used."""
        self.prices, self.rapl, self.gpus = prices, rapl or Rapl(), gpus or Nvml()
        self._file, self._before = file, Kept(**json.loads(file.read_text())) if file.exists() else Kept()
        self._clock, self._cpu, self._tree = time.perf_counter(), cpu_seconds(), _tree_cpu_seconds()
        self._so_far = Kept()
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        """Begin to sample."""
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; what was used is in the file."""
        self._done.set()
        self._sampler.join()

    def seconds(self) -> float:
        """Wall-clock time so far, of all attempts."""
        return self._before.seconds + time.perf_counter() - self._clock

    def read(self, worker_cpu_seconds: float) -> Reading:
        """Stop and tell; the argument is the CPU time of processes that are not children of this one."""
        self.__exit__()
        used = self._before + self._so_far
        cpu = self._before.cpu_seconds + cpu_seconds() - self._cpu + worker_cpu_seconds
        watts = self.prices.watts_a_core
        joules, method = cpu * watts, f"estimated: CPU seconds at {watts:g} W"
        if self.rapl.packages:
            joules, method = used.rapl_joules, "rapl"
        if self.gpus.devices:
            measured, watts = self.gpus.joules() is not None, self.prices.watts_a_gpu
            joules += used.nvml_joules if measured else used.gpu_seconds * watts
            method += " + nvml" if measured else f" + estimated: GPU seconds at {watts:g} W"
        return Reading(self.seconds(), cpu, used.gpu_seconds, joules, method)

    def _sample(self) -> None:
        """Look each second and at the end: at GPUs that work, at counters before they wrap; keep it now and then."""
        last, kept, gpu_seconds, cpu, ended = self._clock, self._clock, 0.0, 0.0, False
        while not ended:
            ended = self._done.wait(SAMPLE_SECONDS)
            now = time.perf_counter()
            gpu_seconds += self.gpus.working() * (now - last)
            last = now
            rapl, nvml = self.rapl.joules() or 0.0, self.gpus.joules() or 0.0
            if ended or now - kept >= KEEP_SECONDS:
                kept, cpu = now, max(cpu, _tree_cpu_seconds() - self._tree)
            self._so_far = Kept(now - self._clock, cpu, gpu_seconds, rapl, nvml)
            if kept == now:
                _write(self._file, self._before + self._so_far)


def _write(file: Path, used: Kept) -> None:
    """At once: a killed process leaves the old file or the new one."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(asdict(used)))
    new.replace(file)


def _tree_cpu_seconds() -> float:
    """CPU time of this process and of all below it, also of those that run; what a vanished one used is missing."""
    total = cpu_seconds()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            times = child.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _readable(package: Path) -> bool:
    return os.access(package / "energy_uj", os.R_OK)


def _visible(count: int) -> list[int]:
    """Numbers of the GPUs that CUDA_VISIBLE_DEVICES leaves this process; ids that are no numbers are not resolved."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    parts = [part.strip() for part in (chosen or "").split(",") if part.strip()]
    parts = parts[: parts.index("-1")] if "-1" in parts else parts  # CUDA sees none from there on
    if chosen is None or not all(part.isdigit() for part in parts):
        return list(range(count))
    return [int(part) for part in parts if int(part) < count]
