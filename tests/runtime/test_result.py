"""Reading the result of a workload, at any time and whatever became of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from codin.errors import ConfigError, WorkloadFailed
from codin.runtime import Command, Function, Module, RuntimeResult, Workload
from codin.runtime.local import LocalRuntime

pytestmark = pytest.mark.anyio


async def endless() -> AsyncIterator[str]:
    yield "begun"
    await asyncio.Event().wait()


async def begun(runtime: LocalRuntime) -> RuntimeResult:
    running = await runtime.run(Function(endless, sandbox="off", by_value=True), stream=True)
    async for _ in running:
        return running
    raise AssertionError("it begins by saying so")


async def test_what_was_cancelled_can_be_read() -> None:
    async with asyncio.timeout(60), LocalRuntime() as runtime:
        running = await begun(runtime)
        with pytest.raises(RuntimeError, match="still runs"):
            _ = running.exit_code
        await running.cancel()
        with pytest.raises(WorkloadFailed, match="it was cancelled"):
            await running.wait()
        with pytest.raises(WorkloadFailed, match="it was cancelled"):
            running.check()
        assert (running.exit_code, running.value, running.sandbox) == (-9, None, None)


async def test_what_was_cancelled_twice_reads_the_same() -> None:
    async with asyncio.timeout(60), LocalRuntime() as runtime:
        running = await begun(runtime)
        await asyncio.gather(running.cancel(), running.cancel())
        await running.cancel()
        with pytest.raises(WorkloadFailed, match="it was cancelled"):
            await running.wait()
        assert running.exit_code == -9


async def test_a_reader_is_not_cancelled_with_the_workload() -> None:
    async with asyncio.timeout(60), LocalRuntime() as runtime:
        running = await begun(runtime)
        reader = asyncio.create_task(running.wait())
        await asyncio.sleep(0)
        await running.cancel()
        with pytest.raises(WorkloadFailed, match="it was cancelled"):
            await reader


async def test_a_reader_that_is_cancelled_is() -> None:
    async with asyncio.timeout(60), LocalRuntime() as runtime:
        running = await begun(runtime)
        reader = asyncio.create_task(running.wait())
        await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await running.cancel()


async def test_in_a_loop_one_awaits() -> None:
    with pytest.raises(ConfigError, match="await run"):
        LocalRuntime().run_sync(Command(["true"], sandbox="off"))


@pytest.mark.parametrize(
    ("make", "wrong", "field"),
    [
        (Function, {"function": endless, "retries": -1}, "retries"),
        (Function, {"function": endless, "env": {"A": 1}}, "env"),
        (Command, {"command": ["true"], "files": {"in.txt": "hi"}}, "files"),
        (Command, {"command": ["cat"], "feed": b"hi"}, "feed"),
        (Command, {"command": ["cat"], "feed": endless(), "retries": 1}, "retries"),
        (Module, {"target": "a.b:C", "init": ["a"]}, "init"),
    ],
)
def test_a_workload_is_checked_when_it_is_made(
    make: Callable[..., Workload], wrong: Mapping[str, Any], field: str
) -> None:
    with pytest.raises(ConfigError, match=field):
        make(**wrong)
