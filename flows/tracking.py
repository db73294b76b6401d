"""What a run tells MLflow and lineage about itself: dataset versions, params, commit of the code, CPU time."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
from mlflow.data.delta_dataset_source import DeltaDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.utils.validation import MAX_METRICS_PER_BATCH, MAX_PARAMS_TAGS_PER_BATCH
from pydantic import BaseModel

from model.train import lifeline
from warehouse.lineage import ArtifactRef
from warehouse.schema import TABLES
from warehouse.tables import Tables

STAGES_FILE = "stages.json"
"""In a flow run's MLflow artifacts: its stage calls in order, reused ones too, for `rigor diff`."""


class TableDataset(MetaDataset):
    """A table version: name, version, our sha256, schema, and its row count as profile."""

    def __init__(self, source: DeltaDatasetSource, ref: ArtifactRef, schema: Mapping[str, str]) -> None:
        """The dataset of `ref`; `schema` maps column names to dtypes."""
        self.columns, self.ref = schema, ref
        super().__init__(source=source, name=str(ref), digest=ref.digest[:36])

    def to_dict(self) -> dict[str, str]:
        """MLflow's record of the dataset."""
        profile = {"rows": self.ref.rows, "version": self.ref.version, "sha256": self.ref.digest}
        return {**super().to_dict(), "schema": json.dumps(self.columns), "profile": json.dumps(profile)}


def log_dataset(tables: Tables, run_id: str, ref: ArtifactRef, context: str) -> None:
    """Log a table version as an MLflow dataset under our own sha256 (MLflow's digests ignore row order)."""
    if ref.kind != "table":
        mlflow.MlflowClient().set_tag(run_id, f"{context}.{ref.name}", f"{ref} {ref.digest[:16]}")
        return
    source = DeltaDatasetSource(path=tables.table_uri(ref.name), delta_table_version=ref.version)
    schema = {f.name: str(f.type) for f in TABLES[ref.name].arrow}
    dataset = TableDataset(source, ref, schema)
    mlflow.log_input(dataset, context=context, tags={"version": str(ref.version), "fingerprint": ref.fingerprint})


def flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested config as (dotted key, text), as MLflow params want it."""
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(item)[:6000]


def log_config(run_id: str, config: BaseModel) -> None:
    """A config as params of an MLflow run."""
    log_batches(run_id, params=[Param(key, value) for key, value in flat(config.model_dump(mode="json"))])


def log_batches(run_id: str, metrics: Sequence[Metric] = (), params: Sequence[Param] = ()) -> None:
    """Write to an MLflow run in batches of MLflow's limit: one at a time, a whole recipe's params took ten seconds."""
    client = mlflow.MlflowClient()
    for start in range(0, len(metrics), MAX_METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + MAX_METRICS_PER_BATCH])
    for start in range(0, len(params), MAX_PARAMS_TAGS_PER_BATCH):
        client.log_batch(run_id, params=params[start : start + MAX_PARAMS_TAGS_PER_BATCH])


def metrics_of(run_id: str) -> dict[str, float]:
    """The last figures of an MLflow run; none where it was deleted, or is in another store: what it made is here."""
    try:
        found: dict[str, float] = mlflow.MlflowClient().get_run(run_id).data.metrics
    except MlflowException:
        return {}
    return found


@contextmanager
def if_not_there() -> Iterator[None]:
    """Around the making of something that MLflow has once: another process may have made it just before."""
    try:
        yield
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise


def cpu_seconds() -> float:
    """CPU time of this process and of its ended children."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def process_tag() -> str:
    """This process, `host pid:start time`: a run whose process is gone was killed, and the dashboards say so."""
    return f"{socket.gethostname()} {lifeline.identity(os.getpid())}"


def git_sha() -> str:
    """Commit of the code that runs, with '+dirty' when tracked files are changed; '' outside a checkout."""
    root = Path(__file__).resolve().parent.parent
    try:
        head = subprocess.run(["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--exclude=*",
                               "--dirty=+dirty"],
                              capture_output=True, text=True, check=True, timeout=30)  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return head.stdout.strip()
