"""Rewards of sampled responses: the rules by the problem's checker, and reward models where they are given."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from tasks.curate.chain_steps import as_words, judge_chain, stays_wrong
from tasks.curate.check_answer import answer_part, score
from tasks.grade.format import thinking_of
from tasks.grade.math.judge import GoldError
from tasks.grade.reward import RewardBatch, Values, compute_rewards, term
from tasks.rl.config import RewardWeights
from tasks.rl.mix import judges_in

log = logging.getLogger(__name__)

Judge = Callable[[Sequence[str], Sequence[str]], Values]
"""A reward model: prompts and responses to one number each."""
REMEMBERED = 100_000
"""Verdicts kept: a policy gives the same answer to the same question again and again."""
_SELF_CHECK = re.compile(
    r"^\s*(?:verify|check|let me check|let's check|wait|hold on|no, this is|检验|验证|检查|等等|不对|这里有错误)",
    re.IGNORECASE | re.MULTILINE,
)
_verdicts: OrderedDict[tuple[str, str], float] = OrderedDict()


@term("accuracy", "1")
def accuracy(batch: RewardBatch) -> Values:
    """1 where the problem's own checker accepts the answer part (`meta["problem"]`: a row of `problems`), else 0.

    A gold that no checker can read gives 0 to all, never 1: such a group teaches nothing.
    """
    return np.array(right_answers([meta["problem"] for meta in batch.meta], batch.responses))


def right_answers(problems: Sequence[Mapping[str, Any]], responses: Sequence[str]) -> list[float]:
    """1 where the checker accepts the response's answer, else 0."""
    return [_judged(problem, response) for problem, response in zip(problems, responses, strict=True)]


def _judged(problem: Mapping[str, Any], response: str) -> float:
    key = (problem["id"], answer_part(response))
    if key not in _verdicts:
        try:
            _verdicts[key] = score(problem, key[1])
        except GoldError as error:
            log.warning("problem %s: nobody can be right, its gold cannot be read: %s", problem["id"], error)
            _verdicts[key] = 0.0
        while len(_verdicts) > REMEMBERED:
            _verdicts.popitem(last=False)
    return _verdicts[key]


@term("steps", "3")
def steps(batch: RewardBatch) -> Values:
    """1 where the think part computes the answer, and all that it does not put right is true; else 0.

    Accuracy alone leaves a chain free to end in a check that is not true: its answer is right all the same. DeepSeek-R1
    rewards no process (section 4.2), for want of a judge that cannot be led astray; this one is arithmetic
    (`tasks.grade.steps`). One of the true computations must come to the answer: `1 = 1` is no way to be right, nor is
    silence.
    """
    chains = [(prompt, _chain(text), answer_part(text))
              for prompt, text in zip(batch.prompts, batch.responses, strict=True)]  # fmt: skip
    return np.array([float(_sound(*chain)) for chain in chains])


@lru_cache(maxsize=REMEMBERED)
def _sound(prompt: str, chain: tuple[str, ...], answer: str) -> bool:
    verdict = judge_chain(prompt, chain)
    true = [as_words(step) for step, each in zip(chain, verdict.verdicts, strict=True) if each == "ok"]
    said = as_words(answer)
    return bool(said) and any(said == step[-len(said) :] for step in true) and not stays_wrong(chain, verdict)


@dataclass(frozen=True)
class Grades:
    """Of responses; every array has shape (rows,)."""

    total: Values
    terms: Mapping[str, Values]
    """Raw values by `name@version`; judges' by `judge:name`, NaN where one was not asked."""
    weights: Mapping[str, Values]
    """What each term was worth in the total; 0 where a rule was measured alone, or a judge not asked."""


class Grader:
    """Grades responses by the configured weights."""

    def __init__(self, weights: RewardWeights, judges: Mapping[str, Judge]) -> None:
        """Take the judges by name.

        Raises:
            ValueError: a judge has a weight but is not given.
        """
        missing = sorted(set(weights.judges) - set(judges))
        if missing:
            raise ValueError(f"rewards.judges names reward models that are not given: {', '.join(missing)}")
        self.options, self.rules, self.judges = weights, weights.rules(), judges
        self.weights = {each.key: each.weight for each in self.rules.terms}
        """Of all terms, by name, in their order."""
        self.weights |= {f"judge:{name}": judge.weight for name, judge in weights.judges.items()}

    def grade(
        self, problems: Sequence[Mapping[str, Any]], responses: Sequence[str], step: int = 0, steps: int = 1
    ) -> Grades:
        """Grade responses to problems (rows of `problems`), one each, at a step of so many: judges may come in late."""
        prompts = [problem["prompt"] for problem in problems]
        meta = [{"language": problem["language"], "problem": problem} for problem in problems]
        found = compute_rewards(self.rules, RewardBatch(prompts, responses, [None] * len(prompts), meta))
        terms, count = dict(found.terms), len(responses)
        weights = {each.key: np.full(count, each.weight) for each in self.rules.terms}
        reasoning = self.options.accuracy_categories
        if reasoning:
            weights["accuracy@1"] *= [problem["category"] in reasoning for problem in problems]
        asked = judges_in(self.options, step, steps)
        for name, judge in self.options.judges.items():
            values = self.judged(name, problems, responses) if name in asked else np.full(count, np.nan)
            terms[f"judge:{name}"] = values
            weights[f"judge:{name}"] = np.where(np.isnan(values), 0.0, judge.weight)
        total = sum((weights[name] * np.nan_to_num(values) for name, values in terms.items()), np.zeros(count))
        return Grades(total, terms, weights)

    def judged(self, name: str, problems: Sequence[Mapping[str, Any]], responses: Sequence[str]) -> Values:
        """A reward model's judgements, NaN on problems that are not its business.

        Raises:
            ValueError: it gives a number that is not finite, which would pass for one that was not asked.
        """
        rows = [row for row, problem in enumerate(problems) if self.options.judges[name].asked(problem)]
        values = np.full(len(problems), np.nan)
        if rows:
            said = self.judges[name]([problems[row]["prompt"] for row in rows], [responses[row] for row in rows])
            if not np.isfinite(said).all():
                raise ValueError(f"the reward model {name} gives a reward that is not finite: are its weights?")
            values[rows] = said
        return values


def checks_itself(response: str) -> bool:
    """Whether a line of the think part begins with a check or a second thought, in the words of our written solutions.

    A rule of thumb for a curve, not a reward: `Verify:`, `检验：`, `Wait, that is wrong.` and their kin.
    """
    return _SELF_CHECK.search(thinking_of(response)) is not None


def steps_of(response: str) -> int:
    """Lines of the think part that are not empty; 0 where there is none."""
    return len(_chain(response))


def _chain(response: str) -> tuple[str, ...]:
    if "<think>" not in response:
        return ()
    return tuple(line for line in thinking_of(response).splitlines() if line.strip())
