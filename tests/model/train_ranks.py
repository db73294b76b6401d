"""Real ranks for the trainer's tests, forked from one process that has imported Megatron (seconds, once a session).

`python -m tests.model.train_ranks` reads a JSON line for each world to start and answers with JSON lines: the ranks'
process numbers, then their exit codes.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from model.config import ModelConfig
from model.data import write_rows
from model.train.config import TrainConfig
from model.train.job import STORE, Folder, Job

TINY = ModelConfig.model_validate(
    {
        "vocab_size": 64, "hidden_size": 16, "layers": 2, "ffn_size": 32, "mtp_layers": 1, "max_positions": 64,
        "init_std": 0.1,
        "attention": {"kind": "mla", "heads": 2, "kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4,
                      "v_head_dim": 8},
        "moe": {"experts": 4, "experts_per_token": 2, "expert_ffn_size": 8},
    }
)  # fmt: skip
"""One dense layer, one with experts, one MTP module: 8k parameters."""
TOKENS = 16


def make_rows(folder: Path, count: int, seed: int = 0, **columns: np.ndarray) -> Path:
    """Rows of two documents of random tokens each; `columns` replace theirs."""
    rng = np.random.default_rng(seed)
    document = np.repeat([[0, 1]], TOKENS // 2, axis=1).astype(np.int32).repeat(count, axis=0)
    made = {
        "tokens": rng.integers(0, TINY.vocab_size, (count, TOKENS), dtype=np.int32),
        "document": document,
        "weight": np.ones((count, TOKENS), np.float32),
    }
    return write_rows(folder, [made | columns])


def tiny_config(**changes: Any) -> TrainConfig:
    """Eight updates of eight rows on the tiny model, saved every other step; `changes` by field."""
    fields = {
        "model": TINY, "steps": 8, "global_batch_rows": 8, "micro_batch_rows": 2, "save_every_steps": 2,
        "evaluate_every_steps": 4, "keep_checkpoints": 8, "schedule": {"warmup_steps": 2},
        "optimizer": {"learning_rate": 0.01},
    }  # fmt: skip
    return TrainConfig.model_validate(fields | changes)


def set_up(root: Path, rows: Path, config: TrainConfig, held_out: Path | None = None) -> Path:
    """A work folder with its job, as `launch` makes it."""
    root.mkdir(parents=True)
    Folder(root).job.write_text(Job(config=config, rows=rows, held_out=held_out).model_dump_json())
    return root


def by_step(events: list[dict[str, Any]], name: str) -> dict[int, float]:
    """One metric, the last value said for each step."""
    return {e["step"]: e["values"][name] for e in events if e["kind"] == "metrics" and name in e["values"]}


def contents(root: Path) -> dict[str, bytes]:
    """All bytes of the exported model and of the newest checkpoint: weights, biases, optimizer state, plan, window."""
    newest = max((root / "checkpoints").glob("step-????????"))
    return {
        str(path.relative_to(root)): path.read_bytes()
        for folder in (newest, root / "model")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class World:
    """Ranks at work in a folder."""

    def __init__(self, forge: Forge, root: Path, pids: list[int]) -> None:
        self.forge, self.root, self.pids = forge, root, pids

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What has been said so far in the folder, by this world and those before it."""
        path = self.root / "events.jsonl"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        found = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [event for event in found if kind in (None, event["kind"])]

    def at_step(self, step: int) -> None:
        """Wait until this update has been reported, by this world or one before it."""
        while not any(event["done"] >= step for event in self.events("progress")):
            time.sleep(0.01)

    def wait(self) -> list[int]:
        """The ranks' exit codes (negative: the signal that killed them)."""
        return self.forge.read()["codes"]


class Forge:
    """Starts worlds, one at a time."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.model.train_ranks"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        )  # fmt: skip

    def read(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def start(self, root: Path, ranks: int = 1, task: str = "train") -> World:
        assert self.process.stdin is not None
        (root / "store").unlink(missing_ok=True)
        order = {"root": str(root), "ranks": ranks, "task": task}
        self.process.stdin.write(json.dumps(order) + "\n")
        return World(self, root, self.read()["pids"])

    def run(self, root: Path, ranks: int = 1, task: str = "train") -> World:
        """Start a world and wait for its end, which must be a good one."""
        world = self.start(root, ranks, task)
        codes = world.wait()
        assert not any(codes), f"{codes}: {(root / 'workers.log').read_text()[-4000:]}"
        return world

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


@functools.cache
def forge() -> Forge:
    """The session's own."""
    made = Forge()
    atexit.register(made.close)
    return made


def _serve() -> None:
    from model.train import run, worker  # noqa: F401  (imported before the forks)

    for line in sys.stdin:
        order = json.loads(line)
        pids = []
        for rank in range(order["ranks"]):
            pid = os.fork()
            if pid == 0:
                _be_rank(order, rank)
            pids.append(pid)
        print(json.dumps({"pids": pids}), flush=True)
        codes = []
        for pid in pids:
            _, status = os.waitpid(pid, 0)
            codes.append(os.waitstatus_to_exitcode(status))
        print(json.dumps({"codes": codes}), flush=True)


def _be_rank(order: dict[str, Any], rank: int) -> None:
    import traceback

    from model.train import worker

    code = 1
    try:
        log = os.open(Path(order["root"]) / "workers.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ |= {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(order["ranks"]),
            STORE: str(Path(order["root"]) / "store"),
        }  # fmt: skip
        code = worker.main(Path(order["root"]), order["task"], worker.work)
    except BaseException:  # noqa: BLE001 (a fork must never return into the parent's loop)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _serve()
