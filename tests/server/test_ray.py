"""An agent behind Ray Serve: what App promises is there from outside."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import codin
from codin import a2a
from codin.errors import ConfigError
from codin.server.ray import serve_application
from tests.servers.ray import RayCluster
from tests.servers.ray_fixtures import ray_cluster

pytestmark = pytest.mark.anyio

__all__ = ["ray_cluster"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def address(ray_cluster: RayCluster, anyio_backend: str) -> AsyncIterator[str]:
    """Where an agent is, behind Serve."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.server.serve_on_ray", str(port)),
        env={**os.environ, "RAY_ADDRESS": ray_cluster.address},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert program.stdout is not None
    async with asyncio.timeout(150):
        line = await program.stdout.readline()
    if line != b"there\n":
        pytest.fail(f"Serve did not start: {(await program.communicate())[1].decode()[-3000:]}")
    yield f"http://127.0.0.1:{port}/agents/spell/"
    async with asyncio.timeout(100):
        await program.communicate()


async def test_its_card_names_the_place_where_serve_has_it(address: str) -> None:
    async with codin.connect(address) as peer:
        assert peer.card.supported_interfaces[0].url == address
        assert (await peer.send("ab")).text == "a-b-"


async def test_events_come_while_the_agent_works(address: str, tmp_path: Path) -> None:
    mark = tmp_path / "go"
    texts: list[str] = []
    async with asyncio.timeout(60), codin.connect(address) as peer:
        async for event in peer.stream(f"ray wait:{mark}"):
            if event.kind == "artifact":
                texts.append(event.text)
                mark.touch()  # it waits for its first letter to be read
    assert "".join(texts) == "r-a-y-"


async def test_a_stream_is_taken_up_behind_the_last_event(address: str, tmp_path: Path) -> None:
    mark = tmp_path / "go"
    async with asyncio.timeout(60), codin.connect(address) as peer:
        task, last = "", None
        async for event in peer.stream(f"ray wait:{mark}"):
            task = event.task.id if event.task else task
            if event.kind == "artifact":
                last = event.number
                break
        mark.touch()
        assert last is not None
        rest = [event async for event in peer.subscribe(task, after=last)]
    assert "".join(event.text for event in rest if event.kind == "artifact") == "a-y-"
    assert all(event.number is not None and event.number > last for event in rest)


async def test_cancelling_ends_the_task(address: str, tmp_path: Path) -> None:
    task = ""
    async with asyncio.timeout(60), codin.connect(address) as peer:
        async for event in peer.stream(f"ray wait:{tmp_path / 'never'}"):
            task = event.task.id if event.task else task
            if event.kind == "artifact":
                break
        assert (await peer.cancel(task)).status.state is a2a.TaskState.CANCELED


def test_a_target_is_a_name() -> None:
    with pytest.raises(ConfigError, match="no name"):
        serve_application("agents.py")
