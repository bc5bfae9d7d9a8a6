"""Sandboxes in machines of Daytona."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from importlib.util import find_spec
from secrets import token_hex
from typing import TYPE_CHECKING, Any, ClassVar, cast

from codin.errors import PolicyNotEnforced, SandboxClosed, SandboxError, SandboxUnavailable
from codin.sandbox._cloud.machine import CloudSandbox, Expired
from codin.sandbox._cloud.talk import BOOT, Line, Talk
from codin.sandbox._protocol import Guarantee, Policy, Snapshot
from codin.sandbox._to_its_end import to_its_end

if TYPE_CHECKING:
    from daytona import AsyncDaytona, AsyncSandbox, CreateSandboxFromImageParams, CreateSandboxFromSnapshotParams
    from daytona.handle.async_pty_handle import AsyncPtyHandle

__all__ = ["DaytonaSandbox"]

# Importing it takes seconds, which nobody shall wait for who has no key.
if find_spec("daytona") is None:
    raise ModuleNotFoundError("No module named 'daytona'", name="daytona")

_URL = "https://app.daytona.io/api"
_GIB = 1024**3
_MINUTES = 5  # of idleness, after which Daytona stops a machine, and deletes it, since it is ephemeral
_PIECE = 64 * 1024
_LAST = 2.0  # seconds between the last word of a guest and its end
_IMAGE_TIME = 540.0  # seconds for an image to be built, the first time


class _Unknown(SandboxUnavailable):
    """There is nothing of the name."""


class DaytonaSandbox(CloudSandbox):
    """A machine at Daytona, deleted when the sandbox closes, and by Daytona minutes after this process was last seen.

    A machine made of an image has the processors, the memory and the disk that the policy says, in whole cores and
    GiB; others have what their snapshot says.

    Args:
        policy: what it must keep.
        image: an image of a registry that the machine is made of. It needs `python3` and a shell.
        template: a snapshot at Daytona, when there is no image; Daytona's own when not given.
        api_key: when not given, that of the environment variable `DAYTONA_API_KEY`.
        api_url: of a Daytona that is not the vendor's own; when not given, that of `DAYTONA_API_URL`.
        target: the region; when not given, that of `DAYTONA_TARGET`.
        snapshot: the files it begins with.
    """

    kind: ClassVar[str] = "daytona"
    vendor: ClassVar[str] = "Daytona"
    key_variable: ClassVar[str] = "DAYTONA_API_KEY"

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        image: str | None = None,
        template: str | None = None,
        api_key: str | None = None,
        api_url: str | None = None,
        target: str | None = None,
        snapshot: Snapshot | None = None,
    ) -> None:
        super().__init__(policy, api_key=api_key, snapshot=snapshot)
        self._image = image
        self._template = template
        self._api_url = api_url or os.environ.get("DAYTONA_API_URL") or _URL
        self._target = target
        self._client: AsyncDaytona | None = None
        self._machine: AsyncSandbox | None = None

    async def _shortfall(self) -> frozenset[Guarantee]:
        client = self._new_client()
        try:
            size = await self._asked(self._size(client))
        finally:
            await to_its_end(lambda: self._asked(client.close()))
        # Most machines there share a kernel.
        return frozenset({"syscalls", *self._beyond(*size), *self._out_of_reach()})

    async def _rent(self) -> None:
        self._client = self._new_client()
        self._machine = await self._asked(
            self._client.create(self._wanted(), timeout=_IMAGE_TIME if self._image else 60)
        )
        got = self._beyond(self._machine.cpu, self._machine.memory, self._machine.disk)
        if self._policy.network != "full" and not self._machine.network_block_all:
            got.add("network")
        if missing := got & self._policy.demands:
            raise PolicyNotEnforced(
                f"Daytona gave another machine than it was asked for, which does not keep {', '.join(sorted(missing))}",
                missing=missing,
            )

    async def _give_back(self) -> None:
        if self._client is None:
            return
        with suppress(_Unknown, Expired):
            if self._machine is None:
                # It was asked for, and nobody knows whether it came.
                self._machine = await self._asked(self._client.get(self._name))
            await self._asked(self._machine.delete())
        self._machine = None

    async def _hang_up(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            with suppress(SandboxError):
                await self._asked(client.close())

    async def _renew(self) -> None:
        if self._machine is not None:
            await self._asked(self._machine.refresh_activity())

    async def _connect(self, talk: Talk) -> Line:
        if self._machine is None:
            raise SandboxClosed("the daytona sandbox is not open", hint="use it inside `async with`")
        terminal = await self._asked(self._machine.process.create_pty_session(token_hex(8), talk.feed, cwd="/"))
        line = _DaytonaLine(self, terminal, talk)
        try:
            await line.send(f"exec {BOOT}\n".encode())
        except BaseException:
            await line.close()
            raise
        return line

    def _id(self) -> str:
        return self._name if self._machine is None else self._machine.id

    def _new_client(self) -> AsyncDaytona:
        key = self._key()
        from daytona import AsyncDaytona, DaytonaConfig, DaytonaError

        try:
            with warnings.catch_warnings():
                # Its events would come over a connection of their own, which is not closed when it is just being made.
                warnings.filterwarnings("ignore", "Polling-only mode", DeprecationWarning)
                return AsyncDaytona(
                    DaytonaConfig(api_key=key, api_url=self._api_url, target=self._target, use_deprecated_polling=True)
                )
        except DaytonaError as error:
            meant = self.meant(error)
        raise meant

    def _wanted(self) -> CreateSandboxFromImageParams | CreateSandboxFromSnapshotParams:
        from daytona import CreateSandboxFromImageParams, CreateSandboxFromSnapshotParams, Resources

        common: dict[str, Any] = {
            "name": self._name,
            "os_user": "root",
            "labels": {"codin": self._name},
            "public": False,
            "ephemeral": True,
            "auto_stop_interval": _MINUTES,
            "network_block_all": self._policy.network != "full",
        }
        if self._image is None:
            return CreateSandboxFromSnapshotParams(snapshot=self._template, **common)
        cpu, memory, disk = self._resources()
        resources = Resources(cpu=cpu, memory=memory, disk=disk)
        return CreateSandboxFromImageParams(image=self._image, resources=resources, **common)

    def _resources(self) -> tuple[int, int, int]:
        """Cores and GiB, as much as the policy allows of what can be had."""
        limits = self._policy.limits
        return max(1, int(limits.cpu)), max(1, limits.memory // _GIB), max(1, limits.disk // _GIB)

    async def _size(self, client: AsyncDaytona) -> tuple[float | None, float | None, float | None]:
        """Cores and GiB of the machine that would be got, where that is known ahead."""
        if self._image is None and self._template is not None:
            template = await client.snapshot.get(self._template)
            return template.cpu, template.mem, template.disk
        from daytona import ListSandboxesQuery

        # It is a generator, which its decorator hides, and has to end where it began.
        machines = cast("AsyncGenerator[AsyncSandbox]", client.list(ListSandboxesQuery(limit=1)))
        async with aclosing(machines):
            await anext(machines, None)
        return (None, None, None) if self._image is None else self._resources()

    def _beyond(self, cpu: float | None, memory: float | None, disk: float | None) -> set[Guarantee]:
        """Of what a machine has more than the policy allows, or may have."""
        limits = self._policy.limits
        short: set[Guarantee] = set()
        if cpu is None or cpu > limits.cpu:
            short.add("cpu")
        if memory is None or memory * _GIB > limits.memory:
            short.add("memory")
        if disk is None or disk * _GIB > limits.disk:
            short.add("disk")
        return short

    def meant(self, error: Exception) -> SandboxError:
        from daytona import DaytonaAuthenticationError, DaytonaNotFoundError, DaytonaRateLimitError

        said = self._words(error)
        match error:
            case DaytonaAuthenticationError():
                return SandboxUnavailable(
                    f"Daytona does not take the API key: {said}", hint=f"look after {self.key_variable}"
                )
            case DaytonaRateLimitError():
                after = {name.lower(): value for name, value in error.headers.items()}.get("retry-after")
                wait = f"wait {after} s" if after else "wait"
                return SandboxUnavailable(f"Daytona is asked too much: {said}", hint=f"{wait}, or open fewer sandboxes")
            case DaytonaNotFoundError() if self._machine is None:
                return _Unknown(f"Daytona does not know it: {said}", hint="look after the names of image and template")
            case DaytonaNotFoundError():
                return Expired(f"the machine at Daytona is no more: {said}", hint="open another sandbox")
            case _:
                return SandboxUnavailable(f"Daytona does not do it: {said}")


class _DaytonaLine:
    """A terminal of the machine's, over one websocket; nobody types there, and nothing is shown."""

    def __init__(self, room: DaytonaSandbox, terminal: AsyncPtyHandle, talk: Talk) -> None:
        self._room = room
        self._terminal = terminal
        self._talk = talk
        self._watching = asyncio.create_task(self._watch())

    async def send(self, data: bytes, /) -> None:
        from daytona import DaytonaError

        for start in range(0, len(data), _PIECE):
            try:
                await self._terminal.send_input(data[start : start + _PIECE])
                continue
            except DaytonaError as error:
                meant = self._room.meant(error)
            raise meant

    async def close(self) -> None:
        if not self._talk.finished:
            with suppress(Exception):  # what cannot be ended ends with the machine
                async with asyncio.timeout(10):
                    await self._terminal.kill()
        await asyncio.wait([self._watching], timeout=_LAST)
        self._watching.cancel()
        await asyncio.wait([self._watching])
        await self._terminal.disconnect()

    async def _watch(self) -> None:
        ended = await self._terminal.wait()
        self._talk.over("" if ended.exit_code is not None else "the line to it broke")
