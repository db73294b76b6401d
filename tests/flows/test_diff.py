"""`rigor diff` of tables that several calls filled, partition by partition, and of runs with other partitions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from flows.diff import _aligned, compare
from flows.settings import Settings
from tests.warehouse.lineage_kit import Kit, schema
from warehouse.ids import row_id
from warehouse.lineage import ArtifactRef

MONTHS = ("2026-01", "2026-02", "2026-03")


def months(kit: Kit, name: str, partitions: tuple[str, ...], shift: int = 0) -> ArtifactRef:
    """One call that fills so many partitions, ten rows each; `shift` changes what rows hold, not their ids."""
    rows = [{"id": row_id(name, part, n), "parents": [], "partition": part, "n": n + shift}
            for part in partitions for n in range(10)]  # fmt: skip
    frame = pl.from_dicts(rows, schema=pl.Schema(schema(name).arrow))
    print_ = row_id(name, *partitions, len(kit.calls))
    done = kit.tables.commit(schema(name), [frame], partitions=partitions, metadata={"fingerprint": print_})
    made = ArtifactRef(name=name, kind="table", version=done.version, partitions=partitions, digest=done.digest,
                       fingerprint=print_, rows=done.rows)  # fmt: skip
    return kit.record(made, [])


def test_a_table_is_each_partition_at_the_version_that_holds_it(home: Settings, tmp_path: Path) -> None:
    kit = Kit(tmp_path / "w")
    whole = months(kit, "left", MONTHS)
    again = months(kit, "left", MONTHS[1:2], shift=100)
    held = {call["fingerprint"]: call["partitions"] for call in kit.lineage.called("left")}
    assert held == {whole.fingerprint: ["2026-01", "2026-03"], again.fingerprint: ["2026-02"]}
    assert [c["fingerprint"] for c in kit.lineage.called("left[2026-02]")] == [again.fingerprint]
    assert [c["partitions"] for c in kit.lineage.called("left@1[2026-03]")] == [["2026-03"]]
    assert kit.lineage.called("left[2026-07]") == []
    told = compare(kit.lineage, "left@1", "left")
    assert (told["rows"]["rows"], told["rows"]["changed"], told["same_content"]) == ((30, 30), 10, False)
    assert [told[side]["artifact"] for side in ("left", "right")] == ["left@1[2026-01,2026-02,2026-03]",
                                                                      "left@2[2026-02]"]  # fmt: skip
    assert compare(kit.lineage, "left@1[2026-03]", "left[2026-03]")["same_content"]


def test_runs_are_compared_partition_by_partition() -> None:
    def run(*writes: str) -> list[dict[str, str]]:
        return [{"stage": "read", "writes": name, "fingerprint": name.partition("[")[2]} for name in writes]

    def pairs(*sides: list[dict[str, str]]) -> list[tuple[Any, Any]]:
        return [(each["left"], each["right"]) for each in _aligned(*sides)]

    later = run("pages@4[2026-02]", "pages@5[2026-03]")
    assert pairs(run("pages@1[2026-01]", "pages@2[2026-02]", "pages@3[2026-03]"), later) == [
        ("2026-01]", None), ("2026-02]", "2026-02]"), ("2026-03]", "2026-03]"),
    ]  # fmt: skip
    assert pairs(run("rounds@1", "rounds@2"), run("rounds@3")) == [("", ""), ("", None)]
