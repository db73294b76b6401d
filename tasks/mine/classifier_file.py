"""A classifier on disk: `classifier.bin` (fastText) and `classifier.json`, which pins its SHA-256.

A damaged fastText file can load and then end the process with a segmentation fault at the first prediction
(fastText#1087). So no byte reaches fastText before the file's hash has been compared with the pinned one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fasttext
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.mine.classifier_text import NORMALISATION, normalise

MODEL_FILE = "classifier.bin"
CARD_FILE = "classifier.json"
MATHEMATICS = "__label__math"
OTHER = "__label__other"


class ClassifierError(ValueError):
    """A classifier folder that is incomplete, damaged, or made under other rules."""


class ClassifierCard(BaseModel):
    """What `classifier.json` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    labels: tuple[str, ...]
    normalisation: str
    round: int = Field(ge=1)
    threshold: float = Field(ge=0.0, le=1.0)
    validation: dict[str, float]
    examples: dict[str, int]
    config: dict[str, Any]


class Classifier:
    """A loaded classifier; `sha256` is its identity, `threshold` the score from which a page is collected."""

    def __init__(self, model: Any, card: ClassifierCard) -> None:
        """Use `load_classifier` for files; `model` is a fastText model with the card's labels."""
        self.model, self.card = model, card
        self.sha256, self.threshold, self.round = card.sha256, card.threshold, card.round

    def score(self, text: str) -> float:
        """Probability of mathematics, 0 to 1; 0 for a page without a token."""
        return score_line(self.model, normalise(text))


def score_line(model: Any, line: str) -> float:
    """Probability of mathematics of a normalised line under a fastText model."""
    if not line:
        return 0.0
    found: Sequence[tuple[float, str]] = model.f.predict(line + "\n", 2, 0.0, "strict")
    return next((min(1.0, max(0.0, p)) for p, label in found if label == MATHEMATICS), 0.0)


def save_classifier(folder: Path, model: Any, **facts: Any) -> ClassifierCard:
    """Write the model and its card (`facts`: the card's fields but sha256, labels and normalisation)."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_model(str(folder / MODEL_FILE))
    with (folder / MODEL_FILE).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    labels = tuple(sorted(model.get_labels()))
    card = ClassifierCard(sha256=digest, labels=labels, normalisation=NORMALISATION, **facts)
    (folder / CARD_FILE).write_text(json.dumps(card.model_dump(mode="json"), indent=1, sort_keys=True) + "\n")
    return card


def check_classifier(folder: Path, sha256: str | None = None) -> ClassifierCard:
    """Compare the file's hash with the card's and, where given, with `sha256`; fastText is not asked.

    Raises:
        ClassifierError: a file is missing, the card is not valid, the hash differs, or the card names other
            labels or another normalisation.
    """
    try:
        card = ClassifierCard.model_validate_json((folder / CARD_FILE).read_bytes())
        with (folder / MODEL_FILE).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ClassifierError(f"{folder} holds no classifier: {error}") from error
    except ValidationError as error:
        raise ClassifierError(f"{folder / CARD_FILE} is not a classifier's card: {error}") from error
    if digest != card.sha256 or digest != (sha256 or digest):
        raise ClassifierError(
            f"{folder / MODEL_FILE} has sha256 {digest}, expected {sha256 or card.sha256}: "
            "the file is damaged or not the one that was trained; it was not loaded"
        )
    if card.normalisation != NORMALISATION or card.labels != (MATHEMATICS, OTHER):
        raise ClassifierError(
            f"{folder}: normalisation {card.normalisation} and labels {card.labels}, "
            f"this code has {NORMALISATION} and {(MATHEMATICS, OTHER)}: train it again"
        )
    return card


def load_classifier(folder: Path, sha256: str | None = None) -> Classifier:
    """Load a classifier after `check_classifier`, whose errors it raises."""
    card = check_classifier(folder, sha256)
    return Classifier(fasttext.load_model(str(folder / MODEL_FILE)), card)
