"""What a task has begun at other agents ends with it, also when it was left there with a question."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from codin import a2a
from codin.client import Event, Peer
from codin.net import MemoryTransport
from codin.task import AgentResponse, Limits, MemoryStore, NeedInput, Task
from codin.testing import Peers, mesh
from tests.server.clock import pass_time
from tests.task.desk import Desk, message_of, state_of, text_of

pytestmark = pytest.mark.anyio

URL = "http://clerk.test/"


class Clerk:
    """Asks what it is sent, and repeats the answer; or hangs; or takes its time."""

    id = name = "clerk"
    description = "Asks."
    tools = ()

    def __init__(self) -> None:
        self.hanging = asyncio.Event()
        self.hurry = asyncio.Event()

    async def handle(self, task: Task) -> AgentResponse:
        if task.text == "hang":
            self.hanging.set()
            await asyncio.Event().wait()
        if task.text == "slowly?":
            await self.hurry.wait()
        return AgentResponse.completed((await task.ask(task.text)).text)


class Insisting(Clerk):
    """Is never content with an answer."""

    async def handle(self, task: Task) -> AgentResponse:
        return AgentResponse.input_required("and?")


@pytest.fixture
def clerk() -> Clerk:
    return Clerk()


@pytest.fixture
async def peers(clerk: Clerk) -> AsyncIterator[Peers]:
    async with mesh(clerk) as peers:
        yield peers


def desk_of(peers: Peers, handler: Any, store: MemoryStore | None = None, **options: Any) -> Desk:
    return Desk(handler, store, transport=peers.transport, **options)


async def states(peers: Peers) -> list[str]:
    return [task.status.state.name async for task in peers["clerk"].list()]


async def ended(peers: Peers) -> list[str]:
    """The states of the clerk's tasks, once all have ended."""
    async with asyncio.timeout(20):
        async for task in peers["clerk"].list():
            if not task.status.state.terminal:
                async for _ in peers["clerk"].subscribe(task.id):
                    pass
    return sorted(await states(peers))


async def passes_on(task: Task) -> AgentResponse:
    """Lets its caller answer the clerk, and keeps its coroutine for that."""
    reply = await task.call(URL, task.text)
    answer = await task.ask(reply.text)
    reply = await task.call(URL, answer.text, task_id=reply.task_id, context_id=reply.context_id)
    return AgentResponse.completed(reply.text)


async def pauses(task: Task) -> AgentResponse:
    """The same by a pause, as frameworks with checkpoints of their own do it."""
    place: dict[str, Any] = task.resume or {}
    reply = await task.call(URL, task.text, **place)
    if reply.state is a2a.TaskState.INPUT_REQUIRED:
        raise NeedInput(reply.text, token={"task_id": reply.task_id, "context_id": reply.context_id})
    return AgentResponse.completed(reply.text)


async def watches(task: Task) -> AgentResponse:
    """Streams its calls."""

    async def ignore(event: Event) -> None:
        """Nothing is done with it."""

    reply = await task.call(URL, task.text, on_event=ignore)
    answer = await task.ask(reply.text)
    reply = await task.call(URL, answer.text, task_id=reply.task_id, context_id=reply.context_id, on_event=ignore)
    return AgentResponse.completed(reply.text)


HANDLERS = pytest.mark.parametrize("handler", [passes_on, pauses, watches], ids=lambda each: each.__name__)


@HANDLERS
async def test_a_cancel_reaches_the_agent_that_has_asked(peers: Peers, handler: Any) -> None:
    desk = desk_of(peers, handler)
    asked = await desk.send("which?")
    assert (state_of(asked), message_of(asked)) == ("INPUT_REQUIRED", "which?")
    assert await states(peers) == ["INPUT_REQUIRED"]
    assert state_of(await desk.cancel(asked["id"])) == "CANCELED"
    assert await ended(peers) == ["CANCELED"]
    await desk.manager.close()


@HANDLERS
async def test_an_answer_is_taken_by_the_task_that_has_asked(peers: Peers, handler: Any) -> None:
    desk = desk_of(peers, handler)
    asked = await desk.send("which?")
    done = await desk.send("this", task_id=asked["id"])
    assert (state_of(done), text_of(done)) == ("COMPLETED", "this")
    await desk.manager.close()
    assert await states(peers) == ["COMPLETED"]


@HANDLERS
async def test_a_cancel_after_a_restart_reaches_it(peers: Peers, handler: Any) -> None:
    store = MemoryStore()
    asked = await (desk := desk_of(peers, handler, store)).send("which?")
    await desk.manager.close()
    assert await states(peers) == ["INPUT_REQUIRED"]
    desk = desk_of(peers, handler, store)
    await desk.cancel(asked["id"])
    assert await ended(peers) == ["CANCELED"]
    await desk.manager.close()


async def test_a_cancel_reaches_it_when_the_coroutine_is_gone(peers: Peers) -> None:
    gone = asyncio.Event()

    async def handle(task: Task) -> AgentResponse:
        try:
            return await passes_on(task)
        finally:
            gone.set()

    desk = desk_of(peers, handle, limits=Limits(park_timeout=0.0))
    asked = await desk.send("which?")
    async with asyncio.timeout(20):
        await gone.wait()
    assert await states(peers) == ["INPUT_REQUIRED"]
    await desk.cancel(asked["id"])
    assert await ended(peers) == ["CANCELED"]
    await desk.manager.close()


async def test_what_a_second_run_begins_again_is_called_off_at_the_end(peers: Peers) -> None:
    store = MemoryStore()
    asked = await (desk := desk_of(peers, passes_on, store)).send("which?")
    await desk.manager.close()
    desk = desk_of(peers, passes_on, store)
    done = await desk.send("this", task_id=asked["id"])
    assert text_of(done) == "this"
    assert await ended(peers) == ["CANCELED", "COMPLETED"]
    await desk.manager.close()


@pytest.mark.parametrize("outcome", ["COMPLETED", "FAILED", "REJECTED"])
async def test_a_task_that_ends_without_an_answer_calls_off(peers: Peers, outcome: str) -> None:
    async def handle(task: Task) -> AgentResponse:
        await task.call(URL, "which?")
        if outcome == "FAILED":
            raise ValueError("broken")
        return AgentResponse.completed("never mind") if outcome == "COMPLETED" else AgentResponse.rejected("no")

    desk = desk_of(peers, handle)
    assert state_of(await desk.send()) == outcome
    assert await ended(peers) == ["CANCELED"]
    await desk.manager.close()


async def test_a_task_that_runs_out_of_time_calls_off(peers: Peers) -> None:
    async def handle(task: Task) -> AgentResponse:
        await task.call(URL, "which?")
        pass_time(60)
        await asyncio.Event().wait()
        return AgentResponse.completed()

    desk = desk_of(peers, handle, limits=Limits(run_timeout=60))
    assert state_of(await desk.send()) == "FAILED"
    assert await ended(peers) == ["CANCELED"]
    await desk.manager.close()


async def test_a_server_that_is_shut_down_calls_off_before_it_goes(peers: Peers) -> None:
    called = asyncio.Event()

    async def handle(task: Task) -> AgentResponse:
        await task.call(URL, "which?")
        called.set()
        await asyncio.Event().wait()
        return AgentResponse.completed()

    desk = desk_of(peers, handle, limits=Limits(drain=0.0))
    await desk.submit()
    async with asyncio.timeout(20):
        await called.wait()
    await desk.manager.close()
    assert await states(peers) == ["CANCELED"]


async def test_a_process_that_died_at_work_leaves_no_work_elsewhere(peers: Peers) -> None:
    store, begun = MemoryStore(), asyncio.Event()

    async def note(event: Event) -> None:
        begun.set()

    async def handle(task: Task) -> AgentResponse:
        return AgentResponse.completed((await task.call(URL, task.text, on_event=note)).text)

    dead = desk_of(peers, handle, store)
    turn = await dead.submit("hang")
    async with asyncio.timeout(20):
        await begun.wait()
    desk = desk_of(peers, handle, store)  # takes over, as after a death of which the first knows nothing
    assert state_of(await desk.get(turn.log.task_id)) == "FAILED"
    assert await ended(peers) == ["CANCELED"]
    await desk.manager.close()
    await dead.manager.close()


async def test_a_cancel_goes_down_to_the_last_that_has_asked(clerk: Clerk) -> None:
    class Middle(Clerk):
        id = name = "middle"

        async def handle(self, task: Task) -> AgentResponse:
            return await passes_on(task)

    async def handle(task: Task) -> AgentResponse:
        reply = await task.call("http://middle.test/", task.text)
        return AgentResponse.completed((await task.ask(reply.text)).text)

    async with mesh(clerk, Middle()) as peers:
        desk = desk_of(peers, handle)
        asked = await desk.send("which?")
        assert (message_of(asked), await states(peers)) == ("which?", ["INPUT_REQUIRED"])
        await desk.cancel(asked["id"])
        assert await ended(peers) == ["CANCELED"]
        await desk.manager.close()


async def test_the_record_is_private(peers: Peers) -> None:
    asked = await (desk := desk_of(peers, passes_on)).send("which?")
    called = [entry for entry in await desk.log(asked["id"]) if entry.kind == "call"]
    (theirs,) = [task.id async for task in peers["clerk"].list()]
    assert theirs.encode() in called[-1].body
    assert not any(entry.public for entry in called)
    assert theirs not in str(await desk.get(asked["id"]))
    await desk.manager.close()


async def test_two_that_ask_at_once_are_both_called_off(peers: Peers, clerk: Clerk) -> None:
    """The second question comes while the task rests with the first, and nothing can be written."""
    asked_both = asyncio.Event()

    async def handle(task: Task) -> AgentResponse:
        async def second() -> None:
            await task.call(URL, "slowly?")
            asked_both.set()
            await asyncio.Event().wait()

        async def first() -> None:
            await task.ask((await task.call(URL, "at once?")).text)

        await asyncio.gather(first(), second())
        return AgentResponse.completed()

    desk = desk_of(peers, handle)
    asked = await desk.send()
    clerk.hurry.set()
    async with asyncio.timeout(20):
        await asked_both.wait()
    assert await states(peers) == ["INPUT_REQUIRED", "INPUT_REQUIRED"]
    await desk.cancel(asked["id"])
    assert await ended(peers) == ["CANCELED", "CANCELED"]
    await desk.manager.close()


async def test_work_that_was_not_waited_for_goes_on_behind_a_completed_task_only(peers: Peers, clerk: Clerk) -> None:
    async def handle(task: Task) -> AgentResponse:
        await task.call(URL, "hang", wait=False)
        return AgentResponse.completed() if task.text == "complete" else AgentResponse.failed("no")

    desk = desk_of(peers, handle)
    await desk.send("complete")
    async with asyncio.timeout(20):
        await clerk.hanging.wait()
    await desk.send("fail")
    await desk.manager.close()
    assert sorted(await states(peers)) == ["CANCELED", "WORKING"]


async def test_a_task_that_somebody_else_began_is_left_alone() -> None:
    async with mesh(Insisting()) as peers:
        theirs = await peers["clerk"].send("which?")

        async def handle(task: Task) -> AgentResponse:
            reply = await task.call(URL, "this", task_id=theirs.task_id, context_id=theirs.context_id)
            return AgentResponse.completed(reply.text)

        desk = desk_of(peers, handle)
        assert text_of(await desk.send()) == "and?"
        await desk.manager.close()
        assert await states(peers) == ["INPUT_REQUIRED"]


class TestAPeerThatWasHandedOver:
    """It may be the only way to its agent that has a credential."""

    def handler(self, peer: Peer) -> Any:
        async def handle(task: Task) -> AgentResponse:
            return AgentResponse.completed((await task.ask((await task.call(peer, "which?")).text)).text)

        return handle

    async def test_is_used_while_it_is_there(self, peers: Peers) -> None:
        desk = Desk(self.handler(peers["clerk"]))  # by itself it finds no way there
        asked = await desk.send()
        await desk.cancel(asked["id"])
        assert await ended(peers) == ["CANCELED"]
        await desk.manager.close()

    async def test_is_the_one_that_has_called(self, peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
        used: list[Peer] = []

        async def cancel(self: Peer, task_id: str, **options: Any) -> a2a.Task:
            used.append(self)
            return await theirs(self, task_id, **options)

        theirs = Peer.cancel
        monkeypatch.setattr(Peer, "cancel", cancel)
        async with peers.connect("clerk") as first, peers.connect("clerk") as second:

            async def handle(task: Task) -> AgentResponse:
                return await self.handler(first if task.text == "first" else second)(task)

            desk = desk_of(peers, handle)
            asked = [await desk.send(which) for which in ("first", "second")]
            for task in asked:
                await desk.cancel(task["id"])
            await desk.manager.close()
            assert used == [first, second]

    async def test_is_found_by_its_address_when_it_is_closed(self, peers: Peers) -> None:
        async with peers.connect("clerk") as peer:
            desk = desk_of(peers, self.handler(peer))
            asked = await desk.send()
        await desk.cancel(asked["id"])
        assert await ended(peers) == ["CANCELED"]
        await desk.manager.close()

    async def test_is_found_by_its_address_after_a_restart(self, peers: Peers) -> None:
        store = MemoryStore()
        desk = desk_of(peers, self.handler(peers["clerk"]), store)
        asked = await desk.send()
        await desk.manager.close()
        desk = desk_of(peers, passes_on, store)
        await desk.cancel(asked["id"])
        assert await ended(peers) == ["CANCELED"]
        await desk.manager.close()


async def test_an_agent_that_is_gone_delays_nobody(peers: Peers, caplog: pytest.LogCaptureFixture) -> None:
    desk = desk_of(peers, passes_on)
    asked = await desk.send("which?")
    assert isinstance(peers.transport, MemoryTransport)
    peers.transport.apps.clear()
    assert state_of(await desk.cancel(asked["id"])) == "CANCELED"
    await desk.manager.close()
    (said,) = [record.getMessage() for record in caplog.records if record.name == "codin.task"]
    assert f"at {URL} could not be canceled: " in said


async def test_an_agent_that_does_not_answer_delays_nobody(
    peers: Peers, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    canceling = asyncio.Event()

    async def never(self: Peer, task_id: str, **options: Any) -> a2a.Task:
        canceling.set()
        return await asyncio.get_running_loop().create_future()

    monkeypatch.setattr("codin.task._calls._GRACE", 0.2)
    desk = desk_of(peers, passes_on)
    asked = await desk.send("which?")
    monkeypatch.setattr(Peer, "cancel", never)
    async with asyncio.timeout(20):
        assert state_of(await desk.cancel(asked["id"])) == "CANCELED"
        await canceling.wait()
        await desk.manager.close()
    assert "could not be canceled within 0.2 s" in caplog.text
