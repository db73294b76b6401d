"""A small real warehouse and MLflow store, made through `Tables`, `Lineage` and MLflow's client.

read_warc → extract_text → deduplicate → decontaminate → pack_tokens → pretrain → reinforce_zero → sample_answers →
score_answers, make_problems beside them; deduplicate failed on 2026-02 and nothing healed it, pretrain failed once and
was healed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import polars as pl
import pyarrow as pa
from mlflow.entities import Metric, Param, RunTag

from warehouse.ids import row_id
from warehouse.lineage import Lineage
from warehouse.schema import TABLES
from warehouse.tables import Tables

START = dt.datetime(2026, 11, 1, 8, tzinfo=dt.UTC)
HOSTILE = "![x](http://203.0.113.7/a.png) <img src=http://203.0.113.7/b.png> <script>alert(1)</script> [l](http://203.0.113.7)"
"""What a crawled page, a prompt or an answer may hold: no browser may ask anyone for it."""
SECONDS = 10.0
THINK = "<think>\n{}\n</think>\n<answer>{}</answer>"
STEPS, WRONG_AT = ("2 + 3 = 5", "5 + 4 = 8"), 1


def rows_of(table: str, rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Rows with the columns that a test says nothing of filled in."""
    schema = TABLES[table]
    filled = []
    for number, row in enumerate(rows):
        full = {field.name: row.get(field.name, _empty(field.type)) for field in schema.arrow}
        full["id"] = row.get("id") or row_id(table, number)
        full["partition"] = row.get("partition", "all")
        full["parents"] = row.get("parents", [])
        filled.append(full)
    return pl.DataFrame(filled, pl.Schema(schema.arrow), orient="row")


def _empty(dtype: pa.DataType) -> Any:
    if pa.types.is_string(dtype):
        return ""
    if pa.types.is_timestamp(dtype):
        return START
    if pa.types.is_list(dtype):
        return []
    if pa.types.is_boolean(dtype):
        return False
    return b"" if pa.types.is_binary(dtype) else 0


Curves = dict[str, Sequence[float]]


class Made:
    """Writes stage calls as the runner does."""

    def __init__(self, folder: Path) -> None:
        """A new warehouse and store below `folder`."""
        self.warehouse, self.store = str(folder / "warehouse"), f"sqlite:///{folder / 'mlflow.db'}"
        self.tables, self.client = Tables(self.warehouse), mlflow.MlflowClient(self.store)
        self.lineage, self.clock = Lineage(self.tables), START
        self.calls: dict[str, dict[str, Any]] = {}

    def run(self, flow: str, stage: str, partitions: str, print_: str, status: str = "FINISHED",
            metrics: dict[str, Sequence[float]] | None = None) -> str:  # fmt: skip
        """One attempt in MLflow; returns its run id. The clock goes on by a minute."""
        found = self.client.get_experiment_by_name(flow)
        experiment = found.experiment_id if found else self.client.create_experiment(flow)
        begun = int(self.clock.timestamp() * 1000)
        run = self.client.create_run(experiment, begun, run_name=f"{stage} {partitions}").info.run_id
        points = [Metric(name, v, begun + i, i) for name, vs in (metrics or {}).items() for i, v in enumerate(vs)]
        tags = [RunTag("stage", stage), RunTag("fingerprint", print_), RunTag("mlflow.parentRunId", "flow")]
        if stage == "reinforce_zero":
            tags.append(RunTag("warning.00", f"nobody is right. {HOSTILE}"))
        for start in range(0, max(len(points), 1), 900):
            self.client.log_batch(run, points[start : start + 900], [Param("seed", "0")] if start == 0 else [], tags)
        self.client.set_terminated(run, status, begun + int(SECONDS * 1000))
        self.clock += dt.timedelta(minutes=1)
        return run

    def call(self, flow: str, stage: str, table: str, rows: Sequence[dict[str, Any]], reads: Sequence[str] = (),
             *, partition: str = "all", rejected: Sequence[tuple[str, int]] = ()) -> str:  # fmt: skip
        """A stage call that wrote a partition of a table; returns its fingerprint."""
        print_ = row_id(stage, partition)
        frame = rows_of(table, [{**row, "partition": partition} for row in rows])
        done = self.tables.commit(TABLES[table], [frame], partitions=[partition], metadata={"fingerprint": print_})
        if rejected:
            bad = [{"fingerprint": print_, "stage": stage, "reason": reason, "count": count, "detail": HOSTILE,
                    "source": "a.warc.gz@7", "id": row_id(print_, reason)} for reason, count in rejected]  # fmt: skip
            self.tables.commit(TABLES["quarantine"], [rows_of("quarantine", [{**b, "partition": print_} for b in bad])],
                               partitions=[print_])  # fmt: skip
        self._record(flow, stage, table, "table", done.version, partition, print_, reads, done.rows,
                     sum(n for _, n in rejected), {})  # fmt: skip
        return print_

    def model(self, flow: str, stage: str, name: str, reads: Sequence[str], metrics: dict[str, Sequence[float]]) -> str:
        """A stage call that made a model; returns its fingerprint."""
        print_ = row_id(stage, name)
        self._record(flow, stage, name, "model", 1, "all", print_, reads, 0, 0, metrics)
        return print_

    def _record(self, flow: str, stage: str, name: str, kind: str, version: int, partition: str, print_: str,
                reads: Sequence[str], rows: int, rejected: int, metrics: Curves) -> None:  # fmt: skip
        started = self.clock
        run = self.run(flow, stage, partition, print_, metrics=metrics)
        inputs = [{c: self.calls[r][c] for c in ("name", "kind", "version", "partitions", "digest", "fingerprint")}
                  for r in reads]  # fmt: skip
        call = {"fingerprint": print_, "stage": stage, "stage_version": "1", "name": name, "kind": kind,
                "version": version, "partitions": [partition], "digest": print_, "rows": rows,
                "rows_in": rows + rejected, "rejected": rejected, "config": "{}", "inputs": inputs, "mlflow_run": run,
                "prefect_run": "", "git_sha": "0" * 40, "started": started, "seconds": SECONDS,
                "cpu_seconds": SECONDS / 2}  # fmt: skip
        self.calls[print_] = call
        self.lineage.record(call)


def make(folder: Path) -> Made:
    """The whole warehouse."""
    made = Made(folder)
    months = ("2026-01", "2026-02")
    corpora = [_mine(made, month) for month in months]
    made.run("mine", "deduplicate", "2026-02", "", "FAILED")
    for number in (1, 2):
        made.call("mine", "recall_domains", "domains", _domains(number), corpora)
    problems = [{"id": row_id("problem", i), "family": f"family{i % 2}", "level": 1 + i % 3, "language": "en",
                 "prompt": f"What is 2 + 3 + {i}?", "gold": str(5 + i), "split": "test"} for i in range(6)]  # fmt: skip
    asked = made.call("synthesize", "make_problems", "problems", problems, rejected=[("asked already", 3)])
    packed = made.call("pretrain", "pack_tokens", "tokens",
                       [{"parents": [row_id("decontaminate", m, i)], "split": "train", "position": i,
                         "tokens": [1, 2], "sources": ["math_corpus"]} for m in months for i in range(3)],
                       corpora)  # fmt: skip
    made.run("pretrain", "pretrain", "all", "", "FAILED")
    steps = range(30)
    router = {f"load.layer_{a:03}.expert_{b:03}": [0.25 + 0.01 * (b - 1.5)] * 30 for a in range(2) for b in range(4)}
    base = made.model("pretrain", "pretrain", "rigor-base", [packed],
                      {"loss": [8 / (1 + i) for i in steps], "next_token": [7 / (1 + i) for i in steps],
                       "router_violation_max": [0.1 * i for i in steps], **router})  # fmt: skip
    zero = made.model("zero", "reinforce_zero", "rigor-zero", [base, asked],
                      {"loss": [0.1] * 5, "reward": [0.2 * i for i in range(5)],
                       "pass_rate": [0.1 * i for i in range(5)],
                       "reward.accuracy": [0.1 * i for i in range(5)], "reward.format": [1.0] * 5,
                       "response_tokens": [20.0 + i for i in range(5)], "cut_share": [0.0] * 5})  # fmt: skip
    made.call("zero", "reinforce_zero rollouts", "rollouts", _rollouts(problems), [base, asked], partition="rigor-zero")
    for name, print_, right in (("rigor-base", base, 1), ("rigor-zero", zero, 2)):
        answers = _answers(name, problems, right)
        sampled = made.call("evaluate", "sample_answers", "eval_samples", answers, [print_, asked],
                            partition=f"{name}.held_out")  # fmt: skip
        made.call("evaluate", "score_answers", "evals", _scores(name, answers, right), [sampled], partition=name)
    return made


def _mine(made: Made, month: str) -> str:
    place = [{"source_file": f"{month}.warc.gz", "offset": 1000 + i, "length": 77, "digest": f"sha1:{month}{i}",
              "url": f"https://site{i}.org/{month}", "domain": f"site{i}.org"} for i in range(4)]  # fmt: skip
    records = made.call("mine", "read_warc", "crawl_records",
                        [{"id": row_id("read_warc", month, i), **p, "payload": b"x" * 50} for i, p in enumerate(place)],
                        partition=month, rejected=[("truncated", 2), ("not HTTP", 5)])  # fmt: skip
    text = [f"Page {i} of {month}. {HOSTILE}\n$x = {i}$" for i in range(4)]
    pages = made.call("mine", "extract_text", "pages",
                      [{"id": row_id("extract_text", month, i), "parents": [row_id("read_warc", month, i)], **p,
                        "text": t, "title": HOSTILE, "language": "de" if i else "en", "formulas": i}
                       for i, (p, t) in enumerate(zip(place, text, strict=True))], [records],
                      partition=month)  # fmt: skip
    return made.call("mine", "decontaminate", "math_corpus",
                     [{"id": row_id("decontaminate", month, i), "parents": [row_id("extract_text", month, i)],
                       "page": row_id("extract_text", month, i), **p, "text": t, "title": HOSTILE,
                       "language": "de" if i else "en", "formulas": i, "score": i / 4}
                      for i, (p, t) in enumerate(zip(place, text, strict=True))], [pages],
                     partition=month, rejected=[("benchmark text", 1)])  # fmt: skip


def _domains(number: int) -> list[dict[str, Any]]:
    return [{"id": row_id("domain", number, i), "round": number, "domain": f"site{i}.org", "pages": 10,
             "collected": 2 * number * i, "share": min(0.2 * number * i, 1.0), "mathematical": number * i > 2,
             "decision": "auto"} for i in range(4)]  # fmt: skip


def _rollouts(problems: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": row_id("rollout", step, i, n), "parents": [p["id"]], "policy": "rigor-zero", "step": step,
             "place": i, "sample": n, "problem": p["id"], "family": p["family"], "level": p["level"],
             "prompt": p["prompt"], "text": f"<think>\nstep {step} sample {n}\n{HOSTILE}\n</think>",
             "tokens": [1] * (step + 2), "reward": n * 0.5, "correct": n == 2, "finish": "stop"}
            for step in range(3) for i, p in enumerate(problems[:2]) for n in range(3)]  # fmt: skip


def _answers(name: str, problems: Sequence[dict[str, Any]], right: int) -> list[dict[str, Any]]:
    rows = []
    for i, problem in enumerate(problems):
        for mode, count in (("greedy", 1), ("sampled", 4)):
            for n in range(count):
                good = i < right
                text = THINK.format("2 + 3 = 5", "5") if good else THINK.format("\n".join(STEPS), HOSTILE)
                rows.append({
                    "id": row_id("answer", name, i, mode, n), "parents": [problem["id"]], "model": name,
                    "suite": "held_out", "mode": mode, "question": f"q{i}", "sample": n, "cluster": f"q{i}",
                    "family": problem["family"], "level": str(problem["level"]), "problem": problem["prompt"],
                    "prompt": problem["prompt"], "gold": problem["gold"], "checker": "math", "response": text,
                    "tokens": [1] * 9, "finish": "stop", "answer": "5" if good else "8", "correct": good,
                    "reason": "equal" if good else HOSTILE, "steps": ["ok"] if good else ["ok", "wrong"],
                    "first_wrong": None if good else WRONG_AT, "wrong_claim": "" if good else STEPS[WRONG_AT],
                    "expected": "" if good else "9",
                })  # fmt: skip
    return rows


def _scores(name: str, answers: Sequence[dict[str, Any]], right: int) -> list[dict[str, Any]]:
    rows = []
    for family in ("", "family0", "family1"):
        for metric, value in (
            ("pass@1", right / 6),
            ("pass@2", right / 5),
            ("pass@4", right / 4),
            ("greedy", right / 6),
        ):
            rows.append({"id": row_id("score", name, family, metric), "model": name, "suite": "held_out",
                         "family": family, "metric": metric, "value": value, "low": value / 2, "high": value * 1.5,
                         "questions": 6, "samples": 24, "contaminated": 0.0,
                         "parents": [a["id"] for a in answers if a["mode"] == "sampled"]})  # fmt: skip
    return rows
