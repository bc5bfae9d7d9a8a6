"""A process that runs, in a sandbox or plainly: both are ended, waited for and written down alike."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from codin.cli._manifest import NAME
from codin.cli.workspace._log import LogFile
from codin.errors import SandboxClosed

if TYPE_CHECKING:
    from codin.cli.workspace._launch import Launch
    from codin.sandbox import Execution
    from codin.sandbox.local import LocalSandbox

__all__ = ["Running", "held", "plain"]

_MIB = 1024 * 1024
_LAST_READS = 16
_LOOKS, _LOOK = 20, 0.005  # until the process in a sandbox is there; it is a matter of a millisecond


class Running(Protocol):
    """A process at work."""

    pid: int

    async def wait(self) -> int | str:
        """Its exit code when it has ended, -n when signal n ended it; in words where that would not say why."""
        ...

    def end(self) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None:
        """End it and what it has started, without a word of farewell."""
        ...


@asynccontextmanager
async def plain(launch: Launch, log: LogFile, leash: int) -> AsyncGenerator[Running]:
    """Run it on this machine. Raises OSError."""
    async with _written_to(log) as output:
        try:
            process = await asyncio.create_subprocess_exec(
                *launch.command,
                stdin=leash,
                stdout=output,
                stderr=output,
                env=launch.env,
                cwd=launch.cwd,
                process_group=0,  # Ctrl-C is for the supervisor, which then ends its processes
            )
        finally:
            os.close(output)
        yield _Plain(process)


@asynccontextmanager
async def held(launch: Launch, log: LogFile, sandbox: LocalSandbox) -> AsyncGenerator[Running]:
    """Run it in a sandbox that is open."""
    leash = asyncio.Event()

    async def stdin() -> AsyncIterator[bytes]:
        await leash.wait()
        yield b""

    has_begun = False
    try:
        async with sandbox.start(launch.command, stdin=stdin(), keep=False) as execution:
            has_begun = True
            assert sandbox.pid is not None
            yield _Held(execution, leash, log, await _within(sandbox.pid), sandbox.policy.limits.memory)
    except SandboxClosed:  # somebody has ended it from outside, of which `wait` has told
        if not has_begun:
            raise


class _Plain:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        self._process = process

    async def wait(self) -> int:
        return await self._process.wait()

    def end(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


class _Held:
    def __init__(self, execution: Execution, leash: asyncio.Event, log: LogFile, pid: int, memory: int) -> None:
        self.pid = pid
        self._execution = execution
        self._leash = leash
        self._log = log
        self._memory = memory
        self._killing: asyncio.Task[None] | None = None

    async def wait(self) -> int | str:
        try:
            async for output in self._execution:
                self._log.write(output.data)
            done = await self._execution.result()
        except SandboxClosed:
            return -signal.SIGKILL
        if done.ended != "memory":
            return done.exit_code
        return f"took more than its {self._memory // _MIB} MiB of memory (raise memory in [sandbox] of its {NAME})"

    def end(self) -> None:
        self._leash.set()  # a signal from out here would be one more way to do what its leash does

    def kill(self) -> None:
        if self._killing is None:
            self._killing = asyncio.get_running_loop().create_task(self._kill())

    async def _kill(self) -> None:
        with contextlib.suppress(SandboxClosed):
            await self._execution.kill()


async def _within(supervisor: int) -> int:
    """The process of the agent, as this machine counts: the child of the supervisor, which has no other command."""
    for _ in range(_LOOKS):
        if agent := _children().get(supervisor):
            return agent
        await asyncio.sleep(_LOOK)
    return supervisor


def _children() -> dict[int, int]:
    """A child of each process that has one."""
    found: dict[int, int] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208  quicker, and there may be many
        with contextlib.suppress(OSError):
            found[int(Path("/proc", name, "stat").read_bytes().rpartition(b")")[2].split()[1])] = int(name)
    return found


@asynccontextmanager
async def _written_to(log: LogFile) -> AsyncGenerator[int]:
    """A descriptor whose bytes go into the log. The reader closes it once the process has it."""
    output, given = os.pipe()
    os.set_blocking(output, False)
    loop = asyncio.get_running_loop()

    def read() -> bool:
        try:
            data = os.read(output, 65536)
        except BlockingIOError:
            return False
        if not data:
            loop.remove_reader(output)
        log.write(data)
        return bool(data)

    loop.add_reader(output, read)
    try:
        yield given
    finally:
        for _ in range(_LAST_READS):  # what it said last; what it has started may go on talking
            if not read():
                break
        loop.remove_reader(output)
        os.close(output)
