"""The first process of a container: it says what runs in there, and ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from codin.sandbox._docker.daemon import Channel, Gone
from codin.sandbox._to_its_end import to_its_end

__all__ = ["Seen", "Warden"]

_PATIENCE = 20.0
_MOST = 8 * 1024 * 1024  # bytes of one answer; a process is a line


@dataclass(frozen=True, slots=True)
class Seen:
    """What runs in the container at one moment.

    Attributes:
        parents: every process but the container's own two, and its parent: 0 is the daemon.
        short: how many have been killed for want of memory, since the container began.
        adopts: an init above a command adopts what it leaves behind; otherwise the container's own does.
    """

    parents: Mapping[int, int]
    short: int
    adopts: bool

    def below(self, roots: Iterable[int]) -> set[int]:
        """These processes, and all that have one of them above."""
        found = {root for root in roots if root in self.parents}
        while more := {child for child, parent in self.parents.items() if parent in found} - found:
            found |= more
        return found

    def strays(self) -> set[int]:
        """Processes whose command has ended, so that init has taken them."""
        return self.below(process for process, parent in self.parents.items() if parent == 1)


class Warden:
    """The host's side of it. One question at a time."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._turn = asyncio.Lock()
        self._rest = b""

    async def look(self) -> Seen:
        """Raises Gone when it does not answer, as all of these do."""
        return await self._ask("look")

    async def end(self) -> Seen:
        """Kill all there is. The kernel does it at one stroke: nothing can begin anything meanwhile."""
        return await self._ask("end")

    async def halt(self) -> Seen:
        """Let nothing move, likewise at one stroke: what is seen then is all there is."""
        return await self._ask("halt")

    async def kill(self, processes: Iterable[int]) -> Seen:
        """Kill these, and let the others move again."""
        return await self._ask(f"kill {' '.join(map(str, processes))}")

    async def _ask(self, order: str) -> Seen:
        async with self._turn:
            # An answer that nobody waited for would be taken for that of the next question.
            return await to_its_end(partial(self._answer, order))

    async def _answer(self, order: str) -> Seen:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._channel.write(f"{order}\n".encode())
                return _read(await self._lines())
        except TimeoutError as error:
            raise Gone("the container does not answer") from error

    async def _lines(self) -> list[list[str]]:
        lines: list[list[str]] = []
        size = 0
        while True:
            while b"\n" in self._rest:
                line, self._rest = self._rest.split(b"\n", 1)
                lines.append(line.decode(errors="replace").split()[:4])
                if lines[-1][:1] == ["warden"]:
                    return lines
            piece = await self._channel.read()
            if piece is None or (size := size + len(piece[1])) > _MOST:
                raise Gone("the container has ended")
            self._rest += piece[1]


def _read(lines: list[list[str]]) -> Seen:
    warden = int(lines[-1][1])
    parents: dict[int, int] = {}
    short = 0
    for line in lines:
        match line:
            case ["short", count] if count.isdigit():
                short = int(count)
            case ["process", process, state, parent] if int(process) not in (1, warden):
                if state != "Z" and parent.isdigit():
                    parents[int(process)] = int(parent)
            case _:
                pass
    return Seen(parents, short, lines[-1][2:] == ["yes"])
