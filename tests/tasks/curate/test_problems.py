"""Problems: ids, splits without leaks at three levels, the same bytes every time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from tasks.curate.make_problems import STAGE, Cell, MakeProblemsConfig, cells, drafts
from tasks.curate.splits import LeakGuard, group_of, split_of
from tests.tasks.curate.made import Made, run_stage
from warehouse.ids import row_id

CONFIG = MakeProblemsConfig(per_cell=220, gym_per_cell=0, validation_share=0.1, test_share=0.1, shards=6)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return run_stage(tmp_path_factory.mktemp("problems"), STAGE, CONFIG, workers=2)


def exact(prompt: str) -> str:
    return prompt


def normalised(prompt: str) -> str:
    return " ".join(re.sub(r"[^\w+*/-]", " ", prompt.lower()).split())


def template_and_numbers(prompt: str) -> str:
    """Digits masked, and the multiset of the numbers: `3 + 5 = ?` and `5 + 3 = ?` are one."""
    return re.sub(r"\d+", "N", normalised(prompt)) + str(sorted(map(int, re.findall(r"\d+", prompt))))


@pytest.mark.parametrize("form", [exact, normalised, template_and_numbers])
def test_no_form_is_in_two_splits(made: Made, form: Callable[[str], str]) -> None:
    rows = made.rows
    assert rows.height >= 20_000
    where: dict[str, set[str]] = defaultdict(set)
    for prompt, split in rows.select("prompt", "split").iter_rows():
        where[form(prompt)].add(split)
    assert sum(len(splits) > 1 for splits in where.values()) == 0
    shares = dict(rows.group_by("split").len().with_columns(pl.col("len") / rows.height).rows())
    assert 0.07 < shares["test"] < 0.13
    assert 0.07 < shares["validation"] < 0.13


def test_the_leak_is_real_without_groups(made: Made) -> None:
    """A split by row id, as is common, fails the same test: the test can see a leak."""
    where: dict[str, set[str]] = defaultdict(set)
    for row, prompt in made.rows.select("id", "prompt").iter_rows():
        where[template_and_numbers(prompt)].add(split_of(row, 1, 0.1, 0.1))
    assert sum(len(splits) > 1 for splits in where.values()) > 100


def test_sums_and_their_stories_share_a_split(made: Made) -> None:
    """Across families and languages: equal operands in any order, equal split."""
    rows = made.rows.filter(pl.col("family").is_in(["running_sums", "differences", "word_problems", "products"]))
    where: dict[tuple[int, ...], set[str]] = defaultdict(set)
    for prompt, split in rows.select("prompt", "split").iter_rows():
        where[tuple(sorted(map(int, re.findall(r"\d+", prompt))))].add(split)
    assert len(where) > 1_000
    assert all(len(splits) == 1 for splits in where.values())


def test_rows_are_whole(made: Made) -> None:
    rows = made.rows
    assert rows["id"].is_unique().all()
    assert rows["prompt"].str.len_chars().min() > 0  # type: ignore[operator]
    for row in rows.sample(50, seed=1).iter_rows(named=True):
        assert row["id"] == row_id(row["family"], row["language"], row["prompt"], row["gold"])
    judged = rows.filter(~pl.col("checker").is_in(["code", "members", "refusal", "compliance"]))
    assert (judged["gold"] != "").all()
    assert {r.reject.reason for r in made.notes.rejected} <= {"duplicate of another level"}
    assert made.notes.metrics["problems.train"] == rows.filter(split="train").height
    assert made.notes.tables["family_balance"]["problems"].sum() == rows.height


def test_same_bytes_for_any_workers_and_hash_seed(tmp_path: Path) -> None:
    config = MakeProblemsConfig(per_cell=6, gym_per_cell=0, shards=4)
    digests = {run_stage(tmp_path / str(n), STAGE, config, workers=n).done.digest for n in (1, 2)}
    assert len(digests) == 1
    other = run_stage(tmp_path / "seed", STAGE, config.model_copy(update={"seed": 2}))
    assert other.done.digest not in digests
    script = (
        "from tasks.curate.make_problems import *\n"
        "c = MakeProblemsConfig(per_cell=3, gym_per_cell=2, gym_families=('chain_sum', 'syllogism'))\n"
        "print([repr(d) for cell in cells(c) for d in drafts(cell, 1)])"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", script], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


def test_more_problems_never_move_one() -> None:
    few = [d.prompt for d in drafts(Cell("running_sums", 3, "en", 10), 1) if not hasattr(d, "reason")]
    many = [d.prompt for d in drafts(Cell("running_sums", 3, "en", 40), 1) if not hasattr(d, "reason")]
    assert many[:10] == few
    assert len(set(many)) == 40


def test_small_spaces_run_out() -> None:
    assert 0 < len(list(drafts(Cell("comparison", 1, "zh", 100_000), 1))) <= 9 * 8 * 2


def test_groups_ignore_order_alone() -> None:
    assert group_of("a", (3, 5, 2)) == group_of("a", (5, 2, 3))
    assert group_of("a", (3, 5, 2)) != group_of("a", (3, 5, 3))
    assert group_of("a", (3, 5)) != group_of("b", (3, 5))
    assert split_of("g", 1, 0.0, 0.0) == "train"
    assert split_of("g", 1, 0.5, 0.5) != "train"


def test_guard_refuses_each_form() -> None:
    guard = LeakGuard()
    assert guard.admit("What is 3 + 5?", "test")
    for prompt in ("What is 3 + 5?", "what  IS 3 + 5", "Ｗhat is ３ + 5?", "What is 5 + 3?"):
        assert not guard.admit(prompt, "train")
        assert guard.admit(prompt, "test")
    assert guard.admit("What is 3 + 6?", "train")
    assert guard.admit("What is 3 - 5?", "train")


def test_config_names_what_is_unknown() -> None:
    for bad in ({"families": ("nope",)}, {"gym_families": ("n_queens",)}, {"weights": {"nope": 1.0}}, {"per_cell": 0}):
        with pytest.raises(ValidationError):
            MakeProblemsConfig.model_validate(bad)
    config = MakeProblemsConfig(per_cell=100, weights={"safety": 0.5, "lookalikes": 2.0}, gym_per_cell=0, max_level=1)
    counts = {cell.family: cell.count for cell in cells(config)}
    assert (counts["harmful"], counts["lookalikes"], counts["truth"]) == (50, 200, 100)
