"""The made warehouse, once a session, and the environment by which pages find it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dashboards.made import Made, make


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("look"))


@pytest.fixture
def looking(made: Made, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Pages read the made warehouse."""
    monkeypatch.setenv("DASHBOARDS_WAREHOUSE", made.warehouse)
    monkeypatch.setenv("DASHBOARDS_MLFLOW", made.store)
    return made


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages read a home in which nothing has run."""
    monkeypatch.setenv("DASHBOARDS_WAREHOUSE", str(tmp_path / "warehouse"))
    monkeypatch.setenv("DASHBOARDS_MLFLOW", f"sqlite:///{tmp_path / 'mlflow.db'}")
