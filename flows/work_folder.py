"""A stage call's durable folder: kept by fingerprint while the call is unfinished, so that a killed one resumes.

The lock is `flock`: the kernel drops it with its holder, whatever killed it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger(__name__)


@contextmanager
def work_folder(root: Path, fingerprint: str) -> Iterator[Path]:
    """`root`/FINGERPRINT, held by this process alone; removed when the block ends without an error.

    A second caller of the same fingerprint waits until the first is done (or dead).
    """
    folder = root / fingerprint[:32]
    held = _lock(folder)
    try:
        yield folder
        shutil.rmtree(folder)
    finally:
        os.close(held)


def _lock(folder: Path) -> int:
    """Make and lock `folder`; a waiter whose folder was removed under it makes it again."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with suppress(FileExistsError):
            folder.mkdir()
        try:
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # its holder is done and has removed it since
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("another process is at work in %s; waiting for it", folder)
            fcntl.flock(held, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(held), folder.stat()):
                return held
        os.close(held)
