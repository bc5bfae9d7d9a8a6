"""A model on a local port: OpenAI chat completions, streamed or whole, with tools, usage and a count of dropped calls.

What it answers is a function of the request. By default the last message decides:

    "call NAME {json}"   a call of that tool
    "hang ..."           three words, and then nothing until the caller goes away
    after a tool result  "NAME said RESULT"
    anything else        "You said ANYTHING"
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Body", "ModelAnswer", "ModelServer", "model_server"]

Body = Mapping[str, Any]


@dataclass(frozen=True)
class ModelAnswer:
    """What the model says: words, calls of tools, and whether it ever comes to an end."""

    text: str = ""
    calls: Sequence[tuple[str, Mapping[str, Any]]] = ()
    ends: bool = True


def by_last_message(body: Body) -> ModelAnswer:
    last = body["messages"][-1]
    text = _text_of(last["content"])
    if last["role"] == "tool":
        return ModelAnswer(f"The tool said {text}")
    if call := re.fullmatch(r"call (\w+) (\{.*\})", text):
        return ModelAnswer(calls=[(call[1], json.loads(call[2]))])
    if text.startswith("hang"):
        return ModelAnswer("Let me think", ends=False)
    return ModelAnswer(f"You said {text}")


@dataclass
class ModelServer:
    """One model. `stuck` is set when it has said all it will say of an answer without an end."""

    port: int = 0
    answer: Callable[[Body], ModelAnswer] = by_last_message
    requests: list[Body] = field(default_factory=list[Body])
    dropped: int = 0
    stuck: asyncio.Event = field(default_factory=asyncio.Event)
    drop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = re.search(r"content-length: (\d+)", head)
            assert length is not None, head
            body: Body = json.loads(await reader.readexactly(int(length[1])))
            self.requests.append(body)
            answer = self.answer(body)
            if body.get("stream"):
                await self._stream(reader, writer, body, answer)
            else:
                await self._whole(writer, body, answer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self._gone()
        finally:
            writer.close()

    async def _whole(self, writer: asyncio.StreamWriter, body: Body, answer: ModelAnswer) -> None:
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
        if answer.calls:
            message["tool_calls"] = _calls(answer)
        payload = {
            **_head("chat.completion"),
            "choices": [_choice(answer, message=message)],
            "usage": _usage(body, answer),
        }
        content = json.dumps(payload).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
            % (len(content), content)
        )
        await writer.drain()

    async def _stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: Body, answer: ModelAnswer
    ) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for delta in _deltas(answer):
            await _event(writer, {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        if not answer.ends:
            self.stuck.set()
            await reader.read()  # until the caller closes the connection
            self._gone()
            return
        await _event(writer, {"choices": [_choice(answer, delta={})]})
        if body.get("stream_options", {}).get("include_usage"):
            await _event(writer, {"choices": [], "usage": _usage(body, answer)})
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()

    def _gone(self) -> None:
        self.dropped += 1
        self.drop.set()


@asynccontextmanager
async def model_server() -> AsyncGenerator[ModelServer]:
    """A model that answers while the block runs."""
    model = ModelServer()
    listener = await asyncio.start_server(model.serve, "127.0.0.1", 0)
    model.port = listener.sockets[0].getsockname()[1]
    try:
        yield model
    finally:
        listener.close()


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return " ".join(block.get("text", "") for block in content or ())


def _deltas(answer: ModelAnswer) -> Sequence[Mapping[str, Any]]:
    words = re.findall(r"\S+\s*", answer.text)
    deltas: list[Mapping[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": word} for word in words)]
    for index, call in enumerate(_calls(answer)):
        arguments = call["function"]["arguments"]
        half = len(arguments) // 2
        opening = {**call, "index": index, "function": {**call["function"], "arguments": arguments[:half]}}
        closing = {"index": index, "function": {"arguments": arguments[half:]}}
        deltas += [{"tool_calls": [opening]}, {"tool_calls": [closing]}]
    return deltas


def _calls(answer: ModelAnswer) -> list[dict[str, Any]]:
    return [
        {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for number, (name, arguments) in enumerate(answer.calls)
    ]


def _choice(answer: ModelAnswer, **said: Any) -> dict[str, Any]:
    return {"index": 0, "finish_reason": "tool_calls" if answer.calls else "stop", **said}


def _usage(body: Body, answer: ModelAnswer) -> dict[str, int]:
    """A message costs 10 tokens to read, a word one to write, and so does a call."""
    read = 10 * len(body["messages"])
    written = len(answer.text.split()) + len(answer.calls)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-local", "object": kind, "created": 0, "model": "local"}


async def _event(writer: asyncio.StreamWriter, fields: Mapping[str, Any]) -> None:
    writer.write(b"data: %s\n\n" % json.dumps({**_head("chat.completion.chunk"), **fields}).encode())
    await writer.drain()
