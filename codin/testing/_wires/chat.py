"""OpenAI Chat Completions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from codin.testing._answers import Body, Said
from codin.testing._wires.wire import Streamed, event

__all__ = ["Chat"]


class Chat:
    """`POST …/chat/completions`."""

    def read(self, sent: Mapping[str, Any]) -> Body:
        return sent

    def whole(self, said: Said) -> Mapping[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": said.text or None}
        if said.calls:
            message["tool_calls"] = _calls(said)
        return {**_head(said, "chat.completion"), "choices": [_choice(said, message=message)], "usage": _usage(said)}

    def streamed(self, said: Said) -> Streamed:
        head = _head(said, "chat.completion.chunk")
        saying = [
            event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}) for delta in _deltas(said)
        ]
        closing = [event({**head, "choices": [_choice(said, delta={})]})]
        options: Mapping[str, Any] = said.body.get("stream_options") or {}
        if options.get("include_usage"):
            closing.append(event({**head, "choices": [], "usage": _usage(said)}))
        return Streamed(saying, [*closing, b"data: [DONE]\n\n"])


def _deltas(said: Said) -> Iterator[Mapping[str, Any]]:
    yield {"role": "assistant", "content": ""}
    for piece in said.pieces:
        yield {"content": piece}
    for index, call in enumerate(_calls(said)):
        arguments = call["function"]["arguments"]
        half = len(arguments) // 2
        opening = {**call, "index": index, "function": {**call["function"], "arguments": arguments[:half]}}
        yield {"tool_calls": [opening]}
        yield {"tool_calls": [{"index": index, "function": {"arguments": arguments[half:]}}]}


def _calls(said: Said) -> list[dict[str, Any]]:
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in said.calls
    ]


def _choice(said: Said, **what: Any) -> dict[str, Any]:
    return {"index": 0, "finish_reason": "tool_calls" if said.calls else "stop", **what}


def _usage(said: Said) -> dict[str, int]:
    return {"prompt_tokens": said.read, "completion_tokens": said.written, "total_tokens": said.read + said.written}


def _head(said: Said, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{said.number}", "object": kind, "created": 0, "model": said.body.get("model", "local")}
