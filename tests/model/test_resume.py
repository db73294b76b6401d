"""A training that was stopped, killed or damaged goes on as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from model.train import agent, lifeline
from model.train.launch import Interrupted, TrainingError, launch
from tests.model.train_ranks import World, by_step, contents, forge, make_rows, set_up, tiny_config

LONG = {"steps": 30, "micro_batch_rows": 4, "save_every_steps": 7, "evaluate_every_steps": 50}
"""Long enough to be hit in its midst; 30 batches are almost four epochs."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_rows(tmp_path_factory.mktemp("data") / "rows", 64)


@pytest.fixture(scope="module")
def uninterrupted(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, World]:
    """By the number of ranks."""
    found = {}
    for ranks in (1, 2):
        root = set_up(tmp_path_factory.mktemp("whole") / "run", rows, tiny_config(**LONG))
        found[ranks] = forge().run(root, ranks)
    return found


def stop(world: World, step: int) -> int:
    """SIGTERM one of the ranks once `step` is done; returns the step that was saved."""
    world.at_step(step)
    os.kill(world.pids[-1], signal.SIGTERM)
    assert world.wait() == [75] * len(world.pids)
    return int(world.events("interrupted")[-1]["step"])


@pytest.mark.parametrize("ranks", [1, 2])
def test_stopped_and_resumed_ends_with_the_same_bits(
    ranks: int, uninterrupted: dict[int, World], rows: Path, tmp_path: Path
) -> None:
    root = set_up(tmp_path / "run", rows, tiny_config(**LONG))
    done = 0
    for step in (random.Random(ranks).randint(1, 10), 17):
        done = stop(forge().start(root, ranks), max(step, done + 1))
        assert done < 30
    world = forge().run(root, ranks)
    assert world.events("started")[-1]["step"] == done
    whole = uninterrupted[ranks]
    assert by_step(world.events(), "loss") == by_step(whole.events(), "loss")
    assert contents(root) == contents(whole.root)


@pytest.mark.parametrize("layout", [{}, {"expert": 2}, {"pipeline": 2}])
def test_from_one_rank_to_two_and_back_no_row_is_skipped_or_comes_twice(
    layout: dict[str, int], uninterrupted: dict[int, World], rows: Path, tmp_path: Path
) -> None:
    # Every row's tokens are its own, so a batch with another row has another loss.
    root = set_up(tmp_path / "run", rows, tiny_config(**LONG))
    two = set_up(tmp_path / "two", rows, tiny_config(**LONG, parallel=layout))
    first = stop(forge().start(root, 1), 4)
    (root / "checkpoints").rename(two / "checkpoints")
    second = stop(forge().start(two, 2), first + 5)
    (two / "checkpoints").rename(root / "checkpoints")
    assert first < second < 30
    world = forge().run(root, 1)
    expected = by_step(uninterrupted[1].events(), "loss")
    assert len(set(expected.values())) == 30
    losses = by_step(world.events(), "loss") | by_step(World(forge(), two, []).events(), "loss")
    assert losses == pytest.approx(expected, abs=1e-5)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    uninterrupted: dict[int, World], rows: Path, tmp_path: Path
) -> None:
    root = set_up(tmp_path / "run", rows, tiny_config(**LONG))
    done = stop(forge().start(root), 16)
    path = root / "checkpoints" / f"step-{done:08d}" / "rank-00000.safetensors"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    world = forge().run(root)
    assert world.events("started")[-1]["step"] == 14
    assert any(f"step-{done:08d} is damaged" in event["text"] for event in world.events("warning"))
    assert contents(root) == contents(uninterrupted[1].root)


def test_a_damaged_checkpoint_is_told_of_where_another_rank_writes_the_metrics(rows: Path, tmp_path: Path) -> None:
    """With two stages rank 0 passes it over and the last stage, rank 1, speaks."""
    config = tiny_config(**LONG | {"steps": 9, "save_every_steps": 4}, parallel={"pipeline": 2})
    root = set_up(tmp_path / "run", rows, config)
    done = stop(forge().start(root, 2), 5)
    path = root / "checkpoints" / f"step-{done:08d}" / "rank-00000.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    world = forge().run(root, 2)
    assert world.events("started")[-1]["step"] == 4
    assert sum(f"step-{done:08d} is damaged" in event["text"] for event in world.events("warning")) == 1


@pytest.mark.parametrize("change", [{"seed": 1}, {"optimizer": {"learning_rate": 0.02}}])
def test_checkpoints_of_another_training_are_refused(change: dict[str, Any], rows: Path, tmp_path: Path) -> None:
    root = set_up(tmp_path / "run", rows, tiny_config(steps=1, schedule={}))
    forge().run(root)
    (root / "job.json").write_text(
        (set_up(tmp_path / "other", rows, tiny_config(steps=1, schedule={}, **change)) / "job.json").read_text()
    )
    world = forge().start(root)
    assert world.wait() == [1]
    assert f"of another training: {next(iter(change))} differ" in world.events("failed")[0]["error"]


def test_only_one_training_works_in_a_folder(tmp_path: Path) -> None:
    mine, other, worker = (lifeline.FolderLock(tmp_path) for _ in range(3))
    mine.take_alone(0)
    with pytest.raises(TimeoutError, match="another training"):
        other.take_alone(0.2)
    worker.join()
    mine.close()
    with pytest.raises(TimeoutError, match="another training"):
        other.take_alone(0.2)
    worker.close()
    other.take_alone(0)
    other.close()


def test_a_process_number_given_anew_is_not_the_same_process() -> None:
    mine = lifeline.identity(os.getpid())
    assert lifeline.alive(mine)
    assert not lifeline.alive(mine + "1")
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(ProcessLookupError):
        lifeline.identity(child)


def listens() -> list[str]:
    """Addresses at which a training's processes, all descendants of this one, wait for connections."""
    # The forge's ranks are none of them: it starts no world meanwhile.
    return [
        connection.laddr.ip
        for child in psutil.Process().children(recursive=True)
        for connection in child.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]


def test_launch_reports_a_stop_and_a_killed_rank_and_goes_on_to_the_end(
    uninterrupted: dict[int, World], rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIGOR_TEST_SECRET", "hunter2")
    seen: list[dict[str, Any]] = []
    environments: list[bytes] = []
    listening: list[str] = []
    worked: list[float] = []
    used: list[float] = []

    def go(step: int, act: Callable[[int], None]) -> Path:
        """Launch, and act on the worker's process number once `step` is done."""
        pid = 0

        def on_event(event: dict[str, Any]) -> None:
            nonlocal pid
            seen.append(event)
            if event["kind"] == "started":
                pid = int(event["process"].partition(":")[0])
                with suppress(FileNotFoundError, psutil.NoSuchProcess):  # nothing was left to do: it may have ended
                    environments.append(Path(f"/proc/{pid}/environ").read_bytes())
                    listening.extend(listens())
            if event["kind"] == "progress":
                with suppress(psutil.NoSuchProcess):  # it has ended since
                    worked.append(sum(psutil.Process(pid).cpu_times()[:2]))
                if event["done"] == step:
                    act(pid)
            if event["kind"] == "used":
                used.append(event["cpu_seconds"])

        return launch(tiny_config(**LONG), rows, None, tmp_path / "run", 1, on_event)

    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="goes on from there"):
        go(9, lambda pid: os.kill(os.getpid(), signal.SIGTERM))
    last = seen[-2]
    saved = last["step"]
    assert (last["kind"], seen[-1]["kind"]) == ("interrupted", "used")
    assert 9 <= saved < 18
    assert signal.getsignal(signal.SIGTERM) == handler
    assert b"hunter2" not in environments[0]
    assert b"OMP_NUM_THREADS=1" in environments[0]
    assert set(listening) == {"127.0.0.1"}
    with pytest.raises(TrainingError, match="SIGKILL"):
        go(18, lambda pid: os.kill(pid, signal.SIGKILL))
    with pytest.raises(Interrupted, match="goes on from"):
        go(30, lambda pid: os.kill(os.getpid(), signal.SIGTERM))  # in the last step: the next stage must not begin
    assert go(0, lambda pid: None) == tmp_path / "run" / "model"
    assert 0 < max(worked) <= max(used) < 60, "of the ranks, who are no children of this process"
    started = [event["step"] for event in seen if event["kind"] == "started"]
    assert started[:2] == [0, saved]
    assert started[2] % 7 == 0
    assert by_step(seen, "loss") == by_step(uninterrupted[1].events(), "loss")
    assert contents(tmp_path / "run") == contents(uninterrupted[1].root)


def zygote() -> psutil.Process:
    """The process that this one's trainings are forked from."""
    (found,) = (child for child in psutil.Process().children() if "model.train.zygote" in child.cmdline())
    return found


def test_torchrun_trains_what_the_zygote_trains_which_may_die(rows: Path, tmp_path: Path) -> None:
    config = tiny_config(steps=4, micro_batch_rows=4)
    launch(config, rows, None, tmp_path / "forked", 2, lambda _: None)
    before = zygote()
    assert before.num_threads() == 1, "a fork takes one thread along and the locks of all"
    before.kill()
    before.wait(10)
    launch(config, rows, None, tmp_path / "again", 2, lambda _: None)
    assert zygote().pid != before.pid
    root = set_up(tmp_path / "torchrun", rows, config)
    subprocess.run([sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m",
                    "model.train.worker", str(root), "train"], check=True, timeout=120,
                   env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()})  # fmt: skip
    assert contents(tmp_path / "forked") == contents(tmp_path / "again") == contents(root)


def test_a_launch_that_is_broken_off_at_its_start_leaves_no_training(rows: Path, tmp_path: Path) -> None:
    launch(tiny_config(steps=3), rows, None, tmp_path / "first", 1, lambda _: None)
    zygote().suspend()

    def out(*_: object) -> None:
        raise KeyboardInterrupt

    handler = signal.signal(signal.SIGALRM, out)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            launch(tiny_config(steps=3), rows, None, tmp_path / "run", 1, lambda _: None)
    finally:
        signal.signal(signal.SIGALRM, handler)
        zygote().resume()
    launch(tiny_config(steps=3), rows, None, tmp_path / "run", 1, lambda _: None)  # asked for after the one broken off
    assert contents(tmp_path / "run") == contents(tmp_path / "first")
    assert (tmp_path / "run" / "events.jsonl").read_text().count('"started"') == 1


def test_why_no_process_could_be_started_is_told(rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken" / "model" / "train"
    broken.mkdir(parents=True)
    (broken / "zygote.py").write_text("raise ImportError('libfoo.so')")
    monkeypatch.setattr(agent, "ROOT", tmp_path / "broken")
    with pytest.raises(TrainingError, match="libfoo"):
        launch(tiny_config(steps=3), rows, None, tmp_path / "run", 1, lambda _: None)


def test_the_zygote_ends_with_its_launcher() -> None:
    text = "from model.train.agent import _Zygote; print(_Zygote.of_this_process(2).process.pid, flush=True); input()"
    launcher = subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                env={**os.environ, "PYTHONPATH": os.getcwd()})  # fmt: skip
    with launcher:
        assert launcher.stdout is not None
        orphan = psutil.Process(int(launcher.stdout.readline()))
        launcher.kill()
    orphan.wait(60)  # it sees so once it has imported all
