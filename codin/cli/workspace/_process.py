"""One process of a workspace: started, watched, and started again."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from codin.cli._exits import REFUSED
from codin.cli.workspace._launch import HOST, Launch, Prepare
from codin.cli.workspace._log import LogFile
from codin.cli.workspace._restarts import Restarts
from codin.cli.workspace._running import Running, held, plain
from codin.errors import CodinError, ConfigError, PolicyNotEnforced, SandboxError, SandboxUnavailable
from codin.mesh import Nearby
from codin.net import Transport

if TYPE_CHECKING:
    from codin.cli.workspace._room import Room
    from codin.sandbox.local import LocalSandbox

__all__ = ["Process", "State"]

State = Literal["starting", "ready", "silent", "waiting", "crashed", "refused", "stopped"]
"""silent: it runs and does not answer; waiting: for its restart; crashed, refused: left alone until somebody acts."""

_RELOAD_GRACE = 3.0  # when its code changed, and a person waits for the new one
_SOON, _SELDOM = 0.1, 5.0  # seconds between two looks: while it starts, and later
_PATIENCE = 3.0  # seconds for an answer
_MISSES = 3  # in a row, until it is called silent
_EVERYBODY = 1000


class Process:
    """Runs what `prepare` says, until `stop`.

    Args:
        name: unique in the workspace; also of its log.
        prepare: see `Prepare`.
        leash: becomes its stdin.
        on_change: called after each change of state.

    Attributes:
        state: what it is doing.
        since: when that began, in seconds since 1970.
        words: what there is to say of that, e.g. why it ended.
        pid: while it runs.
        port: where it is, or was.
        starts: how often it was started.
        sandbox: the kind of what holds it; None when nothing does.
        called: the names by which its agents are called, once it is ready; those of their cards.
    """

    def __init__(
        self, name: str, prepare: Prepare, *, log: Path, leash: int, transport: Transport, on_change: Callable[[], None]
    ) -> None:
        self.name = name
        self.state: State = "starting"
        self.since: float = time.time()
        self.words: str = ""
        self.pid: int | None = None
        self.port: int = 0
        self.starts: int = 0
        self.sandbox: str | None = None
        self.called: Sequence[str] = ()
        self._remark = ""
        self._running: Running | None = None
        self._prepare = prepare
        self._log = log
        self._leash = leash
        self._transport = transport
        self._on_change = on_change
        self._policy = Restarts()
        self._act = asyncio.Event()
        self._begun = asyncio.Event()
        self._ended = False
        self._again = False
        self._grace: float | None = None
        self._stopping: asyncio.Event = asyncio.Event()

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://{HOST}:{self.port}/" if self.port else ""

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return max(0, self.starts - 1)

    def to_dict(self) -> Mapping[str, Any]:
        """What is written down."""
        names = ("name", "state", "since", "words", "pid", "url", "starts", "restarts", "sandbox", "called")
        return {name: getattr(self, name) for name in names}

    def restart(self, prepare: Prepare) -> None:
        """Start again now: its code has changed, or what is known of it."""
        self._prepare = prepare
        self._policy.forget()
        self._again = True
        self._grace = _RELOAD_GRACE
        self._stopping.set()
        self._act.set()

    def stop(self, *, at_once: bool = False) -> None:
        """End it for good; `run` returns when it has ended."""
        self._ended = True
        self._again = False
        self._grace = 0.0 if at_once else None
        self._stopping.set()
        self._act.set()
        if at_once and self._running is not None:
            self._running.kill()

    async def run(self) -> None:
        """Keep it running until `stop`."""
        log = LogFile(self._log)
        try:
            while not self._ended:
                await self._turn(log)
        finally:
            log.close()
            self._set("stopped")

    async def begun(self) -> None:
        """Wait until its first start is over: it is ready, or will not be for now."""
        await self._begun.wait()

    async def _turn(self, log: LogFile) -> None:
        """One start, and what comes after its end."""
        self._again = False
        self.called = ()
        self._act.clear()
        self._stopping.clear()
        self._set("starting")
        end: int | str | None = None
        async with AsyncExitStack() as stack:
            try:
                launch = await asyncio.to_thread(self._prepare, self.port)
                log.secrets = launch.secrets
                self.port = launch.port
                sandbox = await self._opened(launch.room, stack, log)
            except ConfigError as error:
                log.say(str(error))
                self._set("refused", str(error))
                await self._act.wait()
                return
            if not self._stopping.is_set():
                end = await self._once(launch, log, sandbox)
        if end is None or self._ended or self._again:
            return
        if end == REFUSED:
            self._set("refused", log.last)
            await self._act.wait()
        else:
            await self._rest(_ending(end) if isinstance(end, int) else end, log)

    async def _opened(self, room: Room | None, stack: AsyncExitStack, log: LogFile) -> LocalSandbox | None:
        """Its sandbox, if it is to have one; None where it may go without, which is said.

        Raises:
            ConfigError: it may not, and there is none.
        """
        self.sandbox, self._remark = None, ""
        if room is None:
            return None
        try:
            if room.lacking:
                raise SandboxError(room.lacking, hint="give it a folder of its own")
            sandbox = await stack.enter_async_context(room.sandbox())
        except (OSError, SandboxError) as error:
            if room.is_required:
                raise _refusal(error) from None
            self._remark = f"in no sandbox: {_advised(error)}"
            log.say(self._remark)
            self._set("starting", self._remark)
            return None
        self.sandbox = sandbox.kind
        if missing := sandbox.unenforced - {"disk"}:  # its own folder never has a bound
            log.say(f"its sandbox does not keep {', '.join(sorted(missing))} here")
        return sandbox

    async def _rest(self, why: str, log: LogFile) -> None:
        """Wait for the restart, or for somebody who acts."""
        wait = self._policy.after(time.monotonic())
        said = f"{why}: {log.last}" if log.last else why
        if wait is None:
            log.say(f"{why}, {self._policy.limit} times in a row: left alone")
            self._set("crashed", f"{self._policy.limit} times in a row; {said}")
        else:
            log.say(f"{why}; starts again in {wait:.1f} s")
            self._set("waiting", said)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._act.wait()

    async def _once(self, launch: Launch, log: LogFile, sandbox: LocalSandbox | None) -> int | str:
        """Run it to its end. Gives its exit code, or why it has ended or not begun."""
        log.last = ""
        starting = plain(launch, log, self._leash) if sandbox is None else held(launch, log, sandbox)
        async with AsyncExitStack() as stack:
            try:
                running = self._running = await stack.enter_async_context(starting)
            except (OSError, SandboxError) as error:
                return f"cannot be started ({error.strerror if isinstance(error, OSError) else error.message})"
            self.pid = running.pid
            self.starts += 1
            self._on_change()
            looking = asyncio.create_task(self._look(self.url + launch.health))
            try:
                code = await self._to_its_end(running, launch.grace)
            finally:
                looking.cancel()
                self.pid = self._running = None
        return code

    async def _to_its_end(self, running: Running, grace: float) -> int | str:
        ending = asyncio.create_task(running.wait())
        told = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([ending, told], return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                running.end()
                await asyncio.wait([ending], timeout=grace if self._grace is None else self._grace)
            if not ending.done():
                running.kill()
            return await ending
        finally:
            told.cancel()
            if not ending.done():
                running.kill()

    async def _look(self, health: str) -> None:
        """Ask again and again whether it is ready."""
        misses = 0
        while True:
            well = await self._answers(health)
            misses = 0 if well else misses + 1
            if well and self.state != "ready":
                self.called = await _names_at(self.url)
                self._set("ready", self._remark)
            elif misses >= _MISSES and self.state == "ready":
                self._set("silent", f"{health} does not answer well")
            await asyncio.sleep(_SOON if self.state == "starting" else _SELDOM)

    async def _answers(self, url: str) -> bool:
        try:
            answer = await self._transport.request("GET", url, headers={}, timeout=_PATIENCE, limit=10_000)
        except CodinError:
            return False
        return answer.status == 200

    def _set(self, state: State, words: str = "") -> None:
        self.state, self.words, self.since = state, words, time.time()
        if state != "starting":
            self._begun.set()
        self._on_change()


async def _names_at(url: str) -> Sequence[str]:
    """What the agents there are called, as whoever calls them finds it."""
    return [found.id for found in await Nearby().find(limit=_EVERYBODY) if found.url.startswith(url)]


def _refusal(error: OSError | SandboxError) -> ConfigError:
    """Why a process that has to be in a sandbox is not started, and what to do."""
    words, hint = (error.message, _advice(error)) if isinstance(error, SandboxError) else (str(error), None)
    if isinstance(error, PolicyNotEnforced):
        lacks_library = "syscalls" in error.missing
        hint = "install libseccomp" if lacks_library else 'leave it out of [sandbox], or write policy = "preferred"'
    return ConfigError(f"it runs in a sandbox only: {words}", hint=hint)


def _advised(error: OSError | SandboxError) -> str:
    hint = _advice(error) if isinstance(error, SandboxError) else None
    return str(error) if isinstance(error, OSError) else error.message + (f". Hint: {hint}" if hint else "")


def _advice(error: SandboxError) -> str | None:
    """What helps an agent. It is held by this kind of sandbox alone, and the error may speak of others."""
    if not isinstance(error, SandboxUnavailable):
        return error.hint
    here = sys.platform != "linux" or shutil.which("bwrap") is not None
    return None if here else "install it (`apt install bubblewrap`, `dnf install bubblewrap`)"


def _ending(code: int) -> str:
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
