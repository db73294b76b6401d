"""`make operate`: what an operator relies on, with the real flows against a Prefect server on PostgreSQL.

A run from the form; a schedule that fires; a trigger that chains two flows; a zombie that is marked crashed; a backfill
of twelve months with two planted failures (a month whose files are not there, a process that is killed) and its resume.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from tasks.sample_crawl import SampleCrawlConfig, generate
from tests.flows.postgres import create_databases, postgres
from tests.operate.live import Live, kill, live, until

MONTHS = tuple(f"2025-{month:02}" for month in range(1, 13))
MISSING = "2025-05"
CORPUS = {"make_problems": {"per_cell": 6, "gym_per_cell": 1, "weights": {"code_functions": 0.0}}}
PRETRAIN = {
    "train_tokenizer": {"vocab_size": 512},
    "pack_tokens": {"row_tokens": 64, "held_out_share": 0.05},
    "pretrain": {
        "model": {"preset": "laptop", "vocab_size": 512, "hidden_size": 32, "layers": 2, "ffn_size": 64,
                  "moe": {"expert_ffn_size": 16}},
        "recipe": {"tokens": 16_384, "batch_rows": 8, "looks": 2}, "prompt_tokens": 8,
    },
}  # fmt: skip
STARTED = time.monotonic()


def say(text: str) -> None:
    """A line of the show, with its second."""
    print(f"{time.monotonic() - STARTED:6.0f} s  {text}", flush=True)


def operations(crawl: Path) -> dict[str, Any]:
    """A `prefect.yaml` of the shipped flows, with small configs and a schedule that does not wait for the night."""
    mine = {"paths": [str(crawl / "crawl")], "positives": [str(crawl / "seeds" / "positives.jsonl")],
            "negatives": [str(crawl / "seeds" / "negatives.jsonl")], "max_rounds": 1}  # fmt: skip
    return {
        "name": "show",
        "deployments": [
            {"name": "rigor", "entrypoint": "flows/synthesize.py:synthesize", "parameters": {"config": CORPUS}},
            {"name": "rigor", "entrypoint": "flows/mine.py:mine", "parameters": {"config": mine},
             "concurrency_limit": {"limit": 1, "collision_strategy": "ENQUEUE"},
             "schedules": [{"slug": "soon", "interval": 60, "parameters": {"config": {"months": [MONTHS[0]]}}}]},
            {"name": "rigor", "entrypoint": "flows/pretrain.py:pretrain", "parameters": {"config": PRETRAIN},
             "triggers": [{"name": "new math_corpus → pretrain", "expect": ["rigor.committed"],
                           "match": {"prefect.resource.id": "rigor.table.math_corpus"}}]},
            {"name": "rigor", "entrypoint": "flows/backfill.py:backfill"},
            {"name": "toy", "entrypoint": "tests/operate/toys.py:nap"},
        ],
    }  # fmt: skip


def chain(server: Live) -> None:
    """Form, schedule and trigger."""
    asked = server.start("synthesize/rigor", {})
    say(f"synthesize, asked for by the form: {completed(server, asked)}")
    mined = until(1800, "a scheduled mine", lambda: server.runs("mine", "COMPLETED"))[0]
    found = server.deployment("mine/rigor")
    assert found is not None
    server.client.post(f"/deployments/{found['id']}/pause_deployment")  # once is enough
    assert mined["auto_scheduled"]
    say(f"mine, by its schedule: run {mined['name']} completed")
    for event in reversed(server.events("rigor.committed")):
        say(f"  event {event['event']} {event['resource']['prefect.resource.name']}")
    trained = until(1800, "the pretrain that it triggers", lambda: server.runs("pretrain"))[0]
    say(f"pretrain, by the event: {completed(server, trained['id'])}, created by {trained['created_by']['type']}")
    names = [event["resource"]["prefect.resource.name"] for event in server.events("rigor.committed")]
    assert "rigor-base@1" in names, names


def zombie(server: Live, served: psutil.Popen) -> None:
    """A run whose process and whose runner die at once."""
    sleeper = server.start("nap/toy", {"config": {"seconds": 36_000}})
    until(600, "its heartbeat", lambda: server.heartbeats(sleeper))
    say(f"nap is {server.state(sleeper)['type']}; kill -9 of its runner and of all {kill(served)} processes")
    state = server.ended(sleeper, 600)
    assert state["type"] == "CRASHED", state
    say(f"  {state['type']}: {state['message']}")


def backfill(server: Live, served: psutil.Popen, crawl: Path) -> None:
    """Twelve months, two failures, and the resume."""
    settings = ["max_rounds=1", f"positives=['{crawl}/seeds/positives.jsonl']",
                f"negatives=['{crawl}/seeds/negatives.jsonl']"]  # fmt: skip
    asked = {"flow": "mine", "first": MONTHS[0], "last": MONTHS[-1], "parallel": 2, "profile": "laptop",
             "changes": settings, "paths": [str(crawl / "crawl")]}  # fmt: skip
    with away(crawl, MISSING):
        run = server.start("backfill/rigor", {"config": asked})
        seen: dict[int, psutil.Process] = {}

        def fourth() -> psutil.Process | None:
            seen.update({p.pid: p for p in served.children(recursive=True) if _is_month(p)})
            return list(seen.values())[3] if len(seen) > 3 and list(seen.values())[3].is_running() else None

        until(1800, "its fourth month", fourth).kill()
        state = server.ended(run, 3600)
    say(f"backfill of {len(MONTHS)} months: {state['type']}: {state['message']}")
    first = table(server)
    assert state["type"] == "FAILED"
    failed = {row["month"]: row["reason"] for row in first if row["state"] == "failed"}
    assert len(failed) == 2, failed
    assert "no crawl files" in failed[MISSING]
    assert any("killed by SIGKILL" in reason for reason in failed.values())
    state = server.ended(server.start("backfill/rigor", {"config": asked}), 3600)
    say(f"the same again: {state['type']}")
    second = {row["month"]: row for row in table(server)}
    assert state["type"] == "COMPLETED", state
    assert {second[month]["state"] for month in failed} == {"done"}
    for row in first:
        if row["state"] != "failed":
            assert second[row["month"]]["computed"] < row["computed"] + row["reused"], "most of it is reused"


def table(server: Live) -> list[dict[str, Any]]:
    """The table of the backfill that ended last, printed."""

    rows: list[dict[str, Any]] = json.loads(server.artifact("backfill")["data"])
    for row in rows:
        say(f"  {row['month']} {row['state']:<9} computed {row['computed']:>2}, reused {row['reused']:>2}"
            f"  {row['reason'] or row['changed']}")  # fmt: skip
    return rows


def completed(server: Live, run: str) -> str:
    """The name of a run that must complete."""
    state = server.ended(run, 1800)
    assert state["type"] == "COMPLETED", f"{state['message']}\n{server.logs(run)}"
    return f"run {server.client.get(f'/flow_runs/{run}').json()['name']} completed"


@contextmanager
def away(crawl: Path, month: str) -> Iterator[None]:
    """The files of a month lie elsewhere."""
    folder = next(path for path in (crawl / "crawl").rglob(month) if path.is_dir())
    moved = folder.rename(crawl / f"{month}-not-fetched-yet")
    try:
        yield
    finally:
        moved.rename(folder)


def _is_month(process: psutil.Process) -> bool:
    try:
        return "flows.backfill_months" in process.cmdline()
    except psutil.Error:
        return False  # it ended meanwhile


def main() -> None:
    """The whole show; an assertion that fails ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=60, help="pages of a crawl month")
    pages = parser.parse_args().pages
    with tempfile.TemporaryDirectory(prefix="rigor-operate-") as name:
        folder = Path(name)
        crawl = folder / "crawl-input"
        generate(crawl, SampleCrawlConfig(pages_per_month=pages, months=MONTHS))
        file = folder / "prefect.yaml"
        file.write_text(yaml.safe_dump(operations(crawl)))
        deployed = ("synthesize/rigor", "mine/rigor", "pretrain/rigor", "backfill/rigor", "nap/toy")
        with postgres(folder / "postgres") as where:
            create_databases(where, "prefect")
            with live(folder / "live", f"postgresql+asyncpg://{where}/prefect") as server:
                say(f"Prefect's server is up on PostgreSQL; {len(MONTHS)} months of {pages} pages")
                served = server.deploy(file, *deployed)
                try:
                    say(f"rigor deploy serves {', '.join(deployed)}")
                    chain(server)
                    zombie(server, served)
                    served = server.deploy(file, *deployed)
                    backfill(server, served, crawl)
                finally:
                    kill(served)
    say("all of it as it should be")


if __name__ == "__main__":
    main()
