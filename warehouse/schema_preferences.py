"""The table of alignment: which of two responses is the better one, or the safe one."""

from __future__ import annotations

import pyarrow as pa

from warehouse.columns import Column, TableSchema

PREFERENCES = TableSchema(
    "preferences",
    "Pairs of responses to one prompt, the better first; chosen so that length tells nothing; parents: the problem.",
    ("kind", "problem", "chosen", "rejected"),
    (
        Column("kind", pa.string(), "helpful: the better answer; safety: a safe response and an unsafe one"),
        Column("problem", pa.string(), "id of the problem"),
        Column("family", pa.string(), "task family"),
        Column("category", pa.string(), "general or safety"),
        Column("language", pa.string(), "ISO 639-1 of the prompt"),
        Column("split", pa.string(), "train, validation or test: the problem's, which problems of one group share"),
        Column("group", pa.string(), "hash of what makes it the same problem in other words"),
        Column("prompt", pa.string(), "the question as posed"),
        Column("chosen", pa.string(), "the better response, tags included; of the kind safety: the safe one"),
        Column("rejected", pa.string(), "the worse response; of the kind safety: the unsafe one"),
        Column("chosen_form", pa.string(), "how it came about: reference, said, refusal, …, or sampled"),
        Column("rejected_form", pa.string(), "wrong, off_topic, refusal, empty, wrong_format, …, or sampled"),
        Column("source", pa.string(), "who says so: rules (by construction), checker, or judge"),
        Column("margin", pa.float64(), "mean verdict of the judge, up to 2; null where no judge was asked"),
        Column("votes", pa.int16(), "judgements asked for", "judgements"),
    ),
)

PREFERENCE_TABLES = (PREFERENCES,)
