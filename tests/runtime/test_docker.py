"""Containers of images, and what can go wrong with a daemon, as a runtime tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import aiodocker
import anyio
import pytest

from codin.errors import NoRuntime, RuntimeUnavailable, WorkloadFailed
from codin.runtime import Command, Container, OmniRuntime
from codin.runtime.docker import DockerRuntime
from codin.sandbox import Limits, sandbox_of
from tests.sandbox.remains import left, on_daemon
from tests.servers.docker import DockerDaemon

pytestmark = pytest.mark.anyio

IMAGE = "codin-test-greeter"


@pytest.fixture(autouse=True)
def nothing_is_left(docker_host: str) -> Iterator[None]:
    yield
    assert on_daemon(docker_host) == []


async def the_next_works() -> None:
    async with asyncio.timeout(60):
        assert (await DockerRuntime().run(Command(["echo", "next"]))).text == "next\n"


@pytest.fixture
async def greeter(docker_host: str) -> str:
    """An image whose entrypoint says what it is given, and whose command is `hello`."""
    async with sandbox_of("docker") as sandbox:
        assert (await sandbox.exec(["true"])).ok  # codin's own image is there now
    async with aiodocker.Docker() as client:
        docker: Any = client  # its listings are untyped
        mine = next(
            tag for image in await docker.images.list() for tag in image["RepoTags"] or () if tag.startswith("codin-")
        )
        made = await docker.containers.create({"Image": mine, "Cmd": ["true"]})
        changes = 'ENTRYPOINT ["/bin/echo", "said:"]\nCMD ["hello"]\nENV WORD=word'
        await made.commit(repository=IMAGE, tag="1", changes=changes)
        await made.delete(force=True)
    return f"{IMAGE}:1"


async def test_an_image_does_what_it_says_by_itself(greeter: str) -> None:
    done = await DockerRuntime().run(Container(greeter))
    assert (done.text, done.sandbox) == ("said: hello\n", "docker")


async def test_a_command_takes_the_place_of_the_images_own(greeter: str) -> None:
    assert (await OmniRuntime(["local", "docker"]).run(Container(greeter, ["good", "evening"]))).text == (
        "said: good evening\n"
    )


async def test_an_image_that_is_not_there_is_named_with_what_to_do(docker_host: str) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"no image 'codin-no-such:1'.*docker pull"):
        await DockerRuntime().run(Container("codin-no-such:1"))
    await the_next_works()


async def test_a_container_out_of_memory_says_so(docker_host: str) -> None:
    eat = "import sys; b = [bytearray(1 << 20) for _ in range(1 << 20)]"
    with pytest.raises(WorkloadFailed, match="more memory"):
        await DockerRuntime().run(Command(["python3", "-c", eat], limits=Limits(memory=64 << 20, time=60)))
    await the_next_works()


async def test_a_container_that_is_removed_is_lost_and_the_next_works(docker_host: str) -> None:
    running = await DockerRuntime().run(Command(["sh", "-c", "echo ready; sleep 600"]), stream=True)
    async with asyncio.timeout(120):
        await anext(aiter(running))
        async with aiodocker.Docker() as client:
            docker: Any = client
            for container in await docker.containers.list():
                await container.delete(force=True)
        with pytest.raises(RuntimeUnavailable):
            await running.wait()
    await the_next_works()


async def test_the_daemon_dies_and_comes_back(own_daemon: DockerDaemon) -> None:
    async with asyncio.timeout(120), DockerRuntime(host=own_daemon.host) as runtime:
        running = await runtime.run(Command(["sh", "-c", "echo ready; exec sleep 600"]), stream=True)
        await anext(aiter(running))
        own_daemon.kill()
        with pytest.raises(RuntimeUnavailable, match="went away"):
            await running.wait()
        with pytest.raises(RuntimeUnavailable):
            await runtime.run(Command(["true"]))
        own_daemon.start()
        assert (await runtime.run(Command(["echo", "next"]))).text == "next\n"
        assert await left(own_daemon.host) == []


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5])
async def test_cancelled_anywhere_it_leaves_nothing(docker_host: str, seconds: float) -> None:
    with anyio.move_on_after(seconds) as cancelled:
        await DockerRuntime().run(Command(["sleep", "600"]))
    assert cancelled.cancelled_caught
    assert await left(docker_host) == []
    await the_next_works()


async def test_without_a_daemon_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(NoRuntime, match="docker: "):
        await OmniRuntime(["docker"]).run(Container("busybox"))
