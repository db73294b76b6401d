"""The two things around Streamlit's server: files from memory are Streamlit's own, and the policy is on all answers."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from streamlit import file_util

from dashboards.server import POLICY, Fence, Memory


def test_files_come_from_memory_and_nothing_else_does() -> None:
    client = TestClient(Fence(Memory(PlainTextResponse("the app"))))
    folder = Path(file_util.get_static_dir())
    kinds = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".woff2": "font/woff2"}
    for end, kind in kinds.items():
        path = min(folder.glob(f"static/**/*{end}"))
        for _ in range(2):
            answer = client.get(f"/{path.relative_to(folder)}")
            assert (answer.content, answer.headers["content-type"]) == (path.read_bytes(), kind)
            assert answer.headers["cache-control"].startswith("public, immutable")
            assert answer.headers["content-security-policy"] == POLICY
    for path in ("/", "/static/no.js", "/static/../index.html", "/static/%2e%2e/index.html", "/static", "/index.html"):
        assert client.get(path).text == "the app"
        assert client.get(path).headers["content-security-policy"] == POLICY
    assert client.post("/static/js/no.js").text == "the app"
