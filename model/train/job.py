"""What a launcher tells its workers, and where everything of a training lies."""

from __future__ import annotations

from pathlib import Path

from model.convert.card import Card
from model.train.config import Options, TrainConfig

STORE = "RIGOR_TRAIN_STORE"
"""Environment variable: a file, new for each start, over which the ranks of a machine meet."""


class Job(Options):
    """`job.json`."""

    config: TrainConfig
    rows: Path
    """A folder as `model.data.write_rows` leaves it."""
    held_out: Path | None = None
    """The same, of rows that are never trained on."""
    tokenizer: Path | None = None
    """A folder whose tokenizer files go into the exported model's."""
    card: Card | None = None


class Folder:
    """The files of a training's work folder."""

    def __init__(self, root: Path) -> None:
        """Nothing is created."""
        self.root = root
        self.job = root / "job.json"
        self.checkpoints = root / "checkpoints"
        self.events = root / "events.jsonl"
        self.log = root / "workers.log"
        self.store = root / "store"
        """Over which the ranks meet."""
        self.model = root / "model"
        """The exported Hugging Face folder, there when the training is done."""

    def read_job(self) -> Job:
        """Parse `job.json`."""
        return Job.model_validate_json(self.job.read_bytes())
