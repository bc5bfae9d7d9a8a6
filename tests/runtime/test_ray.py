"""What is Ray's own: cancelling, lost workers and nodes, a cluster that is gone, and streams that are read slowly."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest

from codin.errors import ConfigError, NoRuntime, RuntimeUnavailable, WorkloadFailed, WorkloadTimeout
from codin.net import AddressGuard
from codin.runtime import Command, Endpoint, Function, Item, Module, SandboxDemand
from codin.runtime.ray import RayRuntime
from codin.sandbox import Limits
from tests.runtime import chores
from tests.runtime.conftest import ray_cluster, ray_here, ray_runtime
from tests.runtime.test_http import endpoint, said
from tests.sandbox.remains import children
from tests.servers.kubernetes_node import kills_for_memory
from tests.servers.ray import RayCluster
from tests.servers.ray_fixtures import connect

pytestmark = pytest.mark.anyio

__all__ = ["ray_cluster", "ray_here", "ray_runtime"]


def stay(marks: str) -> Iterator[int]:
    """Tell the worker's id, and stay in a call that no word reaches."""
    Path(marks).joinpath(str(os.getpid())).touch()
    yield os.getpid()
    time.sleep(600)


def gone(process: int) -> bool:
    """Whether a process has ended."""
    try:
        return ") Z " in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return True


async def until(what: Callable[[], bool]) -> None:
    """Wait for something outside of this process."""
    while not await asyncio.to_thread(what):  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def begun(work: Function, runtime: RayRuntime) -> tuple[int, asyncio.Task[None]]:
    """Begin something that yields the id of its process; gives that, and what reads the rest."""
    first: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    running = await runtime.run(work, stream=True)

    async def read() -> None:
        try:
            async for event in running:
                if isinstance(event, Item) and not first.done():
                    first.set_result(event.value)
        finally:
            await running.cancel()

    reading = asyncio.create_task(read())
    await asyncio.wait([first, reading], return_when=asyncio.FIRST_COMPLETED)
    if not first.done():
        await reading
    return first.result(), reading


def unlocked(file: Path) -> bool:
    """Whether nobody holds the lock on a file any more."""
    with file.open() as opened, suppress(BlockingIOError):
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


@pytest.mark.parametrize("sandbox", ["off", "required"])
async def test_cancelling_ends_what_is_blocked_and_leaves_no_folder(
    ray_runtime: RayRuntime, sandbox: SandboxDemand, tmp_path: Path
) -> None:
    def blocked(lock: str) -> Iterator[str]:
        import fcntl
        import time
        from pathlib import Path

        Path("here").touch()
        with Path(lock).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield str(Path.cwd())
            time.sleep(
                600
            )  # a word that comes before this ends the work alone, one that comes later its worker as well

    lock = tmp_path / "lock"
    async with asyncio.timeout(120):
        where = str(lock) if sandbox == "off" else "lock"
        running = await ray_runtime.run(
            Function(blocked, [where], sandbox=sandbox, limits=Limits(time=None)), stream=True
        )
        async for event in running:
            if isinstance(event, Item):
                break
        await running.cancel()
        if sandbox == "off":
            await until(lambda: unlocked(lock))
            await until(lambda: not Path(running.items[0]).exists())  # a shell takes it away
    assert (await ray_runtime.run(Function(chores.double, [2], sandbox="off"))).value == 4


async def test_time_ends_a_blocking_call_without_killing_its_worker(ray_runtime: RayRuntime) -> None:
    with pytest.raises(WorkloadTimeout) as told:
        await ray_runtime.run(Function(time.sleep, [60], sandbox="off", limits=Limits(time=0.5)))
    assert told.value.result is not None
    assert told.value.result.seconds < 30


async def test_a_worker_that_is_killed_is_told_and_retried(ray_runtime: RayRuntime, tmp_path: Path) -> None:
    def die_once(marks: str) -> str:
        import os
        from pathlib import Path

        if not (mark := Path(marks) / "died").exists():
            mark.touch()
            os.kill(os.getpid(), 9)
        return "alive"

    work = Function(die_once, [str(tmp_path)], sandbox="off", retries=1)
    done = await ray_runtime.run(work)
    assert (done.value, done.attempts) == ("alive", 2)


@pytest.fixture
def little_memory() -> Iterator[Path]:
    """A control group whose processes the kernel kills when they take more than some megabytes."""
    if not kills_for_memory():
        pytest.skip("no control groups for memory (version 1) that may be written: run this as root")
    group = Path(f"/sys/fs/cgroup/memory/codin-ray-{os.getpid()}")
    group.mkdir()
    group.joinpath("memory.limit_in_bytes").write_text(str(64 * 1024 * 1024))
    yield group
    group.rmdir()


async def test_a_worker_that_the_kernel_kills_for_memory_is_told_and_leaves_nothing(
    ray_runtime: RayRuntime, little_memory: Path
) -> None:
    def greedy(group: str) -> Iterator[list[object]]:
        import os
        from pathlib import Path

        Path(group, "cgroup.procs").write_text(str(os.getpid()))
        Path("here").touch()
        yield [os.getpid(), str(Path.cwd())]
        yield [len(b"x" * 10**9), ""]

    async with asyncio.timeout(120):
        running = await ray_runtime.run(Function(greedy, [str(little_memory)], sandbox="off"), stream=True)
        with pytest.raises(WorkloadFailed, match="its Ray worker was killed"):
            await running.wait()
        ((process, folder),) = running.items
        assert "oom_kill 1" in little_memory.joinpath("memory.oom_control").read_text()
        await until(lambda: gone(process) and not Path(folder).exists())
    assert (await ray_runtime.run(Function(chores.double, [2], sandbox="off"))).value == 4


async def test_a_result_is_json_made_on_the_node(ray_runtime: RayRuntime) -> None:
    with pytest.raises(WorkloadFailed, match="result of a workload is JSON"):
        await ray_runtime.run(Function(object, sandbox="off"))
    with pytest.raises(WorkloadFailed, match=r"limits\.output"):
        await ray_runtime.run(Function("x".ljust, [2_000_000], sandbox="off"))


async def test_what_is_large_arrives_whole_and_holds_nobody_up(ray_runtime: RayRuntime) -> None:
    size = 20_000_000
    limits = Limits(output=2 * size)
    async with asyncio.timeout(120), asyncio.TaskGroup() as both:
        large = both.create_task(ray_runtime.run(Function("x".ljust, [size], sandbox="off", limits=limits)))
        argument = both.create_task(ray_runtime.run(Function(len, ["é" * size], sandbox="off")))
        small = both.create_task(ray_runtime.run(Function(chores.double, [2], sandbox="off")))
    assert large.result().value == "x".ljust(size)
    assert argument.result().value == size
    assert small.result().value == 4


async def test_what_print_says_comes_and_what_was_there_before_comes_back(ray_runtime: RayRuntime) -> None:
    def look() -> list[str | bool | None]:
        import os
        import sys
        from pathlib import Path

        print("seen", file=sys.stderr)
        before = [os.environ.get("WORD"), Path("given.txt").exists(), Path("left.txt").exists()]
        Path("left.txt").touch()
        return before

    first = await ray_runtime.run(Function(look, sandbox="off", env={"WORD": "word"}, files={"given.txt": b"given"}))
    second = await ray_runtime.run(Function(look, sandbox="off"))
    assert first.value == ["word", True, False]
    assert second.value == [None, False, False]
    assert first.stderr == b"seen\n"
    assert first.unenforced >= {"files", "network", "memory"}


async def test_a_reader_that_is_slow_holds_the_generator_up(ray_runtime: RayRuntime, tmp_path: Path) -> None:
    def count_on(mark: str) -> Iterator[int]:
        from pathlib import Path

        with Path(mark).open("w", buffering=1) as file:
            for number in range(100_000):
                file.write(f"{number}\n")
                yield number

    mark = tmp_path / "mark"
    running = await ray_runtime.run(Function(count_on, [str(mark)], sandbox="off"), stream=True)
    async with asyncio.timeout(60):
        events = aiter(running)
        await anext(events)
        await until(lambda: len(mark.read_text().splitlines()) > 100)
        await asyncio.sleep(1)  # in which it would go far ahead
        assert len(mark.read_text().splitlines()) < 2000
        await running.cancel()


async def test_an_endpoint_is_called_from_a_node(ray_cluster: RayCluster) -> None:
    async def answer(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said(200, body, "application/json"))

    async with (
        endpoint(answer) as url,
        RayRuntime(ray_cluster.address, guard=AddressGuard(allow_loopback=True), patience=120) as runtime,
    ):
        assert (await runtime.run(Endpoint(url, body=[1, 2]))).value == [1, 2]
        with pytest.raises(NoRuntime):
            await runtime.run(Command(["true"]))


async def test_an_endpoint_that_may_not_be_called_is_refused_on_the_node(ray_runtime: RayRuntime) -> None:
    with pytest.raises(NoRuntime, match=r"127\.0\.0\.1"):
        await ray_runtime.run(Endpoint("http://127.0.0.1:9/"))


async def test_arguments_that_are_no_json_are_refused_here(ray_runtime: RayRuntime) -> None:
    with pytest.raises(ConfigError, match="not JSON"):
        await ray_runtime.run(Module("tests.runtime.chores:double", [object()], sandbox="off"))


async def test_what_no_node_has_is_told_after_a_while(ray_cluster: RayCluster) -> None:
    async with RayRuntime(ray_cluster.address, resources={"nowhere": 1}, patience=120) as runtime:
        await runtime.missing(Endpoint("http://localhost/"))  # connects
        runtime._patience = 1.0  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(NoRuntime, match="no node of the cluster has"):
            await runtime.run(Function(chores.double, [1], sandbox="off"))


async def test_missing_asks_a_node_for_its_sandbox(ray_runtime: RayRuntime) -> None:
    assert await ray_runtime.missing(Function(chores.double, [1], sandbox="required")) == ""
    assert "it runs no command" in await ray_runtime.missing(Command(["true"]))


async def test_a_node_that_is_lost_ends_its_tasks_and_streams(ray_cluster: RayCluster, tmp_path: Path) -> None:
    def linger(mark: str) -> None:
        import time
        from pathlib import Path

        Path(mark).touch()
        time.sleep(600)

    resource, mark = f"doomed-{os.getpid()}", tmp_path / "begun"
    limits = Limits(cpu=0.1, time=None)
    async with asyncio.timeout(170):
        node = await asyncio.to_thread(ray_cluster.add_node, resource)
        async with RayRuntime(ray_cluster.address, resources={resource: 1}, patience=120) as runtime:
            process, reading = await begun(Function(stay, [str(tmp_path)], sandbox="off", limits=limits), runtime)
            task = asyncio.create_task(runtime.run(Function(linger, [str(mark)], sandbox="off", limits=limits)))
            await until(mark.exists)
            await asyncio.to_thread(ray_cluster.remove_node, node)
            for lost in (reading, task):
                with pytest.raises((RuntimeUnavailable, WorkloadFailed)):
                    await lost
            await until(lambda: gone(process))


def _drivers() -> set[int]:
    """The processes of ours that are connected to a cluster."""
    return {child for child, command in children().items() if "_ray.child" in command}


async def test_a_driver_that_dies_is_told_and_replaced(ray_cluster: RayCluster, tmp_path: Path) -> None:
    others = _drivers()
    async with asyncio.timeout(150), RayRuntime(ray_cluster.address, patience=120) as runtime:
        _, reading = await begun(Function(stay, [str(tmp_path)], sandbox="off"), runtime)
        (driver,) = _drivers() - others
        os.kill(driver, signal.SIGKILL)
        with pytest.raises(RuntimeUnavailable, match="went away"):
            await reading
        assert (await runtime.run(Function(chores.double, [3], sandbox="off"))).value == 6


async def test_a_program_may_be_its_own_driver(ray_here: None, ray_cluster: RayCluster, tmp_path: Path) -> None:
    own = import_module("ray")
    others = _drivers()
    async with asyncio.timeout(120), RayRuntime(driver="here") as runtime:
        assert (await runtime.run(Function(chores.double, [4], sandbox="off"))).value == 8
        assert _drivers() == others
        _, reading = await begun(Function(stay, [str(tmp_path)], sandbox="off"), runtime)
        own.shutdown()
        try:
            with pytest.raises((RuntimeUnavailable, WorkloadFailed)):
                await reading
            with pytest.raises(RuntimeUnavailable, match="not connected"):
                await runtime.run(Function(chores.double, [1], sandbox="off"))
        finally:
            connect(ray_cluster)
        assert (await runtime.run(Function(chores.double, [5], sandbox="off"))).value == 10


async def test_a_look_at_the_nodes_that_fails_is_not_the_last(ray_here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    own = import_module("ray")
    nodes, looks = own.nodes, 0

    def once_in_vain() -> object:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise ConnectionError("the cluster is away")
        return nodes()

    monkeypatch.setattr(own, "nodes", once_in_vain)
    async with asyncio.timeout(60), RayRuntime(driver="here", resources={"nowhere": 1}, patience=1.0) as runtime:
        with pytest.raises(NoRuntime, match="no node of the cluster has"):
            await runtime.run(Function(chores.double, [1], sandbox="off"))
    assert looks > 1


def test_what_a_program_has_said_to_ray_is_not_said_again() -> None:
    with pytest.raises(ConfigError, match=r"ray\.init"):
        RayRuntime("127.0.0.1:9", driver="here")


async def test_a_cluster_that_is_gone_is_told_in_time_and_the_loop_never_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ray ends whoever waits longer for its cluster: none but this one is asked to be so quick.
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "5")
    cluster = RayCluster()
    await asyncio.to_thread(cluster.start)
    try:
        async with asyncio.timeout(150), RayRuntime(cluster.address, patience=60) as runtime:
            _, reading = await begun(Function(stay, [str(tmp_path)], sandbox="off"), runtime)
            await asyncio.to_thread(cluster.kill_gcs)
            longest = 0.0
            while not reading.done():
                before = time.perf_counter()
                await asyncio.sleep(0.01)
                longest = max(longest, time.perf_counter() - before)
            with pytest.raises((RuntimeUnavailable, WorkloadFailed)):
                await reading
            with pytest.raises(RuntimeUnavailable):
                await runtime.run(Function(chores.double, [1], sandbox="off"))
            assert longest < 2
    finally:
        await asyncio.to_thread(cluster.stop)


async def test_nobody_there_is_told_with_what_to_do() -> None:
    async with RayRuntime("127.0.0.1:9", patience=10) as runtime:
        with pytest.raises(RuntimeUnavailable) as told:
            await runtime.run(Function(chores.double, [1]))
        assert told.value.hint is not None
        assert "ray status" in told.value.hint
        assert await runtime.missing(Function(chores.double, [1])) != ""


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("runtime_ray.py", ["primes: [[2, 3, 5, 7], [11, 13", "items: [3, 2, 1]", "held by: local"]),
        ("ray_agents.py", ["actor: ['r-', 'a-', 'y-'", "serve: ['r-', 'a-', 'y-'"]),
    ],
)
def test_an_example_on_a_cluster(ray_cluster: RayCluster, name: str, shown: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    done = subprocess.run(
        [sys.executable, f"examples/{name}"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "RAY_ADDRESS": ray_cluster.address, "SERVE_PORT": str(port)},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for words in shown:
        assert words in done.stdout


@pytest.mark.parametrize("turns", range(6))
async def test_closed_while_it_connects_leaves_no_driver(turns: int) -> None:
    before = set(children())
    async with asyncio.timeout(60):
        runtime = RayRuntime("127.0.0.1:1")  # where nobody listens
        asking = asyncio.create_task(runtime.missing(Function(sum, [[1]])))
        for _ in range(turns):
            await asyncio.sleep(0)  # one turn of the loop
        await runtime.close()
        await asyncio.to_thread(lambda: None)  # a driver that a thread had begun is there by now
        asking.cancel()
        await asyncio.wait([asking])
        await runtime.close()
    assert set(children()) == before
