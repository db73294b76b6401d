"""Measures on a fixed set of held-out problems: pass rates, greedy and sampled as DeepSeek-R1 is evaluated; refusals;
and what reward models think of the answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from model import parallel
from model.sample import LocalSampler, SamplingParams
from tasks.curate.check_answer import answer_part, is_refusal
from tasks.curate.preference_forms import respond
from tasks.rl.config import ReinforceConfig
from tasks.rl.grading import Grader, right_answers
from tasks.rl.measures import Metrics, pass_rates

FACTS = ("right", "tokens", "refuses", "score", "preferred")
"""Of an answer; `score`: mean of the reward models that judge such prompts, NaN for none; `preferred`: they rate it
above the problem's rejected answer, NaN for a problem that has none."""


class Examiner:
    """Measures a policy; the same problems and seeds each time."""

    def __init__(
        self, config: ReinforceConfig, sampler: LocalSampler, problems: Sequence[Mapping[str, Any]], grader: Grader
    ) -> None:
        """Measure on `problems` with `sampler`, which must hold the policy's weights, and `grader`'s reward models."""
        self.sampler, self.problems, self.grader = sampler, problems, grader
        options = config.held_out
        self.ways = {
            "held_out_greedy": SamplingParams(temperature=0, max_tokens=config.max_tokens),
            "held_out_pass_rate": SamplingParams(
                temperature=options.temperature, top_p=options.top_p, max_tokens=config.max_tokens, seed=config.seed
            ),
        }
        self._worse: NDArray[np.float64] | None = None

    def examine(self) -> Metrics:
        """Pass rates in all and by category, family and level, response lengths; of sampled answers also refusals and
        the reward models' scores. Collective.
        """
        found = Metrics()
        for name, params in self.ways.items():
            facts = self._facts(params, scored=name == "held_out_pass_rate")
            right = facts["right"]
            found[name] = float(right.mean())
            found[f"{name}_tokens"] = float(facts["tokens"].mean())
            found |= pass_rates(self.problems, right, name)
            categories = [problem["category"] for problem in self.problems]
            if len(set(categories)) > 1:
                for category in sorted(set(categories)):
                    found[f"{name}.{category}"] = float(right[np.array(categories) == category].mean())
        return found | self._alignment(facts)

    def _facts(self, params: SamplingParams, scored: bool) -> dict[str, NDArray[np.float64]]:
        """Facts of one answer to each problem, by name. Collective."""
        table = torch.zeros(len(self.problems), len(FACTS), dtype=torch.float64)
        mine = range(parallel.data_rank(), len(self.problems), parallel.data_world())
        rows = [self.problems[index] for index in mine]
        answers = self.sampler.generate(
            [row["tokens"] for row in rows], params, seeds=[params.seed + index for index in mine]
        )
        texts = [answer.text for (answer,) in answers]
        right = right_answers(rows, texts)
        score = self._score(rows, texts) if scored else np.full(len(rows), np.nan)
        if scored and self._worse is None:
            self._worse = self._score(rows, [respond(row.get("rejected") or "") for row in rows])
            self._worse[[not row.get("rejected") for row in rows]] = np.nan
        worse = score if self._worse is None else self._worse
        for place, (index, (answer,)) in enumerate(zip(mine, answers, strict=True)):
            refuses = is_refusal(answer_part(answer.text))
            both = score[place], worse[place]
            better = float("nan") if np.isnan(both).any() else float(both[0] > both[1])
            table[index] = torch.tensor([right[place], len(answer.tokens), refuses, score[place], better])
        table = table.to(self.sampler.network.device)
        dist.all_reduce(table, group=parallel.data_group())
        return dict(zip(FACTS, table.cpu().numpy().T, strict=True))

    def _score(self, problems: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> NDArray[np.float64]:
        """The mean of the reward models that judge such prompts, NaN where there is none."""
        judged = [self.grader.judged(name, problems, texts) for name in self.grader.options.judges]
        if not judged:
            return np.full(len(texts), np.nan)
        asked = (~np.isnan(judged)).sum(0)
        return np.where(asked > 0, np.nansum(judged, axis=0) / np.maximum(asked, 1), np.nan)

    def _alignment(self, facts: Mapping[str, NDArray[np.float64]]) -> Metrics:
        """Refusals of harmful prompts and of their harmless look-alikes (`tasks.curate.check_answer`), and scores."""
        found = Metrics()
        for checker, name in (("refusal", "held_out_correct_refusals"), ("compliance", "held_out_wrong_refusals")):
            chosen = np.array([problem["checker"] == checker for problem in self.problems])
            if chosen.any():
                found[name] = float(facts["refuses"][chosen].mean())
        judged = ~np.isnan(facts["score"])
        if judged.any():
            found["held_out_preference"] = float(facts["score"][judged].mean())
        compared = ~np.isnan(facts["preferred"])
        if compared.any():
            found["held_out_preferred"] = float(facts["preferred"][compared].mean())
        return found
