"""Sampled chains written by hand."""

from __future__ import annotations

from typing import Any

from warehouse.ids import row_id

GOOD = "<think>\n3 + 4 = 7\n7 + 5 = 12\n</think>\n<answer>12</answer>"
ZH = "<think>\n17 - 4 = 13\n13 - 5 = 8\n</think>\n<answer>8</answer>"


def sample(text: str, prompt: str = "3 + 4 + 5 = ?", gold: str = "12", **other: Any) -> dict[str, Any]:
    """A row of `cold_start_samples`."""
    inner = text.partition("<think>")[2].partition("</think>")[0]
    row = {
        "id": row_id(text, prompt, *other.values()), "parents": [], "partition": "all",
        "problem": prompt, "family": "running_sums", "level": 1, "language": "en", "category": "math",
        "prompt": prompt, "gold": gold, "checker": "math", "tests": "", "model": "rigor-zero", "source": "zero",
        "sample": 0, "seed": 1, "text": text, "steps": [s for s in inner.splitlines() if s.strip()],
        "answer": text.partition("<answer>")[2].partition("</answer>")[0], "correct": True, "tokens": 40,
        "finish": "stop",
    }  # fmt: skip
    return row | other
