"""Align: preferences, two reward models, and reinforcement for all scenarios (DeepSeek-R1, section 2.3.4)."""

from __future__ import annotations

from prefect import flow
from pydantic import Field

from flows.run import flow_run
from flows.runner import Given, Runner
from tasks.curate.collect_preferences import STAGE as COLLECT_PREFERENCES
from tasks.curate.collect_preferences import CollectPreferencesConfig
from tasks.rl.config import HeldOut, JudgeOptions, MixPart, Questions, ReinforceConfig, RewardWeights
from tasks.rl.judges import Kind
from tasks.stage import StageConfig
from tasks.train.reinforce import reinforce_stage
from tasks.train.reward_model import STAGES as TRAIN_REWARD_MODELS
from tasks.train.reward_model import RewardModelConfig
from warehouse.lineage import ArtifactRef

REINFORCE = reinforce_stage("rigor-r1")
LATE = 1_300 / 1_700
"""R1: general prompts and preference rewards are there in the last 400 of 1,700 steps, against reward hacking."""
REASONING = ("math", "code", "stem", "logic")
PUBLISHED = ReinforceConfig(
    steps=1_700,
    temperature=0.7,
    questions=Questions(
        categories=(*REASONING, "general", "safety"),
        mix=(
            MixPart(categories=("math",), share=26),
            MixPart(categories=("code",), share=25),
            MixPart(categories=("stem",), share=22),
            MixPart(categories=("logic",), share=15),
            MixPart(categories=("general",), share=66, from_share=LATE),
            MixPart(categories=("safety",), share=12, from_share=LATE),
        ),
    ),
    rewards=RewardWeights(
        language=1.0,
        accuracy_categories=REASONING,
        judges={
            "helpful": JudgeOptions(categories=("general", "safety"), except_checkers=("refusal",), from_share=LATE),
            "safety": JudgeOptions(categories=("safety",), from_share=LATE),
        },
    ),
    held_out=HeldOut(problems=256),
)
"""R1's second stage: T 0.7, prompts by category as in its supplement (thousands), the rest as in the first."""


class AlignConfig(StageConfig):
    """From a fine-tuned model to one that is helpful and safe too."""

    start: str = "rigor-sft"
    """The model that is sampled, that the reward models start from, and that is reinforced."""
    collect_preferences: CollectPreferencesConfig = CollectPreferencesConfig()
    train_reward_models: dict[Kind, RewardModelConfig] = Field(
        {"helpful": RewardModelConfig(), "safety": RewardModelConfig()}, min_length=1
    )
    """The reward models by kind; each name of `reinforce.rewards.judges` is one of them."""
    reinforce: ReinforceConfig = PUBLISHED


@flow(name="align")
def align(config: AlignConfig | None = None) -> list[str]:
    """Collect preferences, train the reward models, and reinforce into `rigor-r1`; returns each as `name@version`."""
    config = config or AlignConfig()
    with flow_run("align", config) as run:
        return [str(ref) for ref in run_align(run, config)]


def run_align(run: Runner, config: AlignConfig) -> tuple[ArtifactRef, ...]:
    """The stages in order; the same code plans and runs.

    Raises:
        LookupError: there are no problems, or no model to start from.
    """
    problems = run.newest("problems", "synthesize")
    policy = run.newest(config.start, "reject" if config.start == "rigor-sft" else config.start.removeprefix("rigor-"))
    sampled: dict[str, Given | None] = {"policy": policy} if config.collect_preferences.samples else {}
    preferences = run.call(COLLECT_PREFERENCES, config.collect_preferences, {"problems": problems, **sampled})
    made = [preferences]
    judges: dict[str, Given | None] = {}
    for kind, options in config.train_reward_models.items():
        model = run.call(TRAIN_REWARD_MODELS[kind], options, {"preferences": _given(preferences), "policy": policy})
        made.append(model)
        if kind in config.reinforce.rewards.judges:
            judges[kind] = _given(model)
    made.append(run.call(REINFORCE, config.reinforce, {"problems": problems, "policy": policy, **judges}))
    return tuple(ref for ref in made if ref is not None)


def _given(ref: ArtifactRef | None) -> Given | None:
    return None if ref is None else (ref,)
