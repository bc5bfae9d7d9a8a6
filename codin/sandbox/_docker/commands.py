"""All commands of one container: how they begin, and that nothing of them stays."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import anyio

from codin.errors import FileRefused, SandboxClosed, SandboxError
from codin.sandbox._docker.container import WORK, WRITABLE
from codin.sandbox._docker.daemon import Daemon, Gone, Refusal, pieces
from codin.sandbox._docker.process import Command
from codin.sandbox._docker.warden import Seen, Warden
from codin.sandbox._protocol import Ending

__all__ = ["Commands"]

# What a command is before it is itself: the kernel shall take it, and not the warden, when memory runs out, and its
# number is known. The command before it may have taken the rights from the working folder.
_BEGIN = rf"""
cd "$1" 2>/dev/null || {{ chmod 755 {WORK} && cd "$1"; }} 2>/dev/null || {{ echo no; exit; }}
shift
unset OLDPWD
{{ echo 1000 > /proc/self/oom_score_adj; }} 2>/dev/null
echo $$
exec "$@"
"""
_INIT = ("/sbin/docker-init", "-s", "--")
_GLANCE, _GLANCES = 0.1, 1.0  # seconds until it is first looked after a command, and at most between two looks
_SIGNALS = range(129, 193)
_LONG = 10.0  # seconds between two looks at what is dying, after which it is not waited for
_LAST_WORDS = 2.0  # seconds for the daemon to say why a container has ended


class Commands:
    """Begins the commands of one container, and learns from the daemon's events how they end."""

    def __init__(self, daemon: Daemon, container: str, warden: Warden, user: str) -> None:
        self._daemon = daemon
        self._container = container
        self._warden = warden
        self._user = user
        self._open: dict[str, Command] = {}
        """Those of which the end is not known."""
        self._running: set[Command] = set()
        self._beginning = 0
        self._short = 0
        self._out_of_memory = False
        self._ordered = False
        """Somebody has told the daemon to end the container."""
        self._destroyed = asyncio.Event()
        self._gone: str | None = None
        self._chores: set[asyncio.Task[Any]] = set()

    @property
    def is_gone(self) -> bool:
        return self._gone is not None

    def events(self) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """What happens to the container from now on, for `watch`."""
        filters = json.dumps({"container": [self._container], "event": ["exec_die", "oom", "kill", "die", "destroy"]})
        return self._daemon.stream("GET", "events", {"filters": filters}, forever=True)

    def watch(self, events: aiohttp.ClientResponse) -> None:
        """Follow what happens, until `close`."""
        self._spawn(self._follow(events))

    async def begin(self, command: Sequence[str], env: Mapping[str, str], cwd: str) -> Command:
        """Run a command, in a folder below the working folder.

        Raises:
            FileRefused: there is no such folder.
            SandboxClosed: the container is gone.
        """
        if self._gone is not None:
            raise self.lost()
        beginning = self._spawn(self._begin(command, env, cwd))
        try:
            await asyncio.wait([beginning])
        except asyncio.CancelledError:
            # It may have begun, and is the only one who knows.
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self._spawn(_discard(beginning))])
            raise
        if beginning.cancelled():
            raise self.lost()
        return beginning.result()

    async def close(self) -> None:
        self.gone("it was closed")
        while self._chores:
            for chore in self._chores:
                chore.cancel()
            await asyncio.wait(self._chores)
        for command in self._running:
            await command.close()

    def gone(self, why: str) -> None:
        """Whoever waits for a command learns that the container is no more."""
        if self._gone is None:
            self._gone = why
        for command in self._open.values():
            command.ended(Ending(-9, "memory") if self._out_of_memory else None, lost=True)
        self._open.clear()

    def lost(self) -> SandboxClosed:
        why = "it ran out of memory" if self._out_of_memory else self._gone
        return SandboxClosed(f"the docker sandbox is gone: {why}", hint="open another one")

    async def end(self, command: Command) -> None:
        """Kill a command, and everything it began."""
        # Whoever gives up waiting must not leave the others halted.
        sweep = self._spawn(self._sweep(command))
        await asyncio.wait([sweep])
        if not sweep.cancelled() and (error := sweep.exception()) is not None:
            if not isinstance(error, Gone):
                raise error
            await self._last_words(str(error))

    async def _begin(self, command: Sequence[str], env: Mapping[str, str], cwd: str) -> Command:
        self._beginning += 1
        try:
            # Whoever is about to kill all there is does not know of this one: let that pass.
            seen = await self._warden.look()
            return await self._execute([*_INIT, *command] if seen.adopts else command, env, cwd)
        except Refusal as error:
            if error.status == 400:
                raise SandboxError(f"Docker does not run the command: {error}") from error
            self.gone(str(error))
            raise self.lost() from error
        except Gone as error:
            await self._last_words(str(error))
            raise self.lost() from error
        finally:
            self._beginning -= 1

    async def _execute(self, command: Sequence[str], env: Mapping[str, str], cwd: str) -> Command:
        config = {
            "User": self._user,
            "Env": [f"{name}={value}" for name, value in {"HOME": WRITABLE, **env}.items()],
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "Cmd": ["/bin/sh", "-c", _BEGIN, "codin", f"{WORK}/{cwd}", *command],
        }
        name, channel = await self._daemon.execute(self._container, config)
        begun = Command(self, name, channel)
        try:
            told = await begun.first_line()
            if told == "no":
                raise FileRefused(f"{cwd!r} is not a folder of this sandbox", path=cwd)
            if not told.isdigit():
                raise Refusal(400, told) if told else Gone("its container has ended")
        except BaseException:
            await channel.close()
            raise
        begun.root = int(told)
        self._open[name] = begun
        self._running.add(begun)
        if self._gone is not None:
            self.gone(self._gone)
        self._spawn(self._look_after(begun))
        return begun

    async def _look_after(self, command: Command) -> None:
        """See that it has ended, of which the daemon says nothing while something holds its output open."""
        pause = _GLANCE
        while not await command.over_within(pause):
            pause = min(2 * pause, _GLANCES)
            try:
                if command.root in (await self._warden.look()).parents:
                    continue
                await self._sweep()
                told = await self._daemon.ask("GET", f"exec/{command.name}/json")
            except (Gone, Refusal) as error:
                await self._last_words(str(error))
                return
            except SandboxError:
                continue  # this process has too many files open, which may be over at the next look
            if not told["Running"]:
                await self._finish(command, told["ExitCode"])

    async def _finish(self, command: Command, code: int) -> None:
        """End what a command left behind, and say how it ended."""
        if command not in self._running:
            return
        self._running.discard(command)
        try:
            seen = await self._sweep()
        except Gone as error:
            await self._last_words(str(error))
            return
        # It has outlived whatever killed the command.
        self._out_of_memory = False
        self._open.pop(command.name, None)
        short, self._short = seen.short > self._short, max(seen.short, self._short)
        exit_code = 128 - code if code in _SIGNALS else code
        if short and exit_code == -9 and not command.killed:
            command.ended(Ending(exit_code, "memory"))
        else:
            command.ended(Ending(exit_code, "killed" if command.killed else "exited"))

    async def _sweep(self, ending: Command | None = None) -> Seen:
        """Kill what no command has any more, and one command; what others began stays."""
        if self._beginning or self._running - {ending}:
            # One that begins others all the time is not to be seen while it moves.
            halted = await self._warden.halt()
            rest = halted.strays() | halted.below([ending.root] if ending is not None else [])
            seen = await self._warden.kill(rest)
        else:
            seen = await self._warden.end()
            rest = set(seen.parents)
        return await self._until_gone(rest, seen)

    async def _until_gone(self, dying: set[int], seen: Seen) -> Seen:
        pause = 0.001
        while dying := dying & set(seen.parents):
            if pause > _LONG:
                raise Gone("its processes cannot be killed")
            await asyncio.sleep(pause)
            pause *= 1.5
            seen = await self._warden.look()
        return seen

    async def _follow(self, events: aiohttp.ClientResponse) -> None:
        with contextlib.suppress(Gone):
            async for line in _lines(pieces(events)):
                self._hear(json.loads(line))
        self.gone("the Docker daemon went away")

    def _hear(self, event: Mapping[str, Any]) -> None:
        about = event["Actor"]["Attributes"]
        match event["Action"]:
            case "exec_die":
                if (command := self._open.get(about["execID"])) is not None:
                    self._spawn(self._finish(command, int(about["exitCode"])))
            case "oom":
                self._out_of_memory = True
            case "kill":
                self._ordered = True
            case "die":
                # A gVisor that is short of memory may go before it can say so: who else kills without the daemon?
                self._out_of_memory |= about["exitCode"] == "137" and not self._ordered
                self._spawn(self._last_words("its container has ended"))
            case "destroy":
                self._destroyed.set()
            case _:
                pass

    async def _last_words(self, why: str) -> None:
        """A container goes: that it ran out of memory may be said after that it has ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                await self._destroyed.wait()
        self.gone(why)

    def _spawn(self, chore: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(chore)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        return task


async def _discard(beginning: asyncio.Task[Command]) -> None:
    await asyncio.wait([beginning])
    if not beginning.cancelled() and beginning.exception() is None:
        await beginning.result().kill()
        with contextlib.suppress(SandboxClosed):
            await beginning.result().wait()


async def _lines(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in content:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
