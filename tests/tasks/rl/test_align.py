"""What alignment adds to reinforcement: a mix of prompts, late judges, rewards by category, and what is measured."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from model.tokenizer import Tokenizer
from tasks.curate.check_answer import answer_part, is_refusal
from tasks.rl import rollouts
from tasks.rl.config import Questions, ReinforceConfig, RewardWeights, WatchOptions
from tasks.rl.grading import Grader
from tasks.rl.mix import first_step
from tasks.rl.questions import by_share, draw, parts, read_questions
from tasks.rl.watch import Watch
from tasks.train.corpora import lay_out_question
from tests.tasks.rl.kit import Bench, config_of, curve
from tests.tasks.rl.test_grading import CALM

MIX = {"mix": [{"categories": ["math"], "share": 3}, {"categories": ["general"], "share": 1},
               {"checkers": ["refusal"], "share": 1, "from_share": 0.75},
               {"checkers": ["compliance"], "share": 1, "from_share": 0.75}]}  # fmt: skip
PROBLEMS = [
    {"category": category, "family": category, "checker": checker, "level": 1}
    for category, checker, count in (("math", "math", 9), ("general", "exact", 5), ("safety", "refusal", 3),
                                     ("safety", "compliance", 2))
    for _ in range(count)
]  # fmt: skip
"""Nine, five, three and two."""


def mixed(steps: int = 40, asked: int = 12, waves: int = 1) -> ReinforceConfig:
    return ReinforceConfig.model_validate(
        {"steps": steps, "questions_per_step": asked, "waves": waves, "questions": MIX, "seed": 3}
    )


def kinds(indices: Sequence[int]) -> Counter[str]:
    return Counter(str(PROBLEMS[index]["checker"]) for index in indices)


def test_a_step_asks_each_part_by_its_share_and_late_parts_in_the_last_quarter_alone() -> None:
    config = mixed()
    members = parts(config.questions, PROBLEMS)
    assert list(map(len, members)) == [9, 5, 3, 2]
    for step in range(40):
        asked = kinds(draw(config, len(PROBLEMS), step, range(12), members))
        # 12 by 3 : 1, then by 3 : 1 : 1 : 1.
        late = {"math": 6, "exact": 2, "refusal": 2, "compliance": 2}
        assert asked == ({"math": 9, "exact": 3} if step < 30 else late), step


def test_a_part_may_begin_at_a_level_and_what_fits_no_part_is_not_asked() -> None:
    problems = [{**PROBLEMS[0], "level": level} for level in range(1, 7)]
    options = Questions.model_validate({"mix": [{"categories": ["math"], "lowest_level": 4, "share": 1}]})
    assert parts(options, problems) == [[3, 4, 5]]
    assert by_share(options, problems, 6) == [3, 4, 5]


@pytest.mark.parametrize("waves", [1, 2])
def test_every_part_goes_through_epochs_of_its_own(waves: int) -> None:
    config = mixed(waves=waves)
    members = parts(config.questions, PROBLEMS)
    asked = [draw(config, len(PROBLEMS), step, range(12 * waves), members) for step in range(40)]
    assert [draw(config, len(PROBLEMS), 33, [place], members)[0] for place in range(12 * waves)] == asked[33]
    # What a step does without, its further wave, leaves no hole in the first one's epochs.
    for first, end in ((0, 12), (12, 24))[:waves]:
        for part in members:
            seen = [index for step in asked for index in step[first:end] if index in part]
            for start in range(0, len(seen) - len(part), len(part)):
                assert sorted(seen[start : start + len(part)]) == part
            assert len(seen) > 2 * len(part)


def test_a_mix_that_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValidationError, match="from the first step"):
        Questions.model_validate({"mix": [{"share": 1, "from_share": 0.5}]})
    with pytest.raises(ValidationError, match="curriculum"):
        Questions.model_validate({"mix": [{"share": 1}], "order": "curriculum"})
    with pytest.raises(ValueError, match="no problem fits"):
        parts(Questions.model_validate({"mix": [{"categories": ["code"], "share": 1}]}), PROBLEMS)


def test_the_held_out_set_has_every_part() -> None:
    options = Questions.model_validate(MIX)
    assert kinds(by_share(options, PROBLEMS, 12)) == {"math": 6, "exact": 2, "refusal": 2, "compliance": 2}
    assert kinds(by_share(options, PROBLEMS, 60)) == {"math": 9, "exact": 5, "refusal": 3, "compliance": 2}
    assert by_share(Questions(), PROBLEMS, 4) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("share", "steps", "first"), [(0.75, 40, 30), (1300 / 1700, 1700, 1300), (0.07, 100, 7), (0, 9, 0)]
)
def test_what_comes_late_begins_at_its_step(share: float, steps: int, first: int) -> None:
    assert first_step(share, steps) == first


def problem(category: str, checker: str, prompt: str) -> dict[str, Any]:
    return {"id": prompt, "prompt": prompt, "gold": "7", "tests": "", "language": "en", "category": category,
            "checker": checker}  # fmt: skip


def test_each_prompt_is_rewarded_by_what_is_asked_of_it_by_hand() -> None:
    heard: list[list[str]] = []

    def judge(prompts: Sequence[str], _: Sequence[str]) -> NDArray[np.float64]:
        heard.append(list(prompts))
        return np.full(len(prompts), 0.5)

    weights = RewardWeights.model_validate(
        {"accuracy": 1, "format": 0, "language": 0, "accuracy_categories": ["math"],
         "judges": {"helpful": {"weight": 2, "categories": ["general", "safety"], "except_checkers": ["refusal"]},
                    "safety": {"weight": 4, "categories": ["safety"], "from_share": 0.75}}}
    )  # fmt: skip
    grader = Grader(weights, {"helpful": judge, "safety": judge})
    problems = [problem("math", "math", "m"), problem("general", "math", "g"), problem("safety", "refusal", "r")]
    right = "<answer>7</answer>"
    early = grader.grade(problems, [right] * 3, step=29, steps=40)
    assert early.total.tolist() == [1, 1, 0], "accuracy on mathematics, 2 x 0.5 on the general prompt, nothing asked"
    assert early.terms["accuracy@1"].tolist() == [1, 1, 0], "measured everywhere"
    assert early.weights["accuracy@1"].tolist() == [1, 0, 0]
    assert heard == [["g"]]
    late = grader.grade(problems, [right] * 3, step=30, steps=40)
    assert late.total.tolist() == [1, 1, 2]
    assert [math.isnan(value) for value in late.terms["judge:safety"]] == [True, True, False]
    assert late.weights["judge:helpful"].tolist() == [0, 2, 0]
    assert heard[1:] == [["g"], ["r"]]


def test_a_reward_model_that_gives_no_number_ends_the_training() -> None:
    """NaN stands for "not asked": taken for that, a broken model would reward nothing and nobody would hear of it."""
    weights = RewardWeights.model_validate({"accuracy": 1, "judges": {"helpful": 1}})
    grader = Grader(weights, {"helpful": lambda prompts, _: np.full(len(prompts), np.nan)})
    with pytest.raises(ValueError, match="helpful gives a reward that is not finite"):
        grader.grade([problem("math", "math", "m")], ["<answer>7</answer>"])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Half of the questions are general, some of both held-out kinds of the safety families."""
    made = Bench(tmp_path_factory.mktemp("bench"))
    tokenizer = Tokenizer.load(made.policy)
    for path in (made.problems, made.held_out):
        rows = read_questions(path)
        for index, row in enumerate(rows):
            row |= {"category": ("math", "general", "safety")[index % 3], "rejected": "3"}
            if index % 3 == 2:
                row |= {"checker": ("refusal", "compliance")[index % 2], "tests": '{"keywords": ["1"]}'}
            row["tokens"] = tokenizer.encode_parts([lay_out_question(row["prompt"], "turns")])[0]
        pl.DataFrame(rows).write_parquet(path)
    return made


def ones(_: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
    return np.array([text.count("1") / 6 for text in responses])


def test_a_policy_learns_what_a_judge_prefers_where_it_is_asked_and_when(bench: Bench, tmp_path: Path) -> None:
    config = config_of(
        steps=24, questions_per_step=8, samples=8, save_every_steps=24,
        questions={"mix": [{"categories": ["math"], "share": 1}, {"categories": ["general"], "share": 1}]},
        rewards={"accuracy": 0, "format": 0, "judges": {"test": {"categories": ["general"], "from_share": 0.25}}},
        optimizer={"learning_rate": 0.02, "weight_decay": 0.0}, held_out={"problems": 6, "every_steps": 12},
    )  # fmt: skip
    made = bench.reinforcer(tmp_path, config, ones)
    made.run()
    assert curve(tmp_path, "updates")[:6] == [0] * 6
    assert min(curve(tmp_path, "updates")[8:12]) == 1
    judged = curve(tmp_path, "reward.judge:test")
    assert len(judged) == 18
    assert np.mean(judged[:3]) < 0.15
    assert np.mean(judged[-3:]) > 0.5
    frame = pl.concat(rollouts.read(tmp_path / "rollouts", 24)).with_columns(
        terms=pl.col("rewards").list.eval(pl.element().struct.field("term")),
        total=pl.col("rewards").list.eval(
            pl.element().struct.field("value") * pl.element().struct.field("weight")
        ).list.sum(),
    )  # fmt: skip
    assert np.allclose(frame["total"], frame["reward"])
    general = {row["id"] for row in read_questions(bench.problems) if row["category"] == "general"}
    asked = frame.filter(pl.col("terms").list.contains("judge:test"))
    assert set(asked["problem"]) == general
    assert asked["step"].min() == 6
    assert asked.height == 18 * 4 * 8
    preference = curve(tmp_path, "held_out_preference")
    assert preference[-1] > preference[0] + 0.3
    assert made.watch.rewarded == 3, "two parts and the judge: looks from before it came in are not compared with"


def test_refusals_and_preference_are_measured_as_by_hand(bench: Bench, tmp_path: Path) -> None:
    config = config_of(rewards={"accuracy": 0, "format": 0, "judges": {"test": {"categories": ["general"]}}})
    made = bench.reinforcer(tmp_path, config, ones)
    found = made.examiner.examine()
    params = made.examiner.ways["held_out_pass_rate"]
    rows = read_questions(bench.held_out)
    texts = [
        answer.text
        for (answer,) in made.sampler.generate(
            [row["tokens"] for row in rows], params, seeds=[params.seed + i for i in range(len(rows))]
        )
    ]
    for checker, name in (("refusal", "correct"), ("compliance", "wrong")):
        refused = [is_refusal(answer_part(t)) for t, row in zip(texts, rows, strict=True) if row["checker"] == checker]
        assert refused
        assert found[f"held_out_{name}_refusals"] == pytest.approx(np.mean(refused))
    general = [text for text, row in zip(texts, rows, strict=True) if row["category"] == "general"]
    assert found["held_out_preference"] == pytest.approx(ones([], general).mean())
    assert found["held_out_preferred"] == pytest.approx(np.mean(ones([], general) > 0)), "the rejected answer has no 1"
    assert {"held_out_greedy.math", "held_out_pass_rate.general"} <= found.keys()


def test_a_problem_without_a_rejected_answer_is_no_comparison(bench: Bench, tmp_path: Path) -> None:
    """Against an empty answer nearly everything is preferred."""
    rows = read_questions(bench.held_out)
    config = config_of(rewards={"accuracy": 0, "format": 0, "judges": {"test": 1.0}})

    def length(_: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        return np.array([len(answer_part(text)) + 1 for text in responses], np.float64)

    for none in ("", None):
        made = bench.reinforcer(tmp_path, config, length)
        made.examiner.problems = [row | {"rejected": "3" * 100 if i < 2 else none} for i, row in enumerate(rows)]
        found = made.examiner.examine()
        assert found["held_out_preferred"] == 0, "both answers that there are to compare with are liked better"
        assert found["held_out_preference"] > 0
        made = bench.reinforcer(tmp_path, config, length)
        made.examiner.problems = [row | {"rejected": none} for row in rows]
        assert "held_out_preferred" not in made.examiner.examine()


def test_a_preference_that_rises_while_the_pass_rate_falls_is_told() -> None:
    def said(rates: list[float], liked: list[float], rewarded: int = 1) -> list[str]:
        watch, found = Watch(WatchOptions(window_steps=1), 2.0), []
        for look, (rate, score) in enumerate(zip(rates, liked, strict=True)):
            watch.step(CALM)
            found += watch.look(rate, score, rewarded if look > 1 else 1)
            watch = Watch(WatchOptions(window_steps=1), 2.0, watch.state())
        return found

    falling, rising = [0.5, 0.48, 0.46, 0.44, 0.42], [0.4, 0.45, 0.5, 0.55, 0.6]
    assert len(said(falling, rising)) == 1
    assert "reward models' held-out score rose" in said(falling, rising)[0]
    assert said(falling, [0.4] * 5) == []
    assert said([0.5] * 5, rising) == []
    assert said(falling, rising, rewarded=2) == [], "other prompts or a judge came in: looks before them do not count"


def test_a_part_that_no_step_asks_is_an_error() -> None:
    mix = [{"families": ["sums"], "share": 4}, {"families": ["facts"], "share": 1, "from_share": 0.75},
           {"families": ["harmful"], "share": 12, "from_share": 0.75}]  # fmt: skip
    ReinforceConfig.model_validate({"questions_per_step": 16, "questions": {"mix": mix}})
    with pytest.raises(ValueError, match=r"parts \[1\] .* none of 8 questions a step"):
        ReinforceConfig.model_validate({"questions_per_step": 8, "questions": {"mix": mix}})
