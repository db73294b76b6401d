"""Stage fine_tune: a model learns to answer as chat rows do, loss on responses alone (DeepSeek-R1, arXiv 2501.12948).

One stage for every fine-tuning: `fine_tune_stage` names the table, the model to start from and the model it makes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pydantic import Field

from model.convert import Card, load_shape
from model.losses import NextToken
from model.tokenizer import Tokenizer
from model.train.config import AdamWOptions, ScheduleOptions, TwoPhase
from tasks.stage import Inputs, Report, Stage, StageConfig
from tasks.train.chat_rows import Choice, Packing, export_chat_rows
from tasks.train.corpora import groups_of
from tasks.train.recipe import Curves, Recipe, curve_figure, report_drop, train, train_config

PUBLISHED = Recipe(
    batch_rows=128,
    optimizer=AdamWOptions(learning_rate=5e-5),
    schedule=ScheduleOptions(shape="cosine", final_share=0.1),
    bias_rate=TwoPhase(first=0.0, then=0.0, change_at=1.0),
)
"""R1's fine-tuning: lr 5e-5 to 5e-6 by a cosine, 128 rows an update. The experts' biases stay as pre-training left
them."""


class FineTuneConfig(StageConfig):
    """What is learned from, how often, and how fast."""

    epochs: float = Field(2.0, gt=0, le=64)
    """Passes over the packed rows; R1: 2."""
    recipe: Recipe = PUBLISHED
    """Its `tokens` gives way to `epochs`."""
    row_tokens: int = Field(32_768, ge=16, le=1 << 20)
    """Length of a packed row; a longer chat is rejected. R1: 32,768."""
    packing: Packing = "best_fit"
    """best_fit: chats share rows; one_a_row: padded, small models learn from it sooner."""
    styles: tuple[str, ...] = ()
    """Only rows of these styles, where the table has a column `style`; empty: all."""
    share: float = Field(1.0, gt=0.0, le=1.0)
    """Share of the rows that are learned from, drawn by id."""
    held_out_share: float = Field(0.02, ge=0.0, le=0.5)
    """Share of the problem groups that are measured on and not learned from."""
    seed: int = Field(1, ge=0, lt=1 << 31)
    """Of the split and the share."""


def fine_tune(reads: str, start: str, writes: str, config: FineTuneConfig, inputs: Inputs, report: Report) -> Path:
    """Folder of the fine-tuned model in Hugging Face form.

    Reads the table `reads`, the model `start` (a folder with its tokenizer), and `problems` where it is given.

    Raises:
        ValueError: a column is missing, or no row is left to learn from.
    """
    folder = inputs.models[start]
    tokenizer = Tokenizer.load(folder)
    shape = load_shape(folder)
    choice = Choice(
        row_tokens=config.row_tokens, packing=config.packing, held_out_share=config.held_out_share,
        styles=config.styles, share=config.share, seed=config.seed,
    )  # fmt: skip
    groups = groups_of(inputs.tables.get("problems"))
    made = export_chat_rows(inputs.tables[reads], tokenizer, groups, choice, inputs.scratch / "rows", report)
    rows = made.rows["train"]
    recipe = config.recipe.model_copy(update={"tokens": max(1, round(config.epochs * rows * config.row_tokens))})
    plan = train_config(recipe, shape, NextToken(), config.row_tokens, inputs.layout, init_from=folder)
    for name, value in {"steps": plan.steps, "rows": rows, "documents": made.documents["train"],
                        "documents_held_out": made.documents["held_out"], "tokens": made.tokens["train"],
                        "loss_tokens": made.loss_tokens["train"],
                        "filled_share": made.tokens["train"] / (rows * config.row_tokens)}.items():  # fmt: skip
        report.metric(name, value)
    card = Card(name=writes, stage="fine_tune", settings={
        "table": reads, "from": start, "epochs": str(config.epochs), "batch rows": str(recipe.batch_rows),
        "row tokens": str(config.row_tokens), "learning rate": str(recipe.optimizer.learning_rate)})  # fmt: skip
    held_out = inputs.scratch / "rows" / "held_out" if made.rows["held_out"] else None
    result, curves = train(
        plan, inputs.scratch / "rows" / "train", held_out, inputs, report, tokenizer=folder, card=card
    )
    _describe(curves, report)
    return result


def _describe(curves: Curves, report: Report) -> None:
    losses = {"loss": "train", "held_out_loss": "held out"}
    report.figure("loss", curve_figure(curves, losses, "Loss of the responses", "nats a token"))
    report_drop(curves, report)


def fine_tune_stage(
    reads: str, writes: str, start: str = "rigor-base", name: str = "fine_tune"
) -> Stage[FineTuneConfig]:
    """The stage that fine-tunes `start` on the chat rows of `reads` into the model `writes`."""
    return Stage(
        name=name,
        version="1",
        reads=(reads, "problems", start),
        writes=writes,
        config=FineTuneConfig,
        run=partial(fine_tune, reads, start, writes),
        model=True,
    )


STAGE = fine_tune_stage("synthetic_corpus", "rigor-sft")
