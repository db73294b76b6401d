"""Synthesis: problems with checkable answers, worked solutions, every step checked, and the order to learn them in."""

from __future__ import annotations

from prefect import flow

from flows.run import flow_run
from flows.runner import Runner
from tasks.curate.check_solutions import STAGE as CHECK_SOLUTIONS
from tasks.curate.check_solutions import CheckSolutionsConfig
from tasks.curate.make_problems import STAGE as MAKE_PROBLEMS
from tasks.curate.make_problems import MakeProblemsConfig
from tasks.curate.order_curriculum import STAGE as ORDER_CURRICULUM
from tasks.curate.order_curriculum import OrderCurriculumConfig
from tasks.curate.write_solutions import STAGE as WRITE_SOLUTIONS
from tasks.curate.write_solutions import WriteSolutionsConfig
from tasks.stage import StageConfig
from warehouse.lineage import ArtifactRef


class SynthesizeConfig(StageConfig):
    """What to make and how much of it."""

    make_problems: MakeProblemsConfig = MakeProblemsConfig()
    write_solutions: WriteSolutionsConfig = WriteSolutionsConfig()
    check_solutions: CheckSolutionsConfig = CheckSolutionsConfig()
    order_curriculum: OrderCurriculumConfig = OrderCurriculumConfig()


@flow(name="synthesize")
def synthesize(config: SynthesizeConfig | None = None) -> list[str]:
    """Make problems and checked solutions; returns the artifacts as `name@version`."""
    config = config or SynthesizeConfig()
    with flow_run("synthesize", config) as run:
        return [str(ref) for ref in run_synthesize(run, config)]


def run_synthesize(run: Runner, config: SynthesizeConfig) -> tuple[ArtifactRef, ...]:
    """The stages in order; the same code plans and runs."""
    problems = run.call(MAKE_PROBLEMS, config.make_problems, {})
    given = None if problems is None else (problems,)
    solutions = run.call(WRITE_SOLUTIONS, config.write_solutions, {"problems": given})
    corpus = run.call(
        CHECK_SOLUTIONS, config.check_solutions, {"solutions": None if solutions is None else (solutions,)}
    )
    curriculum = run.call(ORDER_CURRICULUM, config.order_curriculum, {"problems": given})
    return tuple(ref if run.dry else run.make_current(ref) for ref in (problems, corpus, curriculum) if ref is not None)
