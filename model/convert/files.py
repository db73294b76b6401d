"""Reading a folder that anyone may have made: plain files of bounded size, JSON and safetensors alone.

Nothing of a folder is ever executed or unpickled, no link is followed, no name leads outside.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Never

from safetensors import SafetensorError, safe_open
from torch import Tensor

PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"})
"""Endings of files that hold, or may hold, Python pickles."""
MAX_HEADER_BYTES = 32 << 20
"""Of one safetensors file: over 200,000 tensors."""
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}\.safetensors")


def plain_file(path: Path) -> Path:
    """`path`, if it is a regular file and no link.

    Raises:
        ValueError: it is missing or anything else.
    """
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    if stat.S_ISLNK(mode):
        raise ValueError(f"{path} is a link, which is not followed: copy the folder with `cp -rL` first")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} is no regular file")
    return path


def refuse_pickles(folder: Path) -> None:
    """Refuse a folder that holds a file which another loader would unpickle.

    Raises:
        ValueError: it is no folder, or holds such files; the message names them.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    found = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in PICKLES)
    if found:
        raise ValueError(
            f"{folder} holds {some(found)}: pickles can run code and are never read; get the model as safetensors, "
            "and delete these"
        )


def read_json(path: Path, max_bytes: int) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ValueError: not a plain file, too large, too deep, not UTF-8, not JSON, no object, or a key twice.
    """
    size = plain_file(path).stat().st_size
    if size > max_bytes:
        raise ValueError(f"{path}: {size:,} bytes, more than {max_bytes:,}")
    try:
        data = json.loads(path.read_bytes(), object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON that can be read: {error}") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path} holds no JSON object")
    return data


def weight_files(folder: Path) -> dict[Path, set[str] | None]:
    """The folder's safetensors files, each with the tensors that its index says are in it (None: no index).

    Raises:
        ValueError: none, or both forms at once, or an index that is malformed or leads elsewhere.
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    have = [path for path in (single, index) if path.is_symlink() or path.exists()]
    if not have:
        raise ValueError(f"{folder} has neither model.safetensors nor model.safetensors.index.json")
    if len(have) == 2:
        raise ValueError(f"{folder} has both model.safetensors and an index of shards: which holds the model?")
    if have == [single]:
        return {plain_file(single): None}
    names = read_json(index, 64 << 20).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise ValueError(f"{index} has no weight_map")
    files: dict[Path, set[str] | None] = {}
    for name, file in names.items():
        if not isinstance(file, str) or not _PLAIN.fullmatch(file):
            raise ValueError(f"{index}: {str(file)[:200]!r}, given for {name[:200]}, is no plain file name")
        held = files.setdefault(folder / file, set())
        assert held is not None  # noqa: S101  (narrows the type)
        held.add(name)
    for path in files:
        plain_file(path)
    return files


def read_tensors(path: Path, expected: set[str] | None, into: dict[str, Tensor]) -> None:
    """Add a safetensors file's tensors, as copies that the file can no longer change.

    Raises:
        ValueError: the file is damaged, or does not hold exactly the expected tensors.
    """
    with _opened(path, expected) as tensors:
        for name in sorted(tensors.keys()):
            into[name] = tensors.get_tensor(name).clone()


def tensor_names(folder: Path) -> set[str]:
    """The names of a folder's tensors, from its files' headers alone.

    Raises:
        ValueError: as `weight_files` and `read_tensors`.
    """
    found: set[str] = set()
    for path, expected in weight_files(folder).items():
        with _opened(path, expected) as tensors:
            found.update(tensors.keys())
    return found


@contextmanager
def _opened(path: Path, expected: set[str] | None) -> Iterator[Any]:
    """A safetensors file that holds the expected tensors."""
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
    if header_bytes > MAX_HEADER_BYTES:
        raise ValueError(f"{path}: a header of {header_bytes:,} bytes, more than {MAX_HEADER_BYTES:,}")
    try:
        with safe_open(path, framework="pt") as tensors:
            names = set(tensors.keys())
            if expected is not None and names != expected:
                raise ValueError(f"{path} and the index differ in {some(sorted(names ^ expected))}")
            yield tensors
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ValueError(f"{path} is no safetensors file that can be read: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        raise ValueError("an object has a key twice")
    return data


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is no JSON number")


def some(names: Iterable[str], most: int = 8) -> str:
    """A few names, shortened, for a message."""
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(name[:200] for name in names[:most]) + more
