"""Our resume extension: a stream goes on behind any event, of a running or a finished task, and after retention."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from codin.server import App
from codin.task import AgentResponse, TaskStore, open_store
from tests.server.exchange import Exchange
from tests.server.puppet import Puppet, String
from tests.server.rpc import Rpc, message

pytestmark = pytest.mark.anyio

FAR = 2**50  # milliseconds


@pytest.fixture
def puppet() -> Puppet:
    return Puppet()


@pytest.fixture
def string(puppet: Puppet) -> String:
    return puppet.strings["a"]


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TaskStore:
    return open_store("memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'tasks.db'}")


@pytest.fixture
async def app(store: TaskStore, puppet: Puppet) -> AsyncIterator[App]:
    app = App(puppet, store=store)
    async with asyncio.timeout(30):
        yield app
        await app.close()


def sent(app: App, text: str = "a", key: str | None = None, **fields: Any) -> Exchange:
    headers = {} if key is None else {"Idempotency-Key": key}
    return Exchange(app, "SendStreamingMessage", {"message": message(text, **fields)}, headers=headers)


def resumed(app: App, task_id: str, after: int) -> Exchange:
    return Exchange(app, "SubscribeToTask", {"id": task_id}, headers={"Last-Event-ID": str(after)})


def above(stream: Exchange, number: int) -> list[tuple[int, dict[str, Any]]]:
    """The events of a whole stream behind a number. The first one, a Task, stands for the entry of that number."""
    return [event for event in stream.events[1:] if event[0] > number]


async def two_turns(app: App, string: String) -> tuple[Exchange, Exchange]:
    """A task that was asked something in the middle: the stream of its second turn, and one of the whole task."""
    first = sent(app)
    await first.seen(1)
    watching = Exchange(app, "SubscribeToTask", {"id": first.task_id})
    await watching.seen(1)
    await string.write("x", "y")
    string.ask("what?")
    await first.end()
    second = sent(app, "b", taskId=first.task_id)
    await second.seen(1)
    await string.write("z")
    return second, watching


async def test_a_running_task_is_resumed_behind_every_event(app: App, string: String) -> None:
    sending, watching = await two_turns(app, string)
    await sending.seen(2)
    last = sending.numbers[-1]
    streams = {number: resumed(app, sending.task_id, number) for number in range(last + 1)}
    for number, stream in streams.items():
        await stream.seen(len(above(watching, number)))
    await string.write("end")
    string.end()
    await asyncio.gather(watching.end(), *(stream.end() for stream in streams.values()))
    begin = watching.numbers[0]
    for number, stream in streams.items():
        if number >= begin:
            assert stream.events == above(watching, number)
        assert [event for event in stream.events if event[0] > begin] == above(watching, number)
        assert stream.numbers == sorted(set(stream.numbers))
        assert not any("task" in event for _, event in stream.events)


async def test_a_finished_task_is_resumed_behind_every_event_and_the_stream_closes(app: App, string: String) -> None:
    sending, watching = await two_turns(app, string)
    string.end()
    await asyncio.gather(sending.end(), watching.end())
    for number in range(watching.numbers[0], watching.numbers[-1] + 1):
        stream = resumed(app, sending.task_id, number)
        assert await stream.end() == above(watching, number)
    whole = resumed(app, sending.task_id, 0)
    await whole.end()
    assert whole.events[-len(watching.events) + 1 :] == watching.events[1:]


async def test_the_bytes_are_the_same(app: App, string: String) -> None:
    sending = sent(app)
    await sending.seen(1)
    await string.write("ä\u2028 \U0001f600", '"quoted"\n')
    string.end()
    await sending.end()
    head = sending.body.index(b"\n\n") + 2
    stream = resumed(app, sending.task_id, sending.numbers[0])
    await stream.end()
    assert stream.body == sending.body[head:]


async def test_beyond_the_end_there_is_nothing(app: App, string: String) -> None:
    sending = sent(app)
    await string.write("x")
    await sending.seen(2)
    last = sending.numbers[-1]
    assert (await Rpc(app).error("SubscribeToTask", {"id": sending.task_id}, Last_Event_ID=str(last + 1)))[
        "reason"
    ] == "EVENT_NUMBER_UNKNOWN"
    string.end()
    await sending.end()
    last = sending.numbers[-1]
    at_end = resumed(app, sending.task_id, last)
    assert await at_end.end() == []
    assert (await Rpc(app).error("SubscribeToTask", {"id": sending.task_id}, Last_Event_ID=str(last + 1)))[
        "reason"
    ] == "EVENT_NUMBER_UNKNOWN"


async def test_after_retention_the_snapshot_stands_for_what_is_gone(app: App, store: TaskStore, string: String) -> None:
    sending, watching = await two_turns(app, string)
    string.end()
    await asyncio.gather(sending.end(), watching.end())
    task = await Rpc(app).result("GetTask", {"id": sending.task_id})
    await store.trim(chunks_before=FAR, tasks_before=0)
    last = watching.numbers[-1]
    for number in range(last + 1):
        stream = resumed(app, sending.task_id, number)
        events = await stream.end()
        assert stream.numbers == sorted(set(stream.numbers))
        if events and "task" in events[0][1]:
            assert events[0] == (last, {"task": task})
            assert len(events) == 1
        else:  # nothing behind this number is gone
            assert events == above(watching, number)
            assert not any("artifactUpdate" in event for _, event in above(watching, number))
    snapshots = [await resumed(app, sending.task_id, number).end() for number in (0, watching.numbers[1] - 1)]
    assert all("task" in events[0][1] for events in snapshots)


async def test_a_task_that_retention_took_is_unknown(app: App, store: TaskStore, string: String) -> None:
    string.end()
    sending = sent(app)
    await sending.end()
    await store.trim(chunks_before=FAR, tasks_before=FAR)
    for method, headers in (("GetTask", {}), ("SubscribeToTask", {}), ("SubscribeToTask", {"Last_Event_ID": "1"})):
        error = await Rpc(app).error(method, {"id": sending.task_id}, **headers)
        assert error["reason"] == "TASK_NOT_FOUND"


async def test_running_and_parked_tasks_keep_everything(app: App, store: TaskStore, puppet: Puppet) -> None:
    running, parked = sent(app), sent(app, "b")
    await puppet.strings["a"].write("x")
    await puppet.strings["b"].write("x")
    puppet.strings["b"].ask("what?")
    await running.seen(2)
    await parked.end()
    await store.trim(chunks_before=FAR, tasks_before=FAR)
    for stream in (running, parked):
        again = resumed(app, stream.task_id, stream.numbers[0])
        await again.seen(len(stream.events) - 1)
        assert again.events == stream.events[1:]
        again.disconnect()
    assert (await Rpc(app).result("ListTasks"))["totalSize"] == 2
    puppet.strings["a"].end()
    await running.end()


# -- idempotency keys --------------------------------------------------------------------------------------------------


async def test_the_same_key_gets_the_same_stream(app: App, string: String) -> None:
    first = sent(app, key="k")
    await string.write("x")
    await first.seen(2)
    meanwhile = sent(app, key="k")
    await meanwhile.seen(2)
    string.end()
    await asyncio.gather(first.end(), meanwhile.end())
    afterwards = sent(app, key="k")
    await afterwards.end()
    assert meanwhile.body == first.body
    assert afterwards.body == first.body
    assert (await Rpc(app).result("ListTasks"))["totalSize"] == 1


async def test_the_same_key_at_the_same_moment_makes_one_task(app: App, string: String) -> None:
    streams = [sent(app, key="k") for _ in range(5)]
    unary = [
        Exchange(app, "SendMessage", {"message": message("a")}, headers={"Idempotency-Key": "k"}) for _ in range(5)
    ]
    await string.write("x")
    string.end()
    await asyncio.gather(*(exchange.end() for exchange in streams + unary))
    assert len({stream.body for stream in streams}) == 1
    tasks = [json.loads(exchange.body)["result"]["task"] for exchange in unary]
    assert all(task == tasks[0] for task in tasks)
    assert tasks[0]["id"] == streams[0].task_id
    assert (await Rpc(app).result("ListTasks"))["totalSize"] == 1


async def test_the_key_of_an_answer_gets_that_turn(app: App, string: String) -> None:
    first = sent(app, key="one")
    await string.write("x")
    string.ask("what?")
    await first.end()
    second = sent(app, "b", key="two", taskId=first.task_id)
    await second.seen(1)
    await string.write("y")
    string.end(AgentResponse.completed("xy"))
    await second.end()
    assert await sent(app, "b", key="two", taskId=first.task_id).end() == second.events
    again = sent(app, key="one")
    assert await again.end() == first.events


async def test_a_failed_send_leaves_its_key_free(app: App, string: String) -> None:
    headers = {"Idempotency_Key": "k"}
    error = await Rpc(app).error("SendMessage", {"message": message("a", taskId="nope")}, **headers)
    assert error["reason"] == "TASK_NOT_FOUND"
    string.end()
    task = (await Rpc(app).result("SendMessage", {"message": message("a")}, **headers))["task"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_key_whose_client_went_away_is_kept(app: App, string: String) -> None:
    first = sent(app, key="k")
    await first.seen(1)
    first.disconnect()
    await first.running
    again = sent(app, key="k")
    await again.seen(1)
    string.end()
    await again.end()
    assert again.task_id == first.task_id


@pytest.mark.parametrize("key", ["", "x" * 257])
async def test_a_key_that_is_none(app: App, key: str) -> None:
    error = await Rpc(app).error("SendMessage", {"message": message("a")}, Idempotency_Key=key)
    assert error["code"] == -32600
