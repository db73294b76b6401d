"""What is heard of a training: also of one that was killed and goes on, by events written out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from model.config import preset
from model.losses import NextToken
from model.train.events import Events
from tasks.train.recipe import Curves, Recipe, pass_on, ranks, report_drop, train_config
from tests.tasks.rl.kit import Listener


def listen(folder: Path, start: int) -> tuple[Listener, Curves]:
    """A stage that hears a training of `folder` which has just said that it goes on at this step."""
    report, curves = Listener(), Curves()
    pass_on(report, curves, folder, {"kind": "started", "step": start, "process": "1:1", "world": 1})
    return report, curves


def test_a_training_that_goes_on_keeps_the_curves_of_the_killed_ones(tmp_path: Path) -> None:
    events = Events(tmp_path / "events.jsonl")
    for start, losses in ((0, {1: 4.0, 2: 3.0, 3: 9.0}), (2, {3: 2.5, 4: 2.0, 5: 9.0})):
        events.say("started", step=start)
        if not start:
            events.metrics(0, {"held_out_loss": 8.0})
        for step, loss in losses.items():
            events.metrics(step, {"loss": loss})
            events.say("router", step=step, share=[[loss / 10]])
            if step % 2 == 0:
                events.metrics(step, {"held_out_loss": loss + 1})
        events.warn("of the killed one")
    events.say("started", step=4)
    events.metrics(5, {"loss": 1.5})  # said already, and on its way to be heard as the next event
    report, curves = listen(tmp_path, 4)
    assert curves == {
        "held_out_loss": [(0, 8.0), (2, 4.0), (4, 3.0)], "loss": [(1, 4.0), (2, 3.0), (3, 2.5), (4, 2.0)]
    }  # fmt: skip
    assert report.curves["loss"] == {1: 4.0, 2: 3.0, 3: 2.5, 4: 2.0}
    assert report.curves["load.layer_000.expert_000"] == {1: 0.4, 2: 0.3, 3: 0.25, 4: 0.2}
    assert not report.warnings
    pass_on(report, curves, tmp_path, {"kind": "metrics", "step": 6, "values": {"held_out_loss": 2.0}})
    report_drop(curves, report)
    assert report.values["held_out_loss_drop"] == 0.75, "from 8 to 2, not from what the last start saw first"


def test_a_training_that_begins_again_has_no_curves_before(tmp_path: Path) -> None:
    events = Events(tmp_path / "events.jsonl")
    events.say("started", step=0)
    events.metrics(0, {"held_out_loss": 8.0})
    events.metrics(1, {"loss": 4.0})
    events.say("started", step=0)
    report, curves = listen(tmp_path, 0)
    assert curves == report.curves == {}


@pytest.mark.parametrize(
    ("layout", "rows", "expected"),
    [({}, 32, 4), ({}, 6, 3), ({}, 1, 1), ({"tensor": 2}, 3, 2), ({"tensor": 4}, 1, 4), ({"pipeline": 2}, 6, 4),
     ({"expert": 2}, 6, 2), ({"expert": 4}, 8, 4), ({"expert": 2, "pipeline": 2}, 2, 4), ({"ranks": 1}, 6, 1)],
)  # fmt: skip
def test_four_cores_are_used_as_far_as_batch_and_layout_divide(
    layout: dict[str, int], rows: int, expected: int
) -> None:
    layout = {"cores": 4, **layout}
    assert ranks(layout, rows) == expected
    plan = train_config(Recipe(batch_rows=rows), preset("laptop"), NextToken(), 64, layout)
    share = plan.parallel.tensor * plan.parallel.pipeline
    assert expected % share == expected % (plan.parallel.expert * plan.parallel.pipeline) == 0, "else no world stands"
    assert rows % (plan.micro_batch_rows * (expected // share)) == 0, "else `Trainer` refuses"


@pytest.mark.parametrize("layout", [{"ranks": 4}, {"ranks": 4, "tensor": 2}, {"tensor": 8}])
def test_a_batch_that_does_not_divide_over_the_machine_is_told(layout: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"1 rows"):
        train_config(Recipe(batch_rows=1), preset("laptop"), NextToken(), 64, {"cores": 4, **layout})


def test_only_next_tokens_have_a_perplexity() -> None:
    text, divergence, same = Listener(), Listener(), Listener()
    report_drop({"held_out_loss": [(0, 2.0), (9, 1.0)], "held_out_next_token": [(0, 2.0), (9, 1.0)]}, text)
    assert text.values == {"held_out_loss_drop": 0.5, "held_out_perplexity": math.e}
    report_drop({"held_out_loss": [(0, 2.0), (9, 1.0)], "held_out_forward_kl": [(0, 2.0), (9, 1.0)]}, divergence)
    assert divergence.values == {"held_out_loss_drop": 0.5}, "e to the power of a divergence is no perplexity"
    report_drop({"held_out_loss": [(0, 0.0), (9, 0.0)]}, same)
    assert not same.values, "a student that was its teacher from the first"
