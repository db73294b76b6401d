"""The client against real servers on the loopback: our own before a LocalSampler, and one that misbehaves."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from model.sample import LocalSampler, SamplingParams, ServerError, ServerSampler
from model.sample.serve import make_app
from model.tokenizer import Tokenizer
from tests.model.sample_kit import random_state
from tests.model.shapes import DEEPSEEK, shape

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PROMPTS = [[0, 5, 6], [0, 70, 71, 72], [0]]


class Running:
    """An aiohttp application served from a thread."""

    def __init__(self, make: Callable[[], web.Application]) -> None:
        self._make, self._ready, self.port = make, threading.Event(), 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(30)

    async def _serve(self) -> None:
        self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
        runner = web.AppRunner(self._make())
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    def stop(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["one and one make two"] * 3, 280)


@pytest.fixture(scope="module")
def local(tokenizer: Tokenizer) -> LocalSampler:
    config = shape(**DEEPSEEK["4 groups"], vocab_size=tokenizer.vocab_size)
    return LocalSampler(config, random_state(config, std=0.03), tokenizer, max_rows=8)


@pytest.fixture(scope="module")
def url(local: LocalSampler, tokenizer: Tokenizer) -> Iterator[str]:
    server = Running(lambda: make_app(local, tokenizer, "tiny"))
    yield f"http://127.0.0.1:{server.port}/v1"
    server.stop()


@pytest.mark.parametrize(
    "choice", [{}, {"temperature": 0.0}, {"temperature": 0.7, "top_k": 20, "top_p": 0.9, "stop": ("a", "1")}]
)
def test_a_served_sampler_gives_what_it_gives_at_home(local: LocalSampler, url: str, choice: dict[str, Any]) -> None:
    params = SamplingParams(max_tokens=30, seed=5, **choice)
    seen: list[tuple[int, int, int]] = []
    client = ServerSampler(url, "tiny")
    got = client.generate(PROMPTS, params, n=3, on_token=lambda *place: seen.append(place))
    assert got == local.generate(PROMPTS, params, n=3)
    assert client.generate(PROMPTS, params, 2, [7, 8, 9]) == local.generate(PROMPTS, params, 2, [7, 8, 9])
    for i, completions in enumerate(got):
        for j, completion in enumerate(completions):
            assert tuple(t for a, b, t in seen if (a, b) == (i, j)) == completion.tokens


def test_texts_and_chats(local: LocalSampler, url: str, tokenizer: Tokenizer) -> None:
    client, params = ServerSampler(url, "tiny"), SamplingParams(max_tokens=12)
    ids = [[tokenizer.bos, *tokenizer.encode("one and")]]
    assert client.generate_texts(["one and"], params, seeds=[4]) == local.generate(ids, params, seeds=[4])
    turns = [{"role": "user", "content": "one <think>"}]
    ids = [tokenizer.chat(turns, add_generation_prompt=True)]  # type: ignore[arg-type]
    assert client.chat([turns], params, 2, seeds=[4]) == local.generate(ids, params, 2, seeds=[4])


def test_what_the_protocol_means_by_no_seed_and_by_its_newer_name_for_the_length(url: str) -> None:
    async def posted(**more: Any) -> list[int]:
        asked = {"messages": [{"role": "user", "content": "one"}], **more}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/chat/completions", json=asked) as response,
        ):
            assert response.status == 200, await response.text()
            tokens: list[int] = (await response.json())["choices"][0]["token_ids"]
            return tokens

    def ask(**more: Any) -> tuple[int, ...]:
        return tuple(asyncio.run(posted(**more)))

    assert len({ask(max_tokens=12) for _ in range(4)}) > 1, "asked again, it answers again"
    assert len({ask(max_tokens=12, seed=None) for _ in range(4)}) > 1
    assert len({ask(max_tokens=12, seed=0) for _ in range(4)}) == 1
    assert ask(max_completion_tokens=3, seed=4) == ask(max_tokens=12, seed=4)[:3]


def test_a_call_from_inside_an_event_loop_works(local: LocalSampler, url: str) -> None:
    async def inside() -> Any:
        return ServerSampler(url, "tiny").generate(PROMPTS, SamplingParams(max_tokens=3))

    assert asyncio.run(inside()) == local.generate(PROMPTS, SamplingParams(max_tokens=3))


def test_the_servers_refusals_reach_the_caller(url: str) -> None:
    client = ServerSampler(url, "tiny")
    with pytest.raises(ServerError, match=r"status 400.*outside the vocabulary"):
        client.generate([[100_000]], SamplingParams())
    with pytest.raises(ServerError, match=r"status 400.*unknown role"):
        client.chat([[{"role": "wizard", "content": "x"}]], SamplingParams())
    with pytest.raises(ValueError, match="prompt 0 is empty"):
        client.generate([[]], SamplingParams())


def answer(tokens: list[int] | None = None, **more: Any) -> dict[str, Any]:
    """A well-formed answer."""
    choice: dict[str, Any] = {
        "index": 0,
        "text": "ab",
        "finish_reason": "length",
        "logprobs": {"token_logprobs": [-1.0, -2.0]},
    }
    if tokens:
        choice["token_ids"] = tokens
    return {"choices": [choice | more]}


@pytest.fixture
def scripted() -> Iterator[tuple[str, list[Handler], list[tuple[str | None, dict[str, Any]]]]]:
    """A server that answers from a list of handlers, the last one for good, and keeps what it was sent."""
    handlers: list[Handler] = []
    asked: list[tuple[str | None, dict[str, Any]]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append((request.headers.get("Authorization"), json.loads(await request.read() or b"{}")))
        return await (handlers.pop(0) if len(handlers) > 1 else handlers[0])(request)

    def make() -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        return app

    server = Running(make)
    yield f"http://127.0.0.1:{server.port}/v1", handlers, asked
    server.stop()


def gives(status: int, body: Any, **headers: str) -> Handler:
    """A handler."""

    async def handle(_: web.Request) -> web.StreamResponse:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return handle


async def hangs(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(5)
    return web.Response()


Scripted = tuple[str, list[Handler], list[tuple[str | None, dict[str, Any]]]]


def test_so_many_requests_are_in_flight_as_was_said_and_none_waits_on_its_own_time(scripted: Scripted) -> None:
    url, handlers, _ = scripted
    now = most = 0

    async def slow(_: web.Request) -> web.StreamResponse:
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        await asyncio.sleep(1)
        now -= 1
        return web.json_response(answer([4, 5]))

    handlers.append(slow)
    for concurrency in (5, 120):
        now = most = 0
        client = ServerSampler(url, "m", concurrency=concurrency)
        assert len(client.generate([[1]] * (concurrency + 2), SamplingParams(max_tokens=2))) == concurrency + 2
        assert most == concurrency


def test_a_busy_server_is_asked_again(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    url, handlers, asked = scripted
    monkeypatch.setenv("SOME_KEY", "sesame")
    handlers += [gives(429, "later", Retry_After="0"), gives(503, "down"), hangs, gives(200, answer([4, 5]))]
    client = ServerSampler(url, "m", "SOME_KEY", timeout_seconds=0.5, backoff_seconds=0.01)
    params = SamplingParams(temperature=0.5, top_k=3, top_p=0.9, max_tokens=2, stop=("x",))
    completion = client.generate([[1, 2]], params, seeds=[11])[0][0]
    assert completion.tokens == (4, 5)
    assert completion.log_probs == (-1.0, -2.0)
    assert [key for key, _ in asked] == ["Bearer sesame"] * 4
    sent = asked[0][1]
    assert all(body == sent for _, body in asked)
    expected = {"model": "m", "prompt": [1, 2], "n": 1, "max_tokens": 2, "temperature": 0.5, "top_p": 0.9, "top_k": 3}
    assert sent == expected | {"stop": ["x"], "seed": 11, "logprobs": 0, "return_token_ids": True}


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (gives(500, "broken"), r"status 500: broken \(after 3 attempts\)"),
        (gives(401, "who are you"), "status 401: who are you"),
        (gives(307, "", Location="http://127.0.0.1:1/"), "status 307"),
        (gives(200, "<html>"), "no JSON"),
        (gives(200, [1]), "no JSON object"),
        (gives(200, {"choices": []}), "1 choices were asked for"),
        (gives(200, {"choices": [{}]}), "malformed: KeyError"),
        (gives(200, answer([1])), "2 log-probs for 1 tokens"),
        (gives(200, answer([1, 2], finish_reason="content_filter")), "content_filter"),
        (gives(200, answer()), "gives no token ids"),
        (hangs, "TimeoutError"),
    ],
)
def test_what_cannot_be_used_is_an_error(
    scripted: Scripted, handler: Handler, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, handlers, asked = scripted
    monkeypatch.setenv("SOME_KEY", "sesame")
    handlers.append(handler)
    client = ServerSampler(url, "m", "SOME_KEY", retries=2, timeout_seconds=0.3, backoff_seconds=0.01)
    with pytest.raises(ServerError, match=message) as caught:
        client.generate([[1]], SamplingParams(max_tokens=2))
    assert "sesame" not in str(caught.value) + repr(vars(client))
    assert len(asked) == (3 if "after" in str(caught.value) else 1)


def test_a_server_without_ids_needs_a_tokenizer(scripted: Scripted, tokenizer: Tokenizer) -> None:
    url, handlers, _ = scripted
    handlers.append(gives(200, answer()))
    completion = ServerSampler(url, "m", tokenizer=tokenizer).generate([[1]], SamplingParams())[0][0]
    assert list(completion.tokens) == tokenizer.encode("ab")


def test_texts_alone_can_be_asked_of_any_server(scripted: Scripted) -> None:
    url, handlers, asked = scripted
    handlers.append(gives(200, answer()))
    (completion,) = ServerSampler(url, "m", texts_only=True).generate([[1]], SamplingParams(max_tokens=2))[0]
    assert (completion.tokens, completion.text, completion.log_probs) == ((), "ab", ())
    assert not {"return_token_ids", "logprobs", "stop", "top_k"} & asked[0][1].keys()


def test_only_safe_addresses_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_KEY", raising=False)
    for url, message in (
        ("file:///etc/passwd", "must begin with http"),
        ("ftp://host/v1", "must begin with http"),
        ("http:///v1", "name a host"),
        ("http://user:word@host/v1", "no user, password"),
        ("http://host/v1?key=1", "no user, password, query"),
    ):
        with pytest.raises(ValueError, match=message):
            ServerSampler(url, "m")
    with pytest.raises(ValueError, match="unencrypted"):
        ServerSampler("http://example.com/v1", "m", "NO_KEY")
    for url in ("https://example.com/v1", "http://127.0.0.1:1/v1", "http://localhost:1/v1"):
        with pytest.raises(ValueError, match="NO_KEY holds no key"):
            ServerSampler(url, "m", "NO_KEY").generate([[1]], SamplingParams())
