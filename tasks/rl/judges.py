"""Reward models at work: what they see of a response, and one number for it, on the scale of the rules' rewards.

The helpful model sees the final answer alone, the safety model the whole response, thinking included (DeepSeek-R1,
arXiv 2501.12948, section 2.3.4). Both are read at the last token. In training (`tasks.train.reward_model`) and as a
reward they see the same tokens, laid out here.

Scale: the helpful model's reward is σ(score - centre), its chance to be preferred to an average response (`centre` is
the mean score of its training responses); the safety model's is σ(score), the chance to be safe. Both are 0 to 1 as
accuracy and format are, and no reward can grow without end by pleasing a judge.

Legend of shape suffixes: B responses of a pass, T tokens of the longest, H hidden size, N all responses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from model.convert import load_folder
from model.convert.names import SCORE
from model.sample.network import Network
from model.special_tokens import EOS, ID, TAGS
from model.tokenizer import Tokenizer
from tasks.curate.check_answer import answer_part
from tasks.grade.reward import Values
from tasks.train.corpora import Parts, lay_out_question, lay_out_solution

Kind = Literal["helpful", "safety"]
FILE = "reward.json"
"""In the model's folder: its kind, and the centre of its scores."""
PASS_TOKENS = 16_384
"""Of one pass, padding included."""
_TAG = re.compile(f"({'|'.join(map(re.escape, TAGS))})")


def lay_out_judged(kind: Kind, prompt: str, response: str) -> Parts:
    """What a reward model of this kind sees: the conversation, with the answer alone or with all of the response."""
    question = lay_out_question(prompt, "turns")
    if kind == "helpful":
        return (*question, *lay_out_solution((), answer_part(response), "turns"))
    tagged: Parts = tuple(ID[piece] if piece in TAGS else piece for piece in _TAG.split(response) if piece)
    return (*question, *tagged, ID[EOS])


class RewardModel:
    """A reward model from its folder. A score depends on prompt and response alone, and beyond rounding not on what
    stands beside them; what it sees alike (one answer after other thoughts) has the very same score.
    """

    def __init__(self, folder: Path, device: torch.device | None = None) -> None:
        """Load it.

        Raises:
            ValueError: the folder holds no reward model.
        """
        config, state = load_folder(folder)
        if SCORE not in state or not (folder / FILE).exists():
            raise ValueError(f"{folder} holds no reward model: it has no {SCORE} or no {FILE}")
        about: dict[str, Any] = json.loads((folder / FILE).read_text())
        self.kind: Kind = about["kind"]
        self.centre = float(about["centre"])
        self.tokenizer = Tokenizer.load(folder)
        self.longest = config.max_positions
        # The sampler's network, without logits: tied, it asks for no head.
        tied = config.model_copy(update={"tie_embeddings": True})
        self._network = Network(tied, {k: v for k, v in state.items() if k != SCORE}, self.longest, device)
        self._score_H = state[SCORE][0].float().to(self._network.device)

    def __call__(self, prompts: Sequence[str], responses: Sequence[str]) -> Values:
        """Rewards, 0 to 1 (see the top of this file)."""
        return 1 / (1 + np.exp(self.centre - self.scores(prompts, responses)))

    @torch.no_grad()
    def scores(self, prompts: Sequence[str], responses: Sequence[str]) -> Values:
        """Raw scores [N]. What is longer than the model's positions is judged by its beginning."""
        pairs = list(zip(prompts, responses, strict=True))
        asked = list(dict.fromkeys(pairs))  # a policy says the same thing again and again
        seen = [tuple(self._cut(ids)) for ids in
                self.tokenizer.encode_parts([lay_out_judged(self.kind, *pair) for pair in asked])]  # fmt: skip
        # Each once: rounded by its place in a pass, an answer would differ from itself, and its group seem to teach.
        rows = list(dict.fromkeys(seen))
        order = sorted(range(len(rows)), key=lambda index: (-len(rows[index]), index))
        found = np.zeros(len(rows))
        while order:
            count = max(1, PASS_TOKENS // len(rows[order[0]]))
            taken, order = order[:count], order[count:]
            found[taken] = self._pass([rows[index] for index in taken])
        by_row = dict(zip(rows, found, strict=True))
        by_pair = {pair: by_row[row] for pair, row in zip(asked, seen, strict=True)}
        return np.array([by_pair[pair] for pair in pairs], np.float64)

    def _cut(self, ids: list[int]) -> list[int]:
        return ids if len(ids) <= self.longest else [*ids[: self.longest - 1], ids[-1]]

    def _pass(self, rows: Sequence[tuple[int, ...]]) -> Values:
        """Scores of rows, the longest first."""
        device = self._network.device
        tokens_BT = torch.zeros(len(rows), len(rows[0]), dtype=torch.int64)
        for index, row in enumerate(rows):
            tokens_BT[index, : len(row)] = torch.tensor(row)
        hidden_BTH, _ = self._network.prefill(tokens_BT.to(device))
        last_B = torch.tensor([len(row) - 1 for row in rows], device=device)
        scores_B = hidden_BTH[torch.arange(len(rows), device=device), last_B] @ self._score_H
        return np.asarray(scores_B.double().cpu().numpy(), np.float64)


def describe(folder: Path, kind: Kind, centre: float) -> None:
    """Say in a model's folder how it judges."""
    (folder / FILE).write_text(json.dumps({"kind": kind, "centre": centre}, sort_keys=True) + "\n")
