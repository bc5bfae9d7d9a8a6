"""Calling a peer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, assert_never, assert_type

from pydantic import BaseModel, JsonValue

import codin
from codin import a2a
from codin.client import Backoff, Content, Event, FileContent, Peer, Reply, connect
from codin.net import HttpxTransport, Response, StreamingResponse, Transport, open_transport


class Order(BaseModel):
    item: str
    quantity: int = 1


async def connects(card: a2a.AgentCard) -> None:
    assert_type(codin.connect("http://127.0.0.1:8000"), Peer)
    async with connect(card, token="secret", timeout=None, backoff=Backoff(tries=2)) as peer:
        assert_type(peer, Peer)
        assert_type(peer.card, a2a.AgentCard)
    async with connect("http://127.0.0.1:8000", headers={"X-Key": "1"}, transport="asyncio", timeout=5) as peer:
        assert_type(await peer.send("hello"), Reply)
    connect("http://127.0.0.1:8000", transport=HttpxTransport())
    connect("http://127.0.0.1:8000", transport=open_transport("httpx"))


async def sends(peer: Peer, first: Reply) -> None:
    await peer.send("hello", context_id=first.context_id, task_id=first.task_id, wait=False, timeout=5)
    await peer.send(data={"item": "tea"})
    await peer.send(files=["list.pdf"])
    await peer.send({"item": "tea"}, metadata={"priority": 1, "tags": ["a", "b"]})
    await peer.send(Order(item="tea"), idempotency_key="order-7", history_length=0)
    await peer.send(["please", a2a.Part(data={"today": True}), Order(item="tea"), {"n": 1}])
    await peer.send(a2a.Message(message_id="1", role=a2a.Role.USER, parts=[a2a.Part(text="hello")]))
    await peer.send("hello", data=Order(item="tea"), files=["list.pdf", Path("list.png"), a2a.Part(raw=b"list")])
    await peer.send("hello", data=[1, None, {"deep": ["down"]}], accepted_output_modes={"text/plain"})


async def is_notified(peer: Peer, task_id: str) -> None:
    hook = a2a.TaskPushNotificationConfig(
        url="https://example.com/hook",
        token="secret",
        authentication=a2a.AuthenticationInfo(scheme="Bearer", credentials="secret"),
    )
    await peer.send("hello", push=hook)
    await peer.send("hello", push="https://example.com/hook", wait=False)
    config = await peer.create_push_config(task_id, hook)
    assert_type(config, a2a.TaskPushNotificationConfig)
    assert_type(await peer.get_push_config(task_id, config.id or ""), a2a.TaskPushNotificationConfig)
    async for each in peer.list_push_configs(task_id, page_size=10):
        assert_type(each, a2a.TaskPushNotificationConfig)
    await peer.delete_push_config(task_id, config.id or "", timeout=5)


async def wraps(peer: Peer, content: Content, files: list[FileContent]) -> Reply:
    return await peer.send(content, files=files)


def replies(reply: Reply) -> None:
    assert_type(reply.text, str)
    assert_type(reply.data, JsonValue)
    assert_type(reply.files, list[a2a.Part])
    assert_type(reply.task, a2a.Task | None)
    assert_type(reply.message, a2a.Message | None)
    assert_type(reply.state, a2a.TaskState | None)
    assert_type(reply.task_id, str | None)
    assert_type(reply.context_id, str | None)
    data = reply.data
    if isinstance(data, dict):
        item: JsonValue = data["item"]
        print(item)
    if reply.state is a2a.TaskState.COMPLETED and reply.task is not None:
        assert_type(reply.task.status.state, a2a.TaskState)


async def streams(peer: Peer) -> str:
    words = ""
    async for event in peer.stream("hello", task_id="1", timeout=5.0):
        assert_type(event, Event)
        words += event.text
        if event.state is not None and event.state.resting:
            break
    async with aclosing(peer.stream(Order(item="tea"))) as events:
        assert_type(events, AsyncGenerator[Event])
        assert_type(await anext(events), Event)
    async with aclosing(peer.subscribe("1", after=3)) as events:
        return "".join([event.text async for event in events])


def events(event: Event) -> str:
    assert_type(event.number, int | None)
    assert_type(event.text, str)
    assert_type(event.kind, Literal["task", "message", "status", "artifact"])
    assert_type(event.task, a2a.Task | None)
    assert_type(event.state, a2a.TaskState | None)
    match event.value:
        case a2a.Task(id=task_id):
            return task_id
        case a2a.Message(parts=parts):
            return a2a.text_of(parts)
        case a2a.TaskStatusUpdateEvent(status=status):
            return status.state.name
        case a2a.TaskArtifactUpdateEvent(artifact=artifact):
            return artifact.name or ""
        case _:
            assert_never(event.value)


async def tasks(peer: Peer, reply: Reply) -> None:
    assert_type(await peer.get("1", history_length=2), a2a.Task)
    assert_type(await peer.cancel("1", metadata={"why": "changed my mind"}), a2a.Task)
    assert_type(peer.list(), AsyncGenerator[a2a.Task])
    async for task in peer.list(status=a2a.TaskState.WORKING, status_timestamp_after=datetime.now(UTC), page_size=10):
        assert_type(task, a2a.Task)
    listed = [task.id async for task in peer.list(context_id=reply.context_id, include_artifacts=True)]
    assert_type(listed, list[str])
    if reply.task_id is not None:
        await peer.get(reply.task_id)


class Recorded:
    """A transport of one's own."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.urls: list[str] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float | None,
        limit: int | None = None,
    ) -> Response:
        self.urls.append(url)
        return await self.transport.request(method, url, headers=headers, content=content, timeout=timeout, limit=limit)

    def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes = b"", timeout: float | None
    ) -> AbstractAsyncContextManager[StreamingResponse]:
        self.urls.append(url)
        return self.transport.stream(method, url, headers=headers, content=content, timeout=timeout)

    async def aclose(self) -> None:
        await self.transport.aclose()


def connects_by_a_transport_of_its_own() -> Peer:
    return connect("http://127.0.0.1:8000", transport=Recorded(open_transport()))
