"""The folder by which a killed stage resumes: kept on failure, gone on success, and its lock dies with its holder."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

from flows.work_folder import work_folder


def test_a_failed_call_finds_its_work_again_and_a_finished_one_leaves_nothing(tmp_path: Path) -> None:
    with suppress(ValueError), work_folder(tmp_path, "f" * 64) as folder:
        (folder / "step-7").write_text("half way")
        raise ValueError("stopped")
    with work_folder(tmp_path, "f" * 64) as folder:
        assert (folder / "step-7").read_text() == "half way"
    with work_folder(tmp_path, "0" * 64) as other:
        assert list(other.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_a_killed_holder_is_replaced_within_seconds_fifty_times(tmp_path: Path) -> None:
    for turn in range(50):
        reads, writes = os.pipe()
        child = os.fork()
        if child == 0:
            with work_folder(tmp_path, "f" * 64) as folder:
                (folder / f"turn-{turn}").touch()
                os.write(writes, b"held")
                time.sleep(60)
            os._exit(0)
        assert os.read(reads, 4) == b"held"
        os.kill(child, signal.SIGKILL)
        started = time.monotonic()
        with suppress(KeyError), work_folder(tmp_path, "f" * 64) as folder:
            took = time.monotonic() - started
            assert (folder / f"turn-{turn}").exists()
            raise KeyError
        assert took < 5
        os.waitpid(child, 0)
        os.close(reads)
        os.close(writes)


def test_callers_who_come_while_the_folder_is_removed_make_it_again(tmp_path: Path) -> None:
    errors: list[OSError] = []
    inside = threading.Semaphore(1)

    def turns() -> None:
        try:
            for _ in range(1_000):
                with work_folder(tmp_path, "f" * 64):
                    assert inside.acquire(blocking=False), "two at once"
                    inside.release()
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=turns) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert list(tmp_path.iterdir()) == []


def test_a_waiter_gets_a_new_folder_once_the_first_is_done(tmp_path: Path) -> None:
    order: list[str] = []
    entered = threading.Event()

    def second() -> None:
        entered.set()
        with work_folder(tmp_path, "f" * 64) as folder:
            order.append("second")
            assert folder.exists()
            assert not (folder / "mine").exists()

    with work_folder(tmp_path, "f" * 64) as folder:
        (folder / "mine").touch()
        thread = threading.Thread(target=second)
        thread.start()
        entered.wait()
        time.sleep(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
