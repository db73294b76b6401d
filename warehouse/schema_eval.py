"""The tables of the evaluation: every sample, every judgement of a pair, and every score."""

from __future__ import annotations

import pyarrow as pa

from warehouse.columns import STRINGS, Column, TableSchema

_WHERE = (
    Column("model", pa.string(), "the model's name"),
    Column("suite", pa.string(), "the suite's name"),
    Column("shots", pa.int16(), "worked examples before the question", "examples"),
)

EVAL_SAMPLES = TableSchema(
    "eval_samples",
    "One answer of a model to one question of a suite, judged.",
    ("model", "suite", "shots", "mode", "question", "sample", "prompt", "response"),
    (
        *_WHERE,
        Column("mode", pa.string(), "sampled (at the suite's temperature) or greedy"),
        Column("question", pa.string(), "the question's id in its suite"),
        Column("sample", pa.int32(), "number of the sample among those of the question, from 0"),
        Column("cluster", pa.string(), "questions of one cluster are the same in other words; else the question"),
        Column("family", pa.string(), "family, subject or category; '' where the suite has none"),
        Column("level", pa.string(), "level, grade or year; '' where the suite has none"),
        Column("language", pa.string(), "ISO 639-1 of the question"),
        Column("problem", pa.string(), "the question as the suite has it"),
        Column("prompt", pa.string(), "the question as it was put to the model, the suite's instructions included"),
        Column("gold", pa.string(), "reference answer; '' where tests or a kind of behaviour are asked for"),
        Column("checker", pa.string(), "who judged, see tasks/evaluate/grading.py"),
        Column("response", pa.string(), "what the model wrote"),
        Column("tokens", pa.list_(pa.int32()), "the response in the model's own token ids", "tokens"),
        Column("finish", pa.string(), "stop, length, or no room (the prompt alone fills the model's positions)"),
        Column("seed", pa.int64(), "seed of the question's request; with `sample` it gives the same text again"),
        Column("answer", pa.string(), "the answer that was judged; '' when none was found"),
        Column("correct", pa.bool_(), "the verdict; null: a judge compares it, see eval_judgements"),
        Column("reason", pa.string(), "why"),
        Column("vote", pa.int32(), "answers of a question with the same number are equal; null: none, or no vote"),
        Column("steps", STRINGS, "the step checker's verdict of each step: ok, wrong or not_checkable"),
        Column("first_wrong", pa.int32(), "first step with a wrong claim, from 0; null: none found", "steps"),
        Column("wrong_claim", pa.string(), "that claim; '' when there is none"),
        Column("expected", pa.string(), "what it should come to"),
    ),
)

EVALS = TableSchema(
    "evals",
    "Scores: one row for each suite, family and level, and metric, with a 95 % interval clustered by question.",
    ("model", "suite", "shots", "family", "level", "metric"),
    (
        *_WHERE,
        Column("family", pa.string(), "'' for the whole suite"),
        Column("level", pa.string(), "'' for all levels"),
        Column("metric", pa.string(), "pass@k, cons@k, greedy, tokens …, see tasks/evaluate/score_answers.py"),
        Column("value", pa.float64(), "mean over the questions"),
        Column("low", pa.float64(), "lower end of the 95 % interval"),
        Column("high", pa.float64(), "upper end of the 95 % interval"),
        Column("questions", pa.int64(), "questions it is a mean over", "questions"),
        Column("samples", pa.int64(), "answers it comes from", "answers"),
        Column("contaminated", pa.float64(), "share of the questions found in the training tables; null: not looked"),
    ),
)

EVAL_JUDGEMENTS = TableSchema(
    "eval_judgements",
    "One judgement of a model's answer against a baseline's; each pair is judged twice, with the places exchanged.",
    ("answer", "judge", "baseline", "model_first", "judgement"),
    (
        *_WHERE,
        Column("question", pa.string(), "the question's id in its suite"),
        Column("sample", pa.int32(), "number of the sample among those of the question, from 0"),
        Column("cluster", pa.string(), "questions of one cluster are the same in other words; else the question"),
        Column("answer", pa.string(), "id of the row of eval_samples that is judged"),
        Column("judge", pa.string(), "name of the model that judges"),
        Column("baseline", pa.string(), "name of the model that it is compared with; '' for the suite's own baseline"),
        Column("model_first", pa.bool_(), "whether the model's answer stood first, as A"),
        Column("verdict", pa.string(), "A>>B, A>B, A=B, B>A or B>>A"),
        Column("points", pa.float64(), "1 where the model's answer won, 0.5 for a tie, 0 where it lost"),
        Column("reason", pa.string(), "judged, or no answer: an empty answer loses without a judge"),
        Column("judgement", pa.string(), "what the judge said; '' where none was asked"),
        Column("length", pa.int32(), "of the model's answer", "characters"),
        Column("baseline_length", pa.int32(), "of the baseline's answer", "characters"),
    ),
)

EVAL_TABLES = (EVAL_SAMPLES, EVAL_JUDGEMENTS, EVALS)
