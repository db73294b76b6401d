"""A frozen teacher's likeliest next tokens at the places that a student learns: worked out in turn, or kept on disk.

Kept: a folder of blocks of rows `top-00000.safetensors`, each with `teacher_ids` [N,K] int32 and `teacher_log_probs`
[N,K] float32 of the block's N learned places in the order of the rows, and `ends` int64, where each row's end.

Legend of shape suffixes: R rows, T tokens of a row, N learned places, C places of a chunk, K likeliest tokens, V
vocabulary, H teacher's hidden size.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from kernels.linear_log_probs.chunked import default_chunk, logits, operands
from model import parallel
from model.build import build
from model.convert import from_hf, load_folder
from model.data import Rows
from model.losses.places import at, predicted
from model.losses.types import Batch
from tasks.rl.passes import without_mtp

BLOCK_ROWS = 64
BLOCK = "top-{:05d}.safetensors"
IDS, LOG_PROBS = "teacher_ids", "teacher_log_probs"
"""Columns of a batch, see `model.losses.distill.Distill.loss`."""


class Top(NamedTuple):
    """The likeliest tokens at the learned places of some rows."""

    place_N: Tensor
    """int64, flat index into [R·T] of the predicted token."""
    ids_NK: Tensor
    """int64, likeliest first."""
    log_probs_NK: Tensor
    """float32, of the teacher's whole distribution."""

    def columns(self, rows: int, row_tokens: int) -> Batch:
        """[R,T,K] each; what stands at other places is never read."""
        shape = (rows * row_tokens, self.ids_NK.shape[1])
        ids, values = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape)
        ids[self.place_N], values[self.place_N] = self.ids_NK, self.log_probs_NK
        return {IDS: ids.view(rows, row_tokens, -1), LOG_PROBS: values.view(rows, row_tokens, -1)}


class Teacher:
    """A model that only reads."""

    def __init__(
        self, folder: Path, top_k: int, temperature: float, micro_batch_rows: int, dtype: torch.dtype = torch.float32
    ) -> None:
        """Load the Hugging Face folder; `top_k` above the vocabulary takes all of it."""
        shape, state = load_folder(folder)
        model = build(shape, dtype=dtype)
        self.model = model.cuda() if torch.cuda.is_available() else model
        from_hf(self.model, state)
        self.model.requires_grad_(False)
        self.top_k = min(top_k, shape.vocab_size)
        self.temperature, self.micro_batch_rows = temperature, micro_batch_rows

    @torch.no_grad()
    def top(self, batch: Batch) -> Top:
        """What it would say at every place with weight, on the CPU; memory grows with V · chunk, not with V · N."""
        rows, row_tokens = batch["tokens"].shape
        device = next(self.model.parameters()).device
        self.model.train(False)
        found = []
        with without_mtp(self.model):
            for start in range(0, rows, self.micro_batch_rows):
                piece = {
                    name: batch[name][start : start + self.micro_batch_rows].to(device)
                    for name in ("tokens", "document", "weight")
                }
                places = predicted(piece)
                hidden_BTH = self.model(piece["tokens"], piece["document"]).main_BTH
                values_NK, ids_NK = self._likeliest(at(hidden_BTH, places.hidden_N))
                found.append(Top(places.label_N.cpu() + start * row_tokens, ids_NK.cpu(), values_NK.float().cpu()))
        return Top(*(torch.cat(parts) for parts in zip(*found, strict=True)))

    def _likeliest(self, hidden_NH: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities and ids [N,K], chunk by chunk."""
        hidden_NH, head_VH = operands(hidden_NH, self.model.head_weight())
        chunks = [
            logits(hidden_CH, head_VH, self.temperature).log_softmax(-1).topk(self.top_k)
            for hidden_CH in hidden_NH.split(default_chunk(len(head_VH)))
        ]
        values, ids = zip(*chunks, strict=True)
        return torch.cat(values), torch.cat(ids)

    def columns(self, batch: Batch) -> Batch:
        """The columns that the loss needs, of this batch."""
        return self.top(batch).columns(*batch["tokens"].shape)


def keep(folder: Path, rows: Rows, teacher: Teacher) -> None:
    """Let the teacher read all rows once; blocks that are there already stay. Collective: each rank does its part."""
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(rows), BLOCK_ROWS)
    for number in range(parallel.data_rank(), len(starts), parallel.data_world()):
        path = folder / BLOCK.format(number)
        if path.exists():
            continue
        batch = rows.take(np.arange(starts[number], min(starts[number] + BLOCK_ROWS, len(rows))))
        top = teacher.top(batch)
        edges_R = torch.arange(1, len(batch["tokens"]) + 1) * rows.row_tokens
        block = {
            IDS: top.ids_NK.to(torch.int32),
            LOG_PROBS: top.log_probs_NK,
            "ends": torch.searchsorted(top.place_N, edges_R),
        }
        tmp = path.with_suffix(".tmp")
        save_file(block, tmp)
        with tmp.open("rb+") as file:
            os.fsync(file.fileno())
        tmp.replace(path)
    dist.barrier(parallel.data_group())


class Kept:
    """Reads what `keep` wrote, memory-mapped."""

    def __init__(self, folder: Path, rows: Rows) -> None:
        """Map the blocks of these rows.

        Raises:
            ValueError: blocks are missing.
        """
        paths = [folder / BLOCK.format(number) for number in range(-(-len(rows) // BLOCK_ROWS))]
        missing = [path.name for path in paths if not path.exists()]
        if missing:
            raise ValueError(f"{folder} lacks {missing[0]} and {len(missing) - 1} more of {len(paths)} blocks")
        self._files = [safe_open(path, framework="pt") for path in paths]
        self._ends = [file.get_tensor("ends").tolist() for file in self._files]
        self.places = sum(ends[-1] for ends in self._ends)
        """Learned places, N."""
        self.bytes_per_place = sum(path.stat().st_size for path in paths) / max(self.places, 1)

    def columns(self, indices: NDArray[np.int64], batch: Batch) -> Batch:
        """The columns of the rows at `indices`, of which `batch` is."""
        parts: dict[str, list[Tensor]] = {IDS: [], LOG_PROBS: []}
        for index in indices.tolist():
            number, row = divmod(index, BLOCK_ROWS)
            ends = self._ends[number]
            begin, end = ends[row - 1] if row else 0, ends[row]
            for name, found in parts.items():
                if begin < end:
                    found.append(self._files[number].get_slice(name)[begin:end])
        place_N = predicted(batch).label_N
        top = Top(place_N, torch.cat(parts[IDS]).long(), torch.cat(parts[LOG_PROBS]))
        return top.columns(*batch["tokens"].shape)
