"""What a stage is. A stage knows nothing of Prefect or MLflow: `flows/runner.py` runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import polars as pl
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, model_validator

from tasks.engine import LOCAL, Engine
from warehouse.tables import TableView

SHORTHANDS = {"base", "preset"}
"""Keys by which a table names itself what it goes over: an algorithm, a shape."""


class StageConfig(BaseModel):
    """Base of every stage's config: frozen, an unknown key is an error, and numbers are finite.

    A table that is given for an option goes over the option's own default, which may be a paper's and differ from the
    defaults of its class: `recipe = {batch_rows = 4}` leaves the published rate and schedule as they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _over_defaults(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        fields = cls.model_fields
        return {name: _laid(fields[name].default if name in fields else None, value) for name, value in given.items()}


def over(default: BaseModel, given: Mapping[str, Any]) -> dict[str, Any]:
    """`default` as a table with `given` in its place, option by option; one of another `kind` takes nothing from it."""
    own = dict(default)
    if given.get("kind", own.get("kind")) != own.get("kind"):
        return dict(given)
    return own | {name: _laid(own.get(name), value) for name, value in given.items()}


def _laid(below: Any, value: Any) -> Any:
    """A value over what stands there without it; of a dictionary by free names only those given stay."""
    if isinstance(value, Mapping) and isinstance(below, BaseModel) and not value.keys() & SHORTHANDS:
        return over(below, value)
    if isinstance(value, Mapping) and isinstance(below, Mapping):
        return {name: _laid(below.get(name), item) for name, item in value.items()}
    return value


@dataclass(frozen=True)
class SourceFile:
    """A file from outside the warehouse. `digest` (sha256, or the store's ETag and size) is its identity."""

    path: str
    digest: str
    size_bytes: int
    partition: str = "all"


@dataclass(frozen=True)
class Reject:
    """Why a row was not passed on. `reason` is short and the same for the same cause; `detail` is exact."""

    reason: str
    detail: str = ""
    count: int = 1
    """Rows it stands for: records that are never pages are counted by reason, not listed one by one."""


@dataclass(frozen=True)
class RejectedRow:
    """A quarantine entry: the row's id (or position), why, and where it came from."""

    row: str
    reject: Reject
    source: str = ""


@dataclass(frozen=True)
class Inputs:
    """What a stage call reads: table views, model folders and outside files, by name."""

    tables: Mapping[str, TableView] = field(default_factory=dict)
    models: Mapping[str, Path] = field(default_factory=dict)
    files: Mapping[str, tuple[SourceFile, ...]] = field(default_factory=dict)
    partitions: tuple[str, ...] = ("all",)
    scratch: Path = Path()
    """An empty folder of this call's own, removed afterwards."""
    work: Path = Path()
    """A folder of this fingerprint's own that a killed call finds again; removed once the artifact is committed."""
    workers: int = 1
    """Processes to use; never part of a fingerprint."""
    engine: Engine = LOCAL
    """Where the ranks of a data stage run; never part of a fingerprint."""
    layout: Mapping[str, int] = field(default_factory=lambda: {"cores": 1})
    """How to lay a training over the machine (`Settings.layout`, and its `cores`); never part of a fingerprint."""


class Report(Protocol):
    """What a stage may say while it runs. The runner streams it to MLflow, Prefect and the quarantine."""

    def metric(self, name: str, value: float, step: int | None = None) -> None: ...  # noqa: D102
    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """One point of many curves, written together."""

    def progress(self, done: int, total: int, unit: str = "rows") -> None: ...  # noqa: D102
    def figure(self, name: str, figure: Any) -> None:
        """A matplotlib figure, kept as PNG."""

    def table(self, name: str, frame: pl.DataFrame) -> None:
        """A small table (at most a few hundred rows) to look at."""

    def warn(self, text: str) -> None:
        """Something that a user can act on."""

    def rows_in(self, count: int) -> None:
        """Add to the rows read; at the end rows in = rows out + rows rejected, or the stage fails."""

    def cpu_seconds(self, seconds: float) -> None:
        """Add CPU time that worker processes took."""

    def reject(self, rows: Iterable[RejectedRow]) -> None:
        """Write rows to the quarantine."""


C = TypeVar("C", bound=StageConfig)
Rows = Iterable[pa.RecordBatch | pl.DataFrame]
Made = Rows | Path | tuple[Path, Mapping[str, Rows]]
"""What a stage gives: rows of its table; a model's folder; or a model and rows of the tables beside it."""


@dataclass(frozen=True)
class Stage(Generic[C]):
    """A named, versioned, pure function from table and model versions to one table or one model version."""

    name: str
    version: str
    reads: tuple[str, ...]
    writes: str
    config: type[C]
    run: Callable[[C, Inputs, Report], Made]
    reconciles: bool = True
    """False for stages that aggregate: their rows out are not a subset of their rows in."""
    model: bool = False
    """True when `run` returns the folder of a model instead of rows."""
    beside: tuple[str, ...] = ()
    """Tables that a model stage writes beside its model, in a partition named after it: rollouts of a policy."""
