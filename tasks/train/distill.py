"""Stage distill: a student learns a teacher's distributions, over the rows' own texts or over the student's (GKD).

Its other way, the teacher's texts alone, is `fine_tune_stage`. Teacher and student share a tokenizer.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from model.convert import Card, load_shape
from model.tokenizer import Tokenizer
from model.train.launch import launch_job
from tasks.distill.config import DistillConfig
from tasks.distill.job import DistillJob
from tasks.stage import Inputs, Report, Stage
from tasks.train.chat_rows import Choice, export_chat_rows
from tasks.train.corpora import groups_of
from tasks.train.recipe import Curves, curve_figure, pass_on, ranks, report_drop, train_config

LAYOUT = ("ranks", "cores", "micro_batch_rows")
"""What of the machine's layout holds here: teacher and student are whole on every rank."""


def distill(reads: str, start: str, teacher: str, writes: str, config: DistillConfig, inputs: Inputs, report: Report,
            ) -> Path:  # fmt: skip
    """Folder of the student in Hugging Face form.

    Reads the table `reads`, the models `start` and `teacher` (folders with their tokenizers), and `problems` where it
    is given. Of the curves, `held_out_loss` is the divergence from the teacher on texts of the table, whatever the
    student is taught on.

    Raises:
        ValueError: the method is "sft", the tokenizers differ, a column is missing, or no row is left to learn from.
    """
    if config.method == "sft":
        raise ValueError('method = "sft" needs no teacher: it is the stage of `fine_tune_stage`')
    folder = inputs.models[start]
    if _vocabulary(folder) != _vocabulary(inputs.models[teacher]):
        raise ValueError(
            f"{teacher} and {start} have different tokenizers: only a teacher whose tokens are the student's can say"
            ' how likely each is; use method = "sft"'
        )
    shape = load_shape(folder)
    choice = Choice(
        row_tokens=config.row_tokens, packing=config.packing, held_out_share=config.held_out_share,
        styles=config.styles, share=config.share, seed=config.seed,
    )  # fmt: skip
    rows = inputs.scratch / "rows"
    made = export_chat_rows(
        inputs.tables[reads], Tokenizer.load(folder), groups_of(inputs.tables.get("problems")), choice, rows, report
    )
    samples = config.method == "on_policy"
    epochs = config.sampling.epochs if samples else config.epochs
    recipe = config.recipe.model_copy(update={"tokens": max(1, round(epochs * made.rows["train"] * config.row_tokens))})
    if samples:
        optimizer = recipe.optimizer.model_copy(update={"learning_rate": config.sampling.learning_rate})
        recipe = recipe.model_copy(update={"optimizer": optimizer})
    layout = {key: inputs.layout[key] for key in LAYOUT if key in inputs.layout}
    plan = train_config(recipe, shape, config.objective, config.row_tokens, layout, init_from=folder.resolve())
    for name, value in {"steps": plan.steps, "rows": made.rows["train"], "documents": made.documents["train"],
                        "documents_held_out": made.documents["held_out"],
                        "loss_tokens": made.loss_tokens["train"]}.items():  # fmt: skip
        report.metric(name, value)
    job = DistillJob(
        config=plan,
        rows=(rows / "train").resolve(),
        held_out=(rows / "held_out").resolve() if made.rows["held_out"] else None,
        tokenizer=folder.resolve(),
        card=Card(name=writes, stage="distill", settings=_settings(config, reads, start, teacher)),
        teacher=inputs.models[teacher].resolve(),
        top_k=config.top_k,
        kept=(inputs.work / "teacher").resolve() if config.teacher == "stored" and not samples else None,
        sampling=config.sampling if samples else None,
        sampler_rows=inputs.layout.get("sampler_rows", 64),
    )
    curves: Curves = {}
    processes, training = ranks(layout, recipe.batch_rows), inputs.work / "training"
    done = launch_job(job, training, [("distill", processes)], partial(pass_on, report, curves, training),
                      worker="tasks.distill.worker")  # fmt: skip
    losses = {"loss": "train", "held_out_loss": "held out"}
    report.figure("loss", curve_figure(curves, losses, f"Divergence from {teacher}", "nats a token"))
    report_drop(curves, report)
    return done.model


def _vocabulary(folder: Path) -> tuple[bytes, ...]:
    return Tokenizer.load(folder).token_bytes


def _settings(config: DistillConfig, reads: str, start: str, teacher: str) -> dict[str, str]:
    """For the model card."""
    objective = config.objective
    return {
        "table": reads, "from": start, "teacher": teacher, "method": config.method,
        "divergence": objective.divergence, "temperature": str(objective.temperature), "top k": str(config.top_k),
        "epochs": str(config.sampling.epochs if config.method == "on_policy" else config.epochs),
        "batch rows": str(config.recipe.batch_rows), "row tokens": str(config.row_tokens),
    }  # fmt: skip


def distill_stage(
    reads: str, writes: str, start: str, teacher: str = "rigor-r1", name: str = "distill"
) -> Stage[DistillConfig]:
    """The stage in which `teacher` makes `start` into `writes`, over the chat rows of `reads`."""
    return Stage(
        name=name,
        version="1",
        reads=(reads, "problems", start, teacher),
        writes=writes,
        config=DistillConfig,
        run=partial(distill, reads, start, teacher, writes),
        model=True,
    )


STAGE = distill_stage("sft_set", "rigor-distill-large", start="rigor-distill-large-base")
