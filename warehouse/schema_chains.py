"""The tables of sampled chains of thought: what policies wrote for fine-tuning sets, and the cold start made of it."""

from __future__ import annotations

import pyarrow as pa

from warehouse.columns import STRINGS, Column, TableSchema

_QUESTION = (
    Column("problem", pa.string(), "id of the problem"),
    Column("family", pa.string(), "task family"),
    Column("level", pa.int16(), "level within the family"),
    Column("language", pa.string(), "ISO 639-1 of the question"),
    Column("category", pa.string(), "math, proof, code, logic, stem, general or safety"),
    Column("prompt", pa.string(), "the question as posed"),
    Column("gold", pa.string(), "reference answer; '' where only tests or a kind of behaviour are asked for"),
    Column("checker", pa.string(), "who judges an answer, see tasks/curate/check_answer.py"),
    Column("tests", pa.string(), "JSON that the checker needs"),
    Column("model", pa.string(), "name of the policy that was sampled"),
    Column("source", pa.string(), "what it was sampled for and how: zero, prompted, rejection …"),
)
_RESPONSE = (
    Column("text", pa.string(), "the response, tags included"),
    Column("steps", STRINGS, "lines of its think part that are not empty"),
    Column("answer", pa.string(), "its answer part"),
    Column("correct", pa.bool_(), "the problem's checker accepts the answer"),
)


def sampled_chains(name: str, meaning: str) -> TableSchema:
    """A table of sampled responses; `tasks.curate.chain_rows` makes its rows. Parents: problem, worked examples."""
    return TableSchema(
        name,
        meaning,
        ("model", "source", "problem", "sample", "text"),
        (
            *_QUESTION,
            Column("sample", pa.int32(), "number of the response among those to the question, from 0"),
            Column("seed", pa.int64(), "of the question's request; with `sample` it gives the same text again"),
            *_RESPONSE,
            Column("tokens", pa.int32(), "sampled tokens, the end-of-text token included", "tokens"),
            Column("finish", pa.string(), "stop, or length where it was cut off"),
        ),
    )


COLD_START_SAMPLES = sampled_chains(
    "cold_start_samples", "Responses of R1-Zero, and of the base with worked examples before the question."
)
REJECTION_SAMPLES = sampled_chains("rejection_samples", "Responses of the reasoning policy, to choose from.")

COLD_START = TableSchema(
    "cold_start",
    "Long, readable chains to begin with: right, every computation checked, rewritten, open to review.",
    ("problem", "text"),
    (
        *_QUESTION,
        *_RESPONSE,
        Column("rewritten_from", pa.string(), "the response as it was sampled"),
        Column("rewritten_by", pa.string(), "rules, the name of a served model, or a person"),
        Column("review", pa.string(), "unreviewed, accepted or edited"),
        Column("note", pa.string(), "what the reviewer had to say; '' for nothing"),
    ),
)

CHAIN_TABLES = (COLD_START_SAMPLES, REJECTION_SAMPLES, COLD_START)
