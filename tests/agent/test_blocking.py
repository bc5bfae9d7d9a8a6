"""Blocking functions: in threads, bounded, and let go when canceled."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from codin import a2a
from codin.agent import agent, as_agent
from tests.agent.driver import Driver, answer, reason, text

pytestmark = pytest.mark.anyio

where: contextvars.ContextVar[str] = contextvars.ContextVar("where", default="nowhere")


class Gate:
    """Says when a thread is inside, and keeps it there."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._inside = asyncio.Event()
        self._open = threading.Event()

    def stand(self) -> None:
        self._loop.call_soon_threadsafe(self._inside.set)
        assert self._open.wait(90)

    async def inside(self) -> None:
        async with asyncio.timeout(60):
            await self._inside.wait()

    def open(self) -> None:
        self._open.set()


async def test_it_runs_in_a_thread_with_the_context_of_the_caller() -> None:
    @agent
    def look(text: str) -> dict[str, Any]:
        """Look around."""
        return {"main": threading.current_thread() is threading.main_thread(), "where": where.get(), "text": text}

    where.set("here")
    assert answer(await Driver(look).send(text("x"))) == {"main": False, "where": "here", "text": "x"}


async def test_no_more_threads_than_allowed() -> None:
    together = threading.Barrier(2)
    lock = threading.Lock()
    running: list[int] = [0, 0]

    @agent(max_threads=2)
    def work() -> str:
        with lock:
            running[0] += 1
            running[1] = max(running)
        together.wait(60)  # two at a time get through, and only if two run
        with lock:
            running[0] -= 1
        return threading.current_thread().name

    driver = Driver(work)
    turns = [await driver.begin(text("go")) for _ in range(6)]
    tasks = [a2a.Task.from_json(await turn.outcome()) for turn in turns]
    assert {answer(task) for task in tasks} == {"codin-work"}
    assert running == [0, 2]


async def test_a_canceled_call_is_let_go_and_keeps_its_slot() -> None:
    gate = Gate()

    @agent(max_threads=1)
    def work(text: str) -> str:
        if text == "hang":
            gate.stand()
        return text

    driver = Driver(work)
    hanging = await driver.begin(text("hang"))
    await gate.inside()
    async with asyncio.timeout(60):  # the thread would stand there for longer
        assert (await driver.cancel(hanging)).status.state is a2a.TaskState.CANCELED
    following = await driver.begin(text("next"))
    for _ in range(50):
        await asyncio.sleep(0)
    assert not following.log.closed
    gate.open()
    async with asyncio.timeout(60):
        assert answer(a2a.Task.from_json(await following.outcome())) == "next"


async def test_a_call_canceled_before_it_has_a_thread_never_runs() -> None:
    gate = Gate()
    ran: list[str] = []

    @agent(max_threads=1)
    def work(text: str) -> str:
        ran.append(text)
        if text == "hang":
            gate.stand()
        return text

    driver = Driver(work)
    hanging = await driver.begin(text("hang"))
    await gate.inside()
    waiting = await driver.begin(text("waiting"))
    assert (await driver.cancel(waiting)).status.state is a2a.TaskState.CANCELED
    gate.open()
    await hanging.outcome()
    assert answer(await driver.send(text("last"))) == "last"
    assert ran == ["hang", "last"]


async def test_a_generator_is_pulled_item_by_item_in_one_thread() -> None:
    made: list[int] = []
    threads: set[int] = set()

    @agent
    def count() -> Iterator[str]:
        for number in range(5):
            made.append(number)
            threads.add(threading.get_ident())
            yield str(number)

    assert answer(await Driver(count).send(text("go"))) == "01234"
    assert made == list(range(5))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_a_canceled_generator_is_closed_in_its_thread() -> None:
    gate, closed = Gate(), Gate()
    threads: list[int] = []

    @agent(max_threads=1)
    def endless() -> Iterator[str]:
        try:
            yield "a"
            threads.append(threading.get_ident())
            gate.stand()
            yield "b"
            threads.append(-1)
        finally:
            threads.append(threading.get_ident())
            closed.stand()

    driver = Driver(endless)
    turn = await driver.begin(text("go"))
    await gate.inside()
    async with asyncio.timeout(60):  # the thread would stand there for longer
        assert (await driver.cancel(turn)).status.state is a2a.TaskState.CANCELED
    gate.open()
    await closed.inside()
    assert threads == [threads[0]] * 2
    closed.open()


async def test_wrappers_that_hide_what_a_function_is() -> None:
    async def answer_later(text: str) -> str:
        return text + "!"

    async def chunks(text: str) -> AsyncIterator[str]:
        yield text
        yield "?"

    def pieces(text: str) -> Iterator[str]:
        yield from text

    for function, expected in ((answer_later, "ab!"), (chunks, "ab?"), (pieces, "ab")):

        @functools.wraps(function)
        def wrapper(*args: Any, _inner: Any = function, **kwargs: Any) -> Any:
            return _inner(*args, **kwargs)

        assert answer(await Driver(as_agent(wrapper)).send(text("ab"))) == expected


@pytest.mark.parametrize("error", [ValueError("x"), StopIteration("x"), SystemExit(3)])
async def test_whatever_is_raised_fails_the_task_only(error: BaseException) -> None:
    @agent
    def boom(text: str) -> str:
        if text == "boom":
            raise error
        return text

    driver = Driver(boom)
    async with asyncio.timeout(60):
        task = await driver.send(text("boom"))
    assert task.status.state is a2a.TaskState.FAILED
    assert "The agent failed" in reason(task)
    assert answer(await driver.send(text("fine"))) == "fine"
