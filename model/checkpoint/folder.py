"""A folder of checkpoints: their names, the newest whole one, and what may go."""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path

from model.checkpoint.digests import DIGESTS, damaged, read_seal, sync
from model.checkpoint.ranks import rank_and_world, together

LOGGER = logging.getLogger(__name__)
_NAME = re.compile(r"step-(\d{8,})(\.old)?")
_LEFTOVER = re.compile(r"step-\d{8,}\.tmp")


def path_of(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return folder / f"step-{step:08d}"


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(step, path) of every checkpoint, newest first; whole or not.

    `step-….old` is one that a save of the same step was about to replace: it counts while its successor is missing.
    """
    if not folder.is_dir():
        return []
    found = [(match, entry) for entry in folder.iterdir() if (match := _NAME.fullmatch(entry.name)) and entry.is_dir()]
    found.sort(key=lambda pair: (-int(pair[0][1]), pair[1].name))
    return [(int(match[1]), path) for match, path in found]


def verify(path: Path) -> list[str]:
    """Names of files that are damaged, missing or surplus; empty for a whole checkpoint.

    Collective where torch.distributed runs (the ranks divide the work), else alone.

    Raises:
        CheckpointError: the folder cannot be read.
    """
    rank, world = rank_and_world()

    def mine() -> list[str]:
        bad = damaged(path, rank, world)
        match, seal = _NAME.fullmatch(path.name), read_seal(path)
        return [DIGESTS] if not bad and match and seal and seal["step"] != int(match[1]) else bad

    return sorted(set().union(*together(mine, f"verifying {path}")))


def latest(folder: Path) -> Path | None:
    """The newest checkpoint that is whole, or None; damaged ones are skipped with a warning.

    Collective where torch.distributed runs, else alone.
    """
    for _, path in together(lambda: checkpoints(folder), f"listing {folder}")[0]:
        bad = verify(path)
        if not bad:
            return path
        if rank_and_world()[0] == 0:
            shown = ", ".join(bad[:5]) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
            LOGGER.warning("checkpoint %s is damaged (%s): skipped", path, shown)
    return None


def remove(path: Path) -> None:
    """Remove a checkpoint so that a kill half-way leaves none that looks like one."""
    doomed = path if path.suffix == ".tmp" else path.with_name(path.name.removesuffix(".old") + ".tmp")
    if doomed != path:
        if doomed.exists():
            shutil.rmtree(doomed)
        path.rename(doomed)
    shutil.rmtree(doomed)


def put(tmp: Path, final: Path) -> None:
    """Give a finished checkpoint its name, in the place of one of the same step if there is one."""
    old = final.with_name(final.name + ".old")
    if final.exists():
        if old.exists():
            shutil.rmtree(old)
        final.rename(old)
    tmp.rename(final)
    sync(final.parent)
    if old.exists():
        shutil.rmtree(old)


def prune(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints, and what killed saves left. Rank 0 acts; no collective.

    Counted are those with a sound list of digests whose files are there at their sizes, so that damaged ones never
    push out the last good one; a damaged one goes when `keep` newer ones are good.

    Raises:
        ValueError: `keep` is below 1.
    """
    if keep < 1:
        raise ValueError(f"keep ({keep}) must be at least 1")
    if rank_and_world()[0] != 0 or not folder.is_dir():
        return
    for entry in list(os.scandir(folder)):
        if _LEFTOVER.fullmatch(entry.name):
            shutil.rmtree(entry.path)
    good: set[int] = set()
    for step, path in checkpoints(folder):
        if len(good - {step}) >= keep or step in good:
            remove(path)
        elif not damaged(path, content=False):
            good.add(step)
