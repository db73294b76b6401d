"""Fixtures of all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# One thread a library: the machine has two cores, and idle pools fight over them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "2")


@pytest.fixture(scope="session")
def rigor_data() -> Path:
    """Folder of third-party test data (`RIGOR_DATA`, default ../shared/data)."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("RIGOR_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}: set RIGOR_DATA")
    return folder
