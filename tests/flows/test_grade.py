"""`rigor grade` on files as a user has them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.grade import WRITES


def grade(*args: str) -> str:
    result = CliRunner().invoke(app, ["grade", *args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_mathematics_from_jsonl(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    pl.DataFrame(
        {
            "gold": [r"\frac{1}{2}", "7", "", "x^2"],
            "response": [r"so \boxed{0.5}", "The answer is 8.", "3", r"\boxed{x\cdot x}"],
        }
    ).write_ndjson(file)
    shown = grade(str(file))
    graded = pl.read_ndjson(tmp_path / "answers.graded.jsonl")
    assert graded["correct"].to_list() == [True, False, None, True]
    assert tuple(graded.columns[-len(WRITES["math"]) :]) == WRITES["math"]
    assert "2 of 4 correct" in shown
    assert "unusable gold" in shown, "an unusable gold is told, never scored"


def test_steps_from_parquet(tmp_path: Path) -> None:
    file = tmp_path / "chains.parquet"
    pl.DataFrame(
        {
            "problem": ["2x + 5 = 15"] * 2,
            "steps": [["2x = 15 - 5 = 10", "x = 10 / 2 = 5"], ["2x = 15 - 5 = 11", "x = 5.5"]],
        }
    ).write_parquet(file)
    grade(str(file), "--kind", "steps")
    graded = pl.read_parquet(tmp_path / "chains.graded.parquet")
    assert graded["correct"].to_list() == [True, False]
    assert graded["first_wrong"].to_list() == [None, 0]
    assert graded["expected"][1] == "10"
    assert tuple(graded.columns[-len(WRITES["steps"]) :]) == WRITES["steps"]


@pytest.mark.skipif(not Path("/usr/bin/bwrap").exists(), reason="no bubblewrap: apt-get install bubblewrap")
def test_code_runs_in_the_sandbox(tmp_path: Path) -> None:
    file = tmp_path / "programs.jsonl"
    rows = [
        ("def f(x):\n    return x + 1", True),
        ("def f(x):\n    return x", False),
        ("import os\nos._exit(0)", False),
    ]
    pl.DataFrame(
        {"program": [p for p, _ in rows], "tests": [["assert f(1) == 2"]] * 3, "entry_point": ["f"] * 3}
    ).write_ndjson(file)
    grade(str(file), "--kind", "code", "--to", str(tmp_path / "out.parquet"))
    graded = pl.read_parquet(tmp_path / "out.parquet")
    assert graded["correct"].to_list() == [right for _, right in rows]
    assert tuple(graded.columns[-len(WRITES["code"]) :]) == WRITES["code"]


@pytest.mark.parametrize(
    ("args", "message"),
    [(["--kind", "poetry"], "no kind"), (["--kind", "code"], "lacks program, tests"), ([], "lacks prediction")],
)
def test_mistakes_are_told_in_words(tmp_path: Path, args: list[str], message: str) -> None:
    file = tmp_path / "x.jsonl"
    pl.DataFrame({"gold": ["1"]}).write_ndjson(file)
    with pytest.raises(ValueError, match=message):
        grade(str(file), *args)


@pytest.mark.parametrize(
    ("kind", "row", "words"),
    [("code", '{"program": "", "tests": null}', "tests must be a list"),
     ("code", '{"program": "", "tests": [{"stdin": "1"}]}', "needs stdin and stdout"),
     ("steps", '{"problem": "2+2", "steps": 4}', "steps must be a text or a list")],
)  # fmt: skip
def test_a_row_of_another_shape_is_a_mistake_in_words(tmp_path: Path, kind: str, row: str, words: str) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(f"{row}\n")
    with pytest.raises(ValueError, match=words):
        grade(str(file), "--kind", kind)


def test_what_would_hold_no_table_is_not_written(tmp_path: Path) -> None:
    file, to = tmp_path / "answers.jsonl", tmp_path / "out.csv"
    file.write_text('{"gold": "1", "prediction": "1"}\n')
    with pytest.raises(ValueError, match=r"write .parquet"):
        grade(str(file), "--to", str(to))
    assert not to.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [('{"gold": "1", "prediction": "1", "correct": true}\n', "has columns correct already"),
     ("", "answers.jsonl: "), ("{not json\n", "answers.jsonl: ")],
)  # fmt: skip
def test_a_file_that_cannot_be_graded_is_named(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(text)
    with pytest.raises(ValueError, match=words):
        grade(str(file))
