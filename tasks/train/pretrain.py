"""Stage pretrain: packed tokens in, the base model out (next token and MTP losses; DeepSeek-V3, arXiv 2412.19437)."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import polars as pl
from pydantic import Field

from model.config import preset
from model.convert import Card, load_folder
from model.losses import NextToken
from model.sample import LocalSampler, SamplingParams
from model.tokenizer import Tokenizer
from tasks.stage import Inputs, Report, Stage, StageConfig
from tasks.train.recipe import Curves, ModelShape, Recipe, curve_figure, report_drop, train, train_config
from tasks.train.rows import export_rows


class PretrainConfig(StageConfig):
    """The model's shape, how long it learns, and what it is asked to go on with at the end."""

    model: ModelShape = preset("laptop")
    recipe: Recipe = Recipe()
    prompts: tuple[str, ...] = ("Compute 3 + 4 + 5.", "计算 7 + 6 + 1。", "The derivative of $x^2$ is", "")
    """Each is put as a user's turn; an empty one lets the model begin a text of its own."""
    prompt_tokens: int = Field(96, ge=1, le=4096)
    """Most tokens of a sample."""


def pretrain(writes: str, config: PretrainConfig, inputs: Inputs, report: Report) -> Path:
    """Folder of the base model `writes` in Hugging Face form.

    Reads the table `tokens` and the model `tokenizer`.

    Raises:
        ValueError: the tokenizer has another vocabulary than the model, a prompt is too long for it, or there are no
            rows to train on.
    """
    folder = inputs.models["tokenizer"]
    tokenizer = Tokenizer.load(folder)
    if tokenizer.vocab_size != config.model.vocab_size:
        raise ValueError(
            f"the tokenizer has {tokenizer.vocab_size} ids, the model {config.model.vocab_size}: set"
            " train_tokenizer.vocab_size and pretrain.model.vocab_size to the same number"
        )
    asked, longest = _prompts(tokenizer, config), config.model.max_positions
    if max(map(len, asked), default=0) + config.prompt_tokens > longest:
        raise ValueError(f"pretrain.prompts and prompt_tokens come to more than the model's {longest:,} positions")
    tokens = inputs.tables["tokens"]
    report.rows_in(tokens.rows)
    rows, held_out = inputs.scratch / "train", inputs.scratch / "held_out"
    if not export_rows(tokens, "train", rows):
        raise ValueError("the table tokens has no rows of the split train")
    measured = export_rows(tokens, "held_out", held_out)
    row_tokens = len(tokens.scan().select("tokens").head(1).collect().item())
    plan = train_config(config.recipe, config.model, NextToken(), row_tokens, inputs.layout)
    count = config.model.count()
    for name, value in {"parameters": count.total, "parameters_active": count.active, "steps": plan.steps,
                        "tokens_trained": plan.steps * config.recipe.batch_rows * row_tokens}.items():  # fmt: skip
        report.metric(name, value)
    card = Card(name=writes, stage="pretrain", settings={
        "tokens": str(config.recipe.tokens), "batch rows": str(config.recipe.batch_rows), "row tokens": str(row_tokens),
        "learning rate": str(config.recipe.optimizer.learning_rate)})  # fmt: skip
    made, curves = train(plan, rows, held_out if measured else None, inputs, report, tokenizer=folder, card=card)
    _figures(curves, report)
    report.table("samples", _samples(made, tokenizer, asked, config))
    return made


def _figures(curves: Curves, report: Report) -> None:
    losses = {
        "next_token": "train",
        "held_out_next_token": "held out",
        "mtp_1": "train, MTP",
        "held_out_mtp_1": "held out, MTP",
    }
    report.figure("loss", curve_figure(curves, losses, "Loss", "nats a token"))
    balance = {"router_violation_max": "worst layer", "router_violation_mean": "mean of layers"}
    if balance.keys() & curves.keys():  # a dense model has no router
        drawn = curve_figure(curves, balance, "Router: fullest expert above the mean", "MaxVio")
        report.figure("router_violation", drawn)
    report_drop(curves, report)


def _prompts(tokenizer: Tokenizer, config: PretrainConfig) -> list[list[int]]:
    return [
        tokenizer.chat([{"role": "user", "content": text}], add_generation_prompt=True) if text else [tokenizer.bos]
        for text in config.prompts
    ]


def _samples(made: Path, tokenizer: Tokenizer, asked: list[list[int]], config: PretrainConfig) -> pl.DataFrame:
    """What the model makes of each prompt: greedily, and at temperature 1."""
    if not asked:
        return pl.DataFrame(schema={"prompt": pl.String, "temperature": pl.Float64, "text": pl.String})
    shape, state = load_folder(made)
    longest = max(map(len, asked)) + config.prompt_tokens
    sampler = LocalSampler(shape, state, tokenizer, max_rows=len(asked), max_tokens=longest)
    rows = []
    for temperature in (0.0, 1.0):
        params = SamplingParams(temperature=temperature, max_tokens=config.prompt_tokens, seed=config.recipe.seed)
        for text, (answer,) in zip(config.prompts, sampler.generate(asked, params), strict=True):
            rows.append(
                {"prompt": text, "temperature": temperature, "text": json.dumps(answer.text, ensure_ascii=False)}
            )
    return pl.DataFrame(rows)


def pretrain_stage(writes: str = "rigor-base") -> Stage[PretrainConfig]:
    """The stage under the name of the model that it makes; `rigor-base`'s is `pretrain`."""
    return Stage(
        name="pretrain" if writes == "rigor-base" else f"pretrain_{writes.removeprefix('rigor-')}",
        version="1",
        reads=("tokens", "tokenizer"),
        writes=writes,
        config=PretrainConfig,
        run=partial(pretrain, writes),
        model=True,
    )


STAGE = pretrain_stage()
