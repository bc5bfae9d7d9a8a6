"""What a model on a local port says: the answer to a request, whatever wire the request came by."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Answer", "Body", "Call", "ModelAnswer", "Said", "by_last_message", "content_text", "said", "scripted"]

Body = Mapping[str, Any]
"""A request to a model, as Chat Completions puts it; those of the other wires are turned into this form."""


@dataclass(frozen=True)
class ModelAnswer:
    """What the model says: words, calls of tools, and whether it ever comes to an end.

    Args:
        text: the words.
        calls: name and arguments of each tool that it calls.
        ends: False says all of the above and then nothing, until the caller goes away.
        data: structured output, given in the way the request asks for it: as JSON when it names a response format, as
            a call when it has a tool that takes exactly these fields.
        status: anything but 200 is an HTTP error, with `text` as its message.
    """

    text: str = ""
    calls: Sequence[tuple[str, Mapping[str, Any]]] = ()
    ends: bool = True
    data: Mapping[str, Any] | None = None
    status: int = 200


Answer = Callable[[Body], ModelAnswer]
"""What a model is here: the answer as a function of the request."""


def by_last_message(body: Body) -> ModelAnswer:
    """The answer that the last message asks for, see `ModelServer`."""
    last = body["messages"][-1]
    text = content_text(last.get("content"))
    if last["role"] == "tool":
        return ModelAnswer(f"The tool said {text}")
    if call := re.fullmatch(r"call (\w+) (\{.*\})", text):
        return ModelAnswer(calls=[(call[1], json.loads(call[2]))])
    if text.startswith("hang"):
        return ModelAnswer("Let me think", ends=False)
    return ModelAnswer(f"You said {text}")


def scripted(*answers: ModelAnswer | str) -> Answer:
    """A model that gives these answers, one for each request, in their order; after the last one it fails."""
    coming = iter(answers)

    def answer(body: Body) -> ModelAnswer:
        following = next(coming, None)
        if following is None:
            return ModelAnswer(f"The script has no answer after its {len(answers)}.", status=400)
        return ModelAnswer(following) if isinstance(following, str) else following

    return answer


def content_text(content: Any) -> str:
    """The words of a message's content, which is a string or a list of blocks."""
    if isinstance(content, str):
        return content
    return " ".join(block.get("text", "") for block in content or ())


@dataclass(frozen=True)
class Call:
    """A call of a tool, with the id that its result will name."""

    id: str
    name: str
    arguments: str


_numbers = itertools.count(1)


@dataclass(frozen=True)
class Said:
    """An answer to one request, ready for any wire."""

    body: Body
    text: str
    calls: Sequence[Call]
    ends: bool
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def pieces(self) -> list[str]:
        """The text word by word."""
        return re.findall(r"\s*\S+\s*|\s+", self.text)

    @property
    def read(self) -> int:
        """Tokens of the request: a message costs 10."""
        return 10 * len(self.body["messages"])

    @property
    def written(self) -> int:
        """Tokens of the answer: one for each word and each call."""
        return len(self.text.split()) + len(self.calls)


def said(body: Body, answer: ModelAnswer) -> Said:
    """An answer with its data in the form that the request asks for."""
    text, calls = answer.text, list(answer.calls)
    if answer.data is not None:
        tool = _tool_for(body, answer.data)
        if tool is None or body.get("response_format", {}).get("type", "text") != "text":
            text = json.dumps(answer.data)
        else:
            calls.append((tool, answer.data))
    made = [Call(f"call_{next(_numbers)}", name, json.dumps(arguments)) for name, arguments in calls]
    return Said(body, text, made, answer.ends)


def _tool_for(body: Body, data: Mapping[str, Any]) -> str | None:
    """The tool that takes exactly these fields: frameworks without response formats ask for data by such a tool."""
    for tool in body.get("tools") or ():
        function: Mapping[str, Any] = tool.get("function") or {}
        schema: Mapping[str, Any] = function.get("parameters") or {}
        fields: Mapping[str, Any] = schema.get("properties") or {}
        if fields.keys() == data.keys():
            return function["name"]
    return None
