"""Sampling on many processes: the same samples as one engine gives, however many share the work."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model.convert import load_folder
from model.sample import LocalSampler, SamplingParams
from model.tokenizer import Tokenizer
from tasks.curate import sample_chains as module
from tasks.curate.sample_chains import SamplingError, sample_chains
from tests.tasks.rl.kit import Listener, make_policy

PARAMS = SamplingParams(temperature=1.0, max_tokens=8)
PROMPTS = [[3, 40 + i, 7] + [9] * (i % 5) for i in range(11)]
SEEDS = [1000 + 7 * i for i in range(11)]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of two prompts: eleven prompts make six."""
    monkeypatch.setattr(module, "BLOCK_SAMPLES", 6)


@pytest.mark.usefixtures("small_blocks")
def test_any_number_of_workers_gives_what_one_engine_gives(policy: Path) -> None:
    config, state = load_folder(policy)
    engine = LocalSampler(config, state, Tokenizer.load(policy), max_rows=4)
    wanted = engine.generate(PROMPTS, PARAMS, 3, SEEDS)
    heard = Listener()
    for workers in (1, 2):
        found = sample_chains(policy, PROMPTS, PARAMS, 3, SEEDS, workers, heard)
        assert [[c.tokens for c in each] for each in found] == [[c.tokens for c in each] for each in wanted]
        assert [[c.text for c in each] for each in found] == [[c.text for c in each] for each in wanted]
    assert len({c.tokens for each in wanted for c in each}) > 20


@pytest.mark.usefixtures("small_blocks")
def test_a_row_depends_on_nothing_beside_it(policy: Path) -> None:
    every = sample_chains(policy, PROMPTS, PARAMS, 3, SEEDS, 1, Listener())
    alone = sample_chains(policy, PROMPTS[4:5], PARAMS, 3, SEEDS[4:5], 1, Listener())
    assert [c.tokens for c in alone[0]] == [c.tokens for c in every[4]]


@pytest.mark.usefixtures("small_blocks")
def test_finished_blocks_are_not_sampled_again(policy: Path, tmp_path: Path) -> None:
    first = sample_chains(policy, PROMPTS, PARAMS, 3, SEEDS, 1, Listener(), keep=tmp_path / "kept")
    kept = sorted((tmp_path / "kept").iterdir())
    assert len(kept) == 6
    kept[2].unlink()
    stamps = {path: path.stat().st_mtime_ns for path in kept if path.exists()}
    again = sample_chains(policy, PROMPTS, PARAMS, 3, SEEDS, 1, Listener(), keep=tmp_path / "kept")
    assert again == first
    assert kept[2].exists()
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}


@pytest.mark.usefixtures("small_blocks")
def test_a_worker_that_fails_says_why(policy: Path, tmp_path: Path) -> None:
    before = set(multiprocessing.active_children())  # a grader that another test left waiting is not ours
    with pytest.raises(SamplingError, match=r"config\.json"):
        sample_chains(tmp_path, PROMPTS, PARAMS, 3, SEEDS, 2, Listener())
    with pytest.raises(SamplingError, match="outside the vocabulary"):
        sample_chains(policy, [*PROMPTS, [5000]], PARAMS, 3, [*SEEDS, 1], 2, Listener())
    assert set(multiprocessing.active_children()) <= before


def test_what_no_model_can_answer_is_refused(policy: Path) -> None:
    with pytest.raises(ValueError, match="prompt 1 has 300 tokens"):
        sample_chains(policy, [[1], [1] * 300], PARAMS, 1, [1, 2], 1, Listener())
    with pytest.raises(ValueError, match="1 seeds for 2 prompts"):
        sample_chains(policy, [[1], [2]], PARAMS, 1, [1], 1, Listener())
    assert sample_chains(policy, [], PARAMS, 1, [], 2, Listener()) == []


def test_workers_do_not_outlive_a_killed_parent(policy: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from model.sample import SamplingParams\n"
        "from tasks.curate import sample_chains as m; from tests.tasks.rl.kit import Listener\n"
        "m.BLOCK_SAMPLES = 64\n"
        "class Told(Listener):\n"
        "    def cpu_seconds(self, seconds):\n"
        "        import multiprocessing as mp; print(*[p.pid for p in mp.active_children()], flush=True)\n"
        "if __name__ == '__main__':\n"
        "    m.sample_chains(Path(sys.argv[1]), [[5, 6]] * 4096, SamplingParams(max_tokens=200), 1,\n"
        "                    list(range(4096)), 2, Told())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(policy)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [int(pid) for pid in parent.stdout.readline().split()]
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert len(children) == 2
    deadline = time.monotonic() + 60
    while any(_runs(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_runs(pid) for pid in children)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
