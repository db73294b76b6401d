"""`rigor deploy`: the deployments of `prefect.yaml`, registered with a running Prefect server and served from here."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from flows.commands import out
from flows.deployments import Limits, Operations, deployments, read_operations
from flows.settings import Settings

if TYPE_CHECKING:
    from prefect.automations import AutomationCore

DEFAULT_API = "http://127.0.0.1:4200/api"
ZOMBIES = "rigor: runs without a heartbeat are crashed"
ENDED = ("Completed", "Failed", "Cancelled", "Crashed")


def deploy(file: Path, profile: str, *, manual: bool, dry_run: bool) -> None:
    """Register and serve until Ctrl-C, then let schedules and triggers rest: nobody is there to run what they start.

    Raises:
        ConnectionError: no Prefect server answers.
    """
    operations = read_operations(file)
    if dry_run:
        out.print(_listed(operations))
        return
    api = os.environ.setdefault("PREFECT_API_URL", DEFAULT_API)  # before Prefect is imported
    reach(api)
    from prefect import serve
    from prefect.client.orchestration import get_client

    ready = deployments(operations, profile or Settings().profile, manual=manual)
    _limits(operations.rigor)
    out.print(f"{len(ready)} deployments at {api}{', by hand alone' if manual else ''}; Ctrl-C ends their service")
    try:
        serve(*ready, print_starting_message=False, pause_on_shutdown=not manual)
    finally:
        with get_client(sync_client=True) as client:
            for each in [] if manual else ready:
                found = client.read_deployment_by_name(each.full_name)
                client.delete_resource_owned_automations(f"prefect.deployment.{found.id}")


def zombie_automation(after_seconds: int) -> AutomationCore:
    """Marks a run Crashed when its heartbeats stop: the process died, and whoever watched it died too."""
    from prefect.automations import AutomationCore, EventTrigger, Posture, ResourceSpecification
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState

    return AutomationCore(
        name=ZOMBIES,
        description="installed by `rigor deploy`",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat", *(f"prefect.flow-run.{state}" for state in ENDED)},
            match=ResourceSpecification.model_validate({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=after_seconds),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"no heartbeat for {after_seconds} s: the process or its machine died",
            )
        ],
    )


def _limits(limits: Limits) -> None:
    """The training slot and the zombie automation, made or brought up to date.

    An automation that is as wanted stays: a new one would not know of the heartbeats that stopped before it came, and
    a run that died together with the last `rigor deploy` would seem to run for ever.
    """
    from prefect.client.orchestration import get_client

    from flows.triggers import TRAINING

    wanted = zombie_automation(limits.zombie_after_seconds)
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(TRAINING, limits.training_limit)
        held = client.read_automations_by_name(ZOMBIES)
        same = [each for each in held if (each.trigger, each.actions) == (wanted.trigger, wanted.actions)][:1]
        for old in held:
            if old not in same:
                client.delete_automation(old.id)
        if not same:
            client.create_automation(wanted)


def reach(api: str) -> None:
    """Ask a Prefect server whether it is there.

    Raises:
        ConnectionError: it does not answer.
    """
    try:
        with urllib.request.urlopen(f"{api}/health", timeout=10):  # noqa: S310 the operator's own address
            return
    except urllib.error.HTTPError:
        return  # it answers, if only that it wants a key: Prefect's client has that
    except (urllib.error.URLError, OSError) as error:
        raise ConnectionError(
            f"no Prefect server at {api} ({error}): start `rigor ui` or `prefect server start`, or set"
            " RIGOR_PREFECT_API_URL"
        ) from error


def _listed(operations: Operations) -> Table:
    shown = Table("deployment", "starts by itself", "at once", "does", box=None, pad_edge=False)
    for spec in operations.deployments:
        flow = spec.entrypoint.rpartition(":")[2]
        starts = [f"{s.slug}: {s.cron or f'each {s.interval} s'} {s.timezone}" for s in spec.schedules]
        starts += [str(t.get("name", "trigger")) for t in spec.triggers]
        limit = (spec.concurrency_limit or {}).get("limit", "any")
        shown.add_row(f"{flow}/{spec.name}", _plain(starts), str(limit), spec.description)
    return shown


def _plain(starts: Sequence[str]) -> str:
    return re.sub(r"\s+", " ", "; ".join(starts)) or "-"
