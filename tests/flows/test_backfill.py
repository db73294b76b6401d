"""Backfills in processes: order and parallelism change no row, a killed month is named. More in `test_mine.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.backfill import BackfillConfig, backfill_from_shell, configs_of
from flows.backfill_months import Month, run_months
from flows.config import ConfigError, load_config
from flows.mine import MineConfig
from flows.settings import Settings
from tasks.sample_crawl import SampleCrawlConfig, generate
from warehouse.lineage import Lineage
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
    calls = Lineage(Tables(str(tmp_path / "at-once"))).calls().height
    again = run_months("mine", configs_of(asked, MONTHS), parallel=2, newest_first=False)
    assert [(outcome.state, outcome.computed) for outcome in again] == [("unchanged", 0)] * 3
    assert Lineage(Tables(str(tmp_path / "at-once"))).calls().height == calls


def test_a_killed_month_is_failed_by_its_signal(home: Settings) -> None:
    month = Month("mine", "2026-01", load_config(MineConfig, "mine", "laptop"), "http://127.0.0.1:9/api")
    month.process.kill()
    month.process.wait()
    outcome = month.outcome()
    assert (outcome.month, outcome.state) == ("2026-01", "failed")
    assert outcome.reason.startswith("the process was killed by SIGKILL")


def test_only_flows_over_months_are_backfilled(home: Settings) -> None:
    with pytest.raises(ConfigError, match="synthesize runs over no months; these do: mine"):
        backfill_from_shell(BackfillConfig(flow="synthesize", first="2026-01", last="2026-02"))
    with pytest.raises(ConfigError, match="'2026-13' is no month"):
        backfill_from_shell(BackfillConfig(first="2026-01", last="2026-13"))
    with pytest.raises(ConfigError, match="is after"):
        backfill_from_shell(BackfillConfig(first="2026-02", last="2026-01"))
