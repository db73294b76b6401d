"""Fingerprints: one form for one meaning, a refusal for what has none."""

from enum import Enum
from functools import partial

import numpy as np
import pytest
from pydantic import BaseModel

from warehouse.fingerprint import canonical, fingerprint


class Cut(Enum):
    F1 = "f1"


class Inner(BaseModel):
    rate: float = 0.1


class Config(BaseModel):
    inner: Inner = Inner()
    cut: Cut = Cut.F1
    names: tuple[str, ...] = ("a", "b")
    extra: object = None


def test_same_meaning_same_fingerprint() -> None:
    one = fingerprint("s", "1", Config(), {"pages": ["x"], "seeds": ["y"]})
    assert one == fingerprint("s", "1", Config(inner=Inner(rate=0.1)), {"seeds": ["y"], "pages": ["x"]})
    assert len(one) == 32


@pytest.mark.parametrize(
    "other",
    [
        ("t", "1", Config(), {}),
        ("s", "2", Config(), {}),
        ("s", "1", Config(inner=Inner(rate=0.1 + 1e-17 * 2)), {"a": ["1"]}),
        ("s", "1", Config(inner=Inner(rate=float(np.nextafter(0.1, 1)))), {}),
        ("s", "1", Config(names=("b", "a")), {}),
        ("s", "1", Config(extra=1), {}),
        ("s", "1", Config(extra=True), {}),
        ("s", "1", Config(extra=1.0), {}),
        ("s", "1", Config(extra="1"), {}),
    ],
)
def test_any_difference_shows(other: tuple) -> None:
    assert fingerprint(*other) != fingerprint("s", "1", Config(), {})


def test_one_and_true_and_one_point_zero_are_three_things() -> None:
    prints = {fingerprint("s", "1", Config(extra=v), {}) for v in (1, True, 1.0, "1")}
    assert len(prints) == 4


@pytest.mark.parametrize(
    "value",
    [
        print,
        lambda: 1,
        partial(print),
        object(),
        float("nan"),
        float("inf"),
        np.float32(0.1),
        np.int64(1),
        b"x",
        {1: 2},
        Config,
    ],
)
def test_what_has_no_canonical_form_is_refused_with_its_place(value: object) -> None:
    with pytest.raises(TypeError, match=r"config\.extra"):
        canonical(Config(extra=value))


def test_known_value() -> None:
    """The fingerprint of a plain config, worked by hand: it must not drift between releases."""
    from hashlib import sha256

    text = '{"config":{"rate":{"float":"0x1.999999999999ap-4"}},"inputs":{"a":["1"]},"stage":"s","version":"1"}'
    assert fingerprint("s", "1", Inner(), {"a": ["1"]}) == sha256(text.encode()).hexdigest()[:32]
