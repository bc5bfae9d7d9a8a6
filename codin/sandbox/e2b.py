"""Sandboxes in machines of E2B: microVMs, each with a kernel of its own."""

from __future__ import annotations

import asyncio
import atexit
import sys
import threading
import time
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar

from codin.errors import SandboxClosed, SandboxError, SandboxUnavailable
from codin.sandbox._cloud.machine import CloudSandbox, Expired
from codin.sandbox._cloud.talk import BOOT, Line, Talk
from codin.sandbox._protocol import Guarantee, Policy, Snapshot

if TYPE_CHECKING:
    from e2b import AsyncCommandHandle, AsyncSandbox

__all__ = ["E2BSandbox"]

# Importing it takes seconds, which nobody shall wait for who has no key.
if find_spec("e2b") is None:
    raise ModuleNotFoundError("No module named 'e2b'", name="e2b")

_LABEL = "codin"
_TIME = 300  # seconds that a machine lives when nobody asks for more
_PIECE = 256 * 1024
_LAST = 2.0  # seconds between the last word of a guest and its end
_TOLD = 1.0  # seconds that the end of the program waits for a thread of the client


class E2BSandbox(CloudSandbox):
    """A microVM at E2B, deleted when the sandbox closes, and by E2B five minutes after this process was last seen.

    How much memory, disk and how many processors it has, its template says: a policy must not demand them.

    Args:
        policy: what it must keep.
        template: what the machine begins as; E2B's own when not given. It needs `python3` and `bash`.
        api_key: when not given, that of the environment variable `E2B_API_KEY`.
        domain: of an E2B that is not the vendor's own; when not given, that of `E2B_DOMAIN`.
        api_url: where its API is, if not below the domain.
        sandbox_url: where its machines are, if not below the domain.
        snapshot: the files it begins with.
    """

    kind: ClassVar[str] = "e2b"
    vendor: ClassVar[str] = "E2B"
    key_variable: ClassVar[str] = "E2B_API_KEY"

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        template: str | None = None,
        api_key: str | None = None,
        domain: str | None = None,
        api_url: str | None = None,
        sandbox_url: str | None = None,
        snapshot: Snapshot | None = None,
    ) -> None:
        super().__init__(policy, api_key=api_key, snapshot=snapshot)
        self._template = template
        where = {"domain": domain, "api_url": api_url, "sandbox_url": sandbox_url}
        self._where: dict[str, Any] = {name: value for name, value in where.items() if value is not None}
        self._machine: AsyncSandbox | None = None

    async def _shortfall(self) -> frozenset[Guarantee]:
        await self._asked(self._machines().list(limit=1, **self._access()).next_items())
        return frozenset({"memory", "cpu", "disk", *self._out_of_reach()})

    async def _rent(self) -> None:
        self._machine = await self._asked(
            self._machines().create(
                self._template,
                timeout=_TIME,
                metadata={_LABEL: self._name},
                secure=True,
                allow_internet_access=self._policy.network == "full",
                network={"allow_public_traffic": False},
                idempotency_key=self._name,
                **self._access(),
            )
        )

    async def _give_back(self) -> None:
        if self._machine is not None:
            await self._killed(self._machine.sandbox_id)
            self._machine = None
            return
        # It was asked for, and nobody knows whether it came.
        from e2b import SandboxQuery

        query = SandboxQuery(metadata={_LABEL: self._name})
        for found in await self._asked(self._machines().list(query=query, **self._access()).next_items()):
            await self._killed(found.sandbox_id)

    async def _hang_up(self) -> None:
        """The SDK's connections are all its users' together, and stay."""

    async def _renew(self) -> None:
        if self._machine is not None:
            await self._asked(self._machines().set_timeout(self._machine.sandbox_id, _TIME, **self._access()))

    async def _connect(self, talk: Talk) -> Line:
        machine = self._machine
        if machine is None:
            raise SandboxClosed("the e2b sandbox is not open", hint="use it inside `async with`")
        handle = await self._asked(
            machine.commands.run(
                BOOT,
                background=True,
                user="root",
                cwd="/",
                stdin=True,
                timeout=0,
                on_stdout=lambda said: talk.feed(said.encode()),
                retain_output=False,
            )
        )
        return _E2BLine(self, machine, handle, talk)

    def _id(self) -> str:
        return self._name if self._machine is None else self._machine.sandbox_id

    async def _killed(self, machine: str) -> None:
        await self._asked(self._machines().kill(machine, **self._access()))

    def _machines(self) -> type[AsyncSandbox]:
        """The vendor's own. Raises SandboxUnavailable when there is no key."""
        self._key()
        return _client()

    def _access(self) -> dict[str, Any]:
        """What every call is given. Raises SandboxUnavailable when there is no key."""
        return {"api_key": self._key(), **self._where}

    def meant(self, error: Exception) -> SandboxError:
        from e2b import AuthenticationException, SandboxNotFoundException
        from e2b.exceptions import RateLimitException, SandboxNotRunningException

        said = self._words(error)
        match error:
            case AuthenticationException():
                return SandboxUnavailable(
                    f"E2B does not take the API key: {said}", hint=f"look after {self.key_variable}"
                )
            case RateLimitException():
                return SandboxUnavailable(f"E2B is asked too much: {said}", hint="wait, or open fewer sandboxes")
            case SandboxNotFoundException() | SandboxNotRunningException():
                return Expired(f"the machine at E2B is no more: {said}", hint="open another sandbox")
            case _:
                return SandboxUnavailable(f"E2B does not do it: {said}")


class _E2BLine:
    """A process of the machine's: what it writes comes as one stream, and each line for it is a call."""

    def __init__(self, room: E2BSandbox, machine: AsyncSandbox, handle: AsyncCommandHandle[Any], talk: Talk) -> None:
        self._room = room
        self._machine = machine
        self._handle = handle
        self._talk = talk
        self._watching = asyncio.create_task(self._watch())

    async def send(self, data: bytes, /) -> None:
        from e2b import NotFoundException, SandboxNotFoundException

        for start in range(0, len(data), _PIECE):
            try:
                await self._machine.commands.send_stdin(self._handle.pid, data[start : start + _PIECE])
                continue
            except SandboxNotFoundException as error:
                meant = self._room.meant(error)
            except NotFoundException:
                return  # it has ended, which the stream tells
            except Exception as error:
                meant = self._room.meant(error)
            raise meant

    async def close(self) -> None:
        if not self._talk.finished:
            with suppress(Exception):  # what cannot be ended ends with the machine
                async with asyncio.timeout(10):
                    await self._handle.kill()
        await asyncio.wait([self._watching], timeout=_LAST)
        self._watching.cancel()
        await asyncio.wait([self._watching])
        await self._handle.disconnect()

    async def _watch(self) -> None:
        from e2b import CommandExitException, TimeoutException

        try:
            await self._handle.wait()
        except CommandExitException:
            pass
        except TimeoutException as error:
            self._talk.over(self._room.meant(error).message)
        except Exception as error:
            self._talk.over(f"the line to it broke: {self._room.meant(error).message}")
        self._talk.over("")


@cache
def _client() -> type[AsyncSandbox]:
    from e2b import AsyncSandbox

    atexit.register(_until_told)
    return AsyncSandbox


def _until_told() -> None:
    """Waits for the threads of the vendor's client, which is in Rust, that still tell an answer to an event loop.

    A program that ends under such a thread is aborted by Python before 3.14, after all its work is done.
    """
    end = time.monotonic() + _TOLD
    while time.monotonic() < end and any(_foreign(frame) for frame in _others()):
        time.sleep(0.001)


def _others() -> list[FrameType]:
    """Where each thread but this one stands in code of Python."""
    here = threading.get_ident()
    frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]  # documented, for all its name
    return [frame for thread, frame in frames.items() if thread != here]


def _foreign(frame: FrameType) -> bool:
    """Whether this is a thread that was not begun by Python."""
    while frame.f_back is not None:
        frame = frame.f_back
    return frame.f_globals.get("__name__") != threading.__name__
