"""`verify`: the one entry to a verdict, and its batch and async forms."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

from tasks.grade.math.clean import MAX_CHARS, ParseError, clean
from tasks.grade.math.compare import Comparer
from tasks.grade.math.extract import extract_answer, extract_choice, last_value
from tasks.grade.math.leaves import Rounding
from tasks.grade.math.literals import number, reduce_words
from tasks.grade.math.nodes import Choice, Node, Num, Seq, Sym, Text, depth
from tasks.grade.math.parse import Parser
from tasks.grade.math.prose import is_prose
from tasks.grade.math.prover import ProverLimits, prover
from tasks.grade.math.rewrite import expand_signs, simplify_matrices
from tasks.grade.math.show import render
from tasks.grade.math.tokens import tokenize

DEFAULT_ROUNDING = Rounding()
DEFAULT_LIMITS = ProverLimits()
MAX_TREE_DEPTH = 90

_OPTION = re.compile(r"\(?([A-J])\)?(?:[.:)]\s*|\s+)(?=[^\W\d_]{2})(?!(?:is|are|was)\b)(.{1,200})", re.DOTALL)
_OPTION_FIRST = re.compile(r"\(?[A-J][).:]\s")
_LETTER_LIST = re.compile(r"\(?[A-J]\)?(?:\s*(?:,|;|&|/|\band\b|\bor\b)\s*(?:and\b|or\b)?\s*\(?[A-J]\)?)+")
_WORDS_ONLY = re.compile(r"[^\W\d_](?:[^\W\d_]|[\s'’,.;:()/&-])*")
_LATEX_TEXT = re.compile(r"\\(?:text(?:bf|it|rm|normal)?|mbox|mathrm|mathbf)\s*\{([^{}]*)\}")
_IT_IS = re.compile(
    r"(?:(?:so|then|thus|hence|and|now)\b,?\s)?(?:it|this|that|he|she|they|we|you|[a-z])\s"
    r"(?:is|are|was|were|get|got|has|have|had)\s(?=\S{0,60}[\d\\]\S{0,60}$)",
    re.IGNORECASE,
)
"""Before one value: words too short to be told from products of letters."""
_MARKED = re.compile(r"\\boxed|\\fbox|<answer>|</think>|final answer|####", re.IGNORECASE)
_LETTERED = re.compile(
    r"(?:\\(?:text(?:bf|rm)?|mathrm|mathbf)\s*\{\s*\(?([A-J])\)?\.?\s*\}|\(([A-J])\))[\s~]*(?=[\d$\\-])(.{1,200})",
    re.DOTALL,
)
_SPACED_DIGITS = re.compile(r"-?[1-9]\d{0,2}(?: \d{3})+(?:\.\d+)?")
_THOUSANDS = re.compile(r"-?[1-9]\d{0,2}(?:,\d{3})+")
_DECIMAL_COMMA = re.compile(r"(-?)(0,\d+|\d+,\d{1,2}|\d+,\d{4,})")


class GoldError(ValueError):
    """The gold answer cannot be read; the row is broken, and no prediction may be judged by it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`gold` and `prediction` are the answers as parsed; the prediction is empty when none was found."""

    correct: bool
    reason: str
    gold: str
    prediction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One pair for `verify_many`; `options` are a multiple-choice question's texts by letter."""

    gold: str
    prediction: str
    options: Mapping[str, str] | None = None


def verify(
    *,
    gold: str,
    prediction: str,
    options: Mapping[str, str] | None = None,
    rounding: Rounding | None = DEFAULT_ROUNDING,
    limits: ProverLimits = DEFAULT_LIMITS,
) -> Verdict:
    """Does the prediction answer what the gold answers?

    Args:
        gold: the reference, an answer or a solution that marks one.
        prediction: an answer or a whole response.
        options: the texts of a multiple-choice question, so that a letter meets its text.
        rounding: when a decimal stands for what rounds to it; None asks for exact equality.
        limits: time and memory of the worker that decides the hard pairs.

    Raises:
        GoldError: the gold is empty or no answer.
    """
    golds = parse_gold(gold)
    letter = _letter(golds[0])
    answers = _read_prediction(prediction, choice=letter != "")
    if not answers:
        return Verdict(False, "no answer found", render(golds[0]), "")
    comparer = Comparer(rounding, prover(limits))
    if options and letter:
        answers = (*answers, *_option_letters(answers, options, comparer))
    first: Verdict | None = None
    for one in golds:
        for other in answers:
            correct = comparer.same(one, other)
            verdict = Verdict(correct, comparer.reason, render(one), render(other))
            if correct:
                return verdict
            first = first or verdict
    return first or Verdict(False, "no answer found", render(golds[0]), "")


def verify_many(
    cases: Iterable[Case],
    *,
    rounding: Rounding | None = DEFAULT_ROUNDING,
    limits: ProverLimits = DEFAULT_LIMITS,
) -> list[Verdict]:
    """Verdicts in the order of the cases; hard pairs run on all workers at once.

    Raises:
        GoldError: names every case whose gold cannot be read, before any is judged.
    """
    cases = list(cases)
    broken: list[str] = []
    for index, case in enumerate(cases):
        try:
            parse_gold(case.gold)
        except GoldError as error:
            broken.append(f"case {index}: {error}")
    if broken:
        raise GoldError("; ".join(broken[:20]) + (f" and {len(broken) - 20} more" if len(broken) > 20 else ""))

    def judge(case: Case) -> Verdict:
        return verify(
            gold=case.gold, prediction=case.prediction, options=case.options, rounding=rounding, limits=limits
        )

    if len(cases) < 2 or limits.workers == 1:
        return [judge(case) for case in cases]
    with ThreadPoolExecutor(limits.workers) as threads:
        return list(threads.map(judge, cases))


async def averify(
    *,
    gold: str,
    prediction: str,
    options: Mapping[str, str] | None = None,
    rounding: Rounding | None = DEFAULT_ROUNDING,
    limits: ProverLimits = DEFAULT_LIMITS,
) -> Verdict:
    """`verify` for coroutines: it runs in a thread, the loop stays free."""
    return await asyncio.to_thread(
        verify, gold=gold, prediction=prediction, options=options, rounding=rounding, limits=limits
    )


@lru_cache(maxsize=4096)
def parse_gold(gold: str) -> tuple[Node, ...]:
    """The readings of a gold answer, the likeliest first; GoldError when there is none."""
    if not gold.strip():
        raise GoldError("empty gold answer")
    if _MARKED.search(gold):
        text = extract_answer(gold, fallback="none")
    else:
        text = extract_answer(gold, fallback="none") if is_prose(gold) else ""
        text = gold if not text or _readable(gold) else text
    try:
        return readings(text)
    except ParseError as error:
        raise GoldError(f"{gold[:80]!r}: {error}") from error


def _readable(text: str) -> bool:
    try:
        return bool(readings(text))
    except ParseError:
        return False


def _read_prediction(prediction: str, *, choice: bool) -> tuple[Node, ...]:
    text = prediction.strip()
    text = text[said.end() :] if (said := _IT_IS.match(text)) else text
    told = is_prose(text) or _MARKED.search(text) or _OPTION_FIRST.match(text)
    if choice and told and (found := extract_choice(text)):
        return (Sym(found),)
    if len(text) <= MAX_CHARS and not _MARKED.search(text):
        try:
            return readings(text)
        except ParseError:
            if not is_prose(text):
                return ()  # broken mathematics: its last number is no answer
    extracted = extract_answer(text)
    for found in (extracted, last_value(extracted) if is_prose(extracted) else ""):
        try:
            return readings(found)
        except ParseError:
            continue
    return ()


def letter_list(text: str) -> str:
    """The capitals of `A, B and D`, in or out of \\text{}; empty for anything else."""
    plain = _LATEX_TEXT.sub(r" \1 ", text).strip(" $.*")
    return "".join(re.findall(r"[A-J]", plain)) if len(plain) < 80 and _LETTER_LIST.fullmatch(plain) else ""


def readings(text: str) -> tuple[Node, ...]:
    """The trees an answer may mean: usually one, two where a comma is ambiguous."""
    if letters := letter_list(text):
        return (Seq("bare", tuple(map(Sym, letters))),)
    if option := _OPTION.fullmatch(text.strip()):
        return (Choice(option[1], reduce_words(option[2])),)
    if lettered := _LETTERED.fullmatch(text.strip()):
        return (Sym(lettered[1] or lettered[2]), *readings(lettered[3]))
    cleaned = clean(text)
    if _SPACED_DIGITS.fullmatch(cleaned):
        cleaned = cleaned.replace(" ", "")
    nodes = [parse(cleaned)]
    if _THOUSANDS.fullmatch(cleaned):
        nodes.append(Seq("bare", tuple(number(part) for part in cleaned.lstrip("-").split(","))))
    elif comma := _DECIMAL_COMMA.fullmatch(cleaned):
        value = number(comma[2].replace(",", "."))
        nodes.append(Num(-value.value if comma[1] else value.value, value.digits, value.ulp))
    return tuple(nodes)


def parse(cleaned: str) -> Node:
    """The tree of a cleaned answer; words alone make a `Text`."""
    if not cleaned:
        raise ParseError("empty")
    try:
        node = Parser(tokenize(cleaned)).answer()
        if depth(node) > MAX_TREE_DEPTH:
            raise ParseError("nested too deeply")
        return expand_signs(simplify_matrices(node))
    except RecursionError as error:  # the caller's stack was nearly full
        raise ParseError("nested too deeply") from error
    except ParseError:
        plain = _LATEX_TEXT.sub(r" \1 ", cleaned).strip("{} ")
        words = reduce_words(plain) if len(plain) <= 200 and _WORDS_ONLY.fullmatch(plain) else ""
        if len(words) > 1 or (words and len(plain) == 1):
            return Text(words)
        raise


def _letter(gold: Node) -> str:
    if isinstance(gold, Choice):
        return gold.letter
    if isinstance(gold, Sym) and len(gold.name) == 1 and "A" <= gold.name <= "J":
        return gold.name
    return ""


def _option_letters(answers: tuple[Node, ...], options: Mapping[str, str], comparer: Comparer) -> list[Node]:
    """The letters of the options whose text equals an answer, when exactly one does."""
    matching: list[Node] = []
    for letter, text in options.items():
        try:
            option = readings(text)[0]
        except ParseError:
            continue
        if any(comparer.same(option, answer) for answer in answers):
            matching.append(Sym(letter))
    return matching if len(matching) == 1 else []
