"""What a run tells the server, and what the server holds it to: events of new artifacts, and the training slot.

Deployment triggers (`prefect.yaml`) and automations of the operator's own listen to `rigor.committed`:

| resource label | for example |
|-|-|
| prefect.resource.id | `rigor.table.math_corpus`, `rigor.model.rigor-r1` |
| prefect.resource.name | `rigor-r1@3` |
| rigor.name, rigor.version, rigor.kind, rigor.fingerprint | `rigor-r1`, `3`, `model`, … |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import aiohttp
import mlflow
from prefect.client.schemas.objects import State, TaskRun
from prefect.concurrency.sync import concurrency
from prefect.events import emit_event
from prefect.runtime import deployment, flow_run
from prefect.tasks import exponential_backoff

from tasks.mine.warc_open import BlockedAddressError, is_remote
from tasks.stage import SourceFile
from warehouse.lineage import ArtifactRef, Lineage

COMMITTED = "rigor.committed"
TRAINING = "rigor-training"
"""Global concurrency limit that a stage holds while it makes a model; `rigor deploy` creates it."""
BACKFILL = "backfill"
"""Tag of the runs of a backfill, which tells of what it made once, when it ends."""
ANNOUNCED = "announced"
"""Tag of a stage call's MLflow run: whether an event told of what it made; `no` at first."""
RETRIES = 4
FIRST_RETRY_SECONDS = 10.0
JITTER = 0.5


def announce(
    lineage: Lineage, made: Iterable[ArtifactRef], changed: Callable[[ArtifactRef], bool] = lambda _: False
) -> None:
    """Emit one event for each table and model of which an artifact in `made` is untold, or `changed`.

    Called when a flow run has ended well, not at each commit: a mine of twelve months must start one training, and
    that after its last month. What a failed or killed run made is told by the run that ends what that one began: the
    MLflow run of each stage call says by a tag whether it was told.
    """
    last = {(ref.name, ref.partitions): ref for ref in made}
    found = mlflow.search_runs(search_all_experiments=True, output_format="list",
                               filter_string=f"tags.{ANNOUNCED} = 'no'")  # fmt: skip
    untold = {run.info.run_id for run in found}
    told = {ref.fingerprint: str(lineage.call_of(ref)["mlflow_run"]) for ref in last.values()}
    new = [ref for ref in last.values() if told[ref.fingerprint] in untold or changed(ref)]
    for (kind, name), ref in {(ref.kind, ref.name): ref for ref in new}.items():
        emit_event(
            COMMITTED,
            resource={
                "prefect.resource.id": f"rigor.{kind}.{name}", "prefect.resource.name": f"{name}@{ref.version}",
                "rigor.kind": kind, "rigor.name": name, "rigor.version": str(ref.version),
                "rigor.fingerprint": ref.fingerprint,
            },
        )  # fmt: skip

    for run_id in sorted(untold & set(told.values())):
        mlflow.MlflowClient().set_tag(run_id, ANNOUNCED, "yes")


def announce_run(lineage: Lineage, made: Iterable[ArtifactRef]) -> None:
    """`announce`, unless this run is one of a backfill."""
    if BACKFILL not in flow_run.tags:
        announce(lineage, made)


@contextmanager
def training_slot(writes: str) -> Iterator[None]:
    """Wait for the one training slot and hold it while a deployment's run makes a model called `rigor-…`.

    Tokenizers and classifiers take minutes and do not wait behind a pre-training of days. Runs by hand do not queue:
    who starts one at the machine wants it now, and an embedded server has no limit to hold.
    A killed holder frees the slot when its lease ends, after 5 minutes.
    """
    if writes.startswith("rigor-") and deployment.id:
        with concurrency(TRAINING, occupy=1):
            yield
    else:
        yield


def retry_policy(given: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Options of a stage's task: one that reads files over a network is tried again when the network fails.

    Delays double from 10 s, with jitter, so that many workers do not come back at once. A stage that only computes
    is not tried again: the same input gives the same error.
    """
    files = [item for value in given.values() for item in value if isinstance(item, SourceFile)]
    if not any(is_remote(file.path) for file in files):
        return {}
    return {"retries": RETRIES, "retry_delay_seconds": exponential_backoff(FIRST_RETRY_SECONDS),
            "retry_jitter_factor": JITTER, "retry_condition_fn": network_failed}  # fmt: skip


def network_failed(_task: object, _run: TaskRun, state: State[Any]) -> bool:
    """Whether a task failed in a way that another try can mend: no answer, a broken stream, a busy server."""
    lasting = FileNotFoundError | PermissionError | BlockedAddressError
    return isinstance(state.data, OSError | aiohttp.ClientError) and not isinstance(state.data, lasting)
