"""`prefect.yaml` as checked data, and its deployments with their configs filled in from a profile."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import yaml
from pydantic import BaseModel, Field, ValidationError

from flows.config import ConfigError, laid_over, load_config
from tasks.stage import StageConfig

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.deployments.runner import RunnerDeployment

FILE = Path(__file__).resolve().parents[1] / "prefect.yaml"
BY_HAND = "by-hand"
"""Name of each flow's deployment that nothing starts but a person."""


class ScheduleSpec(StageConfig):
    """When a deployment runs by itself: one of `cron` and `interval`."""

    slug: str
    cron: str | None = None
    interval: int | None = Field(None, ge=1)
    """Seconds."""
    timezone: str = "UTC"
    active: bool = True
    parameters: dict[str, Any] = Field(default_factory=dict)


class DeploymentSpec(StageConfig):
    """One deployment, in the words of Prefect's own file."""

    name: str
    entrypoint: str = Field(pattern=r"^[\w/]+\.py:\w+$")
    description: str = ""
    tags: tuple[str, ...] = ()
    parameters: dict[str, Any] = Field(default_factory=dict)
    schedules: tuple[ScheduleSpec, ...] = ()
    triggers: tuple[dict[str, Any], ...] = ()
    """Prefect's deployment triggers."""
    concurrency_limit: dict[str, Any] | None = None


class Limits(StageConfig):
    """What holds over all deployments."""

    training_limit: int = Field(1, ge=1, le=256)
    """Stages that make a model at once."""
    zombie_after_seconds: int = Field(90, ge=40, le=86_400)
    """A run without a heartbeat for so long is marked Crashed; a live one has one each 30 s."""


class Operations(StageConfig):
    """`prefect.yaml`."""

    name: str
    rigor: Limits = Limits()
    deployments: tuple[DeploymentSpec, ...]


def read_operations(file: Path = FILE) -> Operations:
    """The checked content of `file`.

    Raises:
        ConfigError: no such file, no YAML, or a key or value that does not fit.
    """
    try:
        return Operations.model_validate(yaml.safe_load(file.read_text()))
    except FileNotFoundError as error:
        raise ConfigError(f"no file {file}: `rigor deploy` reads it; name another with --file") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: {error}") from error
    except ValidationError as error:
        lines = [f"{file}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigError("\n".join(lines)) from error


def deployments(operations: Operations, profile: str, *, manual: bool = False) -> list[RunnerDeployment]:
    """Prefect deployments, their configs filled in from `profile`. With `manual`, nothing starts by itself.

    Those have a name of their own: registered under the other one, they would take its schedules and triggers away.

    Raises:
        ConfigError: a config in the file that does not fit its flow.
    """
    from prefect.client.schemas.objects import ConcurrencyLimitConfig
    from prefect.deployments.runner import RunnerDeployment
    from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
    from prefect.schedules import Schedule
    from prefect.types.entrypoint import EntrypointType

    made = []
    for spec in operations.deployments:
        flow = _flow(spec.entrypoint)
        schedules = [
            Schedule(cron=s.cron, interval=timedelta(seconds=s.interval) if s.interval else None, timezone=s.timezone,
                     slug=s.slug, active=s.active, parameters=_filled(flow, profile, spec.parameters, s.parameters))
            for s in spec.schedules
        ]  # fmt: skip
        triggers = [
            DeploymentEventTrigger.model_validate(
                {**t, "parameters": _filled(flow, profile, spec.parameters, t.get("parameters", {}))}
            )
            for t in spec.triggers
        ]
        limit = ConcurrencyLimitConfig.model_validate(spec.concurrency_limit) if spec.concurrency_limit else None
        made.append(
            RunnerDeployment.from_flow(
                flow, name=BY_HAND if manual else spec.name, description=spec.description, tags=list(spec.tags),
                parameters=_filled(flow, profile, spec.parameters, {}), concurrency_limit=limit,
                schedules=[] if manual else schedules, triggers=[] if manual else list(triggers),
                entrypoint_type=EntrypointType.MODULE_PATH,
            )
        )  # fmt: skip
    return made


def _flow(entrypoint: str) -> Flow[..., Any]:
    path, _, name = entrypoint.partition(":")
    module = path.removesuffix(".py").replace("/", ".")
    try:
        found: Flow[..., Any] = getattr(import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ConfigError(f"{entrypoint}: {error}") from error
    return found


def config_of(flow: Flow[..., Any]) -> type[BaseModel] | None:
    """The pydantic model of a flow's parameter `config`, if it has one."""
    hint = get_type_hints(flow.fn).get("config")
    models = [t for t in (get_args(hint) or (hint,)) if isinstance(t, type) and issubclass(t, BaseModel)]
    return models[0] if models else None


def _filled(flow: Flow[..., Any], profile: str, common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with the whole config: the profile's, then the deployment's, then those of the schedule or trigger.

    Prefect replaces a parameter as a whole, so that a schedule that names one key of the config must carry the rest.
    """
    given = laid_over(common, own)
    model = config_of(flow)
    required = model is not None and any(field.is_required() for field in model.model_fields.values())
    if model is None or (required and not given):
        return given  # nothing to fill in: the form asks
    config = load_config(model, flow.name, profile, given=given.get("config"))
    return {**given, "config": config.model_dump(mode="json")}
