"""The table of decisions: which model was considered as champion, against which, and by what numbers."""

from __future__ import annotations

import pyarrow as pa

from warehouse.columns import Column, TableSchema

DECISIONS = TableSchema(
    "decisions",
    "A model considered as champion: its difference from the one it would follow, by suite and as a whole.",
    ("candidate", "champion", "scope", "suite"),
    (
        Column("candidate", pa.string(), "model@version that was considered"),
        Column("champion", pa.string(), "model@version that held the alias; '' when none did"),
        Column("scope", pa.string(), "suite: one suite and number of shots; capability, safety: the mean over suites"),
        Column("suite", pa.string(), "the suite, with its shots; '' for a mean over suites"),
        Column("safety", pa.bool_(), "it measures safety"),
        Column("candidate_score", pa.float64(), "mean over the questions that both answered"),
        Column("champion_score", pa.float64(), "the same; null when there is no champion"),
        Column("difference", pa.float64(), "candidate less champion, question by question; null as above"),
        Column("low", pa.float64(), "lower end of the difference's 95 % interval; null as above"),
        Column("high", pa.float64(), "upper end of the difference's 95 % interval; null as above"),
        Column("questions", pa.int64(), "questions that both answered", "questions"),
        Column("taken", pa.bool_(), "the candidate takes the alias; the same in all rows of a decision"),
        Column("reason", pa.string(), "why, or why not"),
    ),
)
