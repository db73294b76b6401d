"""Is a chain of thought fit to be learned from? Sampled, rewritten and edited chains are all judged here.

The checks of DeepSeek-R1's cold start (arXiv 2501.12948, section 2.3.1) as rules: the answer right, every computation
checked and none wrong, one language, no repetition, not too long; a rewritten chain must be readable as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from tasks.curate.check_answer import score
from tasks.curate.check_solutions import judge_steps
from tasks.curate.families.draft import LABELS
from tasks.grade.format import check_format
from tasks.grade.language import LANGUAGES, language_share
from tasks.grade.math.judge import GoldError
from tasks.grade.readability import measure_text
from tasks.rl.grading import checks_itself
from tasks.stage import Reject, StageConfig


class ChainLimits(StageConfig):
    """Where a chain stops being fit."""

    least_computed: int = Field(2, ge=1, le=10_000)
    """Steps with a computation that was checked and holds."""
    own_language_share: float = Field(0.95, ge=0, le=1)
    """Of the chain's words, at least, in the question's language."""
    repeated_ngram_share: float = Field(0.2, ge=0, le=1)
    """Of its word 8-grams, at most, that came before."""
    loop_words: int = Field(24, ge=1, le=1_000_000)
    """Longest stretch that says one thing three times or more (`3 + 3 + 3` is one of 5)."""
    line_chars: int = Field(600, ge=10, le=1_000_000)
    """Longest line; R1 dropped chains with long paragraphs."""
    sentence_words: int = Field(150, ge=5, le=100_000)
    """Longest sentence of a rewritten chain; a sign or a number is a word."""
    symbol_share: float = Field(0.5, ge=0, le=1)
    """Of a rewritten chain's characters, at most, that are neither letters nor digits."""


def unfit(
    problem: Mapping[str, Any], text: str, limits: ChainLimits, *, readable: bool = False, verdicts: Sequence[str] = ()
) -> Reject | None:
    """Why the response `text` to `problem` is not to be learned from; None where it is.

    Args:
        problem: prompt, gold, checker, tests and language of a row of `problems` or of chains.
        text: the response, tags included.
        limits: the thresholds.
        readable: judge it as rewritten: sentences, and a line in which it checks itself.
        verdicts: of its steps, where they are known already (`judge_steps`).

    Raises:
        IsolationError: code is to be judged where no sandbox can be built.
    """
    form = check_format(text)
    if not form.ok:
        return Reject("not well-formed", form.problem)
    try:
        if score(problem, form.answer) != 1:
            return Reject("the answer is wrong", f"{form.answer[:200]}, not {problem['gold'][:200]}")
    except GoldError as error:
        return Reject("gold answer cannot be read", str(error)[:300])
    steps = [line.strip() for line in form.thinking.splitlines() if line.strip()]
    return (
        _steps_fault(problem, steps, form.answer, verdicts or judge_steps(problem["prompt"], steps), limits)
        or _repetition(form.thinking, steps, limits)
        or _language(form.thinking, problem["language"], limits, readable=readable)
        or (_unreadable(text, form.thinking, limits) if readable else None)
    )


_COMPUTES = re.compile(r"[=≈≠<>]")
_RESTATES = tuple(labels["understand"].strip() for labels in LABELS.values())
"""How a line begins that says the question again, its equations included."""
_RESULT = re.compile(r"=\s*([^=]+?)\s*[.。]?$")


def _steps_fault(
    problem: Mapping[str, Any], steps: Sequence[str], answer: str, verdicts: Sequence[str], limits: ChainLimits
) -> Reject | None:
    for step, verdict in zip(steps, verdicts, strict=True):
        if verdict == "wrong":
            return Reject("a step is wrong", step[:300])
        if verdict == "not_checkable" and _COMPUTES.search(step) and not step.startswith(_RESTATES):
            return Reject("a computation could not be checked", step[:300])
    held = [step for step, verdict in zip(steps, verdicts, strict=True) if verdict == "ok"]
    if len(held) < limits.least_computed:
        return Reject("too few computed steps", f"{len(held)} of {limits.least_computed}")
    results = {found[1] for step in held if (found := _RESULT.search(step))}
    if problem["checker"] == "math" and answer not in results:
        return Reject("the answer does not follow from the steps", f"{answer[:200]} is none of their results")
    return None


def _repetition(thinking: str, steps: Sequence[str], limits: ChainLimits) -> Reject | None:
    equations = [step for step in steps if "=" in step]
    for step in equations:
        if equations.count(step) > 1:
            return Reject("repetition", f"said twice: {step[:200]}")
    found = measure_text(thinking)
    if found.repeated_ngram_share > limits.repeated_ngram_share:
        return Reject("repetition", f"{found.repeated_ngram_share:.0%} of the 8-grams came before")
    if found.longest_loop_words > limits.loop_words:
        return Reject("repetition", f"a loop of {found.longest_loop_words} words")
    if found.longest_line_chars > limits.line_chars:
        return Reject("a line is too long", f"{found.longest_line_chars} characters")
    return None


def _language(thinking: str, language: str, limits: ChainLimits, *, readable: bool) -> Reject | None:
    if language not in LANGUAGES:
        return Reject("its language cannot be checked", language)
    found = language_share(thinking, language)  # type: ignore[arg-type]  # checked above
    if found.words and found.share < limits.own_language_share:
        return Reject("mixed languages", f"{found.share:.0%} of {found.words:.0f} words in {language}")
    if readable and not found.words:
        return Reject("hard to read", "no words")
    return None


def _unreadable(text: str, thinking: str, limits: ChainLimits) -> Reject | None:
    if not checks_itself(text):
        return Reject("does not check itself")
    found = measure_text(thinking)
    if found.longest_sentence_words > limits.sentence_words:
        return Reject("hard to read", f"a sentence of {found.longest_sentence_words} words")
    if found.symbol_share > limits.symbol_share:
        return Reject("hard to read", f"{found.symbol_share:.0%} symbols")
    return None
