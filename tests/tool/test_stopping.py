"""Tools that do not stop when they are told to: whoever called them gets back all the same."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import cast

import anyio
import pytest

from codin.errors import NoRuntime, ToolBusy, ToolTimeout
from codin.tool import Sandboxing, Tool, ToolExecutor, ToolLimits, ToolSpec, tool
from tests.tool.test_executor import Streaming

pytestmark = pytest.mark.anyio

GRACE = 0.05
LIMITS = ToolLimits(timeout=0.02, wait=0.01, grace=GRACE)
PLENTY = 30.0  # seconds after which a test has failed


class Stubborn:
    """A tool that is no function, and catches whatever it is told to let through."""

    def __init__(self, *caught: type[BaseException], concurrency: int | None = None, retries: int = 0) -> None:
        self.name = "stubborn"
        self.spec = ToolSpec(
            "Never end.", {"type": "object"}, None, concurrency=concurrency, retries=retries, idempotent=True
        )
        self._caught = caught
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()
        self.let_go = False
        self.calls = 0

    async def invoke(self, **arguments: object) -> str:
        self.calls += 1
        self.begun.set()
        try:
            while not self.let_go:
                try:
                    await asyncio.sleep(0.01)
                except self._caught:
                    continue
            return "let go"
        finally:
            self.ended.set()


async def test_one_that_swallows_its_cancellation_is_closed_after_its_grace(caplog: pytest.LogCaptureFixture) -> None:
    stubborn = Stubborn(asyncio.CancelledError, concurrency=1)
    executor = ToolExecutor([stubborn], limits=LIMITS)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PLENTY):
        for _ in range(2):  # it is ended, and so its place is free
            began = loop.time()
            with pytest.raises(ToolTimeout, match=r"'stubborn' took longer than 0\.02 s, and was stopped"):
                await executor.call("stubborn", {"key": "hush"})
            assert loop.time() - began >= LIMITS.timeout + GRACE
            assert stubborn.ended.is_set()
            stubborn.ended.clear()
    told = [record.getMessage() for record in caplog.records]
    assert told == ["tool stubborn did not stop within 0.05 s of being told to, and was closed"] * 2


async def test_a_function_is_closed_too() -> None:
    ended: list[str] = []

    @tool
    async def hang() -> str:
        """Hang."""
        try:
            while True:
                try:
                    await asyncio.sleep(9)
                except Exception:
                    ended.append("error")
                except asyncio.CancelledError:
                    pass
        finally:
            ended.append("closed")

    async with asyncio.timeout(PLENTY):
        with pytest.raises(ToolTimeout):
            await ToolExecutor([hang], limits=LIMITS).call("hang")
    assert ended == ["closed"]


async def test_what_has_a_thread_is_not_said_to_be_stopped() -> None:
    let_go = threading.Event()

    @tool
    def hang() -> None:
        let_go.wait()

    @tool
    def drip() -> Iterator[int]:
        let_go.wait()
        yield 1

    executor = ToolExecutor([hang, drip], limits=LIMITS)
    try:
        for name in ("hang", "drip"):
            with pytest.raises(ToolTimeout, match=r"took longer than 0\.02 s, and may go on"):
                await executor.call(name)
    finally:
        let_go.set()


async def test_whoever_is_cancelled_gets_back_within_the_grace() -> None:
    stubborn = Stubborn(asyncio.CancelledError)
    executor = ToolExecutor([stubborn], limits=ToolLimits(grace=GRACE))
    async with asyncio.timeout(PLENTY):
        call = asyncio.create_task(executor.call("stubborn"))
        await stubborn.begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert stubborn.ended.is_set()
    assert call.cancelling() == 1


async def test_the_timeout_of_a_caller_is_one() -> None:
    stubborn = Stubborn(asyncio.CancelledError)
    executor = ToolExecutor([stubborn], limits=ToolLimits(grace=GRACE))
    async with asyncio.timeout(PLENTY):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await executor.call("stubborn")
        await asyncio.sleep(0)  # who is not cancelled any more can go on


async def test_one_that_nothing_ends_goes_on_and_keeps_its_place(caplog: pytest.LogCaptureFixture) -> None:
    stubborn = Stubborn(BaseException, concurrency=1, retries=3)
    executor = ToolExecutor([stubborn], limits=LIMITS)
    async with asyncio.timeout(PLENTY):
        with pytest.raises(ToolTimeout) as told:
            await executor.call("stubborn", {"key": "hush"})
        assert not told.value.retryable
        assert told.value.message == "'stubborn' took longer than 0.02 s, and may go on"
        with pytest.raises(ToolBusy):
            await executor.call("stubborn")
        assert stubborn.calls == 1
        stubborn.let_go = True
        await stubborn.ended.wait()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert await executor.call("stubborn") == "let go"
    assert [record.getMessage() for record in caplog.records] == [
        "tool stubborn did not stop within 0.05 s of being told to, and goes on",
        "tool stubborn, which went on, has ended",
    ]


async def test_a_function_that_nothing_ends_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    let_go = asyncio.Event()

    @tool(concurrency=1)
    async def hang() -> str:
        """Hang."""
        while not let_go.is_set():
            with suppress(BaseException):
                await let_go.wait()
        return "let go"

    executor = ToolExecutor([hang], limits=LIMITS)
    async with asyncio.timeout(PLENTY):
        with pytest.raises(ToolTimeout):
            await executor.call("hang")
        with pytest.raises(ToolBusy):
            await executor.call("hang")
        let_go.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert await executor.call("hang") == "let go"
    assert caplog.records[-1].getMessage() == "tool hang, which went on, has ended"


def test_a_program_ends_although_one_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    stubborn = Stubborn(BaseException)

    async def call() -> None:
        with pytest.raises(ToolTimeout):
            await ToolExecutor([stubborn], limits=LIMITS).call("stubborn")

    gc.collect()  # what tests before have left says so now, and not below
    caplog.clear()
    with caplog.at_level(logging.WARNING, "asyncio"):
        asyncio.run(asyncio.wait_for(call(), PLENTY))
        gc.collect()
    assert [record.name for record in caplog.records] == ["codin.tool"]
    assert not stubborn.ended.is_set()
    stubborn.let_go = True


async def test_one_that_cleans_up_has_the_time_for_it(caplog: pytest.LogCaptureFixture) -> None:
    cleaned: list[str] = []

    @tool(timeout=0.02)
    async def tidy() -> str:
        """Clean up."""
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            cleaned.append("yes")
        return "never"

    async with asyncio.timeout(PLENTY):
        with pytest.raises(ToolTimeout):
            await ToolExecutor([tidy]).call("tidy")
    assert (cleaned, caplog.records) == (["yes"], [])


async def test_a_timeout_within_a_tool_is_its_own() -> None:
    @tool
    async def patient() -> str:
        """Give a part its time, and go on."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        with anyio.move_on_after(0.01):
            await asyncio.Event().wait()
        await asyncio.sleep(3 * GRACE)
        return "went on"

    assert await ToolExecutor([patient], limits=ToolLimits(grace=GRACE)).call("patient") == "went on"


async def test_what_a_tool_waits_for_may_be_cancelled_without_it() -> None:
    @tool
    async def patient() -> str:
        """Wait for one that is cancelled."""
        other = asyncio.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)
        other.cancel()
        try:
            await other
        except asyncio.CancelledError:
            await asyncio.sleep(2 * GRACE)
            return "went on"
        return "never"

    assert await ToolExecutor([patient], limits=ToolLimits(grace=GRACE)).call("patient") == "went on"


async def test_what_a_tool_gives_need_be_no_coroutine() -> None:
    class Ready:
        name = "ready"
        spec = ToolSpec("Be ready.", {"type": "object"}, None)

        def invoke(self, **arguments: object) -> asyncio.Future[str]:
            done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            done.set_result("done")
            return done

    assert await ToolExecutor([cast("Tool", Ready())]).call("ready") == "done"


NOWHERE = Streaming(NoRuntime("nothing here can"))

# A stream that would rather be in a sandbox is here as well where there is none.
alike = pytest.mark.parametrize("sandbox", ["off", "preferred"])


@alike
async def test_a_stream_that_swallows_its_cancellation_ends(sandbox: Sandboxing) -> None:
    ended: list[str] = []

    @tool(sandbox=sandbox)
    async def drip() -> AsyncIterator[str]:
        """Drip once."""
        try:
            yield "first"
            while True:
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(9)
        finally:
            ended.append("closed")

    first, limits = "", LIMITS
    pieces = ToolExecutor([drip], limits=limits, run=NOWHERE).stream("drip")
    async with asyncio.timeout(PLENTY):
        while not first:
            try:
                first = await anext(pieces)
            except ToolTimeout:  # until a busy machine lets it come in its time
                ended.clear()
                limits = replace(limits, timeout=2 * limits.timeout)
                pieces = ToolExecutor([drip], limits=limits, run=NOWHERE).stream("drip")
        assert (first, ended) == ("first", [])
        with pytest.raises(ToolTimeout):
            await anext(pieces)
    assert ended == ["closed"]


@alike
async def test_a_stream_that_gives_a_piece_whenever_it_is_told_to_stop_ends(sandbox: Sandboxing) -> None:
    @tool(sandbox=sandbox)
    async def pour() -> AsyncIterator[str]:
        """Pour."""
        while True:
            try:
                await asyncio.sleep(9)
            except asyncio.CancelledError:
                yield "more"

    async with asyncio.timeout(PLENTY):
        with pytest.raises(ToolTimeout):
            await ToolExecutor([pour], limits=LIMITS, run=NOWHERE).call("pour")


@alike
async def test_a_stream_that_nothing_ends_goes_on_and_keeps_its_place(sandbox: Sandboxing) -> None:
    hangs, let_go, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @tool(concurrency=1, sandbox=sandbox)
    async def drip() -> AsyncIterator[str]:
        """Drip once."""
        yield "first"
        hangs.set()
        while not let_go.is_set():
            with suppress(BaseException):
                await asyncio.sleep(0.01)
        ended.set()

    limits, given = LIMITS, ""
    async with asyncio.timeout(PLENTY):
        while True:  # until a busy machine lets its first piece come in its time
            executor = ToolExecutor([drip], limits=limits, run=NOWHERE)
            with pytest.raises(ToolTimeout):
                await executor.call("drip")
            if hangs.is_set():
                break
            limits = replace(limits, timeout=2 * limits.timeout)
        with pytest.raises(ToolBusy):
            await executor.call("drip")
        let_go.set()
        await ended.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        while not given:
            with suppress(ToolTimeout):
                given = await executor.call("drip")
        assert given == "first"
