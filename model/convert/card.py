"""The model card: what a model is, how it was made and how good it is, as the README.md of its folder."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from model.config import ModelConfig
from model.convert.names import Head

Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 .,_:/@+=%-]{0,199}$")]
"""A name on one line, without what Markdown, YAML or a table would read as more than text."""


class Card(BaseModel):
    """What a card says beside the shape, which it takes from the config."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Word
    """The model's name, such as `rigor-base`."""
    stage: Word
    """The stage that made it, such as `pretrain`."""
    fingerprint: Word | None = None
    """Of the artifact: hash of stage, version, config and input versions."""
    inputs: dict[Word, Word] = Field(default_factory=dict, max_length=100)
    """Artifacts it was made from: name to version."""
    settings: dict[Word, Word] = Field(default_factory=dict, max_length=100)
    """How it was trained: tokens, batch, learning rate, …"""
    scores: dict[Word, float] = Field(default_factory=dict, max_length=1000)
    """Benchmark or loss to value."""
    license: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{1,40}$")] = "apache-2.0"
    """Of the weights: a licence's name on the Hugging Face hub."""


def render(config: ModelConfig, card: Card | None, dtype: str, head: Head = "tokens") -> str:
    """The card as Markdown with YAML front matter. Without a `Card` it holds the shape alone."""
    task = "text-generation" if head == "tokens" else "text-classification"
    lines = ["---", "library_name: transformers", f"pipeline_tag: {task}"]
    lines += [f"license: {card.license}"] if card else []
    lines += ["tags:", "- rigor", "---", "", f"# {card.name if card else 'Model'}", ""]
    if card:
        made = f"Made by Rigor's stage `{card.stage}`"
        lines += [made + (f", fingerprint `{card.fingerprint}`." if card.fingerprint else "."), ""]
    lines += _table("Shape", "field", _shape(config) | {"dtype": dtype})
    count = config.count()
    parameters = {"total": f"{count.total:,}", "active per token": f"{count.active:,}"}
    if config.mtp_layers:
        parameters["MTP module, beside the total"] = f"{count.mtp:,}"
    lines += _table("Parameters", "part", parameters)
    if card:
        lines += _table("Training", "setting", dict(card.settings))
        lines += _table("Made from", "artifact", dict(card.inputs))
        lines += _table("Scores", "benchmark", {key: f"{value:.6g}" for key, value in card.scores.items()})
    return "\n".join(lines)


def _table(title: str, head: str, rows: dict[str, str]) -> list[str]:
    if not rows:
        return []
    return [f"## {title}", "", f"| {head} | value |", "|-|-|", *(f"| {k} | {v} |" for k, v in rows.items()), ""]


def _shape(config: ModelConfig) -> dict[str, str]:
    """The shape's fields by their dotted names."""
    data = config.model_dump(mode="json")
    flat: dict[str, str] = {}
    for key, value in data.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": json.dumps(leaf) for inner, leaf in value.items()}
        elif value is not None:
            flat[key] = json.dumps(value)
    return flat
