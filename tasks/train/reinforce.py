"""Stage reinforce: a policy and problems in, a better policy and every rollout out (GRPO; see `tasks/rl`)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import polars as pl
import torch

from model.convert import Card, load_shape
from model.tokenizer import Tokenizer
from model.train.launch import launch_job
from tasks.rl import rollouts
from tasks.rl.config import ReinforceConfig
from tasks.rl.job import RlJob
from tasks.rl.questions import by_share, chosen
from tasks.stage import Inputs, Made, Reject, RejectedRow, Report, Stage
from tasks.train.corpora import fraction, lay_out_question
from tasks.train.recipe import Curves, curve_figure, pass_on, ranks

FIGURES = {
    "reward": ({"reward": "mean reward", "reward.accuracy": "accuracy", "reward.answer_format": "format",
                "reward.language": "language"}, "Reward by term", "reward"),
    "pass_rate": ({"pass_rate": "train, sampled", "held_out_pass_rate": "held out, sampled",
                   "held_out_greedy": "held out, greedy"}, "Pass rate", "share"),
    "alignment": ({"held_out_correct_refusals": "harmful prompts refused",
                   "held_out_wrong_refusals": "harmless prompts refused", "held_out_preference": "reward models' score",
                   "held_out_preferred": "preferred to the worse answer"}, "Alignment, held out", "share"),
    "length": ({"response_tokens": "mean", "response_tokens_right": "right", "response_tokens_wrong": "wrong"},
               "Response length", "tokens"),
    "reasoning": ({"reasoning_share": "two steps or more", "self_check_share": "checks itself",
                   "reward.steps": "computes, nothing wrong", "mixed_language_share": "mixed language",
                   "cut_share": "cut off"}, "Responses that …", "share"),
    "entropy": ({"entropy": "entropy"}, "Entropy of the policy", "nats a token"),
    "seconds": ({f"seconds_{phase}": phase for phase in ("sample", "grade", "keep", "log_probs", "backward", "other")},
                "Time by phase", "s"),
}  # fmt: skip
"""Figure → (metric → label, title, unit)."""
GAINS = {
    "held_out_pass_rate": "held_out_gain",
    "held_out_preferred": "held_out_preferred_gain",
    "held_out_correct_refusals": "held_out_correct_refusals_gain",
}
"""What is measured from the first look to the last, and the metric that says by how much it rose."""


def reinforce(writes: str, config: ReinforceConfig, inputs: Inputs, report: Report) -> Made:
    """The folder of the model `writes`, and its rollouts.

    Reads the table `problems`, the model `policy` (with its tokenizer), the reward models by the names that
    `config.rewards.judges` gives them, and where asked for the table `curriculum`.

    Raises:
        ValueError: no problem of the split train fits `config.questions`, or a reward model or the curriculum that
            the config asks for is not given.
    """
    missing = sorted(config.rewards.judges.keys() - inputs.models.keys())
    if missing:
        raise ValueError(f"rewards.judges names reward models that are not given: {', '.join(missing)}")
    policy = inputs.models["policy"]
    tokenizer, shape = Tokenizer.load(policy), load_shape(policy)
    train = _questions(config, inputs, report, "train", tokenizer)
    measured_on = [_questions(config, inputs, report, split, tokenizer) for split in config.held_out.splits]
    held_out = pl.concat(measured_on)
    held_out = held_out.sort(pl.col("id").map_elements(partial(fraction, config.seed, "held_out"), pl.Float64))
    held_out = held_out[by_share(config.questions, held_out.to_dicts(), config.held_out.problems)]
    files = {name: inputs.work / f"{name}.parquet" for name in ("problems", "held_out")}
    train.write_parquet(files["problems"])
    held_out.write_parquet(files["held_out"])
    report.metric("problems", train.height)
    whole = {name: inputs.layout[name] for name in ("ranks", "cores") if name in inputs.layout}  # a policy is never cut
    processes = ranks(whole, config.questions_per_step)
    job = RlJob(
        config=config,
        name=writes,
        model=shape,
        policy=policy.resolve(),
        judges={name: inputs.models[name].resolve() for name in config.rewards.judges},
        rollouts=inputs.work / "rollouts",
        micro_batch_rows=inputs.layout.get("micro_batch_rows", 8),
        sampler_rows=inputs.layout.get("sampler_rows", 128),
        dtype="bf16" if torch.cuda.is_available() else "fp32",
        card=Card(name=writes, stage="reinforce", settings=_settings(config)),
        **files,
    )
    curves: Curves = {}
    training = inputs.work / "training"
    folder = launch_job(job, training, [("reinforce", processes)], partial(pass_on, report, curves, training),
                        worker="tasks.rl.worker")  # fmt: skip
    for name, (lines, title, unit) in FIGURES.items():
        if lines.keys() & curves.keys():
            report.figure(name, curve_figure(curves, lines, title, unit))
    for name, gain in GAINS.items():
        if measured := curves.get(name, []):
            report.metric(gain, measured[-1][1] - measured[0][1])
    report.table("rollouts", _best_and_worst(job.rollouts, config.steps))
    return folder.model, {"rollouts": rollouts.read(job.rollouts, config.steps)}


def _questions(
    config: ReinforceConfig, inputs: Inputs, report: Report, split: str, tokenizer: Tokenizer
) -> pl.DataFrame:
    """The problems of a split as questions in tokens, in the order in which they are asked (or by id)."""
    problems = chosen(inputs.tables["problems"].scan(), config.questions, split).collect().sort("id")
    if split == "train" and config.questions.order == "curriculum":
        if "curriculum" not in inputs.tables:
            raise ValueError('questions.order = "curriculum" needs the table curriculum, which is not there')
        order = inputs.tables["curriculum"].scan().select("position", id="problem").sort("position").collect()
        problems = order.join(problems, on="id", maintain_order="left").drop("position")
    report.rows_in(problems.height)
    tokens = tokenizer.encode_parts([lay_out_question(prompt, "turns") for prompt in problems["prompt"]])
    frame = problems.with_columns(pl.Series("tokens", tokens, pl.List(pl.Int64)))
    long = frame.filter(pl.col("tokens").list.len() > config.questions.longest_tokens)
    report.reject(RejectedRow(row, Reject("question too long", f"{size} tokens"))
                  for row, size in long.select("id", pl.col("tokens").list.len()).iter_rows())  # fmt: skip
    return frame.filter(pl.col("tokens").list.len() <= config.questions.longest_tokens)


def _settings(config: ReinforceConfig) -> dict[str, str]:
    """For the model card."""
    return {
        "steps": str(config.steps),
        "questions a step": str(config.questions_per_step),
        "samples a question": str(config.samples),
        "learning rate": str(config.optimizer.learning_rate),
        "clip": f"{config.algorithm.clip_low} {config.algorithm.clip_high}",
        "KL weight": str(config.algorithm.kl_weight),
        "loss": f"{config.algorithm.surrogate}, mean over {config.algorithm.mean}, {config.algorithm.ratio} ratio",
        "advantage": config.advantage,
        "waves": str(config.waves),
        "rewards": " ".join(
            f"{name}={weight}"
            for name, weight in {
                **config.rewards.model_dump(exclude={"judges", "accuracy_categories"}),
                **{name: judge.weight for name, judge in config.rewards.judges.items()},
            }.items()
        ),
    }


def _best_and_worst(folder: Path, steps: int) -> pl.DataFrame:
    """To look at: the best and the worst response to the first few questions of the last step."""
    *_, last = rollouts.read(folder, steps)
    ranked = last.sort("place", "reward", "sample", descending=[False, True, False])
    ends = ranked.group_by("place", maintain_order=True).agg(pl.all().first()).head(12)
    worst = ranked.group_by("place", maintain_order=True).agg(pl.all().last()).head(12)
    return pl.concat([ends, worst]).select("place", "prompt", "text", "reward", "correct", "advantage").sort("place")


def reinforce_stage(writes: str) -> Stage[ReinforceConfig]:
    """The stage under the name of the model that it makes: `rigor-zero`, `rigor-reason`, `rigor-r1`."""
    return Stage(
        name=f"reinforce_{writes.removeprefix('rigor-')}",
        version="6",
        reads=("problems", "policy"),
        writes=writes,
        config=ReinforceConfig,
        run=partial(reinforce, writes),
        model=True,
        beside=("rollouts",),
    )


STAGE = reinforce_stage("rigor-zero")
