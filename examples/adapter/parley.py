"""A made-up agent framework, small enough to read: a model, tools, and tools that ask a person."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

_TYPES = {"int": "integer", "float": "number", "bool": "boolean", "str": "string"}

Conversation = list[dict[str, Any]]


class Ask(Exception):
    """A tool raises it to ask a person; the answer becomes the result of the tool."""


@dataclass
class Text:
    """A piece of what the model says."""

    piece: str


@dataclass
class Called:
    """The model has called a tool."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass
class Returned:
    """A tool has given its result."""

    id: str
    name: str
    result: Any


@dataclass
class Paused:
    """Tools have asked; `run` goes on with the same conversation and the answers by id. The last event of a run."""

    questions: Mapping[str, str]


@dataclass
class Spent:
    """What a call of the model has cost."""

    input_tokens: int
    output_tokens: int


Event = Text | Called | Returned | Paused | Spent


class Talker:
    """An agent. It keeps nothing: whoever runs it keeps the conversation, to which it adds."""

    def __init__(
        self,
        name: str,
        model_url: str,
        *,
        tools: Sequence[Callable[..., Any]] = (),
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.tools = {tool.__name__: tool for tool in tools}
        self.schema = schema
        self._url = f"{model_url}/chat/completions"

    async def run(self, conversation: Conversation, answers: Mapping[str, Any] | None = None) -> AsyncGenerator[Event]:
        """Go on with a conversation until the model has nothing more to say, or a tool asks."""
        answers = answers or {}
        async with httpx.AsyncClient(trust_env=False, timeout=None) as client:
            while conversation[-1]["role"] != "assistant" or conversation[-1].get("tool_calls"):
                questions: dict[str, str] = {}
                for call in _open_calls(conversation):
                    try:
                        result = answers.get(call["id"]) or await self._result(call)
                    except Ask as question:
                        questions[call["id"]] = str(question)
                        continue
                    yield Returned(call["id"], call["function"]["name"], result)
                    told = result if isinstance(result, str) else json.dumps(result)
                    conversation.append({"role": "tool", "tool_call_id": call["id"], "content": told})
                if questions:
                    yield Paused(questions)
                    return
                async for event in self._ask_model(client, conversation):
                    yield event

    async def _result(self, call: Mapping[str, Any]) -> Any:
        tool = self.tools[call["function"]["name"]]
        return await asyncio.to_thread(tool, **json.loads(call["function"]["arguments"]))

    async def _ask_model(self, client: httpx.AsyncClient, conversation: Conversation) -> AsyncGenerator[Event]:
        message: dict[str, Any] = {"role": "assistant", "content": ""}
        calls: dict[int, dict[str, Any]] = {}
        async with client.stream("POST", self._url, json=self._request(conversation)) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                chunk = json.loads(line.removeprefix("data: "))
                if usage := chunk.get("usage"):
                    yield Spent(usage["prompt_tokens"], usage["completion_tokens"])
                for choice in chunk["choices"]:
                    if piece := choice["delta"].get("content"):
                        message["content"] += piece
                        yield Text(piece)
                    for part in choice["delta"].get("tool_calls", ()):
                        function = part["function"]
                        call = calls.setdefault(part["index"], {**part, "function": {**function, "arguments": ""}})
                        call["function"]["arguments"] += function["arguments"]
        if calls:
            message["tool_calls"] = [calls[index] for index in sorted(calls)]
        conversation.append(message)
        for call in calls.values():
            yield Called(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))

    def _request(self, conversation: Conversation) -> dict[str, Any]:
        body: dict[str, Any] = {"model": "local", "stream": True, "stream_options": {"include_usage": True}}
        body["messages"] = conversation
        body["tools"] = [{"type": "function", "function": _described(tool)} for tool in self.tools.values()]
        if self.schema is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": self.schema}}
        return body


def _open_calls(conversation: Conversation) -> list[dict[str, Any]]:
    """The calls of the model that have no result yet."""
    done = {message["tool_call_id"] for message in conversation if message["role"] == "tool"}
    return [call for message in conversation for call in message.get("tool_calls", ()) if call["id"] not in done]


def _described(tool: Callable[..., Any]) -> dict[str, Any]:
    fields = {
        name: {"type": _TYPES.get(getattr(kind.annotation, "__name__", str(kind.annotation)), "string")}
        for name, kind in inspect.signature(tool).parameters.items()
    }
    schema = {"type": "object", "properties": fields, "required": list(fields)}
    return {"name": tool.__name__, "description": inspect.getdoc(tool) or "", "parameters": schema}
