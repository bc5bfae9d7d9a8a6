"""Laws of answers: text, tools, data, files, and what they cost."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, cast

from codin import a2a
from codin.agent.adapters import ACTIVITY_KEY
from codin.testing._answers import Body, ModelAnswer
from codin.testing.adapter_laws._case import AdapterCase
from codin.testing.adapter_laws._desk import Turn, desk, says
from codin.testing.adapter_laws._law import law

__all__: list[str] = []

_TEXT = "Low tide  at\nseven, «high»\n\nat one."
_PLACE = {"name": "Saint-Malo", "people": 46000}
_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def add_up(a: int, b: int) -> int:
    """Add two whole numbers."""
    return a + b


def adder(body: Body) -> ModelAnswer:
    """Calls the tool, and then tells what it gave."""
    if any(message["role"] == "tool" for message in body["messages"]):
        return ModelAnswer("It is five.")
    return ModelAnswer(calls=[("add_up", {"a": 2, "b": 3})])


@law("chat")
async def text(case: AdapterCase) -> None:
    """What the model says is the answer, and its streamed pieces, joined, are the final text."""
    async with desk(case.chat, says(_TEXT)) as at:
        turn = await at.send("When is the tide low?")
        assert turn.state == "COMPLETED", turn.said
        assert turn.text == turn.reply.text == _TEXT
        assert "When is the tide low?" in at.asked, "the model was not told what the caller said"


@law("chat")
async def streams(case: AdapterCase) -> None:
    """Text is on its way to the caller while the model is still speaking."""
    async with desk(case.chat, lambda body: ModelAnswer("Let me think", ends=False)) as at:
        heard = ""
        async with aclosing(at.peer.stream("Hello.")) as events:
            async for event in events:
                heard += event.text
                if heard.strip():
                    break  # the model never comes to an end
        assert "Let me think".startswith(heard.strip()), f"{heard!r} is not what the model says"


@law("chat")
async def tools(case: AdapterCase) -> None:
    """The model calls the object's tools, and what they give goes back to the model, not to the caller."""
    async with desk(case.chat, adder, tools=[add_up]) as at:
        turn = await at.send("What are two and three?")
        assert (turn.state, turn.text) == ("COMPLETED", "It is five.")
        results = [message for message in at.model.requests[-1]["messages"] if message["role"] == "tool"]
        assert "5" in json.dumps(results[-1]["content"])


@law("chat")
async def tool_activity(case: AdapterCase) -> None:
    """Calls of tools are told as status updates when that is asked for, and not otherwise."""
    async with desk(case.chat, adder, tools=[add_up]) as at:
        assert _activity(await at.send("What are two and three?")) == []
    async with desk(case.chat, adder, tools=[add_up], options={"tool_activity": True}) as at:
        started, finished = _activity(await at.send("What are two and three?"))
        assert (started["name"], started["phase"], started["args"]) == ("add_up", "started", {"a": 2, "b": 3})
        assert (finished["name"], finished["phase"]) == ("add_up", "finished")
        assert "5" in json.dumps(finished["result"])


def _activity(turn: Turn) -> list[Mapping[str, Any]]:
    told: list[Any] = [(update.metadata or {}).get(ACTIVITY_KEY, {}) for update in turn.statuses]
    return [each["tool"] for each in told if "tool" in each]


@law("chat")
async def private_tools(case: AdapterCase) -> None:
    """The names of tools are not on the card until that is asked for."""
    async with desk(case.chat, adder, tools=[add_up]) as at:
        assert at.peer.card.name
        assert at.peer.card.skills
        assert "add_up" not in at.peer.card.to_json().decode()
    async with desk(case.chat, adder, tools=[add_up], options={"expose_tools": True}) as at:
        assert "add_up" in [skill.id for skill in at.peer.card.skills]


@law("structured")
async def structured(case: AdapterCase) -> None:
    """Structured output is a data part, and the card has its schema."""
    async with desk(case.structured, lambda body: ModelAnswer(data=_PLACE)) as at:
        turn = await at.send("A town by the sea?")
        assert turn.state == "COMPLETED", turn.said
        assert _contains(turn.reply.data, _PLACE), turn.reply.data
        extensions = at.peer.card.capabilities.extensions
        schemas = [each.params or {} for each in extensions if each.uri == a2a.SCHEMA_EXTENSION]
        assert schemas, "the card has no schema"
        assert all(name in json.dumps(schemas[0].get("outputSchema")) for name in _PLACE)


def _contains(data: Any, wanted: Any) -> bool:
    """Whether data is what is wanted, or has it as a field, as states of a graph do."""
    if data == wanted:
        return True
    return isinstance(data, dict) and any(value == wanted for value in cast("dict[str, Any]", data).values())


@law("chat")
async def usage(case: AdapterCase) -> None:
    """The tokens of each run are told with its end, and are those of this run alone."""
    async with desk(case.chat, adder, tools=[add_up]) as at:
        for question in ("What are two and three?", "And once more?"):
            before = dict(at.model.spent)
            turn = await at.send(question)
            assert turn.state == "COMPLETED", turn.said
            spent = {name: count - before[name] for name, count in at.model.spent.items()}
            told = {name: turn.usage.get(name) for name in spent}
            assert told == spent


@law("chat")
async def file_in(case: AdapterCase) -> None:
    """A picture that the caller sends reaches the model."""
    async with desk(case.chat, says("A lighthouse.")) as at:
        picture = a2a.Part(raw=_PNG, media_type="image/png", filename="light.png")
        turn = await at.send([a2a.Part(text="What is this?"), picture])
        assert (turn.state, turn.text) == ("COMPLETED", "A lighthouse."), turn.said
        assert base64.b64encode(_PNG).decode() in at.asked


@law("file")
async def file_out(case: AdapterCase) -> None:
    """A file that the framework makes is a file in the answer."""
    async with desk(case.file, says("Here it is.")) as at:
        turn = await at.send("Write it down.")
        assert turn.state == "COMPLETED", turn.said
        (file,) = turn.reply.files
        assert file.raw == b"tide"
