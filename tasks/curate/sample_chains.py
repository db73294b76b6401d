"""The one place where stages sample many responses from a policy's folder: shared out to processes of one thread each.

The prompts are cut into blocks of a fixed number of samples, and a block's samples are a function of (weights, prompts,
params, seeds): whatever the number of workers, whoever was killed in between, they are the same bytes.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import polars as pl
import torch

from model.convert import load_folder
from model.sample import Completion, LocalSampler, SamplingParams
from model.sample.params import check_request
from model.tokenizer import Tokenizer
from tasks.stage import Report

BLOCK_SAMPLES = 256
"""Samples of a block, unless one prompt alone has more."""
MAX_ROWS = 64
"""Samples that run at once in a process."""
GRACE_SECONDS = 10.0
"""What a worker that was told to end has, before it is killed."""
Samples = list[list[Completion]]
"""The completions of each prompt."""


class SamplingError(RuntimeError):
    """A worker died, or its model cannot be sampled; the message has its last words."""


def sample_chains(
    policy: Path,
    prompts: Sequence[Sequence[int]],
    params: SamplingParams,
    n: int,
    seeds: Sequence[int],
    workers: int,
    report: Report,
    *,
    keep: Path | None = None,
    max_rows: int = MAX_ROWS,
    opened: Opened | None = None,
) -> Samples:
    """`n` samples of every prompt by the model in `policy` (Hugging Face form, with its tokenizer).

    Args:
        policy: the folder.
        prompts: token ids, each shorter than the model's positions.
        params: how to draw; its own seed is not used.
        n: samples of a prompt.
        seeds: one for each prompt; make it of the row's id, so that a sample depends on nothing beside it.
        workers: processes; with one, or one block, or on a GPU, sampling happens in this process.
        report: told of progress and of the workers' CPU time.
        keep: a folder of this call's own in which finished blocks stay, so that a killed call does not repeat them.
        max_rows: samples that run at once in a process; changes no sample.
        opened: where calls on the same policy, one after the other in this process, share its sampler.

    Raises:
        ValueError: a prompt is empty or fills the model's positions, or there are not as many seeds as prompts.
        SamplingError: a worker failed.
    """
    check_request(prompts, n, seeds)
    if not prompts:
        return []
    size = max(1, BLOCK_SAMPLES // n)
    starts = range(0, len(prompts), size)
    blocks = [(list(map(list, prompts[s : s + size])), list(seeds[s : s + size])) for s in starts]
    room = max(map(len, prompts)) + params.max_tokens
    made: dict[int, Samples] = {}
    for index, (asked, _) in enumerate(blocks):
        if keep is not None and (path := _kept(keep, index)).exists():
            made[index] = _read(path, len(asked), n)
    missing = [index for index in range(len(blocks)) if index not in made]
    opened = opened or Opened()
    for index, found in _make(policy, blocks, missing, params, n, room, max_rows, workers, report, opened):
        made[index] = found
        if keep is not None:
            _write(_kept(keep, index), found)
        report.progress(sum(map(len, made.values())) * n, len(prompts) * n, "samples")
    return [samples for index in range(len(blocks)) for samples in made[index]]


Block = tuple[list[list[int]], list[int]]
"""Prompts and their seeds."""


def _make(
    policy: Path, blocks: Sequence[Block], missing: Sequence[int], params: SamplingParams, n: int, room: int,
    max_rows: int, workers: int, report: Report, opened: Opened,
) -> Iterator[tuple[int, Samples]]:  # fmt: skip
    """(number, samples) of the missing blocks, as they are done."""
    count = min(workers, len(missing))
    if count > 1 and not torch.cuda.is_available():
        jobs = [(index, blocks[index]) for index in missing]
        yield from _shared_out(policy, jobs, params, n, room, max_rows, count, report)
    elif missing:
        with _one_thread():
            sampler = opened.sampler(policy, room, max_rows)
            for index in missing:
                prompts, seeds = blocks[index]
                yield index, sampler.generate(prompts, params, n, seeds)


class Opened:
    """The sampler of one policy in this process: opened when it is first needed, and anew only for more room."""

    def __init__(self) -> None:
        """Nothing is open yet."""
        self._sampler: LocalSampler | None = None

    def sampler(self, policy: Path, room: int, max_rows: int) -> LocalSampler:
        """The policy's, with room for `room` tokens or all that it has."""
        if self._sampler and self._sampler.room < min(room, self._sampler.config.max_positions):
            self._sampler = None  # its memory is free before the next one's is taken
        self._sampler = self._sampler or _open(policy, room, max_rows)
        return self._sampler


def _open(policy: Path, room: int, max_rows: int) -> LocalSampler:
    config, state = load_folder(policy)
    device = torch.device("cuda") if torch.cuda.is_available() else None
    room = min(room, config.max_positions)
    return LocalSampler(config, state, Tokenizer.load(policy), max_rows=max_rows, max_tokens=room, device=device)


def _shared_out(
    policy: Path, jobs: list[tuple[int, Block]], params: SamplingParams, n: int, room: int, max_rows: int, count: int,
    report: Report,
) -> Iterator[tuple[int, Samples]]:  # fmt: skip
    """The jobs on `count` processes, each given the next one as soon as it is free.

    Workers are forked from a clean server process that has imported this module once, for all calls to come.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    waiting, busy = list(reversed(jobs)), 0
    processes: list[ForkServerProcess] = []
    lines: list[Connection[Any, Any]] = []
    try:
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, str(policy), params, n, room, max_rows), daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            lines.append(ours)
            ours.send(waiting.pop())
            busy += 1
        while busy:
            ready = wait(lines)
            for line in (line for line in lines if line in ready):
                index, found, cpu_seconds = _heard(line)
                busy -= 1
                if waiting:
                    with suppress(BrokenPipeError):  # it died just now, which the next look hears
                        line.send(waiting.pop())
                    busy += 1
                report.cpu_seconds(cpu_seconds)
                yield index, found
    finally:
        for line in lines:
            line.close()
        for process in processes:
            process.join(GRACE_SECONDS if not busy else 0)
            if process.is_alive():
                process.kill()
                process.join()


def _heard(line: Connection[Any, Any]) -> tuple[int, Samples, float]:
    try:
        said: tuple[int, Samples, float] | str = line.recv()
    except (EOFError, ConnectionResetError):
        raise SamplingError("a sampling process died (killed, or out of memory)") from None
    if isinstance(said, str):
        raise SamplingError(said)
    return said


def _work(line: Connection[Any, Any], policy: str, params: SamplingParams, n: int, room: int, max_rows: int) -> None:
    """A worker: blocks in, samples out, until the other end closes."""
    _end_with_parent()
    torch.set_num_threads(1)
    clock, sampler = 0.0, None
    while True:
        try:
            index, (prompts, seeds) = line.recv()
        except EOFError:
            return
        try:
            sampler = sampler or _open(Path(policy), room, max_rows)
            found = sampler.generate(prompts, params, n, seeds)
        except (ValueError, OSError, FloatingPointError, RuntimeError) as error:
            line.send(f"{type(error).__name__}: {error}")
            return
        before, clock = clock, time.process_time()
        line.send((index, found, clock - before))


def _end_with_parent() -> None:
    """Leave at once when the process that asked is gone, however it went."""
    parent = multiprocessing.parent_process()

    def watch(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    if parent is not None:
        threading.Thread(target=watch, args=(parent.sentinel,), name="lifeline", daemon=True).start()


@contextmanager
def _one_thread() -> Iterator[None]:
    """As in a worker, so that sums have the same order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _kept(folder: Path, index: int) -> Path:
    return folder / f"samples-{index:06}.parquet"


def _write(path: Path, samples: Samples) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flat = [completion for each in samples for completion in each]
    columns: dict[str, Callable[[Completion], object]] = {
        "tokens": lambda c: list(c.tokens), "text": lambda c: c.text, "log_probs": lambda c: list(c.log_probs),
        "finish": lambda c: c.finish,
    }  # fmt: skip
    schema: dict[str, pl.DataType] = {
        "tokens": pl.List(pl.Int32),
        "text": pl.String(),
        "log_probs": pl.List(pl.Float32),
        "finish": pl.String(),
    }
    draft = path.with_suffix(".tmp")
    pl.DataFrame({name: [take(c) for c in flat] for name, take in columns.items()}, schema).write_parquet(draft)
    draft.rename(path)


def _read(path: Path, prompts: int, n: int) -> Samples:
    flat = [
        Completion(tuple(row["tokens"]), row["text"], tuple(row["log_probs"]), row["finish"])
        for row in pl.read_parquet(path).iter_rows(named=True)
    ]
    if len(flat) != prompts * n:
        raise SamplingError(f"{path} holds {len(flat)} samples, not {prompts * n}: remove it")
    return [flat[start : start + n] for start in range(0, len(flat), n)]
