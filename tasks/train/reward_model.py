"""Stage train_reward_models: a policy under one score learns which response is better (helpful) or safe (safety).

DeepSeek-R1 (arXiv 2501.12948, section 2.3.4): the helpful model learns pairs by Bradley and Terry and judges the final
answer alone, the safety model learns labelled responses and judges all of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pydantic import Field

from model.convert import Card, load_shape, scorer_shape
from model.data import write_rows
from model.losses import Preference, Safety, calibration_error
from model.tokenizer import Tokenizer
from model.train.config import AdamWOptions, ScheduleOptions, TwoPhase
from tasks.rl.judges import Kind, RewardModel, describe, lay_out_judged
from tasks.stage import Inputs, Reject, RejectedRow, Report, Stage, StageConfig
from tasks.train.recipe import Recipe, curve_figure, train, train_config

PUBLISHED = Recipe(
    batch_rows=256,
    optimizer=AdamWOptions(learning_rate=6e-6),
    schedule=ScheduleOptions(shape="constant"),
    bias_rate=TwoPhase(first=0.0, then=0.0, change_at=1.0),
    balance=0.0,
)
"""R1's supplement: 256 pairs an update (here: packed rows), lr 6e-6, one epoch."""
OPEN_ROWS = 64
"""Rows that packing keeps open."""
CENTRED_PAIRS = 1_000
"""Of the training split, whose mean score is the centre."""
BINS = 10
Item = tuple[list[int], ...]
"""The token ids of what is learned together: the two responses of a pair, the better first, or one response."""


class RewardModelConfig(StageConfig):
    """How long and how fast a reward model learns."""

    epochs: float = Field(1.0, gt=0, le=64)
    """Passes over the training pairs; R1: 1."""
    recipe: Recipe = PUBLISHED
    """Its `tokens` gives way to `epochs`."""
    row_tokens: int = Field(8_192, ge=16, le=1 << 20)
    """Length of a packed row, in which a pair must fit. R1: 8,192 a response."""


class Labelled(NamedTuple):
    """Items of a split; of the kind safety each has a label."""

    items: list[Item]
    safe: list[bool]


def reward_model(kind: Kind, writes: str, config: RewardModelConfig, inputs: Inputs, report: Report) -> Path:
    """Folder of the reward model: `score.weight` in the place of logits, and `reward.json`.

    Reads the table `preferences` (its rows of this kind) and the model `policy` to start from.

    Raises:
        ValueError: there is no pair to learn from.
    """
    policy = inputs.models["policy"]
    tokenizer, shape = Tokenizer.load(policy), scorer_shape(load_shape(policy))
    pairs = inputs.tables["preferences"].scan().filter(pl.col("kind") == kind).collect().sort("id")
    report.rows_in(pairs.height)
    known = pl.col("split") == "train"
    rows = {}
    for split, frame in (("train", pairs.filter(known)), ("held_out", pairs.filter(~known))):
        folder = inputs.scratch / "rows" / split
        labelled = _labelled(kind, frame, tokenizer, config.row_tokens, report)
        rows[split] = _write(kind, labelled, config.row_tokens, tokenizer.pad, folder) if labelled.items else 0
        report.metric(f"pairs_{split}", frame.height)
    if not rows["train"]:
        raise ValueError(f"no pair of the kind {kind} to learn from in the training split")
    recipe = config.recipe.model_copy(
        update={"tokens": max(1, round(config.epochs * rows["train"] * config.row_tokens))}
    )
    objective = Preference() if kind == "helpful" else Safety()
    plan = train_config(recipe, shape, objective, config.row_tokens, inputs.layout, init_from=policy)
    report.metric("steps", plan.steps)
    card = Card(name=writes, stage="reward_model", settings={
        "kind": kind, "epochs": str(config.epochs), "batch rows": str(recipe.batch_rows),
        "learning rate": str(recipe.optimizer.learning_rate)})  # fmt: skip
    held_out = inputs.scratch / "rows" / "held_out" if rows["held_out"] else None
    made, curves = train(plan, inputs.scratch / "rows" / "train", held_out, inputs, report, tokenizer=policy, card=card)
    report.figure("loss", curve_figure(curves, {"loss": "train", "held_out_loss": "held out"}, "Loss", "nats"))
    shares = {"accuracy": "train", "held_out_accuracy": "held out"}
    report.figure("accuracy", curve_figure(curves, shares, "Accuracy", "share"))
    _centre(kind, made, pairs.filter(known))
    if rows["held_out"]:
        _measure(kind, made, pairs.filter(~known), report)
    return made


def _labelled(kind: Kind, pairs: pl.DataFrame, tokenizer: Tokenizer, row_tokens: int, report: Report) -> Labelled:
    """Pairs as items; those longer than a row are rejected."""
    texts = [lay_out_judged(kind, row["prompt"], row[side]) for row in pairs.iter_rows(named=True)
             for side in ("chosen", "rejected")]  # fmt: skip
    ids = iter(tokenizer.encode_parts(texts))
    found, safe = list[Item](), list[bool]()
    for row in pairs["id"]:
        pair = (next(ids), next(ids))
        items: list[Item] = [pair] if kind == "helpful" else [(response,) for response in pair]
        longest = max(sum(map(len, item)) for item in items)
        if longest > row_tokens:
            report.reject([RejectedRow(row, Reject("longer than a row", f"{longest} of {row_tokens} tokens"))])
            continue
        found += items
        safe += [True, False][: len(items)]
    return Labelled(found, safe)


def _write(kind: Kind, labelled: Labelled, row_tokens: int, pad: int, folder: Path) -> int:
    """Items as packed rows (see `model.data`), a response a document; returns the rows."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    placed = list(_placed([sum(map(len, item)) for item in labelled.items], row_tokens))
    column, empty = ("pair", 0) if kind == "helpful" else ("safe", -1)
    shape = (len(placed), row_tokens)
    tokens, document = np.full(shape, pad, np.int32), np.full(shape, -1, np.int32)
    weight, label = np.zeros(shape, np.float32), np.full(shape, empty, np.int16)
    for row, indices in enumerate(placed):
        place = count = 0
        for number, index in enumerate(indices, 1):
            for sign, ids in zip((1, -1), labelled.items[index], strict=False):
                end = place + len(ids)
                tokens[row, place:end], document[row, place:end] = ids, count
                weight[row, end - 1] = 1
                label[row, end - 1] = sign * number if kind == "helpful" else labelled.safe[index]
                place, count = end, count + 1
    write_rows(folder, [{"tokens": tokens, "document": document, "weight": weight, column: label}])
    return len(placed)


def _placed(sizes: Sequence[int], row_tokens: int) -> Iterator[list[int]]:
    """Indices of each row: longest items first, each into the first open row with room."""
    opened: list[tuple[int, list[int]]] = []
    for index in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        at = next((i for i, (used, _) in enumerate(opened) if used + sizes[index] <= row_tokens), len(opened))
        if at == len(opened):
            opened.append((0, []))
        used, indices = opened[at]
        opened[at] = (used + sizes[index], [*indices, index])
        if len(opened) > OPEN_ROWS:
            yield opened.pop(0)[1]
    yield from (indices for _, indices in opened)


def _centre(kind: Kind, folder: Path, pairs: pl.DataFrame) -> None:
    """Write `reward.json`: a helpful model's scores are compared with the mean of its training responses."""
    describe(folder, kind, 0.0)
    if kind == "helpful":
        some = pairs.head(CENTRED_PAIRS)
        scores = _scores(RewardModel(folder), some)
        describe(folder, kind, float(scores.mean()))


def _scores(judge: RewardModel, pairs: pl.DataFrame) -> NDArray[np.float64]:
    """[P, 2]: of the better and the worse response."""
    prompts = pairs["prompt"].to_list()
    sides = [judge.scores(prompts, pairs[side].to_list()) for side in ("chosen", "rejected")]
    return np.stack(sides, axis=1).reshape(-1, 2)


def _measure(kind: Kind, folder: Path, pairs: pl.DataFrame, report: Report) -> None:
    """Accuracy and calibration on held-out pairs, in all and by family and form, and what the model is sure of."""
    scores = _scores(RewardModel(folder), pairs)
    difference = scores[:, 0] - scores[:, 1]
    if kind == "helpful":  # both orders of each pair: who is preferred, and was that right?
        sure, label = np.concatenate([difference, -difference]), np.repeat([1.0, 0.0], len(difference))
        right = np.where(difference == 0, 0.5, difference > 0)
    else:
        sure, label = scores.T.flatten(), np.repeat([1.0, 0.0], len(scores))
        right = np.stack([scores[:, 0] > 0, scores[:, 1] < 0]).mean(axis=0)
    chance = 1 / (1 + np.exp(-sure))
    report.metric("held_out_accuracy_final", float(right.mean()))
    report.metric("held_out_pair_accuracy", float(np.where(difference == 0, 0.5, difference > 0).mean()))
    error = calibration_error(torch.from_numpy(chance), torch.from_numpy(label), BINS)
    report.metric("held_out_calibration_error", error)
    cells = pairs.select("family", "rejected_form", "source").with_columns(accuracy=pl.Series(right))
    by_family = cells.group_by("family").agg(pl.col("accuracy").mean(), pairs=pl.len()).sort("family")
    for family, accuracy, _ in by_family.iter_rows():
        report.metric(f"held_out_accuracy.{family}", accuracy)
    by_form = cells.group_by("family", "rejected_form", "source").agg(pl.col("accuracy").mean(), pairs=pl.len())
    report.table("held_out_accuracy", by_form.sort("family", "rejected_form", "source"))
    report.figure("reliability", _reliability(chance, label))


def _reliability(chance: NDArray[np.float64], label: NDArray[np.float64]) -> Any:
    """How often it was so against how sure the model was (Guo et al., arXiv 1706.04599)."""
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    axes = figure.subplots()
    bins = np.minimum((chance * BINS).astype(int), BINS - 1)
    held = [b for b in range(BINS) if (bins == b).any()]
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, label="calibrated")
    axes.plot(
        [chance[bins == b].mean() for b in held], [label[bins == b].mean() for b in held], marker="o", label="model"
    )
    for b in held:
        axes.annotate(str(int((bins == b).sum())), (chance[bins == b].mean(), label[bins == b].mean()), fontsize=7)
    axes.set(title="Reliability on held-out pairs", xlabel="probability given", ylabel="share that was so")
    axes.legend()
    return figure


def reward_model_stage(kind: Kind) -> Stage[RewardModelConfig]:
    """The stage that makes `rigor-reward-helpful` or `rigor-reward-safety`."""
    writes = f"rigor-reward-{kind}"
    return Stage(
        name=f"train_reward_{kind}",
        version="2",
        reads=("preferences", "policy"),
        writes=writes,
        config=RewardModelConfig,
        run=partial(reward_model, kind, writes),
        model=True,
    )


STAGES = {kind: reward_model_stage(kind) for kind in ("helpful", "safety")}
