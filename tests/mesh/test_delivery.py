"""A message reaches one replica: another is tried only where nothing was sent, and repeated only where that is safe."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

import codin
from codin import a2a
from codin.agent import agent
from codin.client import Backoff, Event
from codin.errors import CircuitOpen, ConfigError, ConnectError, DeadlineExceeded, NoAgent, PeerBusy, TransportError
from codin.mesh import MeshLimits, PeerState, RandomOfTwo, Static, first_healthy
from codin.server import App
from codin.task import AgentResponse, MemoryStore, Task
from tests.mesh.clock import ManualClock
from tests.mesh.net import Net, replica, served
from tests.task.desk import Desk, state_of

pytestmark = pytest.mark.anyio

SWIFT = Backoff(tries=2, first=0.001, longest=0.001)


def mesh_of(net: Net, **options: Any) -> codin.Mesh:
    options = {"route": first_healthy, "limits": MeshLimits(backoff=SWIFT), **options}
    return codin.Mesh(Static(net.urls, transport=net), transport=net, **options)


def spread(net: Net) -> codin.Mesh:
    return mesh_of(net, route=RandomOfTwo(Random(1)))


def two() -> dict[str, Any]:
    return {"one": replica("echo", place="one"), "two": replica("echo", place="two")}


async def test_a_replica_that_is_not_there_is_passed_over_at_once() -> None:
    clock = ManualClock()
    async with served(**two()) as net, mesh_of(net, clock=clock) as mesh:
        await mesh.find()
        net.down.add("one")
        assert (await mesh.call("echo", "x")).text == "two: x"
        assert clock.slept == []
        assert {state.url.split("/")[2]: state.failures for state in mesh.state} == {"one": 1, "two": 0}


async def test_a_replica_that_dies_after_it_was_connected_is_passed_over_too() -> None:
    async with served(**two()) as net, mesh_of(net) as mesh:
        assert (await mesh.call("echo", "x")).text == "one: x"
        net.down.add("one")
        assert (await mesh.call("echo", "x")).text == "two: x"
        assert "".join([event.text async for event in mesh.stream("echo", "x")]) == "two: x"


async def test_a_lost_answer_is_asked_for_again_at_the_same_replica_and_acted_on_once() -> None:
    async with served(**two()) as net, mesh_of(net) as mesh:
        net.cut["one"] = 1
        assert (await mesh.call("echo", "x")).text == "one: x"
        assert (net.posts["one"], net.posts["two"]) == (2, 0)
        assert len(set(net.keys)) == 1
        async with codin.connect("http://one", transport=net) as peer:
            assert len([task async for task in peer.list()]) == 1


async def test_a_message_that_may_have_arrived_never_goes_to_another_replica() -> None:
    async with served(**two()) as net, mesh_of(net) as mesh:
        await mesh.find()

        def die_after_acting(host: str, method: str) -> None:
            if method == "POST":
                net.down.add(host)
                raise TransportError("The connection was lost.")

        net._lose = die_after_acting  # pyright: ignore[reportPrivateUsage]
        for attempt in (mesh.call("echo", "x"), anext(mesh.stream("echo", "x"))):
            net.down.clear()
            # The tries after it reach nobody, but the first one did.
            with pytest.raises(TransportError, match="was lost") as caught:
                await attempt
            assert not isinstance(caught.value, ConnectError)
        assert (net.posts["one"], net.posts["two"]) == (2, 0)


async def test_without_idempotency_keys_nothing_is_repeated() -> None:
    async with served(**two()) as net, mesh_of(net) as mesh:
        net.plain = True
        net.cut["one"] = 1
        with pytest.raises(TransportError):
            await mesh.call("echo", "x")
        assert (net.posts["one"], net.posts["two"]) == (1, 0)


async def test_when_nobody_is_there_the_mesh_tries_again_after_a_pause_and_then_says_so() -> None:
    clock = ManualClock()
    async with served(**two()) as net, mesh_of(net, clock=clock) as mesh:
        await mesh.find()
        net.down |= {"one", "two"}
        with pytest.raises(ConnectError):
            await mesh.call("echo", "x")
        assert len(clock.slept) == SWIFT.tries
        net.down.clear()
        assert (await mesh.call("echo", "x")).text == "one: x"


async def test_a_replica_that_comes_back_in_time_is_reached() -> None:
    async with served(one=replica("echo")) as net:
        clock = ManualClock()

        async def sleep_and_return(seconds: float) -> None:
            net.down.clear()

        clock.sleep = sleep_and_return  # pyright: ignore[reportAttributeAccessIssue]
        async with mesh_of(net, clock=clock) as mesh:
            await mesh.find()
            net.down.add("one")
            assert (await mesh.call("echo", "x")).text == "echo: x"


async def test_a_peer_that_failed_often_is_left_alone_and_then_tried_with_one_call() -> None:
    clock = ManualClock()
    limits = MeshLimits(failures=2, rest=10.0, backoff=Backoff(tries=0))
    async with served(one=replica("echo")) as net, mesh_of(net, clock=clock, limits=limits) as mesh:
        await mesh.find()
        net.down.add("one")
        for _ in range(2):
            with pytest.raises(ConnectError):
                await mesh.call("echo", "x")
        (state,) = mesh.state
        assert (state.circuit, state.failures) == ("open", 2)
        net.down.clear()
        with pytest.raises(CircuitOpen):
            await mesh.call("echo", "x")
        clock.time += 10.0
        assert mesh.state[0].circuit == "half-open"
        assert (await mesh.call("echo", "x")).text == "echo: x"
        assert mesh.state[0].circuit == "closed"


async def test_no_more_messages_than_may_be_are_under_way_to_one_peer() -> None:
    limits = MeshLimits(in_flight=2, backoff=Backoff(tries=0))
    async with served(**two()) as net, mesh_of(net, limits=limits) as mesh:
        await mesh.find()
        net.held = {"one": asyncio.Event(), "two": asyncio.Event()}
        running = [asyncio.create_task(mesh.call("echo", str(number))) for number in range(4)]
        async with net.arrived:
            await net.arrived.wait_for(lambda: net.posts.total() == 4)
        assert net.posts == {"one": 2, "two": 2}
        assert [state.in_flight for state in mesh.state] == [2, 2]
        with pytest.raises(PeerBusy):
            await mesh.call("echo", "one too many")
        for event in net.held.values():
            event.set()
        assert {(await each).text for each in running} == {"one: 0", "one: 1", "two: 2", "two: 3"}
        assert [state.in_flight for state in mesh.state] == [0, 0]


async def test_a_peer_that_hangs_costs_the_time_of_the_call_and_counts_as_a_failure() -> None:
    async with served(one=replica("echo")) as net, mesh_of(net) as mesh:
        await mesh.find()
        net.held["one"] = asyncio.Event()
        with pytest.raises(DeadlineExceeded):
            await mesh.call("echo", "x", timeout=0.02)
        assert (mesh.state[0].in_flight, mesh.state[0].failures) == (0, 1)


async def test_a_canceled_call_gives_its_place_back() -> None:
    async with served(one=replica("echo")) as net, mesh_of(net) as mesh:
        await mesh.find()
        net.held["one"] = asyncio.Event()
        call = asyncio.create_task(mesh.call("echo", "x"))
        await net.wait_for("one")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (mesh.state[0].in_flight, mesh.state[0].failures) == (0, 0)


async def test_a_stream_that_is_left_gives_its_place_back() -> None:
    async with served(one=replica("echo")) as net, mesh_of(net) as mesh:
        events = mesh.stream("echo", "x")
        await anext(events)
        assert mesh.state[0].in_flight == 1
        await events.aclose()
        assert (mesh.state[0].in_flight, mesh.state[0].failures) == (0, 0)


def asking(place: str) -> Any:
    @agent(id="ask", name="ask")
    async def ask(task: Task) -> str:
        """Ask back."""
        return f"{place}: {(await task.ask('Which?')).text}"

    return ask


async def test_an_answer_goes_to_the_replica_that_asked() -> None:
    async with served(one=asking("one"), two=asking("two")) as net, spread(net) as mesh:
        for number in range(12):
            asked = await mesh.call("ask", "go")
            assert asked.state == a2a.TaskState.INPUT_REQUIRED
            reply = await mesh.call("ask", str(number), task_id=asked.task_id)
            assert reply.state == a2a.TaskState.COMPLETED
        assert set(net.posts) == {"one", "two"}  # both were asked


async def test_a_conversation_stays_with_its_replica_while_that_is_there() -> None:
    async with served(**two()) as net, spread(net) as mesh:
        first = await mesh.call("echo", "x")
        for _ in range(10):
            assert (await mesh.call("echo", "x", context_id=first.context_id)).text == first.text
        net.down.add(first.text[:3])
        assert (await mesh.call("echo", "x", context_id=first.context_id)).text != first.text


async def test_a_resolved_peer_is_routed_as_the_mesh_is() -> None:
    async with served(one=asking("one"), two=asking("two")) as net, mesh_of(net) as mesh:
        peer = await mesh.resolve("ask")
        assert (peer.card.name, mesh.state[0].in_flight) == ("ask", 0)
        net.down.add("one")
        asked = await peer.send("go")
        assert asked.task_id is not None
        assert (await peer.get(asked.task_id)).status.state == a2a.TaskState.INPUT_REQUIRED
        assert (await peer.send("blue", task_id=asked.task_id)).text == "two: blue"
        events = [event async for event in peer.stream("go")]
        assert events[-1].state == a2a.TaskState.INPUT_REQUIRED


async def test_a_task_calls_by_name_and_a_replica_that_is_gone_is_passed_over() -> None:
    @agent(id="caller")
    async def caller(text: str, task: Task) -> str:
        """Call another."""
        return (await task.call("echo", text)).text

    async with served(**two()) as net, mesh_of(net) as mesh:
        async with codin.Mesh(App(caller, resolver=mesh)) as outer:
            assert (await outer.call("caller", "x", context_id="c")).text == "one: x"
            net.down.add("one")
            assert (await outer.call("caller", "y", context_id="c")).text == "two: y"
            reply = await outer.call("caller", "z", context_id="c")
            assert reply.text == "two: z"  # where the conversation is now
        assert net.posts["one"] == 1


@agent(id="hang", name="hang")
async def hang(text: str) -> None:
    """Never answer."""
    await asyncio.Event().wait()


def last(candidates: Sequence[PeerState], /) -> PeerState:
    """Not the one that is looked at first."""
    return candidates[-1]


async def ended(net: Net, host: str) -> list[str]:
    """The states of the tasks there, once all have ended."""
    async with asyncio.timeout(20), codin.connect(f"http://{host}", transport=net) as peer:
        async for task in peer.list():
            if not task.status.state.terminal:
                async for _ in peer.subscribe(task.id):
                    pass
        return [task.status.state.name async for task in peer.list()]


async def test_a_call_by_name_that_takes_too_long_is_called_off_at_the_replica_that_has_it() -> None:
    async def handle(task: Task) -> AgentResponse:
        return AgentResponse.completed((await task.call("hang", "x", timeout=1.0)).text)

    async with served(one=hang, two=hang) as net, mesh_of(net, route=last) as mesh:
        desk = Desk(handle, resolver=mesh)
        assert state_of(await desk.send()) == "FAILED"
        assert await ended(net, "two") == ["CANCELED"]
        assert net.posts["one"] == 0
        await desk.manager.close()


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_by_name_is_called_off_after_a_restart_wherever_it_went(*, streamed: bool) -> None:
    begun = asyncio.Event()

    async def note(event: Event) -> None:
        begun.set()

    async def handle(task: Task) -> AgentResponse:
        watching: dict[str, Any] = {"on_event": note} if streamed else {}
        return AgentResponse.completed((await task.call("hang", "x", **watching)).text)

    store = MemoryStore()
    async with served(one=hang, two=hang) as net, mesh_of(net, route=last) as before, mesh_of(net) as after:
        dead = Desk(handle, store, resolver=before)
        turn = await dead.submit()
        async with asyncio.timeout(20):
            await (begun.wait() if streamed else net.wait_for("two"))
        desk = Desk(handle, store, resolver=after)  # takes over, as after a death of which the first knows nothing
        assert state_of(await desk.get(turn.log.task_id)) == "FAILED"
        await desk.manager.close()
        assert await ended(net, "two") == ["CANCELED"]
        await dead.manager.close()


async def test_a_task_that_calls_nobody_fails_with_the_nearest_name() -> None:
    @agent(id="caller")
    async def caller(text: str, task: Task) -> str:
        """Call another."""
        try:
            return (await task.call("ehco", text)).text
        except NoAgent as error:
            return error.hint or ""

    async with served(**two()) as net, mesh_of(net) as mesh, codin.Mesh(App(caller, resolver=mesh)) as outer:
        assert (await outer.call("caller", "x")).text == "Is it 'echo'?"


async def test_a_route_of_ones_own_chooses_among_those_that_fit() -> None:
    seen: list[list[str]] = []

    def last(candidates: Any) -> PeerState:
        seen.append([state.name for state in candidates])
        return candidates[-1]

    def nobody(candidates: Any) -> None: ...

    async with served(**two()) as net, mesh_of(net) as mesh:
        assert (await mesh.call("echo", "x", route=last)).text == "two: x"
        assert seen == [["echo", "echo"]]
        with pytest.raises(ConfigError, match="no candidate"):
            await mesh.call("echo", "x", route=nobody)  # pyright: ignore[reportArgumentType]
