"""Names that are given a value twice: `S = 165*6/11`, then `S = 54`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from tasks.grade.steps.chains import Chain
from tasks.grade.steps.judge import readings
from tasks.grade.steps.operands import Operand
from tasks.grade.steps.report import Claim
from tasks.grade.steps.values import agree
from tasks.grade.steps.words import is_modular, is_refuted, is_rounded, is_whole

MAX_GAP = 100
_NOISE = re.compile(r"[\s$&]+|\\[()\[\]]|\\\\|\\text|\\mathrm|[{}]")
_BREAKS = re.compile(
    r"\b(?:or|and|case|another|also|new|second|next|if|when|let|try|instead|but|however|updat\w*|now)\b|[,;](?:\s|\\q?quad|\\[()]|\$)*$|[;?]",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Named:
    """A name, the computation it was last set to, where that ended, and whether it was carried out there."""

    name: str
    operand: Operand
    end: int
    settled: bool
    tail: str = ""

    def carried(self, step: str) -> Named:
        """The same for the step after `step`: it then ends before that step begins, with `tail` between."""
        return replace(self, end=0, tail=step[self.end :], operand=self.operand._replace(start=0))


def named(step: str, chain: Chain) -> str:
    """The chain's left side as a name, empty when it is a value."""
    first = chain.operands[0]
    if chain.relations[0] != "=" or (first is not None and readings(first, wide=False)):
        return ""
    return _NOISE.sub(" ", step[chain.begin : chain.left_end]).strip().lower()[-80:]


def judge_renamed(index: int, step: str, before: Named, chain: Chain, name: str) -> Claim | None:
    """Is the value a name gets now the one it was computed to just before? None when that is not said."""
    now = chain.operands[1]
    if now is None or before.name != name or not before.operand.computed or chain.begin < before.end:
        return None
    between = before.tail + step[before.end : chain.begin]
    if len(between) > MAX_GAP or _BREAKS.search(between):
        return None
    wide = chain.relations[0] == "~"
    left, right = readings(before.operand, wide=wide), readings(now, wide=wide)
    if not left or not right or now.beside in tuple("AXO") or before.operand.beside in tuple("AXO"):
        return None
    span = (chain.begin, now.end)
    text = step[span[0] : span[1]]
    near = step[max(0, before.operand.start - 100) : now.end + 100]
    if any(agree(x, y, rounded=is_rounded(near), whole=is_whole(near)) for x in left for y in right):
        return Claim(index, span, text, "arithmetic", "ok")
    if before.settled and now.computed:  # another root, another case
        return None
    if now.text in before.operand.text:  # only a part of the computation
        return None
    update = now.computed and any(v.show() in re.findall(r"\d+(?:\.\d+)?", now.text) for v in left)
    if (
        update
        or is_refuted(step, before.operand.start, now.end)
        or is_modular(near)
        or (now.units and before.operand.units and now.units != before.operand.units)
    ):
        return Claim(index, span, text, "arithmetic", "not_checkable", "a new value or another unit")
    value = left[0].show(right[0])
    return Claim(index, span, text, "arithmetic", "wrong", f"{name} was just computed as {value}", value)
