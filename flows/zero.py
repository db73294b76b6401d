"""R1-Zero: reinforcement of the base model by rules alone, with no example of how to reason."""

from __future__ import annotations

from prefect import flow

from flows.run import flow_run
from flows.runner import Given, Runner
from tasks.rl.config import ReinforceConfig
from tasks.stage import StageConfig
from tasks.train.reinforce import STAGE as REINFORCE
from warehouse.lineage import ArtifactRef


class ZeroConfig(StageConfig):
    """From a base model to one that reasons."""

    reinforce: ReinforceConfig = ReinforceConfig()


@flow(name="zero")
def zero(config: ZeroConfig | None = None) -> list[str]:
    """Reinforce the current `rigor-base` into `rigor-zero`; returns the artifact as `name@version`."""
    config = config or ZeroConfig()
    with flow_run("zero", config) as run:
        return [str(ref) for ref in run_zero(run, config)]


def run_zero(run: Runner, config: ZeroConfig) -> tuple[ArtifactRef, ...]:
    """The stage over the newest problems and base; the same code plans and runs.

    Raises:
        LookupError: there are no problems, no base, or no curriculum where one is asked for.
    """
    given: dict[str, Given | None] = {"policy": run.newest("rigor-base", "pretrain")}
    curriculum = ["curriculum"] if config.reinforce.questions.order == "curriculum" else []
    given |= {table: run.newest(table, "synthesize") for table in ("problems", *curriculum)}
    made = run.call(REINFORCE, config.reinforce, given)
    return () if made is None else (made,)
