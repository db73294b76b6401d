"""Pipeline: what failed, what runs, and every stage with its time and its rows in, out and rejected."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import polars as pl
import streamlit as st

from dashboards import look, prefect_states, read, runs
from dashboards.graph import Box, draw
from dashboards.source import Source
from warehouse.plain import plain

MOST_FAILURES = 20
STAGES = "Stages"


@dataclass(frozen=True)
class Failure:
    """A stage call or flow run that did not end well."""

    what: str
    flow: str
    attempt: runs.Attempt
    state: str
    healed: bool
    """A later attempt at the same thing succeeded."""


def page() -> None:
    """Draw the page."""
    look.title("Pipeline", "Failures first, then every stage: its state, its time, its rows in, out and rejected.")
    calls, attempts = read.calls(), runs.attempts()
    if calls.is_empty() and not attempts:
        st.info("Nothing has run here yet. `rigor run mine` makes the first tables.")
        return
    failures = find_failures(attempts)
    _figures(calls, attempts, failures)
    _failures(failures)
    _graph(calls, attempts, failures)
    _stages(calls, attempts)
    _flow_runs(attempts)


def find_failures(attempts: list[runs.Attempt]) -> list[Failure]:
    """Attempts that failed or were left behind, those that nothing has healed first, then the newest."""
    done: dict[str, float] = {}
    for attempt in attempts:
        for mark in _marks(attempt) if attempt.status == "FINISHED" else ():
            done[mark] = max(done.get(mark, 0.0), attempt.started.timestamp())
    found = []
    for attempt in attempts:
        if attempt.status == "FINISHED" or (not attempt.stage and _has_failed_stage(attempt, attempts)):
            continue
        healed = any(done.get(mark, 0.0) > attempt.started.timestamp() for mark in _marks(attempt))
        if attempt.status == "RUNNING" and not healed and not attempt.died():
            continue
        state = "abandoned" if attempt.status == "RUNNING" else "failed"
        found.append(Failure(attempt.stage or f"flow {attempt.flow}", attempt.flow, attempt, state, healed))
    return sorted(found, key=lambda f: (f.healed, -f.attempt.started.timestamp()))


def _marks(attempt: runs.Attempt) -> list[str]:
    """Of these one would have to succeed for a failure to be healed: the flow, or in it the same stage on the same
    partitions; or the very same call, in whatever flow."""
    place = f"{attempt.flow}/{attempt.stage}/{attempt.partitions if attempt.stage else ''}"
    return [place, attempt.fingerprint] if attempt.fingerprint else [place]


def _has_failed_stage(flow_run: runs.Attempt, attempts: list[runs.Attempt]) -> bool:
    return any(a.parent == flow_run.run and a.status not in ("FINISHED", "RUNNING") for a in attempts)


def _figures(calls: pl.DataFrame, attempts: list[runs.Attempt], failures: list[Failure]) -> None:
    running = [a for a in attempts if a.stage and a.status == "RUNNING" and not _is_failed(a, failures)]
    open_ = sum(not f.healed for f in failures)
    shown = st.columns(5)
    shown[0].metric("Failed, not healed", open_)
    shown[1].metric("Running stages", len(running))
    once = calls.unique(["started", pl.when(pl.col("mlflow_run") == "").then("fingerprint").otherwise("mlflow_run")])
    shown[2].metric("Stage calls committed", f"{once.height:,}")  # a table beside a model is of the same call
    shown[3].metric("Rows rejected", look.number(float(once["rejected"].sum())))
    last = calls.select((pl.col("started") + pl.duration(milliseconds=pl.col("seconds") * 1e3)).max()).item()
    shown[4].metric("Last commit", look.ago(last) if last is not None else "never")


def _is_failed(attempt: runs.Attempt, failures: list[Failure]) -> bool:
    return any(f.attempt.run == attempt.run for f in failures)


def _failures(failures: list[Failure]) -> None:
    if not failures:
        st.success("No stage has failed.", icon=":material/check_circle:")
        return
    open_ = [f for f in failures if not f.healed]
    if open_:
        st.error(f"{len(open_)} failed and nothing has healed it yet.", icon=":material/error:")
    else:
        st.success("Every failure was healed by a later run.", icon=":material/check_circle:")
    source = Source()
    shown = failures[:MOST_FAILURES]
    messages = prefect_states.task_messages(source.prefect_api, tuple(f.attempt.task_run for f in shown))
    rows = [
        {
            "state": look.state(f.state) + (", healed" if f.healed else ""),
            "stage": f.what,
            "partitions": f.attempt.partitions if f.attempt.stage else "",
            "flow": f.flow,
            "started": f.attempt.started,
            "ran": look.duration(f.attempt.seconds),
            "message": plain(messages.get(f.attempt.task_run) or "see the Prefect log"),
            "MLflow": _run_link(source, f.attempt.run),
        }
        for f in shown
    ]
    _table(pl.DataFrame(rows), "Failed attempts, those not healed first")


def _run_link(source: Source, run: str) -> str | None:
    return f"{source.mlflow_ui}/#/runs/{run}" if source.mlflow_ui else None


def _graph(calls: pl.DataFrame, attempts: list[runs.Attempt], failures: list[Failure]) -> None:
    st.subheader("The DAG")
    flows = {a.run: a.flow for a in attempts}
    boxes, edges = stage_graph(calls, flows, attempts, failures)
    names = list(dict.fromkeys(box.group for box in boxes if box.group))
    whole = f"all {len(names)} flows"
    chosen = look.choose("Flow", [whole, *names], "pipeline-flow") if len(names) > 1 else whole
    if chosen != whole:
        near = {b.key for b in boxes if b.group == chosen}
        near |= {a for a, b in edges if b in near}
        boxes = [b for b in boxes if b.key in near]
    st.graphviz_chart(
        draw(boxes, edges, is_dark=look.dark()), width="content",
        alt=f"Graph of {len(boxes)} stages; the table below says the same",
    )  # fmt: skip


def stage_graph(
    calls: pl.DataFrame, flows: dict[str, str], attempts: list[runs.Attempt], failures: list[Failure]
) -> tuple[list[Box], list[tuple[str, str]]]:
    """A box for each stage and what it writes; edges from the stages that made what it reads."""
    latest: dict[str, dict[tuple[str, ...], dict[str, Any]]] = defaultdict(dict)
    maker: dict[str, str] = {}
    edges: list[tuple[str, str]] = []
    for call in calls.iter_rows(named=True):
        key = f"{call['stage']} → {call['name']}"
        maker[call["fingerprint"]] = key
        latest[key].pop(tuple(call["partitions"]), None)  # a partition that is written anew is the newest again
        latest[key][tuple(call["partitions"])] = call
        edges += [(maker[given["fingerprint"]], key) for given in call["inputs"] if given["fingerprint"] in maker]
    failed = {f.what for f in failures if not f.healed}
    running = {a.stage for a in attempts if a.status == "RUNNING" and not _is_failed(a, failures)}
    boxes = []
    for key, by_partition in latest.items():
        last = list(by_partition.values())
        stage = last[-1]["stage"]
        state = "failed" if stage in failed else "running" if stage in running else "done"
        boxes.append(Box(key, stage, _told(last), state, flows.get(last[-1]["mlflow_run"], "")))
    made = {call["stage"] for by in latest.values() for call in by.values()}
    for stage in sorted((failed | running) - made - {""}):
        group = next((a.flow for a in attempts if a.stage == stage), "")
        boxes.append(Box(stage, stage, ("nothing committed yet",), "failed" if stage in failed else "running", group))
    return boxes, edges


def _told(last: list[dict[str, Any]]) -> tuple[str, ...]:
    """What it wrote, how long it took, and its rows."""
    newest = last[-1]
    parts = f" ({len(last)} partitions)" if len(last) > 1 else ""
    seconds = look.duration(sum(call["seconds"] for call in last))
    if newest["kind"] != "table":
        return f"{newest['name']}@{newest['version']}", seconds
    read_, out, bad = (sum(call[c] for call in last) for c in ("rows_in", "rows", "rejected"))
    rejected = f", {bad:,} rejected" if bad else ""
    moved = f"{read_:,} in, {out:,} out" if read_ else f"{out:,} out"
    return f"{newest['name']}@{newest['version']}{parts}", f"{seconds}; {moved}{rejected}"


def _stages(calls: pl.DataFrame, attempts: list[runs.Attempt]) -> None:
    st.subheader(STAGES)
    committed: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for call in calls.iter_rows(named=True):
        committed[call["mlflow_run"]].append(call)
    failures = {f.attempt.run: f for f in find_failures(attempts)}
    rows: list[dict[str, Any]] = []
    for attempt in (a for a in attempts if a.stage):
        made = committed.get(attempt.run, [])
        call = made[-1] if made else {}
        failure = failures.get(attempt.run)
        state = failure.state if failure else "running" if attempt.status == "RUNNING" else "done"
        rows.append(
            {
                "state": look.state(state) + (", healed" if failure and failure.healed else ""), "stage": attempt.stage,
                "partitions": attempt.partitions,
                "wrote": ", ".join(f"{c['name']}@{c['version']}" for c in made), "started": attempt.started,
                "seconds": attempt.seconds, "CPU seconds": call.get("cpu_seconds"),
                "rows in": call.get("rows_in"), "rows out": sum(c["rows"] for c in made) if made else None,
                "rejected": call.get("rejected"), "flow": attempt.flow,
            }
        )  # fmt: skip
    order = list(look.STATES)
    rows.sort(key=lambda r: order.index(r["state"].split()[1].strip(",")))  # the newest stay first within a state
    _table(pl.DataFrame(rows, infer_schema_length=None), "Newest stage calls, failures first")


def _flow_runs(attempts: list[runs.Attempt]) -> None:
    st.subheader("Flow runs")
    known = prefect_states.flow_runs(Source().prefect_api)
    if known is None:
        rows = [{"flow run": a.name, "state": a.status.lower(), "started": a.started, "seconds": a.seconds}
                for a in attempts if not a.stage]  # fmt: skip
        st.caption(
            "No Prefect server answers (or it wants another `PREFECT_API_AUTH_STRING`), so these are MLflow's;"
            " `rigor ui` starts one."
        )
    else:
        rows = [{"flow run": r.name, "state": r.state, "message": plain(r.message), "started": r.started,
                 "seconds": r.seconds} for r in known]  # fmt: skip
    if rows:
        _table(pl.DataFrame(rows, infer_schema_length=None), "Newest flow runs")


def _table(frame: pl.DataFrame, about: str) -> None:
    st.dataframe(
        frame, hide_index=True, width="stretch", alt=about, placeholder="",
        column_config={
            "started": st.column_config.DatetimeColumn("started (UTC)", format="YYYY-MM-DD HH:mm:ss", timezone="UTC"),
            "seconds": st.column_config.NumberColumn("seconds", format="%.1f"),
            "CPU seconds": st.column_config.NumberColumn("CPU seconds", format="%.1f"),
            "MLflow": st.column_config.LinkColumn(display_text="open"),
            **{c: st.column_config.NumberColumn(c, format="localized") for c in ("rows in", "rows out", "rejected")},
        },
    )  # fmt: skip
