"""One small interface to every client: codin's, those of the official SDKs, those that frameworks have.

A client offers what `tests/interop/matrix.toml` does not say that it lacks; nothing else of it is called.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from itertools import count
from typing import Any, Protocol, TypeVar

from agno.client.a2a import A2AClient
from agno.utils.http import aclose_default_clients

from codin import a2a
from codin.client import Peer
from docs.interop import Row
from tests.interop.conftest import Programs
from tests.interop.line import Refused, call
from tests.interop.official_client import OfficialClient
from tests.interop.old_client import OldClient
from tests.interop.told import Listener, Told, reading

__all__ = ["Caller", "CodinCaller", "caller_of"]

T = TypeVar("T")

_numbers = count(1)


class Caller(Protocol):
    """A client that calls one agent. What it raises is `Refused`, with the name of the protocol's error."""

    async def send(self, text: str, *, after: Told = ..., wait: bool = True) -> Told:
        """Send a text and get the answer.

        Args:
            after: what was told before: of a task that waits it is the answer, else it goes on in the context.
        """
        ...

    def stream(self, text: str) -> AsyncGenerator[Told]:
        """Send a text; each event gives all that is known with it."""
        ...

    def subscribe(self, task: str) -> AsyncGenerator[Told]: ...

    async def get(self, task: str) -> Told: ...

    async def cancel(self, task: str) -> Told: ...

    async def list(self, context: str) -> list[str]:
        """The ids of the tasks in a context."""
        ...

    async def push(self, task: str, url: str) -> None:
        """Ask for notifications."""
        ...

    async def extended_card(self) -> str:
        """What the extended card says of the agent."""
        ...


NOTHING = Told()


def _ids(after: Told) -> dict[str, str]:
    """What of an earlier answer a message names."""
    context = {"contextId": after.context} if after.context else {}
    return {**context, "taskId": after.task} if after.state == "input-required" else context


class CodinCaller:
    """codin's client, as its users see it."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def send(self, text: str, *, after: Told = NOTHING, wait: bool = True) -> Told:
        ids = _ids(after)
        sending = self._peer.send(text, task_id=ids.get("taskId"), context_id=ids.get("contextId"), wait=wait)
        reply = await _named(sending)
        if reply.task is None:
            return Told(reply.task_id or "", reply.context_id or "", "message", reply.text)
        return Told(reply.task.id, reply.task.context_id or "", _word(reply.task.status.state), reply.text)

    async def stream(self, text: str) -> AsyncGenerator[Told]:
        async with aclosing(self._peer.stream(text)) as events:
            said = ""
            async for event in events:
                said += event.text
                yield _heard(event.task, said)

    async def subscribe(self, task: str) -> AsyncGenerator[Told]:
        async with aclosing(self._peer.subscribe(task)) as events:
            said = ""
            async for event in events:
                said += event.text
                yield _heard(event.task, said)

    async def get(self, task: str) -> Told:
        return _whole(await _named(self._peer.get(task)))

    async def cancel(self, task: str) -> Told:
        return _whole(await _named(self._peer.cancel(task)))

    async def list(self, context: str) -> list[str]:
        return [task.id async for task in self._peer.list(context_id=context)]

    async def push(self, task: str, url: str) -> None:
        await self._peer.create_push_config(task, a2a.TaskPushNotificationConfig(url=url))

    async def extended_card(self) -> str:
        return (await self._peer.extended_card()).description


async def _named(calling: Awaitable[T]) -> T:
    try:
        return await calling
    except a2a.A2AError as error:
        raise Refused(type(error).__name__, str(error)) from error


def _word(state: a2a.TaskState) -> str:
    return state.name.lower().replace("_", "-")


def _heard(task: a2a.Task | None, said: str) -> Told:
    if task is None:
        return Told(state="message", text=said)
    return Told(task.id, task.context_id or "", _word(task.status.state), said)


def _whole(task: a2a.Task) -> Told:
    texts = [a2a.text_of(artifact.parts) for artifact in task.artifacts]
    return Told(task.id, task.context_id or "", _word(task.status.state), "".join(texts))


class OfficialCaller:
    """The client of an official SDK.

    Args:
        tenant: named in every request.
    """

    def __init__(self, client: OfficialClient, tenant: str | None = None) -> None:
        self._client = client
        self._fields = {"tenant": tenant} if tenant else {}

    async def send(self, text: str, *, after: Told = NOTHING, wait: bool = True) -> Told:
        configuration = {} if wait else {"returnImmediately": True}
        return reading(await self._one("send", message=_message(text, after), configuration=configuration))

    def stream(self, text: str) -> AsyncGenerator[Told]:
        return self._events("stream", message=_message(text, NOTHING))

    def subscribe(self, task: str) -> AsyncGenerator[Told]:
        return self._events("subscribe", id=task)

    async def get(self, task: str) -> Told:
        return reading(await self._one("get", id=task))

    async def cancel(self, task: str) -> Told:
        return reading(await self._one("cancel", id=task))

    async def list(self, context: str) -> list[str]:
        return [task["id"] for task in (await self._one("list", contextId=context))["tasks"]]

    async def push(self, task: str, url: str) -> None:
        await self._one("create_push", taskId=task, url=url)

    async def extended_card(self) -> str:
        return (await self._one("extended card"))["description"]

    async def _one(self, verb: str, **params: Any) -> dict[str, Any]:
        (value,) = [value async for value in self._client.values(verb, {**params, **self._fields})]
        return value

    async def _events(self, verb: str, **params: Any) -> AsyncGenerator[Told]:
        listener = Listener()
        async with aclosing(self._client.values(verb, {**params, **self._fields})) as values:
            async for value in values:
                yield listener.hear(value)


def _message(text: str, after: Told) -> dict[str, Any]:
    return {"messageId": f"matrix-{next(_numbers)}", "role": "ROLE_USER", "parts": [{"text": text}], **_ids(after)}


class OldCaller:
    """The client of an official SDK for A2A 0.3."""

    def __init__(self, client: OldClient) -> None:
        self._client = client

    async def send(self, text: str, *, after: Told = NOTHING, wait: bool = True) -> Told:
        return reading(await self._client.send(text, configuration={"blocking": wait}, **_ids(after)))

    async def stream(self, text: str) -> AsyncGenerator[Told]:
        listener = Listener()
        async with aclosing(self._client.stream(text)) as events:
            async for event in events:
                yield listener.hear(event)

    async def subscribe(self, task: str) -> AsyncGenerator[Told]:
        listener = Listener()
        async with aclosing(self._client.all("subscribe", id=task)) as events:
            async for event in events:
                yield listener.hear(event)

    async def get(self, task: str) -> Told:
        return reading(await self._client.one("get", id=task))

    async def cancel(self, task: str) -> Told:
        return reading(await self._client.one("cancel", id=task))

    async def list(self, context: str) -> list[str]:
        raise NotImplementedError

    async def push(self, task: str, url: str) -> None:
        await self._client.one("set push", taskId=task, pushNotificationConfig={"id": "p", "url": url})

    async def extended_card(self) -> str:
        return (await self._client.one("extended card"))["description"]


class _Chat:
    """What a framework offers of a remote agent: one says things to it."""

    def subscribe(self, task: str) -> AsyncGenerator[Told]:
        raise NotImplementedError

    async def get(self, task: str) -> Told:
        raise NotImplementedError

    async def cancel(self, task: str) -> Told:
        raise NotImplementedError

    async def list(self, context: str) -> list[str]:
        raise NotImplementedError

    async def push(self, task: str, url: str) -> None:
        raise NotImplementedError

    async def extended_card(self) -> str:
        raise NotImplementedError


class AdkCaller(_Chat):
    """A session of ADK with a `RemoteA2aAgent`."""

    def __init__(self, port: int, url: str) -> None:
        self._port = port
        self._told = {"conversation": f"matrix-{next(_numbers)}", "url": url, "legacy": False}

    async def send(self, text: str, *, after: Told = NOTHING, wait: bool = True) -> Told:
        *_, last = [told async for told in self._events(text, streaming=False)]
        return last

    def stream(self, text: str) -> AsyncGenerator[Told]:
        return self._events(text, streaming=True)

    async def _events(self, text: str, *, streaming: bool) -> AsyncGenerator[Told]:
        said = ""
        asked = dict[str, Any]()
        told = {**self._told, "streaming": streaming, "text": text, "answer": None}
        async with aclosing(call(self._port, told)) as events:
            async for event in events:
                if "said" in event:
                    return
                said = said + event["text"] if event["partial"] else event["text"] or said
                asked = event["calls"][0]["args"] if event["calls"] else asked
                yield Told(text=asked.get("input_required", said), state="input-required" if asked else "")


class AgentFrameworkCaller(_Chat):
    """A session of Agent Framework with an `A2AAgent`."""

    def __init__(self, port: int, url: str, binding: str) -> None:
        self._port = port
        self._told = {"url": url, "binding": binding}
        self._conversation = f"matrix-{next(_numbers)}"

    async def send(self, text: str, *, after: Told = NOTHING, wait: bool = True) -> Told:
        (told,) = [told async for told in self._events("send", text)]
        return told

    def stream(self, text: str) -> AsyncGenerator[Told]:
        return self._events("stream", text)

    async def _events(self, verb: str, text: str) -> AsyncGenerator[Told]:
        told = {**self._told, "do": verb, "params": {"conversation": self._conversation, "text": text}}
        async with aclosing(call(self._port, told)) as values:
            async for value in values:
                yield Told(text=value["text"], state="input-required" if value["asks"] else "")


class CrewaiCaller(_Chat):
    """Crews of an agent that has a remote agent."""

    def __init__(self, port: int, url: str, binding: str) -> None:
        self._port = port
        self._told = {"url": url, "binding": binding}
        self._conversation = f"matrix-{next(_numbers)}"

    async def send(self, text: str, *, after: Told = NOTHING, wait: bool = True) -> Told:
        *_, last = [told async for told in self.stream(text)]
        return last

    async def stream(self, text: str) -> AsyncGenerator[Told]:
        told = {**self._told, "params": {"conversation": self._conversation, "text": text}}
        async with aclosing(call(self._port, told)) as values:
            async for value in values:
                state = "" if value["state"] == "completed" else value["state"]  # it says that of a message, too
                yield Told(text=value["text"], state=state)


class AgnoCaller(_Chat):
    """Agno's own client, which speaks 0.3."""

    def __init__(self, url: str) -> None:
        self._client = A2AClient(url, protocol="json-rpc")

    async def send(self, text: str, *, after: Told = NOTHING, wait: bool = True) -> Told:
        try:
            done = await self._client.send_message(text, context_id=after.context or None)
        finally:
            await aclose_default_clients()  # it keeps one for all event loops
        return Told(done.task_id, done.context_id, done.status, done.content)

    async def stream(self, text: str) -> AsyncGenerator[Told]:
        said = ""
        try:
            async for event in self._client.stream_message(text):
                said += event.content or ""
                yield Told(state=event.event_type, text=said)
        finally:
            await aclose_default_clients()


def caller_of(row: Row, programs: Programs, url: str, token: str | None = None, tenant: str | None = None) -> Caller:
    """The client of a row, for the agent at a URL."""
    if row.peer == "agno":
        return AgnoCaller(url)
    port = int(programs[f"{row.peer} client"])
    match row.peer:
        case "adk":
            return AdkCaller(port, url)
        case "agent-framework":
            return AgentFrameworkCaller(port, url, row.binding)
        case "crewai":
            return CrewaiCaller(port, url, row.binding)
        case "old-python" | "old-javascript":
            return OldCaller(OldClient(port, row.peer.removeprefix("old-"), url, token, row.binding))
        case _:
            return OfficialCaller(OfficialClient(port, url, token, row.binding), tenant)
