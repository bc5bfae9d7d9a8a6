"""Agents that raise, hang, return garbage, go on after their end, or flood: their task fails, nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from codin import a2a
from codin.agent import agent
from codin.errors import CodinError, TaskClosed
from codin.server import App
from codin.task import AgentResponse, LimitReached, Limits, Task
from tests.server.clock import still
from tests.server.exchange import Exchange, eventually, state_of
from tests.server.puppet import Puppet
from tests.server.rpc import Rpc, message

pytestmark = pytest.mark.anyio

Handle = Callable[[Task], Awaitable[Any]]


class Odd(Puppet):
    """An agent that does one odd thing when it is told `odd`, and is a good one otherwise."""

    def __init__(self, handle: Handle) -> None:
        super().__init__()
        self._handle = handle

    async def handle(self, task: Task) -> AgentResponse:
        if task.text == "odd":
            return cast("AgentResponse", await self._handle(task))
        return await super().handle(task)


def sent(app: App, text: str = "odd") -> Exchange:
    return Exchange(app, "SendStreamingMessage", {"message": message(text)})


async def fails(
    handle: Handle, limits: Limits | None = None, hangs: asyncio.Event | None = None
) -> tuple[str, dict[str, Any]]:
    """Why the task fails, and the task; another task must not notice, and both ways of sending agree.

    Args:
        hangs: set by a handler that has to be stopped, which is waited for once.
    """
    odd = Odd(handle)
    app = App(odd, limits=limits)
    async with asyncio.timeout(60):
        stream = sent(app)
        if hangs is not None:
            await overdue(app, hangs)
        await stream.end()
        assert state_of(stream.events[-1][1]) == "TASK_STATE_FAILED"
        good = sent(app, "good")
        await good.seen(1)
        task = await Rpc(app).send("odd") if hangs is None else stream.events[0][1]["task"]
        odd.strings["good"].end(AgentResponse.completed("x"))
        await good.end()
        assert state_of(good.events[-1][1]) == "TASK_STATE_COMPLETED"
        task = await Rpc(app).result("GetTask", {"id": task["id"]})
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    [part] = task["status"]["message"]["parts"]
    last = stream.events[-1][1]["statusUpdate"]["status"]["message"]["parts"][0]["text"]
    assert last.replace(stream.task_id, task["id"]) == part["text"]
    return part["text"], task


async def overdue(app: App, hangs: asyncio.Event) -> None:
    """Let the time of what hangs be over."""
    with still() as clock:
        await hangs.wait()
        await clock.advance(app.endpoints[0].manager.limits.run_timeout)


# -- raising -----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("ERROR-LOGGED", "ERROR-DISCREET")
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("secret"),
        SystemExit("secret"),
        GeneratorExit("secret"),
        asyncio.CancelledError("secret"),
        StopAsyncIteration("secret"),
        TimeoutError("secret"),
        ExceptionGroup("secret", [ValueError("secret")]),
        CodinError("secret"),
        TaskClosed("secret"),
        a2a.TaskNotFound("secret"),
    ],
)
async def test_an_agent_that_raises(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    async def handle(task: Task) -> None:
        await task.write("so far")
        raise error

    text, task = await fails(handle)
    assert "secret" not in text
    assert task["artifacts"][0]["parts"] == [{"text": "so far"}]
    if not isinstance(error, asyncio.CancelledError):
        assert type(error).__name__ in text
        assert any(task["id"] in record.getMessage() for record in caplog.records)


async def test_an_agent_that_raises_an_endless_chain() -> None:
    async def handle(task: Task) -> None:
        error = RuntimeError("secret")
        error.__cause__ = error
        raise error

    assert "RuntimeError" in (await fails(handle))[0]


# -- hanging -----------------------------------------------------------------------------------------------------------

STUBBORN = Limits(run_timeout=20, cancel_grace=0.05)


async def test_an_agent_that_hangs() -> None:
    hangs = asyncio.Event()

    async def handle(task: Task) -> None:
        await task.write("so far")
        hangs.set()
        await asyncio.Event().wait()

    text, task = await fails(handle, STUBBORN, hangs)
    assert "longer than it may" in text
    assert task["artifacts"][0]["parts"] == [{"text": "so far"}]


async def test_an_agent_that_hangs_and_does_not_let_itself_be_stopped() -> None:
    hangs, released = asyncio.Event(), asyncio.Event()
    closed: list[BaseException] = []

    async def handle(task: Task) -> AgentResponse:
        hangs.set()
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()
        try:
            await task.write("too late")
        except TaskClosed as error:
            closed.append(error)
        return AgentResponse.completed("too late")

    text, task = await fails(handle, STUBBORN, hangs)
    assert "longer than it may" in text
    assert "artifacts" not in task
    released.set()
    await eventually(lambda: bool(closed))


async def test_a_cancel_does_not_wait_for_an_agent_that_ignores_it() -> None:
    released = asyncio.Event()

    async def handle(task: Task) -> AgentResponse:
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()
        return AgentResponse.completed("too late")

    app = App(Odd(handle), limits=Limits(cancel_grace=0.05))
    stream = sent(app)
    await stream.seen(1)
    rpc = Rpc(app)
    canceled = await asyncio.gather(*(rpc.result("CancelTask", {"id": stream.task_id}) for _ in range(5)))
    await stream.end()
    assert [task["status"]["state"] for task in canceled] == ["TASK_STATE_CANCELED"] * 5
    released.set()
    await asyncio.sleep(0)
    assert await rpc.result("GetTask", {"id": stream.task_id}) == canceled[0]
    assert await rpc.result("CancelTask", {"id": stream.task_id}) == canceled[0]


async def test_a_thread_that_hangs() -> None:
    loop, hangs, release = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    @agent
    def blocking(text: str) -> str:
        """Blocks a thread."""
        if text == "odd":
            loop.call_soon_threadsafe(hangs.set)
            release.wait(60)
        return text

    app = App(blocking, limits=STUBBORN)
    try:
        sending = asyncio.ensure_future(Rpc(app).send("odd"))
        await overdue(app, hangs)
        assert (await sending)["status"]["state"] == "TASK_STATE_FAILED"
        assert (await Rpc(app).send("x"))["status"]["state"] == "TASK_STATE_COMPLETED"
    finally:
        release.set()


# -- garbage -----------------------------------------------------------------------------------------------------------


class Bomb:
    """Cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("secret")


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        42,
        "text",
        {"outcome": "completed"},
        object(),
        Bomb(),
        AgentResponse("triumph"),  # type: ignore[arg-type]
        AgentResponse.completed(data=object()),
        AgentResponse.completed(data={"deep": {1, 2, Bomb}}),
        AgentResponse.completed(42),  # type: ignore[arg-type]
        AgentResponse.completed(artifacts=[object()]),  # type: ignore[list-item]
        AgentResponse.input_required("q", token=object()),
        AgentResponse.completed("x", usage={"tokens": object()}),  # type: ignore[dict-item]
        AgentResponse("completed", metadata={"x": object()}),
    ],
    ids=lambda garbage: type(garbage).__name__,
)
async def test_an_agent_that_returns_garbage(garbage: Any) -> None:
    async def handle(task: Task) -> Any:
        return garbage

    text, _ = await fails(handle)
    assert "INVALID_AGENT_RESPONSE" in text
    assert "secret" not in text


@pytest.mark.parametrize("text", ["\ud800 lone", "\x00", "\u2028", "a\r\n\r\nid: 99\ndata: {}\n\n"])
async def test_odd_text_does_not_break_the_stream(text: str) -> None:
    async def handle(task: Task) -> AgentResponse:
        await task.write(text)
        await task.status(text)
        return AgentResponse.completed()

    stream = sent(App(Odd(handle)))
    await stream.end()
    assert state_of(stream.events[-1][1]) == "TASK_STATE_COMPLETED"
    assert stream.numbers == sorted(set(stream.numbers))
    written = stream.events[1][1]["artifactUpdate"]["artifact"]["parts"][0]["text"]
    assert written == text.replace("\ud800", "\ufffd")


@pytest.mark.parametrize("method", ["write", "artifact", "status", "ask"])
async def test_an_agent_that_writes_garbage(method: str) -> None:
    async def handle(task: Task) -> AgentResponse:
        await task.write("so far")
        await getattr(task, method)(42 if method == "write" else object())
        return AgentResponse.completed()

    _, task = await fails(handle)
    assert task["artifacts"][0]["parts"] == [{"text": "so far"}]


async def test_an_agent_that_answers_a_message_without_being_declared_so() -> None:
    async def handle(task: Task) -> AgentResponse:
        return AgentResponse.message("hi")

    assert "INVALID_AGENT_RESPONSE" in (await fails(handle))[0]


# -- after the end -----------------------------------------------------------------------------------------------------


async def test_an_agent_that_goes_on_after_its_end() -> None:
    kept: list[Task] = []

    async def handle(task: Task) -> AgentResponse:
        kept.append(task)
        return AgentResponse.completed("done")

    app = App(Odd(handle))
    stream = sent(app)
    await stream.end()
    rpc = Rpc(app)
    before = await rpc.result("GetTask", {"id": stream.task_id})
    [task] = kept
    for step in (
        lambda: task.write("more"),
        lambda: task.artifact("more"),
        lambda: task.status("more"),
        lambda: task.ask("more?"),
        lambda: task.authorize("more?"),
        lambda: task.call("http://127.0.0.1:9/", "more"),
    ):
        with pytest.raises(TaskClosed):
            await step()
    assert await rpc.result("GetTask", {"id": stream.task_id}) == before
    resumed = Exchange(app, "SubscribeToTask", {"id": stream.task_id}, headers={"Last-Event-ID": "1"})
    await resumed.end()
    assert resumed.numbers[-1] == stream.numbers[-1]


async def test_an_agent_that_leaves_a_writer_behind() -> None:
    writers: list[asyncio.Task[None]] = []

    async def handle(task: Task) -> AgentResponse:
        async def write() -> None:
            while True:
                await task.write("x")
                await asyncio.sleep(0)

        writers.append(asyncio.ensure_future(write()))
        await asyncio.sleep(0)
        return AgentResponse.completed()

    app = App(Odd(handle))
    stream = sent(app)
    await stream.end()
    assert state_of(stream.events[-1][1]) == "TASK_STATE_COMPLETED"
    async with asyncio.timeout(10):
        await asyncio.wait(writers)
    assert isinstance(writers[0].exception(), TaskClosed)


# -- flooding ----------------------------------------------------------------------------------------------------------


async def test_an_agent_that_floods_with_entries() -> None:
    async def handle(task: Task) -> None:
        while True:
            await task.write("x")

    text, task = await fails(handle, Limits(max_entries=500))
    assert "500 entries" in text
    assert 400 < len(task["artifacts"][0]["parts"][0]["text"]) <= 500


async def test_an_agent_that_floods_with_bytes() -> None:
    async def handle(task: Task) -> None:
        while True:
            await task.artifact(b"x" * 10_000)

    text, task = await fails(handle, Limits(max_task_bytes=200_000))
    assert "200000 bytes" in text
    assert 10 < len(task["artifacts"]) < 20


async def test_an_agent_that_floods_and_swallows_the_error() -> None:
    async def handle(task: Task) -> AgentResponse:
        with contextlib.suppress(LimitReached):
            while True:
                await task.write("x" * 100)
        return AgentResponse.completed()

    app = App(Odd(handle), limits=Limits(max_entries=100))
    task = await Rpc(app).send("odd")
    assert task["status"]["state"] in {"TASK_STATE_COMPLETED", "TASK_STATE_FAILED"}
    stream = sent(app)
    await stream.end()
    assert stream.numbers[-1] <= 105


async def test_a_flood_does_not_keep_others_waiting() -> None:
    """The loop turns while an agent writes without a pause."""

    async def handle(task: Task) -> AgentResponse:
        for _ in range(20_000):
            await task.write("x")
        return AgentResponse.completed()

    odd = Odd(handle)
    app = App(odd)
    flood = sent(app)
    await flood.seen(1)
    odd.strings["good"].end()
    good = await Rpc(app).send("good")
    assert good["status"]["state"] == "TASK_STATE_COMPLETED"
    assert not flood.complete
    await flood.end()
    assert state_of(flood.events[-1][1]) == "TASK_STATE_COMPLETED"
    texts = [
        event["artifactUpdate"]["artifact"]["parts"][0]["text"]
        for _, event in flood.events
        if "artifactUpdate" in event and not event["artifactUpdate"].get("lastChunk")
    ]
    assert "".join(texts) == "x" * 20_000


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
