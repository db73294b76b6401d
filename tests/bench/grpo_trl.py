"""TRL's side of `bench_grpo`: `python -m tests.bench.grpo_trl TASK.json`, alone or under torchrun.

Its GRPOTrainer as it is, with transformers' generate; our reward functions; the options that are fastest on a CPU: no
gradient checkpointing, no bf16, fused AdamW. The methods that a phase is named after are wrapped in a clock.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from model.tokenizer import Tokenizer
from tasks.rl.config import ReinforceConfig
from tasks.rl.grading import Grader
from tests.bench.grpo_task import Look, Run, StepTime, Task, rows_of, texts_of

MEAN = {"token": "dapo", "sequence": "grpo", "constant": "dr_grpo"}
"""Our name of a mean → TRL's of a loss."""


def trl_config(task: Task, world: int) -> GRPOConfig:
    """The same reinforcement in TRL's words.

    Raises:
        ValueError: TRL has no such option.
    """
    config, loss = task.config, task.config.loss
    if config.reuses or config.waves > 1 or config.overlong.weight or config.overlong.mask or config.rewards.judges:
        raise ValueError("the bench compares one update a step, without dynamic sampling, overlong rules and judges")
    if (loss.surrogate, loss.ratio, loss.entropy_weight, loss.sampler_cap) != ("clip", "token", 0, None):
        raise ValueError("the bench compares the plain clipped token-level loss")
    adam, samples = config.optimizer, config.questions_per_step * config.samples
    return GRPOConfig(
        output_dir=str(task.result / "trl"), max_steps=config.steps, seed=config.seed, use_cpu=True,
        per_device_train_batch_size=task.pass_rows, gradient_accumulation_steps=samples // (task.pass_rows * world),
        num_generations=config.samples, max_completion_length=config.max_tokens, shuffle_dataset=False,
        temperature=config.temperature, top_p=1.0, top_k=0, remove_unused_columns=False,
        loss_type=MEAN[loss.mean], epsilon=loss.clip_low, epsilon_high=loss.clip_high, beta=loss.kl_weight,
        scale_rewards="group" if config.advantage == "std" else "none", router_aux_loss_coef=_aux(task),
        learning_rate=adam.learning_rate, lr_scheduler_type="constant", warmup_steps=0, optim="adamw_torch_fused",
        adam_beta1=adam.betas[0], adam_beta2=adam.betas[1], adam_epsilon=adam.eps, weight_decay=adam.weight_decay,
        max_grad_norm=adam.clip_norm, gradient_checkpointing=False, bf16=False, disable_dropout=True,
        dataloader_num_workers=0, save_strategy="no", report_to="none", logging_steps=1, disable_tqdm=True,
    )  # fmt: skip


def _aux(task: Task) -> float | None:
    """No balance loss, as in ours; TRL refuses the option for a dense model."""
    return 0.0 if '"n_routed_experts"' in (task.policy / "config.json").read_text() else None


def reward(config: ReinforceConfig, tokenizer: Tokenizer) -> Callable[..., list[float]]:
    """Our rules as a reward function of TRL's, on the tokens: its own text lacks the tags."""
    grader = Grader(config.rewards, {})

    def rules(completion_ids: list[list[int]], problem: list[dict[str, Any]], **_: Any) -> list[float]:
        return grader.grade(problem, texts_of(tokenizer, completion_ids), 0, config.steps).total.tolist()

    return rules


class Clocked(GRPOTrainer):  # type: ignore[misc]
    """Knows how long its phases take."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.phases: dict[str, float] = {}

    def _generate_single_turn(self, *given: Any, **named: Any) -> Any:
        return self._timed("sample", super()._generate_single_turn, *given, **named)

    def _calculate_rewards(self, *given: Any, **named: Any) -> Any:
        return self._timed("grade", super()._calculate_rewards, *given, **named)

    def training_step(self, *given: Any, **named: Any) -> Any:
        """With all of the step's phases in it; `watch` takes the others off."""
        return self._timed("training_step", super().training_step, *given, **named)

    def _timed(self, phase: str, run: Callable[..., Any], *given: Any, **named: Any) -> Any:
        begin = time.perf_counter()
        found = run(*given, **named)
        self.phases[phase] = self.phases.get(phase, 0.0) + time.perf_counter() - begin
        return found


class Watch(TrainerCallback):  # type: ignore[misc]
    """Times steps, and keeps weights outside of that time."""

    def __init__(self, task: Task) -> None:
        self.task, self.trainer = task, None
        self.run = Run(startup_seconds=0, steps=[], looks=[])
        self.spent = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.run.startup_seconds = time.perf_counter() - STARTED
        self.began = time.perf_counter()

    def on_step_end(self, _: Any, state: Any, __: Any, **___: Any) -> None:
        seconds = time.perf_counter() - self.began
        self.spent += seconds
        phases, self.trainer.phases = self.trainer.phases, {}
        inner = phases.pop("training_step")
        phases["backward"] = inner - phases["sample"] - phases["grade"]
        phases["other"] = seconds - inner
        logged = self.trainer._metrics["train"]
        self.run.steps.append(StepTime(
            seconds=seconds, phases=phases, reward=logged["reward"][-1],
            response_tokens=logged["completions/mean_length"][-1],
        ))  # fmt: skip
        if state.is_world_process_zero and state.global_step % self.task.look_every == 0:
            weights = self.task.result / f"weights-{state.global_step:05d}"
            self.trainer.accelerator.unwrap_model(self.trainer.model).save_pretrained(weights)
            self.run.looks.append(Look(step=state.global_step, seconds=self.spent, weights=weights))
        self.began = time.perf_counter()


def main() -> None:
    """Train, and leave `result.json`."""
    task = Task.model_validate_json(Path(sys.argv[1]).read_bytes())
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    world, rows = int(os.environ.get("WORLD_SIZE", "1")), rows_of(task.asked)
    theirs, ours = AutoTokenizer.from_pretrained(task.policy), Tokenizer.load(task.policy)
    prompts = [[{"role": "user", "content": row["prompt"]}] for row in rows]
    ids = theirs.apply_chat_template(prompts, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]
    if ids != [row["tokens"] for row in rows]:
        raise ValueError("TRL's prompts would not be ours")
    watch = Watch(task)
    trainer = watch.trainer = Clocked(
        model=AutoModelForCausalLM.from_pretrained(task.policy, dtype=torch.float32),
        reward_funcs=reward(task.config, ours), args=trl_config(task, world), processing_class=theirs,
        train_dataset=Dataset.from_list([{"prompt": p, "problem": row} for p, row in zip(prompts, rows, strict=True)]),
        callbacks=[watch],
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    if trainer.accelerator.is_main_process:
        (task.result / "result.json").write_text(watch.run.model_dump_json())


if __name__ == "__main__":
    main()
