"""Reasoning and general rows: the ratio against all that could have been taken, shortages, and draws by id."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tasks.curate.join_general import CORPUS, KEPT, REPAIRS, STAGE, JoinGeneralConfig, plan, shortage
from tests.tasks.curate.made import Made, commit, run_stage
from tests.tasks.train.corpora_made import frame
from warehouse.ids import row_id

GENERAL = ("general", "safety")


def table(name: str, count: int, category: str = "math", first: int = 0, **columns: Any) -> list[dict[str, Any]]:
    return [
        {"id": row_id(name, category, i), "parents": [], "partition": "all", "problem": row_id(category, i),
         "family": "f", "level": 1, "language": "en", "category": category, "prompt": f"{category} {i}",
         "steps": [f"{i} = {i}"] if name != CORPUS else [], "answer": str(i), **columns}
        for i in range(first, first + count)
    ]  # fmt: skip


def corpus(general: int, safety: int) -> list[dict[str, Any]]:
    meant = {"style": "reference", "split": "train", "correct": True}
    return [*table(CORPUS, general, "general", **meant), *table(CORPUS, safety, "safety", **meant)]


def joined(folder: Path, given: dict[str, list[dict[str, Any]]], **config: Any) -> Made:
    views = {name: commit(folder / "t", name, frame(rows, name)) for name, rows in given.items()}
    return run_stage(folder / "s", STAGE, JoinGeneralConfig(**config), views)


@pytest.mark.parametrize("seed", range(200))
def test_the_plan_takes_the_most_that_keeps_the_ratio(seed: int) -> None:
    rng = random.Random(seed)
    have = {name: rng.randint(1, 60) for name in (KEPT, *GENERAL)} | {REPAIRS: rng.choice([0, 3, 40])}
    config = JoinGeneralConfig(
        reasoning_parts=rng.choice([1, 2, 3]), repair_share=rng.choice([0.0, 0.1, 0.5]), rows=rng.choice([10, 1000]),
        categories={"general": 1.0, "safety": rng.choice([0.25, 1.0])},
    )  # fmt: skip
    taken = plan(config, have)
    reasoning, general = taken[KEPT] + taken[REPAIRS], taken["general"] + taken["safety"]
    ratio = config.reasoning_parts
    assert all(0 <= taken[name] <= have[name] for name in have)
    assert abs(reasoning - ratio * general) <= ratio / 2 + 0.5, "only rounding parts them from the ratio"
    assert taken[REPAIRS] <= round(reasoning * config.repair_share)
    possible = [
        (r + p, g)
        for p in range(have[REPAIRS] + 1) for r in range(have[KEPT] + 1) if p <= (r + p) * config.repair_share
        for g in [round((r + p) / ratio)] if g <= have["general"] + have["safety"]
        if abs(r + p - ratio * g) < 0.5 and r + p + g <= config.rows
    ]  # fmt: skip
    best = max((r + g for r, g in possible), default=0)
    assert reasoning + general >= best - 1 - ratio
    assert reasoning + general <= config.rows + 1


@pytest.mark.parametrize("seed", range(60))
def test_general_rows_follow_their_weights(seed: int) -> None:
    rng = random.Random(seed)
    have = {KEPT: 3 * rng.randint(1, 40), REPAIRS: 0, "general": rng.randint(0, 60), "safety": rng.randint(1, 60)}
    taken = plan(JoinGeneralConfig(categories={"general": 3.0, "safety": 1.0}), have)
    wanted = taken["general"] + taken["safety"]
    for name, weight in (("general", 0.75), ("safety", 0.25)):
        other = "safety" if name == "general" else "general"
        fair = abs(taken[name] - wanted * weight) <= 1
        assert fair or taken[name] == have[name] or taken[other] == have[other], "only a shortage changes the shares"


def test_three_to_one_with_what_is_missing_told(tmp_path: Path) -> None:
    made = joined(tmp_path, {KEPT: table(KEPT, 100), CORPUS: corpus(16, 4)}, categories={"general": 1, "safety": 1})
    kinds = dict(made.rows.group_by("kind").len().iter_rows())
    assert kinds == {"reasoning": 60, "general": 20}
    assert (made.notes.metrics["short.general"], made.notes.metrics["short.reasoning"]) == (13, 0)
    assert {row.reject.reason: row.reject.count for row in made.notes.rejected} == {"beyond the ratio": 40}
    short = joined(tmp_path / "2", {KEPT: table(KEPT, 9), CORPUS: corpus(50, 50)})
    assert dict(short.rows.group_by("kind").len().iter_rows()) == {"reasoning": 9, "general": 3}
    assert short.notes.metrics["short.reasoning"] == 300 - 9
    for row in short.rows.iter_rows(named=True):
        assert row["parents"] == [row["row"], row["problem"]]
        assert row["source"] == {"reasoning": KEPT, "general": CORPUS}[row["kind"]]
        assert row["prompt"].split()[0] == {"reasoning": "math"}.get(row["kind"], row["category"])


def test_repairs_are_a_share_of_the_reasoning_rows(tmp_path: Path) -> None:
    given = {KEPT: table(KEPT, 90), CORPUS: corpus(40, 0), REPAIRS: table(REPAIRS, 50, first=500)}
    kinds = joined(tmp_path, given, repair_share=0.1).rows.group_by("kind").len()
    assert dict(kinds.iter_rows()) == {"reasoning": 90, "repair": 10, "general": 33}
    few = {**given, REPAIRS: given[REPAIRS][:4]}
    made = joined(tmp_path / "2", few, repair_share=0.1)
    assert dict(made.rows.group_by("kind").len().iter_rows()) == {"reasoning": 90, "repair": 4, "general": 31}
    assert made.notes.metrics["short.repair"] == 9 - 4
    none = joined(tmp_path / "3", given, repair_share=0.0)
    assert not none.rows.filter(kind="repair").height


def test_only_right_training_references_of_the_categories(tmp_path: Path) -> None:
    meant = {"style": "reference", "split": "train", "correct": True}
    others = [{"correct": False}, {"split": "test"}, {"style": "wrong"}]
    rows = table(CORPUS, 5, "general", **meant) + table(CORPUS, 5, "code", **meant)
    rows += [r for k, change in enumerate(others) for r in table(CORPUS, 3, "general", 10 + 10 * k, **meant | change)]
    made = joined(tmp_path, {KEPT: table(KEPT, 60), CORPUS: rows})
    assert sorted(made.rows.filter(kind="general")["prompt"]) == [f"general {i}" for i in range(5)]
    reasons = {row.reject.reason: row.reject.count for row in made.notes.rejected}
    assert reasons == {"answer not right": 3, "beyond the ratio": 45}


def test_the_draw_depends_on_ids_alone(tmp_path: Path) -> None:
    kept, general = table(KEPT, 60), corpus(12, 0)
    one = joined(tmp_path / "1", {KEPT: kept, CORPUS: general}).rows
    turned = joined(tmp_path / "2", {KEPT: kept[::-1], CORPUS: general[::-1]}).rows
    assert one.equals(turned)
    fewer = joined(tmp_path / "3", {KEPT: kept, CORPUS: general[:6]}).rows
    assert set(fewer.filter(kind="reasoning")["id"]) < set(one.filter(kind="reasoning")["id"])
    assert not one.equals(joined(tmp_path / "4", {KEPT: kept, CORPUS: general}, seed=2).rows)


def test_a_side_without_rows_is_refused_unless_it_is_not_wanted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no general rows"):
        joined(tmp_path / "1", {KEPT: table(KEPT, 6), CORPUS: []})
    alone = joined(tmp_path / "2", {KEPT: table(KEPT, 6), CORPUS: corpus(4, 0)}, general_parts=0)
    assert alone.rows["kind"].to_list() == ["reasoning"] * 6
    with pytest.raises(ValueError, match="both 0"):
        JoinGeneralConfig(reasoning_parts=0, general_parts=0)
    taken = {"reasoning": 0, "repair": 0, "general": 4}
    config = JoinGeneralConfig(reasoning_parts=0)
    assert shortage(config, {KEPT: 5, "general": 4}, taken)["general"] == 0
