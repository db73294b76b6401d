"""What a point of a score cost: against the whole lineage, and against what another model did not need."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from flows.cost import as_data, point, score
from tests.warehouse.lineage_kit import START, Kit
from warehouse.ids import row_id
from warehouse.ledger import Ledger
from warehouse.lineage import ArtifactRef
from warehouse.prices import Prices
from warehouse.schema import TABLES

PRICES = Prices(cpu_hour=3600, watts_a_core=0, kilowatt_hour=0)  # one coin a CPU second


def scored(kit: Kit, model: ArtifactRef, value: float) -> None:
    """Answers of a model, and a row of scores beside ones that must not be taken."""
    answers = kit.table("eval_samples", [[]], [model], f"{model.name}.held_out", cpu_seconds=1_000.0)
    rows = []
    for suite, family, metric, number in (("held_out", "", "pass@1", value), ("held_out", "sums", "pass@1", 0.99),
                                          ("held_out", "", "greedy", 0.98), ("other", "", "pass@1", 0.97)):  # fmt: skip
        key = (model.name, suite, 0, family, "", metric)
        rows.append({"id": row_id(*key), "parents": [], "partition": model.name,
                     **dict(zip(("model", "suite", "shots", "family", "level", "metric"), key, strict=True)),
                     "value": number, "low": 0.0, "high": 1.0, "questions": 1, "samples": 1,
                     "contaminated": None})  # fmt: skip
    frame = pl.from_dicts(rows, schema=pl.Schema(TABLES["evals"].arrow))
    print_ = row_id("evals", model.name, model.version)
    done = kit.tables.commit(TABLES["evals"], [frame], partitions=[model.name], metadata={"fingerprint": print_})
    made = ArtifactRef(name="evals", kind="table", version=done.version, partitions=(model.name,), digest=done.digest,
                       fingerprint=print_, rows=done.rows)  # fmt: skip
    kit.record(made, [answers], cpu_seconds=1_000.0)


def test_a_point_is_charged_with_training_and_not_with_the_evaluation(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    corpus = kit.table("corpus", [[]], cpu_seconds=60.0)
    base = kit.model("base", [corpus], cpu_seconds=40.0)
    scored(kit, base, 0.10)
    better = kit.model("better", [base, corpus], cpu_seconds=30.0)
    scored(kit, better, 0.25)
    entries = Ledger(kit.lineage).bill(kit.lineage.called("better"), 0)
    told = point(kit.lineage, entries, "better", "held_out", "pass@1", "", PRICES)
    assert (told["value"], told["points"]) == (0.25, pytest.approx(25))
    assert told["each_point"]["money"] == pytest.approx(130 / 25)
    gained = point(kit.lineage, entries, "better", "held_out", "pass@1", "base", PRICES)
    assert gained["points"] == pytest.approx(15)
    assert gained["each_point"]["money"] == pytest.approx(30 / 15), "what the base took is not charged again"
    lost = point(kit.lineage, Ledger(kit.lineage).bill(kit.lineage.called("base"), 0), "base", "held_out", "pass@1",
                 "better", PRICES)  # fmt: skip
    assert lost["each_point"] is None
    assert as_data(entries, PRICES)["total"]["money"] == pytest.approx(130)


def test_a_training_that_both_sides_come_from_is_no_price_of_the_gain(tmp_path: Path) -> None:
    """One side learned from the rollouts that the other's own training left beside it."""
    kit = Kit(tmp_path)
    same = {"mlflow_run": "zero", "started": START, "cpu_seconds": 500.0}
    rollouts = kit.table("rollouts", [[]], (), "zero", **same)
    zero = kit.model("zero", **same)
    better = kit.model("better", [zero, rollouts], cpu_seconds=30.0)
    scored(kit, zero, 0.10)
    scored(kit, better, 0.25)
    entries = Ledger(kit.lineage).bill(kit.lineage.called("better"), 0)
    assert sum(entry.use.cpu_seconds for entry in entries) == 530
    gained = point(kit.lineage, entries, "better", "held_out", "pass@1", "zero", PRICES)
    assert gained["each_point"]["money"] == pytest.approx(30 / 15)


def test_a_score_is_of_exactly_that_version(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    first = kit.model("m")
    scored(kit, first, 0.1)
    second = kit.model("m")
    assert score(kit.lineage, "m@1", "held_out", "pass@1") == 0.1
    with pytest.raises(LookupError, match="m has no pass@1 on held_out"):
        score(kit.lineage, "m", "held_out", "pass@1")
    scored(kit, second, 0.2)
    assert score(kit.lineage, "m", "held_out", "pass@1") == 0.2
    assert score(kit.lineage, "m", "held_out", "greedy") == 0.98
