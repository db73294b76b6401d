"""A judge behind plain OpenAI's protocol on the loopback, whose verdicts a test can work out by hand."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tasks.evaluate.sample_answers import Server

Says = Callable[[str, str, float], str]
"""What the judge says of the answers A and B at a temperature."""
_SHOWN = re.compile(r"<A>\n(.*)\n</A>\n<B>\n(.*)\n</B>", re.DOTALL)


@contextmanager
def judge(says: Says, failures: int = 0) -> Iterator[tuple[Server, list[tuple[str, str, float]]]]:
    """The server, and what it was asked; it is busy for the first `failures` requests."""
    asked: list[tuple[str, str, float]] = []
    busy = iter(range(failures))

    class Judging(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if next(busy, None) is not None:
                self.send_response(503)
                self.send_header("Retry-After", "0")
                self.end_headers()
                return
            assert body.keys() == {"model", "messages", "n", "max_tokens", "temperature", "top_p", "seed"}
            found = _SHOWN.search(body["messages"][0]["content"])
            assert found is not None
            asked.append((found[1], found[2], body["temperature"]))
            choice = {"index": 0, "message": {"content": says(*asked[-1])}, "finish_reason": "stop"}
            sent = json.dumps({"choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Judging)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Server(url=f"http://127.0.0.1:{server.server_port}/v1", model="judge-v3"), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def by_worth(a: str, b: str, _: float) -> str:
    """Whichever answer names the larger number is better; by more than 5, much better. Thinks first."""
    one, other = (int(re.findall(r"\d+", text)[-1]) for text in (a, b))
    sign = "=" if one == other else ">" if one > other else "<"
    strong = abs(one - other) > 5
    verdict = "A=B" if sign == "=" else ("A>" if sign == ">" else "B>") + (">" if strong else "")
    verdict += "" if sign == "=" else "B" if sign == ">" else "A"
    return f"<think>At first [[B>>A]]?</think> My verdict is [[{verdict}]]."
