"""A review's file as it was exported comes back, whatever characters the rows hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.review import Open
from flows.review_files import export_rows, import_rows
from tasks.curate.review_chains import Decision, ReviewConfig, read_decisions
from warehouse.lineage import ArtifactRef

ODD = "before\u2028after\x85 and\x0c on"
MADE = ArtifactRef(name="cold_start", kind="table", version=1, digest="d")


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_characters_that_end_a_line_elsewhere_do_not_here(name: str, tmp_path: Path) -> None:
    rows = [{"id": key, "language": "en", "prompt": f"{key} {ODD}", "steps": ["1 + 1 = 2"], "answer": "2",
             "rewritten_from": ODD, "source": "s"} for key in ("one", "two")]  # fmt: skip
    decisions = {"two": Decision(id="two", decision="reject", note=f"dull {ODD} indeed")}
    table = Open(MADE, rows, ReviewConfig(), decisions)
    assert export_rows(table, tmp_path / name) == 2
    assert import_rows(table, tmp_path / name) == decisions
    handed = "".join(decision.model_dump_json() + "\n" for decision in decisions.values())
    assert read_decisions(handed.split("\n")) == decisions, "as the stage reads the file that `Open.keep` writes"
