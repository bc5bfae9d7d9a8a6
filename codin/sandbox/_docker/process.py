"""A command in a container, as the front knows it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from codin.sandbox._docker.daemon import Channel
from codin.sandbox._protocol import Ending, Output, Stream

if TYPE_CHECKING:
    from codin.sandbox._docker.commands import Commands

__all__ = ["Command"]

_STREAMS: Mapping[int, Stream] = {1: "stdout", 2: "stderr"}
_LONGEST = 4096  # bytes of the first line
_PIECE = 64 * 1024
_LATE = 0.5  # seconds for what a command wrote to arrive after it has ended


class Command:
    """One command, from its begin to its end."""

    def __init__(self, commands: Commands, name: str, channel: Channel) -> None:
        self.name = name
        self.root = 0
        self.killed = False
        self._commands = commands
        self._channel = channel
        self._unread: list[tuple[int, bytes]] = []
        self._over = asyncio.Event()
        self._reading: asyncio.Timeout | None = None
        self._ending: Ending | None = None

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    async def over_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()
        return self.is_over

    async def first_line(self) -> str:
        """What it says before the command proper begins."""
        line = b""
        while b"\n" not in line and len(line) < _LONGEST and (piece := await self._piece()) is not None:
            if piece[0] == 1:
                line += piece[1]
            else:
                self._unread.append(piece)
        line, _, rest = line.partition(b"\n")
        if rest:
            self._unread.insert(0, (1, rest))
        return line.decode(errors="replace").strip()

    async def read(self) -> Output | None:
        while (piece := self._unread.pop(0) if self._unread else await self._piece()) is not None:
            number, data = piece
            if len(data) > _PIECE:
                self._unread.insert(0, (number, data[_PIECE:]))
            if data and number in _STREAMS:
                return Output(_STREAMS[number], data[:_PIECE])
        return None

    async def write(self, chunk: bytes, /) -> None:
        await self._channel.write(chunk)

    async def end_input(self) -> None:
        self._channel.end_input()

    async def wait(self) -> Ending:
        """Raises SandboxClosed when the container went away, and nobody knows how the command ended."""
        # The daemon says that a command has ended after somebody has read what it wrote.
        drain = asyncio.create_task(self._drain())
        try:
            await self._over.wait()
        finally:
            drain.cancel()
            await asyncio.wait([drain])
        await self._channel.close()
        if self._ending is None:
            raise self._commands.lost()
        return self._ending

    async def kill(self) -> None:
        if not self.is_over:
            self.killed = True
            await self._commands.end(self)

    def ended(self, ending: Ending | None) -> None:
        """It is over; without an ending when that cannot be known."""
        self._ending = ending
        self._over.set()
        if self._reading is not None:
            self._reading.reschedule(self._latest())

    async def close(self) -> None:
        await self._channel.close()

    async def _piece(self) -> tuple[int, bytes] | None:
        """The daemon holds the streams open for as long as there is input that the command never read."""
        try:
            async with asyncio.timeout_at(self._latest() if self.is_over else None) as self._reading:
                return await self._channel.read()
        except TimeoutError:
            return None
        finally:
            self._reading = None

    def _latest(self) -> float:
        return asyncio.get_running_loop().time() + _LATE

    async def _drain(self) -> None:
        while await self._piece() is not None:
            pass
