"""Segments to chains of operands with relations between: `3*4 = 12 = 10+2`."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.grade.steps.items import Item, Segment
from tasks.grade.steps.operands import Operand, leading, trailing, whole
from tasks.grade.steps.words import COMPARATIVES

_PREPOSITIONS = frozenset("of for from by than after before between with to at in on".split())  # noqa: SIM905
_REACH = 60
"""Items before a verb that may belong to its computation."""


@dataclass(frozen=True, slots=True)
class Chain:
    """`operands[k] relations[k] operands[k+1]`; None stands for an operand that is no expression.

    `verbal` tells that words stood for signs; the left side as a whole reaches from `begin` to `left_end`.
    """

    operands: tuple[Operand | None, ...]
    relations: tuple[str, ...]
    begin: int
    left_end: int
    verbal: bool
    line_start: bool


def find_chains(segments: list[Segment]) -> list[Chain]:
    """All chains of one step in reading order; one that starts with a relation goes on from the one before."""
    chains: list[Chain] = []
    for segment in segments:
        items = _settle_verbs(segment.items)
        cuts = [k for k, x in enumerate(items) if x.kind == "R"]
        if not cuts:
            continue
        parts = [items[a + 1 : b] for a, b in zip([-1, *cuts], [*cuts, len(items)], strict=True)]
        relations = [items[k] for k in cuts]
        first: Operand | None
        if not parts[0] and segment.soft and chains and chains[-1].operands[-1] is not None:
            first = chains[-1].operands[-1]
        else:
            first = trailing(parts[0])
        _run(chains, segment, parts, relations, first)
    return sorted(chains, key=lambda c: c.left_end)


def _run(
    chains: list[Chain], segment: Segment, parts: list[list[Item]], relations: list[Item], first: Operand | None
) -> None:
    operands = [first]
    signs: list[Item] = []
    begin = parts[0]

    def close(last: Operand | None) -> None:
        verbal = any(x.verbal for x in (*signs, *begin))
        left = begin[0].start if begin else signs[0].start
        chain = Chain((*operands, last), tuple(x.text for x in signs), left, signs[0].start, verbal, segment.line_start)
        chains.append(chain)

    for k, relation in enumerate(relations):
        signs.append(relation)
        part = parts[k + 1]
        if k + 1 == len(relations):
            close(leading(part))
            return
        full = whole(part)
        if full is not None or not part:
            operands.append(full)
            continue
        close(leading(part))
        operands, signs, begin = [trailing(part)], [], part


def _settle_verbs(items: list[Item]) -> list[Item]:
    """ "is" and its kin become a relation after a computation and before a value that is not compared."""
    if not any(x.kind == "V" for x in items):
        return items
    settled: list[Item] = []
    for k, item in enumerate(items):
        if item.kind != "V":
            settled.append(item)
            continue
        kind = "S"
        near = settled[-_REACH:]
        before = trailing(near)
        after = items[k + 1 : k + 3]
        plain = before is not None and any(
            x.kind == "O" and (x.verbal or x.text in "+-*/") and x.start >= before.start for x in near
        )
        if before is not None and plain and settled[-1].kind == "A" and not _is_part(near, before):
            compared = len(after) > 1 and after[1].text in COMPARATIVES
            if after and after[0].kind == "A" and not compared:
                kind = "R"
        settled.append(item._replace(kind=kind))
    return settled


def _is_part(items: list[Item], operand: Operand) -> bool:
    """Does a word before the operand make it a part of something: "the reciprocal of 4/9"?"""
    before = [x for x in items if x.end <= operand.start]
    return bool(before) and before[-1].kind in "SW" and before[-1].text in _PREPOSITIONS
