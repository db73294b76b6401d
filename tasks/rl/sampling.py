"""A step's responses: every rank samples whole groups with its own weights; all ranks learn all figures.

Legend of shape suffixes: K groups (draws of a step), G samples of a group, F facts of a sample.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from model import parallel
from model.losses import group_advantages, informative, overlong_penalty
from model.sample import Completion, LocalSampler, SamplingParams
from model.sample.pick import request_seed
from tasks.grade.format import thinking_of
from tasks.grade.language import LANGUAGES, language_share
from tasks.rl.config import ReinforceConfig
from tasks.rl.grading import Grader, checks_itself, steps_of
from tasks.rl.questions import draw, parts

Seconds = dict[str, float]
"""Phase → seconds."""
FACTS = ("reward", "correct", "tokens", "cut", "surprise", "checks_itself", "reasons", "worded", "mixed_language")
"""What is known of every sample on every rank; the reward terms follow. `surprise`: minus its mean log-probability
times its tokens, in nats; `reasons`: at least two lines of thinking; `worded`: its chain has words; `mixed_language`:
of these, some are in another language than the question's."""
MIXED_SHARE = 0.95
"""A chain with fewer of its words than this in the question's language is mixed."""


@dataclass
class Sample:
    """A response that this rank sampled."""

    place: int
    """Of its group among the step's draws."""
    number: int
    """In its group."""
    problem: Mapping[str, Any]
    prompt: tuple[int, ...]
    completion: Completion
    terms: Mapping[str, float]
    """Raw values by name; NaN where a reward model was not asked."""
    reward: float
    advantage: float = 0.0
    trained: bool = False
    known: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """Log-probabilities of its tokens by other policies: `old_log_probs`, `reference_log_probs`."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """What each term is worth in the reward."""


@dataclass(frozen=True)
class Step:
    """What a step has to learn from."""

    mine: list[Sample]
    """Of this rank, in order."""
    drawn: list[int]
    """By place: index of the question."""
    facts_KGF: NDArray[np.float64]
    """Of all ranks' samples."""
    kept_K: NDArray[np.bool_]
    """Groups that enter the loss."""
    live_K: NDArray[np.bool_]
    """Groups whose rewards differ."""
    advantage_KG: NDArray[np.float32]


class Asker:
    """Asks a policy the questions of a step."""

    def __init__(
        self, config: ReinforceConfig, sampler: LocalSampler, questions: Sequence[Mapping[str, Any]], grader: Grader
    ) -> None:
        """Ask `questions` with `sampler`, which must hold the policy's weights whenever it is used."""
        self.config, self.sampler, self.questions, self.grader = config, sampler, questions, grader
        self.weights = dict(grader.weights)
        """Of the reward terms."""
        if config.overlong.weight:
            self.weights["overlong"] = config.overlong.weight
        self.facts = (*FACTS, *self.weights)
        self.members = parts(config.questions, questions)
        self.params = SamplingParams(temperature=config.temperature, max_tokens=config.max_tokens)

    def ask(self, step: int, seconds: Seconds) -> Step:
        """Sample, grade and compare; more waves while groups are missing. Collective."""
        config, count = self.config, self.config.questions_per_step
        mine: list[Sample] = []
        drawn: list[int] = []
        facts_KGF = np.zeros((0, config.samples, len(self.facts)))
        live_K = np.zeros(0, np.bool_)
        for _ in range(config.waves):
            places = range(len(drawn), len(drawn) + count)
            drawn += draw(config, len(self.questions), step, places, self.members)
            found = self._sample(
                step, [(p, drawn[p]) for p in places if p % parallel.data_world() == parallel.data_rank()], seconds
            )
            mine += found
            facts_KGF = np.concatenate([facts_KGF, self._shared(found, places)])
            live_K = self._informative(facts_KGF[..., 0])
            if live_K.sum() >= count:
                break
        kept_K = np.ones_like(live_K)
        if config.waves > 1:  # the first so many that teach something
            kept_K = live_K & (np.cumsum(live_K) <= count)
        advantage_KG = self._advantages(facts_KGF[..., 0])
        for sample in mine:
            sample.advantage = float(advantage_KG[sample.place, sample.number])
            masked = config.overlong.mask and sample.completion.finish == "length"
            sample.trained = bool(kept_K[sample.place] and live_K[sample.place] and not masked)
        return Step(mine, drawn, facts_KGF, kept_K, live_K, advantage_KG)

    def _sample(self, step: int, asked: list[tuple[int, int]], seconds: Seconds) -> list[Sample]:
        """Responses to this rank's questions (place, index); the seed of each is its place's, whatever the ranks."""
        started = time.perf_counter()
        seed = request_seed(self.config.seed, step)
        problems = [self.questions[index] for _, index in asked]
        groups = self.sampler.generate(
            [problem["tokens"] for problem in problems], self.params, self.config.samples,
            seeds=[request_seed(seed, place) for place, _ in asked],
        ) if asked else []  # fmt: skip
        sampled = time.perf_counter()
        seconds["sample"] = seconds.get("sample", 0.0) + sampled - started
        flat = [(place, number, problem, completion)
                for (place, _), problem, group in zip(asked, problems, groups, strict=True)
                for number, completion in enumerate(group)]  # fmt: skip
        answered = [problem for _, _, problem, _ in flat]
        grades = self.grader.grade(answered, [c.text for *_, c in flat], step, self.config.steps)
        lengths = torch.tensor([len(c.tokens) for *_, c in flat])
        terms, weights, total = dict(grades.terms), dict(grades.weights), grades.total
        if self.config.overlong.weight:
            late = overlong_penalty(lengths, self.config.max_tokens, self.config.overlong.cache_tokens).double().numpy()
            terms["overlong"], total = late, total + self.config.overlong.weight * late
            weights["overlong"] = np.full(len(flat), self.config.overlong.weight)
        found = [
            Sample(place, number, problem, tuple(problem["tokens"]), completion,
                   {name: float(values[row]) for name, values in terms.items()}, float(total[row]),
                   weights={name: float(values[row]) for name, values in weights.items()})
            for row, (place, number, problem, completion) in enumerate(flat)
        ]  # fmt: skip
        seconds["grade"] = seconds.get("grade", 0.0) + time.perf_counter() - sampled
        return found

    def _shared(self, found: list[Sample], places: range) -> NDArray[np.float64]:
        """Facts of a wave, of all ranks: each fills in its own groups, the others' zeros are added. Collective."""
        facts_KGF = torch.zeros(len(places), self.config.samples, len(self.facts), dtype=torch.float64)
        for sample in found:
            facts_KGF[sample.place - places.start, sample.number] = torch.tensor(facts_of(sample), dtype=torch.float64)
        on_device = facts_KGF.to(self.sampler.network.device)
        dist.all_reduce(on_device, group=parallel.data_group())
        return on_device.cpu().numpy()

    def _informative(self, reward_KG: NDArray[np.float64]) -> NDArray[np.bool_]:
        flat, groups = _flat(reward_KG)
        return informative(flat, groups).view(reward_KG.shape)[:, 0].numpy()

    def _advantages(self, reward_KG: NDArray[np.float64]) -> NDArray[np.float32]:
        flat, groups = _flat(reward_KG)
        return group_advantages(flat, groups, self.config.advantage).view(reward_KG.shape).numpy()


def facts_of(sample: Sample) -> list[float]:
    """The facts of a sample, in the order of `Asker.facts`."""
    completion, language = sample.completion, sample.problem["language"]
    words = language_share(thinking_of(completion.text), language) if language in LANGUAGES else None
    return [
        sample.reward,
        float(sample.terms["accuracy@1"] == 1),
        float(len(completion.tokens)),
        float(completion.finish == "length"),
        -float(np.sum(completion.log_probs, dtype=np.float64)),
        float(checks_itself(completion.text)),
        float(steps_of(completion.text) >= 2),
        float(words is not None and words.words > 0),
        float(words is not None and words.words > 0 and words.share < MIXED_SHARE),
        *sample.terms.values(),
    ]


def _flat(reward_KG: NDArray[np.float64]) -> tuple[torch.Tensor, torch.Tensor]:
    """Rewards and group numbers, flat."""
    groups, samples = reward_KG.shape
    return torch.from_numpy(reward_KG.reshape(-1)), torch.arange(groups).repeat_interleave(samples)
