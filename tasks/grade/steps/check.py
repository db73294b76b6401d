"""`check_steps`: every claim of every step judged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tasks.grade.steps.chains import Chain, find_chains
from tasks.grade.steps.equations import Equation, judge_following, judge_result, read_equation
from tasks.grade.steps.judge import judge_pair
from tasks.grade.steps.lexer import MAX_TOKENS, Token, lex
from tasks.grade.steps.names import Named, judge_renamed, named
from tasks.grade.steps.reader import Reader
from tasks.grade.steps.remainders import judge_remainders
from tasks.grade.steps.report import Claim, StepReport, summarize
from tasks.grade.steps.values import agree, evaluate

_REMAINDER = re.compile(r"remainder|[÷余R]|\d ?r ?\d")
"""What a division with a remainder has somewhere."""
MAX_CHARS = 20_000
"""A step is read up to here."""


def check_steps(problem: str, steps: Sequence[str]) -> StepReport:
    """Every checkable claim of a solution's steps with its verdict, and the first step that is wrong.

    Args:
        problem: the problem's text; its equation, when it has exactly one in one variable, is what the result is
            put back into. May be empty.
        steps: the solution, one text a step (`split_steps` makes them from a raw chain).

    Returns:
        a report whose claims are in reading order. What cannot be decided is `not_checkable`, never wrong: nothing
        is claimed about definitions, conditions, other number bases or statements that the text itself denies.
    """
    claims: list[Claim] = []
    last_result: tuple[int, Equation] | None = None
    name: Named | None = None
    for index, step in enumerate(steps):
        found, result, name = _check_step(index, step[:MAX_CHARS], name)
        claims.extend(found)
        if len(step) > MAX_CHARS:
            reason = f"only the first {MAX_CHARS} characters were read"
            claims.append(Claim(index, (MAX_CHARS, len(step)), "", "unread", "not_checkable", reason))
        if result is not None:
            last_result = index, result
    if last_result is not None and (given := _given(problem)):
        index, result = last_result
        if claim := judge_result(index, steps[index], given, result):
            claims.append(claim)
            claims.sort(key=lambda c: c.step)
    return summarize(claims, len(steps))


def _chains(step: str) -> tuple[list[Chain], Reader, int]:
    tokens = lex(step)
    reader = Reader(tokens)
    return find_chains(reader.segments), reader, len(tokens)


def _given(problem: str) -> Equation | None:
    """The problem's only equation, when it is polynomial in one variable and not a definition."""
    if "=" not in problem or len(problem) > MAX_CHARS:
        return None
    chains, _, _ = _chains(problem)
    if sum(len(chain.relations) for chain in chains) != 1:
        return None
    found = read_equation(chains[0], 0)
    return found if found is not None and found.solved is None and found.degree >= 1 else None


def _check_step(index: int, step: str, name_before: Named | None) -> tuple[list[Claim], Equation | None, Named | None]:
    """The step's claims, the last equation in it that gives a variable its value, and the name it ends with.

    `name_before` is the name that the step before ended with.
    """
    chains, reader, token_count = _chains(step)
    claims = [_annotation(index, token) for token in reader.annotations]
    if _REMAINDER.search(step):
        claims.extend(judge_remainders(index, step))
    divided = [claim.span for claim in claims if claim.kind == "division"]
    result: Equation | None = None
    before: Equation | None = None
    for chain in chains:
        pairs = [c for k in range(len(chain.relations)) if (c := judge_pair(index, step, chain, k))]
        claims.extend(c for c in pairs if not any(start <= c.span[0] < c.span[1] <= end for start, end in divided))
        if name := named(step, chain):
            if name_before and (claim := judge_renamed(index, step, name_before, chain, name)):
                claims.append(claim)
            last = chain.operands[-1]
            name_before = Named(name, last, last.end, len(chain.relations) > 1) if last is not None else None
        else:
            name_before = None
        for equation in _equations(chain):
            if before is not None and (claim := judge_following(index, step, before, equation)):
                claims.append(claim)
            before = equation
            result = equation if equation.solved is not None else result
    if token_count >= MAX_TOKENS:
        reason = f"only the first {MAX_TOKENS} tokens were read"
        claims.append(Claim(index, (0, len(step)), "", "unread", "not_checkable", reason))
    carried = name_before.carried(step) if name_before and chains else None
    return sorted(claims, key=lambda c: c.span), result, carried


def _equations(chain: Chain) -> Iterator[Equation]:
    if len(chain.relations) == 1 and (equation := read_equation(chain, 0)):
        yield equation


def _annotation(index: int, token: Token) -> Claim:
    """GSM8K's calculator annotation `<<48/2=24>>`."""
    left, _, right = token.value[2:-2].replace("//", "/").replace("%", "/100").rpartition("=")
    span = (token.start, token.end)
    a = evaluate(left.split("=")[0], True)
    b = evaluate(right, True)
    if a is None or b is None:
        return Claim(index, span, token.value, "annotation", "not_checkable", "no number on both sides")
    if agree(a, b, rounded=False, whole=True):
        return Claim(index, span, token.value, "annotation", "ok")
    return Claim(index, span, token.value, "annotation", "wrong", f"{left} comes to {a.show(b)}", a.show(b))
