"""Sampling for the cold start: a tiny real policy, real tables, worked examples before the question."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from model.tokenizer import Tokenizer
from tasks.curate.chain_rows import split_response
from tasks.curate.sample_chains import sample_chains
from tasks.curate.sample_cold_start import STAGE, SampleColdStartConfig
from tasks.stage import Inputs
from tests.tasks.rl.kit import Listener, make_policy
from warehouse.schema_chains import COLD_START_SAMPLES
from warehouse.schema_curate import PROBLEMS, SYNTHETIC_CORPUS
from warehouse.tables import Tables


def problem(number: int, **other: Any) -> dict[str, Any]:
    """A row of `problems`; two neighbours are one problem in other words."""
    row = {
        "id": f"{number:032x}", "parents": [], "partition": "all", "family": "running_sums", "category": "math",
        "level": 1, "language": "en", "split": "train", "prompt": f"{number} + 1 =", "gold": str(number + 1),
        "checker": "math", "tests": "", "params": "{}", "template": "", "group": f"g{number // 2}", "reference": "",
        "rejected": "",
    }  # fmt: skip
    return row | other


def solution(number: int, **other: Any) -> dict[str, Any]:
    """A worked example of problem `number`."""
    row = {name: value for name, value in problem(number).items() if name in SYNTHETIC_CORPUS.arrow.names} | {
        "id": f"{1000 + number:032x}", "problem": f"{number:032x}", "style": "full", "variant": 0,
        "steps": [f"{number} + 1 = {number + 1}"], "answer": str(number + 1), "planted": None, "text": "",
        "first_wrong": None, "steps_checked": 1, "correct": True, "pretrain": True,
    }  # fmt: skip
    return row | other


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    folder = tmp_path_factory.mktemp("cold")
    policy = make_policy(folder)
    tables = Tables(str(folder / "warehouse"))
    problems = [*map(problem, range(6)), problem(6, split="test"), problem(8, family="differences"),
                problem(10, language="zh")]  # fmt: skip
    corpus = [
        *map(solution, range(6)),
        solution(7, style="bare"),
        solution(9, correct=False),
        solution(11, split="test"),
    ]
    for schema, rows in ((PROBLEMS, problems), (SYNTHETIC_CORPUS, corpus)):
        frame = pl.DataFrame(rows, pl.Schema(schema.arrow), orient="row").select(schema.arrow.names)
        tables.commit(schema, [frame], partitions=("all",))
    views = {name: tables.view(name) for name in ("problems", "synthetic_corpus")}
    return Inputs(tables=views, models={"rigor-zero": policy, "rigor-base": policy}, scratch=folder)


CONFIG = SampleColdStartConfig(
    questions={"families": ("running_sums",)}, zero_samples=2, prompted_samples=3, shots=2, max_tokens=5,
)  # fmt: skip


def sampled(inputs: Inputs, config: SampleColdStartConfig) -> tuple[pl.DataFrame, Listener]:
    """The stage's rows, as they would be committed."""
    notes = Listener()
    work = Path(tempfile.mkdtemp(dir=inputs.scratch))  # nothing kept by an earlier call
    made = STAGE.run(config, replace(inputs, work=work), notes)
    assert isinstance(made, Iterator)
    frame = pl.concat(made)
    assert frame.schema == pl.Schema(COLD_START_SAMPLES.arrow)
    assert notes.read == frame.height + sum(rejected.reject.count for rejected in notes.rejected)
    return frame, notes


def test_both_policies_are_asked_and_examples_are_of_other_problems(inputs: Inputs) -> None:
    frame, notes = sampled(inputs, CONFIG)
    assert frame.group_by("source", "model").len().sort("source").rows() == [
        ("prompted", "rigor-base", 6 * 3), ("zero", "rigor-zero", 7 * 2),
    ]  # fmt: skip
    assert [(r.row, r.reject.reason, r.reject.count) for r in notes.rejected] == [
        (f"{10:032x}", "not enough worked examples in its language", 3)
    ]
    for row in frame.filter(pl.col("source") == "prompted").to_dicts():
        own, *examples = row["parents"]
        assert own == row["problem"]
        numbers = {int(name, 16) - 1000 for name in examples}
        assert len(numbers) == 2
        assert numbers <= set(range(6))
        assert int(own, 16) // 2 not in {number // 2 for number in numbers}
    assert frame["id"].n_unique() == frame.height
    again, _ = sampled(inputs, CONFIG)
    assert again.equals(frame)


def test_the_examples_are_turns_before_the_question(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []

    def listen(policy: Path, prompts: Any, *args: Any, **more: Any) -> Any:
        asked.extend(map(list, prompts))
        return sample_chains(policy, prompts, *args, **more)

    monkeypatch.setattr("tasks.curate.sample_cold_start.sample_chains", listen)
    frame, _ = sampled(inputs, CONFIG.model_copy(update={"zero_samples": 0, "problems": 1}))
    (row,) = frame.head(1).to_dicts()
    first, second = (int(name, 16) - 1000 for name in row["parents"][1:])
    tokenizer = Tokenizer.load(inputs.models["rigor-base"])
    bos, eos = (tokenizer.decode([token]) for token in (tokenizer.bos, tokenizer.eos))
    turns = "".join(
        f"<|user|>{n} + 1 =<|assistant|><think>\n{n} + 1 = {n + 1}\n</think>\n<answer>{n + 1}</answer>{eos}"
        for n in (first, second)
    )
    assert tokenizer.decode(asked[0]) == f"{bos}{turns}<|user|>{row['prompt']}<|assistant|><think>\nUnderstand:"
    assert row["text"].startswith("<think>\nUnderstand:")
    closed, _ = sampled(
        inputs, CONFIG.model_copy(update={"zero_samples": 0, "problems": 1, "opened": False, "shots": 0})
    )
    assert tokenizer.decode(asked[-1]) == f"{bos}<|user|>{row['prompt']}<|assistant|>"
    assert not any(text.startswith("<think>\nUnderstand:") for text in closed["text"])


def test_a_sample_depends_on_its_problem_alone(inputs: Inputs) -> None:
    one = CONFIG.model_copy(update={"prompted_samples": 0, "problems": 3})
    few, _ = sampled(inputs, one)
    every, _ = sampled(inputs, CONFIG)
    assert few.join(every, on="id", how="semi").height == few.height == 6


@pytest.mark.parametrize(
    ("text", "steps", "answer"),
    [
        ("<think>\na\n\n b \n</think>\n<answer>1</answer>", ["a", "b"], "1"),
        ("<think>\na\nb", ["a", "b"], ""),
        ("<think>\na\n<answer>1</answer>", ["a", "<answer>1</answer>"], ""),
        ("just 12", [], "just 12"),
        ("<answer>1</answer>", [], "1"),
        ("<think>a</think>\n12", ["a"], "12"),
    ],
)
def test_a_response_is_split_into_steps_and_answer(text: str, steps: list[str], answer: str) -> None:
    assert split_response(text) == (steps, answer)
