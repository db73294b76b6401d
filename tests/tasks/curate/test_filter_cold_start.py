"""The cold start's filter on hand-written chains: each bad kind is caught with its reason, good ones are rewritten."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest
from pydantic import ValidationError

from tasks.curate.check_chain import ChainLimits, unfit
from tasks.curate.filter_cold_start import STAGE, FilterColdStartConfig
from tasks.curate.rewrite_chain import Equation, read_equation, rewrite, undo
from tasks.grade.language import language_share
from tasks.grade.steps import check_steps
from tasks.rl.grading import checks_itself, steps_of
from tasks.stage import Inputs, Reject
from tests.tasks.curate.chains_made import GOOD, ZH, sample
from tests.tasks.rl.kit import Listener
from warehouse.schema_chains import COLD_START, COLD_START_SAMPLES
from warehouse.tables import Tables


def filtered(folder: Path, samples: list[dict[str, Any]], **config: Any) -> tuple[pl.DataFrame, Listener]:
    """The stage over these samples, in a warehouse of its own."""
    tables = Tables(str(folder / "warehouse"))
    frame = pl.DataFrame(samples, pl.Schema(COLD_START_SAMPLES.arrow), orient="row")
    tables.commit(COLD_START_SAMPLES, [frame.select(COLD_START_SAMPLES.arrow.names)], partitions=("all",))
    (folder / "scratch").mkdir()
    notes = Listener()
    inputs = Inputs(tables={"cold_start_samples": tables.view("cold_start_samples")}, scratch=folder / "scratch")
    made = STAGE.run(FilterColdStartConfig.model_validate(config), inputs, notes)
    tables.commit(COLD_START, made, partitions=("all",))  # type: ignore[arg-type]
    return tables.view("cold_start").scan().collect(), notes


BAD = {
    "cut off": sample("<think>\n3 + 4 = 7\n7 + 5", finish="length"),
    "too long": sample(GOOD, tokens=101),
    "not well-formed": sample("<answer>12</answer>"),
    "the answer is wrong": sample("<think>\n3 + 4 = 7\n7 + 5 = 12\n</think>\n<answer>13</answer>"),
    "a step is wrong": sample("<think>\n3 + 4 = 8\n8 + 5 = 13\n7 + 5 = 12\n</think>\n<answer>12</answer>"),
    "a computation could not be checked": sample(GOOD.replace("7 + 5", "f(7) = y\n7 + 5")),
    "too few computed steps": sample("<think>\n3 + 4 + 5 = 12\n</think>\n<answer>12</answer>"),
    "the answer does not follow from the steps": sample("<think>\n3 + 4 = 7\n4 + 5 = 9\n</think>\n<answer>12</answer>"),
    "repetition": sample("<think>\n3 + 4 = 7\n3 + 4 = 7\n7 + 5 = 12\n</think>\n<answer>12</answer>"),
    "mixed languages": sample(
        GOOD.replace("3 + 4", "We begin with the first two.\n3 + 4").replace("7 + 5", "再加上最后一个数字\n7 + 5")
    ),
    "nothing to verify it by": sample(
        "<think>\nsmallest of 3 1 2: 1\nsmallest of 3 2: 2\n</think>\n<answer>1 2 3</answer>", "Sort: 3 1 2", "1 2 3",
        checker="list",
    ),
    "its language cannot be checked": sample(GOOD, "3 + 4 + 5 = ? (la)", language="la"),
    "no words to rewrite it with": sample(GOOD, "3 + 4 + 5 = ? (fr)", language="fr"),
}  # fmt: skip


def test_every_bad_kind_is_caught_with_its_reason(tmp_path: Path) -> None:
    good = [sample(GOOD), sample(ZH, "计算 17 - 4 - 5。", "8", language="zh", family="differences")]
    rows, notes = filtered(tmp_path, [*good, *BAD.values()], max_tokens=100)
    found = {rejected.row: rejected.reject.reason for rejected in notes.rejected}
    assert found == {row["id"]: reason for reason, row in BAD.items()}
    assert notes.read == rows.height + sum(rejected.reject.count for rejected in notes.rejected)
    assert sorted(rows["parents"].to_list()) == sorted([row["id"]] for row in good)
    assert rows["steps"].sort().to_list() == [
        ["Understand: add 3 numbers.", "Break down: add from left to right.", "3 + 4 = 7", "7 + 5 = 12",
         "Verify: 12 - 5 - 4 = 3", "So the answer is 12."],
        ["理解：从 17 中减去 2 个数。", "分解：从左到右依次相减。", "17 - 4 = 13", "13 - 5 = 8", "检验：8 + 4 + 5 = 17",
         "所以答案是 8。"],
    ]  # fmt: skip
    assert set(rows["review"]) == {"unreviewed"}
    assert set(rows["rewritten_from"]) == {GOOD, ZH}


def reason(problem: dict[str, Any], text: str, *, readable: bool = False) -> str:
    found = unfit(problem, text, ChainLimits(), readable=readable)
    return found.reason if found else ""


def test_a_loop_and_a_wall_of_text_are_repetition_or_too_long() -> None:
    problem = sample(GOOD)
    again = "We add the two numbers and we add the two numbers and " * 8
    loop = GOOD.replace("7 + 5", f"{again}\n7 + 5")
    assert reason(problem, loop) == "repetition"
    words = " ".join(f"word{number}" for number in range(200))
    wall = GOOD.replace("7 + 5", f"{words}\n7 + 5")
    assert reason(problem, wall) == "a line is too long"
    assert reason(problem, GOOD, readable=True) == "hard to read"
    assert reason(problem, GOOD) == ""


def test_few_and_different_chains_of_a_problem(tmp_path: Path) -> None:
    texts = [
        GOOD, GOOD.replace("<think>\n", "<think>\nWe add.\n"),  # the same once they are rewritten
        "<think>\n3 + 5 = 8\n8 + 4 = 12\n</think>\n<answer>12</answer>",
        "<think>\n4 + 5 = 9\n9 + 3 = 12\n</think>\n<answer>12</answer>",
    ]  # fmt: skip
    others = [sample(GOOD, f"3 + 4 + 5 = ? ({k})", level=2) for k in range(4)]
    rows, notes = filtered(tmp_path, [*(sample(text) for text in texts), *others], per_problem=2, rows=4)
    reasons = [rejected.reject.reason for rejected in notes.rejected]
    assert sorted(reasons) == [
        "enough of this problem",
        "the same as another",
        "the table is full",
        "the table is full",
    ]
    assert rows["level"].value_counts().sort("level").rows() == [(1, 2), (2, 2)]
    assert notes.read == rows.height + len(reasons) == 8


def test_a_level_of_little_weight_gets_few_rows_and_all_that_is_left_over(tmp_path: Path) -> None:
    samples = [sample(GOOD, f"3 + 4 + 5 = ? ({k})", level=1 + k % 2) for k in range(24)]
    weighed, notes = filtered(tmp_path / "weighed", samples, rows=10, level_weights={"2": 0.25})
    assert weighed["level"].value_counts().sort("level").rows() == [(1, 8), (2, 2)]
    assert notes.read == weighed.height + len(notes.rejected) == 24
    wide, _ = filtered(tmp_path / "wide", samples, rows=20, level_weights={"2": 0.25})
    assert wide["level"].value_counts().sort("level").rows() == [(1, 12), (2, 8)]
    with pytest.raises(ValidationError):
        FilterColdStartConfig.model_validate({"level_weights": {"hard": 1}})


@pytest.mark.parametrize(
    ("prompt", "language", "steps", "answer", "check"),
    [
        ("Compute (3 + 4) * 2.", "en", ["3 + 4 = 7", "7 * 2 = 14"], "14", "14 / 2 - 4 = 3"),
        ("Compute 3 * 4 + 2.", "en", ["3 * 4 = 12", "12 + 2 = 14"], "14", "(14 - 2) / 4 = 3"),
        ("What is 12 * 34?", "en", ["12 * 30 = 360", "12 * 4 = 48", "360 + 48 = 408"], "408", "408 - 48 = 360"),
        ("现在是 5 点，20 小时后是几点？", "zh", ["5 + 20 = 25", "25 - 12 = 13", "13 - 12 = 1"], "1",
         "1 + 12 + 12 - 20 = 5"),
        ("Ann has 5 apples, buys 7 and eats 3. How many are left?", "en", ["5 + 7 = 12", "12 - 3 = 9"], "9",
         "9 + 3 - 7 = 5"),
        ("2 - 5 - 6 = ?", "en", ["2 - 5 = -3", "-3 - 6 = -9"], "-9", "-9 + 5 + 6 = 2"),
    ],
)  # fmt: skip
def test_a_rewritten_chain_pleases_the_graders(
    prompt: str, language: str, steps: list[str], answer: str, check: str
) -> None:
    lines = rewrite(prompt, language, steps, ["ok"] * len(steps), answer)
    assert isinstance(lines, list)
    text = "\n".join(["<think>", *lines, "</think>", f"<answer>{answer}</answer>"])
    report = check_steps(prompt, lines)
    assert "wrong" not in report.steps
    assert [verdict for line, verdict in zip(lines, report.steps, strict=True) if "=" in line] == ["ok"] * (
        len(steps) + 1
    )
    assert check in lines[-2]
    assert checks_itself(text)
    assert steps_of(text) == len(steps) + 4
    assert language_share("\n".join(lines), language).share == 1  # type: ignore[arg-type]
    problem = sample(text, prompt, answer, language=language)
    assert unfit(problem, text, ChainLimits(), readable=True) is None


def test_what_cannot_be_undone_is_not_claimed() -> None:
    assert undo([]) == ""
    assert undo([Equation(3, (("*", 0),), 0)]) == ""  # nothing gives the 3 back
    assert undo([Equation(2, (("+", 3), ("*", 4)), 14)]) == ""  # not undone from left to right
    assert undo([Equation(2, (("*", 0),), 0), Equation(0, (("+", 4),), 4)]) == "4 - 4 = 0"
    assert read_equation("3 + 4 = 7") == Equation(3, (("+", 4),), 7)
    assert read_equation("so 3 + 4 = 7") is None
    kept = rewrite("Sort: 2 1", "en", ["smallest of 2 1: 1"], ["ok"], "1 2")
    assert isinstance(kept, Reject)


def test_its_own_check_is_kept() -> None:
    steps = ["Understand: add.", "3 + 4 = 7", "7 + 5 = 12", "Verify: 3 + 4 + 5 = 12"]
    lines = rewrite("3 + 4 + 5 = ?", "en", steps, ["not_checkable", "ok", "ok", "ok"], "12")
    assert lines == [
        "Understand: add 3 numbers.",
        "Break down: add from left to right.",
        *steps[1:],
        "So the answer is 12.",
    ]


class Rewriter(BaseHTTPRequestHandler):
    """A served model that makes the same of every chain over 3, 4 and 5, with an error in the second."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][0]["content"]
        self.asked.append(said)
        total = 13 if "Compute" in said else 12
        lines = ["Understand: all three numbers are wanted together.", "3 + 4 = 7", f"7 + 5 = {total}",
                 "Verify: 12 - 5 - 4 = 3"]  # fmt: skip
        message = {"role": "assistant", "content": "<think>\nhm\n</think>\n" + "\n".join(lines)}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "token_ids": [1],
                  "logprobs": {"content": [{"logprob": 0.0}]}}  # fmt: skip
        body = json.dumps({"choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def test_a_served_model_may_rewrite_and_is_judged_like_the_rules(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Rewriter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        samples = [sample(GOOD, gold="12"), sample(GOOD, "Compute 3 + 4 + 5.")]
        rows, notes = filtered(tmp_path, samples, rewriter={"url": url, "model": "writer"})
        server.shutdown()
    assert rows.select("prompt", "rewritten_by").rows() == [("3 + 4 + 5 = ?", "writer")]
    assert rows["steps"][0][0] == "Understand: all three numbers are wanted together."
    assert [r.reject.reason for r in notes.rejected] == ["rewritten: a step is wrong"]
    assert all("<question>" in said and "7 + 5 = 12" in said for said in Rewriter.asked)
