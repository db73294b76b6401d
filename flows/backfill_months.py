"""The months of a backfill, each in a process of its own, some at once; what became of each is an `Outcome`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect import tags
from prefect.client.orchestration import get_client

from flows.catalogue import entry
from flows.commands import out, warehouse_tables
from flows.errors import user_errors
from flows.runner import ON_CALL, Call, Runner
from flows.settings import Settings
from flows.triggers import BACKFILL
from warehouse.lineage import Lineage

POLL_SECONDS = 0.1


@dataclass
class Outcome:
    """What became of one month."""

    month: str
    state: str
    """done, unchanged (all artifacts existed), failed, or planned (dry run)."""
    reason: str = ""
    returned: list[str] = field(default_factory=list)
    """What the flow returned."""
    made: list[dict[str, Any]] = field(default_factory=list)
    """The artifacts of all its stage calls, as JSON."""
    computed: int = 0
    reused: int = 0
    seconds: float = 0.0
    changed: str = ""
    """Rows of the month before and after, table by table."""


def run_months(flow: str, configs: Mapping[str, Any], *, parallel: int, newest_first: bool) -> list[Outcome]:
    """All months, `parallel` at a time; then once more in order if they were not run in order.

    A month yields to the months before it (docs/decisions/0003), so its rows depend on what was there when it ran. The
    second pass, oldest first and one at a time, reuses whatever is right already, and a month of which all is there
    takes no process. Where no classifier exists, the oldest month that can trains one before the others start, whatever
    the order.
    """
    lineage, left = Lineage(warehouse_tables()), sorted(configs)
    outcomes: dict[str, Outcome] = {}
    while left and lineage.current("classifier") is None:
        outcomes |= _pass(flow, configs, [left.pop(0)], 1)
    outcomes |= _pass(flow, configs, sorted(left, reverse=newest_first), parallel)
    if parallel > 1 or newest_first:
        again = [month for month in sorted(configs) if outcomes[month].state != "failed"]
        for month, outcome in _pass(flow, configs, again, 1).items():
            first = outcomes[month]
            if outcome.state == "unchanged":
                first.seconds += outcome.seconds
            else:
                outcome.computed += first.computed
                outcome.seconds += first.seconds
                outcomes[month] = outcome
    return [outcomes[month] for month in sorted(configs)]


def _pass(flow: str, configs: Mapping[str, Any], order: Sequence[str], parallel: int) -> dict[str, Outcome]:
    with get_client(sync_client=True) as client:
        api = str(client.api_url)  # that of the embedded server too: the months are runs of one server
    outcomes: dict[str, Outcome] = {}
    waiting, running = list(reversed(order)), list[Month]()
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                month = waiting.pop()
                if there := _unchanged(flow, month, configs[month]):
                    outcomes[month] = there
                else:
                    running.append(Month(flow, month, configs[month], api))
            ended = [each for each in running if each.process.poll() is not None]
            for each in ended:
                outcomes[each.name] = each.outcome()
                running.remove(each)
            if not ended:
                time.sleep(POLL_SECONDS)
    finally:
        for each in running:  # the backfill itself was cancelled
            each.process.terminate()
    return outcomes


def _unchanged(flow: str, month: str, config: Any) -> Outcome | None:
    """The month as planned, if every artifact of it exists and the tables hold now what it would leave in them."""
    runner, started = Runner(Settings(), dry=True), time.monotonic()
    try:
        returned = entry(flow).stages(runner, config)
    except Exception:  # noqa: BLE001 its process runs into the same, and lists it: one bad month stops no other
        return None
    if runner.stale or any(call.state != "cached" for call in runner.calls):
        return None
    return Outcome(month, "unchanged", returned=[str(ref) for ref in returned], made=_last_made(runner.calls),
                   reused=len(runner.calls), seconds=time.monotonic() - started)  # fmt: skip


def _last_made(calls: Sequence[Call]) -> list[dict[str, Any]]:
    """The last artifact of each table and model, as JSON."""
    last = {(call.ref.name, call.ref.partitions): call.ref for call in calls if call.ref is not None}
    return [ref.model_dump() for ref in last.values()]


class Month:
    """One month in a process of its own."""

    def __init__(self, flow_name: str, month: str, config: Any, api: str) -> None:
        """Start it; `api` is the Prefect server that its run belongs to."""
        self.name, self.started = month, time.monotonic()
        self.result = tempfile.NamedTemporaryFile("r", suffix=".json")  # noqa: SIM115 closed in outcome()
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 closed in outcome()
        given = json.dumps({"flow": flow_name, "month": month, "config": config.model_dump(mode="json")})
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows.backfill_months", month, self.result.name],
            env={**os.environ, "PREFECT_API_URL": api}, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=self.errors, text=True,
        )  # fmt: skip
        if self.process.stdin is not None:
            self.process.stdin.write(given)
            self.process.stdin.close()

    def outcome(self) -> Outcome:
        """What the ended process left."""
        with self.result, self.errors:
            text = self.result.read()
            self.errors.seek(0)
            last = (self.errors.read().strip().splitlines() or [""])[-1]
        seconds = time.monotonic() - self.started
        with suppress(json.JSONDecodeError):  # nothing, or cut off: it was killed before or while it wrote
            return Outcome(self.name, **json.loads(text), seconds=seconds)
        code = self.process.returncode
        died = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return Outcome(self.name, "failed", f"the process was {died}; {last}".rstrip("; "), seconds=seconds)


def run_month() -> None:
    """What the process of a month does: one flow run; its result as JSON to the file that the last argument names."""
    given = json.load(sys.stdin)
    calls: list[Call] = []
    ON_CALL.set(calls.append)
    known = entry(given["flow"])
    config = known.config.model_validate(given["config"])
    result: dict[str, Any]
    try:
        with tags(BACKFILL, f"month:{given['month']}"):
            returned = known.flow(config)
    except Exception as error:  # noqa: BLE001 one bad month must not stop the others; its reason goes to the list
        result = {"state": "failed", "reason": f"{type(error).__name__}: {error}"}
    else:
        reused = sum(call.state == "cached" for call in calls)
        state = "unchanged" if reused == len(calls) else "done"
        result = {"state": state, "computed": len(calls) - reused, "reused": reused, "returned": returned,
                  "made": _last_made(calls)}  # fmt: skip
    Path(sys.argv[2]).write_text(json.dumps(result))


if __name__ == "__main__":
    with user_errors(out):
        run_month()
