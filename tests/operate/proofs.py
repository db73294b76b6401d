"""The proofs of `make operate`, one after the other, with the real flows against a server that is really there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from tasks.sample_crawl import SampleCrawlConfig, generate
from tests.operate.live import ENDED, Live, kill, until

MONTHS = tuple(f"2025-{month:02}" for month in range(1, 13))
KILLED, MISSING = "2025-09", "2025-11"
"""Late in the year: the months after a failed one are settled anew, since they yield to what it brings."""
ZOMBIE_SECONDS = 60
DEPLOYED = ("synthesize/rigor", "mine/rigor", "pretrain/rigor", "backfill/rigor", "nap/toy")
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
            "negatives": [str(crawl / "seeds" / "negatives.jsonl")],
            "benchmarks": [str(crawl / "benchmarks" / "contest.jsonl")], "max_rounds": 1}  # fmt: skip
    return {
        "name": "show",
        "rigor": {"zombie_after_seconds": ZOMBIE_SECONDS},
        "deployments": [
            {"name": "rigor", "entrypoint": "flows/synthesize.py:synthesize", "parameters": {"config": CORPUS}},
            {"name": "rigor", "entrypoint": "flows/mine.py:mine", "parameters": {"config": mine},
             "concurrency_limit": {"limit": 1, "collision_strategy": "ENQUEUE"},
             "schedules": [{"slug": "soon", "interval": 20, "active": False,
                            "parameters": {"config": {"months": [MONTHS[0]]}}}]},
            {"name": "rigor", "entrypoint": "flows/pretrain.py:pretrain", "parameters": {"config": PRETRAIN},
             "triggers": [{"name": "new math_corpus → pretrain", "expect": ["rigor.committed"],
                           "match": {"prefect.resource.id": "rigor.table.math_corpus"}}]},
            {"name": "rigor", "entrypoint": "flows/backfill.py:backfill"},
            {"name": "toy", "entrypoint": "tests/operate/toys.py:nap"},
        ],
    }  # fmt: skip


@contextmanager
def away(crawl: Path, month: str) -> Iterator[None]:
    """The files of a month lie elsewhere."""
    folder = next(path for path in (crawl / "crawl").rglob(month) if path.is_dir())
    moved = folder.rename(crawl / f"{month}-not-fetched-yet")
    try:
        yield
    finally:
        moved.rename(folder)


class Proofs:
    """All of them, in their order; what each found stands in `found`."""

    def __init__(self, folder: Path, server: Live, pages: int) -> None:
        """Crawl months of `pages` pages and the file of deployments are made in `folder`."""
        self.folder, self.crawl, self.server, self.pages = folder, folder / "crawl-input", server, pages
        self.found: dict[str, tuple[str, float]] = {}
        """What each said in the end, and the seconds that it took."""
        self.served: psutil.Popen | None = None
        self.sleeper = ""

    @contextmanager
    def proof(self, name: str) -> Iterator[list[str]]:
        """One proof; what is added to the list is what it found, unless an error comes first."""
        said: list[str] = []
        started = time.monotonic()
        say(name)
        try:
            yield said
        except Exception as error:
            self.found[name] = (f"FAILED: {type(error).__name__}: {error}", time.monotonic() - started)
            raise
        self.found[name] = ("; ".join(said), time.monotonic() - started)
        say(f"  {self.found[name][0]}")

    def whole(self) -> None:
        """All of it; the first that fails ends it."""
        file = self.folder / "prefect.yaml"
        with self.proof("start") as said:
            generate(self.crawl, SampleCrawlConfig(pages_per_month=self.pages, months=MONTHS))
            file.write_text(yaml.safe_dump(operations(self.crawl)))
            self.served = self.server.deploy(file, *DEPLOYED)
            self.sleeper = self.server.start("nap/toy", {"config": {"seconds": 36_000}})
            said.append(
                f"server on PostgreSQL, {len(DEPLOYED)} deployments, {len(MONTHS)} months of {self.pages} pages"
            )
        self._chain()
        with self.proof("runner and run are killed") as said:
            until(600, "its heartbeat", lambda: self.server.heartbeats(self.sleeper))
            assert self.server.state(self.sleeper)["type"] == "RUNNING"
            said.append(f"kill -9 of `rigor deploy` and all its {kill(self.served)} processes; it starts again at once")
            self.served = self.server.deploy(file, *DEPLOYED)
        self._backfill()
        with self.proof("the zombie is marked crashed") as said:
            state = self.server.ended(self.sleeper, 120)
            assert state["type"] == "CRASHED", state
            assert f"no heartbeat for {ZOMBIE_SECONDS} s" in state["message"]
            said.append(state["message"])

    def _chain(self) -> None:
        """Form, schedule and trigger."""
        server = self.server
        asked = server.start("synthesize/rigor", {})
        server.let_schedules("mine/rigor", run=True)
        with self.proof("a run from the form") as said:
            said.append(f"synthesize: {self._completed(asked)}")
        with self.proof("a schedule fires") as said:
            mined = until(600, "a scheduled mine", lambda: server.runs("mine", "RUNNING", "COMPLETED", "FAILED"))[0]
            server.let_schedules("mine/rigor", run=False)  # once is enough
            assert mined["auto_scheduled"]
            said.append(f"mine: {self._completed(mined['id'])}")
        with self.proof("a trigger chains two flows") as said:
            trained = until(600, "the pretrain that it triggers", lambda: server.runs("pretrain"))[0]
            assert trained["created_by"]["type"] == "AUTOMATION", trained["created_by"]
            said.append(f"event math_corpus@1 → pretrain: {self._completed(trained['id'])}")
            until(60, "the event of rigor-base@1", lambda: "rigor-base@1" in server.committed())
            assert "math_corpus@1" in server.committed()
            said.append("event rigor-base@1")

    def _backfill(self) -> None:
        """Twelve months, two failures, and the resume."""
        files = {"positives": "seeds/positives", "negatives": "seeds/negatives", "benchmarks": "benchmarks/contest"}
        settings = [f"{key}=['{self.crawl}/{name}.jsonl']" for key, name in files.items()]
        asked = {"flow": "mine", "first": MONTHS[0], "last": MONTHS[-1], "parallel": 2, "profile": "laptop",
                 "changes": ["max_rounds=1", *settings], "paths": [str(self.crawl / "crawl")]}  # fmt: skip
        with self.proof("a backfill of twelve months") as said, away(self.crawl, MISSING):
            run = self.server.start("backfill/rigor", {"config": asked})
            until(900, f"the process of {KILLED}", lambda: self._process_of_killed(run)).kill()
            state = self.server.ended(run, 900)
            assert state["type"] == "FAILED", state
            first = self._table()
            failed = {row["month"]: row["reason"] for row in first if row["state"] == "failed"}
            assert failed.keys() == {KILLED, MISSING}, failed
            assert "no crawl files" in failed[MISSING]
            assert "killed by SIGKILL" in failed[KILLED]
            said.append(state["message"])
        with self.proof("its resume") as said:
            self._completed(self.server.start("backfill/rigor", {"config": asked}))
            second = {row["month"]: row for row in self._table()}
            assert all(second[month]["state"] == "done" for month in failed)
            before = [second[month] for month in MONTHS if month < KILLED]
            assert all(row["state"] == "unchanged" and not row["computed"] for row in before), before
            computed = {name: sum(row["computed"] for row in rows) for name, rows in
                        (("first", first), ("second", second.values()))}  # fmt: skip
            said.append(f"{computed['second']} stage calls computed, {computed['first']} before it;"
                        f" {len(before)} months untouched")  # fmt: skip

    def _table(self) -> list[dict[str, Any]]:
        """The table of the backfill that ended last, printed."""
        rows: list[dict[str, Any]] = json.loads(self.server.artifact("backfill")["data"])
        for row in rows:
            say(f"    {row['month']} {row['state']:<9} computed {row['computed']:>2}, reused {row['reused']:>2},"
                f" {row['seconds']:3.0f} s  {row['reason'] or row['changed']}")  # fmt: skip
        return rows

    def _completed(self, run: str) -> str:
        """The name of a run that must complete."""
        state = self.server.ended(run, 900)
        assert state["type"] == "COMPLETED", f"{state['message']}\n{self.server.logs(run)}"
        return f"run {self.server.client.get(f'/flow_runs/{run}').json()['name']} completed"

    def _process_of_killed(self, run: str) -> psutil.Process | None:
        """The process of the month that is to die, when the backfill `run` has come to it."""
        assert self.served is not None
        assert self.server.state(run)["type"] not in ENDED, f"it ended before: {self.server.logs(run)}"
        for process in self.served.children(recursive=True):
            try:
                words = process.cmdline()
            except psutil.Error:
                continue  # it ended meanwhile
            if "flows.backfill_months" in words and KILLED in words:
                return process
        return None
