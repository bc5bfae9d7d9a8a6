"""Gemini: generateContent and streamGenerateContent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from codin.testing._answers import Body, Said
from codin.testing._wires.wire import Streamed, event

__all__ = ["Gemini"]


class Gemini:
    """`POST …/models/NAME:generateContent`, and `:streamGenerateContent?alt=sse`."""

    def read(self, sent: Mapping[str, Any]) -> Body:
        contents = sent["contents"]
        messages = [message for content in contents for message in _messages(content)]
        if instruction := sent.get("systemInstruction"):
            messages.insert(0, {"role": "system", "content": [*map(_block, instruction["parts"])]})
        declared = [each for tool in sent.get("tools") or () for each in tool.get("functionDeclarations") or ()]
        tools = [{"type": "function", "function": {**each, "parameters": _parameters(each)}} for each in declared]
        return {"messages": messages, "tools": tools, "response_format": _format(sent.get("generationConfig") or {})}

    def whole(self, said: Said) -> Mapping[str, Any]:
        text = [{"text": said.text}] if said.text or not said.calls else []
        return {**_chunk(said, [*text, *_calls(said)], end=True), "usageMetadata": _usage(said)}

    def streamed(self, said: Said) -> Streamed:
        saying = [event(_chunk(said, [{"text": piece}])) for piece in said.pieces]
        last = {**_chunk(said, _calls(said) or [{"text": ""}], end=True), "usageMetadata": _usage(said)}
        return Streamed(saying, [event(last)])


def _messages(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A turn as messages: the results of tools are messages of their own in Chat Completions."""
    parts: Sequence[Mapping[str, Any]] = content.get("parts") or ()
    for part in parts:
        if result := part.get("functionResponse"):
            yield {"role": "tool", "tool_call_id": result.get("id"), "content": json.dumps(result.get("response"))}
    blocks = [_block(part) for part in parts if "functionResponse" not in part and "functionCall" not in part]
    calls = [
        {"id": call.get("id"), "type": "function", "function": {**call, "arguments": json.dumps(call.get("args"))}}
        for part in parts
        if (call := part.get("functionCall"))
    ]
    if blocks or calls:
        role = "assistant" if content.get("role") == "model" else "user"
        yield {"role": role, "content": blocks, **({"tool_calls": calls} if calls else {})}


def _block(part: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "text", "text": part["text"]} if "text" in part else part


def _parameters(declared: Mapping[str, Any]) -> Any:
    return declared.get("parametersJsonSchema") or declared.get("parameters")


def _format(config: Mapping[str, Any]) -> Mapping[str, Any]:
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if schema is not None:
        return {"type": "json_schema", "json_schema": {"schema": schema}}
    return {"type": "json_object" if config.get("responseMimeType") == "application/json" else "text"}


def _calls(said: Said) -> list[Mapping[str, Any]]:
    return [
        {"functionCall": {"id": call.id, "name": call.name, "args": json.loads(call.arguments)}} for call in said.calls
    ]


def _chunk(said: Said, parts: Sequence[Mapping[str, Any]], *, end: bool = False) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": parts}}
    if end:
        candidate["finishReason"] = "STOP"
    return {"candidates": [candidate], "modelVersion": "local", "responseId": f"gemini-{said.number}"}


def _usage(said: Said) -> dict[str, int]:
    total = said.read + said.written
    return {"promptTokenCount": said.read, "candidatesTokenCount": said.written, "totalTokenCount": total}
