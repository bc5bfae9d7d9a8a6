"""An agent behind Ray Serve: what App promises is there from outside."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

import codin
from codin import a2a
from codin.client import Peer
from codin.errors import CodinError, ConfigError
from codin.server.ray import serve_application
from tests.servers.ray import RayCluster
from tests.servers.ray_fixtures import ray_environment

pytestmark = pytest.mark.anyio

__all__ = ["ray_environment"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def served(cluster: RayCluster, *needs: str) -> AsyncGenerator[str]:
    """Where an agent is, behind Serve."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.server.serve_on_ray", str(port), *needs),
        env={**os.environ, "RAY_ADDRESS": cluster.address},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert program.stdout is not None
    async with asyncio.timeout(150):
        line = await program.stdout.readline()
    if line != b"there\n":
        pytest.fail(f"Serve did not start: {(await program.communicate())[1].decode()[-3000:]}")
    try:
        yield f"http://127.0.0.1:{port}/agents/spell/"
    finally:
        program.kill()
        await program.communicate()


@asynccontextmanager
async def a_cluster() -> AsyncGenerator[RayCluster]:
    """A cluster for one Serve alone, since there can only be one on each."""
    cluster = RayCluster()
    await asyncio.to_thread(cluster.start)
    try:
        yield cluster
    finally:
        await asyncio.to_thread(cluster.stop)


@pytest.fixture(scope="module")
async def address(ray_environment: None, anyio_backend: str) -> AsyncIterator[str]:
    async with a_cluster() as cluster, served(cluster) as address:
        yield address


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


def gone(process: int) -> bool:
    """Whether a process has ended."""
    try:
        return ") Z " in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return True


async def answered(peer: Peer, text: str) -> str:
    """What it answers, as soon as it does."""
    while True:
        with suppress(CodinError):
            return (await peer.send(text)).text


@pytest.fixture(scope="module")
async def doomed(ray_environment: None, anyio_backend: str) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """Where an agent is whose node is lost by a call, and there is another node for it."""
    async with a_cluster() as cluster:
        node = await asyncio.to_thread(cluster.add_node, "place")
        async with served(cluster, "place") as address:
            await asyncio.to_thread(cluster.add_node, "place")
            yield address, lambda: cluster.remove_node(node)


async def test_a_node_that_is_lost_ends_its_streams_and_the_next_call_is_answered_by_another(
    doomed: tuple[str, Callable[[], None]], tmp_path: Path
) -> None:
    address, lose = doomed

    async def read(peer: Peer) -> None:
        async for event in peer.stream(f"ray wait:{tmp_path / 'never'}"):
            if event.kind == "artifact":
                await asyncio.to_thread(lose)

    async with asyncio.timeout(150), codin.connect(address) as peer:
        process = (await peer.send("pid")).text.replace("-", "")
        # Its task went with it; whether that is said depends on when the client asks for the rest.
        with pytest.raises(CodinError):
            await read(peer)
        assert await answered(peer, "ab") == "a-b-"
        while not await asyncio.to_thread(gone, int(process)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def test_a_target_is_a_name() -> None:
    with pytest.raises(ConfigError, match="no name"):
        serve_application("agents.py")
