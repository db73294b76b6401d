"""Warnings that a user can act on: each says what is seen and what to change. Said once each time it begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.rl.config import WatchOptions

History = dict[str, list[float]]
WATCHED = ("reward", "entropy", "response_tokens", "zero_variance_share", "cut_share")


class Watch:
    """Remembers what it needs of earlier steps; its state travels in the checkpoint."""

    def __init__(self, options: WatchOptions, reward_scale: float, state: Mapping[str, Any] | None = None) -> None:
        """Go on from `state`; `reward_scale` is the sum of the rewards' weights."""
        self.options, self.scale = options, reward_scale or 1.0
        state = state or {}
        self.first: History = {name: list(state.get("first", {}).get(name, [])) for name in WATCHED}
        """Of the first steps."""
        self.last: History = {name: list(state.get("last", {}).get(name, [])) for name in WATCHED}
        """Of the last steps."""
        self.looks: list[list[float]] = [list(look) for look in state.get("looks", [])]
        """(mean reward of the last steps, held-out pass rate, the reward models' held-out score) at each look."""
        self.rewarded: int = state.get("rewarded", 0)
        """Parts of the mix and judges that were in at the last look."""
        self.on: set[str] = set(state.get("on", []))
        """Kinds of warning whose cause holds since it was said."""

    def state(self) -> dict[str, Any]:
        """As JSON."""
        looks = {"looks": self.looks, "rewarded": self.rewarded}
        return {"first": self.first, "last": self.last, **looks, "on": sorted(self.on)}

    def step(self, values: Mapping[str, float]) -> list[str]:
        """Warnings after a step's metrics."""
        o, window = self.options, self.options.window_steps
        for name in WATCHED:
            if len(self.first[name]) < window:
                self.first[name].append(values[name])
            self.last[name] = [*self.last[name], values[name]][-window:]
        zero, cut = self._mean("zero_variance_share"), self._mean("cut_share")
        entropy, tokens = self._mean("entropy"), self._mean("response_tokens")
        first_entropy, first_tokens = _mean(self.first["entropy"]), _mean(self.first["response_tokens"])
        gap, worst = values.get("sampler_gap", 0.0), values.get("sampler_gap_max", 0.0)
        return self._said(
            {
                "zero variance": zero > o.zero_variance_share
                and f"{zero:.0%} of the groups have equal rewards and teach nothing ({values['all_right_share']:.0%}"
                f" all right, {values['all_wrong_share']:.0%} all wrong): choose other questions, more samples a"
                " question, or waves > 1",
                "entropy": entropy < o.entropy_share * first_entropy
                and f"entropy fell from {first_entropy:.3f} to {entropy:.3f} nats a token: the policy stops exploring;"
                " raise algorithm.clip_high or the temperature, or lower the learning rate",
                "length": tokens > o.length_factor * first_tokens
                and f"responses grew from {first_tokens:.0f} to {tokens:.0f} tokens: read some; if they repeat"
                " themselves set rewards.repetition, if they ramble overlong.weight",
                "cut": cut > o.cut_share
                and f"{cut:.0%} of the responses are cut off: raise max_tokens if they get somewhere, else"
                " set overlong.weight",
                "gap": (gap > o.gap_mean or worst > o.gap_max)
                and f"sampler and trainer disagree on log-probabilities by {gap:.4f} nats on average, {worst:.2f} at"
                " worst: set algorithm.sampler_cap = 2 (TIS), and look at router_mismatch",
            }
        )

    def look(self, pass_rate: float, preference: float | None = None, rewarded: int = 0) -> list[str]:
        """Warnings after a held-out measurement.

        Args:
            pass_rate: by the checkers.
            preference: the reward models' mean score of the held-out answers, where there are such models.
            rewarded: parts of the mix and judges that are in by now. When another comes in, rewards before it say
                nothing.
        """
        o = self.options
        if rewarded != self.rewarded:
            self.rewarded, self.looks, self.last["reward"] = rewarded, [], []
        if self.last["reward"]:
            look = [self._mean("reward"), pass_rate, *([] if preference is None else [preference])]
            self.looks = [*self.looks, look][-o.hacking_looks - 1 :]
        if len(self.looks) <= o.hacking_looks:
            return []
        (reward_then, rate_then, *liked_then), (reward_now, rate_now, *liked_now) = self.looks[0], self.looks[-1]
        pleased = sum(liked_now) - sum(liked_then) > o.hacking_preference and rate_then - rate_now > o.hacking_held_out
        hacked = reward_now - reward_then > o.hacking_reward * self.scale and rate_now - rate_then < o.hacking_held_out
        return self._said(
            {
                "hacking": hacked
                and f"the reward rose from {reward_then:.3f} to {reward_now:.3f} while the held-out pass rate went from"
                f" {rate_then:.1%} to {rate_now:.1%}: read rollouts with a high reward, and look at the terms"
                " reward.* that rose",
                "preference": pleased
                and f"the reward models' held-out score rose from {sum(liked_then):.3f} to {sum(liked_now):.3f} while"
                f" the held-out pass rate fell from {rate_then:.1%} to {rate_now:.1%}: read what they like, lower"
                " their weight in rewards.judges, or let them in later (from_share)",
            }
        )

    def _mean(self, name: str) -> float:
        return _mean(self.last[name])

    def _said(self, found: Mapping[str, str | bool]) -> list[str]:
        """Texts of those that were not on before."""
        new = [text for kind, text in found.items() if text and kind not in self.on]
        self.on = (self.on - set(found)) | {kind for kind, text in found.items() if text}
        return [str(text) for text in new]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
