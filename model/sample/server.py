"""Sampling from a server that speaks OpenAI's protocol: vLLM, SGLang, or our own `serve.py`."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp

from model.sample.params import Codec, Completion, OnToken, SamplingParams, check_request
from model.sample.pick import request_seed

Json = dict[str, Any]
Item = TypeVar("Item")
MAX_RESPONSE_BYTES = 256 * 1024 * 1024
RETRIED = {408, 409, 425, 429, 500, 502, 503, 504}
LONGEST_WAIT_SECONDS = 60.0


class ServerError(RuntimeError):
    """The server refused, failed for good, or gave an answer that cannot be used."""


class ServerSampler:
    """Completes prompts on a server.

    Log-probs are the server's. vLLM's default is the model's at temperature 1; start it with
    `--logprobs-mode processed_logprobs` (and sample without top-k and top-p) for those of the policy at a temperature.
    """

    def __init__(
        self,
        url: str,
        model: str,
        api_key_env: str | None = None,
        tokenizer: Codec | None = None,
        *,
        texts_only: bool = False,
        concurrency: int = 64,
        timeout_seconds: float = 600.0,
        retries: int = 5,
        backoff_seconds: float = 0.5,
    ) -> None:
        """Remember where the server is; nothing is sent yet.

        Args:
            url: Up to the version, as in `http://localhost:8000/v1`.
            model: The name that the server knows the model by.
            api_key_env: Name of the environment variable that holds the key; read at each call, shown nowhere.
            tokenizer: For servers that give no token ids: their texts are encoded again.
            texts_only: Ask for texts alone, as any server can give them: completions have neither tokens nor log-probs.
            concurrency: Requests in flight at once.
            timeout_seconds: For one answer.
            retries: Further attempts after a busy or failing server (429, 5xx), a lost connection or a timeout.
            backoff_seconds: Before the first of these; doubled each time. A server's Retry-After goes first.

        Raises:
            ValueError: the URL is no http(s) URL, holds a password, or a key would go unencrypted to another machine.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the server's URL must begin with http:// or https:// and name a host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("the server's URL must hold no user, password, query or fragment: keys go in api_key_env")
        if api_key_env and parts.scheme == "http" and not _local(parts.hostname):
            raise ValueError(f"a key for {parts.hostname} would travel unencrypted: use https")
        if concurrency < 1 or retries < 0 or timeout_seconds <= 0 or backoff_seconds < 0:
            raise ValueError("concurrency must be at least 1, the timeout above 0, retries and backoff at least 0")
        self.url, self.model, self.tokenizer, self.texts_only = url.rstrip("/"), model, tokenizer, texts_only
        self._key_env, self._concurrency, self._timeout = api_key_env, concurrency, timeout_seconds
        self._retries, self._backoff = retries, backoff_seconds

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams,
        n: int = 1,
        seeds: Sequence[int] | None = None,
        on_token: OnToken | None = None,
    ) -> list[list[Completion]]:
        """See `Sampler`; `on_token` is called for all of a prompt's tokens when its answer is there.

        Raises:
            ValueError: what no sampler can answer, or the key's environment variable is empty.
            ServerError: the server's answer, after all attempts.
        """
        check_request(prompts, n, seeds)
        items = [{"prompt": list(prompt)} for prompt in prompts]
        return self._run("completions", items, params, n, seeds, on_token)

    def generate_texts(
        self, texts: Sequence[str], params: SamplingParams, n: int = 1, seeds: Sequence[int] | None = None
    ) -> list[list[Completion]]:
        """`generate` from texts, which the server's tokenizer encodes."""
        check_request([[0] if text else [] for text in texts], n, seeds)
        return self._run("completions", [{"prompt": text} for text in texts], params, n, seeds, None)

    def chat(
        self,
        conversations: Sequence[Sequence[dict[str, str]]],
        params: SamplingParams,
        n: int = 1,
        seeds: Sequence[int] | None = None,
    ) -> list[list[Completion]]:
        """The assistant's next turn in each conversation: messages with `role` and `content`, the server's template."""
        check_request([[0] if messages else [] for messages in conversations], n, seeds)
        items = [{"messages": [dict(message) for message in messages]} for messages in conversations]
        return self._run("chat/completions", items, params, n, seeds, None)

    def _run(
        self,
        path: str,
        items: list[Json],
        params: SamplingParams,
        n: int,
        seeds: Sequence[int] | None,
        on_token: OnToken | None,
    ) -> list[list[Completion]]:
        headers = {}
        if self._key_env:
            key = os.environ.get(self._key_env, "")
            if not key:
                raise ValueError(f"the environment variable {self._key_env} holds no key")
            headers["Authorization"] = f"Bearer {key}"
        settings = self._settings(path, params, n)
        for index, item in enumerate(items):
            item |= settings
            item["seed"] = seeds[index] if seeds is not None else request_seed(params.seed, index)

        async def work() -> list[list[Completion]]:
            gate = asyncio.Semaphore(self._concurrency)
            timeout = aiohttp.ClientTimeout(total=self._timeout)
            # aiohttp's own pool has 100 connections: more requests would wait in it, and their time would run.
            pool = aiohttp.TCPConnector(limit=self._concurrency)
            async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=pool) as session:

                async def one(index: int, item: Json) -> list[Completion]:
                    async with gate:
                        answer = await self._ask(session, path, item)
                    done = self._completions(answer, n, params)
                    if on_token is not None:
                        for j, completion in enumerate(done):
                            for token in completion.tokens:
                                on_token(index, j, token)
                    return done

                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(one(i, item)) for i, item in enumerate(items)]
            return [task.result() for task in tasks]

        return _wait_for(work)

    def _settings(self, path: str, params: SamplingParams, n: int) -> Json:
        settings: Json = {
            "model": self.model,
            "n": n,
            "max_tokens": params.max_tokens,
            "temperature": params.temperature,
            "top_p": params.top_p,
        }
        if params.stop or not self.texts_only:
            settings["stop"] = list(params.stop)
        if not self.texts_only:
            settings |= {"return_token_ids": True, "logprobs": True if path.startswith("chat") else 0}
        return settings | ({"top_k": params.top_k} if params.top_k else {})

    async def _ask(self, session: aiohttp.ClientSession, path: str, body: Json) -> Json:
        """Post until there is an answer."""
        for attempt in range(self._retries + 1):
            wait = min(self._backoff * 2**attempt, LONGEST_WAIT_SECONDS)
            try:
                async with session.post(f"{self.url}/{path}", json=body, allow_redirects=False) as response:
                    if response.status == 200:
                        return await _json(response)
                    failure = f"status {response.status}: {(await response.content.read(500)).decode(errors='replace')}"
                    if response.status not in RETRIED:
                        raise ServerError(f"{self.url}/{path}: {failure}")
                    asked = response.headers.get("Retry-After", "")
                    wait = min(float(asked), LONGEST_WAIT_SECONDS) if asked.isdigit() else wait
            except (aiohttp.ClientError, TimeoutError) as error:
                failure = f"{type(error).__name__}: {error}"
            if attempt < self._retries:
                await asyncio.sleep(wait)
        raise ServerError(f"{self.url}/{path}: {failure} (after {self._retries + 1} attempts)")

    def _completions(self, answer: Json, n: int, params: SamplingParams) -> list[Completion]:
        choices = answer.get("choices")
        if not isinstance(choices, list) or len(choices) != n:
            raise ServerError(f"{self.url}: {n} choices were asked for, the answer has {choices!r:.200}")
        try:
            return [self._completion(c, params) for c in sorted(choices, key=lambda c: int(c["index"]))]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ServerError(f"{self.url}: a choice is malformed: {type(error).__name__} {error}") from error

    def _completion(self, choice: Json, params: SamplingParams) -> Completion:
        told = choice.get("logprobs") or {}
        if "message" in choice:
            text = choice["message"]["content"] or ""
            log_probs = [float(entry["logprob"]) for entry in told.get("content") or ()]
        else:
            text = choice["text"]
            log_probs = [float(x) for x in told.get("token_logprobs") or ()]
        tokens = choice.get("token_ids")
        if self.texts_only:
            tokens, log_probs = [], []
        elif tokens is None:
            if self.tokenizer is None:
                raise ServerError(
                    f"{self.url} gives no token ids (vLLM does): give ServerSampler the model's tokenizer"
                )
            tokens = self.tokenizer.encode(text)
        if choice["finish_reason"] not in ("stop", "length"):
            raise ServerError(f"{self.url}: a completion ended with {choice['finish_reason']!r}")
        if len(log_probs) != len(tokens):
            raise ServerError(f"{self.url}: {len(log_probs)} log-probs for {len(tokens)} tokens")
        return Completion(tuple(map(int, tokens)), str(text), tuple(log_probs), choice["finish_reason"])


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _json(response: aiohttp.ClientResponse) -> Json:
    body = bytearray()
    async for piece in response.content.iter_chunked(1 << 16):
        body += piece
        if len(body) > MAX_RESPONSE_BYTES:
            raise ServerError(f"{response.url}: an answer of more than {MAX_RESPONSE_BYTES:,} bytes")
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise ServerError(f"{response.url}: the answer is no JSON: {bytes(body[:200])!r}") from error
    if not isinstance(answer, dict):
        raise ServerError(f"{response.url}: the answer is no JSON object")
    return answer


def _wait_for(work: Callable[[], Awaitable[Item]]) -> Item:
    """Run to the end, from inside a running event loop too; of several errors at once the first is raised."""

    async def whole() -> Item:
        try:
            return await work()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(whole())
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(whole())).result()
