"""Peak memory of reading and extracting 1, 5, 20 and 50 crawl files: `python -m tests.bench.bench_memory [FIGURE.png]`.

Each count runs in a child of its own, on one worker (in the child's process, so that its peak is all there is), through
the stages read_warc and extract_text with their commits to Delta. Prints the child's VmHWM above a child that reads
nothing, in MB; with an argument also draws it.
"""

from __future__ import annotations

from tests.bench import bench_documents  # noqa: F401  # isort: skip  # first, for it pins the threads

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from matplotlib.figure import Figure

from tasks.mine import extract_text, read_warc
from tasks.sample_crawl import SampleCrawlConfig, generate
from tests.bench.bench_mine import source, stage
from warehouse.tables import Tables

COUNTS = (0, 1, 5, 20, 50)


def child(folder: Path) -> None:
    """Read and extract every file of `folder`; print this process's peak in kB."""
    with tempfile.TemporaryDirectory() as name:
        tables = Tables(f"{name}/warehouse")
        files = tuple(source(p) for p in sorted(folder.iterdir()))
        if files:
            records = stage(tables, Path(name), read_warc.STAGE, crawl=files)
            stage(tables, Path(name), extract_text.STAGE, crawl_records=records)
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(found[1] if found else "0")


def main() -> None:
    """Measure every count in turn."""
    peaks: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as name:
        crawl = generate(Path(name) / "sample", SampleCrawlConfig(months=("2026-01",)))
        first = min(crawl.files["2026-01"])
        for count in COUNTS:
            folder = Path(name) / f"{count}"
            folder.mkdir()
            for number in range(count):
                shutil.copy(first, folder / f"{number:03}-{first.name}")
            command = [sys.executable, "-m", "tests.bench.bench_memory", "--child", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            peaks[count] = int(done.stdout.split()[-1]) / 1000
            print(f"{count:3} files: {peaks[count]:7.0f} MB peak, {peaks[count] - peaks[0]:+.0f} MB", flush=True)
    if len(sys.argv) > 1:
        figure = Figure(figsize=(5, 3), layout="constrained")
        axes = figure.subplots()
        axes.plot(COUNTS[1:], [peaks[c] for c in COUNTS[1:]], "o-")
        axes.set(xlabel="crawl files (518 pages each)", ylabel="peak memory, MB", ylim=(0, None))
        axes.set_title("read_warc + extract_text, one worker")
        figure.savefig(sys.argv[1], dpi=110)


if __name__ == "__main__":
    child(Path(sys.argv[2])) if sys.argv[1:2] == ["--child"] else main()
