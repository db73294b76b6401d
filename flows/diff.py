"""`rigor diff`: what differs between two artifacts, or between two runs stage by stage."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

from flows.diff_text import show
from flows.settings import Settings
from flows.tracking import STAGES_FILE, metrics_of
from warehouse.diff_calls import Call, differing, digest_of, flat, label_of, origins, paired_inputs
from warehouse.diff_rows import diff_rows
from warehouse.lineage import Lineage, ref_of
from warehouse.tables import Tables, TableView


def diff(first: str, second: str, samples: int, form: str) -> None:
    """Print what differs.

    Raises:
        LookupError: nothing has that name or id.
        ValueError: they are not of one kind.
    """
    settings = Settings()
    mlflow.set_tracking_uri(settings.mlflow_tracking_uri())
    told = compare(Lineage(Tables(settings.warehouse_uri(), settings.storage_options)), first, second, samples)
    if form == "json":
        sys.stdout.write(json.dumps(told, indent=2, default=str) + "\n")
    else:
        show(told)


def compare(lineage: Lineage, first: str, second: str, samples: int = 3) -> dict[str, Any]:
    """What differs, as JSON data; see `diff` for its errors."""
    left, right = (_resolve(lineage, text) for text in (first, second))
    if isinstance(left, list) and isinstance(right, list):
        return artifacts(lineage, left, right, samples)
    if isinstance(left, list) or isinstance(right, list):
        raise ValueError(f"{first} and {second} are not of one kind: compare two artifacts, or two flow runs")
    return runs(lineage, left, right, samples)


def artifacts(lineage: Lineage, lefts: Sequence[Call], rights: Sequence[Call], samples: int) -> dict[str, Any]:
    """Two artifacts: the first calls that differ tell config, inputs and code; rows are those of all partitions."""
    calls = {call["fingerprint"]: call for call in lineage.calls().iter_rows(named=True)}
    sides = [{part: call for call in side for part in call["partitions"]} for side in (lefts, rights)]
    there = [part for part in sides[0] if part in sides[1]]
    parted = [part for part in there if sides[0][part]["digest"] != sides[1][part]["digest"]]
    left, right = (side[(parted or there)[0]] for side in sides) if there else (lefts[-1], rights[-1])
    if left["kind"] != right["kind"]:
        kinds = " and ".join(f"{ref_of(call)} is a {call['kind']}" for call in (left, right))
        raise ValueError(f"{kinds}: compare two of one kind")
    same = bool(there) and sides[0].keys() == sides[1].keys() and not parted
    told = {
        "kind": "artifacts",
        "left": _identity(left),
        "right": _identity(right),
        "same_fingerprint": left["fingerprint"] == right["fingerprint"],
        "same_content": same,
        "config": differing(flat(left["config"]), flat(right["config"])),
        "inputs": [{"name": name, "left": label_of(a), "right": label_of(b)}
                   for name, a, b in paired_inputs(left, right) if digest_of(a) != digest_of(b)],
        "code": _code(left, right),
        "origins": [] if same else list(origins(left, right, calls, set())),
        "metrics": differing(metrics_of(left["mlflow_run"]), metrics_of(right["mlflow_run"])),
    }  # fmt: skip
    if left["kind"] == "table" and not same:
        told["rows"] = asdict(diff_rows(_view(lineage, lefts), _view(lineage, rights), samples))
    return told


def runs(lineage: Lineage, left: str, right: str, samples: int) -> dict[str, Any]:
    """Two flow runs: their configs, their stage calls side by side, and all about the first call that parts them."""
    client = mlflow.MlflowClient()
    data = [client.get_run(run_id).data for run_id in (left, right)]
    stages = list(_aligned(_stages(left), _stages(right)))
    parted = [s for s in stages if s["left"] and s["right"] and s["left"] != s["right"]]
    told: dict[str, Any] = {
        "kind": "runs",
        "left": {"run": left, "name": data[0].tags.get("mlflow.runName", "")},
        "right": {"run": right, "name": data[1].tags.get("mlflow.runName", "")},
        "config": differing(data[0].params, data[1].params),
        "stages": stages,
        "metrics": differing(data[0].metrics, data[1].metrics),
        "parted_at": parted[0]["stage"] if parted else None,
    }
    made = {call["fingerprint"]: call for call in lineage.calls().iter_rows(named=True)}
    if parted and parted[0]["left"] in made and parted[0]["right"] in made:
        told["first"] = artifacts(lineage, [made[parted[0]["left"]]], [made[parted[0]["right"]]], samples)
    return told


def _resolve(lineage: Lineage, text: str) -> list[Call] | str:
    """Lineage rows of an artifact, or the MLflow id of a flow run."""
    called = lineage.called(text)
    if called:
        return called
    try:
        run = mlflow.MlflowClient().get_run(text)
    except MlflowException:
        tags = ("prefect_flow_run", "prefect_task_run")
        found = [r for tag in tags for r in mlflow.search_runs(search_all_experiments=True, output_format="list",
                 filter_string=f"tags.{tag} = '{text}'")] if _is_uuid(text) else []  # fmt: skip
        if not found:
            raise LookupError(f"no artifact, model or run {text!r}; a row is compared by `rigor trace`") from None
        run = found[0]
    made = lineage.called(run.data.tags["fingerprint"]) if "fingerprint" in run.data.tags else []
    return made or run.info.run_id


def _is_uuid(text: str) -> bool:
    return len(text) == 36 and set(text) <= set("0123456789abcdef-")


def _stages(run_id: str) -> list[dict[str, str]]:
    """A flow run's stage calls in order; of one that failed or is older, those that it computed itself."""
    client = mlflow.MlflowClient()
    if any(file.path == STAGES_FILE for file in client.list_artifacts(run_id)):
        listed: list[dict[str, str]] = mlflow.artifacts.load_dict(f"runs:/{run_id}/{STAGES_FILE}")["stages"]
        return listed
    nested = mlflow.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"],
                                filter_string=f"tags.mlflow.parentRunId = '{run_id}'")  # fmt: skip
    return [{"stage": r.data.tags.get("stage", ""), "fingerprint": r.data.tags.get("fingerprint", ""),
             "writes": _partitions(r.info.run_name or "")} for r in nested]  # fmt: skip


def _partitions(run_name: str) -> str:
    """Those in the name of a stage's run, as they stand behind an artifact's."""
    parts = run_name.partition(" ")[2]
    return "" if parts == "all" else f"[{parts}]"


def _aligned(left: list[dict[str, str]], right: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Calls of the same stage, partitions and turn side by side, in the order of the left run, then of the right."""
    turns = [_by_turn(stages) for stages in (left, right)]
    for key in dict.fromkeys((*turns[0], *turns[1])):
        a, b = (side.get(key, {}) for side in turns)
        yield {"stage": key[0], "turn": key[2], "left": a.get("fingerprint"), "right": b.get("fingerprint"),
               "writes": [a.get("writes"), b.get("writes")]}  # fmt: skip


def _by_turn(stages: list[dict[str, str]]) -> dict[tuple[str, str, int], dict[str, str]]:
    counted = Counter[tuple[str, str]]()
    found: dict[tuple[str, str, int], dict[str, str]] = {}
    for stage in stages:
        key = (stage["stage"], stage["writes"].partition("[")[2])
        counted[key] += 1
        found[*key, counted[key]] = stage
    return found


def _identity(call: Call) -> dict[str, Any]:
    shown = ("kind", "fingerprint", "digest", "stage", "rows", "seconds", "cpu_seconds", "started", "mlflow_run")
    return {"artifact": str(ref_of(call)), **{key: call[key] for key in shown}}


def _code(left: Call, right: Call) -> dict[str, Any]:
    shas = [left["git_sha"], right["git_sha"]]
    return {"stage_version": [left["stage_version"], right["stage_version"]], "git_sha": shas,
            "changed": _stat(*(sha.removesuffix("+dirty") for sha in shas))}  # fmt: skip


def _stat(first: str, second: str) -> list[str]:
    """Lines of `git diff --stat`; none where a commit is not in this checkout."""
    root = Path(__file__).resolve().parent.parent
    if first == second or not first or not second:
        return []
    try:
        done = subprocess.run(["git", "-C", str(root), "diff", "--stat=100", first, second, "--"],
                              capture_output=True, text=True, check=True, timeout=30)  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines()]


def _view(lineage: Lineage, calls: Sequence[Call]) -> TableView:
    refs = [ref_of(call) for call in calls]
    parts = tuple((ref.version, ref.partitions) for ref in refs)
    return TableView(lineage.tables.table_uri(refs[0].name), parts, lineage.tables.storage_options)
