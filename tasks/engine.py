"""Where the ranks of a data stage run. A setting of the machine: it never changes a row, and is in no fingerprint."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Engine(BaseModel):
    """`local`: processes of this machine. `ray`, `slurm`: a cluster whose nodes see RIGOR_HOME under the same path."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["local", "ray", "slurm"] = "local"
    address: str = ""
    """Ray cluster, such as `ray://head:10001`; default: RAY_ADDRESS, else a cluster of this machine alone."""
    memory_gib: float = Field(2.0, gt=0.0, le=4096.0)
    """Memory that a rank reserves, GiB."""
    partition: str = ""
    """Slurm partition."""
    qos: str = ""
    """Slurm quality of service."""
    time: str = Field("24:00:00", pattern=r"^(\d+-)?\d{1,2}:\d{2}:\d{2}$")
    """Slurm's limit for a rank, [DAYS-]HOURS:MINUTES:SECONDS."""
    prepare: str = ""
    """Shell line before a Slurm job, such as `module load python`; default: this virtual environment is activated."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """A text is the kind alone, or JSON: so it comes from the environment and the command line."""
        if isinstance(value, str):
            return json.loads(value) if value.lstrip().startswith("{") else {"kind": value}
        return value


LOCAL = Engine()
