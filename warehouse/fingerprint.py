"""Fingerprints: what a stage call is, hashed. Same fingerprint, same artifact, never computed twice."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from enum import Enum
from hashlib import sha256
from typing import Any

from pydantic import BaseModel


def fingerprint(stage: str, version: str, config: BaseModel, inputs: Mapping[str, Any]) -> str:
    """Hash (stage name, stage version, canonical config, input digests) to 32 hex digits.

    `inputs` maps each input's name to its content digests. Paths, devices, worker counts and log levels must
    not be in `config`.

    Raises:
        TypeError: a value without one canonical form (a callable, an object with a default repr, NaN).
    """
    document = {"stage": stage, "version": version, "config": canonical(config), "inputs": canonical(inputs)}
    return sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:32]


def canonical(value: Any, where: str = "config") -> Any:
    """`value` as plain JSON data in one form only, or a TypeError that names the place."""
    if isinstance(value, BaseModel):
        return {name: canonical(getattr(value, name), f"{where}.{name}") for name in type(value).model_fields}
    if isinstance(value, Enum):
        return canonical(value.value, where)
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        if not math.isfinite(value):
            raise TypeError(f"{where}: {value} cannot be fingerprinted")
        return {"float": value.hex()}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(f"{where}: only text keys can be fingerprinted")
        return {key: canonical(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(canonical(item, where) for item in value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [canonical(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise TypeError(f"{where}: {type(value).__name__} has no canonical form; use plain data")
