"""Which questions a step asks: whole epochs in order, the same for any subset of places; more from another stream."""

from __future__ import annotations

from collections import Counter

from tasks.rl.config import ReinforceConfig
from tasks.rl.questions import draw

CONFIG = ReinforceConfig(questions_per_step=4, waves=3, seed=5)


def test_an_epoch_asks_every_question_once() -> None:
    asked = [index for step in range(15) for index in draw(CONFIG, 10, step, range(4))]
    assert [sorted(asked[start : start + 10]) for start in range(0, 60, 10)] == [list(range(10))] * 6
    assert asked[:10] != asked[10:20], "another order each epoch"
    assert asked != [i for step in range(15) for i in draw(CONFIG.model_copy(update={"seed": 6}), 10, step, range(4))]


def test_a_place_gets_its_question_whoever_asks_and_further_waves_have_epochs_of_their_own() -> None:
    whole = draw(CONFIG, 10, 7, range(12))
    assert [draw(CONFIG, 10, 7, [place])[0] for place in range(12)] == whole
    further = [index for step in range(5) for index in draw(CONFIG, 10, step, range(4, 12))]
    assert Counter(further) == dict.fromkeys(range(10), 4), "40 draws are four epochs of ten"
