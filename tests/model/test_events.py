"""A training's events, after what a kill or a full disk may leave; and the peaks that its MFU is a share of."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.train.events import Events, Follower
from model.train.flops import published


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_line_that_was_cut_costs_itself_alone(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    before = Events(path)
    before.metrics(1, {"loss": 2.0})
    follower = Follower(path)
    before.metrics(2, {"loss": 1.0})
    path.write_bytes(path.read_bytes()[:-cut])
    assert list(follower.new()) == []
    after = Events(path)
    after.say("started", step=1)
    after.metrics(2, {"loss": 1.5})
    assert [event["kind"] for event in follower.new()][-2:] == ["started", "metrics"]
    past = [(event["kind"], event["step"]) for event in Follower(path, past=True).new()]
    whole = [("metrics", 2)] if cut == 1 else []  # nothing but the line's end is gone
    assert past == [("metrics", 1), *whole, ("started", 1), ("metrics", 2)]


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12), ("NVIDIA H100 PCIe", 756e12), ("NVIDIA H200 NVL", 989e12),
        ("NVIDIA GH200 480GB", 989e12), ("NVIDIA GB200", 2250e12), ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L40S", 362e12), ("NVIDIA L4", 121e12), ("NVIDIA L40", None), ("NVIDIA RTX A1000", None),
    ],
)  # fmt: skip
def test_a_peak_is_that_of_this_device_and_of_no_other_with_a_name_like_it(name: str, peak: float | None) -> None:
    found = published(name, "bf16")
    assert (found and found.flops_per_second) == peak
