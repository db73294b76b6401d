"""Everything that decides a reinforcement: each published choice by its name, with the paper it is from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from model.losses import ALGORITHMS, Grpo
from model.train.config import AdamWOptions, ScheduleOptions
from tasks.grade.reward import RewardConfig, RewardTerm
from tasks.rl.mix import asked_parts, layout, starts
from tasks.stage import StageConfig, over


def _named(value: Any) -> Any:
    """An algorithm's name, or a table with `base` and what differs from it."""
    if isinstance(value, str):
        value = {"base": value}
    if isinstance(value, Mapping) and "base" in value:
        base = str(value["base"])
        if base not in ALGORITHMS:
            raise ValueError(f"no algorithm {base!r}: one of {', '.join(sorted(ALGORITHMS))}")
        return over(ALGORITHMS[base], {key: item for key, item in value.items() if key != "base"})
    return value


Algorithm = Annotated[Grpo, BeforeValidator(_named)]
"""A loss: a name of `model.losses.ALGORITHMS`, or `{base = "r1", kl_weight = 0}`, or all of it."""


def _weighted(value: Any) -> Any:
    """A judge's weight alone, or all of its options."""
    return {"weight": value} if isinstance(value, int | float) else value


class JudgeOptions(StageConfig):
    """What a reward model's judgement is worth, and on which prompts it is asked for."""

    weight: float = Field(1.0, ge=-100, le=100)
    categories: tuple[str, ...] = ()
    """Of problems; empty: all."""
    except_checkers: tuple[str, ...] = ()
    """It is not asked where one of these checkers judges: a helpfulness model not where a refusal is wanted."""
    from_share: float = Field(0.0, ge=0, lt=1)
    """Share of all steps before which it is not asked. R1: the last 400 of 1,700 steps, against reward hacking."""

    def asked(self, problem: Mapping[str, Any]) -> bool:
        """Whether it judges responses to this problem."""
        return _among(problem, "category", self.categories) and not (
            self.except_checkers and problem["checker"] in self.except_checkers
        )


def _among(problem: Mapping[str, Any], column: str, listed: tuple[str, ...]) -> bool:
    """Whether a problem's value is listed; an empty list holds all."""
    return not listed or problem[column] in listed


class RewardWeights(StageConfig):
    """What is rewarded, by weight. Every rule is measured, also at weight 0. DeepSeek-R1, section 2.2.2."""

    accuracy: float = Field(1.0, ge=-100, le=100)
    """1 for an answer that the problem's checker accepts."""
    format: float = Field(1.0, ge=-100, le=100)
    """1 for one think part and one answer part, nothing outside. R1-Zero: the same weight as accuracy."""
    language: float = Field(0.0, ge=-100, le=100)
    """Share of the chain's words in the question's language. R1's first RL stage adds it."""
    repetition: float = Field(0.0, ge=-100, le=100)
    """Minus the share of repeated 8-grams."""
    steps: float = Field(0.0, ge=-100, le=100)
    """1 for a chain that computes its answer and holds nothing untrue, checks too; see `tasks.rl.grading.steps`."""
    accuracy_categories: tuple[str, ...] = ()
    """Categories of problems on which accuracy is rewarded (R1's second stage: reasoning alone); empty: all."""
    judges: dict[str, Annotated[JudgeOptions, BeforeValidator(_weighted)]] = Field({}, max_length=16)
    """Reward models by name, for what no rule can judge; each is given to the stage as a model of that name. A number
    is a weight on all prompts and steps. A judge's reward is 0 to 1, see `tasks.rl.judges`."""

    def rules(self) -> RewardConfig:
        """The rules as terms of `tasks.grade.reward`."""
        weights = {
            "accuracy": self.accuracy,
            "answer_format": self.format,
            "language": self.language,
            "repetition": self.repetition,
            "steps": self.steps,
        }
        return RewardConfig(
            terms=tuple(
                RewardTerm(name=name, version="3" if name == "steps" else "1", weight=weight)
                for name, weight in weights.items()
            )
        )


class MixPart(StageConfig):
    """A part of the questions of every step: a problem belongs to the first that it fits, or is not asked.

    Empty lists take all.
    """

    categories: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    checkers: tuple[str, ...] = ()
    lowest_level: int = Field(0, ge=0, le=1000)
    share: float = Field(gt=0, le=1_000)
    """Of a step's questions, against the other parts that are asked."""
    from_share: float = Field(0.0, ge=0, lt=1)
    """Share of all steps before which it is not asked. R1: general prompts in the last 400 of 1,700 steps."""

    def holds(self, problem: Mapping[str, Any]) -> bool:
        """Whether a problem fits."""
        return (
            _among(problem, "category", self.categories)
            and _among(problem, "family", self.families)
            and _among(problem, "checker", self.checkers)
            and problem["level"] >= self.lowest_level
        )


class Questions(StageConfig):
    """Which problems are asked, and in which order. An empty list takes all."""

    families: tuple[str, ...] = ()
    categories: tuple[str, ...] = ("math",)
    languages: tuple[str, ...] = ()
    checkers: tuple[str, ...] = ()
    lowest_level: int = Field(1, ge=0, le=1000)
    highest_level: int = Field(1000, ge=0, le=1000)
    longest_tokens: int = Field(512, ge=1, le=1_000_000)
    """A longer question is rejected."""
    order: Literal["shuffled", "curriculum"] = "shuffled"
    """Epochs, each in an order of its own; or along the table `curriculum` from its first row to its last, at a pace
    that the last step reaches the end."""
    mix: tuple[MixPart, ...] = Field((), max_length=32)
    """Parts with shares of every step, each shuffled for itself, of what the lists above allow; empty: no parts."""

    @model_validator(mode="after")
    def _mixed(self) -> Self:
        if self.mix and self.order != "shuffled":
            raise ValueError("questions.mix is shuffled part by part: it does not go with a curriculum")
        if self.mix and min(part.from_share for part in self.mix) > 0:
            raise ValueError("questions.mix: no part is asked from the first step")
        return self


class Overlong(StageConfig):
    """What becomes of long responses (DAPO, arXiv 2503.14476, section 3.4)."""

    weight: float = Field(0.0, ge=0, le=100)
    """Of the soft punishment: 0 up to max_tokens - cache_tokens, then falling to -1 at max_tokens; 0: none."""
    cache_tokens: int = Field(16, ge=0, le=1_000_000)
    """Over which it builds up."""
    mask: bool = False
    """Overlong filtering: a response that was cut off counts in its group, but its tokens are not learned from."""


class HeldOut(StageConfig):
    """The fixed set of problems of the validation split on which progress is measured."""

    problems: int = Field(128, ge=0, le=100_000)
    """Drawn once from those that `questions` allows; 0: nothing is measured."""
    every_steps: int = Field(10, ge=1)
    """The first state and the last step are measured too."""
    temperature: float = Field(0.6, gt=0, le=100)
    """Of the sampled pass rate (DeepSeek-R1's 0.6, top-p 0.95); the greedy one is measured beside it."""
    top_p: float = Field(0.95, gt=0, le=1)
    splits: tuple[Literal["validation", "test"], ...] = Field(("validation",), min_length=1)
    """Where they are drawn from; `test` beside it where a small world has too few groups to measure on."""


class WatchOptions(StageConfig):
    """When to warn. Nothing is changed by it."""

    zero_variance_share: float = Field(0.8, ge=0, le=1)
    """Groups in which all rewards are equal teach nothing: warn above this share."""
    entropy_share: float = Field(0.2, ge=0, le=1)
    """Collapse: entropy below this share of the first steps'."""
    length_factor: float = Field(3.0, ge=1)
    """Explosion: mean length above so many times the first steps'."""
    cut_share: float = Field(0.5, ge=0, le=1)
    """Or more responses than this cut off."""
    hacking_reward: float = Field(0.1, ge=0)
    """Reward hacking: the mean reward rose by this (in units of the weights' sum) over `hacking_looks` looks …"""
    hacking_held_out: float = Field(0.01, ge=0)
    """… while the held-out pass rate did not rise by this."""
    hacking_looks: int = Field(3, ge=1, le=1000)
    hacking_preference: float = Field(0.05, ge=0, le=1)
    """The same of reward models: their held-out score rose by this while the held-out pass rate fell by
    `hacking_held_out`."""
    gap_mean: float = Field(0.02, ge=0)
    """Mean |log π_trainer - log π_sampler| of a token, in nats."""
    gap_max: float = Field(2.0, ge=0)
    """Largest of a step."""
    window_steps: int = Field(5, ge=1, le=1000)
    """Steps over which "the first steps" and "now" are means."""


class ReinforceConfig(StageConfig):
    """A reinforcement (defaults: DeepSeek-R1-Zero, arXiv 2501.12948, section 2.2, and its Nature supplement)."""

    steps: int = Field(10_400, ge=1)
    """Rounds of sampling; each is a policy version."""
    questions_per_step: int = Field(32, ge=1, le=1_000_000)
    samples: int = Field(16, ge=1, le=65_536)
    """G: responses to a question, the group."""
    questions: Questions = Questions()
    algorithm: Algorithm = ALGORITHMS["r1"]
    """The loss; its `temperature` and `length_tokens` give way to the two below. What a paper does outside its loss has
    keys of its own: "dr_grpo" goes with `advantage = "none"`, "dapo" with `waves` above 1 and `overlong`."""
    temperature: float = Field(1.0, gt=0, le=100)
    max_tokens: int = Field(32_768, ge=1, le=10_000_000)
    """Longest response."""
    advantage: Literal["std", "none"] = "std"
    """Divided by the group's deviation (GRPO), or not (Dr. GRPO, arXiv 2503.20783)."""
    minibatches: int = Field(1, ge=1, le=65_536)
    """Updates in which a step's samples are used up. R1-Zero: 16 over 8,192 samples."""
    inner_epochs: int = Field(1, ge=1, le=1000)
    """Times that they are used."""
    waves: int = Field(1, ge=1, le=1000)
    """Dynamic sampling (DAPO, section 3.2): groups with equal rewards are dropped and others drawn, at most so many
    times a step's questions; 1: off."""
    overlong: Overlong = Overlong()
    rewards: RewardWeights = RewardWeights()
    reference_every_steps: int = Field(400, ge=0)
    """The reference policy of the KL term becomes the policy of that step; 0: stays the first."""
    optimizer: AdamWOptions = AdamWOptions(learning_rate=3e-6, weight_decay=0.0)
    schedule: ScheduleOptions = ScheduleOptions(shape="constant")
    held_out: HeldOut = HeldOut()
    watch: WatchOptions = WatchOptions()
    save_every_steps: int = Field(10, ge=1)
    """The last step is saved too."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Of the order, the samples and the minibatches."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.schedule.warmup_steps >= self.steps:
            raise ValueError(f"schedule.warmup_steps ({self.schedule.warmup_steps}) leaves none of {self.steps} steps")
        if self.minibatches > self.questions_per_step * self.samples:
            raise ValueError(f"{self.minibatches} minibatches of {self.questions_per_step * self.samples} samples")
        if self.overlong.weight and self.overlong.cache_tokens > self.max_tokens:
            raise ValueError("overlong.cache_tokens is more than max_tokens")
        for start in starts(self) if self.questions.mix else []:
            if never := sorted(set(asked_parts(self, start)) - set(layout(self, start))):
                asked = f"{self.questions_per_step} questions a step"
                raise ValueError(
                    f"questions.mix: parts {never} (from 0) get none of {asked}: ask more, or raise their share"
                )
        return self

    @property
    def loss(self) -> Grpo:
        """The objective as it is trained."""
        return self.algorithm.model_copy(update={"temperature": self.temperature, "length_tokens": self.max_tokens})

    @property
    def reuses(self) -> bool:
        """Whether samples are learned from after an update, so that π_old must be known."""
        return self.minibatches * self.inner_epochs > 1
