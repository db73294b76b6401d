"""What a training says while it runs: JSON lines that one rank appends to a file and the parent follows.

Every event has `kind` and `time_unix_seconds`:

- `started`: `process` that takes a SIGTERM (`pid:start time`), `step` from which it goes on, `world` (ranks), `peak`
  (what MFU is a share of, by name)
- `metrics`: `step` (updates made), `values` (name → number): `loss` (what is minimised, with λ times the MTP loss), the
  objective's parts (`next_token`, `mtp_1`), `grad_norm` (before clipping), rates, speed, router violations
- `metrics` of the held-out rows, at other steps: `held_out_loss` (without MTP) and the parts with the same prefix
- `router`: `step`, `share` (expert layer → expert → share of its layer's tokens)
- `progress`: `done`, `total` steps
- `warning`: `text`
- `saved`: `step`
- `interrupted`: `step` that was saved; `finished`: `step`
- `failed`: `error`, `rank`
- `used`: `cpu_seconds` of all ranks; the launcher's own word at the end, in no file
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class Events:
    """Appends to the file; other ranks than 0 hold one without a file, which is silent."""

    def __init__(self, path: Path | None) -> None:
        """Open `path` for appending; None says nothing."""
        self._file = None if path is None else os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        size = 0 if self._file is None else os.fstat(self._file).st_size
        if self._file is not None and size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")  # a kill or a full disk has cut the last line: the next one shall be whole

    def say(self, kind: str, **values: Any) -> None:
        """Append one event; a number that is not finite becomes null, which JSON can hold."""
        if self._file is not None:
            event = {"kind": kind, "time_unix_seconds": time.time(), **values}
            os.write(self._file, json.dumps(_finite(event), allow_nan=False).encode() + b"\n")

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """One `metrics` event."""
        self.say("metrics", step=step, values=values)

    def warn(self, text: str) -> None:
        """One `warning` event."""
        self.say("warning", text=text)


class Follower:
    """Reads events as they are appended, from where the file ended when it was made, or with what is past."""

    def __init__(self, path: Path, *, past: bool = False) -> None:
        """Follow `path`, which need not be there yet."""
        self.path = path
        self._offset = path.stat().st_size if path.exists() and not past else 0

    def new(self) -> Iterator[Event]:
        """Events since the last call; a line still being written waits for the next, one that stays cut is left out."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                try:
                    event: Event = json.loads(line)
                except ValueError:
                    continue
                yield event


def _finite(value: Any) -> Any:
    """The same value with null for numbers that are not finite."""
    if isinstance(value, float) and value - value != 0:
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
