"""Asking: lines of thought with their role and check, over HTTP as they come, in the terminal, and on the page."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import threading
from pathlib import Path
from typing import Any

import mlflow
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer
from streamlit.testing.v1 import AppTest

from flows import models
from flows.ask import Answerers, Question, Terminal
from flows.ask_server import make_app
from flows.ask_steps import AnswerReader, judge_answer
from flows.commands import out
from flows.run import open_mlflow
from flows.settings import Settings
from tests.dashboards.browser import serving
from tests.tasks.evaluate.made import tiny_model
from warehouse.lineage import Lineage
from warehouse.tables import Tables

REPAIR = (
    "<think>\nUnderstand: add 4 numbers.\nBreak down: add from left to right.\n8 + 3 = 11\n11 + 5 = 17\n"
    "Wait, that is wrong.\n11 + 5 = 16\n16 + 8 = 24\nVerify: 24 - 8 - 5 - 3 = 8\n</think>\n<answer>24</answer>"
)
READ = [
    ("understood", "ok"), ("broken down", "not_checkable"), ("computed", "ok"), ("computed", "wrong"),
    ("reconsidered", "not_checkable"), ("computed", "ok"), ("computed", "ok"), ("verified", "ok"),
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_response_in_pieces_reads_as_whole(size: int) -> None:
    reader = AnswerReader("What is 8 + 3 + 5 + 8?")
    events = [e for i in range(0, len(REPAIR), size) for e in reader.feed(REPAIR[i : i + size])]
    events += reader.end()
    steps = [e for e in events if e["kind"] == "step"]
    assert [(s["role"], s["verdict"]) for s in steps] == READ
    assert steps[3]["expected"] == "16"
    assert events[-1] == {"kind": "answer", "text": "24", "verdict": "ok", "expected": ""}
    assert not any("<" in e["text"] for e in events if e["kind"] == "partial"), "no tag, nor half of one, is shown"


@pytest.mark.parametrize(
    ("text", "steps", "answer"),
    [("<answer>2</answer>", 0, "2"), ("<think>\n1 + 1 =", 1, ""), ("1 + 1 = 2\n<answer>2</answer>", 1, "2"),
     ("", 0, ""), ("<think>\n</think>\n<answer>\nA\nB\n</answer>", 0, "A\nB")],
)  # fmt: skip
def test_odd_responses(text: str, steps: int, answer: str) -> None:
    reader = AnswerReader("1 + 1")
    events = [*reader.feed(text), *reader.end()]
    assert sum(e["kind"] == "step" for e in events) == steps
    assert events[-1]["text"] == answer


@pytest.mark.parametrize(
    ("problem", "right", "wrong"),
    [("2x + 5 = 15", "5", "6"), ("2x + 5 = 15", "x = 5", "x = 6"), ("7 + 6 + 1 + 2 = ?", "16", "17"),
     ("Compute 12 - 4 - 5.", "3", "4"), ("9 + 12 + 5 + 19 等于多少？", "45", "46"), ("解方程 3x = 12", "4", "5"),
     ("Find x so that 5x - 7 = 28.", "7", "8"), ("What is 3 * (4 + 5)?", "27", "17")],
)  # fmt: skip
def test_answers_put_back(problem: str, right: str, wrong: str) -> None:
    assert judge_answer(problem, right)[0] == "ok"
    assert judge_answer(problem, wrong)[0] == "wrong"


@pytest.mark.parametrize(
    "problem",
    ["Anna was born on 2001-05-03. How old is she?", "Reverse abc", "x = y + 1", "(" * 4000, "1+" * 2000,
     "Pages 10-12 have 3 + 4 pictures and 7 more"],
)  # fmt: skip
def test_what_cannot_be_decided_is_never_wrong(problem: str) -> None:
    assert judge_answer(problem, "5") == ("not_checkable", "")


@pytest.fixture
def registered(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A tiny real model, registered twice as the runner does it; and one that does not answer."""
    open_mlflow(home, "ask")
    folder, lineage = tiny_model(tmp_path), Lineage(Tables(home.warehouse_uri()))
    for number, name in enumerate(("rigor-base", "rigor-zero", "rigor-reward-helpful")):
        with mlflow.start_run() as run:
            print_ = f"{number:032x}"
            version = models.register(folder, name, run.info.run_id, {})
        lineage.record({
            "fingerprint": print_, "stage": "s", "stage_version": "1", "name": name, "kind": "model",
            "version": version, "partitions": ["all"], "digest": models.folder_digest(folder), "rows": 0, "rows_in": 0,
            "rejected": 0, "config": "{}", "inputs": [], "mlflow_run": run.info.run_id, "prefect_run": "",
            "git_sha": "", "started": _moment(number), "seconds": 0.0, "cpu_seconds": 0.0,
        })  # fmt: skip
    return home


def _moment(number: int) -> dt.datetime:
    return dt.datetime(2026, 1, 1, number, tzinfo=dt.UTC)


def test_models_best_first_and_two_beside_each_other(registered: Settings) -> None:
    answerers = Answerers()
    names = answerers.names()
    assert [n.partition("@")[0] for n in names] == ["rigor-zero", "rigor-base"]
    question = Question(problem="What is 1 + 2?", models=tuple(names), max_tokens=24, seed=3)
    events = list(answerers.ask(question))
    for place in (0, 1):
        own = [e for e in events if e["model"] == place]
        assert [e["kind"] for e in own][-2:] == ["answer", "done"]
        assert own[-1]["tokens"] <= 24
    one, two = ([e | {"model": 0, "seconds": 0} for e in events if e["model"] == place] for place in (0, 1))
    assert one == two, "the same weights, the same seed"
    (failed,) = answerers.ask(Question(problem="1", models=("rigor-reward-helpful",)))
    assert failed["kind"] == "error"
    assert "no language model rigor-reward-helpful" in failed["message"]


def test_nobody_listens_any_more(registered: Settings) -> None:
    events = Answerers().ask(Question(problem="1 + 1", models=("rigor-base",), max_tokens=120))
    next(events)
    asked = [thread for thread in threading.enumerate() if thread.name == "asked"]
    events.close()
    for thread in asked:
        thread.join(60)
    assert not any(thread.is_alive() for thread in asked)


async def _talk(home: Settings) -> list[tuple[int, Any]]:
    client = TestClient(TestServer(make_app(Answerers())))
    async with client:
        told = []
        body = {"problem": "1 + 2", "models": ["rigor-base"], "max_tokens": 8}
        for headers, content in (
            ({"Content-Type": "application/json"}, json.dumps(body)),
            ({"Content-Type": "application/json"}, json.dumps({**body, "models": ["a", "b", "c"]})),
            ({"Content-Type": "text/plain"}, json.dumps(body)),
            ({"Content-Type": "application/json", "Origin": "http://evil.example"}, json.dumps(body)),
            ({"Content-Type": "application/json", "Host": "evil.example:80"}, json.dumps(body)),
        ):
            answer = await client.post("/ask", data=content, headers=headers)
            told.append((answer.status, (await answer.text()).splitlines()))
        assert isinstance(client.session, ClientSession)
        return told


def test_over_http(registered: Settings) -> None:
    good, *bad = asyncio.run(_talk(registered))
    assert good[0] == 200
    assert json.loads(good[1][-1])["kind"] == "done"
    assert [status for status, _ in bad] == [400, 415, 403, 403]


def test_terminal_marks_each_line_and_obeys_no_model() -> None:
    reader, terminal = AnswerReader("What is 8 + 3 + 5 + 8?"), Terminal()
    with out.capture() as shown:
        for i in range(0, len(REPAIR), 5):
            for event in reader.feed(REPAIR[i : i + 5]):
                terminal.take(event)
        for event in reader.end():
            terminal.take(event)
        terminal.take({"kind": "step", "text": "\x1b[2J[red]x", "role": "noted", "verdict": "ok", "expected": ""})
    lines = [line.split() for line in shown.get().splitlines()]
    assert ["11", "+", "5", "=", "17", "✗", "wrong,", "should", "be", "16"] in lines
    assert ["Answer:", "24", "✓", "checked"] in lines
    assert "\x1b[2J" not in shown.get()
    assert "�[2J[red]x" in shown.get()


def test_the_page_asks_and_shows(registered: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"RIGOR_WAREHOUSE": registered.warehouse_uri()}
    with serving("flows.ask_server", environment, "/models") as url:
        monkeypatch.setenv("DASHBOARDS_ASK", url)
        app = AppTest.from_string("from dashboards.views import ask\nask.page()", default_timeout=240).run()
        assert app.selectbox(key="ask-first").value.startswith("rigor-zero@")
        app.text_area(key="ask-problem").set_value("What is 1 + 2?")
        app.number_input(key="ask-tokens").set_value(16)
        app.button[0].click().run()
        assert not app.exception
        told = " ".join(str(e.value) for e in app.markdown)
        assert "rigor\\-zero@" in told
        assert "rigor\\-base@" in told
        assert sum("tokens in" in str(c.value) for c in app.caption) == 2
