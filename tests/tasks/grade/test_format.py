"""The format check on every way to get it wrong, and on real traces."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.grade.format import check_format, opens_thinking, thinking_of

GOOD = "<think>\nfirst, second\n</think>\n<answer>42</answer>\n"


def test_good() -> None:
    verdict = check_format(GOOD)
    assert verdict.ok
    assert (verdict.thinking, verdict.answer, verdict.problem) == ("first, second", "42", "")


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        ("", "<think> missing"),
        ("42", "<think> missing"),
        (GOOD.replace("</think>", ""), "</think> missing"),
        (GOOD.replace("<answer>", ""), "<answer> missing"),
        (GOOD.replace("</answer>", ""), "</answer> missing"),
        (GOOD + GOOD, "<think> more than once"),
        ("<think>" + GOOD, "<think> more than once"),
        (GOOD.replace("</think>", "</think></think>"), "</think> more than once"),
        (GOOD + "<answer>43</answer>", "<answer> more than once"),
        ("</think>a<think>b<answer>c</answer>", "tags out of order"),
        ("<answer>42</answer><think>a</think>", "tags out of order"),
        ("<think>a<answer>42</answer></think>", "tags out of order"),
        ("Sure! " + GOOD, "text before the thinking"),
        (GOOD.replace("<answer>", "so <answer>"), "text between thinking and answer"),
        (GOOD + "Hope it helps", "text after the answer"),
        ("<think> \n</think><answer>42</answer>", "no thinking"),
        ("<think>a</think><answer> </answer>", "no answer"),
        ("<THINK>a</THINK><answer>b</answer>", "<think> missing"),
    ],
)
def test_faults(response: str, problem: str) -> None:
    verdict = check_format(response)
    assert (verdict.ok, verdict.problem) == (False, problem)
    assert verdict.answer == ""


def test_prompt_that_opens_thinking() -> None:
    """The same text earns the same whether the template or the model opened the thinking; twice earns nothing."""
    prompt = "<|Assistant|><think>\n"
    assert opens_thinking(prompt)
    assert not opens_thinking("Explain <think> tags.")
    closed = GOOD.removeprefix("<think>\n")
    assert check_format(closed, prompt=prompt) == check_format(GOOD)
    assert check_format(GOOD, prompt=prompt).problem == "<think> more than once"
    assert check_format(closed).problem == "<think> missing"


def test_free_answer_template() -> None:
    assert check_format("<think>a</think>\nThe answer is 4.", answer_tags=False).answer == "The answer is 4."
    assert check_format("<think>a</think>\n", answer_tags=False).problem == "no answer"


TAGS = ["<think>", "</think>", "<answer>", "</answer>", "x", " ", "\n"]


@settings(max_examples=400)
@given(st.lists(st.sampled_from(TAGS), max_size=9).map("".join))
def test_against_one_regular_expression(response: str) -> None:
    """An independent statement of the rule, on every shuffle of the tags."""
    match = re.fullmatch(
        r"\s*<think>((?:(?!</?think>|</?answer>).)*)</think>\s*<answer>((?:(?!</?think>|</?answer>).)*)</answer>\s*",
        response,
        re.DOTALL,
    )
    expected = match is not None and bool(match[1].strip()) and bool(match[2].strip())
    assert check_format(response).ok is expected


def test_thinking_of() -> None:
    assert thinking_of(GOOD) == "first, second"
    assert thinking_of("cut off", prompt="p<think>") == "cut off"
    assert thinking_of("<think>cut off") == "cut off"
    assert thinking_of("no tags at all") == "no tags at all"


def test_real_traces(rigor_data: Path) -> None:
    """R1 traces whose source says that they think once and then answer."""
    responses = pl.read_parquet(rigor_data / "longcot" / "star1_safety_think.parquet")["response"].to_list()
    good = [check_format(response, answer_tags=False).ok for response in responses]
    simple = [
        response.startswith("<think>") and response.count("think>") == 2 and not response.rstrip().endswith("</think>")
        for response in responses
    ]
    assert good == simple
    assert sum(good) > 900
