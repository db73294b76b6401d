"""The flows by name: their config and their stages, for the command line and for deployments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pydantic import BaseModel

from flows.config import ConfigError, load_config
from flows.runner import Runner


@dataclass(frozen=True)
class FlowEntry:
    """A flow: its Prefect flow, its config model, and its stages as a function of a runner."""

    flow: Any
    config: type[BaseModel]
    stages: Callable[[Runner, Any], Any]


FLOWS = {
    "align": "AlignConfig",
    "cold_start": "ColdStartConfig",
    "distill": "DistillFlowConfig",
    "evaluate": "EvaluateConfig",
    "mine": "MineConfig",
    "pretrain": "PretrainFlowConfig",
    "r1": "R1Config",
    "reason": "ReasonConfig",
    "reject": "RejectConfig",
    "synthesize": "SynthesizeConfig",
    "zero": "ZeroConfig",
}
"""Flow → its config's name. `flows/NAME.py` holds both, and the stages as `run_NAME`; it is imported when asked for."""


def entry(name: str) -> FlowEntry:
    """The flow of that name.

    Raises:
        ConfigError: there is none; the message lists the names.
    """
    if name not in FLOWS:
        raise ConfigError(f"no flow {name!r}; there are: {', '.join(sorted(FLOWS))}")
    module = import_module(f"flows.{name}")
    return FlowEntry(getattr(module, name), getattr(module, FLOWS[name]), getattr(module, f"run_{name}"))


def configured(name: str, profile: str, changes: Sequence[str] | None, paths: Sequence[str] | None) -> Any:
    """The config of a flow from profile, `--set` and `--paths`."""
    listed = [f"paths={[str(p) for p in paths]!r}"] if paths else []
    return load_config(entry(name).config, name, profile, [*listed, *(changes or ())])
