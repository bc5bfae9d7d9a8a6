"""Whose memory a framework's object is backed by, and on which event loop, wherever it is called from."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from codin.agent import Task, agent
from codin.agent.adapters._backing import Backing
from codin.errors import ConfigError, MemoryUnavailable
from codin.memory import Memories, Memory, Scope
from codin.trust import Caller
from tests.agent.adapters.desk import Desk

pytestmark = pytest.mark.anyio


async def where(memory: Memory) -> tuple[Scope, asyncio.AbstractEventLoop]:
    return memory.scope, asyncio.get_running_loop()


async def test_a_task_s_caller_wins_in_threads_and_on_other_event_loops() -> None:
    outside = Scope("", "cook", "bob")
    backing = Backing(Memories("memory://"), outside)
    found: list[tuple[Scope, asyncio.AbstractEventLoop]] = []

    @agent
    async def clerk(text: str, task: Task) -> str:
        found.append(await backing.run(where, outside=outside))
        found.append(await asyncio.to_thread(backing.wait, where))
        found.append(await asyncio.to_thread(lambda: asyncio.run(backing.run(where))))
        return "done"

    desk = Desk(clerk)
    assert (await desk.send("go", caller=Caller("ada"))).text == "done"
    await desk.close()
    assert found == [(Scope("", "clerk", "ada"), asyncio.get_running_loop())] * 3
    assert await backing.run(where) == (outside, asyncio.get_running_loop())


async def test_a_thread_that_has_lost_its_task_finds_nothing() -> None:
    backing = Backing(Memories("memory://"))
    refused: list[str] = []

    def ask() -> None:
        try:
            backing.wait(where)
        except ConfigError as error:
            refused.append(str(error))

    @agent
    async def clerk(text: str, task: Task) -> str:
        thread = threading.Thread(target=ask)  # which copies no context
        thread.start()
        await asyncio.to_thread(thread.join)
        return "done"

    desk = Desk(clerk)
    assert (await desk.send("go")).text == "done"
    await desk.close()
    assert "outside of tasks" in refused[0]


async def test_the_loop_that_a_memory_was_opened_on_is_its_own() -> None:
    memories = Memories("memory://")
    backing = await asyncio.to_thread(lambda: Backing(memories, Scope()))  # where no loop runs
    with pytest.raises(ConfigError, match="event loop"):
        await asyncio.to_thread(backing.wait, where)
    async with memories:
        assert await asyncio.to_thread(backing.wait, where) == (Scope(), asyncio.get_running_loop())
        assert memories.loop is asyncio.get_running_loop()
    assert memories.loop is None


def test_where_there_is_no_loop_one_may_be_begun() -> None:
    memories = Memories("memory://")
    backing = Backing(memories, Scope(), alone=True)
    for _ in range(2):
        _, loop = backing.wait(where)
        assert loop is memories.loop
        assert backing.wait(where) == (Scope(), loop)
        assert asyncio.run(backing.run(where)) == (Scope(), loop)
        backing.close()
        assert loop.is_closed()
        assert memories.loop is None


def test_who_waits_for_an_event_loop_that_ends_is_told() -> None:
    begun = threading.Event()
    told: list[BaseException] = []

    async def never(memory: Memory) -> None:
        begun.set()
        await asyncio.Event().wait()

    loop = asyncio.new_event_loop()

    async def make() -> Backing:
        return Backing(Memories("memory://"), Scope())

    def ask(backing: Backing) -> None:
        try:
            backing.wait(never)
        except MemoryUnavailable as error:
            told.append(error)

    def until(done: Coroutine[Any, Any, Any]) -> Any:
        return loop.run_until_complete(done)

    backing = until(make())
    thread = threading.Thread(target=ask, args=(backing,))

    async def begin() -> None:
        thread.start()
        await asyncio.to_thread(begun.wait)

    until(begin())  # the loop stands still from here on
    thread.join(30)
    for left in asyncio.all_tasks(loop):
        left.cancel()
        until(asyncio.wait([left]))
    until(loop.shutdown_default_executor())
    loop.close()
    assert len(told) == 1
