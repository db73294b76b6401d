"""GRPO to the same held-out accuracy, ours v TRL's GRPOTrainer: `make bench-grpo`, after a `make run`.

    python -m tests.bench.bench_grpo .venv-trl/bin/python [--policy FOLDER --problems PARQUET] [--set KEY=VALUE …]

Both start from the same weights (by default this home's `rigor-base`) and ask the same questions in the same order, by
the laptop profile's `zero` with what `--set` changes: the same rewards, samples, tokens, clip, optimizer, no KL, fp32,
and the same number of threads. Ours runs as the stage `reinforce` runs it, one rank a thread; TRL with the split into
processes and passes that is fastest in a trial of two steps each. They take turns. Greedy accuracy on the same held-out
questions is measured by our sampler on the weights of both, and that time counts for neither.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import polars as pl
import torch
from safetensors.torch import load_file

from flows import models
from flows.config import load_config
from flows.runner import Runner
from flows.settings import Settings
from flows.zero import ZeroConfig
from model.convert import load_folder
from model.sample import LocalSampler, SamplingParams
from model.tokenizer import Tokenizer
from model.train.launch import launch_job
from tasks.rl.config import ReinforceConfig
from tasks.rl.grading import right_answers
from tasks.rl.job import RlJob
from tests.bench.grpo_task import Look, Run, StepTime, Task, asked, held_out_of, questions_of, rows_of

ROOT = Path(__file__).resolve().parents[2]
PHASES = ("sample", "log_probs", "backward", "grade", "keep", "other")
GAIN_SHARE = 0.8
"""The accuracy to reach: so much of the gain that both reach at the end of their worse run."""


def main() -> None:
    """Run both in turn, print curves and ratios."""
    asked_for = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked_for.add_argument("trl", type=Path, help="the python that has TRL")
    asked_for.add_argument("--policy", type=Path, help="Hugging Face folder with its tokenizer")
    asked_for.add_argument("--problems", type=Path, help="Parquet file with the columns of the table problems")
    asked_for.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the flow zero")
    asked_for.add_argument("--threads", type=int, default=2)
    asked_for.add_argument("--rounds", type=int, default=3, help="each with a seed of its own")
    asked_for.add_argument("--held-out", type=int, default=400, help="questions")
    asked_for.add_argument("--look-every", type=int, default=5, help="steps")
    asked_for.add_argument("--splits", default="1x64,1x128,1x512,2x64,2x256", metavar="PROCESSESxROWS,…",
                           help="of TRL's, to choose from: rows are the responses of one pass")  # fmt: skip
    asked_for.add_argument("--threshold", type=float, help="accuracy to reach")
    asked_for.add_argument("--json", type=Path, help="write all figures there")
    options = asked_for.parse_args()
    with TemporaryDirectory(prefix="rigor-bench-") as scratch:
        runs = compare(options, Path(scratch))
    if options.json:
        options.json.write_text(json.dumps({name: [r.model_dump(mode="json") for r in each]
                                            for name, each in runs.items()}))  # fmt: skip
    report(runs, options.threshold)


def compare(options: argparse.Namespace, scratch: Path) -> dict[str, list[Run]]:
    """All runs."""
    policy, problems = options.policy, options.problems and pl.scan_parquet(options.problems)
    if policy is None or problems is None:
        policy, problems = from_home(scratch)
    config = load_config(ZeroConfig, "zero", "laptop", [
        "reinforce.algorithm.kl_weight=0", "reinforce.reference_every_steps=0", *options.set,
        f"reinforce.held_out.every_steps={options.look_every}", f"reinforce.held_out.problems={options.held_out}",
    ]).reinforce  # fmt: skip
    config = config.model_copy(update={"save_every_steps": config.steps})
    tokenizer = Tokenizer.load(policy)
    train = questions_of(problems, config.questions, "train", tokenizer)
    held_out = held_out_of(questions_of(problems, config.questions, "validation", tokenizer), options.held_out)
    train.write_parquet(scratch / "train.parquet")
    held_out.write_parquet(scratch / "held_out.parquet")
    print(f"{len(train):,} questions, {len(held_out)} held out; a step: {config.questions_per_step} x {config.samples}"
          f" responses of at most {config.max_tokens} tokens; {config.steps} steps; lr"
          f" {config.optimizer.learning_rate:g}; {options.threads} thread(s)", flush=True)  # fmt: skip
    split = fastest(config, policy, scratch, options)
    runs: dict[str, list[Run]] = {"ours": [], "TRL": []}
    for number in range(options.rounds):
        seeded = config.model_copy(update={"seed": config.seed + number})
        for name in sorted(runs, reverse=number % 2 == 1):
            folder = scratch / f"{name}-{number}"
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            if name == "ours":
                found = ours(seeded, policy, scratch, folder, options.threads)
            else:
                found = theirs(seeded, policy, scratch, folder, options, split)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            found.cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            if name == "TRL":
                looks = [Look(step=0, seconds=0.0, weights=policy), *found.looks]
                found.looks = [look.model_copy(update={"accuracy": accuracy(look.weights, policy, scratch, config)})
                               for look in looks if look.weights]  # fmt: skip
            runs[name].append(found)
            tell(name, seeded.seed, found)
    return runs


def from_home(scratch: Path) -> tuple[Path, pl.LazyFrame]:
    """The newest base and problems of RIGOR_HOME.

    Raises:
        LookupError: there are none.
    """
    settings = Settings()
    settings.apply()
    runner = Runner(settings)
    base, problems = runner.newest("rigor-base", "pretrain"), runner.newest("problems", "synthesize")
    if not base or not problems:
        raise LookupError("no base to start from")
    return models.fetch(base[0], scratch), runner.view(problems).scan()


def ours(config: ReinforceConfig, policy: Path, scratch: Path, folder: Path, threads: int) -> Run:
    """As the stage runs it: ranks under torchrun, who tell of their steps."""
    job = RlJob(
        config=config, name="rigor-bench", model=load_folder(policy)[0], policy=policy.resolve(),
        problems=scratch / "train.parquet", held_out=scratch / "held_out.parquet", rollouts=folder / "rollouts",
    )  # fmt: skip
    begin = time.time()
    events: list[dict[str, Any]] = []
    launch_job(job, folder / "training", [("reinforce", threads)], events.append, worker="tasks.rl.worker")
    started = next(event["time_unix_seconds"] for event in events if event["kind"] == "started")
    found = Run(startup_seconds=started - begin, steps=[], looks=[])
    measuring = 0.0
    for event in (event for event in events if event["kind"] == "metrics"):
        values, step = event["values"], event["step"]
        if "held_out_greedy" in values:
            measuring += values["seconds_held_out"]
            spent = sum(each.seconds for each in found.steps)
            found.looks.append(Look(step=step, seconds=spent, accuracy=values["held_out_greedy"]))
        else:
            begun = started + measuring + sum(each.seconds for each in found.steps)
            found.steps.append(StepTime(
                seconds=event["time_unix_seconds"] - begun,  # what is between steps counts too
                phases={phase: values[f"seconds_{phase}"] for phase in PHASES}, reward=values["reward"],
                response_tokens=values["response_tokens"],
            ))  # fmt: skip
    return found


def fastest(config: ReinforceConfig, policy: Path, scratch: Path, options: argparse.Namespace) -> tuple[int, int]:
    """TRL's processes and rows of a pass with the shortest second step."""
    splits = [tuple(map(int, text.split("x"))) for text in options.splits.split(",")]
    most = config.questions_per_step * config.samples
    fitting = [(count, rows) for count, rows in splits if count <= options.threads and count * rows <= most]
    if len(fitting) == 1:
        return fitting[0]
    seconds = {}
    for split in fitting:
        folder = scratch / f"split-{split[0]}x{split[1]}"
        run = theirs(config.model_copy(update={"steps": 2}), policy, scratch, folder, options, split)
        seconds[split] = run.steps[-1].seconds
    print("TRL's second step: " + ", ".join(f"{processes} process(es), passes of {rows} rows: {spent:.1f} s"
                                            for (processes, rows), spent in seconds.items()), flush=True)  # fmt: skip
    return min(seconds, key=lambda split: seconds[split])


def theirs(config: ReinforceConfig, policy: Path, scratch: Path, folder: Path, options: argparse.Namespace,
           split: tuple[int, int]) -> Run:  # fmt: skip
    """TRL in processes of its own, which leave weights to be measured."""
    folder.mkdir()
    processes, rows = split
    questions = pl.read_parquet(scratch / "train.parquet")
    asked(config, questions).write_parquet(folder / "asked.parquet")
    task = Task(config=config, policy=policy.resolve(), asked=folder / "asked.parquet", result=folder,
                look_every=options.look_every, pass_rows=rows)  # fmt: skip
    (folder / "task.json").write_text(task.model_dump_json())
    command = [str(options.trl)]
    if processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    threads = options.threads // processes
    with (folder / "trl.log").open("wb") as log:
        done = subprocess.run(
            [*command, "-m", "tests.bench.grpo_trl", str(folder / "task.json")], stdout=log, stderr=log, cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}, check=False,
        )  # fmt: skip
    if done.returncode:
        sys.exit((folder / "trl.log").read_text()[-6000:])
    return Run.model_validate_json((folder / "result.json").read_bytes())


def accuracy(weights: Path, policy: Path, scratch: Path, config: ReinforceConfig) -> float:
    """Greedy share of right answers, by our sampler, as `tasks.rl.evaluate` measures ours."""
    torch.set_num_threads(1)
    shape = load_folder(policy)[0].model_copy(update={"mtp_layers": 0})
    state = {name: tensor for file in sorted(weights.glob("*.safetensors")) for name, tensor in load_file(file).items()}
    rows = rows_of(scratch / "held_out.parquet")
    room = max(len(row["tokens"]) for row in rows) + config.max_tokens
    sampler = LocalSampler(shape, state, Tokenizer.load(policy), max_rows=128, max_tokens=room)
    params = SamplingParams(temperature=0, max_tokens=config.max_tokens)
    answers = sampler.generate([row["tokens"] for row in rows], params)
    return statistics.mean(right_answers(rows, [answer.text for (answer,) in answers]))


def tell(name: str, seed: int, run: Run) -> None:
    """A run's own figures."""
    seconds = [step.seconds for step in run.steps]
    phases = {phase: statistics.mean(step.phases.get(phase, 0.0) for step in run.steps) for phase in PHASES}
    total = sum(phases.values())
    print(f"\n{name}, seed {seed}: {statistics.median(seconds):.2f} s a step ({min(seconds):.2f} to"
          f" {max(seconds):.2f}), {sum(seconds):.0f} s in all; {run.startup_seconds:.0f} s start-up;"
          f" {run.cpu_seconds:.0f} CPU s with all")  # fmt: skip
    print("  " + ", ".join(f"{phase} {spent:.2f} s ({spent / total:.0%})" for phase, spent in phases.items() if spent))
    print(f"  tokens a response {run.steps[0].response_tokens:.1f} → {run.steps[-1].response_tokens:.1f},"
          f" reward {run.steps[0].reward:.3f} → {run.steps[-1].reward:.3f}")  # fmt: skip
    print("  accuracy " + "  ".join(f"{look.accuracy:.1%} at {look.seconds:.0f} s" for look in run.looks), flush=True)


def report(runs: dict[str, list[Run]], threshold: float | None) -> None:
    """Ratios over rounds: seconds a step, and seconds to the threshold."""
    pairs = list(zip(runs["ours"], runs["TRL"], strict=True))
    per_step = [statistics.median(s.seconds for s in b.steps) / statistics.median(s.seconds for s in a.steps)
                for a, b in pairs]  # fmt: skip
    print(f"\nseconds a step: TRL / ours {spread(per_step)}")
    base = runs["ours"][0].looks[0].accuracy
    if threshold is None:
        worst = min(max(look.accuracy for look in run.looks) for each in runs.values() for run in each)
        threshold = base + GAIN_SHARE * (worst - base)
    times = {name: [seconds_to(run, threshold) for run in each] for name, each in runs.items()}
    print(f"seconds to {threshold:.1%} greedy on held-out questions, from {base:.1%}:")
    for name, each in times.items():
        print(f"  {name:<5}" + "  ".join("never" if t is None else f"{t:.0f}" for t in each))
    both = [(a, b) for a, b in zip(times["ours"], times["TRL"], strict=True) if a and b]
    if both:
        print(f"  TRL / ours {spread([b / a for a, b in both])}; medians"
              f" {statistics.median(b for _, b in both) / statistics.median(a for a, _ in both):.2f}")  # fmt: skip


def seconds_to(run: Run, threshold: float) -> float | None:
    """When the curve, straight between looks, first comes to the threshold; None: never."""
    for before, after in zip(run.looks, run.looks[1:], strict=False):
        if after.accuracy >= threshold:
            if before.accuracy >= threshold:
                return before.seconds
            share = (threshold - before.accuracy) / (after.accuracy - before.accuracy)
            return before.seconds + share * (after.seconds - before.seconds)
    return None


def spread(ratios: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


if __name__ == "__main__":
    main()
