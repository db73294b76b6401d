"""Every setting of a Rigor home in one class: environment variables `RIGOR_…`, or the defaults of a laptop.

`apply()` must run before Prefect is imported: Prefect reads its environment at import.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tasks.engine import LOCAL, Engine
from warehouse.prices import Prices

QUIET_AND_LOCAL = {
    # No telemetry, no update checks, nothing off the machine.
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
    # The warehouse is the truth: Prefect persists no results, and what it must write is JSON, not pickle.
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    # An ephemeral server needs 10 to 20 s on two busy cores; its default limit is 20.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    # The UI keeps the whole log; the console shows Rigor's own lines and warnings.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    "PREFECT_CLI_PROMPT": "false",
    # Seconds; the automation that marks dead runs as crashed (flows/deploy.py) misses three of these.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
}

LayoutKey = Literal[
    "ranks", "tensor", "pipeline", "expert", "context", "micro_batch_rows", "sample_rows", "sampler_rows",
]  # fmt: skip


class Settings(BaseSettings):
    """Where things are kept and how much of the machine is used. Nothing here changes a result."""

    model_config = SettingsConfigDict(env_prefix="RIGOR_", frozen=True, extra="forbid", use_attribute_docstrings=True)

    home: Path = Path("rigor-home")
    """Folder of the embedded defaults: warehouse, MLflow store, Prefect database, scratch."""
    warehouse: str = ""
    """Folder or object-store URL (`s3://bucket/prefix`) of the tables; default HOME/warehouse."""
    storage_options: dict[str, str] = Field(default_factory=dict)
    """object_store options of the warehouse as JSON, such as {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}."""
    mlflow_uri: str = ""
    """MLflow tracking and registry URI (SQLite, PostgreSQL or http); default sqlite:///HOME/mlflow.db."""
    mlflow_artifacts: str = ""
    """Folder or URL of MLflow's artifacts; default HOME/mlflow."""
    prefect_api_url: str = ""
    """Address of a running `prefect server`; default: an ephemeral server inside the process."""
    prefect_database_url: str = ""
    """SQLAlchemy URL of Prefect's database (`postgresql+asyncpg://…`); default SQLite in HOME/prefect."""
    workers: int = Field(default=os.cpu_count() or 1, ge=1, le=4096)
    """Processes for CPU-bound stages."""
    layout: dict[LayoutKey, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """How trainings lie over the machine, as JSON: ranks, tensor, pipeline, expert, context, micro_batch_rows; and how
    many rows are sampled at once: sample_rows, for students that learn from their own answers sampler_rows.

    Default: one rank a GPU, or one a core; see `tasks/train/recipe.py`."""
    open_lineage: str = ""
    """File (JSON lines) or http(s) endpoint that gets an OpenLineage event for each stage call; default: none."""
    prices: Prices = Prices()
    """Prices and watts of `rigor cost`, as JSON; see `warehouse/prices.py`."""
    engine: Annotated[Engine, NoDecode] = LOCAL
    """Where CPU-bound stages run: local, ray or slurm, or JSON: {"kind": "slurm", "partition": "cpu"}; see
    `tasks/engine.py`."""
    profile: str = "laptop"
    """Profile that fills the configs: laptop, gpu or cluster."""

    def absolute_home(self) -> Path:
        """`home`, made absolute and created."""
        folder = self.home.expanduser().resolve()
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def warehouse_uri(self) -> str:
        """The warehouse's address with its default filled in."""
        return self.warehouse or str(self.absolute_home() / "warehouse")

    def mlflow_tracking_uri(self) -> str:
        """MLflow's address with its default filled in."""
        return self.mlflow_uri or f"sqlite:///{self.absolute_home() / 'mlflow.db'}"

    def mlflow_artifact_root(self) -> str:
        """MLflow's artifact root with its default filled in."""
        return self.mlflow_artifacts or (self.absolute_home() / "mlflow").as_uri()

    def apply(self) -> None:
        """Put Prefect's and MLflow's environment in place; what the user has set stays, but for MLflow's address.

        That is `mlflow_uri`'s alone: flows write there, so what reads must not look elsewhere.
        """
        environment = {**QUIET_AND_LOCAL, "PREFECT_HOME": str(self.absolute_home() / "prefect")}
        if self.prefect_api_url:
            environment["PREFECT_API_URL"] = self.prefect_api_url
        if self.prefect_database_url:
            environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = self.prefect_database_url
        for name, value in environment.items():
            os.environ.setdefault(name, value)
        os.environ["MLFLOW_TRACKING_URI"] = self.mlflow_tracking_uri()
