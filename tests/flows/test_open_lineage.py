"""OpenLineage events: one a call, its artifacts and inputs in it, to a file or a real server."""

from __future__ import annotations

import base64
import json
import logging
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from uuid import UUID

import pytest

from flows.open_lineage import emit
from tests.warehouse.lineage_kit import Kit

RUN = "0123456789abcdef0123456789abcdef"


def calls(folder: Path) -> Kit:
    kit = Kit(folder)
    above = kit.table("above", [[], []])
    facts = {"mlflow_run": RUN, "started": kit.calls[0]["started"]}
    kit.table("rollouts", [[], [], []], [above], "policy", **facts)
    kit.model("policy", [above], **facts)
    return kit


def test_an_event_holds_what_a_call_read_and_all_that_it_wrote(tmp_path: Path) -> None:
    kit = calls(tmp_path / "w")
    target = tmp_path / "events.jsonl"
    for _ in range(2):
        emit(str(target), kit.calls[1:], "s3://lake")
    told, again = (json.loads(line) for line in target.read_text().splitlines())
    assert told == again
    assert UUID(told["run"]["runId"]).hex == RUN
    assert told["eventTime"] == "2026-01-01T00:00:02+00:00", "the start and two seconds"
    assert told["job"]["name"] == "make_policy@1"
    assert [d["name"] for d in told["inputs"]] == ["above"]
    outputs = [(d["namespace"], d["name"], d["outputFacets"]["outputStatistics"]["rowCount"]) for d in told["outputs"]]
    assert outputs == [("s3://lake", "rollouts", 3), ("s3://lake", "policy", 0)]


def test_an_endpoint_gets_the_event_and_a_dead_one_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kit = calls(tmp_path / "w")
    got: list[dict[str, object]] = []
    logins: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            logins.append(self.headers["Authorization"])
            self.send_response(201)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    emit(f"http://me:a%20secret@127.0.0.1:{server.server_port}/api/v1/lineage", kit.calls[1:], "w")
    thread.join()
    server.server_close()
    assert [event["eventType"] for event in got] == ["COMPLETE"]
    assert logins == ["Basic " + base64.b64encode(b"me:a secret").decode()]
    with caplog.at_level(logging.WARNING):
        for place in ("127.0.0.1:x", "127.0.0.1:1/a b", f"127.0.0.1:{server.server_port}/"):
            emit(f"http://me:secret@{place}?key=secret", kit.calls[1:], "w")
    assert caplog.text.count("not delivered") == 3
    assert "ConnectionRefusedError" in caplog.text
    assert "secret" not in caplog.text
    emit("", kit.calls[1:], "w")


def test_an_endpoint_that_speaks_no_http_stops_nothing_and_its_key_is_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kit = calls(tmp_path / "w")
    with socket.create_server(("127.0.0.1", 0)) as server, caplog.at_level(logging.WARNING):

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 20)
                connection.sendall(b"220 a mail server\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        emit(f"http://127.0.0.1:{server.getsockname()[1]}/lineage?api_key=secret", kit.calls[1:], "w")
        thread.join()
    assert "/lineage: " in caplog.text
    assert "secret" not in caplog.text
