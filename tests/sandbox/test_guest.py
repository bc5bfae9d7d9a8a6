"""The guest of a rented machine where it is root, as it is at the vendors': here in namespaces of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from textwrap import dedent

import pytest

from codin.errors import FileRefused, SandboxError
from codin.sandbox import Code, Guarantee, Limits, Policy
from codin.sandbox._cloud.machine import CloudSandbox
from codin.sandbox._cloud.talk import BOOT, Line, Talk
from tests.sandbox.test_attacks import FORKS
from tests.sandbox.test_contract import OBEDIENT, Words, first_line

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        not sys.platform.startswith("linux") or os.geteuid() != 0 or not shutil.which("nsenter"),
        reason="needs root on Linux, and util-linux",
    ),
]


class Pipe:
    """A line to a program of this host."""

    def __init__(self, program: asyncio.subprocess.Process, talk: Talk) -> None:
        self._program = program
        self._listening = asyncio.create_task(self._listen(talk))

    async def send(self, data: bytes, /) -> None:
        assert self._program.stdin is not None
        self._program.stdin.write(data)

    async def close(self) -> None:
        if self._program.returncode is None:
            self._program.kill()
        await self._listening

    async def _listen(self, talk: Talk) -> None:
        assert self._program.stdout is not None
        while data := await self._program.stdout.read(65536):
            talk.feed(data)
        await self._program.wait()
        talk.over("")


class RootSandbox(CloudSandbox):
    """A "machine" that is a process tree with its own /tmp and /proc, in which the guest is root."""

    kind = "root"
    vendor = "nobody"

    async def _shortfall(self) -> frozenset[Guarantee]:
        return frozenset()

    async def _rent(self) -> None:
        first = "mount -t tmpfs none /tmp && echo up && exec sleep infinity"
        own = f"unshare --mount --pid --net --fork --kill-child --mount-proc sh -c '{first}'"
        # Users of its own, by the same numbers: the kernel counts the processes of each for all machines otherwise.
        users = ["unshare", "--user", "sh", "-c", f"echo unshared && read go && exec {own}"]
        pipe = asyncio.subprocess.PIPE
        self._machine = await asyncio.create_subprocess_exec(*users, stdin=pipe, stdout=pipe)
        assert self._machine.stdin is not None
        assert self._machine.stdout is not None
        await self._machine.stdout.readline()
        for kind in ("uid_map", "gid_map"):
            with open(f"/proc/{self._machine.pid}/{kind}", "w", encoding="ascii") as file:  # noqa: ASYNC230, PTH123
                file.write("0 0 4294967295")
        self._machine.stdin.write(b"go\n")
        await self._machine.stdout.readline()
        with open(f"/proc/{self._machine.pid}/task/{self._machine.pid}/children", encoding="ascii") as file:  # noqa: ASYNC230, PTH123
            self._first = file.read().split()[0]

    async def _give_back(self) -> None:
        self._machine.kill()
        await self._machine.wait()

    async def _hang_up(self) -> None: ...

    async def _renew(self) -> None: ...

    def _id(self) -> str:
        return self._first

    def meant(self, error: Exception) -> SandboxError:
        return SandboxError(str(error))

    async def _connect(self, talk: Talk) -> Line:
        there = ["nsenter", "-t", self._first, "-U", "-m", "-p", "-n", "sh", "-c", f"exec {BOOT}"]
        pipe = asyncio.subprocess.PIPE
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin"}  # a Python that everybody may run
        return Pipe(await asyncio.create_subprocess_exec(*there, stdin=pipe, stdout=pipe, env=env), talk)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def sandbox() -> AsyncIterator[RootSandbox]:
    async with asyncio.timeout(150), RootSandbox(Policy(limits=Limits(processes=32, time=60.0))) as sandbox:
        yield sandbox


async def test_commands_are_nobodys(sandbox: RootSandbox) -> None:
    done = await sandbox.exec(["sh", "-c", "id -u; id -G; grep -E 'NoNewPrivs|CapEff' /proc/self/status; pwd"])
    words = done.check().text.split()
    assert words[:2] == ["61961", "61961"]
    assert words[2:] == ["CapEff:", "0000000000000000", "NoNewPrivs:", "1", "/tmp/codin/work"]


async def test_files_are_nobodys(sandbox: RootSandbox) -> None:
    await sandbox.put("a/b", b"1")
    assert (await sandbox.exec(["stat", "-c", "%u", "a/b"])).check().text == "61961\n"
    (await sandbox.exec(["ln", "-s", "/etc/shadow", "link"])).check()
    with pytest.raises(FileRefused):
        await sandbox.get("link")
    assert (await sandbox.exec(["cat", "link"])).exit_code == 1


async def test_a_guest_cannot_be_reached(sandbox: RootSandbox) -> None:
    words = Words()
    async with sandbox.start(OBEDIENT, stdin=words) as execution:
        await first_line(execution)
        source = """
            import os
            for what in ("fd/1", "fd/0", "mem"):
                try:
                    open(f"/proc/{os.getppid()}/{what}", "r+b")
                    print("BROKEN", what)
                except OSError:
                    pass
            try:
                os.kill(os.getppid(), 9)
                print("BROKEN")
            except PermissionError:
                print("held")
        """
        assert (await sandbox.exec(Code(dedent(source)))).check().text == "held\n"
        words.say(b"alive\n")
        assert (await execution.result()).check().text.endswith("told alive\n")


@pytest.mark.parametrize("name", FORKS)
async def test_a_fork_bomb(sandbox: RootSandbox, name: str) -> None:
    for _ in range(5 if name == "slippery" else 1):  # luck is no wall
        source = f"print('begun', flush=True)\n{dedent(FORKS[name])}"
        timeout, text = 1.0, ""
        while not text:  # until the interpreter has begun in its time
            timeout *= 2
            text = (await sandbox.exec(["python3", "-c", source], timeout=timeout)).text
        assert text.startswith("begun")
        seen = await sandbox.exec(["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"])
        assert "fork" not in seen.check().text


async def test_nothing_outlives_its_command(sandbox: RootSandbox) -> None:
    inner = "if os.fork() == 0: os.setsid() or os.fork() or time.sleep(987)"
    source = f"import os, time\n{inner}"
    assert (await sandbox.exec(Code(source))).ok
    seen = await sandbox.exec(["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"])
    assert "time" not in seen.check().text
