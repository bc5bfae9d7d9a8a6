"""A remote agent, as frameworks see it: a name, a description, a schema, and calls that belong to the task."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from codin import a2a
from codin.agent.adapters._address import Address, card_at
from codin.agent.adapters._questions import object_of, relayed
from codin.client import Content, Event, OnEvent, Peer, Reply, delegate
from codin.errors import ConfigError
from codin.task import Answer, current_task
from codin.task._asking import asking
from codin.trust import CALL_REASONS

__all__ = ["Remote", "news_of", "question_data", "result_of", "schemas_of"]

_LONGEST_NAME = 64  # what models accept as the name of a tool
_LONGEST_DESCRIPTION = 1000  # characters of what a peer says of itself
_TEXT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"request": {"type": "string", "description": "What you want of the agent, in your own words."}},
    "required": ["request"],
}


class Remote:
    """What a framework's tool, node or sub-agent for a remote agent is made of.

    Inside a task of codin every call is `task.call`: it has a context of its own, the task's deadline and guards, and
    is canceled with the task. Elsewhere it is a plain call.

    Args:
        peer: a connected peer, a URL, or a name. A URL or name is connected when it is called.
        name: instead of the card's.
        description: instead of the card's. A URL or name with both is not asked for its card, and takes text.

    Attributes:
        name: letters, digits and underscores, at most 64 of them.
        description: for a model: what the agent is, in its card's words, and its skills.
        input_schema: JSON Schema of the arguments: the object that the card declares, else one field `request`.

    Raises:
        ConfigError: the peer is not connected, or a card could not be had.
    """

    def __init__(self, peer: Peer | str, *, name: str | None = None, description: str | None = None) -> None:
        self.peer = peer
        self._way: Peer | Address = Address(peer) if isinstance(peer, str) else peer
        card: a2a.AgentCard | None = None
        if isinstance(peer, Peer):
            card = _card_of(peer)
        elif name is None or description is None:
            card = card_at(peer)
        self.name: str = _identifier(name or (card.name if card else ""))
        self.description: str = description or (_described(card) if card else "")
        schema = _declared(card) if card else None
        self.takes_data: bool = schema is not None
        self.input_schema: Mapping[str, Any] = _TEXT_SCHEMA if schema is None else schema

    async def call(
        self,
        content: Content,
        *,
        task_id: str | None = None,
        context_id: str | None = None,
        on_event: OnEvent | None = None,
        timeout: float | None = None,
    ) -> Reply:
        """Send to the peer, and wait until it has ended or asks. `task_id` and `context_id` go on with a task.

        A call that the limits of the running task do not allow is a reply that rejects it: a model can act on that.
        """
        options: dict[str, Any] = {
            name: value
            for name, value in (
                ("task_id", task_id),
                ("context_id", context_id),
                ("on_event", on_event),
                ("timeout", timeout),
            )
            if value is not None
        }
        task = current_task()
        if task is None:
            return await delegate(await self._connected(), content, **options)
        try:
            return await task.call(self.peer, content, **options)
        except a2a.UnsupportedOperation as error:
            if error.reason not in CALL_REASONS:
                raise
            return _not_called(error)

    async def cancel(self, task_id: str) -> None:
        """End a task of the peer that was begun outside of a task of codin."""
        await (await self._connected()).cancel(task_id)

    async def _connected(self) -> Peer:
        return self._way if isinstance(self._way, Peer) else await self._way.peer()

    async def invoke(self, arguments: Mapping[str, Any] | str, *, on_event: OnEvent | None = None) -> Reply:
        """Call with the arguments of a tool call. What the peer asks, the caller of the running task is asked.

        Outside a task of codin there is nobody to ask, and the reply is the question.
        """
        reply = await self.call(self.content(arguments), on_event=on_event)
        while (task := current_task()) is not None and reply.state is not None and reply.state.interrupted:
            ask = task.authorize if reply.state is a2a.TaskState.AUTH_REQUIRED else task.ask
            async with asking(task):
                answer = await ask(reply.text, data=_asked(self.name, reply))
                said = _said(self.name, answer)
                reply = await self.call(said, task_id=reply.task_id, context_id=reply.context_id, on_event=on_event)
        return reply

    def content(self, arguments: Mapping[str, Any] | str) -> Content:
        """The message that the arguments of a tool call make."""
        if isinstance(arguments, str):
            return arguments
        return dict(arguments) if self.takes_data else str(arguments.get("request", ""))


def _not_called(error: a2a.UnsupportedOperation) -> Reply:
    words = a2a.Message(message_id=error.reason, role=a2a.Role.AGENT, parts=[a2a.Part(text=str(error))])
    return Reply(a2a.Task(id=error.reason, status=a2a.TaskStatus(state=a2a.TaskState.REJECTED, message=words)))


def result_of(reply: Reply) -> str:
    """A reply as the result of a tool: its text and data, or what went wrong in words a model can act on."""
    said = reply.text
    if reply.state is not None and reply.state is not a2a.TaskState.COMPLETED:
        state = reply.state.name.lower().replace("_", " ")
        return f"The agent did not finish ({state}): {said}" if said else f"The agent did not finish: {state}."
    if reply.data is None:
        return said
    data = to_json(reply.data).decode()
    return f"{said}\n{data}" if said else data


def news_of(event: Event) -> str:
    """What a peer says of its work while it is at it; "" in any other event."""
    value = event.value
    message = value.status.message if isinstance(value, a2a.TaskStatusUpdateEvent) else None
    return a2a.text_of(message.parts) if message is not None and event.state is a2a.TaskState.WORKING else ""


def question_data(reply: Reply) -> Any:
    """What a program reads of a question, e.g. its schema; None when it is text alone."""
    message = reply.task.status.message if reply.task is not None else None
    parts: Sequence[a2a.Part] = message.parts if message is not None else ()
    return next((part.data for part in parts if part.kind == "data"), None)


def _card_of(peer: Peer) -> a2a.AgentCard:
    try:
        return peer.card
    except ConfigError as error:
        raise ConfigError(error.message, hint="use it inside `async with connect(…)`, or give the URL itself") from None


def _asked(name: str, reply: Reply) -> Any:
    """The peer's question in the form of all questions; its schema and data are beside it, as `task.ask` has them."""
    data = question_data(reply)
    if data is None or object_of(data).get("questions"):
        return data
    asked = relayed(name, reply.text, data).to_json()
    return {"questions": [asked], **{key: asked[key] for key in ("schema", "data") if key in asked}}


def _said(name: str, answer: Answer) -> Content:
    """The answer as the peer expects it, which does not know the name that its question has here."""
    keyed = object_of(answer.data)
    if keyed.keys() != {name}:
        return answer.message.parts
    return keyed[name] if isinstance(keyed[name], str) else [a2a.Part(data=keyed[name])]


def _identifier(name: str) -> str:
    return re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")[:_LONGEST_NAME] or "agent"


def _described(card: a2a.AgentCard) -> str:
    """A stranger's words, marked as such and bounded, because a model will read them."""
    skills = "; ".join(f"{skill.name}: {skill.description}" for skill in card.skills if skill.name != card.name)
    said = " ".join(f"{card.description} {skills}".split())
    return f"Ask the agent {_identifier(card.name)!r}. It says of itself: {said[:_LONGEST_DESCRIPTION]}"


def schemas_of(card: a2a.AgentCard) -> Mapping[str, Any]:
    """The JSON Schemas that the card carries: `inputSchema` and `outputSchema`, either may be missing."""
    found = next((item.params for item in card.capabilities.extensions if item.uri == a2a.SCHEMA_EXTENSION), None)
    return {name: schema for name, value in object_of(found).items() if (schema := object_of(value))}


def _declared(card: a2a.AgentCard) -> Mapping[str, Any] | None:
    """The input schema that the card declares, when it is one of an object: arguments have names."""
    schema = schemas_of(card).get("inputSchema", {})
    return schema if schema.get("type") == "object" and schema.get("properties") else None
