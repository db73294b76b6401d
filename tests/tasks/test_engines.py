"""The same blocks on this machine, on a Ray cluster and under Slurm: the same rows, and a lost rank is noticed.

No Slurm runs here: `sbatch`, `srun` and `scontrol` are stand-ins; the first reads the generated script as Slurm would
and runs its array.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest

from flows.settings import Settings
from tasks.engine import LOCAL, Engine
from tasks.executors import EngineError, run_elsewhere, slurm_executor
from tasks.pipeline import ReadTable, run_blocks
from tests.tasks.curate.made import Notes
from tests.tasks.engine_made import Shout
from warehouse.columns import Column, TableSchema
from warehouse.tables import Tables, TableView

import pyarrow as pa  # isort: skip

ROOT = Path(__file__).resolve().parents[2]
TEXTS = TableSchema("texts", "texts of a test", ("text",), (Column("text", pa.string(), "a text"),))
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is an extra: pip install 'rigor[ray]'")
SBATCH = """#!{python}
import os, re, subprocess, sys
script = sys.argv[-1]
text = open(script).read()
options = dict(re.findall(r"^#SBATCH --([a-z-]+)=?(.*)$", text, re.M))
assert "wait" in options, "the stage goes on when the ranks are done"
first, last = re.match(r"(\\d+)-(\\d+)", options["array"]).groups()
for number in range(int(first), int(last) + 1):
    environment = {{**os.environ, "SLURM_ARRAY_TASK_ID": str(number), "SLURM_NODELIST": "here"}}
    done = subprocess.run(["bash", script], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.returncode)
print("Submitted batch job 4711")
"""
SRUN = """#!/bin/bash
while [[ $1 == -* ]]; do if [[ $1 == -n ]]; then shift; fi; shift; done
exec "$@"
"""


def texts(folder: Path, *more: str) -> TableView:
    """A table of 12 texts in two row groups, two of them to be rejected."""
    tables = Tables(str(folder / "warehouse"))
    words = [f"{'x' if n % 6 == 5 else 'w'}{n}" for n in range(12)] + list(more)
    for part, chosen in (("a", words[:6]), ("b", words[6:])):
        rows = [{"id": word, "parents": [], "partition": part, "text": word} for word in chosen]
        tables.commit(TEXTS, [pl.DataFrame(rows, schema=pl.Schema(TEXTS.arrow))], partitions=[part])
    return tables.view("texts")


def shouted(view: TableView, engine: Engine, scratch: Path) -> tuple[list[str], Notes]:
    """Texts in their order, and what was reported."""
    notes = Notes()
    batches = run_blocks([ReadTable(view), Shout()], schema=TEXTS.arrow, tasks=2, workers=2, scratch=scratch,
                         report=notes, engine=engine)  # fmt: skip
    return [text for batch in batches for text in batch.column("text").to_pylist()], notes


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The stand-ins on the path, before everything else."""
    tools = tmp_path / "bin"
    tools.mkdir()
    made = {"sbatch": SBATCH.format(python=sys.executable), "srun": SRUN, "scontrol": "#!/bin/bash\necho here\n"}
    for name, text in made.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return Engine(kind="slurm", partition="cpu", prepare="true")


def test_slurm_gives_the_rows_of_this_machine(tmp_path: Path, slurm: Engine) -> None:
    view = texts(tmp_path)
    here, elsewhere = shouted(view, LOCAL, tmp_path / "here"), shouted(view, slurm, tmp_path / "there")
    assert here[0] == [f"W{n}" for n in range(12) if n % 6 != 5]
    assert elsewhere[0] == here[0]
    assert (elsewhere[1].read, elsewhere[1].rejected) == (12, here[1].rejected)
    assert [row.row for row in here[1].rejected] == ["x5", "x11"]
    script = (tmp_path / "there" / "datatrove" / "launch_script.slurm").read_text().splitlines()
    logs = tmp_path / "there" / "datatrove"
    assert [line for line in script if line] == [
        "#!/bin/bash", "#SBATCH --cpus-per-task=1", "#SBATCH --mem-per-cpu=2.0G", "#SBATCH --nodes=1",
        "#SBATCH --partition=cpu", "#SBATCH --job-name=rigor", "#SBATCH --time=24:00:00",
        f"#SBATCH --output={logs}/slurm_logs/%A_%a.out", f"#SBATCH --error={logs}/slurm_logs/%A_%a.out",
        "#SBATCH --array=0-1%2", "#SBATCH --wait", "#SBATCH --requeue",
        'echo "Starting data processing job rigor"', "true", "set -xe", "export PYTHONUNBUFFERED=TRUE",
        f"srun  -l -n 1 launch_pickled_pipeline {logs}/executor.pik",
    ]  # fmt: skip
    assert subprocess.run(["bash", "-n"], input="\n".join(script), text=True, check=False).returncode == 0


def test_a_slurm_job_that_fails_is_an_error(tmp_path: Path, slurm: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="sbatch ended with code 7"):
        shouted(texts(tmp_path, "bomb"), slurm, tmp_path / "there")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EngineError, match="no sbatch on this machine"):
        run_elsewhere(slurm, [Shout()], tasks=1, workers=1, logs=tmp_path / "logs")


def test_a_job_activates_this_environment_by_itself(tmp_path: Path) -> None:
    executor = slurm_executor(Engine(kind="slurm", partition="p"), [Shout()], tasks=9, workers=4, logs=tmp_path)
    assert executor.env_command == f"source {sys.prefix}/bin/activate"
    assert executor.get_sbatch_args(9)["array"] == "0-8%4"


@needs_ray
def test_ray_gives_the_rows_of_this_machine_and_notices_a_lost_rank(tmp_path: Path) -> None:
    """In a process of its own: Ray's cluster ends with it."""
    program = (
        "import sys; from pathlib import Path; from tests.tasks.test_engines import *\n"
        "folder = Path(sys.argv[1]); ray = Engine(kind='ray', memory_gib=0.1)\n"
        "rows, notes = shouted(texts(folder), ray, folder / 'there')\n"
        "try: shouted(texts(folder / 'lost', 'bomb'), ray, folder / 'lost')\n"
        "except RuntimeError as error: print(json.dumps([rows, notes.read, len(notes.rejected), str(error)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, cwd=ROOT,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=500, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    rows, read, rejected, error = json.loads(done.stdout.strip().splitlines()[-1])
    assert rows == [f"W{n}" for n in range(12) if n % 6 != 5]
    assert (read, rejected) == (12, 2)
    assert "rank 1 of 2 ended without its counts" in error


def test_an_engine_is_named_or_described(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Engine.model_validate("ray") == Engine(kind="ray")
    monkeypatch.setenv("RIGOR_ENGINE", "ray")
    assert Settings().engine == Engine(kind="ray")
    monkeypatch.setenv("RIGOR_ENGINE", '{"kind": "slurm", "partition": "cpu"}')
    assert Settings().engine.partition == "cpu"
    with pytest.raises(ValueError, match="Input should be 'local', 'ray' or 'slurm'"):
        Engine.model_validate("spark")
