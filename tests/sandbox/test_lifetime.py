"""Local sandboxes whose makers turn away, and pools of sandboxes that are gone."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from codin.errors import SandboxClosed, SandboxUnavailable
from codin.runtime import Command, LocalRuntime
from codin.sandbox import Code, Limits, Pool, Sandbox, sandbox_of
from codin.sandbox.local import LocalSandbox
from tests.sandbox.conftest import Room
from tests.sandbox.remains import groups
from tests.sandbox.test_local import MIB, with_word

pytestmark = pytest.mark.anyio
local = pytest.mark.parametrize("room", ["local"], indirect=True)


def test_a_loop_that_closes_lets_it_be_taken_away() -> None:
    # By which its processes are told from others, of this test in another run too.
    mark = int.from_bytes(os.urandom(3), "big")
    limits, sleep = Limits(disk=64 * MIB + mark), f"1234.{mark}"

    async def main(turns: int) -> bool:
        async with asyncio.timeout(60):
            running = asyncio.create_task(runtime.run(Command(["sleep", sleep], limits=limits)))
            for _ in range(turns):
                await asyncio.sleep(0)
            begun = bool(with_word(sleep))
            running.cancel()
            await asyncio.sleep(0)  # it is being taken away when the loop closes
            return begun

    runtime = LocalRuntime(demands=frozenset())
    runtime.run_sync(Command(["true"]))
    begun, turns = False, 0
    while not begun:
        begun = asyncio.run(main(turns))
        assert (groups(), with_word(str(limits.disk)), with_word(sleep)) == ([], [], []), turns
        turns += 1 + turns // 4


@local
async def test_a_pool_lends_none_that_has_gone(room: Room) -> None:
    made: list[LocalSandbox] = []

    def make() -> Sandbox:
        sandbox = room()
        assert isinstance(sandbox, LocalSandbox)
        made.append(sandbox)
        return sandbox

    async with asyncio.timeout(60), Pool(make, size=2) as pool:
        for sandbox in made[:2]:
            assert not sandbox.gone
            assert sandbox.pid is not None
            os.kill(sandbox.pid, signal.SIGKILL)
            while not sandbox.gone:  # noqa: ASYNC110 - the kernel's, and no event
                await asyncio.sleep(0)
        async with pool.take() as sandbox:
            assert (await sandbox.exec(Code("print(1)"))).ok


@local
@pytest.mark.parametrize("error", [KeyError("mine"), ExceptionGroup("mine", [KeyError("one")])])
async def test_a_pool_lets_the_error_of_its_block_through(room: Room, error: Exception) -> None:
    async def fail() -> None:
        async with asyncio.timeout(60), Pool(room) as pool, pool.take() as sandbox:
            await sandbox.exec(["true"])  # another one is being opened meanwhile
            raise error

    with pytest.raises(type(error)) as raised:
        await fail()
    assert raised.value is error
    assert not groups()


@local
async def test_a_pool_that_is_cancelled_closes_and_says_so(room: Room) -> None:
    async def wait() -> None:
        async with asyncio.timeout(None) as bound, Pool(room) as pool, pool.take():
            bound.reschedule(0)
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await wait()
    assert not groups()


@local
async def test_a_pool_that_cannot_open_another_tells_whoever_finds_none(room: Room) -> None:
    made = 0

    def once() -> Sandbox:
        nonlocal made
        made += 1
        return room() if made == 1 else sandbox_of("docker", host="unix:///nowhere.sock")

    async with asyncio.timeout(60), Pool(once, size=1) as pool:
        async with pool.take() as sandbox:
            assert (await sandbox.exec(["true"])).ok
        with pytest.raises(SandboxUnavailable):
            async with pool.take():
                raise AssertionError("there is none")


@local
async def test_a_pool_that_closes_meanwhile_keeps_nothing(room: Room) -> None:
    opening, go_on = asyncio.Semaphore(0), asyncio.Event()

    class Slow(LocalSandbox):
        async def _open(self) -> None:
            if opens_slowly:
                opening.release()
                await go_on.wait()
            await super()._open()

    async def lent() -> None:
        async with pool.take():
            raise AssertionError("the pool is closed")

    opens_slowly, policy = False, room().policy
    async with asyncio.timeout(60):
        pool = Pool(lambda: Slow(policy), size=1)
        async with pool:
            opens_slowly = True
            async with pool.take():
                waiting = asyncio.create_task(lent())
                for _ in range(2):  # the next one to lend, and that of who waits
                    await opening.acquire()
        go_on.set()
        with pytest.raises(SandboxClosed, match="the pool of sandboxes is not open"):
            await waiting


@local
async def test_many_ask_at_once(room: Room) -> None:
    async with asyncio.timeout(60), room() as sandbox:
        await sandbox.put("a", b"")
        listed = await asyncio.gather(*(sandbox.list() for _ in range(900)))
        assert {len(files) for files in listed} == {1}
