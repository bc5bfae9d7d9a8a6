"""A command in a container, as the front knows it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from codin.sandbox._docker.daemon import PATIENCE, Channel
from codin.sandbox._protocol import Ending, Output, Stream

if TYPE_CHECKING:
    from codin.sandbox._docker.commands import Commands

__all__ = ["Command"]

_STREAMS: Mapping[int, Stream] = {1: "stdout", 2: "stderr"}
_LONGEST = 4096  # bytes of the first line
_PIECE = 64 * 1024
_AHEAD = 1024 * 1024  # bytes that are read before anybody asks for them
_LATE = 0.5  # seconds for what a command wrote to arrive after its container has gone


class Command:
    """One command, from its begin to its end."""

    def __init__(self, commands: Commands, name: str, channel: Channel) -> None:
        self.name = name
        self.root = 0
        self.killed = False
        self._commands = commands
        self._channel = channel
        self._unread: deque[tuple[int, bytes]] = deque()
        self._ahead = 0  # bytes of it
        self._is_read = False
        self._turn = asyncio.Lock()
        self._stir = asyncio.Event()
        self._over = asyncio.Event()
        self._reading: asyncio.Timeout | None = None
        self._ending: Ending | None = None
        self._lost = False

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
                self._keep(piece)
        line, _, rest = line.partition(b"\n")
        self._put_back(1, rest)
        return line.decode(errors="replace").strip()

    async def read(self) -> Output | None:
        async with self._turn:  # `wait` may be reading ahead
            while (piece := self._taken() or await self._piece()) is not None:
                number, data = piece
                self._put_back(number, data[_PIECE:])
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
        reading = asyncio.create_task(self._read_ahead())
        try:
            await self._over.wait()
            await reading  # what it wrote may still be on its way
        finally:
            reading.cancel()
            await asyncio.wait([reading])
        await self._channel.close()
        if self._ending is None:
            raise self._commands.lost()
        return self._ending

    async def kill(self) -> None:
        if not self.is_over:
            self.killed = True
            self._stir.set()
            await self._commands.end(self)

    def ended(self, ending: Ending | None, *, lost: bool = False) -> None:
        """It is over, or `lost` with its container; without an ending when that cannot be known."""
        self._ending = ending
        self._lost = lost
        self._over.set()
        self._stir.set()
        if self._reading is not None:
            self._reading.reschedule(self._latest())

    async def close(self) -> None:
        await self._channel.close()

    async def _piece(self) -> tuple[int, bytes] | None:
        if self._is_read:
            return None
        try:
            async with asyncio.timeout_at(self._latest() if self.is_over else None) as self._reading:
                piece = await self._channel.read()
        except TimeoutError:
            piece = None
            if not self._lost:
                self._ending, self._lost = None, True
                self._commands.gone("the daemon does not answer")
        finally:
            self._reading = None
        self._is_read = piece is None
        return piece

    def _latest(self) -> float:
        # The daemon closes the streams of a command that has ended, two seconds later also where another one holds
        # them. Those of a container that is paused, or of a gVisor that was killed, stay open.
        return asyncio.get_running_loop().time() + (_LATE if self._lost else PATIENCE)

    async def _read_ahead(self) -> None:
        """Read to the end; for one that is being ended, what is too much to keep is left out."""
        while True:
            while self._ahead > _AHEAD and not (self.killed or self.is_over):
                self._stir.clear()
                await self._stir.wait()
            async with self._turn:
                if (piece := await self._piece()) is None:
                    return
                if self._ahead <= _AHEAD or not self.killed:
                    self._keep(piece)

    def _keep(self, piece: tuple[int, bytes]) -> None:
        self._unread.append(piece)
        self._ahead += len(piece[1])

    def _taken(self) -> tuple[int, bytes] | None:
        if not self._unread:
            return None
        piece = self._unread.popleft()
        self._ahead -= len(piece[1])
        self._stir.set()
        return piece

    def _put_back(self, number: int, data: bytes) -> None:
        if data:
            self._unread.appendleft((number, data))
            self._ahead += len(data)
