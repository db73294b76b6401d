"""Sampled responses as rows of a table of chains: split into steps and answer, judged by the problem's checker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from model.sample import Completion
from tasks.curate.check_answer import answer_part
from tasks.grade.format import THINK_OPEN, thinking_of
from tasks.rl.grading import right_answers
from tasks.stage import Reject
from warehouse.columns import TableSchema
from warehouse.ids import row_id

CARRIED = ("family", "level", "language", "category", "prompt", "gold", "checker", "tests")
"""What a row takes over from its problem."""


def split_response(text: str) -> tuple[list[str], str]:
    """Lines of the think part that are not empty, and the answer part ('' where there is none).

    A response without any tag is all answer; one that was cut off in its thinking is all steps.
    """
    thinking = thinking_of(text) if THINK_OPEN in text else ""
    steps = [line.strip() for line in thinking.splitlines() if line.strip()]
    return steps, answer_part(text)


def chain_rows(
    schema: TableSchema, problems: Sequence[Mapping[str, Any]], samples: Sequence[Sequence[Completion]],
    seeds: Sequence[int], model: str, source: str, *, parents: Sequence[Sequence[str]] = (),
) -> pl.DataFrame:  # fmt: skip
    """Rows of `schema` (made by `warehouse.schema_chains.sampled_chains`), by problem and sample.

    Args:
        schema: the table.
        problems: rows of `problems`.
        samples: of each problem its completions.
        seeds: of each problem its request's seed.
        model: name of the policy.
        source: what it was sampled for.
        parents: of each problem the rows beside it that its prompt was made of.
    """
    flat = [(problem, c.text) for problem, found in zip(problems, samples, strict=True) for c in found]
    right = iter(right_answers([problem for problem, _ in flat], [text for _, text in flat]))
    rows: list[dict[str, Any]] = []
    for index, (problem, found) in enumerate(zip(problems, samples, strict=True)):
        for number, completion in enumerate(found):
            steps, answer = split_response(completion.text)
            row = {name: problem[name] for name in CARRIED} | {
                "parents": [problem["id"], *(parents[index] if parents else ())], "partition": "all",
                "problem": problem["id"], "model": model, "source": source, "sample": number, "seed": seeds[index],
                "text": completion.text, "steps": steps, "answer": answer, "correct": next(right) == 1,
                "tokens": len(completion.tokens), "finish": completion.finish,
            }  # fmt: skip
            rows.append(row | {"id": row_id(*(row[name] for name in schema.key))})
    return pl.DataFrame(rows, pl.Schema(schema.arrow), orient="row").select(schema.arrow.names)


def no_room(tokens: int, positions: int, samples: int) -> Reject:
    """Why a question is not asked `samples` times: the model's positions are full with it."""
    return Reject("no room for the prompt", f"{tokens} of the model's {positions} tokens", samples)
