"""Where two stage calls differ: config, inputs, and the farthest ancestors at which their lineages part."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from warehouse.lineage import ref_of

Call = dict[str, Any]
"""A row of the lineage table, or one of its inputs."""
Pair = list[Any]
"""[left, right]."""


def origins(left: Call, right: Call, calls: dict[str, Call], seen: set[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Where two lineages part: the farthest calls back that differ in themselves, not through their inputs alone."""
    if left["digest"] == right["digest"] or (left["fingerprint"], right["fingerprint"]) in seen:
        return
    seen.add((left["fingerprint"], right["fingerprint"]))
    why = [f"config {key}" for key in differing(flat(left["config"]), flat(right["config"]))]
    for key in ("stage", "stage_version"):
        if left[key] != right[key]:
            why += [f"{key} {left[key]} and {right[key]}"]
    further: list[tuple[Call, Call]] = []
    for name, a, b in paired_inputs(left, right):
        if digest_of(a) != digest_of(b):
            above = [calls.get(given["fingerprint"]) if given else None for given in (a, b)]
            if above[0] is not None and above[1] is not None:
                further.append((above[0], above[1]))
            else:
                why.append(f"input {name}")
    if not why and not further:
        why = [f"code {left['git_sha'][:12]} and {right['git_sha'][:12]}: same config, same inputs, other content"]
    for pair in further:
        yield from origins(*pair, calls, seen)
    if why:
        yield {"stage": left["stage"], "left": str(ref_of(left)), "right": str(ref_of(right)), "why": why}


def differing(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Pair]:
    """{key: [left, right]} of what differs; what one side lacks is None there."""
    keys = sorted(left.keys() | right.keys())
    return {key: [left.get(key), right.get(key)] for key in keys if left.get(key) != right.get(key)}


def paired_inputs(left: Call, right: Call) -> Iterator[tuple[str, Call | None, Call | None]]:
    """Inputs side by side: by name and partitions, then by name and turn."""
    sides: list[dict[tuple[str, str, int], Call]] = []
    for call in (left, right):
        counted = Counter[tuple[str, str]]()
        side: dict[tuple[str, str, int], Call] = {}
        for given in call["inputs"]:
            key = (given["name"], ",".join(given["partitions"]))
            counted[key] += 1
            side[(*key, counted[key])] = given
        sides.append(side)
    for place in dict.fromkeys((*sides[0], *sides[1])):
        yield (
            f"{place[0]}[{place[1]}]" if place[1] not in ("", "all") else place[0],
            sides[0].get(place),
            sides[1].get(place),
        )


def flat(config: str) -> dict[str, Any]:
    """A canonical config as {dotted key: value}."""
    return dict(_leaves(json.loads(config), ""))


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and set(value) == {"float"} and isinstance(value["float"], str):
        yield key, float.fromhex(value["float"])
    elif isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _leaves(item, f"{key}.{name}" if key else name)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{key}[{number}]")
    else:
        yield key, value


def label_of(given: Call | None) -> str | None:
    """An input in words: name, version and the beginning of its digest."""
    return (
        None if given is None else f"{given['name']}@{given['version']} {given['digest'].removeprefix('sha256:')[:12]}"
    )


def digest_of(given: Call | None) -> str | None:
    """What an input holds."""
    return None if given is None else given["digest"]
