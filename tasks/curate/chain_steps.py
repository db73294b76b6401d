"""Sampled chains as steps: every step judged, and of the first wrong one what it claims and what is right.

Chains of a policy are much alike: equal ones are judged once, and many are shared out to processes.
"""

from __future__ import annotations

import multiprocessing
import re
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from tasks.curate.facts import check_fact
from tasks.curate.families.draft import NOTICES
from tasks.grade.steps import check_steps
from tasks.stage import Report

CHUNK_CHAINS = 2_000
"""Judged by one process at a time; fewer are judged where they are: starting a process costs as much."""
_WORD = re.compile(r"\w+|[^\w\s]")
_NOTICES = tuple(notice for notices in NOTICES.values() for notice in notices)
Chain = tuple[str, tuple[str, ...]]
"""A problem's text, and the steps of a solution."""


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """What the checkers say of a chain."""

    verdicts: tuple[str, ...]
    """Of each step: ok, wrong or not_checkable."""
    first_wrong: int | None = None
    """The first wrong step, from 0."""
    claim: str = ""
    """The statement in it that is wrong."""
    expected: str = ""
    """What is right in the place of its right side; '' where that is not known."""
    reason: str = ""

    @property
    def wrong(self) -> tuple[int, ...]:
        """All wrong steps."""
        return tuple(index for index, verdict in enumerate(self.verdicts) if verdict == "wrong")


def judge_chain(problem: str, steps: Sequence[str]) -> ChainVerdict:
    """Verdicts of the step checker, and of `facts` on lines that are no computation."""
    if not steps:
        return ChainVerdict(())
    report = check_steps(problem, steps)
    verdicts = [
        check_fact(step) if verdict == "not_checkable" else verdict
        for step, verdict in zip(steps, report.steps, strict=True)
    ]
    if "wrong" not in verdicts:
        return ChainVerdict(tuple(verdicts))
    first = verdicts.index("wrong")
    if first != report.first_wrong or (claim := report.first_wrong_claim) is None:
        return ChainVerdict(tuple(verdicts), first, steps[first], "", "the statement is not true")
    return ChainVerdict(tuple(verdicts), first, claim.text, claim.expected, claim.reason)


def judge_chains(chains: Sequence[Chain], workers: int, report: Report) -> list[ChainVerdict]:
    """`judge_chain` of each, in order."""
    distinct = list(dict.fromkeys(chains))
    chunks = [distinct[start : start + CHUNK_CHAINS] for start in range(0, len(distinct), CHUNK_CHAINS)]
    known: dict[Chain, ChainVerdict] = {}
    if workers > 1 and len(chunks) > 1:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        with ProcessPoolExecutor(min(workers, len(chunks)), context) as pool:
            for chunk, (found, cpu_seconds) in zip(chunks, pool.map(_judged, chunks), strict=True):
                known.update(zip(chunk, found, strict=True))
                report.cpu_seconds(cpu_seconds)
    else:
        for chunk in chunks:
            known.update(zip(chunk, _judged(chunk)[0], strict=True))
    return [known[chain] for chain in chains]


def _judged(chunk: Sequence[Chain]) -> tuple[list[ChainVerdict], float]:
    """The verdicts, and the CPU seconds they took."""
    started = time.process_time()
    return [judge_chain(*chain) for chain in chunk], time.process_time() - started


def takes_back(steps: Sequence[str], wrong: int) -> bool:
    """Does a later line notice an error ("Wait, that is wrong."), so that the chain itself takes back what it said?"""
    return any(step.strip().startswith(_NOTICES) for step in steps[wrong + 1 :])


def stays_wrong(steps: Sequence[str], verdict: ChainVerdict) -> bool:
    """Is a step wrong that the chain does not put right: notice, and then compute something that is true?"""
    last = max(verdict.wrong, default=-1)
    noticed = [n for n in range(last + 1, len(steps)) if takes_back(steps[: n + 1], n - 1)]
    return last >= 0 and not (noticed and "ok" in verdict.verdicts[noticed[0] :])


def as_words(text: str) -> list[str]:
    """Words, numbers and signs of a text, for comparing chains."""
    return _WORD.findall(text)
