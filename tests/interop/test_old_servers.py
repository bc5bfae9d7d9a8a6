"""codin's client against agents on the official SDKs for A2A 0.3, whose cards have only the fields of 0.3."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest

from codin import a2a
from codin.client import Backoff, Event, Peer, connect
from codin.errors import BadResponse
from tests.interop.conftest import Programs
from tests.interop.proxy import behind, cutting

pytestmark = pytest.mark.anyio

PATIENT = 30.0
SWIFT = Backoff(first=0.01, longest=0.1)
PIECES = "".join(f"piece {number} " for number in range(20))


@pytest.fixture(params=["JSONRPC", "HTTP+JSON"])
def binding(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def peer(old_server: str, binding: str) -> AsyncIterator[Peer]:
    async with asyncio.timeout(PATIENT), connect(old_server, binding=binding, timeout=PATIENT, backoff=SWIFT) as peer:
        yield peer


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events)


async def test_the_card(peer: Peer, old_server: str, binding: str) -> None:
    assert peer.card.name == "official"
    assert peer.card.capabilities.streaming
    assert peer.card.capabilities.extended_agent_card
    interface = peer.interface
    assert (interface.protocol_binding, interface.url, interface.protocol_version) == (binding, old_server, "0.3.0")
    assert [skill.id for skill in peer.card.skills] == ["do"]


@pytest.mark.requirement("VERSION-PIN")
async def test_it_can_be_refused(old_server: str) -> None:
    with pytest.raises(BadResponse, match=r"it offers JSONRPC 0\.3\.0") as refusal:
        async with connect(old_server, versions=("1.0",)):
            pass
    assert refusal.value.hint is not None
    assert "versions=" in refusal.value.hint


async def test_a_question_in_a_stream_is_answered_in_a_stream(peer: Peer) -> None:
    asked = [event async for event in peer.stream("ask colour")]
    assert said(asked) == "Which colour?"
    task = asked[-1].task
    assert task is not None
    answered = [event async for event in peer.stream("green", task_id=task.id, context_id=task.context_id)]
    assert said(answered) == "green"
    assert answered[-1].state == a2a.TaskState.COMPLETED


async def test_a_subscription_to_what_has_ended_gives_the_task(peer: Peer) -> None:
    reply = await peer.send("over")
    assert reply.task_id is not None
    events = [event async for event in peer.subscribe(reply.task_id)]
    assert said(events) == "OVER"
    assert events[-1].state == a2a.TaskState.COMPLETED


async def test_there_is_no_list(peer: Peer) -> None:
    with pytest.raises(a2a.UnsupportedOperation, match=r"speaks A2A 0\.3, which has no ListTasks"):
        async for _ in peer.list():
            pass


async def test_push_configurations(peer: Peer, old_server: str, programs: Programs, binding: str) -> None:
    task_id = (await peer.send("hello")).task_id
    assert task_id is not None
    given = a2a.TaskPushNotificationConfig(url="http://127.0.0.1:9/", id="p", token="t")
    made = await peer.create_push_config(task_id, given)
    assert (made.task_id, made.id, made.url, made.token) == (task_id, "p", given.url, "t")
    assert await peer.get_push_config(task_id, "p") == made
    if binding == "HTTP+JSON" and old_server == programs["old-python server"]:  # it has no resources for the rest
        with pytest.raises(a2a.InternalError):
            await anext(peer.list_push_configs(task_id))
        with pytest.raises(BadResponse, match="405"):
            await peer.delete_push_config(task_id, "p")
        return
    assert [config async for config in peer.list_push_configs(task_id)] == [made]
    await peer.delete_push_config(task_id, "p")
    assert [config async for config in peer.list_push_configs(task_id)] == []


@pytest.mark.parametrize("cut_after", [1500, 3000, 5000])
async def test_a_stream_that_was_cut_tells_the_same_text(old_server: str, binding: str, cut_after: int) -> None:
    """It pauses until each piece has come: what ends while nobody listens, the SDK for Python may never tell."""
    key = uuid.uuid4().hex
    events: list[Event] = []
    async with connect(old_server) as whole:
        card = whole.card
    async with (
        asyncio.timeout(PATIENT),
        cutting(old_server, [cut_after]) as proxy,
        httpx.AsyncClient() as http,
        connect(behind(proxy.url, card), binding=binding, timeout=PATIENT, backoff=SWIFT) as cut,
    ):
        released = 1
        async for event in cut.stream(f"steps 20 {key}"):
            events.append(event)
            for _ in range(released, min(20, said(events).count("piece") + 1)):
                await http.post(f"{old_server}release/{key}")
                released += 1
        assert proxy.connections > 1
    assert said(events) == PIECES
    assert events[-1].state == a2a.TaskState.COMPLETED
