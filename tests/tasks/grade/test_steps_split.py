"""Raw chains to steps."""

from __future__ import annotations

import random

import pytest

from tasks.grade.steps import split_steps


@pytest.mark.parametrize(
    ("chain", "steps"),
    [
        ("", []),
        ("  one line ", ["one line"]),
        ("a\nb\n\n", ["a", "b"]),
        ("first\nstill first\n\nsecond", ["first\nstill first", "second"]),
        ("Step 1: a\nmore\nStep 2: b", ["Step 1: a\nmore", "Step 2: b"]),
        ("Plan.\n## Step 1: a\n\nb\n## Step 2: c", ["Plan.", "## Step 1: a\n\nb", "## Step 2: c"]),
        ("**Step 1** a\n**Step 2** b", ["**Step 1** a", "**Step 2** b"]),
        ("1. a\n2. b\n3. c", ["1. a", "2. b", "3. c"]),
        ("Intro\n1) a\n2) b", ["Intro", "1) a", "2) b"]),
        ("第一步：求和\n第二步：相减", ["第一步：求和", "第二步：相减"]),
        ("x\n\n\\[\na\n\n= b\n\\]\n\ny", ["x", "\\[\na\n\n= b\n\\]", "y"]),
        ("\\begin{align}\na &= b \\\\\n\\end{align}\nend", ["\\begin{align}\na &= b \\\\\n\\end{align}", "end"]),
        ("It is 3.\n5. is a number", ["It is 3.", "5. is a number"]),
    ],
)  # fmt: skip
def test_splits(chain: str, steps: list[str]) -> None:
    assert split_steps(chain) == steps


def test_nothing_is_lost() -> None:
    generator = random.Random(3)
    pieces = [
        "Step 1: ",
        "\n",
        "\n\n",
        "1. ",
        "2. ",
        "\\[",
        "\\]",
        "$$",
        "\\begin{align}",
        "\\end{align}",
        "a = b",
        " ",
    ]
    for _ in range(300):
        chain = "".join(generator.choices(pieces, k=generator.randint(0, 40)))
        assert "".join("".join(split_steps(chain)).split()) == "".join(chain.split())
