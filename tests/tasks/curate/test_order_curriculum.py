"""The curriculum against its definition, over made-up problems."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tasks.curate.make_problems import STAGE as MAKE
from tasks.curate.make_problems import MakeProblemsConfig
from tasks.curate.order_curriculum import STAGE, OrderCurriculumConfig, order
from tests.tasks.curate.made import run_stage

CONFIG = OrderCurriculumConfig(phases=4, replay=0.25)


def problems(levels: int = 4, each: int = 50) -> pl.DataFrame:
    rows = [
        {"id": f"{family}{level}{n:03}", "family": family, "level": level, "split": "train", "checker": "math"}
        for family in ("easy", "hard")
        for level in range(1, levels + 1)
        for n in range(each)
    ]
    held = {"id": "held", "family": "easy", "level": 1, "split": "test", "checker": "math"}
    return pl.DataFrame([*rows, held]).with_columns(pl.col("level").cast(pl.Int16))


def tries(rates: dict[str, float], each: int = 8) -> pl.DataFrame:
    rows = [(p, float(n < rate * each)) for p, rate in rates.items() for n in range(each)]
    return pl.DataFrame(rows, schema=["problem", "correct"], orient="row")


def test_easy_to_hard_each_once_with_replay_of_earlier_ones() -> None:
    rows = order(problems(), None, CONFIG)
    fresh = rows.filter(~pl.col("replay"))
    assert sorted(fresh["problem"]) == sorted(problems().filter(split="train")["id"])
    assert rows["position"].to_list() == list(range(rows.height))
    assert rows["phase"].is_sorted()
    assert fresh.group_by("phase").agg(pl.col("difficulty").mean()).sort("phase")["difficulty"].is_sorted()
    first = dict(fresh.select("problem", "phase").rows())
    for phase in range(1, 4):
        part = rows.filter(phase=phase)
        again = part.filter("replay")
        assert again.height / part.height == pytest.approx(0.25, abs=0.01)
        assert again["problem"].is_unique().all()
        assert all(first[p] < phase for p in again["problem"])
    assert not rows.filter(phase=0)["replay"].any()


def test_levels_alone_give_the_order_without_attempts() -> None:
    fresh = order(problems(), None, CONFIG)
    by_level = fresh.group_by("level").agg(pl.col("difficulty").unique().first()).sort("level")
    assert by_level["difficulty"].to_list() == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_own_pass_rates_move_problems() -> None:
    rates = {f"hard1{n:03}": 0.0 for n in range(50)} | {"easy4000": 1.0}
    rows = order(problems(), tries(rates), CONFIG).filter(~pl.col("replay"))
    difficulty = dict(rows.select("problem", "difficulty").rows())
    assert difficulty["hard1000"] > difficulty["hard2000"] > difficulty["easy1001"]
    assert difficulty["easy4000"] < difficulty["easy4001"] < difficulty["hard4001"]
    assert dict(rows.select("problem", "pass_rate").rows())["easy4000"] == 1.0


def test_shrinkage_by_hand() -> None:
    """Family and level: 6 of 8 right, prior 0.8 with weight 4; the problem itself 2 of 4 right."""
    given = problems(each=2)
    attempts = pl.DataFrame({"problem": ["easy1000"] * 4 + ["easy1001"] * 4, "correct": [1.0, 1, 0, 0, 1, 1, 1, 1]})
    rows = order(given, attempts, CONFIG.model_copy(update={"replay": 0.0}))
    level_rate = (6 + 4 * 0.8) / (8 + 4)
    shown = dict(rows.select("problem", "difficulty").rows())
    assert shown["easy1000"] == pytest.approx(1 - (2 + 4 * level_rate) / 8, abs=1e-6)
    assert shown["easy1001"] == pytest.approx(1 - (4 + 4 * level_rate) / 8, abs=1e-6)


def test_what_gives_no_gradient_is_left_out() -> None:
    config = CONFIG.model_copy(update={"drop_above": 0.99, "drop_below": 0.01})
    rows = order(problems(), tries({"easy1000": 1.0, "easy1001": 0.5, "easy1002": 0.0}), config)
    left = set(rows["problem"])
    assert {"easy1000", "easy1002"} & left == set()
    assert {"easy1001", "easy1003"} <= left


def test_a_smaller_curriculum_is_balanced() -> None:
    rows = order(problems(), None, CONFIG.model_copy(update={"problems": 40, "replay": 0.0}))
    assert rows.height == 40
    assert set(rows.group_by("family", "level").len()["len"]) == {5}


def test_nothing_to_order() -> None:
    assert order(problems().head(0), None, CONFIG).height == 0


def test_as_a_stage(tmp_path: Path) -> None:
    made = run_stage(tmp_path / "p", MAKE, MakeProblemsConfig(per_cell=4, gym_per_cell=0, shards=2))
    config = OrderCurriculumConfig(checkers=("math",), phases=3)
    digests = {run_stage(tmp_path / str(n), STAGE, config, {"problems": made.view}).done.digest for n in (1, 2)}
    assert len(digests) == 1
    rows = run_stage(tmp_path / "3", STAGE, config, {"problems": made.view}).rows
    wanted = made.rows.filter(pl.col("split") == "train", pl.col("checker") == "math")
    assert set(rows["problem"]) == set(wanted["id"])
    assert rows["parents"].list.first().to_list() == rows["problem"].to_list()
