"""Stage sample_answers: a model answers a suite, several times a question and greedily, and every answer is judged.

A sample depends on the model, the question and the config alone: its seed comes from the suite's name, the question's
id and the sample's number, never from the questions beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from model.sample import Completion, SamplingParams
from model.tokenizer import Message
from tasks.curate.check_answer import answer_part
from tasks.curate.sample_chains import MAX_ROWS
from tasks.evaluate.ask import Answers, Asker, FolderAsker, ServerAsker
from tasks.evaluate.grading import IFEVAL, PREFERENCE, PROGRAMS, can_judge, grade, votes
from tasks.evaluate.questions import Question, load_examples, load_questions
from tasks.evaluate.suites import SUITES, Suite
from tasks.grade.format import thinking_of
from tasks.grade.steps import check_steps, split_steps
from tasks.stage import Inputs, Reject, RejectedRow, Report, Stage, StageConfig
from warehouse.ids import row_id
from warehouse.schema_eval import EVAL_SAMPLES

SAMPLED, GREEDY = "sampled", "greedy"
NO_ROOM = "no room"
WHOLE = ("refusal", "answered", "compliance", IFEVAL, PREFERENCE)
"""Checkers of a text as it stands, cut off or not."""
MAX_SHOWN_CHARS = 500


class Server(StageConfig):
    """A model that someone else serves. Its name stands for it in the fingerprint: what is behind it is not seen."""

    url: str
    """Up to the version, as in `http://127.0.0.1:8000/v1`."""
    model: str
    """The name that the server knows it by."""
    api_key_env: str = ""
    """Name of the environment variable that holds the key; '' for none."""


class SampleAnswersConfig(StageConfig):
    """What is asked, how often, and how tokens are drawn (defaults: DeepSeek-R1's, arXiv 2501.12948, section 3)."""

    model: str = "rigor-base"
    """The model's name in the tables."""
    server: Server | None = None
    """Where the model is served; without one it is a folder among the inputs."""
    suite: Suite = SUITES["held_out"]
    limit: int | None = Field(None, ge=1)
    """Questions of a suite at most, drawn by id: those of a smaller limit are among those of a larger one."""
    samples: int | None = Field(None, ge=0, le=1024)
    """Samples of a question; default: the suite's own k. 0: greedy alone."""
    greedy: bool = True
    """Ask once more at temperature 0."""
    shots: tuple[int, ...] = Field((0,), min_length=1)
    """Worked examples before the question; each number makes its own scores. R1 answers best with 0."""
    temperature: float = Field(0.6, gt=0, le=2)
    top_p: float = Field(0.95, gt=0, le=1)
    max_tokens: int = Field(32_768, ge=1, le=1 << 20)
    """Most tokens of a response; the model's positions may hold fewer."""
    check_steps: bool = True
    """Run the step checker over the thinking."""
    batch_samples: int = Field(4096, ge=1, le=1 << 20)
    """Answers that are sampled, judged and kept at a time: what a killed call does not do again."""
    seed: int = Field(0, ge=0, lt=1 << 31)


def sample_answers(config: SampleAnswersConfig, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    """Yield rows of `eval_samples`, by shots, mode and question.

    Reads the suite's table or files, and the model `model` (or the files of a folder under that name).

    Raises:
        ValueError: the suite's data do not fit its declaration, or nothing is asked.
    """
    suite = config.suite
    questions = load_questions(suite, inputs, config.limit)
    count = suite.k if config.samples is None else config.samples
    modes = [(SAMPLED, count)] * (count > 0) + [(GREEDY, 1)] * config.greedy
    if not modes:
        raise ValueError("samples = 0 and greedy = false: nothing would be asked")
    each = sum(n for _, n in modes) * len(config.shots)
    report.rows_in(each * len(questions))
    refused = {q.id: why for q in questions if (why := can_judge(q))}
    report.reject(RejectedRow(f"{suite.name}/{name}", Reject("gold answer cannot be read", why, each), suite.source)
                  for name, why in refused.items())  # fmt: skip
    asked = [q for q in questions if q.id not in refused]
    report.metric("questions", len(asked))
    asker = _asker(config, inputs, report)
    done = 0
    for shots in config.shots:
        examples = load_examples(suite, inputs, shots)
        for mode, n in modes:
            size = max(1, config.batch_samples // n)
            for start in range(0, len(asked), size):
                part = asked[start : start + size]
                kept = inputs.work / f"answers-{shots}-{mode}-{start:08}.parquet"
                if kept.exists():
                    frame = pl.read_parquet(kept)
                else:
                    frame = _answers(config, asker, part, examples, shots, mode, n, inputs)
                    keep(frame, kept)
                yield frame
                done += frame.height
                report.progress(done, each * len(asked), "answers")


def _answers(
    config: SampleAnswersConfig, asker: Asker, questions: Sequence[Question], examples: Sequence[tuple[str, str]],
    shots: int, mode: str, n: int, inputs: Inputs,
) -> pl.DataFrame:  # fmt: skip
    """Ask, judge, and lay the answers out as rows."""
    before: list[Message] = []
    for said, answered in examples:
        before += [{"role": "user", "content": said}, {"role": "assistant", "content": answered}]
    conversations: list[list[Message]] = [[*before, {"role": "user", "content": q.prompt}] for q in questions]
    seeds = [_seed(config.seed, config.suite.name, str(shots), mode, q.id) for q in questions]
    params = SamplingParams(max_tokens=config.max_tokens, temperature=0.0)
    if mode == SAMPLED:
        params = SamplingParams(max_tokens=config.max_tokens, temperature=config.temperature, top_p=config.top_p)
    found: list[Answers] = asker.ask(conversations, params, n, seeds)
    samples = [made if made is not None else [None] * n for made in found]
    texts = [[sample.text if sample else "" for sample in made] for made in samples]
    flat = [(question, "" if _cut_off(question, sample) else sample.text if sample else "")
            for question, made in zip(questions, samples, strict=True) for sample in made]  # fmt: skip
    graded = grade(flat, inputs.workers)
    rows: list[dict[str, Any]] = []
    for index, (question, seed) in enumerate(zip(questions, seeds, strict=True)):
        verdicts = graded[index * n : (index + 1) * n]
        numbers = votes(question, verdicts)
        told = "\n\n".join([part for example in examples for part in example] + [question.prompt])
        for sample, (made, text, verdict) in enumerate(zip(samples[index], texts[index], verdicts, strict=True)):
            rows.append({
                "parents": [question.parent] if question.parent else [],
                "partition": inputs.partitions[0], "model": config.model, "suite": config.suite.name, "shots": shots,
                "mode": mode, "question": question.id, "sample": sample, "cluster": question.cluster,
                "family": question.family, "level": question.level, "language": question.language,
                "problem": question.problem, "prompt": told, "gold": question.gold, "checker": question.checker,
                "response": text, "seed": seed, "answer": verdict.answer, "correct": verdict.correct,
                "reason": verdict.reason if made else NO_ROOM, "vote": numbers[sample], **_tokens(made),
                **_steps(config, question, text),
            })  # fmt: skip
            key = [rows[-1][column] for column in EVAL_SAMPLES.key]
            rows[-1]["id"] = row_id(*key)
    return pl.DataFrame(rows, pl.Schema(EVAL_SAMPLES.arrow), orient="row").select(EVAL_SAMPLES.arrow.names)


def _cut_off(question: Question, made: Completion | None) -> bool:
    """Did it end at the limit without a complete answer? A chat template may have opened the thinking: no tag tells."""
    complete = ("</think>", "</answer>", "\\boxed{")
    told = question.checker in (*PROGRAMS, *WHOLE)
    return made is not None and made.finish == "length" and not told and not any(tag in made.text for tag in complete)


def _tokens(made: Completion | None) -> dict[str, Any]:
    return {"tokens": list(made.tokens) if made else [], "finish": made.finish if made else NO_ROOM}


def _steps(config: SampleAnswersConfig, question: Question, response: str) -> dict[str, Any]:
    """The step checker's report on the thinking: programs and answers alone have none."""
    thinking = thinking_of(response) if response != answer_part(response) else ""
    none: dict[str, Any] = {"steps": [], "first_wrong": None, "wrong_claim": "", "expected": ""}
    if not config.check_steps or not thinking or question.checker in PROGRAMS:
        return none
    found = check_steps(question.problem, split_steps(thinking))
    claim = found.first_wrong_claim
    told = {"wrong_claim": claim.text[:MAX_SHOWN_CHARS], "expected": claim.expected[:MAX_SHOWN_CHARS]} if claim else {}
    return none | {"steps": list(found.steps), "first_wrong": found.first_wrong} | told


def _seed(*parts: int | str) -> int:
    digest = blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _asker(config: SampleAnswersConfig, inputs: Inputs, report: Report) -> Asker:
    if config.server is not None:
        return ServerAsker(config.server.url, config.server.model, config.server.api_key_env)
    folder = inputs.models["model"] if "model" in inputs.models else Path(inputs.files["model"][0].path).parent
    return FolderAsker(folder, inputs.layout.get("sample_rows", MAX_ROWS), inputs.workers, report)


def scored_mode(samples: pl.DataFrame) -> pl.DataFrame:
    """Of each suite and number of shots the sampled answers, or the greedy ones where there are no others."""
    sampled = (pl.col("mode") == SAMPLED).any().over("suite", "shots")
    return samples.filter((pl.col("mode") == SAMPLED) | ~sampled)


def keep(frame: pl.DataFrame, path: Path) -> None:
    """Write the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    frame.write_parquet(draft)
    draft.rename(path)


STAGE = Stage(
    name="sample_answers",
    version="5",
    reads=("model", "problems"),
    writes="eval_samples",
    config=SampleAnswersConfig,
    run=sample_answers,
)
