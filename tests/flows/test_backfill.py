"""Backfills in processes: order and parallelism change no row, a killed month is named. More in `test_mine.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.backfill import BackfillConfig, BackfillError, backfill_from_shell, configs_of
from flows.backfill_months import Month, run_months
from flows.config import ConfigError, load_config
from flows.mine import MineConfig, _unique
from flows.runner import Runner
from flows.settings import Settings
from tasks.sample_crawl import SampleCrawlConfig, generate
from tests.warehouse.lineage_kit import Kit
from warehouse.lineage import ArtifactRef, Lineage
from warehouse.tables import Tables

MONTHS = ("2026-01", "2026-02", "2026-03")


def small(folder: Path) -> BackfillConfig:
    """Three months of 60 pages."""
    generate(folder, SampleCrawlConfig(pages_per_month=60, months=MONTHS))
    changes = ("max_rounds=1", f"positives=['{folder}/seeds/positives.jsonl']",
               f"negatives=['{folder}/seeds/negatives.jsonl']",
               f"benchmarks=['{folder}/benchmarks/contest.jsonl']")  # fmt: skip
    return BackfillConfig(first=MONTHS[0], last=MONTHS[-1], changes=changes, paths=(str(folder / "crawl"),))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_order_and_parallelism_change_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = small(tmp_path / "crawl")
    digests = []
    for name, changes in (("in-order", {}), ("newest", {"order": "newest_first"}), ("at-once", {"parallel": 3})):
        monkeypatch.setenv("RIGOR_WAREHOUSE", str(tmp_path / name))
        backfill_from_shell(asked.model_copy(update=changes))
        made = Tables(str(tmp_path / name))
        digests.append({month: made.view("math_corpus", partitions=[month]).digest() for month in MONTHS})
    assert digests[0] == digests[1] == digests[2]
    # The first month has no crawl files: the first that has some trains the classifier, alone.
    monkeypatch.setenv("RIGOR_WAREHOUSE", str(tmp_path / "gap"))
    with pytest.raises(BackfillError, match="1 of 4 months failed"):
        backfill_from_shell(asked.model_copy(update={"first": "2025-12", "parallel": 3}))
    made = Tables(str(tmp_path / "gap"))
    assert {month: made.view("math_corpus", partitions=[month]).digest() for month in MONTHS} == digests[0]
    monkeypatch.setenv("RIGOR_WAREHOUSE", str(tmp_path / "at-once"))
    calls = Lineage(Tables(str(tmp_path / "at-once"))).calls().height
    again = run_months("mine", configs_of(asked, MONTHS), parallel=2, newest_first=False)
    assert [(outcome.state, outcome.computed) for outcome in again] == [("unchanged", 0)] * 3
    assert Lineage(Tables(str(tmp_path / "at-once"))).calls().height == calls


@pytest.mark.parametrize("written", ["", '{"state": "done", "comp'])
def test_a_killed_month_is_failed_by_its_signal(written: str, home: Settings) -> None:
    month = Month("mine", "2026-01", load_config(MineConfig, "mine", "laptop"), "http://127.0.0.1:9/api")
    month.process.kill()
    month.process.wait()
    Path(month.result.name).write_text(written)
    outcome = month.outcome()
    assert (outcome.month, outcome.state) == ("2026-01", "failed")
    assert outcome.reason.startswith("the process was killed by SIGKILL")


def test_a_month_yields_to_what_the_tables_hold_now_of_the_months_before(home: Settings) -> None:
    kit, run = Kit(Path(home.warehouse_uri())), Runner(home, dry=True)
    pages, scores = (ArtifactRef(name=name, kind="table", version=0, digest=name, partitions=("2026-02",))
                     for name in ("pages", "page_scores"))  # fmt: skip

    def planned() -> str:
        _unique(run, MineConfig(), pages, scores, {}, "2026-02")
        return run.calls[-1].fingerprint

    first = kit.table("pages_unique", [[]], (), "2026-01")
    before = planned()
    second = kit.table("pages_unique", [[], []], (), "2026-01")  # with another config
    assert planned() != before
    assert run.make_current(first) == first
    assert run.stale == [first], "a plan changes nothing, and says what a run would"
    assert run.is_current(second)
    Runner(home).make_current(first)  # the first config again: all of it exists
    assert planned() == before


def test_only_flows_over_months_are_backfilled(home: Settings) -> None:
    with pytest.raises(ConfigError, match="synthesize runs over no months; these do: mine"):
        backfill_from_shell(BackfillConfig(flow="synthesize", first="2026-01", last="2026-02"))
    with pytest.raises(ConfigError, match="'2026-13' is no month"):
        backfill_from_shell(BackfillConfig(first="2026-01", last="2026-13"))
    with pytest.raises(ConfigError, match="is after"):
        backfill_from_shell(BackfillConfig(first="2026-02", last="2026-01"))
    with pytest.raises(ConfigError, match="is no month"):
        backfill_from_shell(BackfillConfig(first="2026-01\n", last="2026-02"))


def test_a_dry_run_of_months_that_would_fail_fails(home: Settings) -> None:
    with pytest.raises(BackfillError, match=r"1 of 1 months would fail \(2026-01\)"):
        backfill_from_shell(BackfillConfig(first="2026-01", last="2026-01", paths=("nowhere",), dry_run=True))
