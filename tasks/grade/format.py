"""Is a response well-formed: one think part, then one answer, in order, with nothing outside?

The format reward of DeepSeek-R1-Zero (arXiv 2501.12948, section 2.2.2). Templates that end their prompt with
`<think>` are read as such: there the response must not open it again, and a check that waits for the opening tag
would give 0 for ever.
"""

from __future__ import annotations

from dataclasses import dataclass

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
ANSWER_OPEN, ANSWER_CLOSE = "<answer>", "</answer>"


@dataclass(frozen=True)
class FormatVerdict:
    """Whether a response is well-formed, what is wrong, and its parts (empty when it is not)."""

    ok: bool
    problem: str
    """Empty when ok; else short, and the same for the same fault."""
    thinking: str
    answer: str


def opens_thinking(prompt: str) -> bool:
    """Whether the prompt's template has already opened the think part."""
    return prompt.rstrip().endswith(THINK_OPEN)


def check_format(response: str, *, prompt: str = "", answer_tags: bool = True) -> FormatVerdict:
    """Check a response as the continuation of its prompt.

    Args:
        response: the model's whole output, without end-of-text tokens.
        prompt: what it continues; only whether it ends with `<think>` matters.
        answer_tags: True for R1-Zero's template (`<answer>…</answer>` after the thinking), False for R1's, where
            all that follows `</think>` is the answer and answer tags have no meaning.
    """
    text = THINK_OPEN + response if opens_thinking(prompt) else response
    tags = [THINK_OPEN, THINK_CLOSE, *([ANSWER_OPEN, ANSWER_CLOSE] if answer_tags else [])]
    for tag in tags:
        count = text.count(tag)
        if count != 1:
            return _fault(f"{tag} missing" if count == 0 else f"{tag} more than once")
    places = [text.index(tag) for tag in tags]
    if places != sorted(places):
        return _fault("tags out of order")
    if text[: places[0]].strip():
        return _fault("text before the thinking")
    thinking = text[places[0] + len(THINK_OPEN) : places[1]].strip()
    rest = text[places[1] + len(THINK_CLOSE) :]
    if answer_tags:
        between, _tag, rest = rest.partition(ANSWER_OPEN)
        answer, _tag, after = rest.partition(ANSWER_CLOSE)
        if between.strip():
            return _fault("text between thinking and answer")
        if after.strip():
            return _fault("text after the answer")
    else:
        answer = rest
    if not thinking:
        return _fault("no thinking")
    if not answer.strip():
        return _fault("no answer")
    return FormatVerdict(True, "", thinking, answer.strip())


def thinking_of(response: str, *, prompt: str = "") -> str:
    """The think part as far as there is one, also of a response that was cut off or has none of the tags.

    Without any tag the whole response is returned: what the language and readability graders must look at.
    """
    text = THINK_OPEN + response if opens_thinking(prompt) else response
    _before, opened, inner = text.partition(THINK_OPEN)
    return (inner if opened else text).partition(THINK_CLOSE)[0].strip()


def _fault(problem: str) -> FormatVerdict:
    return FormatVerdict(False, problem, "", "")
