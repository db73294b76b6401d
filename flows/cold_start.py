"""Cold start: readable chains of R1-Zero and of the shown base, filtered and rewritten, and a model that read them.

What a person made of the chains (`rigor review cold_start`) is what the model learns from.
"""

from __future__ import annotations

from prefect import flow

from flows.review import apply_review
from flows.run import flow_run
from flows.runner import Given, Runner
from tasks.curate.filter_cold_start import STAGE as FILTER
from tasks.curate.filter_cold_start import FilterColdStartConfig
from tasks.curate.sample_cold_start import STAGE as SAMPLE
from tasks.curate.sample_cold_start import SampleColdStartConfig
from tasks.stage import StageConfig
from tasks.train.fine_tune import FineTuneConfig, fine_tune_stage
from warehouse.lineage import ArtifactRef

FINE_TUNE = fine_tune_stage("cold_start", "rigor-cold", name="fine_tune_cold")


class ColdStartConfig(StageConfig):
    """From sampled chains to a model that reasons readably."""

    sample_cold_start: SampleColdStartConfig = SampleColdStartConfig()
    filter_cold_start: FilterColdStartConfig = FilterColdStartConfig()
    fine_tune: FineTuneConfig = FineTuneConfig()


@flow(name="cold_start")
def cold_start(config: ColdStartConfig | None = None) -> list[str]:
    """Sample, filter and rewrite chains, fine-tune `rigor-base` on them; returns the artifacts as `name@version`."""
    config = config or ColdStartConfig()
    with flow_run("cold_start", config) as run:
        return [str(ref) for ref in run_cold_start(run, config)]


def run_cold_start(run: Runner, config: ColdStartConfig) -> tuple[ArtifactRef, ...]:
    """The stages in order over the newest problems and models; the same code plans and runs.

    Raises:
        LookupError: there are no problems, no base, or no R1-Zero where it is to be sampled.
    """
    problems, base = run.newest("problems", "synthesize"), run.newest("rigor-base", "pretrain")
    asked: dict[str, Given | None] = {"problems": problems}
    wanted = config.sample_cold_start
    if wanted.zero_samples:
        asked["rigor-zero"] = run.newest("rigor-zero", "zero")
    if wanted.prompted_samples:
        asked["rigor-base"] = base
        if wanted.shots:
            asked["synthetic_corpus"] = run.newest("synthetic_corpus", "synthesize")
    samples = run.call(SAMPLE, wanted, asked)
    chains = run.call(FILTER, config.filter_cold_start, {"cold_start_samples": None if samples is None else (samples,)})
    chains = apply_review(run, chains)
    given = None if chains is None else (chains,)
    model = run.call(FINE_TUNE, config.fine_tune, {"cold_start": given, "problems": problems, "rigor-base": base})
    return tuple(ref for ref in (samples, chains, model) if ref is not None)
