"""A second replica is asked when the first takes long; one answer counts, and the other task is canceled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import codin
from codin import a2a
from codin.agent import agent
from codin.client import Backoff
from codin.errors import ConfigError, ConnectError
from codin.mesh import MeshLimits, Static, first_healthy
from codin.task import Task
from tests.mesh.clock import ManualClock
from tests.mesh.net import Net, replica, served

pytestmark = pytest.mark.anyio


def racer(place: str, events: dict[str, asyncio.Event]) -> Any:
    @agent(id="racer", name="racer", tags=["idempotent"])
    async def race(task: Task) -> AsyncIterator[str]:
        """Run until somebody lets it arrive."""
        yield f"{place}: "
        try:
            await events[place].wait()
        except asyncio.CancelledError:
            events[f"{place} canceled"].set()
            raise
        yield task.text

    return race


def mesh_of(net: Net, **options: Any) -> codin.Mesh:
    options = {"route": first_healthy, "clock": ManualClock(), **options}
    return codin.Mesh(Static(net.urls, transport=net), transport=net, **options)


async def test_the_second_answers_and_the_first_is_canceled() -> None:
    events = {name: asyncio.Event() for name in ("one", "two", "one canceled", "two canceled")}
    async with served(one=racer("one", events), two=racer("two", events)) as net, mesh_of(net) as mesh:
        events["two"].set()
        async with asyncio.timeout(20):
            assert (await mesh.call("racer", "x", hedge=0.5)).text == "two: x"
            await events["one canceled"].wait()
        assert not events["two canceled"].is_set()
        async with codin.connect("http://one", transport=net) as peer:
            async with asyncio.timeout(20):
                async for event in peer.subscribe((await anext(peer.list())).id):
                    if event.state is not None and event.state.terminal:
                        assert event.state == a2a.TaskState.CANCELED
                        break


async def test_an_answer_in_time_asks_nobody_else() -> None:
    clock = ManualClock()
    never = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await never.wait()

    clock.sleep = sleep  # pyright: ignore[reportAttributeAccessIssue]
    agents = {name: replica("echo", place=name, tags=["idempotent"]) for name in ("one", "two")}
    async with served(**agents) as net, mesh_of(net, clock=clock) as mesh:
        assert (await mesh.call("echo", "x", hedge=0.5)).text == "one: x"
        assert net.posts["two"] == 0


async def test_an_error_of_one_waits_for_the_other() -> None:
    agents = {name: replica("echo", place=name, tags=["idempotent"]) for name in ("one", "two")}
    limits = MeshLimits(backoff=Backoff(tries=0))
    async with served(**agents) as net, mesh_of(net, limits=limits) as mesh:
        await mesh.find()
        net.held = {"one": asyncio.Event(), "two": asyncio.Event()}
        call = asyncio.create_task(mesh.call("echo", "x", hedge=0.5))
        await net.wait_for("two")
        net.cut["one"] = 1
        for event in net.held.values():
            event.set()
        assert (await call).text == "two: x"


async def test_only_agents_that_say_so_are_asked_twice() -> None:
    async with served(one=replica("echo")) as net, mesh_of(net) as mesh:
        with pytest.raises(ConfigError, match="idempotent"):
            await mesh.call("echo", "x", hedge=0.5)
        assert net.posts.total() == 0


async def test_when_all_fail_the_error_is_told() -> None:
    agents = {name: replica("echo", place=name, tags=["idempotent"]) for name in ("one", "two")}
    async with served(**agents) as net, mesh_of(net, limits=MeshLimits(failures=100)) as mesh:
        await mesh.find()
        net.down |= {"one", "two"}
        with pytest.raises(ConnectError):
            await mesh.call("echo", "x", hedge=0.5)
        assert all(state.in_flight == 0 for state in mesh.state)
