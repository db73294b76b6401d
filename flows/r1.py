"""DeepSeek-R1's recipe as one DAG; a change (`--set reason.start=rigor-base`) reuses everything upstream of it."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

from prefect import flow

from flows.align import AlignConfig
from flows.catalogue import entry
from flows.cold_start import ColdStartConfig
from flows.distill import DistillFlowConfig
from flows.evaluate import EvaluateConfig
from flows.mine import MineConfig
from flows.pretrain import PretrainFlowConfig
from flows.reason import ReasonConfig
from flows.reject import RejectConfig
from flows.run import flow_run
from flows.runner import Runner
from flows.synthesize import SynthesizeConfig
from flows.zero import ZeroConfig
from tasks.stage import StageConfig
from warehouse.lineage import ArtifactRef

Part = Literal[
    "mine", "synthesize", "pretrain", "zero", "cold_start", "reason", "reject", "align", "distill", "evaluate"
]


class R1Config(StageConfig):
    """The whole recipe. Each flow's part stands in the profile under the flow's own name."""

    PARTS: ClassVar[tuple[str, ...]] = get_args(Part)
    flows: tuple[Part, ...] = get_args(Part)
    """Which to run, in order; what is left out is taken from the warehouse."""
    mine: MineConfig = MineConfig()
    synthesize: SynthesizeConfig = SynthesizeConfig()
    pretrain: PretrainFlowConfig = PretrainFlowConfig()
    zero: ZeroConfig = ZeroConfig()
    cold_start: ColdStartConfig = ColdStartConfig()
    reason: ReasonConfig = ReasonConfig()
    reject: RejectConfig = RejectConfig()
    align: AlignConfig = AlignConfig()
    distill: DistillFlowConfig = DistillFlowConfig()
    evaluate: EvaluateConfig = EvaluateConfig()


@flow(name="r1")
def r1(config: R1Config | None = None) -> list[str]:
    """From crawl files to students; returns the artifacts as `name@version`."""
    config = config or R1Config()
    with flow_run("r1", config) as run:
        return [str(ref) for ref in run_r1(run, config)]


def run_r1(run: Runner, config: R1Config) -> tuple[ArtifactRef, ...]:
    """The flows in order, in one run; the same code plans and runs."""
    return tuple(ref for name in config.flows for ref in entry(name).stages(run, getattr(config, name)))
