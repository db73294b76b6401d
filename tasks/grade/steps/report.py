"""What the checker says: one `Claim` for each statement that could be checked, and a `StepReport` over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "wrong", "not_checkable"]
Kind = Literal["arithmetic", "annotation", "verbal", "division", "equation", "substitution", "definition", "unread"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One checkable statement of one step.

    `step` counts from 0, `span` holds character offsets into that step's text, and `text` is what they cover.
    `expected` is the corrected value of a wrong claim as text (an equation: what its left side comes to),
    empty otherwise.
    """

    step: int
    span: tuple[int, int]
    text: str
    kind: Kind
    verdict: Verdict
    reason: str = ""
    expected: str = ""


@dataclass(frozen=True, slots=True)
class StepReport:
    """All claims in reading order, the first wrong step, and a verdict for each step.

    A step is wrong when one of its claims is, ok when it has a claim that holds and none that does not, and
    not checkable when nothing in it could be decided.
    """

    claims: tuple[Claim, ...]
    first_wrong: int | None
    steps: tuple[Verdict, ...]

    @property
    def first_wrong_claim(self) -> Claim | None:
        """The claim that makes the first wrong step wrong."""
        return next((claim for claim in self.claims if claim.verdict == "wrong"), None)


def summarize(claims: list[Claim], step_count: int) -> StepReport:
    """The report over the claims of `step_count` steps."""
    seen: list[set[Verdict]] = [set() for _ in range(step_count)]
    for claim in claims:
        seen[claim.step].add(claim.verdict)
    verdicts: list[Verdict] = [
        "wrong" if "wrong" in found else "ok" if "ok" in found else "not_checkable" for found in seen
    ]
    first = next((index for index, verdict in enumerate(verdicts) if verdict == "wrong"), None)
    return StepReport(tuple(claims), first, tuple(verdicts))
