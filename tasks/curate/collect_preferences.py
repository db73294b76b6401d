"""Stage collect_preferences: pairs of responses, the better one first, from rules, the checker and a judge.

DeepSeek-R1 (arXiv 2501.12948, section 2.3.4): 66k pairs for the helpful reward model, 106k labelled responses for the
safety one. Here a row of the kind safety is a safe response and an unsafe one, each of which is a labelled response.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from pydantic import Field

from model.convert import load_shape
from model.sample import SamplingParams
from model.tokenizer import Tokenizer
from tasks.curate.check_answer import answer_part, score
from tasks.curate.judge_pairs import PairJudge, judge_pairs
from tasks.curate.preference_forms import Problem, Response, Sides, helpful_sides, safety_sides
from tasks.curate.sample_chains import MAX_ROWS, sample_chains
from tasks.stage import Inputs, Reject, RejectedRow, Report, Stage, StageConfig
from tasks.train.corpora import fraction, lay_out_question
from warehouse.ids import row_ids
from warehouse.schema_preferences import PREFERENCES

Kind = Literal["helpful", "safety"]
CATEGORIES = ("general", "safety")
SLACK = 1
"""By so many the pairs in which the better response is longer may differ from those in which it is shorter."""


class CollectPreferencesConfig(StageConfig):
    """How many pairs, and where they come from."""

    per_family: int = Field(20_000, ge=1)
    """Problems of the training split in a family and language, drawn by id. R1: 66,000 pairs in all."""
    pairs: int = Field(2, ge=1, le=64)
    """Pairs of each kind for a problem."""
    samples: int = Field(4, ge=0, le=1024)
    """Responses of the policy to each problem; 0: none, and pairs come from rules alone."""
    temperature: float = Field(1.0, gt=0, le=100)
    max_tokens: int = Field(32_768, ge=1, le=10_000_000)
    """Longest sampled response."""
    judge: PairJudge | None = None
    """Ranks sampled answers to general prompts in the checker's stead. R1: four judgements, margin above 1."""
    seed: int = Field(1, ge=0, lt=1 << 31)
    """Of the draws and the samples."""


class Pair(NamedTuple):
    """Of one problem."""

    kind: Kind
    chosen: Response
    rejected: Response
    source: str
    margin: float | None = None
    votes: int = 0


def collect_preferences(config: CollectPreferencesConfig, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    """Yield the pairs by problem. Reads `problems`, and the model `policy` where responses are sampled."""
    problems = _drawn(config, inputs)
    report.rows_in(len(problems))
    sampled = _sampled(config, problems, inputs, report)
    verdicts = _judged(config, problems, sampled)
    others = _others(problems)
    balance, counts = Balance(), Counter[str]()
    rows: list[dict[str, Any]] = []
    for problem in problems:
        found = 0
        for kind, better, worse in _sides(problem, others[problem["id"]]):
            pairs = _candidates(problem, kind, (better, worse), sampled.get(problem["id"], []), verdicts, config)
            for pair in balance.choose(problem, pairs, config.pairs, config.seed):
                rows.append(_row(problem, pair))
                counts[kind] += 1
                found += 1
        if not found:
            report.reject([RejectedRow(problem["id"], Reject("length would tell", problem["family"]))])
    frame = pl.DataFrame(rows, schema=pl.Schema(PREFERENCES.arrow), orient="row")
    _describe(frame, report)
    yield frame


class Balance:
    """Chooses pairs so that in every family, split and class of lengths as many better responses are longer as are
    shorter: a model that counts characters is right half of the time.
    """

    def __init__(self) -> None:
        """Nothing chosen yet."""
        self._longer: Counter[tuple[str, ...]] = Counter()
        self._used: Counter[tuple[str, ...]] = Counter()

    def choose(self, problem: Problem, pairs: Sequence[Pair], most: int, seed: int) -> list[Pair]:
        """At most so many of a problem's pairs: sampled ones first, then forms that came up least."""
        left = sorted(pairs, key=lambda p: fraction(seed, p.kind, f"{problem['id']}/{p.chosen.text}/{p.rejected.text}"))
        taken: list[Pair] = []
        while left and len(taken) < most:
            best = min(left, key=lambda pair: self._cost(problem, pair))
            cell, sign = self._cell(problem, best)
            if abs(self._longer[cell] + sign) > SLACK:
                break
            self._longer[cell] += sign
            for form in (best.chosen, best.rejected):
                self._used[best.kind, problem["family"], form.form] += 1
            taken.append(best)
            left = [pair for pair in left if pair.rejected.text != best.rejected.text]
        return taken

    def _cost(self, problem: Problem, pair: Pair) -> tuple[bool, bool, int]:
        cell, sign = self._cell(problem, pair)
        used = sum(self._used[pair.kind, problem["family"], form.form] for form in (pair.chosen, pair.rejected))
        return (abs(self._longer[cell] + sign) > SLACK, pair.source == "rules", used)

    def _cell(self, problem: Problem, pair: Pair) -> tuple[tuple[str, ...], int]:
        """Where a pair counts, and as what: 1 if the better one is longer, -1 if shorter, 0 if equally long."""
        longer = judged_characters(pair.kind, pair.chosen.text) - judged_characters(pair.kind, pair.rejected.text)
        size = str(abs(longer).bit_length())
        return (pair.kind, problem["family"], problem["split"], size), int(np.sign(longer))


def judged_characters(kind: str, response: str) -> int:
    """Length of what a reward model of this kind sees of a response."""
    return len(answer_part(response) if kind == "helpful" else response)


def _drawn(config: CollectPreferencesConfig, inputs: Inputs) -> list[dict[str, Any]]:
    """The problems, by id: all held-out ones, and of the others so many a family and language."""
    frame = inputs.tables["problems"].scan().filter(
        pl.col("category").is_in(CATEGORIES), pl.col("reference") != "", pl.col("rejected") != ""
    ).collect().sort("id")  # fmt: skip
    draw = [fraction(config.seed, "problem", row) for row in frame["id"]]
    rank = pl.col("draw").rank("ordinal").over("family", "language", "split")
    kept = frame.with_columns(draw=pl.Series(draw, dtype=pl.Float64)).filter(
        (pl.col("split") != "train") | (rank <= config.per_family)
    )
    return kept.drop("draw").to_dicts()


def _others(problems: Sequence[Problem]) -> dict[str, str]:
    """For each problem the reference of one of another family and the same split: the next in the order of ids."""
    found = {}
    for index, problem in enumerate(problems):
        following = (problems[(index + step) % len(problems)] for step in range(1, len(problems)))
        fitting = (p for p in following if p["family"] != problem["family"] and p["split"] == problem["split"])
        found[problem["id"]] = next((p["reference"] for p in fitting), "")
    return found


def _sides(problem: Problem, other: str) -> Iterator[tuple[Kind, list[Response], list[Response]]]:
    """Responses by rule: helpful for harmless prompts, safety for those of the category safety."""
    if problem["checker"] != "refusal":
        yield ("helpful", *helpful_sides(problem, other))
    if problem["category"] == "safety":
        yield ("safety", *safety_sides(problem))


def _sampled(
    config: CollectPreferencesConfig, problems: Sequence[Problem], inputs: Inputs, report: Report
) -> dict[str, list[Response]]:
    """Different responses of the policy to each problem, by its id."""
    if not config.samples:
        return {}
    policy = inputs.models["policy"]
    tokenizer, room = Tokenizer.load(policy), load_shape(policy).max_positions - 1
    prompts = tokenizer.encode_parts([lay_out_question(problem["prompt"], "turns") for problem in problems])
    asked = [index for index, prompt in enumerate(prompts) if len(prompt) <= room]
    params = SamplingParams(temperature=config.temperature, max_tokens=config.max_tokens)
    seeds = [int(fraction(config.seed, "sample", problems[i]["id"]) * 2**53) for i in asked]
    samples = sample_chains(
        policy, [prompts[i] for i in asked], params, config.samples, seeds,
        inputs.workers, report, keep=inputs.work / "samples", max_rows=inputs.layout.get("sample_rows", MAX_ROWS),
    )  # fmt: skip
    return {
        problems[index]["id"]: [Response("sampled", text) for text in dict.fromkeys(c.text for c in group)]
        for index, group in zip(asked, samples, strict=True)
    }


Verdicts = Mapping[tuple[str, str, str], float]
"""(problem, one response, another) → the judge's mean verdict for the one."""


def _judged(
    config: CollectPreferencesConfig, problems: Sequence[Problem], sampled: Mapping[str, list[Response]]
) -> Verdicts:
    """The judge on the first two different responses to each general prompt."""
    if config.judge is None:
        return {}
    asked = [problem for problem in problems
             if problem["category"] == "general" and len(sampled.get(problem["id"], [])) > 1]  # fmt: skip
    both = [(sampled[problem["id"]][0].text, sampled[problem["id"]][1].text) for problem in asked]
    texts = [(p["prompt"], answer_part(one), answer_part(other)) for p, (one, other) in zip(asked, both, strict=True)]
    said = judge_pairs(config.judge, texts, config.seed)
    return {(p["id"], *pair): worth for p, pair, worth in zip(asked, both, said, strict=True)}


def _candidates(
    problem: Problem, kind: Kind, sides: Sides, sampled: Sequence[Response], verdicts: Verdicts,
    config: CollectPreferencesConfig,
) -> list[Pair]:  # fmt: skip
    """All pairs that could be taken: of rules, and of samples against each other and against what rules made."""
    better, worse = sides
    found = [Pair(kind, good, bad, "rules") for good in better for bad in worse]
    judge = config.judge
    if judge is not None and problem["category"] == "general":
        for one, other in ((a, b) for a in sampled for b in sampled if (problem["id"], a.text, b.text) in verdicts):
            worth = verdicts[problem["id"], one.text, other.text]
            first, second = (one, other) if worth > 0 else (other, one)
            if abs(worth) > judge.margin:
                found.append(Pair(kind, first, second, "judge", abs(worth), judge.votes))
        return found
    if kind == "safety" and problem["checker"] != "refusal":
        return found  # no checker says what is unsafe there
    right = [each for each in sampled if score(problem, answer_part(each.text)) == 1]
    wrong = [each for each in sampled if each not in right]
    for good, bad in ((g, b) for g in [*right, *better] for b in [*wrong, *worse]):
        if "sampled" in (good.form, bad.form) and good.text != bad.text:
            found.append(Pair(kind, good, bad, "checker"))
    return found


def _row(problem: Problem, pair: Pair) -> dict[str, Any]:
    (row,) = row_ids([pair.kind], [problem["id"]], [pair.chosen.text], [pair.rejected.text])
    return {
        "id": row, "parents": [problem["id"]], "partition": "all", "kind": pair.kind, "problem": problem["id"],
        **{name: problem[name] for name in ("family", "category", "language", "split", "group", "prompt")},
        "chosen": pair.chosen.text, "rejected": pair.rejected.text, "chosen_form": pair.chosen.form,
        "rejected_form": pair.rejected.form, "source": pair.source, "margin": pair.margin, "votes": pair.votes,
    }  # fmt: skip


def _describe(frame: pl.DataFrame, report: Report) -> None:
    for kind in ("helpful", "safety"):
        pairs = frame.filter(pl.col("kind") == kind)
        report.metric(f"pairs.{kind}", pairs.height)
        if pairs.height:
            sizes = np.array([[judged_characters(kind, text) for text in row] for row in
                              pairs.select("chosen", "rejected").iter_rows()])  # fmt: skip
            wins = np.sign(sizes[:, 0] - sizes[:, 1])
            report.metric(f"longer_wins.{kind}", float((wins + 1).mean() / 2))
    cells = frame.group_by("kind", "family", "source", "chosen_form", "rejected_form").len().sort(pl.all())
    report.table("forms", cells.head(300))


STAGE = Stage(
    name="collect_preferences",
    version="6",
    reads=("problems", "policy"),
    writes="preferences",
    config=CollectPreferencesConfig,
    run=collect_preferences,
    reconciles=False,
)
