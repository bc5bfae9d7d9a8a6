"""SendStreamingMessage, SubscribeToTask: what a stream begins with, what follows, where it ends. Spec 3.1.2, 3.1.6."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from codin.server import RESUME, App
from codin.task import AgentResponse
from tests.server.exchange import Exchange, state_of
from tests.server.puppet import Puppet, String
from tests.server.rpc import Rpc, message

pytestmark = pytest.mark.anyio

AT_ONCE = {"configuration": {"returnImmediately": True}}


@pytest.fixture
def puppet() -> Puppet:
    return Puppet()


@pytest.fixture
def string(puppet: Puppet) -> String:
    return puppet.strings["a"]


@pytest.fixture(params=["memory", "sqlite"])
async def app(request: pytest.FixtureRequest, puppet: Puppet, tmp_path: Path) -> AsyncIterator[App]:
    app = App(puppet, store="memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'tasks.db'}")
    async with asyncio.timeout(20):
        yield app
        await app.close()


def sent(app: App, text: str = "a", **fields: Any) -> Exchange:
    return Exchange(app, "SendStreamingMessage", {"message": message(text, **fields)})


def subscribed(app: App, task_id: str, after: int | None = None) -> Exchange:
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    return Exchange(app, "SubscribeToTask", {"id": task_id}, headers=headers)


def kinds(stream: Exchange) -> list[str]:
    """The kind or state of each event."""
    return [(state_of(event) or "artifact").removeprefix("TASK_STATE_") for _, event in stream.events]


async def test_a_stream_begins_with_the_task_and_ends_with_its_state(app: App, string: String) -> None:
    stream = sent(app)
    await stream.seen(1)
    first = stream.events[0][1]["task"]
    assert first["status"]["state"] == "TASK_STATE_WORKING"
    assert [entry["parts"] for entry in first["history"]] == [[{"text": "a"}]]
    assert "artifacts" not in first
    await string.write("x", "y")
    string.end()
    await stream.end()
    assert kinds(stream) == ["WORKING", "artifact", "artifact", "artifact", "COMPLETED"]
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert stream.headers["cache-control"] == "no-store"
    updates = [event["artifactUpdate"] for _, event in stream.events if "artifactUpdate" in event]
    assert [update["artifact"]["parts"][0]["text"] for update in updates] == ["x", "y", "xy"]
    assert [(update.get("append"), update.get("lastChunk")) for update in updates] == [
        (None, None),
        (True, None),
        (None, True),
    ]
    assert {update["taskId"] for update in updates} == {first["id"]}


@pytest.mark.requirement("RPC-STREAM")
async def test_every_event_is_a_whole_answer_to_the_call(app: App, string: String) -> None:
    stream = sent(app)
    string.end(AgentResponse.completed("x"))
    await stream.end()
    blocks = stream.body.decode().removesuffix("\n\n").split("\n\n")
    assert len(blocks) == len(stream.events)
    for (number, _), block in zip(stream.events, blocks, strict=True):
        lines = block.split("\n")
        assert lines[0] == f"id: {number}"
        assert lines[1].startswith('data: {"jsonrpc":"2.0","id":7,"result":{')
        assert len(lines) == 2


async def test_numbers_rise_strictly_over_all_turns(app: App, string: String) -> None:
    first = sent(app)
    await string.write("x")
    string.ask("what?")
    await first.end()
    assert kinds(first)[-1] == "INPUT_REQUIRED"
    second = sent(app, "b", taskId=first.task_id)
    await second.seen(1)
    await string.write("y")
    string.end()
    await second.end()
    numbers = first.numbers + second.numbers
    assert numbers == sorted(set(numbers))
    assert second.events[0][1]["task"]["artifacts"][0]["parts"] == [{"text": "x"}]
    assert kinds(second) == ["WORKING", "artifact", "artifact", "COMPLETED"]


async def test_a_send_stream_stays_open_at_auth_required(app: App, string: String) -> None:
    stream = sent(app)
    string.authorize("a key, please")
    await stream.state("AUTH_REQUIRED")
    answer = await Rpc(app).result("SendMessage", {"message": message("k", taskId=stream.task_id)} | AT_ONCE)
    assert answer["task"]["status"]["state"] == "TASK_STATE_WORKING"
    await string.write("x")
    await stream.seen(4)
    assert not stream.complete
    string.end()
    await stream.end()
    assert kinds(stream) == ["WORKING", "AUTH_REQUIRED", "WORKING", "artifact", "artifact", "COMPLETED"]


async def test_a_subscription_stays_open_at_input_required(app: App, string: String) -> None:
    sending = sent(app)
    await sending.seen(1)
    stream = subscribed(app, sending.task_id)
    string.ask("what?")
    await sending.end()
    await stream.state("INPUT_REQUIRED")
    assert not stream.complete
    await Rpc(app).result("SendMessage", {"message": message("b", taskId=sending.task_id)} | AT_ONCE)
    string.end()
    await stream.end()
    assert kinds(stream) == ["WORKING", "INPUT_REQUIRED", "WORKING", "COMPLETED"]


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "REJECTED", "CANCELED"])
async def test_every_stream_ends_with_the_task(app: App, string: String, state: str) -> None:
    sending = sent(app)
    await sending.seen(1)
    watching = subscribed(app, sending.task_id)
    await watching.seen(1)
    if state == "CANCELED":
        await Rpc(app).result("CancelTask", {"id": sending.task_id})
    else:
        string.end(getattr(AgentResponse, state.lower())("because"))
    for stream in (sending, watching):
        await stream.end()
        assert kinds(stream)[-1] == state


async def test_a_subscription_begins_with_what_there_is(app: App, string: String) -> None:
    sending = sent(app)
    await string.write("x", "y")
    await sending.seen(3)
    stream = subscribed(app, sending.task_id)
    await stream.seen(1)
    number, event = stream.events[0]
    assert number == sending.numbers[-1]
    assert event["task"]["artifacts"][0]["parts"] == [{"text": "xy"}]
    await string.write("z")
    string.end()
    await asyncio.gather(sending.end(), stream.end())
    assert stream.events[1:] == sending.events[3:]


@pytest.mark.requirement("STREAM-SAME-FOR-ALL")
async def test_all_subscribers_see_the_same(app: App, string: String) -> None:
    sending = sent(app)
    await sending.seen(1)
    streams = [sending]
    for count in range(6):
        streams.append(subscribed(app, sending.task_id))
        await streams[-1].seen(1)
        await string.write(f"chunk {count} ")
    string.end()
    for stream in streams:
        await stream.end()
        begins = stream.numbers[0]
        assert stream.events[1:] == [event for event in sending.events if event[0] > begins]


async def test_a_task_that_was_sent_without_a_stream_can_be_subscribed_to(app: App, string: String) -> None:
    task = (await Rpc(app).result("SendMessage", {"message": message("a")} | AT_ONCE))["task"]
    stream = subscribed(app, task["id"])
    await stream.seen(1)
    string.end(AgentResponse.completed("x"))
    await stream.end()
    assert kinds(stream) == ["WORKING", "artifact", "COMPLETED"]


async def test_a_queued_task_streams_its_wait(app: App, puppet: Puppet, string: String) -> None:
    first = sent(app, contextId="c")
    await first.seen(1)
    second = sent(app, "b", contextId="c")
    await second.seen(1)
    assert kinds(second) == ["SUBMITTED"]
    string.end()
    await first.end()
    await second.state("WORKING")
    puppet.strings["b"].end()
    await second.end()
    assert kinds(second) == ["SUBMITTED", "WORKING", "COMPLETED"]


@pytest.mark.requirement("STREAM-REFUSED")
async def test_errors_before_a_stream_are_plain_answers(app: App) -> None:
    for method, params in (
        ("SendStreamingMessage", {}),
        ("SendStreamingMessage", {"message": message(taskId="nope")}),
        ("SubscribeToTask", {"id": "nope"}),
    ):
        failed = Exchange(app, method, params)
        assert "error" in await failed.json()
        assert failed.headers["content-type"] == "application/json"


async def test_extensions_are_echoed_when_they_are_named(app: App, string: String) -> None:
    string.end()
    plain = sent(app)
    await plain.end()
    assert "a2a-extensions" not in plain.headers
    for named in (RESUME, f"urn:other, {RESUME}"):
        for method in ("SendStreamingMessage", "SendMessage"):
            string.end()
            exchange = Exchange(app, method, {"message": message("a")}, headers={"A2A-Extensions": named})
            await exchange.end()
            assert exchange.headers["a2a-extensions"] == RESUME
    string.end()
    other = Exchange(app, "SendMessage", {"message": message("a")}, headers={"A2A-Extensions": "urn:other"})
    assert "result" in await other.json()
    assert "a2a-extensions" not in other.headers
