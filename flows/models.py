"""Models in the MLflow registry: a folder in, a numbered version out, checked by digest when it comes back."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from flows.tracking import if_not_there
from warehouse.lineage import ArtifactRef


class DamagedModelError(RuntimeError):
    """A model's files are not the ones that were registered."""


def folder_digest(folder: Path) -> str:
    """sha256 over the names and contents of all files below `folder`, in name order."""
    digest = sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}:{path.stat().st_size};".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def register(folder: Path, name: str, run_id: str, tags: dict[str, str]) -> int:
    """Log `folder` to the run and register it as the next version of `name`; returns the version."""
    client = mlflow.MlflowClient()
    client.log_artifacts(run_id, str(folder), "model")
    with if_not_there():
        client.create_registered_model(name)
    source = f"{client.get_run(run_id).info.artifact_uri}/model"
    version = client.create_model_version(name, source, run_id, tags=tags)
    return int(version.version)


def fetch(ref: ArtifactRef, into: Path) -> Path:
    """Copy a registered model to a folder below `into`.

    Raises:
        DamagedModelError: what came back is not what was registered.
        LookupError: MLflow does not hold it.
    """
    try:
        version = mlflow.MlflowClient().get_model_version(ref.name, str(ref.version))
    except MlflowException as error:
        raise LookupError(
            f"MLflow does not hold {ref}: it was deleted there, or made under another RIGOR_MLFLOW_URI"
        ) from error
    target = into / f"{ref.name}-{ref.version}"
    target.mkdir(parents=True, exist_ok=True)
    folder = Path(mlflow.artifacts.download_artifacts(str(version.source), dst_path=str(target)))
    if folder_digest(folder) != ref.digest:
        raise DamagedModelError(
            f"{ref}: its files differ from the digest in the lineage table; restore them or retrain"
        )
    return folder
