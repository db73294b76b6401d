"""The command line as its user meets it: clear lines for mistakes, a line that tells how far, Ctrl-C."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from flows import commands, diff_text
from flows.ask import Terminal
from flows.ask_steps import AnswerReader
from flows.catalogue import configured
from flows.config import ConfigError
from flows.errors import user_errors
from flows.run import start_server
from flows.settings import Settings
from tasks.mine.warc_open import open_stream
from tests.warehouse.test_tables import DEMO, frame
from warehouse.tables import Tables

ROOT = Path(__file__).resolve().parents[2]


def python(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a user would, outside of the tests' home."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RIGOR_", "PREFECT_", "MLFLOW_"))}
    return subprocess.run(
        [sys.executable, *command], env={**clean, **more}, cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_a_setting_that_does_not_fit_is_named_as_the_variable_it_is(tmp_path: Path) -> None:
    ended = python("-m", "flows.cli", "tables", RIGOR_HOME=str(tmp_path), RIGOR_WORKERS="many")
    assert (ended.returncode, ended.stderr) == (2, "")
    assert ended.stdout.startswith("error RIGOR_WORKERS: Input should be a valid integer")


def said_of(**settings: str) -> str:
    """What a command says of settings that do not fit; it ends with exit code 2 and without a traceback."""
    ended = python("-m", "flows.cli", "tables", **settings)
    assert (ended.returncode, ended.stderr) == (2, "")
    return ended.stdout


def test_a_home_that_is_a_file_and_a_layout_that_is_none_are_mistakes_in_words(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert said_of(RIGOR_HOME=str(file)) == f"error File exists: {file}\n"
    home = str(tmp_path / "home")
    assert said_of(RIGOR_HOME=home, RIGOR_LAYOUT="two").startswith("error RIGOR_LAYOUT: no JSON: ")
    assert said_of(RIGOR_HOME=home, RIGOR_LAYOUT='{"rank": 2}').startswith("error RIGOR_LAYOUT.rank")


def test_a_prefect_server_that_does_not_answer_is_told_before_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    with pytest.raises(ConnectionError, match=r"no Prefect server at http://127\.0\.0\.1:1/api"):
        start_server()


def test_a_crawl_on_a_host_that_is_not_public_is_a_mistake_in_words() -> None:
    terminal = io.StringIO()
    with pytest.raises(SystemExit) as ended, user_errors(Console(file=terminal)):
        open_stream("https://127.0.0.1/x.warc.gz")
    assert ended.value.code == 2
    assert terminal.getvalue().startswith("error https://127.0.0.1/x.warc.gz: refused to connect to 127.0.0.1")


@pytest.mark.parametrize("where", ["id > 3", "cast(s as int) > 3", "1", "nothing = 1", "no condition"])
def test_a_condition_that_does_not_hold_of_the_rows_is_a_mistake_in_words(home: Settings, where: str) -> None:
    Tables(home.warehouse_uri()).commit(DEMO, [frame("2026-01", 10, text="word")], partitions=["2026-01"])
    with pytest.raises(ValueError, match="--where"):
        commands.show_table("demo", 3, "", where)


def test_a_key_below_a_value_is_a_mistake_in_words() -> None:
    for change in ("suites.0=math500", "sample_answers.max_tokens.x=1"):
        given = ["suites=['held_out']", "sample_answers.max_tokens=5", change]
        with pytest.raises(ConfigError, match=r"evaluate\.[\w.]+ is a value and has no keys of its own"):
            configured("evaluate", "laptop", given, None)


def test_a_missing_file_is_told_without_numbers() -> None:
    terminal = io.StringIO()
    with pytest.raises(SystemExit), user_errors(Console(file=terminal)):
        commands.extract_page("nowhere.html", "", formulas_only=False)
    assert terminal.getvalue() == "error No such file or directory: nowhere.html\n"


def test_a_value_that_should_be_a_list_is_shown_as_one() -> None:
    with pytest.raises(ConfigError, match=re.escape("write it as a list: --set \"flows=['zero']\"")):
        configured("r1", "laptop", ["flows=zero"], None)


def test_a_diff_shows_whole_figures_before_those_of_parts(capsys: pytest.CaptureFixture[str]) -> None:
    parts = {f"pass_rate.level_{n}": [0.0, 1.0] for n in range(diff_text.METRICS_SHOWN)}
    diff_text._pairs("metrics", {**parts, "reward": [0.5, 0.75]})
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "  reward: 0.5 → 0.75"
    assert lines[-1] == "  and 1 more (`--format json` has them)"


def test_a_wrong_step_is_not_called_verified(capsys: pytest.CaptureFixture[str]) -> None:
    reader, terminal = AnswerReader("7 + 6 + 12 + 9"), Terminal()
    for event in reader.feed("<think>\nVerify: 34 - 9 - 12 - 1 = 7\nVerify: 34 - 9 - 12 - 6 = 7\n</think>"):
        terminal.take(event)
    marks = re.findall(r"[✓✗] .*", capsys.readouterr().out)
    assert marks == ["✗ wrong, should be 12", "✓ verified"]


def test_how_far_a_stage_is_stands_in_one_line_of_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal, drawn in ((True, "\x1b[2K  pretrain: 1 of 9 \r"), (False, "")):
        file = io.StringIO()
        monkeypatch.setattr(commands, "out", Console(file=file, force_terminal=terminal, width=20))
        commands._draw_over("pretrain: 1 of 9 steps")
        assert file.getvalue() == drawn


def test_the_embedded_server_lives_on_when_ctrl_c_reaches_all(tmp_path: Path) -> None:
    script = """
import signal, psutil
from flows.settings import Settings
Settings().apply()
from flows.run import start_server
start_server()
(server,) = psutil.Process().children()
server.send_signal(signal.SIGINT)  # as a terminal does to each process of the command
try:
    print("ended with", server.wait(3))
except psutil.TimeoutExpired:
    print("lives")
assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
"""
    ended = python("-c", script, RIGOR_HOME=str(tmp_path))
    assert ended.stdout == "lives\n", ended.stderr
