"""The ledger: shared ancestors count once, energy has a method, estimates are told from records."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.warehouse.lineage_kit import Kit, random_kit
from warehouse.ledger import Ledger, Use, by_stage


def total(kit: Kit, *names: str, watts: float = 10.0) -> Use:
    roots = [call for name in names for call in kit.lineage.called(name)]
    return sum((entry.use for entry in Ledger(kit.lineage).bill(roots, watts)), Use())


def test_a_diamond_counts_its_top_once(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    top = kit.table("top", [[]], seconds=100.0, cpu_seconds=50.0)
    left = kit.table("left", [[]], [top], seconds=10.0, cpu_seconds=5.0)
    right = kit.table("right", [[]], [top], seconds=20.0, cpu_seconds=10.0)
    kit.table("other", [[]], [top], seconds=1_000.0)
    kit.model("bottom", [left, right, top], seconds=1.0, cpu_seconds=2.0)
    assert total(kit, "bottom") == Use(4, 131.0, 67.0, 0.0, 670.0)
    assert total(kit, "left") == Use(2, 110.0, 55.0, 0.0, 550.0)
    assert total(kit, "left", "right") == Use(3, 130.0, 65.0, 0.0, 650.0), "two roots share the top too"


def test_a_call_that_wrote_a_model_and_a_table_beside_it_counts_once(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    base = kit.model("base", seconds=5.0, cpu_seconds=3.0)
    facts = {"mlflow_run": "rl", "started": kit.calls[-1]["started"], "seconds": 40.0, "cpu_seconds": 30.0}
    rollouts = kit.table("rollouts", [[]], [base], "policy", **facts)
    policy = kit.model("policy", [base], **facts)
    kit.table("report", [[]], [rollouts, policy], seconds=1.0, cpu_seconds=1.0)
    assert total(kit, "report") == Use(3, 46.0, 34.0, 0.0, 340.0)
    entries = Ledger(kit.lineage).bill(kit.lineage.called("report"), 10.0)
    assert [entry.artifacts for entry in entries] == [("base@1",), ("policy@1", "rollouts@1[policy]"), ("report@1",)]


def test_recorded_energy_is_taken_and_the_rest_is_estimated_and_says_so(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    first = kit.table("first", [[]], cpu_seconds=7.0)
    kit.model("second", [first], cpu_seconds=100.0)
    ledger = Ledger(kit.lineage)
    call = kit.calls[1]
    ledger.record({"mlflow_run": call["mlflow_run"], "fingerprint": call["fingerprint"], "stage": call["stage"],
                   "started": call["started"], "gpu_seconds": 60.0, "energy_joules": 9_000.0,
                   "method": "rapl + nvml"})  # fmt: skip
    entries = ledger.bill(kit.lineage.called("second"), 12.0)
    assert [(e.use.energy_joules, e.use.gpu_seconds, e.method) for e in entries] == [
        (84.0, 0.0, "not recorded: CPU seconds at 12 W"), (9_000.0, 60.0, "rapl + nvml"),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sums_agree_with_the_set_of_all_ways_up(tmp_path: Path, seed: int) -> None:
    kit = random_kit(tmp_path, seed, tables=9, rows=2)
    by_print = {call["fingerprint"]: call for call in kit.calls}

    def ways(print_: str) -> list[str]:
        return [print_, *(p for given in by_print[print_]["inputs"] for p in ways(given["fingerprint"]))]

    for call in kit.calls:
        call_sum = sum(by_print[p]["seconds"] for p in set(ways(call["fingerprint"])))
        assert total(kit, call["name"]).seconds == pytest.approx(call_sum)
    stages = by_stage(Ledger(kit.lineage).bill([kit.calls[-1]], 1.0))
    assert sum(stages.values(), Use()) == total(kit, kit.calls[-1]["name"], watts=1.0)
