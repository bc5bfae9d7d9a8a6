"""A command in a rented machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal, get_args

from codin.errors import SandboxError
from codin.sandbox._cloud.talk import Talk, refused
from codin.sandbox._protocol import Ending, Output

__all__ = ["CloudProcess"]

_PIECE = 128 * 1024
_Cause = Literal["exited", "killed", "memory"]


class CloudProcess:
    """What a guest that runs a command tells of it.

    Args:
        finish: is called once, when the talk is over, and told whether its guest died before it could clean up.
    """

    def __init__(self, talk: Talk, finish: Callable[[Talk, bool], Awaitable[None]]) -> None:
        self._talk = talk
        self._finish = finish
        self._finishing: asyncio.Task[Ending] | None = None
        self._is_read = False

    async def begun(self, cwd: str) -> None:
        """Wait until it has begun. Raises FileRefused when `cwd` is no folder."""
        frame = await self._talk.next()
        if frame is not None and frame[0] == "r":
            raise refused(cwd, frame[1])

    async def read(self) -> Output | None:
        while not self._is_read:
            frame = await self._talk.next()
            if frame is None or frame[0] == "x":
                self._is_read = True
            elif frame[0] in "oe" and frame[1]:
                return Output("stdout" if frame[0] == "o" else "stderr", frame[1])
        return None

    async def write(self, chunk: bytes, /) -> None:
        with suppress(SandboxError):  # whoever reads is told
            for start in range(0, len(chunk), _PIECE):
                await self._talk.give(chunk[start : start + _PIECE])

    async def end_input(self) -> None:
        with suppress(SandboxError):
            await self._talk.send(b"z")

    async def wait(self) -> Ending:
        await self._talk.until_finished()
        if self._finishing is None:
            self._finishing = asyncio.create_task(self._finished())
        return await asyncio.shield(self._finishing)

    async def kill(self) -> None:
        with suppress(SandboxError):
            await self._talk.send(b"k")

    async def close(self) -> None:
        """End it before anybody has seen it."""
        with suppress(SandboxError):
            await self.kill()
            await self.wait()

    async def _finished(self) -> Ending:
        last = self._talk.last
        await self._finish(self._talk, last is None and not self._talk.lost)
        if last is None:
            if self._talk.lost:
                raise self._talk.gone()
            return Ending(-9, "killed")
        code, _, cause = last.partition(b" ")
        for known in get_args(_Cause):
            if cause == known.encode():
                with suppress(ValueError):
                    return Ending(int(code), known)
        return Ending(1, "exited")  # refused, which was said before
