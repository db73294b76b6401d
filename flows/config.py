"""Configs of flows: a profile's TOML, then `--set key=value`, checked by pydantic."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

PROFILES = Path(__file__).parent / "profiles"
Config = TypeVar("Config", bound=BaseModel)


class ConfigError(ValueError):
    """A profile, key or value that does not fit, in words for the user."""


def profile_names() -> list[str]:
    """The shipped profiles."""
    return sorted(p.stem for p in PROFILES.glob("*.toml"))


def load_config(
    model: type[Config], flow: str, profile: str, changes: Sequence[str] = (), given: Mapping[str, Any] | None = None
) -> Config:
    """The config of `flow` under `profile`, with the table `given` over it and `changes` (`a.b=value`, TOML) on top.

    Raises:
        ConfigError: unknown profile or key, or a value out of bounds; the message lists what is allowed.
    """
    path = PROFILES / f"{profile}.toml"
    if not path.exists():
        raise ConfigError(f"no profile {profile!r}; there are: {', '.join(profile_names())}")
    sections: dict[str, Any] = tomllib.loads(path.read_text())
    parts: tuple[str, ...] = getattr(model, "PARTS", ())  # of a flow of flows: each part's own section
    data = {part: sections[part] for part in parts if part in sections} | sections.get(flow, {})
    data = laid_over(data, given or {})
    for change in changes:
        key, sign, text = change.partition("=")
        if not sign or not key:
            raise ConfigError(
                f"--set {change!r}: write it as key=value, such as max_rounds=2 or train_classifier.dim=64"
            )
        *parents, leaf = key.split(".")
        place: Any = data
        default: Any = model
        for depth, parent in enumerate(parents, 1):
            default = _default(default, parent)
            place = place.setdefault(parent, _table(default) if isinstance(default, Mapping) else {})
            if not isinstance(place, dict):
                whole = ".".join((flow, *parents[:depth]))
                raise ConfigError(f"--set {change!r}: {whole} is a value and has no keys of its own")
        place[leaf] = _value(text)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_explain(model, flow, error)) from error


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """A table with another over it, key by key."""
    merged = dict(below)
    for key, value in above.items():
        inside = merged.get(key)
        both = isinstance(inside, Mapping) and isinstance(value, Mapping)
        merged[key] = laid_over(inside, value) if both and inside is not None else value
    return merged


def _default(of: Any, name: str) -> Any:
    """What stands under a name in a model, one of its instances, or a dictionary by free names."""
    if isinstance(of, type) and issubclass(of, BaseModel):
        return of.model_fields[name].get_default(call_default_factory=True) if name in of.model_fields else None
    return of.get(name) if isinstance(of, Mapping) else getattr(of, name, None)


def _table(named: Mapping[str, Any]) -> dict[str, Any]:
    """A default by free names, so that a change to one of them leaves the others."""
    return {name: value.model_dump() if isinstance(value, BaseModel) else value for name, value in named.items()}


def _value(text: str) -> Any:
    """A TOML value, or the text itself where it is none (so that quotes may be left out)."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(model: type[BaseModel], flow: str, error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        where = ".".join(map(str, problem["loc"]))
        unknown = problem["type"] == "extra_forbidden"
        lines.append(f"{flow}.{where}: " + ("there is no such key" if unknown else problem["msg"]))
        if unknown:
            fields = _fields_at(model, problem["loc"][:-1])
            if fields:
                lines.append(f"  allowed here: {', '.join(fields)}")
        given = problem["input"]
        if isinstance(given, str) and given.startswith(("[", "{")):
            lines.append(f"  {given} is no TOML; has the shell taken its quotes? --set \"{where}=['a', 'b']\"")
        elif isinstance(given, str) and problem["type"] in ("list_type", "tuple_type"):
            lines.append(f"  write it as a list: --set \"{where}=['{given}']\"")
    return "\n".join(lines)


def _fields_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    here: Any = model
    for part in path:
        here = here.model_fields[part].annotation if isinstance(part, str) else here
        if not (isinstance(here, type) and issubclass(here, BaseModel)):
            return []
    return sorted(here.model_fields)
