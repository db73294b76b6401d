"""Where the pages read. `rigor ui` fills this from its settings; nothing here is ever written to."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Source(BaseSettings):
    """Addresses, from environment variables `DASHBOARDS_…`; the defaults are those of a home in this folder."""

    model_config = SettingsConfigDict(env_prefix="DASHBOARDS_", frozen=True, use_attribute_docstrings=True)

    warehouse: str = "rigor-home/warehouse"
    """Folder or object-store URL of the tables."""
    storage_options: dict[str, str] = Field(default_factory=dict)
    """object_store options of the warehouse, as JSON."""
    mlflow: str = "sqlite:///rigor-home/mlflow.db"
    """MLflow's tracking store; read directly, which is quicker than through its server."""
    mlflow_ui: str = ""
    """Address of MLflow's own pages, for links; empty: no links."""
    prefect_api: str = ""
    """Address of a Prefect server's API; empty: states come from MLflow and lineage alone."""
    currency: str = "EUR"
    """What the prices are in."""
    cpu_hour: float = 0.04
    """Price of a core for an hour; the page Cost begins with these and lets them be changed."""
    gpu_hour: float = 2.5
    kilowatt_hour: float = 0.0
    watts_a_core: float = 12.0
    """Draw of a working core where no counter told. W"""
    ask: str = ""
    """Address of the ask server (`python -m flows.ask_server`); empty: the page Ask says how to start it."""
