"""The tables of rejection sampling and of what a policy's own errors teach: kept chains, labels, repairs, the set."""

from __future__ import annotations

import pyarrow as pa

from warehouse.columns import STRINGS, Column, TableSchema

_CHAT = (
    Column("problem", pa.string(), "id of the problem"),
    Column("family", pa.string(), "task family"),
    Column("level", pa.int16(), "level within the family"),
    Column("language", pa.string(), "ISO 639-1 of the prompt"),
    Column("category", pa.string(), "math, proof, code, logic, stem, general or safety"),
    Column("prompt", pa.string(), "the question as posed"),
    Column("steps", STRINGS, "lines of the think part, in order"),
    Column("answer", pa.string(), "the answer part"),
)

REJECTION_KEPT = TableSchema(
    "rejection_kept",
    "Sampled chains that passed every check of rejection sampling, few and different ones a prompt.",
    ("sample",),
    (
        *_CHAT,
        Column("sample", pa.string(), "id of the sampled chain"),
        Column("model", pa.string(), "name of the policy that sampled it"),
        Column("judge", pa.string(), "who found the answer right: rules, or the name of the generative judge"),
        Column("distance", pa.float32(), "to the nearest kept chain of the same prompt; null: the only one", "0 to 1"),
    ),
)

STEP_LABELS = TableSchema(
    "step_labels",
    "A policy's chain with a verdict on every step and the first wrong one; verdicts[i] is of steps[i].",
    ("rollout",),
    (
        Column("rollout", pa.string(), "id of the rollout"),
        Column("policy", pa.string(), "name of the model in training"),
        Column("step", pa.int32(), "policy version that sampled it: steps trained before", "steps"),
        *_CHAT,
        Column("verdicts", STRINGS, "ok, wrong or not_checkable, one a step"),
        Column("first_wrong", pa.int16(), "index of the first wrong step, from 0; null: none was found", "steps"),
        Column("claim", pa.string(), "the statement in it that is wrong; '' where there is none"),
        Column("expected", pa.string(), "what is right in the place of its right side; '' where not known"),
        Column("reason", pa.string(), "why it is wrong; '' where there is none"),
        Column("finish", pa.string(), "stop, or length where the chain was cut off"),
        Column("correct", pa.bool_(), "the problem's checker accepted the answer"),
    ),
)

REPAIRS = TableSchema(
    "repairs",
    "A policy's own error noticed and repaired: the chain up to its first wrong step, a notice, and how it goes on.",
    ("rollout", "steps_text"),
    (
        *_CHAT,
        Column("rollout", pa.string(), "id of the rollout that went wrong"),
        Column("policy", pa.string(), "name of the model that sampled it"),
        Column("wrong_step", pa.int16(), "index of the wrong step, from 0; the notice follows it", "steps"),
        Column("claim", pa.string(), "the statement in it that is wrong"),
        Column(
            "continued",
            pa.string(),
            "how the rest was found: rollout (a right one with the same steps before), or derived",
        ),
        Column("steps_text", pa.string(), "the steps as one text"),
    ),
)

SFT_SET = TableSchema(
    "sft_set",
    "What the fine-tuning after rejection sampling learns from: reasoning and general rows at a fixed ratio.",
    ("source", "row"),
    (
        *_CHAT,
        Column("kind", pa.string(), "reasoning, repair or general"),
        Column("source", pa.string(), "table that it comes from"),
        Column("row", pa.string(), "its id there"),
    ),
)

SFT_TABLES = (REJECTION_KEPT, STEP_LABELS, REPAIRS, SFT_SET)
