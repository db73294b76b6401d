"""`python -m flows.ask_server [--port 8502]`: the asking over HTTP on loopback, for the dashboards' page Ask.

    GET  /models  {"models": ["rigor-r1@1", …]}, the best first
    POST /ask     a `Question` as JSON; answers with events, one JSON object a line, as they come

Only JSON from this machine is taken: a web page of another origin can neither send it (it would need a preflight, which
is not answered) nor reach the server under a name of its own (the Host header is checked).
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable

from aiohttp import web
from pydantic import ValidationError

from flows.ask import Answerers, Question
from flows.settings import Settings

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
MAX_REQUEST_BYTES = 64 * 1024
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(answerers: Answerers) -> web.Application:
    """The endpoints; questions are answered one after the other."""
    turn = asyncio.Lock()

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"models": await asyncio.to_thread(answerers.names)})

    async def ask(request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/json":
            return web.json_response({"error": "send JSON"}, status=415)
        try:
            question = Question.model_validate_json(await request.read())
        except ValidationError as error:
            return web.json_response({"error": error.errors(include_url=False, include_input=False)}, status=400)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
        await response.prepare(request)
        async with turn:
            events = answerers.ask(question)
            try:
                while (event := await asyncio.to_thread(next, events, None)) is not None:
                    await response.write(json.dumps(event).encode() + b"\n")
            except ConnectionResetError:
                pass  # the reader has gone; closing the events ends the sampling
            finally:
                await asyncio.to_thread(events.close)
        return response

    @web.middleware
    async def from_here(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.host.rpartition(":")[0] not in NAMES or "Origin" in request.headers:
            return web.json_response({"error": "this server answers programs on its own machine"}, status=403)
        return await handler(request)

    app = web.Application(client_max_size=MAX_REQUEST_BYTES, middlewares=[from_here])
    app.router.add_get("/models", models)
    app.router.add_post("/ask", ask)
    return app


def main() -> None:
    """Serve until interrupted."""
    Settings().apply()
    parser = argparse.ArgumentParser(description="Rigor's models on 127.0.0.1, for the page Ask.")
    parser.add_argument("--port", type=int, default=8502)
    web.run_app(make_app(Answerers()), host=HOST, port=parser.parse_args().port, print=None)


if __name__ == "__main__":
    main()
