"""Plain calls of which nobody knows the task: their process died, or the answer was lost. They are found, and ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from codin import a2a
from codin.agent import agent
from codin.client import Peer, connect
from codin.errors import TransportError
from codin.net import MemoryTransport, Response
from codin.task import AgentResponse, MemoryStore, Task
from codin.testing import Peers, mesh
from tests.task.desk import Desk, state_of
from tests.task.test_called_off import Clerk

pytestmark = pytest.mark.anyio

URL = "http://clerk.test/"
ECHO = "http://echo.test/"


@agent
async def echo(text: str) -> str:
    """Say it again."""
    return text


class Wire(MemoryTransport):
    """What a caller's requests go through.

    Attributes:
        asked: the methods that were called, and where.
        sending: a message is on its way.
        looked: somebody has got a list of tasks.
        held: messages arrive only behind this.
        lost: their answers do not come once this has happened. Cards do not say that a message may be sent twice.
    """

    def __init__(self, peers: Peers) -> None:
        assert isinstance(peers.transport, MemoryTransport)
        super().__init__(peers.transport.apps)
        self.asked: list[str] = []
        self.held: asyncio.Event | None = None
        self.lost: asyncio.Event | None = None
        self.sending = asyncio.Event()
        self.looked = asyncio.Event()

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
        called = json.loads(content)["method"] if content else "GET"
        self.asked.append(f"{called} {url}")
        given: dict[str, Any] = {"headers": headers, "content": content, "timeout": timeout, "limit": limit}
        if called == "SendMessage":
            return await self._send(method, url, given)
        answer = await super().request(method, url, **given)
        if called == "ListTasks":
            self.looked.set()
        return answer._replace(body=answer.body.replace(a2a.RESUME_EXTENSION.encode(), b"urn:example:none"))

    async def _send(self, method: str, url: str, given: dict[str, Any]) -> Response:
        self.sending.set()
        if self.held is not None:
            await self.held.wait()
        sending = asyncio.ensure_future(super().request(method, url, **given))
        if self.lost is None:
            return await sending
        await self.lost.wait()
        sending.cancel()
        raise TransportError("The connection was lost.")


@pytest.fixture
def clerk() -> Clerk:
    return Clerk()


@pytest.fixture
async def peers(clerk: Clerk) -> AsyncIterator[Peers]:
    async with mesh(clerk, echo) as peers:
        yield peers


@pytest.fixture
def wire(peers: Peers) -> Wire:
    return Wire(peers)


async def ended(peers: Peers) -> list[str]:
    """The states of the clerk's tasks, once all have ended."""
    async with asyncio.timeout(20):
        async for task in peers["clerk"].list():
            if not task.status.state.terminal:
                async for _ in peers["clerk"].subscribe(task.id):
                    pass
    return sorted([task.status.state.name async for task in peers["clerk"].list()])


async def passes_on(task: Task) -> AgentResponse:
    return AgentResponse.completed((await task.call(URL, task.text)).text)


async def dying(wire: Wire, clerk: Clerk, handler: Any, store: MemoryStore, **options: Any) -> Desk:
    """A desk that another one takes over, in the middle of its call, as after a death of which it knows nothing."""
    desk = Desk(handler, store, transport=wire, **options)
    await desk.submit("hang")
    async with asyncio.timeout(20):
        await clerk.hanging.wait()
    return desk


async def test_what_runs_when_the_process_dies_is_canceled_after_the_restart(
    peers: Peers, wire: Wire, clerk: Clerk
) -> None:
    store = MemoryStore()
    dead = await dying(wire, clerk, passes_on, store)
    desk = Desk(passes_on, store, transport=wire)
    (task,) = (await desk.list()).tasks
    assert task.status.state is a2a.TaskState.FAILED
    assert await ended(peers) == ["CANCELED"]
    await desk.manager.close()
    await dead.manager.close()
    assert wire.asked.count(f"SendMessage {URL}") == 1


async def test_it_is_canceled_although_the_second_run_completes(peers: Peers, wire: Wire, clerk: Clerk) -> None:
    async def content(task: Task) -> AgentResponse:
        return AgentResponse.completed("enough")

    store = MemoryStore()
    dead = await dying(wire, clerk, passes_on, store, rerunnable=True)
    desk = Desk(content, store, transport=wire, rerunnable=True)
    (task,) = (await desk.list()).tasks
    await desk.until(task.id, "COMPLETED")
    assert await ended(peers) == ["CANCELED"]
    await desk.manager.close()
    await dead.manager.close()


async def test_a_peer_that_was_handed_over_is_found_by_its_address(peers: Peers, wire: Wire, clerk: Clerk) -> None:
    async def handle(task: Task) -> AgentResponse:
        return AgentResponse.completed((await task.call(peers["clerk"], task.text)).text)

    store = MemoryStore()
    dead = await dying(wire, clerk, handle, store)
    desk = Desk(passes_on, store, transport=wire)
    await desk.list()
    assert await ended(peers) == ["CANCELED"]
    await desk.manager.close()
    await dead.manager.close()


async def test_a_message_that_arrives_after_its_caller_has_died_is_found_too(peers: Peers, wire: Wire) -> None:
    store = MemoryStore()
    wire.held = asyncio.Event()
    dead = Desk(passes_on, store, transport=wire)
    await dead.submit("hang")
    desk = Desk(passes_on, store, transport=wire)
    async with asyncio.timeout(20):
        await wire.sending.wait()
        await desk.list()
        await wire.looked.wait()
        assert [task async for task in peers["clerk"].list()] == []
        wire.held.set()
        await desk.manager.close()
    assert await ended(peers) == ["CANCELED"]
    await dead.manager.close()


async def test_a_message_that_never_arrived_begins_nothing(
    peers: Peers, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codin.task._calls._LOOKS", (0.0, 0.01))
    store = MemoryStore()
    wire.held = asyncio.Event()
    dead = Desk(passes_on, store, transport=wire)
    await dead.submit("hang")
    async with asyncio.timeout(20):
        await wire.sending.wait()
        desk = Desk(passes_on, store, transport=wire)
        await desk.list()
        await desk.manager.close()
    assert wire.asked.count(f"SendMessage {URL}") == 1
    assert wire.asked.count(f"ListTasks {URL}") == 2
    await dead.crash()
    assert [task async for task in peers["clerk"].list()] == []


async def test_only_what_has_no_answer_is_looked_for(peers: Peers, wire: Wire, clerk: Clerk) -> None:
    async def handle(task: Task) -> AgentResponse:
        await task.call(ECHO, "one")
        await task.call(ECHO, "two")
        return await passes_on(task)

    store = MemoryStore()
    dead = await dying(wire, clerk, handle, store)
    desk = Desk(handle, store, transport=wire)
    await desk.list()
    assert await ended(peers) == ["CANCELED"]
    await desk.manager.close()
    await dead.manager.close()
    assert f"ListTasks {ECHO}" not in wire.asked


async def test_a_task_that_asks_has_said_which_of_its_calls_were_answered(wire: Wire) -> None:
    async def handle(task: Task) -> AgentResponse:
        await task.call(ECHO, "one")
        return AgentResponse.completed((await task.ask("which?")).text)

    store = MemoryStore()
    asked = await (desk := Desk(handle, store, transport=wire)).send()
    await desk.manager.close()
    desk = Desk(handle, store, transport=wire)
    assert state_of(await desk.cancel(asked["id"])) == "CANCELED"
    await desk.manager.close()
    assert f"ListTasks {ECHO}" not in wire.asked


async def test_a_refusal_leaves_nothing_to_look_for(wire: Wire) -> None:
    async def handle(task: Task) -> AgentResponse:
        await task.call(URL, "hello", push="nowhere")
        raise AssertionError

    desk = Desk(handle, transport=wire)
    assert state_of(await desk.send()) == "FAILED"
    await desk.manager.close()
    assert f"SendMessage {URL}" in wire.asked
    assert f"ListTasks {URL}" not in wire.asked


async def test_an_agent_that_lists_no_tasks_is_named_in_the_log(
    peers: Peers, wire: Wire, clerk: Clerk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: Peer, **filters: Any) -> None:
        raise a2a.UnsupportedOperation("A2A 0.3 has no such list")

    store = MemoryStore()
    dead = await dying(wire, clerk, passes_on, store)
    with monkeypatch.context() as patched:
        patched.setattr(Peer, "list", refuse)
        desk = Desk(passes_on, store, transport=wire)
        await desk.list()
        await desk.manager.close()
    (said,) = [record.getMessage() for record in caplog.records if record.name == "codin.task"]
    assert f"began at {URL} could not be canceled: A2A 0.3 has no such list" in said
    assert [task.status.state.name async for task in peers["clerk"].list()] == ["WORKING"]
    await dead.manager.close()


@pytest.mark.parametrize("outcome", ["COMPLETED", "FAILED"])
@pytest.mark.parametrize("handed", [False, True])
async def test_a_lost_answer_ends_what_it_was_the_answer_of(
    peers: Peers, wire: Wire, clerk: Clerk, outcome: str, *, handed: bool
) -> None:
    wire.lost = clerk.hanging
    async with connect(URL, transport=wire) as peer:

        async def handle(task: Task) -> AgentResponse:
            try:
                await task.call(peer if handed else URL, task.text)
            except TransportError:
                if outcome == "FAILED":
                    raise
            return AgentResponse.completed("by myself")

        desk = Desk(handle, transport=None if handed else wire)  # who was handed a peer finds no way by itself
        assert state_of(await desk.send("hang")) == outcome
        assert await ended(peers) == ["CANCELED"]
        await desk.manager.close()
