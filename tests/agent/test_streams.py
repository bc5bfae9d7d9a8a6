"""What a generator yields, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from codin import a2a
from codin.agent import AgentResponse, NeedInput, Task, agent
from tests.agent.driver import Driver, answer, data, events, reason, text

pytestmark = pytest.mark.anyio


async def test_each_yield_is_a_chunk() -> None:
    @agent
    async def count(number: int) -> AsyncIterator[str]:
        for each in range(number):
            yield f"{each} "

    turn = await Driver(count).begin(data(3))
    assert answer(a2a.Task.from_json(await turn.outcome())) == "0 1 2 "
    assert events(turn) == ["WORKING", "0 ", "1 ", "2 ", "<text-1>", "COMPLETED"]


@pytest.mark.parametrize("blocking", [False, True])
async def test_other_values_become_artifacts_where_they_are_yielded(blocking: bool) -> None:
    named = a2a.Artifact(artifact_id="report", name="Report", parts=[a2a.Part(text="all good")])
    items: list[Any] = ["a", {"n": 1}, None, b"x", a2a.Part(url="https://example.com"), named, "b", 7]

    @agent
    async def loop() -> AsyncIterator[Any]:
        for item in items:
            yield item

    @agent
    def thread() -> Iterator[Any]:
        yield from items

    turn = await Driver(thread if blocking else loop).begin(text("go"))
    task = a2a.Task.from_json(await turn.outcome())
    kinds = [[part.kind for part in artifact.parts] for artifact in task.artifacts]
    assert kinds == [["text"], ["data"], ["raw"], ["url"], ["text"], ["data"]]
    assert a2a.text_of(task.artifacts[0].parts) == "ab"
    assert task.artifacts[4] == named
    assert events(turn)[1:4] == ["a", "<artifact-1-1>", "<artifact-1-2>"]


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_yielded_response_ends_the_run(blocking: bool) -> None:
    closed: list[str] = []

    @agent
    async def loop() -> AsyncIterator[str | AgentResponse]:
        try:
            yield "so far "
            yield AgentResponse.input_required("go on?")
            yield "never"
        finally:
            closed.append("loop")

    @agent
    def thread() -> Iterator[str | AgentResponse]:
        yield "so far "
        yield AgentResponse.input_required("go on?")
        yield "never"

    task = await Driver(thread if blocking else loop).send(text("go"))
    assert (task.status.state, reason(task)) == (a2a.TaskState.INPUT_REQUIRED, "go on?")
    assert a2a.text_of(task.artifacts[0].parts) == "so far "
    assert closed == ([] if blocking else ["loop"])


@pytest.mark.parametrize("returned", ["", None, "one two"])
async def test_after_writing_nothing_or_the_same_may_be_returned(returned: str | None) -> None:
    @agent
    async def write(task: Task) -> str | None:
        await task.write("one ")
        await task.write("two")
        return returned

    assert answer(await Driver(write).send(text("go"))) == "one two"


async def test_what_a_blocking_generator_returns_is_its_answer() -> None:
    @agent
    def gather() -> Iterator[str]:
        yield "one"
        return {"count": 1}

    task = await Driver(gather).send(text("go"))
    assert [artifact.parts[0].kind for artifact in task.artifacts] == ["text", "data"]


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_value_that_cannot_be_sent_fails_the_task_and_closes_the_generator(blocking: bool) -> None:
    closed = asyncio.Event()
    loop_of_test = asyncio.get_running_loop()

    @agent
    async def loop() -> AsyncIterator[Any]:
        try:
            yield "kept"
            yield object()
        finally:
            closed.set()

    @agent
    def thread() -> Iterator[Any]:
        try:
            yield "kept"
            yield object()
        finally:
            loop_of_test.call_soon_threadsafe(closed.set)

    task = await Driver(thread if blocking else loop).send(text("go"))
    assert task.status.state is a2a.TaskState.FAILED
    assert reason(task).startswith("INVALID_AGENT_RESPONSE: the agent returned 'object'")
    assert a2a.text_of(task.artifacts[0].parts) == "kept"
    async with asyncio.timeout(5):
        await closed.wait()


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_generator_that_raises(blocking: bool) -> None:
    @agent
    async def loop() -> AsyncIterator[str]:
        yield "a"
        raise NeedInput("which?")

    @agent
    def thread() -> Iterator[str]:
        yield "a"
        raise NeedInput("which?")

    task = await Driver(thread if blocking else loop).send(text("go"))
    assert (task.status.state, reason(task)) == (a2a.TaskState.INPUT_REQUIRED, "which?")


async def test_a_canceled_async_generator_cleans_up() -> None:
    started, closed = asyncio.Event(), asyncio.Event()

    @agent
    async def endless() -> AsyncIterator[str]:
        try:
            yield "a"
            started.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # it may still wait while it cleans up
            closed.set()

    driver = Driver(endless)
    turn = await driver.begin(text("go"))
    await started.wait()
    task = await driver.cancel(turn)
    assert task.status.state is a2a.TaskState.CANCELED
    assert closed.is_set()


async def test_a_generator_canceled_between_two_items_cleans_up() -> None:
    closed = asyncio.Event()
    written = asyncio.Event()

    @agent
    async def flood(task: Task) -> AsyncIterator[str]:
        try:
            while True:
                yield "x"  # `write` lets the loop turn now and then: canceled there, the generator is not running
                written.set()
        finally:
            closed.set()

    driver = Driver(flood)
    turn = await driver.begin(text("go"))
    await written.wait()
    assert (await driver.cancel(turn)).status.state is a2a.TaskState.CANCELED
    assert closed.is_set()


async def test_questions_between_chunks() -> None:
    @agent
    async def talk(task: Task) -> AsyncIterator[str]:
        yield "Hello "
        name = (await task.ask("Your name?")).text
        yield name

    driver = Driver(talk)
    first = await driver.send(text("go"))
    assert first.status.state is a2a.TaskState.INPUT_REQUIRED
    assert answer(await driver.send(text("Ada"), task_id=first.id)) == "Hello Ada"
