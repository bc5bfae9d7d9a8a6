"""Commands in machines of Daytona's, of which a stand-in speaks the API."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from codin.errors import NoRuntime, RuntimeUnavailable, WorkloadFailed, WorkloadTimeout
from codin.runtime import Command, Container, Function, Runtime, Workload, runtime_of
from codin.sandbox import Code, Limits, Output
from tests.servers.cloud import Cloud

pytestmark = pytest.mark.anyio

GIB = 1024**3
ENDLESS = Command(["sh", "-c", "echo begun; while true; do sleep 0.05; done"])


@pytest.fixture
def runtime(daytona_cloud: Cloud) -> Runtime:
    return runtime_of("daytona")


@pytest.fixture(autouse=True)
def nothing_is_left(daytona_cloud: Cloud) -> Any:
    yield
    assert not daytona_cloud.machines


async def test_a_command(runtime: Runtime) -> None:
    work = Command(
        ["sh", "-c", "tr a-z A-Z < in.txt > out.txt; cat"], b"typed", files={"in.txt": b"given"}, artifacts=["out*"]
    )
    done = await runtime.run(work)
    assert (done.text, dict(done.artifacts), done.sandbox) == ("typed", {"out.txt": b"GIVEN"}, "daytona")
    assert done.unenforced == {"syscalls", "memory", "cpu", "disk"}


async def test_a_command_that_fails(runtime: Runtime) -> None:
    with pytest.raises(WorkloadFailed, match="no such luck") as failed:
        await runtime.run(Command(["sh", "-c", "echo some; echo no such luck >&2; exit 3"]))
    assert failed.value.result is not None
    assert (failed.value.result.exit_code, failed.value.result.text) == (3, "some\n")


async def test_time_is_kept(runtime: Runtime) -> None:
    with pytest.raises(WorkloadTimeout):
        await runtime.run(Command(ENDLESS.command, limits=Limits(time=0.5)))


async def test_a_container(runtime: Runtime, daytona_cloud: Cloud) -> None:
    limits = Limits(cpu=2, memory=2 * GIB, disk=2 * GIB)
    running = await runtime.run(Container("python:3.12-slim", ["cat"], b"typed", limits=limits), stream=True)
    seen = [event.data async for event in running if isinstance(event, Output)]
    assert b"".join(seen) == b"typed"
    assert running.unenforced == {"syscalls"}


@pytest.mark.parametrize(
    ("work", "why"),
    [
        (Container("python:3.12-slim"), "give the container a command"),
        (Command(Code("1")), "cannot keep"),
        (Function(len, [""]), "runs no function"),
    ],
    ids=["image", "code", "function"],
)
async def test_what_it_cannot_run(runtime: Runtime, work: Workload, why: str) -> None:
    assert why in (await runtime.missing(work) or "")
    with pytest.raises(NoRuntime, match=why):
        await runtime.run(work)


async def test_without_a_key(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAYTONA_API_KEY")
    assert "API key" in await runtime.missing(ENDLESS)
    with pytest.raises(RuntimeUnavailable, match="API key"):
        await runtime.run(ENDLESS)


async def test_it_goes_away(runtime: Runtime, daytona_cloud: Cloud) -> None:
    async with asyncio.timeout(60):
        running = await runtime.run(ENDLESS, stream=True)
        async for _ in running:
            await asyncio.to_thread(daytona_cloud.expire)
            break
        with pytest.raises(RuntimeUnavailable):
            await running.wait()


async def test_cancelled_it_leaves_nothing(runtime: Runtime, daytona_cloud: Cloud) -> None:
    async with asyncio.timeout(60):
        running = await runtime.run(ENDLESS, stream=True)
        async for _ in running:
            assert daytona_cloud.machines
            await running.cancel()
            break
