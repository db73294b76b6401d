"""Stop strings: found across token boundaries, looked for only where a token could complete one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model.sample.params import Codec


def bytes_of(codec: Codec, token: int) -> bytes:
    """A token's bytes; none where only the model's vocabulary, padded beyond the tokenizer's, has it."""
    return codec.token_bytes[token] if token < len(codec.token_bytes) else b""


class StopFinder:
    """Finds stop strings in sampled tokens, byte by byte, so that characters split over tokens are no exception."""

    def __init__(self, stops: Sequence[str], codec: Codec, vocab_size: int, device: torch.device) -> None:
        """`vocab_size`: the model's; ids that the codec lacks never complete a stop string."""
        self._stops = [stop.encode() for stop in stops]
        self._longest = max(len(stop) for stop in self._stops)
        self._codec = codec
        able = torch.zeros(vocab_size, dtype=torch.bool)
        for index, text in enumerate(codec.token_bytes[:vocab_size]):
            able[index] = any(_completes(text, stop) for stop in self._stops)
        self._able = able.to(device)

    def suspects(self, tokens_RT: Tensor, count_R: Tensor) -> list[int]:
        """Rows whose newest tokens (the first `count_R` of each row) could complete a stop string."""
        place = torch.arange(tokens_RT.shape[1], device=tokens_RT.device)
        hit_R = (self._able[tokens_RT] & (place < count_R[:, None])).any(1)
        return [int(i) for i in hit_R.nonzero()] if bool(hit_R.any()) else []

    def find(self, tokens: Sequence[int], new: int) -> int | None:
        """How many tokens there are when the first stop string is complete; only the last `new` can complete one."""
        first = len(tokens) - new
        tail, size = first, 0
        while tail and size < self._longest - 1:
            tail -= 1
            size += len(bytes_of(self._codec, tokens[tail]))
        text = b""
        for index in range(tail, len(tokens)):
            text += bytes_of(self._codec, tokens[index])
            if index >= first and any(stop in text for stop in self._stops):
                return index + 1
        return None

    def cut(self, text: bytes) -> bytes:
        """The text before the first stop string."""
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        return text[: min(places)] if places else text


def _completes(text: bytes, stop: bytes) -> bool:
    """A token with this text could be the last one of the stop string, or hold it."""
    return stop in text or any(text.startswith(stop[i:]) for i in range(1, len(stop)))
