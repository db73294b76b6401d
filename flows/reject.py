"""Rejection sampling: what the reasoning policy does right, and its own errors repaired, teach the base anew."""

from __future__ import annotations

from prefect import flow
from pydantic import Field

from flows.run import flow_run
from flows.runner import Given, Runner
from tasks.curate.filter_rejection import STAGE as FILTER_REJECTION
from tasks.curate.filter_rejection import FilterRejectionConfig
from tasks.curate.join_general import STAGE as JOIN_GENERAL
from tasks.curate.join_general import JoinGeneralConfig
from tasks.curate.label_steps import STAGE as LABEL_STEPS
from tasks.curate.label_steps import LabelStepsConfig
from tasks.curate.sample_rejection import STAGE as SAMPLE_REJECTION
from tasks.curate.sample_rejection import SampleRejectionConfig
from tasks.curate.write_repairs import STAGE as WRITE_REPAIRS
from tasks.curate.write_repairs import WriteRepairsConfig
from tasks.stage import StageConfig
from tasks.train.fine_tune import FineTuneConfig, fine_tune_stage
from warehouse.lineage import ArtifactRef

FINE_TUNE = fine_tune_stage("sft_set", "rigor-sft", name="fine_tune_sft")
FLOW_OF = {"rigor-base": "pretrain", "rigor-cold": "cold_start"}
"""Model → the flow that makes it, where it is not the model's own name."""


class RejectConfig(StageConfig):
    """From a reasoning policy to a fine-tuned base."""

    sample_rejection: SampleRejectionConfig = SampleRejectionConfig()
    """Its `model` is the policy that is sampled."""
    filter_rejection: FilterRejectionConfig = FilterRejectionConfig()
    repairs: bool = True
    """Whether errors of rollouts are labelled, repaired and learned from."""
    policies: tuple[str, ...] = Field(("rigor-zero", "rigor-reason"), min_length=1)
    """Whose rollouts."""
    label_steps: LabelStepsConfig = LabelStepsConfig()
    write_repairs: WriteRepairsConfig = WriteRepairsConfig()
    join_general: JoinGeneralConfig = JoinGeneralConfig()
    fine_tune: FineTuneConfig = FineTuneConfig()


@flow(name="reject")
def reject(config: RejectConfig | None = None) -> list[str]:
    """Sample, filter, label, repair, join, and fine-tune the base into `rigor-sft`; returns each as `name@version`."""
    config = config or RejectConfig()
    with flow_run("reject", config) as run:
        return [str(ref) for ref in run_reject(run, config)]


def run_reject(run: Runner, config: RejectConfig) -> tuple[ArtifactRef, ...]:
    """The stages in order; the same code plans and runs.

    Raises:
        LookupError: there are no problems, no corpus, no base, no policy, or no rollouts beside it.
    """
    problems = run.newest("problems", "synthesize")
    policy = run.newest(config.sample_rejection.model, _flow(config.sample_rejection.model))
    samples = run.call(SAMPLE_REJECTION, config.sample_rejection, {"problems": problems, "policy": policy})
    kept = run.call(FILTER_REJECTION, config.filter_rejection, {"rejection_samples": _given(samples)})
    made = [samples, kept]
    joined: dict[str, Given | None] = {"rejection_kept": _given(kept)}
    if config.repairs:
        found = [run.beside(policy, "rollouts", _flow(policy)) for policy in config.policies]
        rollouts = None if None in found else tuple(ref for refs in found for ref in refs or ())
        labels = run.call(LABEL_STEPS, config.label_steps, {"rollouts": rollouts, "problems": problems})
        repairs = run.call(WRITE_REPAIRS, config.write_repairs, {"step_labels": _given(labels), "problems": problems})
        joined["repairs"] = _given(repairs)
        made += [labels, repairs]
    joined["synthetic_corpus"] = run.newest("synthetic_corpus", "synthesize")
    sft_set = run.call(JOIN_GENERAL, config.join_general, joined)
    base = run.newest("rigor-base", "pretrain")
    given = {"sft_set": _given(sft_set), "problems": problems, "rigor-base": base}
    made += [sft_set, run.call(FINE_TUNE, config.fine_tune, given)]
    return tuple(ref for ref in made if ref is not None)


def _given(ref: ArtifactRef | None) -> Given | None:
    return None if ref is None else (ref,)


def _flow(model: str) -> str:
    return FLOW_OF.get(model, model.removeprefix("rigor-"))
