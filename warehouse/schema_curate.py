"""The tables of the synthetic side: problems, written solutions, the checked corpus, and the curriculum."""

from __future__ import annotations

import pyarrow as pa

from warehouse.columns import STRINGS, Column, TableSchema

_PROBLEM = (
    Column("family", pa.string(), "task family; reasoning-gym's carry the prefix gym_"),
    Column("category", pa.string(), "math, proof, code, logic, stem, general or safety"),
    Column("level", pa.int16(), "difficulty level within the family, from 1"),
    Column("language", pa.string(), "ISO 639-1 of the prompt"),
    Column("split", pa.string(), "train, validation or test; problems of one group share it"),
    Column("prompt", pa.string(), "the problem as posed"),
    Column("gold", pa.string(), "reference answer; '' where only tests or a kind of behaviour are asked for"),
    Column("checker", pa.string(), "who judges an answer, see tasks/curate/check_answer.py"),
    Column(
        "tests",
        pa.string(),
        "JSON that the checker needs: asserts and entry point, options, or a scorer's data",
    ),
)

PROBLEMS = TableSchema(
    "problems",
    "Verifiable problems with gold answers and checkers; held-out splits share no form with the training split.",
    ("family", "language", "prompt", "gold"),
    (
        *_PROBLEM,
        Column(
            "params",
            pa.string(),
            "JSON of the operands the problem was made from; {} where nothing is rebuilt",
        ),
        Column("template", pa.string(), "the wording, its operands masked"),
        Column("group", pa.string(), "hash of what makes it the same problem in other words or another order"),
        Column("reference", pa.string(), "a reference response or program; '' where there is none"),
        Column(
            "rejected",
            pa.string(),
            "a response of the other kind, for preference pairs; '' where there is none",
        ),
    ),
)

SOLUTIONS = TableSchema(
    "solutions",
    "Solutions as written, before any check: several ways to reason, planted errors with their place.",
    ("problem", "style", "variant", "text"),
    (
        Column("problem", pa.string(), "id of the problem"),
        *_PROBLEM,
        Column("style", pa.string(), "bare, steps, full, repair, wrong or reference"),
        Column("variant", pa.int16(), "number of the solution among those of one problem and style, from 0"),
        Column("steps", STRINGS, "lines of the think part, in order"),
        Column("answer", pa.string(), "the answer part"),
        Column("planted", pa.int16(), "index of the step that holds a planted error, from 0; null: none", "steps"),
        Column("text", pa.string(), "prompt and solution as the model reads them"),
    ),
)

SYNTHETIC_CORPUS = TableSchema(
    "synthetic_corpus",
    "Checked solutions: no unplanned error, planted ones found exactly where they were planted.",
    SOLUTIONS.key,
    (
        *SOLUTIONS.columns,
        Column("first_wrong", pa.int16(), "first step that the step checker calls wrong; null: none", "steps"),
        Column("steps_checked", pa.int16(), "steps with a claim that the checker decided", "steps"),
        Column("correct", pa.bool_(), "the answer part is right"),
        Column(
            "pretrain",
            pa.bool_(),
            "belongs to the pre-training corpus: correct, or within the share of wrong",
        ),
    ),
)

CURRICULUM = TableSchema(
    "curriculum",
    "The order in which problems are trained on: easy to hard, earlier ones replayed.",
    ("phase", "position", "problem"),
    (
        Column("phase", pa.int16(), "phase, from 0; each brings in the next band of difficulty"),
        Column("position", pa.int64(), "place in the whole order, from 0"),
        Column("problem", pa.string(), "id of the problem"),
        Column("family", pa.string(), "task family"),
        Column("level", pa.int16(), "level within the family"),
        Column("difficulty", pa.float64(), "1 minus the estimated pass rate", "0 to 1"),
        Column("pass_rate", pa.float64(), "the model's own pass rate; null: never tried", "0 to 1"),
        Column("replay", pa.bool_(), "came in an earlier phase already"),
    ),
)

CURATE_TABLES = (PROBLEMS, SOLUTIONS, SYNTHETIC_CORPUS, CURRICULUM)
