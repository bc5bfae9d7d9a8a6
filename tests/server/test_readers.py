"""Readers that are slow, silent, many or gone: none of them touches a run, and none leaves anything behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from codin.server import App, ServerLimits
from codin.task import Limits
from tests.server.clock import Clock, still, turns
from tests.server.exchange import Exchange, eventually, state_of
from tests.server.puppet import Puppet
from tests.server.rpc import Rpc, message
from tests.server.sockets import RawClient, listening

pytestmark = pytest.mark.anyio

BIG = "x" * 100_000
BRIEF = ServerLimits(send_timeout=0.2)


def sent(app: App, text: str = "a", **options: Any) -> Exchange:
    return Exchange(app, "SendStreamingMessage", {"message": message(text)}, **options)


@asynccontextmanager
async def nothing_left(app: App) -> AsyncGenerator[None]:
    """Fails when asyncio tasks or streams are left over."""
    await app.start()
    before = asyncio.all_tasks()
    async with asyncio.timeout(20):
        yield
        await turns()
    left = asyncio.all_tasks() - before
    assert not left, left
    assert app.open_streams == 0


async def completed(app: App, task_id: str) -> dict[str, Any]:
    """The task, when it has ended."""
    watching = Exchange(app, "SubscribeToTask", {"id": task_id}, headers={"Last-Event-ID": "1"})
    await watching.end()
    task = await Rpc(app).result("GetTask", {"id": task_id})
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    return task


@pytest.fixture
async def clock() -> AsyncIterator[Clock]:
    with still() as clock:
        yield clock


# -- silence -----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("SSE-KEEP-ALIVE")
async def test_a_silent_stream_gets_comments(clock: Clock) -> None:
    puppet = Puppet()
    app = App(puppet, server_limits=ServerLimits(keep_alive=15.0))
    stream = sent(app)
    await stream.seen(1)
    await clock.advance(6)
    assert stream.comments == 0
    for count in range(1, 4):
        for _ in range(2):
            await clock.advance(7.5)  # a comment is there before 15 s are over
        assert stream.comments >= count
    assert len(stream.events) == 1
    await puppet.strings["a"].write("x")
    await stream.seen(2)
    puppet.strings["a"].end()
    await stream.end()
    assert state_of(stream.events[-1][1]) == "TASK_STATE_COMPLETED"


async def test_a_parked_subscription_stays_alive(clock: Clock) -> None:
    puppet = Puppet()
    app = App(puppet)
    stream = sent(app)
    puppet.strings["a"].ask("what?")
    await stream.end()
    watching = Exchange(app, "SubscribeToTask", {"id": stream.task_id})
    await watching.seen(1)
    for _ in range(100):
        await clock.advance(15)
    assert watching.comments >= 100
    assert app.open_streams == 1
    watching.disconnect()
    await watching.running
    assert app.open_streams == 0


# -- clients that go away ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("STREAM-OUTLIVED")
@pytest.mark.parametrize("event", range(6))
@pytest.mark.parametrize("method", ["SendStreamingMessage", "SubscribeToTask"])
async def test_a_client_that_goes_away_at_any_event(event: int, method: str) -> None:
    puppet = Puppet()
    string = puppet.strings["a"]
    app = App(puppet)
    async with nothing_left(app):
        stream = sent(app)
        await stream.seen(1)
        if method == "SubscribeToTask":
            task_id = stream.task_id
            stream.disconnect()
            stream = Exchange(app, "SubscribeToTask", {"id": task_id})
            await stream.seen(1)
        for count in range(4):
            if count == event:
                stream.disconnect()
                await stream.running
                assert app.open_streams == 0
            await string.write(str(count))
            if count < event:
                await stream.seen(count + 2)
        if event == 4:
            stream.disconnect()
        string.end()
        task = await completed(app, stream.task_id)
        assert task["artifacts"][0]["parts"] == [{"text": "0123"}]
        await stream.running


async def test_a_client_that_does_not_wait_for_its_answer() -> None:
    puppet = Puppet()
    app = App(puppet)
    async with nothing_left(app):
        sending = Exchange(app, "SendMessage", {"message": message("a")})
        await puppet.strings["a"].write("x")
        sending.disconnect()
        puppet.strings["a"].end()
        await sending.running
        [task] = (await Rpc(app).result("ListTasks"))["tasks"]
        assert task["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_request_that_is_cut_down_by_its_server_leaves_the_run_alone() -> None:
    puppet = Puppet()
    app = App(puppet)
    async with nothing_left(app):
        for method in ("SendMessage", "SendStreamingMessage"):
            sending = Exchange(app, method, {"message": message(method)})
            await puppet.strings[method].write("x")
            sending.running.cancel()
            await asyncio.wait({sending.running})
            assert sending.running.cancelled()
            await puppet.strings[method].write("y")
            puppet.strings[method].end()
        await turns()
        page = await Rpc(app).result("ListTasks", {"includeArtifacts": True})
        assert [task["artifacts"][0]["parts"] for task in page["tasks"]] == [[{"text": "xy"}]] * 2


@pytest.mark.parametrize("hang_up", ["close", "reset"])
async def test_a_connection_that_breaks_at_any_event(hang_up: str) -> None:
    puppet = Puppet()
    app = App(puppet, server_limits=ServerLimits(keep_alive=0.05))
    async with listening(app) as served:
        for event in range(4):
            string = puppet.strings[str(event)]
            client = await RawClient.call(served.url, "SendStreamingMessage", {"message": message(str(event))})
            await client.seen(1)
            for count in range(4):
                if count == event:
                    getattr(client, hang_up)()
                await string.write(str(count))
            string.end()
            await completed(app, client.task_id)
            await eventually(lambda: app.open_streams == 0)


# -- clients that do not read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("takes", range(4))
async def test_a_reader_that_stops_is_cut_off_and_the_task_goes_on(takes: int) -> None:
    puppet = Puppet()
    app = App(puppet, server_limits=ServerLimits(send_timeout=0.05))
    async with nothing_left(app):
        stream = sent(app, takes=takes)
        for count in range(4):
            await puppet.strings["a"].write(str(count))
        await stream.running
        assert not stream.complete
        assert app.open_streams == 0
        assert not puppet.strings["a"].stopped.is_set()
        puppet.strings["a"].end()
        await turns()
        [task] = (await Rpc(app).result("ListTasks", {"includeArtifacts": True}))["tasks"]
        assert task["status"]["state"] == "TASK_STATE_COMPLETED"
        assert task["artifacts"][0]["parts"] == [{"text": "0123"}]


async def test_a_reader_that_does_not_take_the_end_is_cut_off() -> None:
    puppet = Puppet()
    app = App(puppet, server_limits=ServerLimits(send_timeout=0.05))
    async with nothing_left(app):
        stream = sent(app, takes=2)
        await stream.seen(1)
        puppet.strings["a"].end()
        await stream.running
        assert state_of(stream.events[-1][1]) == "TASK_STATE_COMPLETED"
        assert not stream.complete


async def test_a_long_silence_does_not_count_as_a_slow_reader(clock: Clock) -> None:
    puppet = Puppet()
    app = App(puppet, server_limits=ServerLimits(keep_alive=1000.0, send_timeout=10.0))
    stream = sent(app, takes=1)
    await stream.seen(1)
    await clock.advance(300)  # nobody says anything
    await puppet.strings["a"].write("x")  # and this is not taken
    for _ in range(2):
        await clock.advance(4)
        assert not stream.running.done()
    for _ in range(3):
        await clock.advance(6)
    assert stream.running.done()
    puppet.strings["a"].end()
    await turns()
    assert puppet.strings["a"].stopped.is_set()


async def test_a_real_reader_that_takes_nothing() -> None:
    puppet = Puppet()
    string = puppet.strings["a"]
    app = App(puppet, server_limits=ServerLimits(send_timeout=10.0))
    async with listening(app) as served:
        client = await RawClient.call(
            served.url, "SendStreamingMessage", {"message": message("a")}, receive_buffer=4096
        )
        await client.seen(1)
        other = await RawClient.call(served.url, "SubscribeToTask", {"id": client.task_id})
        await other.seen(1)
        with still() as clock:
            for _ in range(40):
                await string.write(BIG)
            await other.seen(41)
            for _ in range(4):
                await clock.advance(6)
        await eventually(lambda: app.open_streams == 1)  # the one that reads nothing goes, the other one stays
        await eventually(lambda: served.connections == 1)  # and nothing is kept for it
        reading = asyncio.ensure_future(other.end())
        await string.write("end")
        string.end()
        await reading
        assert state_of(other.events[-1][1]) == "TASK_STATE_COMPLETED"
        with pytest.raises((ConnectionError, AssertionError)):
            await client.end()  # cut off, and not properly ended
        client.close()


async def test_a_real_reader_that_takes_a_byte_now_and_then() -> None:
    puppet = Puppet()
    string = puppet.strings["a"]
    app = App(puppet, server_limits=BRIEF)
    async with listening(app) as served:
        client = await RawClient.call(
            served.url, "SendStreamingMessage", {"message": message("a")}, receive_buffer=4096
        )
        with closing(client):
            await client.seen(1)
            sipping = asyncio.ensure_future(_sip(client))
            for _ in range(40):
                await string.write(BIG)
            await eventually(lambda: app.open_streams == 0)
            assert not client.ended
            sipping.cancel()
        await string.write("end")
        string.end()
        await completed(app, client.task_id)


async def _sip(client: RawClient) -> None:
    while await client.read(1):  # noqa: ASYNC110 - slowness is what this is about
        await asyncio.sleep(0.01)


# -- too many ----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("AUTH-LOAD")
@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_streams_are_bounded(store: str, tmp_path: Path) -> None:
    puppet = Puppet()
    url = "memory://" if store == "memory" else f"sqlite:///{tmp_path / 'tasks.db'}"
    app = App(puppet, store=url, server_limits=ServerLimits(max_streams=3))
    async with asyncio.timeout(20):
        streams = [sent(app) for _ in range(10)]
        refused = [stream for stream in streams if "error" in await _begin(stream)]
        assert len(refused) == 7
        for stream in refused:
            body = await stream.json()
            assert (stream.status, body["error"]["code"]) == (200, -32050)
            assert stream.headers["retry-after"] == "1"
        rpc = Rpc(app)
        assert (await rpc.result("ListTasks"))["totalSize"] == 3
        taken = [stream for stream in streams if stream not in refused]
        assert (await rpc.error("SubscribeToTask", {"id": taken[0].task_id}))["reason"] == "OVERLOADED"
        taken[0].disconnect()
        await taken[0].running
        again = Exchange(app, "SubscribeToTask", {"id": taken[0].task_id})
        await again.seen(1)
        assert app.open_streams == 3
        for _ in range(3):
            puppet.strings["a"].end()
        await asyncio.gather(*(stream.end() for stream in (again, *taken[1:])))
        await app.close()


async def _begin(stream: Exchange) -> dict[str, Any]:
    """The first event, or the error that came instead."""
    await stream.until(lambda: stream.complete or bool(stream.events))
    return await stream.json() if not stream.events else stream.events[0][1]


async def test_an_error_gives_its_place_back() -> None:
    app = App(Puppet(), server_limits=ServerLimits(max_streams=1))
    rpc = Rpc(app)
    for _ in range(3):
        assert (await rpc.error("SubscribeToTask", {"id": "nope"}))["reason"] == "TASK_NOT_FOUND"
        assert (await rpc.error("SendStreamingMessage", {"message": message(taskId="nope")}))["code"] == -32001


async def test_running_turns_are_bounded() -> None:
    puppet = Puppet()
    app = App(puppet, limits=Limits(max_running=2))
    running = [sent(app), sent(app)]
    for stream in running:
        await stream.seen(1)
    for method in ("SendMessage", "SendStreamingMessage"):
        refused = Exchange(app, method, {"message": message("late")})
        assert (await refused.json())["error"]["code"] == -32050
        assert int(refused.headers["retry-after"]) >= 1
    for _ in range(2):
        puppet.strings["a"].end()
    await asyncio.gather(*(stream.end() for stream in running))
    puppet.strings["late"].end()
    assert (await Rpc(app).send("late"))["status"]["state"] == "TASK_STATE_COMPLETED"
    assert (await Rpc(app).result("ListTasks"))["totalSize"] == 3


async def test_waiting_tasks_are_bounded() -> None:
    puppet = Puppet()
    app = App(puppet, limits=Limits(max_waiting=2))
    params = {"message": message("a", contextId="c"), "configuration": {"returnImmediately": True}}
    rpc = Rpc(app)
    states = [(await rpc.result("SendMessage", params))["task"]["status"]["state"] for _ in range(3)]
    assert states == ["TASK_STATE_WORKING", "TASK_STATE_SUBMITTED", "TASK_STATE_SUBMITTED"]
    assert (await rpc.error("SendMessage", params))["reason"] == "OVERLOADED"
    assert (await rpc.result("ListTasks"))["totalSize"] == 3
    for _ in range(3):
        puppet.strings["a"].end()
    await turns(50)
    page = await rpc.result("ListTasks", {"status": "TASK_STATE_COMPLETED"})
    assert page["totalSize"] == 3
