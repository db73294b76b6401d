"""Which parts of a mix of questions and which judges are asked when, and how many questions of each part."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tasks.rl.config import ReinforceConfig, RewardWeights


def first_step(from_share: float, steps: int) -> int:
    """The first of `steps` steps, counted from 0, at which what begins after this share of them is there."""
    return math.ceil(from_share * steps - 1e-9 * steps)


def asked_parts(config: ReinforceConfig, step: int) -> list[int]:
    """Numbers of the parts of the mix that are asked at a step."""
    return [n for n, part in enumerate(config.questions.mix) if step >= first_step(part.from_share, config.steps)]


def judges_in(rewards: RewardWeights, step: int, steps: int) -> list[str]:
    """Names of the judges that are asked at a step of so many."""
    return [name for name, judge in rewards.judges.items() if step >= first_step(judge.from_share, steps)]


def layout(config: ReinforceConfig, step: int) -> list[int]:
    """The part of each of a step's questions: the parts that are asked by then, in order, by their shares."""
    asked = asked_parts(config, step)
    ends = np.cumsum([config.questions.mix[n].share for n in asked])
    middles = (np.arange(config.questions_per_step) + 0.5) / config.questions_per_step * ends[-1]
    return [asked[int(index)] for index in np.searchsorted(ends, middles)]


def starts(config: ReinforceConfig) -> list[int]:
    """The steps from which other parts are asked than before, from 0 on."""
    return sorted({0, *(first_step(part.from_share, config.steps) for part in config.questions.mix)})
