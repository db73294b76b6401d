"""Rejection sampling: responses of a real policy, and hand-written chains for every reason to drop one."""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.curate.choose_different import choose_different
from tasks.curate.filter_rejection import STAGE as FILTER
from tasks.curate.filter_rejection import FilterRejectionConfig
from tasks.curate.sample_rejection import STAGE as SAMPLE
from tasks.curate.sample_rejection import SampleRejectionConfig
from tasks.stage import Inputs
from tests.tasks.curate.made import Made, Notes, commit, run_stage
from tests.tasks.rl.kit import make_policy
from tests.tasks.train.corpora_made import frame
from warehouse.ids import row_id

SUM = {"problem": row_id("3 + 4 + 5"), "family": "running_sums", "level": 2, "language": "en", "category": "math",
       "prompt": "3 + 4 + 5 = ?", "gold": "12", "checker": "math", "tests": ""}  # fmt: skip
RIGHT = "3 + 4 = 7\n7 + 5 = 12"


def response(thinking: str, answer: str = "12") -> str:
    return f"<think>\n{thinking}\n</think>\n<answer>{answer}</answer>"


def sample(text: str, number: int = 0, **changes: Any) -> dict[str, Any]:
    thinking = text.partition("<think>")[2].partition("</think>")[0]
    row = SUM | {
        "parents": [SUM["problem"]], "partition": "all", "model": "rigor-reason", "source": "rejection at 1",
        "sample": number, "seed": 1, "text": text, "steps": [line for line in thinking.splitlines() if line.strip()],
        "answer": text.partition("<answer>")[2].partition("</answer>")[0], "correct": True, "tokens": 9,
        "finish": "stop",
    } | changes  # fmt: skip
    return row | {"id": row_id(row["problem"], number, text)}


def kept_of(folder: Path, rows: list[dict[str, Any]], **config: Any) -> tuple[pl.DataFrame, dict[str, str]]:
    """The kept rows, and of the others sample → reason. The stage's counts reconcile (`run_stage`)."""
    table = commit(folder / "t", "rejection_samples", frame(rows, "rejection_samples"))
    made = run_stage(folder / "s", FILTER, FilterRejectionConfig(**config), {"rejection_samples": table})
    reasons = {row.row: row.reject.reason for row in made.notes.rejected}
    assert len(reasons) + made.rows.height == len(rows)
    return made.rows, reasons


LOOP = "\n".join(["we go on and on and on with this"] * 6)
CASES = {
    "cut off": (response(RIGHT), {"finish": "length"}),
    "not well-formed": (f"<think>\n{RIGHT}\n<answer>12</answer>", {}),
    "answer not right": (response(RIGHT, "13"), {"correct": False}),
    "mixed language": (response(f"我们先把前面的两个数相加\n{RIGHT}"), {}),
    "code block": (response(f"```\nprint(3 + 4 + 5)\n```\n{RIGHT}"), {}),
    "long paragraph": (response("so " * 150 + f"\n{RIGHT}"), {}),
    "repetition": (response(f"{LOOP}\n{RIGHT}"), {}),
    "wrong step": (response("3 + 4 = 8\n8 + 4 = 12"), {}),
}


@pytest.mark.parametrize("reason", CASES)
def test_every_reason_to_drop_a_chain(reason: str, tmp_path: Path) -> None:
    text, changes = CASES[reason]
    good, bad = sample(response(RIGHT)), sample(text, 1, **changes)
    kept, reasons = kept_of(tmp_path, [good, bad], longest_line_chars=200, least_distance=0.0)
    assert reasons == {bad["id"]: reason}
    row = kept.to_dicts()[0]
    assert (row["sample"], row["parents"]) == (good["id"], [good["id"], SUM["problem"]])
    assert (row["steps"], row["answer"], row["judge"]) == (RIGHT.split("\n"), "12", "rules")


def test_the_first_reason_is_told_and_chinese_is_the_target_of_chinese(tmp_path: Path) -> None:
    both = sample(response("3 + 4 = 8", "13"), 0, correct=False)
    chinese = sample(response(f"我们先把前面的两个数相加\n{RIGHT}"), 1, language="zh")
    kept, reasons = kept_of(tmp_path, [both, chinese])
    assert reasons == {both["id"]: "answer not right"}
    assert kept["sample"].to_list() == [chinese["id"]]


@pytest.mark.parametrize(("rule", "dropped"), [("drop", True), ("drop unless noticed", False), ("keep", False)])
def test_an_error_that_the_chain_takes_back(rule: str, dropped: bool, tmp_path: Path) -> None:
    row = sample(response(f"3 + 4 = 8\nWait, that is wrong.\n{RIGHT}"))
    again = sample(response(f"Wait, that is wrong.\n{RIGHT}\n12 - 5 = 8"), 1)
    _, reasons = kept_of(tmp_path, [row, again], wrong_steps=rule)
    assert (row["id"] in reasons) == dropped
    assert (again["id"] in reasons) == (rule != "keep"), "a notice before the error does not take it back"


def test_few_and_different_ones_a_problem(tmp_path: Path) -> None:
    other = "5 + 4 = 9\n9 + 3 = 12"
    rows = [sample(response(RIGHT), 0), sample(response(RIGHT) + "\n", 1), sample(response(other), 2),
            sample(response("Understand: add three numbers.\n5 + 3 = 8\n8 + 4 = 12"), 3)]  # fmt: skip
    kept, reasons = kept_of(tmp_path, rows, per_problem=4)
    assert list(reasons.values()) == ["near the same as a kept one"]
    assert kept.height == 3
    assert kept["distance"].min() > 0.2
    capped, reasons = kept_of(tmp_path / "capped", rows, per_problem=2)
    assert capped.height == 2
    assert sorted(reasons.values()).count("beyond the cap") >= 1
    alone, _ = kept_of(tmp_path / "alone", rows[:1])
    assert alone["distance"].to_list() == [None]


def apart(one: str, other: str) -> float:
    """Trigrams of chains of single-letter words, counted by hand."""
    a, b = ({text[i : i + 5] for i in range(0, len(text) - 4, 2)} for text in (one, other))
    return 1 - len(a & b) / len(a | b)


@pytest.mark.parametrize("seed", range(40))
def test_the_choice_against_all_pairs(seed: int) -> None:
    rng = random.Random(seed)
    texts = [" ".join(rng.choices("abc", k=rng.randint(4, 9))) for _ in range(rng.randint(1, 9))]
    most, least = rng.randint(1, 5), rng.choice([0.0, 0.3, 0.6, 1.0])
    chosen, near = choose_different(texts, most, least)
    assert 1 <= len(chosen) <= most
    assert not set(chosen) & set(near)
    assert all(apart(texts[a], texts[b]) >= least for a, b in itertools.combinations(chosen, 2))
    for index in set(range(len(texts))) - set(chosen):
        nearest = min(apart(texts[index], texts[other]) for other in chosen)
        assert (index in near) == (nearest < least)
        assert index in near or len(chosen) == most, "a different one is left out for the cap alone"


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> Any:
    rows = [
        {"id": row_id(i, split), "parents": [], "partition": "all", "family": "sums", "category": "math", "level": 1,
         "language": "en", "split": split, "prompt": f"{i} + {i} =" + " 1" * (60 if i == 7 else 0), "gold": str(2 * i),
         "checker": "math", "tests": ""}
        for i in range(12) for split in ("train", "test")
    ]  # fmt: skip
    return commit(tmp_path_factory.mktemp("p"), "problems", frame(rows, "problems"))


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_policy(tmp_path_factory.mktemp("policy"))


def sampled(folder: Path, table: Any, policy: Path, **config: Any) -> Made:
    folder.mkdir()
    notes = Notes()
    inputs = Inputs(tables={"problems": table}, models={"policy": policy}, work=folder / "work")
    fields = {"samples": 2, "max_tokens": 6, "questions": {"longest_tokens": 40}} | config
    rows = SAMPLE.run(SampleRejectionConfig.model_validate(fields), inputs, notes)
    assert not isinstance(rows, Path | tuple)
    frames = [row for row in rows if isinstance(row, pl.DataFrame)]
    view = commit(folder / "t", "rejection_samples", pl.concat(frames))
    assert notes.read == view.rows + sum(row.reject.count for row in notes.rejected)
    return Made(view, None, notes)  # type: ignore[arg-type]


def test_samples_of_training_problems_at_every_temperature(problems: Any, policy: Path, tmp_path: Path) -> None:
    made = sampled(tmp_path / "a", problems, policy, temperatures=(1.0, 0.7))
    rows = made.rows
    train = problems.scan().filter(split="train").collect()
    assert set(rows["problem"]) == set(train["id"]) - {row_id(7, "train")}, "the long question is rejected"
    assert [row.reject.count for row in made.notes.rejected] == [4]
    assert rows.height == 11 * 2 * 2
    assert set(rows["source"]) == {"rejection at 1", "rejection at 0.7"}
    assert rows["id"].n_unique() == rows.height
    few = sampled(tmp_path / "b", problems, policy, temperatures=(0.7,), problems=5).rows
    assert few["problem"].n_unique() == 5
    one = few.join(rows, on="id")
    assert one.height == few.height, "a sample depends on nothing beside it"


def test_what_cannot_be_sampled_is_refused(problems: Any, policy: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no problem"):
        sampled(tmp_path / "a", problems, policy, questions={"families": ["none"]})
    with pytest.raises(ValueError, match="twice"):
        SampleRejectionConfig(temperatures=(1.0, 1.0))


class Judging(BaseHTTPRequestHandler):
    """An OpenAI-compatible server that likes answers with `sea` in them and cannot decide about `both`."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][0]["content"]
        answer = asked.partition("<answer>")[2].partition("</answer>")[0]
        said = "[[yes]] or [[no]]" if "both" in answer else "[[yes]]" if "sea" in answer else "[[no]]"
        text = f"<think>It could be [[no]].</think> {said}"
        choice = {"index": 0, "message": {"content": text}, "token_ids": [], "finish_reason": "stop"}
        body = json.dumps({"choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def judge() -> Iterator[dict[str, Any]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Judging)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield {"server": {"url": f"http://127.0.0.1:{server.server_port}/v1", "model": "judge-v3"}, "checkers": ["members"]}
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_generative_judge_decides_where_rules_do_not(judge: dict[str, Any], tmp_path: Path) -> None:
    asked = {"checker": "members", "correct": False}
    rows = [sample(response("we think of water", answer), number, answer=answer, **asked)
            for number, answer in enumerate(["the sea", "a hill", "both, sea or not", "the sea [[no]]"])]  # fmt: skip
    ruled = [sample(response(RIGHT), 4), sample(response(RIGHT, "the sea"), 5, correct=False)]
    kept, reasons = kept_of(tmp_path, rows + ruled, judge=judge, least_distance=0.0)
    assert reasons == {rows[1]["id"]: "the judge says no", rows[2]["id"]: "the judge gives no verdict",
                       ruled[1]["id"]: "answer not right"}  # fmt: skip
    found = dict(kept.select("sample", "judge").iter_rows())
    assert found == {rows[0]["id"]: "judge-v3", rows[3]["id"]: "judge-v3", ruled[0]["id"]: "rules"}
    without, reasons = kept_of(tmp_path / "off", rows)
    assert without.height == 0
    assert set(reasons.values()) == {"answer not right"}
