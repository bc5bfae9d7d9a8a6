"""OpenAI Responses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from codin.testing._answers import Body, Call, Said
from codin.testing._wires.wire import Streamed, event

__all__ = ["Responses"]


class Responses:
    """`POST …/responses`. Every request has to bring its whole conversation: nothing is stored."""

    def read(self, sent: Mapping[str, Any]) -> Body:
        given = sent.get("input") or ()
        items: Sequence[Mapping[str, Any]] = [{"role": "user", "content": given}] if isinstance(given, str) else given
        messages = [message for item in items if (message := _message(item)) is not None]
        if sent.get("instructions"):
            messages.insert(0, {"role": "system", "content": sent["instructions"]})
        body: dict[str, Any] = {"model": sent.get("model"), "stream": sent.get("stream", False), "messages": messages}
        body["tools"] = [
            {"type": "function", "function": tool} for tool in sent.get("tools") or () if tool["type"] == "function"
        ]
        text: Mapping[str, Any] = sent.get("text") or {}
        form: Mapping[str, Any] = text.get("format") or {"type": "text"}
        body["response_format"] = {"type": form["type"], form["type"]: form}
        return body

    def whole(self, said: Said) -> Mapping[str, Any]:
        return _response(said, "completed", [*_items(said)])

    def streamed(self, said: Said) -> Streamed:
        begun = _response(said, "in_progress", [])
        saying: list[Mapping[str, Any]] = [
            {"type": "response.created", "response": begun},
            {"type": "response.in_progress", "response": begun},
            *_item_events(said),
        ]
        ended = {"type": "response.completed", "response": self.whole(said)}
        events = [event({**one, "sequence_number": n}, str(one["type"])) for n, one in enumerate([*saying, ended])]
        return Streamed(events[:-1], events[-1:])


def _message(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """An item of the input as a message; None for what a model of this kind has no use for, e.g. reasoning."""
    kind = item.get("type", "message")
    if kind == "function_call":
        call = {"id": item["call_id"], "type": "function"}
        call["function"] = {"name": item["name"], "arguments": item["arguments"]}
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    if kind == "function_call_output":
        return {"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]}
    if kind == "message":
        return {"role": item["role"], "content": item["content"]}
    return None


def _items(said: Said) -> Iterator[dict[str, Any]]:
    if said.text or not said.calls:
        part: dict[str, Any] = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
        yield {**_message_head(said), "status": "completed", "content": [part]}
    for call in said.calls:
        yield {**_call_head(call), "status": "completed", "arguments": call.arguments}


def _item_events(said: Said) -> Iterator[Mapping[str, Any]]:
    for index, item in enumerate(_items(said)):
        place = {"output_index": index, "item_id": item["id"]}
        empty: dict[str, Any] = {"content": []} if item["type"] == "message" else {"arguments": ""}
        opened = {**item, "status": "in_progress", **empty}
        yield {"type": "response.output_item.added", "output_index": index, "item": opened}
        if item["type"] == "message":
            yield from _text_events(said, item["content"][0], {**place, "content_index": 0})
        else:
            written: str = item["arguments"]
            half = len(written) // 2
            for delta in (written[:half], written[half:]):
                yield {"type": "response.function_call_arguments.delta", **place, "delta": delta}
            yield {"type": "response.function_call_arguments.done", **place, "arguments": written, "name": item["name"]}
        if said.ends:
            yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _text_events(said: Said, part: Mapping[str, Any], place: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
    for piece in said.pieces:
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
    if said.ends:
        yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **place, "part": part}


def _message_head(said: Said) -> dict[str, Any]:
    return {"id": f"msg_{said.number}", "type": "message", "role": "assistant"}


def _call_head(call: Call) -> dict[str, Any]:
    return {"id": f"fc_{call.id}", "type": "function_call", "call_id": call.id, "name": call.name}


def _response(said: Said, status: str, output: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    usage = {
        "input_tokens": said.read,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": said.written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": said.read + said.written,
    }
    return {
        "id": f"resp_{said.number}",
        "object": "response",
        "created_at": 0,
        "model": said.body["model"],
        "status": status,
        "output": output,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage if status == "completed" else None,
    }
