"""Reason: reinforcement along a curriculum, the language kept (DeepSeek-R1, first RL stage)."""

from __future__ import annotations

from prefect import flow

from flows.run import flow_run
from flows.runner import Given, Runner
from tasks.curate.order_curriculum import STAGE as ORDER_CURRICULUM
from tasks.curate.order_curriculum import OrderCurriculumConfig
from tasks.rl.config import Questions, ReinforceConfig, RewardWeights
from tasks.stage import StageConfig
from tasks.train.reinforce import reinforce_stage
from warehouse.lineage import ArtifactRef

REINFORCE = reinforce_stage("rigor-reason")
PUBLISHED = ReinforceConfig(questions=Questions(order="curriculum"), rewards=RewardWeights(language=1.0))
"""R1's first stage: as R1-Zero, and the language rewarded; the order is ours."""


class ReasonConfig(StageConfig):
    """From a model that was shown how to reason to one that reasons well."""

    start: str = "rigor-cold"
    """The model to reinforce; `rigor-base` for a run without cold start."""
    attempts: str = "rigor-zero"
    """Its rollouts say how hard the problems are; empty: the level alone says it."""
    order_curriculum: OrderCurriculumConfig = OrderCurriculumConfig()
    reinforce: ReinforceConfig = PUBLISHED


@flow(name="reason")
def reason(config: ReasonConfig | None = None) -> list[str]:
    """Order the problems and reinforce the cold-started model into `rigor-reason`; returns `name@version` of both."""
    config = config or ReasonConfig()
    with flow_run("reason", config) as run:
        return [str(ref) for ref in run_reason(run, config)]


def run_reason(run: Runner, config: ReasonConfig) -> tuple[ArtifactRef, ...]:
    """The stages in order; the same code plans and runs.

    Raises:
        LookupError: there are no problems, no model to start from, or no rollouts of `attempts`.
    """
    problems = run.newest("problems", "synthesize")
    made: dict[str, Given | None] = {"problems": problems}
    given = made | ({"attempts": run.beside(config.attempts, "rollouts", "zero")} if config.attempts else {})
    curriculum = run.call(ORDER_CURRICULUM, config.order_curriculum, given)
    if config.reinforce.questions.order == "curriculum":
        made["curriculum"] = None if curriculum is None else (curriculum,)
    policy = run.newest(config.start, "cold_start" if config.start == "rigor-cold" else "pretrain")
    model = run.call(REINFORCE, config.reinforce, {"policy": policy, **made})
    return tuple(ref for ref in (curriculum, model) if ref is not None)
