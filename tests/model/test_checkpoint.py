"""A checkpoint gives back every bit, at any layout; what is damaged, torn or does not fit is refused and says why."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model import parallel
from model.checkpoint import CheckpointError, latest, load, prune, save, verify
from model.checkpoint.digests import digest_of, read_seal, seal
from tests.model.checkpoint_made import CONFIG, copies, differing, made, scramble
from tests.model.checkpoint_ranks import FOUR, LAYOUTS, at_every_layout, hidden_states, through
from tests.model.pool import run


@pytest.fixture(autouse=True, scope="module")
def _one_rank() -> Iterator[None]:
    torch.set_num_threads(1)
    parallel.start()
    yield
    parallel.stop()


def steps_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def reseal(path: Path) -> None:
    """What a writer who knows the format can do: digests that fit whatever lies there."""
    found = read_seal(path)
    assert found is not None
    files = {p.name: digest_of(p) for p in path.iterdir() if p.name != "digests.json"}
    seal(path, files, found["step"], found["layout"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_one_rank_gets_every_bit_back(tmp_path: Path, dtype: torch.dtype) -> None:
    model, optimizer = made(dtype=dtype)
    scramble(model, optimizer, seed=3)
    kept = copies(model, optimizer)
    assert ("master decoder.final_layernorm.weight" in kept) == (dtype == torch.bfloat16)
    extra = {"data": {"skip": [3, 4]}, "loss": 0.1 + 0.2, "big": 2**60, "none": None}
    path = save(tmp_path, 12, model, optimizer, extra)
    assert steps_in(tmp_path) == ["step-00000012"]
    assert not differing(copies(model, optimizer), kept)
    scramble(model, optimizer, seed=4)
    assert len(differing(copies(model, optimizer), kept)) == len(kept)
    assert load(path, model, optimizer) == (12, extra)
    assert not differing(copies(model, optimizer), kept)
    assert optimizer.steps == 3
    # Weights alone.
    other, untouched = made(seed=9, dtype=dtype)
    before = copies(other, untouched)
    load(path, other, None)
    after = copies(other, untouched)
    assert all(name.startswith("model ") for name in differing(after, before))
    assert not [name for name in differing(after, kept) if name.startswith("model ")]


def test_one_rank_to_two_at_every_layout_and_back(tmp_path: Path) -> None:
    """1 → 2 data, 2 expert, 2 tensor, 2 pipeline ranks, and from each of them to the next: the same hidden states as
    one rank's; then from each back to one rank: the same bits."""
    model, optimizer = made()
    scramble(model, optimizer, seed=3)
    kept = copies(model, optimizer)
    save(tmp_path / "one", 7, model, optimizer, {"loss": 0.1, "note": "ä"})
    hidden = hidden_states(model)
    assert hidden is not None
    save_file(
        {"main": hidden.main_BTH.contiguous(), "mtp": hidden.mtp[0].contiguous()}, tmp_path / "hidden.safetensors"
    )
    run(2, at_every_layout, tmp_path)
    for name in LAYOUTS:
        model, optimizer = made(seed=9)
        path = latest(tmp_path / name)
        assert path is not None
        assert load(path, model, optimizer)[0] == 7
        assert not differing(copies(model, optimizer), kept), name
    # Each rank wrote its part, not the whole.
    sizes = [(tmp_path / "expert" / "step-00000007" / f"rank-0000{rank}.safetensors").stat().st_size for rank in (0, 1)]
    whole = (tmp_path / "one" / "step-00000007" / "rank-00000.safetensors").stat().st_size
    assert 0 < sizes[1] < sizes[0] < whole < sum(sizes) + 20_000


def test_one_rank_to_four_and_back(tmp_path: Path) -> None:
    """Two ways of cutting at once, from one combination to the next; then from each back to one rank: the same bits."""
    model, optimizer = made()
    scramble(model, optimizer, seed=3)
    kept = copies(model, optimizer)
    save(tmp_path / "one", 7, model, optimizer, {})
    run(4, through, tmp_path, FOUR)
    for name in FOUR:
        model, optimizer = made(seed=9)
        load(tmp_path / name / "step-00000007", model, optimizer)
        assert not differing(copies(model, optimizer), kept), name


def test_the_same_step_saved_again_replaces_the_first(tmp_path: Path) -> None:
    model, optimizer = made()
    path = save(tmp_path, 5, model, optimizer, {"try": 1})
    scramble(model, optimizer, seed=2)
    kept = copies(model, optimizer)
    assert save(tmp_path, 5, model, optimizer, {"try": 2}) == path
    assert steps_in(tmp_path) == ["step-00000005"]
    scramble(model, optimizer, seed=3)
    assert load(path, model, optimizer) == (5, {"try": 2})
    assert not differing(copies(model, optimizer), kept)


def test_latest_skips_what_is_damaged_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert latest(tmp_path / "nowhere") is None
    model, optimizer = made()
    paths = [save(tmp_path, step, model, optimizer, {}) for step in (1, 9, 10, 123_456_789)]
    assert latest(tmp_path) == paths[3]
    (paths[3] / "state.json").write_text("{}")
    (paths[2] / "rank-00000.safetensors").unlink()
    with caplog.at_level(logging.WARNING):
        assert latest(tmp_path) == paths[1]
    messages = [record.getMessage() for record in caplog.records]
    assert ["step-123456789" in m and "state.json" in m for m in messages] == [True, False]
    assert ["step-00000010" in m and "rank-00000.safetensors" in m for m in messages] == [False, True]
    with pytest.raises(CheckpointError, match=r"damaged: state\.json"):
        load(paths[3], model, optimizer)
    # A whole checkpoint under another step's name is not what it says.
    shutil.copytree(paths[1], tmp_path / "step-00000011")
    assert verify(tmp_path / "step-00000011") == ["digests.json"]
    for path in paths:
        shutil.rmtree(path)
    assert latest(tmp_path) is None


def test_what_a_killed_save_leaves_is_passed_over_and_removed(tmp_path: Path) -> None:
    model, optimizer = made()
    good = save(tmp_path, 4, model, optimizer, {"good": True})
    torn = tmp_path / "step-00000005.tmp"
    shutil.copytree(good, torn)
    assert latest(tmp_path) == good
    save(tmp_path, 5, model, optimizer, {})
    assert steps_in(tmp_path) == ["step-00000004", "step-00000005"]
    # Killed between the two renames that replace a checkpoint: the old one still counts …
    good.rename(tmp_path / "step-00000004.old")
    shutil.rmtree(tmp_path / "step-00000005")
    assert latest(tmp_path) == tmp_path / "step-00000004.old"
    assert load(tmp_path / "step-00000004.old", model, optimizer) == (4, {"good": True})
    # … until there is a new one; prune removes both kinds of leftovers.
    save(tmp_path, 4, model, optimizer, {})
    assert steps_in(tmp_path) == ["step-00000004"]
    shutil.copytree(good, tmp_path / "step-00000004.old")
    shutil.copytree(good, torn)
    prune(tmp_path, keep=3)
    assert steps_in(tmp_path) == ["step-00000004"]


def test_prune_never_removes_the_last_good_ones(tmp_path: Path) -> None:
    model, optimizer = made()
    for step in range(1, 7):
        save(tmp_path, step, model, optimizer, {})
    (tmp_path / "notes.txt").write_text("not a checkpoint")
    for step in (3, 5, 6):
        (tmp_path / f"step-0000000{step}" / "state.json").unlink()
    prune(tmp_path, keep=2)
    assert steps_in(tmp_path) == ["notes.txt", *(f"step-0000000{step}" for step in (2, 3, 4, 5, 6))]
    prune(tmp_path, keep=1)
    assert steps_in(tmp_path) == ["notes.txt", *(f"step-0000000{step}" for step in (4, 5, 6))]
    with pytest.raises(ValueError, match="at least 1"):
        prune(tmp_path, keep=0)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    model, optimizer = made()
    path = save(tmp_path, 1, model, optimizer, {})
    wide, wide_optimizer = made(config=CONFIG.model_copy(update={"ffn_size": 64}))
    with pytest.raises(CheckpointError, match=r"linear_fc1.* has shape \(.*48.*\) in the checkpoint, \(.*64"):
        load(path, wide, wide_optimizer)
    deep, _ = made(config=CONFIG.model_copy(update={"layers": 5}))
    with pytest.raises(CheckpointError, match=r"has no tensor decoder\.layers\.4"):
        load(path, deep, None)
    half, half_optimizer = made(dtype=torch.bfloat16)
    with pytest.raises(CheckpointError, match=r"is torch\.float32 in the checkpoint, torch\.bfloat16 in the model"):
        load(path, half, half_optimizer)
    bare = save(tmp_path / "bare", 1, model, None, {})
    with pytest.raises(CheckpointError, match="without an optimizer"):
        load(bare, model, optimizer)
    with pytest.raises(CheckpointError, match="parameters that the model does not have"):
        save(tmp_path / "foreign", 1, model, half_optimizer, {})
    with pytest.raises(CheckpointError, match="No such file"):
        load(tmp_path / "nowhere", model, optimizer)


def test_a_missing_part_of_a_tensor_is_noticed_though_digests_fit(tmp_path: Path) -> None:
    model, optimizer = made()
    path = save(tmp_path, 1, model, optimizer, {})
    file = path / "rank-00000.safetensors"
    whole = load_file(file)
    name = next(name for name in whole if name.startswith("decoder.layers.1.mlp.experts.up@"))
    saved = whole.pop(name)
    key = name.partition("@")[0]
    for kept, message in (
        ({f"{key}@0,0,0": saved[:2], f"{key}@3,0,0": saved[3:]}, "of .* elements are in the checkpoint"),
        ({f"{key}@0,0,0": saved[:2]}, "has shape"),
        ({f"{key}@0,0": saved}, "other dimensions"),
        ({f"{key}@0,0,x": saved}, "ValueError|cannot be read"),
    ):
        save_file({**whole, **{n: t.contiguous() for n, t in kept.items()}}, file)
        reseal(path)
        with pytest.raises(CheckpointError, match=message):
            load(path, model, optimizer)
