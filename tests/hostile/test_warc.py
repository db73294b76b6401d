"""Hostile crawl files: mutants and bombs, each read in a child process whose memory is measured.

Whatever the bytes are: no exception leaves the reader, every record is kept or has a reason, every stored byte
belongs to a frame, records that were not touched survive, and the child grows by less than 256 MB.
"""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.warc_attacks import BOMBS, GOOD, GOOD_URL, PLAIN_BOMBS, mutant, pages

ROOT = Path(__file__).parents[2]
GROWTH_MB = 256
Answer = dict[str, Any]
REASONS = {
    "body": ["inflation ratio"],
    "nested gzip": ["payload too large", "undecodable content encoding"],
    "headers": ["inflation ratio"],
    "brotli": ["inflation ratio"],
    "zstd": ["inflation ratio", "undecodable content encoding"],
    "chunked": ["undecodable transfer encoding"],
    "tiny records": ["not a page: unknown type"],
    "zero length": ["empty body", "empty gzip member", "inflation ratio"],
    "member maze": ["bad gzip member", "truncated"],
    "quine": ["not HTML"],
    "empty members": ["undecodable content encoding"],
    "gzip starts": ["bad gzip member"],
    "declared lengths": ["wrong length"],
    "endless header line": ["header too large"],
    "no newline": ["not a record"],
    "record starts": ["header too large", "wrong length"],
    "gzip in a page": ["not HTML"],
}


def child(*files: Path) -> list[Answer]:
    """Read `files` in a fresh process; fails when that dies, hangs, or grows too much."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.warc_child", *map(str, files)],
        capture_output=True, text=True, timeout=400, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout)
    assert answer["grown_mb"] < GROWTH_MB, f"grew by {answer['grown_mb']} MB"
    return list(answer["files"])


def mutants(folder: Path, seeds: range) -> None:
    files, costs = [], []
    for seed in seeds:
        data, cost = mutant(seed)
        files.append(folder / f"{seed}.warc")
        files[-1].write_bytes(data)
        costs.append(cost)
    kept = lost = 0
    for seed, cost, answer in zip(seeds, costs, child(*files), strict=True):
        missing = {f"http://p.example.com/{i}" for i in range(12) if i not in cost} - set(answer["kept"])
        assert not missing, f"seed {seed}: {sorted(missing)} were not touched but not read; {answer['reasons']}"
        kept += len(answer["kept"])
        lost += int(str(answer["rejected"]))
    assert kept > 6 * len(seeds)
    assert lost > len(seeds) / 2


def test_mutants(tmp_path: Path) -> None:
    mutants(tmp_path, range(200))


@pytest.mark.slow
def test_2000_mutants(tmp_path: Path) -> None:
    mutants(tmp_path, range(1000, 3000))


@pytest.fixture(scope="module")
def exploded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """All bombs, each followed by a good record, read by one child: its peak is that of the worst."""
    folder = tmp_path_factory.mktemp("bombs")
    files = []
    for number, make in enumerate(BOMBS.values()):
        files.append(folder / f"{number}.warc.gz")
        with files[-1].open("wb") as out:
            for member in make():
                out.write(member)
            out.write(gzip.compress(GOOD))
    for number, made in enumerate(PLAIN_BOMBS.values()):
        files.append(folder / f"{number}.warc")
        files[-1].write_bytes(made() + b"\r\n\r\n" + GOOD)
    return dict(zip([*BOMBS, *PLAIN_BOMBS], child(*files), strict=True))


@pytest.mark.parametrize("name", [*BOMBS, *PLAIN_BOMBS])
def test_bomb_is_rejected_and_the_next_record_read(exploded: dict[str, Answer], name: str) -> None:
    kept, reasons = exploded[name]["kept"], exploded[name]["reasons"]
    assert reasons == REASONS[name]
    if name == "member maze":  # the good record lies inside the maze's last members, and patience has an end
        assert kept == []
    elif name == "chunked":  # bodies that are no bomb: 600,000 chunks of a byte, and one stored joined
        assert kept == ["http://a.example.com/", "http://a.example.com/", GOOD_URL]
    else:
        assert kept == [GOOD_URL]


def test_memory_is_flat_from_1_file_to_50(tmp_path: Path) -> None:
    data = b"".join(gzip.compress(r, 1) for r in pages(random.Random(7), 40))
    for i in range(50):
        (tmp_path / f"{i:02}.warc.gz").write_bytes(data)
    files = sorted(tmp_path.iterdir())
    grown = []
    for count in (1, 50):
        done = subprocess.run(
            [sys.executable, "-m", "tests.hostile.warc_child", *map(str, files[:count])],
            capture_output=True, text=True, timeout=400, cwd=ROOT, check=True,
        )  # fmt: skip
        grown.append(json.loads(done.stdout)["grown_mb"])
    assert grown[1] < grown[0] + 8
