"""A suite's questions, from its file or table, each ready to be asked and judged."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import polars as pl

from tasks.evaluate.instructions import as_json
from tasks.evaluate.suites import Kind, Suite
from tasks.grade.code import FunctionTest, StdioTest, Tests
from tasks.stage import Inputs
from tasks.train.corpora import fraction
from warehouse.ids import row_id

Row = Mapping[str, Any]
SETUP = "import math, re, sys"


@dataclass(frozen=True)
class Question:
    """A question of a suite."""

    id: str
    problem: str
    prompt: str
    """`problem` in the suite's template: what the user says."""
    gold: str
    checker: str
    """See `tasks.evaluate.grading`."""
    data: str
    """JSON that a checker of the table `problems` needs; '' elsewhere."""
    tests: Tests
    """Of programs of other suites."""
    options: Mapping[str, str]
    family: str
    level: str
    language: str
    cluster: str
    reference: str
    """A response that must be judged right; '' where there is none."""
    parent: str
    """Id of the table row it comes from; '' for a file."""


def load_questions(suite: Suite, inputs: Inputs, limit: int | None = None) -> list[Question]:
    """The questions, in their order.

    Args:
        suite: what to read.
        inputs: holds the table, or the file under the suite's name.
        limit: so many, drawn by their ids: the first of a larger draw are those of a smaller one.

    Raises:
        ValueError: a column that a template names is missing, two questions have one id, or there is none.
    """
    frame = read_source(suite.source, suite.name, inputs)
    questions: list[Question] = []
    for row in _rows(frame, suite.where, suite.name):
        if suite.date and _fill(suite.date, row, suite) < suite.since:
            continue
        questions.append(make_question(suite, row))
    if len({q.id for q in questions}) != len(questions):
        raise ValueError(f"suite {suite.name}: two questions have the same id; its `id` is {suite.id!r}")
    if not questions:
        raise ValueError(f"suite {suite.name}: no question is left by where={suite.where} and since={suite.since!r}")
    if limit is not None and limit < len(questions):
        chosen = {q.id for q in sorted(questions, key=lambda q: fraction(0, suite.name, q.id))[:limit]}
        questions = [q for q in questions if q.id in chosen]
    return questions


def load_examples(suite: Suite, inputs: Inputs, count: int) -> list[tuple[str, str]]:
    """The first `count` worked examples, as (what the user says, what the assistant says).

    Raises:
        ValueError: the suite has no source of examples, or too few.
    """
    if count == 0:
        return []
    if suite.shots is None:
        raise ValueError(f"suite {suite.name} declares no examples (`shots`): ask with 0 shots")
    shots = suite.shots
    frame = read_source(shots.source, f"{suite.name}.shots", inputs)
    asked = suite.model_copy(update={"where": shots.where, "id": "", "family": "", "level": "", "cluster": "",
                                     "reference": shots.answer})  # fmt: skip
    rows = [row for _, row in zip(range(count), _rows(frame, shots.where, suite.name), strict=False)]
    if len(rows) < count:
        raise ValueError(f"suite {suite.name}: {count} examples were asked for, {shots.source} has {len(rows)}")
    made = [make_question(asked, row) for row in rows]
    return [(question.prompt, question.reference) for question in made]


def read_source(source: str, name: str, inputs: Inputs) -> pl.DataFrame:
    """A table by its own name, a file by the name under which it is given.

    Raises:
        ValueError: a file that is neither Parquet nor JSON Lines.
    """
    if "." not in source:
        return inputs.tables[source].scan().collect()
    (file,) = inputs.files[name]
    suffix = PurePosixPath(file.path).suffix
    if suffix == ".parquet":
        return pl.read_parquet(file.path)
    if suffix in (".jsonl", ".ndjson"):
        return pl.read_ndjson(file.path, infer_schema_length=None)
    raise ValueError(f"{file.path}: a suite's file is .parquet, .jsonl or .ndjson")


def make_question(suite: Suite, row: Row) -> Question:
    """A row of a suite's file or table as a question."""
    own = suite.grader == "own"
    gold = _instructions(row) if suite.grader == "ifeval" else _fill(suite.gold, row, suite)
    if suite.gold_pattern and (found := re.search(suite.gold_pattern, gold)):
        gold = found[1]
    problem = _fill(suite.question, row, suite)
    name = _fill(suite.id, row, suite) or row_id(problem, gold)
    # A table's own answer may be given by example only: a program, a list, a refusal.
    answer = str(row["reference"]) if own and row["reference"] else gold
    reference = _fill(suite.reference, {**row, "gold": answer}, suite)
    return Question(
        id=name, problem=problem, prompt=suite.template.format(question=problem), gold=gold,
        checker=str(row["checker"]) if own else suite.grader, data=str(row["tests"]) if own else "",
        tests=_TESTS[suite.grader](row) if suite.grader in _TESTS else (),
        options={letter: _fill(text, row, suite) for letter, text in suite.options.items()},
        family=_fill(suite.family, row, suite), level=_fill(suite.level, row, suite),
        language=_fill(suite.language, row, suite), cluster=_fill(suite.cluster, row, suite) or name,
        reference=reference, parent=str(row["id"]) if "." not in suite.source else "",
    )  # fmt: skip


def _rows(frame: pl.DataFrame, where: Mapping[str, Sequence[str]], suite: str) -> Iterator[Row]:
    if missing := sorted(set(where) - set(frame.columns)):
        raise ValueError(f"suite {suite}: `where` names {missing}; the columns are {sorted(frame.columns)}")
    for row in frame.iter_rows(named=True):
        if all(str(row[column]) in allowed for column, allowed in where.items()):
            yield row


def _fill(template: str, row: Row, suite: Suite) -> str:
    shown = {
        key: "\n".join(map(str, value)) if isinstance(value, list) else "" if value is None else value
        for key, value in row.items()
    }  # a field without a value is no text `None`: as a gold answer that would be judged, as a level be shown
    try:
        return template.format(**shown)
    except KeyError as error:
        raise ValueError(f"suite {suite.name}: {template!r} names {error}; the columns are {sorted(row)}") from error


def _instructions(row: Row) -> str:
    """Arguments as a list of records, as the hub has them, or as JSON of such a list."""
    arguments = json.loads(row["kwargs_json"]) if "kwargs_json" in row else row["kwargs"]
    return as_json(row["instruction_id_list"], arguments)


def _humaneval(row: Row) -> Tests:
    """Helper functions that a prompt gives are the tests' own copies."""
    name = row["entry_point"]
    return [FunctionTest(f"{row['test']}\ncheck({name})", (name,), row["prompt"])]


def _mbpp(row: Row) -> Tests:
    """All asserts in one, so that a program takes one run; they name the functions that it must define."""
    code = "\n".join([row["test_setup_code"], *row["test_list"]])
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    defined = {n.name for n in ast.walk(ast.parse(row["code"])) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    return [FunctionTest(code, tuple(sorted(used & defined)), SETUP)]


def _stdio(row: Row) -> Tests:
    """Inputs and outputs as lists of texts, or as JSON of such lists."""
    inputs, outputs = (json.loads(v) if isinstance(v, str) else v for v in (row["inputs"], row["outputs"]))
    return [StdioTest(given, wanted) for given, wanted in zip(inputs, outputs, strict=True)]


_TESTS: dict[Kind, Callable[[Row], Tests]] = {"humaneval": _humaneval, "mbpp": _mbpp, "stdio": _stdio}
