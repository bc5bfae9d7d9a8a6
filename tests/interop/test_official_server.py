"""codin's client against an agent on an official SDK, the Python one and the JavaScript one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from codin import a2a
from codin.client import Backoff, Event, Peer, begun_by, connect
from codin.errors import TransportError
from tests.interop.proxy import behind, cutting

pytestmark = pytest.mark.anyio

PATIENT = 30.0
SWIFT = Backoff(first=0.01, longest=0.1)
PIECES = "".join(f"piece {number} " for number in range(20))


@pytest.fixture(params=["JSONRPC", "HTTP+JSON"])
def binding(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=["httpx", "asyncio"])
async def peer(official_server: str, binding: str, request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    opening = connect(official_server, transport=request.param, timeout=PATIENT, backoff=SWIFT, binding=binding)
    async with opening as peer:
        yield peer


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events)


async def test_the_card(peer: Peer) -> None:
    assert peer.card.name == "official"
    assert peer.card.capabilities.streaming
    assert [skill.id for skill in peer.card.skills] == ["do"]


async def test_a_question_in_a_stream_is_answered_in_a_stream(peer: Peer) -> None:
    asked = [event async for event in peer.stream("ask colour")]
    assert said(asked) == "Which colour?"
    task = asked[-1].task
    assert task is not None
    answered = [event async for event in peer.stream("green", task_id=task.id, context_id=task.context_id)]
    assert said(answered) == "green"
    assert answered[-1].state == a2a.TaskState.COMPLETED


async def test_get_and_list(peer: Peer) -> None:
    context = (await peer.send("first")).context_id
    tasks = [(await peer.send(f"number {number}", context_id=context)).task_id for number in range(5)]
    listed = [task.id async for task in peer.list(context_id=context, page_size=2)]
    assert len(listed) == 6
    assert set(tasks) < set(listed)
    completed = [task async for task in peer.list(context_id=context, status=a2a.TaskState.COMPLETED)]
    assert all(task.artifacts == [] for task in completed)
    assert len(completed) == 6
    assert (await peer.get(listed[0], history_length=0)).history == []


async def test_what_a_plain_send_began_is_found_by_its_message(peer: Peer) -> None:
    context, name = uuid4().hex, uuid4().hex
    message = a2a.Message(message_id=name, role=a2a.Role.USER, parts=[a2a.Part(text="slow")], context_id=context)
    sending = asyncio.ensure_future(peer.send(message))
    async with asyncio.timeout(PATIENT):
        while (task := await begun_by(peer, name, context)) is None:
            assert not sending.done()
        assert await begun_by(peer, "another", context) is None
        assert (await peer.cancel(task.id)).status.state == a2a.TaskState.CANCELED
        assert (await sending).task_id == task.id


async def test_subscribe_and_cancel(peer: Peer) -> None:
    task_id = (await peer.send("slow", wait=False)).task_id
    assert task_id is not None
    seen: list[Event] = []
    canceled = False  # the server may tell more before it tells the end
    async with asyncio.timeout(PATIENT):
        async for event in peer.subscribe(task_id):
            seen.append(event)
            if said(seen) and not canceled:
                canceled = True
                assert (await peer.cancel(task_id)).status.state == a2a.TaskState.CANCELED
    assert seen[0].kind == "task"
    assert said(seen) == "piece 0 "
    assert seen[-1].state == a2a.TaskState.CANCELED


async def test_a_subscription_to_what_has_ended_gives_the_task(peer: Peer) -> None:
    reply = await peer.send("over")
    assert reply.task_id is not None
    (event,) = [event async for event in peer.subscribe(reply.task_id)]
    assert (event.kind, event.text, event.state) == ("task", "OVER", a2a.TaskState.COMPLETED)


async def test_failures_are_typed(peer: Peer) -> None:
    assert (await peer.send("fail no paper")).state == a2a.TaskState.FAILED
    done = await peer.send("done")
    assert done.task_id is not None
    with pytest.raises(a2a.TaskNotFound):
        await peer.get("no such task")
    with pytest.raises(a2a.TaskNotFound):
        await peer.send("more", task_id="no such task")
    with pytest.raises(a2a.TaskNotFound):
        async for _ in peer.subscribe("no such task"):
            pass
    with pytest.raises(a2a.TaskNotCancelable):
        await peer.cancel(done.task_id)
    with pytest.raises(a2a.UnsupportedOperation):
        await peer.send("more", task_id=done.task_id)


async def test_an_agent_that_crashes(peer: Peer) -> None:
    """One SDK answers with an error, the other with a task that has failed."""
    try:
        state = (await peer.send("crash")).state
    except a2a.InternalError:
        state = a2a.TaskState.FAILED
    assert state == a2a.TaskState.FAILED


# Cuts. The proxy stands between the client and the server; the card names the proxy.


@pytest.fixture
async def card(official_server: str) -> a2a.AgentCard:
    async with connect(official_server) as peer:
        return peer.card


@pytest.mark.parametrize("cut_after", [1000, 1500, 2500, 4000, 5500])
async def test_a_stream_cut_anywhere_tells_the_same_text(
    official_server: str, card: a2a.AgentCard, binding: str, cut_after: int
) -> None:
    async with (
        asyncio.timeout(PATIENT),
        cutting(official_server, [cut_after, cut_after]) as proxy,
        connect(behind(proxy.url, card), timeout=PATIENT, backoff=SWIFT, binding=binding) as cut,
    ):
        events = [event async for event in cut.stream("chunks 20")]
        assert proxy.connections > 1
    assert said(events) == PIECES
    last = events[-1].task
    assert last is not None
    assert last.status.state == a2a.TaskState.COMPLETED
    assert a2a.text_of(last.artifacts[0].parts) == PIECES


async def test_a_message_whose_task_is_not_known_yet_is_not_sent_twice(
    official_server: str, card: a2a.AgentCard, binding: str
) -> None:
    async with (
        cutting(official_server, [100]) as proxy,
        connect(behind(proxy.url, card), timeout=PATIENT, backoff=SWIFT, binding=binding) as cut,
    ):
        with pytest.raises(TransportError):
            async for _ in cut.stream("chunks 20"):
                pass
        assert proxy.connections == 1
