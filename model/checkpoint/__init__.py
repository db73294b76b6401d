"""Checkpoints of a sharded model and its optimizer: written whole or not at all, proven whole before they are read.

A folder of checkpoints holds `step-00000100/` and so on; each consists of a safetensors file per rank (`shards.py`),
`state.json` (step, optimizer's common state, the trainer's extra) and `digests.json` (`digests.py`), written in this
order into `step-00000100.tmp`, which then takes its name by a rename. No file of it can make a reader run code. On
several machines the folder must be shared.
"""

from model.checkpoint.folder import latest, prune, verify
from model.checkpoint.ranks import CheckpointError
from model.checkpoint.state import OptimizerState, load, save

__all__ = ["CheckpointError", "OptimizerState", "latest", "load", "prune", "save", "verify"]
