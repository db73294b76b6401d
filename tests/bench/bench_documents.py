"""Seeded documents of 3 kB, and peers timed in turn. Imported by the other benches before anything that has threads."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from random import Random
from statistics import median

for name in ("OMP", "OPENBLAS", "MKL", "POLARS_MAX", "RAYON"):
    os.environ[f"{name}_THREADS" if name == "POLARS_MAX" else f"{name}_NUM_THREADS"] = "1"

DOCUMENT_BYTES = 3000
FORMULAS = ("$x^2 + {} = {}$", "$\\frac{{{}}}{{{}}}$", "$$\\int_{{{}}}^{{{}}} f(t) \\, dt$$")


def documents(count: int, seed: int, *, copies: float = 0.0, beyond_ascii: float = 0.0) -> list[str]:
    """Documents of `DOCUMENT_BYTES`, words by Zipf's law, a formula in 40 words.

    A share `copies` are an earlier one with up to six words replaced; a share `beyond_ascii` have typographic
    quotes, dashes and signs.
    """
    rng = Random(seed)
    letters = "etaoinshrdlucmfwypvbgk"
    vocabulary = ["".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(20_000)]
    weights = [1 / rank for rank in range(1, len(vocabulary) + 1)]
    made: list[str] = []
    for _ in range(count):
        if made and rng.random() < copies:
            words = rng.choice(made).split(" ")
            for _ in range(rng.randint(0, 6)):
                words[rng.randrange(len(words))] = rng.choice(vocabulary)
        else:
            words = rng.choices(vocabulary, weights, k=DOCUMENT_BYTES // 4)
            for at in range(20, len(words), 40):
                words[at] = rng.choice(FORMULAS).format(rng.randint(1, 99), rng.randint(1, 99))
            if rng.random() < beyond_ascii:
                for at, sign in zip(range(5, len(words), 90), "“×—²é…", strict=False):
                    words[at] += sign
        made.append(" ".join(words).encode()[:DOCUMENT_BYTES].decode(errors="ignore"))
    return made


def compare(ours: Callable[[], int], peers: Mapping[str, Callable[[], int]], repeats: int = 5) -> None:
    """Time ours and each peer in turn, `repeats` times, in CPU seconds of this process.

    A callable works through its documents and returns how many they were. Prints documents per CPU second (median,
    least and most) and the ratio of ours to the peer's within one repeat.
    """
    rates: dict[str, list[float]] = {}
    for _ in range(repeats):
        for label, work in {"ours": ours, **peers}.items():
            start = time.process_time()
            count = work()
            rates.setdefault(label, []).append(count / (time.process_time() - start))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {repeats} repeats, {time.strftime('%Y-%m-%d')}")
    for label, values in rates.items():
        line = f"{label:32} {median(values):9,.0f} docs/CPU-s ({min(values):,.0f} to {max(values):,.0f})"
        if label != "ours":
            ratios = [a / b for a, b in zip(rates["ours"], values, strict=True)]
            line += f"   ours is {median(ratios):.1f} times as fast ({min(ratios):.1f} to {max(ratios):.1f})"
        print(line, flush=True)
