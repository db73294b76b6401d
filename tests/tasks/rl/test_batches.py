"""Packing of rollouts, minibatches and the order of questions, against brute force."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.sample import Completion
from tasks.rl.batches import minibatches, pack
from tasks.rl.questions import draw
from tasks.rl.sampling import Sample
from tests.tasks.rl.kit import config_of


def sample(place: int, prompt: int, response: int) -> Sample:
    """A rollout with tokens that are nowhere else."""
    first = 1000 * (place + 1)
    tokens = tuple(range(first + prompt, first + prompt + response))
    done = Completion(tokens, "", tuple(-0.5 - t / 1e6 for t in tokens), "stop")
    made = Sample(place, 0, {}, tuple(range(first, first + prompt)), done, {}, 1.0, advantage=place - 1.5)
    made.known["old_log_probs"] = np.array(done.log_probs, np.float32) - 1
    return made


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 90), st.integers(1, 200)), max_size=12), st.integers(1, 5))
def test_packed_rows_hold_every_rollout_once_and_nothing_else(sizes: list[tuple[int, int]], micro: int) -> None:
    samples = [sample(i, prompt, response) for i, (prompt, response) in enumerate(sizes)]
    packed = pack(samples, micro, known=["old_log_probs"])
    batch = {name: column.numpy() for name, column in packed.batch.items()}
    rows, row_tokens = batch["tokens"].shape
    assert rows % packed.micro_batch_rows == 0
    assert packed.micro_batch_rows <= micro
    found = []
    for row in range(rows):
        for document in sorted(set(batch["document"][row]) - {-1}):
            places = np.flatnonzero(batch["document"][row] == document)
            assert (np.diff(places) == 1).all()
            tokens = batch["tokens"][row, places].tolist()
            (one,) = [s for s in samples if [*s.prompt, *s.completion.tokens] == tokens]
            asked = len(one.prompt)
            assert batch["weight"][row, places].tolist() == [0] * asked + [1] * (len(tokens) - asked)
            assert (batch["advantage"][row, places[asked:]] == one.advantage).all()
            log_probs = np.array(one.completion.log_probs, np.float32)
            assert (batch["sampler_log_probs"][row, places[asked:]] == log_probs).all()
            assert (batch["old_log_probs"][row, places[asked:]] == log_probs - 1).all()
            found.append(one.place)
    assert sorted(found) == list(range(len(samples)))
    padding = batch["document"] == -1
    assert not batch["weight"][padding].any()
    for one, values in zip(samples, packed.values_of(packed.batch["sampler_log_probs"]), strict=True):
        assert values.tolist() == np.array(one.completion.log_probs, np.float32).tolist()
    # No more rows than pairs of rollouts that do not fit together would need.
    assert rows <= max(1, len(sizes)) + packed.micro_batch_rows
    assert row_tokens >= max((p + r for p, r in sizes), default=1)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 9), st.integers(0, 2**32), st.data())
def test_minibatches_use_every_sample_once_an_epoch(
    groups: int, samples: int, count: int, seed: int, data: st.DataObject
) -> None:
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=groups * samples, max_size=groups * samples)))
    kept = kept.reshape(groups, samples)
    parts = minibatches(kept, count, 0, seed)
    assert (sum((part.astype(int) for part in parts), np.zeros_like(kept, int)) == kept).all()
    sizes = [int(part.sum()) for part in parts]
    assert max(sizes, default=0) - min(sizes, default=0) <= 1
    assert 0 not in sizes
    assert all((a == b).all() for a, b in zip(parts, minibatches(kept, count, 0, seed), strict=True))


def test_minibatches_differ_from_epoch_to_epoch() -> None:
    kept = np.ones((4, 8), np.bool_)
    first, second = (minibatches(kept, 4, epoch, 7)[0] for epoch in (0, 1))
    assert (first != second).any()


def test_every_question_is_asked_once_an_epoch() -> None:
    config = config_of(steps=30, questions_per_step=4, waves=3)
    for start in range(0, 30, 3):  # 3 steps of 4 are an epoch of 12
        asked = [q for step in range(start, start + 3) for q in draw(config, 12, step, range(4))]
        assert sorted(asked) == list(range(12))
    orders = [tuple(q for step in range(s, s + 3) for q in draw(config, 12, step, range(4))) for s in (0, 3, 6)]
    assert len(set(orders)) == 3
    more = Counter(q for step in range(3) for q in draw(config, 12, step, range(4, 12)))
    assert set(more.values()) == {2}  # 24 further draws of dynamic sampling
    assert draw(config, 12, 5, [2]) == [draw(config, 12, 5, range(4))[2]]


@pytest.mark.parametrize("count", [12, 30, 100])
def test_dynamic_sampling_at_the_end_of_a_curriculum_asks_what_is_nearly_as_hard(count: int) -> None:
    config = config_of(steps=10, questions_per_step=4, waves=3, questions={"order": "curriculum"})
    for step in range(10):
        asked = draw(config, count, step, range(12))
        assert asked[:4] == draw(config.model_copy(update={"waves": 1}), count, step, range(4))
        assert len(set(asked)) == 12
        assert max(asked) - min(asked) == 11, "neighbours, none from the other end"


@pytest.mark.parametrize(("count", "last"), [(7, 3), (30, 26), (100, 90)])
def test_a_curriculum_is_followed_from_its_first_row_to_its_last_and_not_begun_again(count: int, last: int) -> None:
    config = config_of(steps=10, questions_per_step=4, questions={"order": "curriculum"})
    asked = [draw(config, count, step, range(4)) for step in range(10)]
    starts = [questions[0] for questions in asked]
    assert starts[0] == 0
    assert starts == sorted(starts)
    assert starts[-1] == last
    assert all(questions == [*range(questions[0], questions[0] + 4)] for questions in asked)
    assert all(max(questions) < count for questions in asked)
