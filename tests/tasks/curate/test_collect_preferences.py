"""Preference pairs: what is called better is better by the checker, length tells nothing, and a judge has no side."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from model.convert import save_folder
from tasks.curate.check_answer import answer_part, is_refusal, score
from tasks.curate.collect_preferences import STAGE, CollectPreferencesConfig, judged_characters
from tasks.curate.judge_pairs import PairJudge, judge_pairs
from tasks.curate.make_problems import STAGE as MAKE_PROBLEMS
from tasks.curate.make_problems import MakeProblemsConfig
from tasks.stage import Inputs
from tests.model.sample_kit import random_state
from tests.tasks.curate.made import Made, Notes, run_stage
from tests.tasks.train.corpora_made import tokenizer_folder
from tests.tasks.train.test_fine_tune import SHAPE

FAMILIES = ("facts", "choices", "listing", "rewriting", "harmful", "lookalikes")
PROBLEMS = MakeProblemsConfig(per_cell=120, gym_per_cell=0, families=FAMILIES, validation_share=0.1, test_share=0.1)


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return run_stage(tmp_path_factory.mktemp("problems"), MAKE_PROBLEMS, PROBLEMS)


@pytest.fixture(scope="module")
def made(problems: Made, tmp_path_factory: pytest.TempPathFactory) -> Made:
    config = CollectPreferencesConfig(per_family=80, samples=0)
    return run_stage(tmp_path_factory.mktemp("pairs"), STAGE, config, {"problems": problems.view})


def joined(pairs: pl.DataFrame, problems: pl.DataFrame) -> list[dict[str, Any]]:
    """Pairs with what the checkers need."""
    return pairs.join(
        problems.select(problem="id", gold="gold", checker="checker", tests="tests"), on="problem"
    ).to_dicts()


def test_the_checker_agrees_with_every_label(made: Made, problems: Made) -> None:
    rows = joined(made.rows, problems.rows)
    assert len(rows) == made.rows.height > 1_500
    for row in rows:
        chosen, rejected = (answer_part(row[side]) for side in ("chosen", "rejected"))
        if row["kind"] == "helpful":
            assert row["checker"] != "refusal"
            assert score(row, chosen) == 1
            assert score(row, rejected) == 0
        elif row["checker"] == "refusal":
            assert is_refusal(chosen)
            assert is_refusal(rejected) == (row["rejected_form"] == "bad_thoughts"), "safe words over unsafe thoughts"
        else:
            assert row["rejected_form"] == "abuse"
    kinds = made.rows.group_by("kind").agg(pl.col("family").unique())
    assert {kind: set(families) for kind, families in kinds.iter_rows()} == {
        "helpful": set(FAMILIES) - {"harmful"}, "safety": {"harmful", "lookalikes"},
    }  # fmt: skip
    forms = set(made.rows.filter(pl.col("kind") == "helpful")["rejected_form"])
    assert forms == {"wrong", "off_topic", "refusal", "empty", "wrong_format"}


@pytest.mark.parametrize("kind", ["helpful", "safety"])
def test_nobody_can_tell_by_length(made: Made, kind: str) -> None:
    """The better one is as often longer as shorter, whatever the distance."""
    pairs = made.rows.filter(pl.col("kind") == kind).sort("id")
    sizes = np.array([[judged_characters(kind, text) for text in row] for row in
                      pairs.select("chosen", "rejected").iter_rows()])  # fmt: skip
    difference = sizes[:, 0] - sizes[:, 1]
    assert (difference != 0).mean() > 0.5, "lengths do differ"
    assert np.mean(np.sign(difference)) == pytest.approx(0, abs=0.03)
    # By class of the distance: longer and shorter as often, up to one pair in each family and split.
    for size in np.unique(np.floor(np.log2(np.abs(difference[difference != 0])))):
        inside = np.floor(np.log2(np.maximum(np.abs(difference), 0.5))) == size
        assert abs(np.sign(difference[inside]).sum()) <= 3 * pairs["family"].n_unique()
    # Each response alone, as a pointwise model sees it: P(a better one is longer than a worse one), by all pairs.
    order = np.sign(sizes[:, :1] - sizes[:, 1][None])
    assert (order + 1).mean() / 2 == pytest.approx(0.5, abs=0.04)


def test_rows_are_the_same_every_time_and_split_by_group(made: Made, problems: Made, tmp_path: Path) -> None:
    config = CollectPreferencesConfig(per_family=80, samples=0)
    again = run_stage(tmp_path, STAGE, config, {"problems": problems.view})
    assert again.rows.equals(made.rows)
    assert made.rows["id"].n_unique() == made.rows.height
    splits = made.rows.group_by("group").agg(pl.col("split").n_unique())
    assert splits["split"].max() == 1
    assert set(made.rows["split"]) == {"train", "validation", "test"}
    known, held_out = (set(problems.rows.filter(side)["reference"])
                       for side in (pl.col("split") == "train", pl.col("split") != "train"))  # fmt: skip
    learned = made.rows.filter(pl.col("split") == "train")
    said = {answer_part(text) for side in ("chosen", "rejected") for text in learned[side]}
    assert not said & (held_out - known), "a held-out reference stands in a training pair"
    per = made.rows.group_by("problem", "kind").len()["len"]
    assert per.max() == 2
    drawn = (
        made.rows.filter(pl.col("split") == "train").group_by("family", "language").agg(pl.col("problem").n_unique())
    )
    assert drawn["problem"].max() == 80


def test_sampled_responses_are_ranked_by_the_checker(problems: Made, tmp_path: Path) -> None:
    from model.config import ModelConfig

    shape = ModelConfig.model_validate(SHAPE | {"vocab_size": 400})
    tokenizer, _ = tokenizer_folder(tmp_path, {"synthetic_corpus": _texts(tmp_path)})
    save_folder(tmp_path / "policy", shape, random_state(shape, std=0.05), tokenizer_folder=tokenizer)
    config = CollectPreferencesConfig(per_family=4, samples=2, max_tokens=6)
    notes = Notes()
    inputs = Inputs(tables={"problems": problems.view}, models={"policy": tmp_path / "policy"}, work=tmp_path / "work")
    frame = pl.concat(STAGE.run(config, inputs, notes))  # type: ignore[arg-type]
    sampled = joined(frame.filter(pl.col("source") == "checker"), problems.rows)
    assert sampled
    for row in sampled:
        assert "sampled" in (row["chosen_form"], row["rejected_form"])
        assert score(row, answer_part(row["chosen"])) == 1
        assert score(row, answer_part(row["rejected"])) == 0
    assert frame.filter(pl.col("votes") > 0).height == 0


def _texts(folder: Path) -> Any:
    from tests.tasks.train.corpora_made import solutions, view

    return view(folder / "texts", "synthetic_corpus", solutions(30))


class Judging(BaseHTTPRequestHandler):
    """Likes the answer with `sea`, and is sure of it unless there is a `maybe`; without a sea it takes the first."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][0]["content"]
        a, b = (re.search(rf"<{name}>\n(.*?)\n</{name}>", asked, re.DOTALL)[1] for name in "AB")  # type: ignore[index]
        strong = "" if "maybe" in a + b else ">"
        said = f"A>{strong}B" if "sea" in a else f"B>{strong}A" if "sea" in b else "A>>B"
        text = "no verdict" if "silent" in a + b else f"<think>[[B>A]]?</think> [[{said}]]"
        choice = {"index": 0, "message": {"content": text}, "token_ids": [], "finish_reason": "stop"}
        body = json.dumps({"choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def judge() -> Iterator[PairJudge]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Judging)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield PairJudge.model_validate(
        {"server": {"url": f"http://127.0.0.1:{server.server_port}/v1", "model": "judge-v3"}}
    )
    server.shutdown()
    thread.join()
    server.server_close()


def test_four_judgements_with_places_exchanged_have_no_side(judge: PairJudge) -> None:
    pairs = [("?", "the sea", "a hill"), ("?", "a hill", "the sea"), ("?", "the sea, maybe", "a hill"),
             ("?", "a hill", "a wood"), ("?", "silent", "the sea")]  # fmt: skip
    assert judge_pairs(judge, pairs, seed=1) == [2, -2, 1, 0, 0]
    assert judge_pairs(judge, [], seed=1) == []


def test_pairs_that_the_judge_is_not_sure_of_are_left_out(judge: PairJudge) -> None:
    from tasks.curate.collect_preferences import _candidates, _judged
    from tasks.curate.preference_forms import Response, respond

    config = CollectPreferencesConfig(judge=judge)
    problems = [{"id": name, "prompt": "?", "category": "general", "checker": "exact"} for name in "abc"]
    texts = {"a": ("a hill", "the sea"), "b": ("a hill", "the sea, maybe"), "c": ("a hill", "a wood")}
    sampled = {name: [Response("sampled", respond(text)) for text in pair] for name, pair in texts.items()}
    verdicts = _judged(config, problems, sampled)
    found = [_candidates(p, "helpful", ([], []), sampled[str(p["id"])], verdicts, config) for p in problems]
    assert [len(pairs) for pairs in found] == [1, 0, 0], "a margin of 1 is not above 1"
    (pair,) = found[0]
    assert (answer_part(pair.chosen.text), pair.source, pair.margin, pair.votes) == ("the sea", "judge", 2.0, 4)
