"""Energy and GPU time of a stage call, measured where the machine tells, estimated where it does not.

Processors: the RAPL counters of Linux's powercap. GPUs: NVIDIA's management library (NVML), asked through ctypes.
Both count the whole machine: a call that shares it is charged for its neighbours too, and idle draw is counted.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path

from warehouse.prices import Prices

POWERCAP = Path("/sys/class/powercap")
SAMPLE_SECONDS = 1.0


@dataclass(frozen=True)
class Reading:
    """What a call used."""

    gpu_seconds: float
    energy_joules: float
    method: str


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
            self._spent += (
                now - before if now >= before else now - before + self._joules(package, "max_energy_range_uj")
            )
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
    """Measures from its making to `read`."""

    def __init__(self, prices: Prices, rapl: Rapl | None = None, gpus: Nvml | None = None) -> None:
        """Start; `prices` holds the watts for what cannot be measured."""
        self.prices, self.rapl, self.gpus = prices, rapl or Rapl(), gpus or Nvml()
        self._worked: list[float] = []
        self._done = threading.Event()
        asked = (self.rapl, self.gpus, self._worked, self._done)
        self._sampler = threading.Thread(target=_sample, args=asked, daemon=True)
        weakref.finalize(self, self._done.set)  # a call that fails is never read
        if self.rapl.packages or self.gpus.devices:
            self._sampler.start()

    def read(self, cpu_seconds: float) -> Reading:
        """Stop; `cpu_seconds` is the call's CPU time, for the estimate."""
        self._done.set()
        if self.rapl.packages or self.gpus.devices:
            self._sampler.join()
        gpu_seconds = sum(self._worked)
        joules, method = self.rapl.joules(), "rapl"
        if joules is None:
            watts = self.prices.watts_a_core
            joules, method = cpu_seconds * watts, f"estimated: CPU seconds at {watts:g} W"
        if self.gpus.devices:
            watts, measured = self.prices.watts_a_gpu, self.gpus.joules()
            joules += gpu_seconds * watts if measured is None else measured
            method += " + nvml" if measured is not None else f" + estimated: GPU seconds at {watts:g} W"
        return Reading(gpu_seconds, joules, method)


def _sample(rapl: Rapl, gpus: Nvml, worked: list[float], done: threading.Event) -> None:
    """Add to `worked`, once a second and at the end, the seconds that GPUs have worked; let `rapl` see each wrap."""
    last, ended = time.monotonic(), False
    while not ended:
        ended = done.wait(SAMPLE_SECONDS)
        now = time.monotonic()
        worked.append(gpus.working() * (now - last))
        rapl.joules()
        last = now


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
