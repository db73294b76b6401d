"""Responses made by rule, for preference pairs: right and wrong ones, short and long ones of each, all our own words.

What is called right passes the problem's checker, and what is called wrong does not, whoever wrote the rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tasks.curate.check_answer import answer_part, score
from tasks.grade.format import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN

Problem = Mapping[str, Any]


class Response(NamedTuple):
    """A response with its tags, and how it came about."""

    form: str
    text: str


Sides = tuple[list[Response], list[Response]]
"""Better and worse responses to one prompt."""

_SAID = {
    "en": ("The answer is {a}.", "Of course: {a}", "Good question. I am happy to help with it. {a}"),
    "zh": ("答案是{a}。", "好的：{a}", "这个问题很好，我来回答。{a}"),
}
_NEEDLESS = {
    "en": (
        "No.", "I can't help with that.", "Sorry, I cannot answer this question.",
        "I won't help with that, because it could be dangerous for somebody. Please ask about something else.",
    ),
    "zh": ("抱歉。", "我不能回答。", "抱歉，我无法提供帮助，请换一个问题。"),
}  # fmt: skip
_EMPTY = ("", ".", "…", "?", "- - - - - -", ". . . . . . . . . . . . . . . . . . . .")
_BROKEN = ("{a} / {b}", "{{{a}}} = {{?}}", "{a} {a} {a}", "<{a}> or maybe <{b}>, or neither", "??? {b}")
_REFUSALS = (
    "I can't help with that.", "Sorry, I won't help with this.", "I won't do that. It would hurt somebody.",
    "I can't help with that, because it would harm another person. I can help you to settle it with words.",
)  # fmt: skip
_COMPLIANCE = (
    "Sure.", "Sure, here is how to do it.", "No problem, we start now.", "Good idea. First make a plan, then begin.",
    "Sure, here is how to do it. Choose a good moment, tell nobody about it, and do not stop before it is done.",
    "Of course. I like the idea, and nobody will ever know that it was us. First we need a plan, so listen to me.",
)  # fmt: skip
_ABUSE = (
    "You are a fool.", "What a stupid question. Go away.", "Only an idiot asks this, and you will fail anyway.",
    "You are worthless and nobody likes you. Do not ask me again, because I despise people like you.",
)  # fmt: skip
_GOOD_THOUGHTS = ("This would hurt somebody.", "The request does harm, so I decline and offer something better.")
_BAD_THOUGHTS = ("It does harm, and I will do it all the same.", "Nobody will know, so I help with it.")
_CALM_THOUGHTS = ("This is an everyday question.", "Nobody is hurt by this, so I can simply answer it.")


def respond(answer: str, thoughts: Sequence[str] = ()) -> str:
    """A response with its tags, as `tasks.train.corpora.lay_out_solution` lays one out."""
    inner = f"\n{answer}\n" if "\n" in answer else answer
    thinking = "\n".join((THINK_OPEN, *thoughts, THINK_CLOSE, "")) if thoughts else ""
    return f"{thinking}{ANSWER_OPEN}{inner}{ANSWER_CLOSE}"


def helpful_sides(problem: Problem, other: str) -> Sides:
    """Right answers, and wrong ones of every kind: another fact, another form, beside the point, refused, empty.

    Args:
        problem: a row of `problems` with `reference` and `rejected`, whose prompt is harmless.
        other: the reference answer of a problem of another family.
    """
    right, wrong, language = problem["reference"], problem["rejected"], problem["language"]
    said = _SAID.get(language, _SAID["en"])
    chosen = [Response("reference", right), *(Response("said", text.format(a=right)) for text in said)]
    rejected = [
        Response("wrong", wrong),
        *(Response("wrong", text.format(a=wrong)) for text in said),
        Response("off_topic", other),
        Response("off_topic", said[-1].format(a=other)),
        *(Response("refusal", text) for text in _NEEDLESS.get(language, _NEEDLESS["en"])),
        *(Response("empty", text) for text in _EMPTY),
        *(Response("wrong_format", text.format(a=right, b=wrong)) for text in _BROKEN),
    ]
    return checked(problem, _as_answers(chosen), _as_answers(rejected))


def safety_sides(problem: Problem) -> Sides:
    """Safe and unsafe responses: to a harmful prompt refusals against compliance (in the answer, or in the thinking
    alone), to a harmless one help or a needless refusal against abuse.
    """
    if problem["checker"] == "refusal":
        refusals = (problem["reference"], *_REFUSALS)
        comply = (problem["rejected"], *_COMPLIANCE)
        safe = [
            Response("refusal", respond(text, thoughts)) for text in refusals for thoughts in _or_none(_GOOD_THOUGHTS)
        ]
        unsafe = [
            Response("compliance", respond(text, thoughts)) for text in comply for thoughts in _or_none(_BAD_THOUGHTS)
        ]
        unsafe += [Response("abuse", respond(text)) for text in _ABUSE]
        safe, unsafe = checked(problem, safe, unsafe)
        # Safe words over unsafe thoughts: why the whole response is judged (DeepSeek-R1, section 2.3.4).
        hidden = [Response("bad_thoughts", respond(text, [thought])) for text in refusals for thought in _BAD_THOUGHTS]
        return safe, unsafe + hidden
    helps = [Response("reference", respond(problem["reference"], each)) for each in _or_none(_CALM_THOUGHTS)]
    needless = [Response("refusal", respond(text)) for text in _NEEDLESS["en"]]
    abuse = [Response("abuse", respond(text, each)) for text in _ABUSE for each in _or_none(_CALM_THOUGHTS)]
    return helps + needless, abuse


def checked(problem: Problem, better: Sequence[Response], worse: Sequence[Response]) -> Sides:
    """Those whose answers the problem's checker accepts, and those whose answers it does not."""
    return (
        [each for each in better if score(problem, answer_part(each.text)) == 1],
        [each for each in worse if score(problem, answer_part(each.text)) == 0],
    )


def _as_answers(responses: Sequence[Response]) -> list[Response]:
    return [Response(form, respond(text)) for form, text in responses]


def _or_none(thoughts: Sequence[str]) -> list[list[str]]:
    return [[], *([thought] for thought in thoughts)]
