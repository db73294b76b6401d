"""The loop: sample, grade, compare, learn; measured, watched, saved; killed anywhere, it comes to the same end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from model import checkpoint, parallel
from model.build import RigorModel, finish, set_aux_loss, set_bias_rate, wrap
from model.checkpoint.folder import checkpoints
from model.convert import to_hf
from model.sample import LocalSampler
from model.sample.pick import request_seed
from model.tokenizer import Tokenizer
from model.train.events import Events
from model.train.loop import BadStepError
from model.train.optimizer import AdamW
from model.train.schedule import learning_rate_share
from model.train.step import run_micro_batches
from tasks.rl import rollouts
from tasks.rl.agreement import agreement
from tasks.rl.batches import minibatches, pack
from tasks.rl.evaluate import Examiner
from tasks.rl.grading import Grader, Judge
from tasks.rl.job import RlJob
from tasks.rl.measures import Metrics, step_metrics
from tasks.rl.mix import asked_parts, judges_in
from tasks.rl.passes import log_probs, without_mtp
from tasks.rl.questions import read_questions
from tasks.rl.reference import Reference
from tasks.rl.sampling import Asker, Sample, Seconds, Step
from tasks.rl.watch import Watch

MINIBATCHES = 2**40
"""The step's stream of random numbers for its minibatches; those below are for its questions."""
COMPARED_SAMPLES = 16
"""Responses a step on which policy, sampler and reference are compared."""


class Reinforcer:
    """A policy in training. All ranks run the same steps; groups never cross ranks."""

    def __init__(
        self, job: RlJob, model: RigorModel, folder: Path, events: Events, stop_asked: Callable[[], bool],
        judges: Mapping[str, Judge] | None = None,
    ) -> None:  # fmt: skip
        """At step 0; `folder` is the training's own. Collective.

        Args:
            job: all that is asked for.
            model: holding the weights to start from; not cut over ranks, since each samples from its own.
            folder: for checkpoints and reference weights.
            events: hears everything.
            stop_asked: may turn true on any rank at any time.
            judges: reward models by name.

        Raises:
            ValueError: no problems to learn from, or a judge that is not given.
        """
        self.job, self.config, self.model, self.folder = job, job.config, model, folder
        self.events, self.stop_asked = events, stop_asked
        self.questions = read_questions(job.problems)
        if not self.questions:
            raise ValueError("there are no problems to learn from: no row of the split train fits `questions`")
        held_out = read_questions(job.held_out)
        tokenizer = Tokenizer.load(job.policy)
        room = max(len(row["tokens"]) for row in [*self.questions, *held_out]) + self.config.max_tokens
        self.sampler = LocalSampler(
            job.model, to_hf(model), tokenizer, max_rows=job.sampler_rows, max_tokens=room,
            device=next(model.parameters()).device,
        )  # fmt: skip
        self._sampler_holds = 0
        self.grader = Grader(self.config.rewards, judges or {})
        self.asker = Asker(self.config, self.sampler, self.questions, self.grader)
        self.examiner = Examiner(self.config, self.sampler, held_out, self.grader)
        self.wrapped = wrap(model)
        # The schedule would divide by whole tokens; `_update` does so by the objective's own count.
        model.config.finalize_model_grads_func = None
        set_aux_loss(self.wrapped, 0.0)  # the router stays as the base's training has balanced it
        set_bias_rate(self.wrapped, 0.0)
        self.optimizer = AdamW(model, self.config.optimizer)
        self.reference = Reference(self.config.reference_every_steps, model, folder / "reference")
        self.step = 0
        """Steps made: the policy's version."""
        self._scale = sum(abs(weight) for weight in self.asker.weights.values())
        self.watch = Watch(self.config.watch, self._scale)

    def run(self) -> bool:
        """Train to the end, or until a stop is asked for; either way the last step is saved. Collective.

        Returns:
            Whether it came to the end.

        Raises:
            BadStepError: a loss or gradient that is not finite; the weights are those of the step before.
        """
        if self.step == 0:
            self._examine()
        while self.step < self.config.steps:
            stop = self._step()
            last = self.step == self.config.steps
            if last or self.step % self.config.held_out.every_steps == 0:
                self._examine()
            if stop or last or self.step % self.config.save_every_steps == 0:
                self.save()
            if stop and not last:
                return False
        return True

    def _step(self) -> bool:
        """One step: samples of one policy version, and the updates from them. Returns whether a stop was asked for."""
        began, seconds, config = time.perf_counter(), Seconds(), self.config
        self._load_sampler()
        self.reference.keep(self.step)
        asked = self.asker.ask(self.step, seconds)
        values = step_metrics(asked, self.asker.facts, self.questions)
        with _timed(seconds, "keep"):
            rollouts.write(self.job.rollouts, self.job.name, self.step, asked.mine)
        with _timed(seconds, "log_probs"):
            self._add_log_probs([sample for sample in asked.mine if self._enters(sample, asked)])
            # On a few; what the loss measures on all tokens that are trained on comes in their place.
            few = asked.mine[:COMPARED_SAMPLES]
            values |= agreement(
                self.model, self.reference.model, self.sampler.network, few, config.temperature,
                self.job.micro_batch_rows,
            )  # fmt: skip
        rate = config.optimizer.learning_rate * learning_rate_share(config.schedule, self.step, config.steps)
        with _timed(seconds, "backward"):
            values |= self._learn(asked, rate)
        stop = self._any_stop()
        self.step += 1
        total = time.perf_counter() - began
        seconds["other"] = total - sum(seconds.values())
        values |= {f"seconds_{phase}": spent for phase, spent in seconds.items()}
        sampled = float(asked.facts_KGF[..., 2].sum())
        values |= {
            "seconds": total, "learning_rate": rate, "tokens_sampled": sampled,
            "tokens_per_second_sampled": sampled / max(seconds["sample"], 1e-9), "tokens_per_second": sampled / total,
        }  # fmt: skip
        for text in self.watch.step(values):
            self.events.warn(f"step {self.step}: {text}")
        self.events.metrics(self.step, values)
        self.events.say("progress", done=self.step, total=config.steps)
        return stop

    def _enters(self, sample: Sample, asked: Step) -> bool:
        """Whether the trainer runs a sample's tokens: without KL and entropy terms, no advantage is no gradient.

        It still counts in the mean.
        """
        loss = self.config.loss
        if not asked.kept_K[sample.place] or (self.config.overlong.mask and sample.completion.finish == "length"):
            return False
        return sample.trained or loss.kl_weight > 0 or loss.entropy_weight != 0

    def _add_log_probs(self, samples: list[Sample]) -> None:
        """What the loss needs to know beside the sampler's: π_old if samples are used after an update, π_ref for KL."""
        packed = pack(samples, self.job.micro_batch_rows)
        for name, policy in self._policies().items():
            column_RT = log_probs(policy, packed, self.config.temperature)
            for sample, values in zip(samples, packed.values_of(column_RT), strict=True):
                sample.known[name] = values

    def _policies(self) -> dict[str, RigorModel]:
        """Whose log-probabilities the loss needs, by the name of their column."""
        policies = {"old_log_probs": self.model} if self.config.reuses else {}
        return policies | ({"reference_log_probs": self.reference.model} if self.config.loss.kl_weight else {})

    def _learn(self, asked: Step, rate: float) -> Metrics:
        """The updates of a step. Collective. Means over updates, and the largest of peaks (`…_max`)."""
        config, found = self.config, Metrics()
        lengths_KG, cut_KG = asked.facts_KGF[..., 2], asked.facts_KGF[..., 3] > 0
        counted_KG = asked.kept_K[:, None] & ~(cut_KG & config.overlong.mask)
        every = config.loss.kl_weight > 0 or config.loss.entropy_weight != 0
        run_KG = counted_KG & (every | asked.live_K[:, None])
        seed, updates = request_seed(request_seed(config.seed, self.step), MINIBATCHES), 0
        for epoch in range(config.inner_epochs):
            for part_KG in minibatches(counted_KG, config.minibatches, epoch, seed):
                if not (part_KG & run_KG).any():
                    continue  # Adam's momentum would move the weights without a gradient
                count = float(lengths_KG[part_KG].sum() if config.loss.mean == "token" else part_KG.sum())
                samples = [s for s in asked.mine if (part_KG & run_KG)[s.place, s.number]]
                for name, value in self._update(samples, count, rate).items():
                    found[name] = max(found.get(name, value), value) if name.endswith("_max") else (
                        found.get(name, 0.0) + value)  # fmt: skip
                updates += 1
        means = {name: value if name.endswith("_max") else value / updates for name, value in found.items()}
        return {**means, "updates": float(updates)}

    def _update(self, samples: list[Sample], count: float, rate: float) -> Metrics:
        """One update from a minibatch, of which `samples` are this rank's and `count` is everybody's. Collective."""
        packed = pack(samples, self.job.micro_batch_rows, known=[*self._policies()])
        self.wrapped.zero_grad_buffer()
        with without_mtp(self.model):
            sums = run_micro_batches(self.wrapped, packed.batch, packed.micro_batch_rows, self.config.loss, learn=True)
        parts = sums.gather_parts()
        shared = torch.stack([sums.total])
        dist.all_reduce(shared, group=parallel.data_group())
        # All of the minibatch counts in the mean, also what was left out because its gradient is zero.
        finish([self.wrapped], torch.full_like(sums.count, count / parallel.data_world()))
        norm, loss = self.optimizer.norm(), float(shared) / count
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise BadStepError(
                f"step {self.step + 1}: loss {loss}, gradient norm {norm}; the weights are untouched by it"
            )
        self.optimizer.step(rate, norm)
        named = {"policy": "loss_policy", "entropy": "entropy_trained"}
        return {"loss": loss, "grad_norm": norm} | {named.get(name, name): value for name, value in parts.items()}

    def _examine(self) -> None:
        """Held-out pass rates. Collective."""
        if not self.examiner.problems:
            return
        started = time.perf_counter()
        self._load_sampler()
        values = self.examiner.examine()
        self.events.metrics(self.step, {**values, "seconds_held_out": time.perf_counter() - started})
        judges = judges_in(self.config.rewards, self.step, self.config.steps)
        rewarded = len(asked_parts(self.config, self.step)) + len(judges)
        for text in self.watch.look(values["held_out_pass_rate"], values.get("held_out_preference"), rewarded):
            self.events.warn(f"step {self.step}: {text}")

    def _load_sampler(self) -> None:
        if self._sampler_holds != self.step:
            self.sampler.load(to_hf(self.model))
            self._sampler_holds = self.step

    def _any_stop(self) -> bool:
        asked = torch.tensor(float(self.stop_asked()), device=next(self.model.parameters()).device)
        dist.all_reduce(asked)
        return bool(asked > 0)

    def take_up(self, path: Path) -> None:
        """Go on from a checkpoint: weights, optimizer, reference and watch. Collective.

        Raises:
            ValueError: it is of another training.
            CheckpointError: it is damaged.
        """
        self.step, extra = checkpoint.load(path, self.model, self.optimizer)
        if extra["identity"] != self.job.identity():
            raise ValueError(f"{path} is of another reinforcement; use another folder")
        self.watch = Watch(self.config.watch, self._scale, extra["watch"])
        self.reference.take_up(self.step)
        self._sampler_holds = -1

    def save(self) -> None:
        """Write a checkpoint of where the training is. Collective."""
        extra: dict[str, Any] = {"identity": self.job.identity(), "watch": self.watch.state()}
        checkpoint.save(self.folder / "checkpoints", self.step, self.model, self.optimizer, extra)
        checkpoint.prune(self.folder / "checkpoints", 2)
        self.reference.forget(min(step for step, _ in checkpoints(self.folder / "checkpoints")))
        self.events.say("saved", step=self.step)


@contextmanager
def _timed(seconds: Seconds, phase: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[phase] = seconds.get(phase, 0.0) + time.perf_counter() - started
