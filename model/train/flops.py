"""The peak that model FLOPs utilisation (MFU) is a share of: published where the device is known, else measured."""

from __future__ import annotations

import re
import time
from typing import Literal, NamedTuple

import torch

from kernels.product import product

Precision = Literal["fp32", "bf16"]

KNOWN: tuple[tuple[str, dict[Precision, float]], ...] = (
    ("B200", {"bf16": 2250e12, "fp32": 80e12}),
    ("H200", {"bf16": 989e12, "fp32": 67e12}),
    ("H100 PCIe", {"bf16": 756e12, "fp32": 51e12}),
    ("H100", {"bf16": 989e12, "fp32": 67e12}),
    ("A100", {"bf16": 312e12, "fp32": 19.5e12}),
    ("L40S", {"bf16": 362e12, "fp32": 91.6e12}),
    ("L4", {"bf16": 121e12, "fp32": 30.3e12}),
)
"""Dense peaks in FLOP/s without sparsity, from NVIDIA's data sheets, by words of the device's name, longest first."""

SIZE = 768
"""Edge of the measured matrix product: large enough for full speed on a core, small enough for milliseconds."""


class Peak(NamedTuple):
    """Of one rank."""

    flops_per_second: float
    name: str
    """Where the number is from."""


def peak(precision: Precision, device: torch.device) -> Peak:
    """The peak of one rank on its device."""
    if device.type == "cuda":
        known = published(torch.cuda.get_device_name(device), precision)
        if known is not None:
            return known
    return measured(precision, device)


def published(device_name: str, precision: Precision) -> Peak | None:
    """The peak of a device by its name (GB200 and GH200 hold a B200 and an H200); None for an L40 or an A1000."""
    for part, peaks in KNOWN:
        if re.search(rf"\bG?{part}(?![0-9A-Z])", device_name):
            return Peak(peaks[precision], f"{part} {precision} data sheet")
    return None


def measured(precision: Precision, device: torch.device, tries: int = 7) -> Peak:
    """Fastest of some matrix products, with the threads that training has too."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    # A GPU wants larger matrices than a core does.
    size = SIZE if device.type == "cpu" else SIZE * 10
    left, right = (torch.ones(size, size, dtype=dtype, device=device) for _ in range(2))
    best = float("inf")
    for _ in range(tries):
        started = time.perf_counter()
        product(left, right)[0, 0].item()
        best = min(best, time.perf_counter() - started)
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    return Peak(2 * size**3 / best, f"measured {size}³ {precision} matrix product{threads}")
