"""OpenAI's protocol in front of any sampler, on the loopback interface: for tools that speak it, and for tests.

`python -m model.sample.serve FOLDER [--port 8000] [--max-rows 16]` serves an exported folder with its tokenizer.
One request runs at a time; its `n` samples run together. No key, no TLS: it listens on 127.0.0.1 alone.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
from pathlib import Path
from typing import Any, Literal, cast

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model.convert import load_folder
from model.sample.engine import LocalSampler
from model.sample.params import Completion, Sampler, SamplingParams
from model.sample.stop import bytes_of
from model.tokenizer import Message, Tokenizer

MAX_REQUEST_BYTES = 16 * 1024 * 1024


class _Request(BaseModel):
    """What both endpoints understand; fields of the protocol that change nothing here are ignored."""

    model_config = ConfigDict(extra="ignore")

    n: int = Field(1, ge=1, le=1024)
    max_tokens: int = Field(256, ge=0, le=10_000_000)
    max_completion_tokens: int | None = Field(None, ge=0, le=10_000_000)
    """What the protocol calls `max_tokens` by now; goes before it."""
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    stop: str | list[str] | None = None
    seed: int | None = None
    """None: another one each time, as the protocol has it; the same question asked again is another sample."""
    prompt: str | list[int] | None = None
    messages: list[dict[str, str]] | None = None
    stream: Literal[False] = False


def make_app(sampler: Sampler, tokenizer: Tokenizer, name: str) -> web.Application:
    """The endpoints /v1/models, /v1/completions and /v1/chat/completions."""
    turn = asyncio.Lock()

    async def complete(request: web.Request) -> web.Response:
        chat = request.path.endswith("chat/completions")
        try:
            asked = _Request.model_validate_json(await request.read())
            ids = _prompt(asked, tokenizer, chat)
            stop = (asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ())
            params = SamplingParams(
                temperature=asked.temperature,
                top_p=asked.top_p,
                top_k=asked.top_k,
                max_tokens=asked.max_tokens if asked.max_completion_tokens is None else asked.max_completion_tokens,
                stop=stop,
            )
            seed = secrets.randbits(63) if asked.seed is None else asked.seed
            async with turn:
                (samples,) = await asyncio.to_thread(sampler.generate, [ids], params, asked.n, [seed])
        except ValueError as error:  # pydantic's are too
            text = str(error.errors(include_url=False)) if isinstance(error, ValidationError) else str(error)
            return web.json_response({"error": {"message": text, "type": "invalid_request_error"}}, status=400)
        choices = [_choice(i, sample, chat, tokenizer) for i, sample in enumerate(samples)]
        used = sum(len(sample.tokens) for sample in samples)
        usage = {"prompt_tokens": len(ids), "completion_tokens": used, "total_tokens": len(ids) + used}
        kind = "chat.completion" if chat else "text_completion"
        return web.json_response({"object": kind, "model": name, "choices": choices, "usage": usage})

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"}]})

    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    app.router.add_post("/v1/completions", complete)
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/v1/models", models)
    return app


def _prompt(asked: _Request, tokenizer: Tokenizer, chat: bool) -> list[int]:
    if chat:
        if not asked.messages:
            raise ValueError("messages is missing or empty")
        if any({"role", "content"} != set(message) for message in asked.messages):
            raise ValueError("a message has exactly role and content")
        return tokenizer.chat(cast("list[Message]", asked.messages), add_generation_prompt=True)
    if asked.prompt is None:
        raise ValueError("prompt is missing")
    return [tokenizer.bos, *tokenizer.encode(asked.prompt)] if isinstance(asked.prompt, str) else asked.prompt


def _choice(index: int, sample: Completion, chat: bool, tokenizer: Tokenizer) -> dict[str, Any]:
    names = [bytes_of(tokenizer, token).decode(errors="replace") for token in sample.tokens]
    both = list(zip(names, sample.log_probs, strict=True))
    body: dict[str, Any] = {"index": index, "finish_reason": sample.finish, "token_ids": list(sample.tokens)}
    if chat:
        told = [{"token": token, "logprob": log_prob} for token, log_prob in both]
        return body | {"message": {"role": "assistant", "content": sample.text}, "logprobs": {"content": told}}
    return body | {"text": sample.text, "logprobs": {"tokens": names, "token_logprobs": list(sample.log_probs)}}


def main() -> None:
    """Serve a folder until interrupted."""
    parser = argparse.ArgumentParser(description="Serve an exported model on 127.0.0.1 in OpenAI's protocol.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--max-rows", type=int, default=16)
    arguments = parser.parse_args()
    config, state = load_folder(arguments.folder)
    tokenizer = Tokenizer.load(arguments.folder)
    sampler = LocalSampler(config, state, tokenizer, max_rows=arguments.max_rows)
    web.run_app(make_app(sampler, tokenizer, arguments.folder.name), host="127.0.0.1", port=arguments.port)


if __name__ == "__main__":
    main()
