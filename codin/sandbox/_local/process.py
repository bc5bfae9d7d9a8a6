"""A command of a local sandbox, as the host sees it."""

from __future__ import annotations

import os
import re
import select
from collections import deque
from contextlib import suppress

import anyio

from codin.errors import SandboxClosed
from codin.sandbox._local.groups import Group
from codin.sandbox._local.room import PATIENCE, Channel
from codin.sandbox._protocol import Ending, Output, Stream

__all__ = ["LocalProcess"]

_ENDED = re.compile(rb"=(-?\d{1,3})(?: (files|memory))?")
_PIECE = 64 * 1024


class LocalProcess:
    """The `Process` of a command: three pipes to it, and a channel to the supervisor.

    Args:
        channel: on which its end is told.
        group: counts what was killed for want of memory.
        stdin, stdout, stderr: our ends of its pipes, which it closes.
    """

    def __init__(self, channel: Channel, group: Group, stdin: int, stdout: int, stderr: int) -> None:
        self._channel = channel
        self._group = group
        self._short_of_memory = group.killed_for_memory()
        self._stdin: int | None = stdin
        self._streams: dict[int, Stream] = {stdout: "stdout", stderr: "stderr"}
        for fd in (stdin, stdout, stderr):
            os.set_blocking(fd, False)
        # One descriptor to wait for both.
        self._either = select.epoll()
        for fd in self._streams:
            self._either.register(fd, select.EPOLLIN)
        self._left: deque[Output] = deque()
        self._reading = self._writing = False
        self._killed = False
        self._ending: Ending | SandboxClosed | None = None
        self._asking = anyio.Lock()

    async def read(self) -> Output | None:
        if self._left:
            return self._left.popleft()
        self._reading = True
        try:
            while self._streams:
                if (output := self._next()) is not None:
                    return output
                if self._streams:
                    await anyio.wait_readable(self._either.fileno())
            return self._left.popleft() if self._left else None
        finally:
            self._reading = False
            self._release()

    async def write(self, chunk: bytes, /) -> None:
        rest = memoryview(chunk)
        self._writing = True
        try:
            while rest and self._stdin is not None:
                try:
                    rest = rest[os.write(self._stdin, rest) :]
                except BlockingIOError:
                    await anyio.wait_writable(self._stdin)
        except BrokenPipeError:
            pass
        finally:
            self._writing = False
            self._release()

    async def end_input(self) -> None:
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None

    async def wait(self) -> Ending:
        async with self._asking:
            if self._ending is None:
                try:
                    self._ending = await self._told()
                except SandboxClosed as gone:
                    self._ending = gone
                self._channel.close()
                self._release()
        if isinstance(self._ending, SandboxClosed):
            raise self._ending
        return self._ending

    async def kill(self) -> None:
        if self._ending is not None:
            return
        self._killed = True
        self._channel.say(b"k")
        with anyio.move_on_after(PATIENCE), suppress(SandboxClosed):
            await self.wait()
            return
        self._channel.distrust()

    async def _told(self) -> Ending:
        word, file = await self._channel.word()
        if file is not None:
            os.close(file)
        if (ended := _ENDED.fullmatch(word)) is None:
            raise self._channel.distrust()
        code = int(ended[1])
        if ended[2] == b"files":
            return Ending(code, "files")
        if ended[2] or (code != 0 and self._group.killed_for_memory() > self._short_of_memory):
            return Ending(code, "memory")
        return Ending(code, "killed" if self._killed else "exited")

    def _next(self) -> Output | None:
        """What is there to read now; forgets the streams that have ended."""
        for fd, _ in self._either.poll(0):
            try:
                piece = os.read(fd, _PIECE)
            except BlockingIOError:
                continue
            if piece:
                return Output(self._streams[fd], piece)
            self._either.unregister(fd)
            os.close(fd)
            del self._streams[fd]
        return None

    def _release(self) -> None:
        """After the end, give back the descriptors that nobody waits for, and keep what can still be read of them."""
        if self._ending is None:
            return
        if self._stdin is not None and not self._writing:
            os.close(self._stdin)
            self._stdin = None
        if not self._reading and not self._either.closed:
            while (output := self._next()) is not None:
                self._left.append(output)
            for fd in self._streams:
                os.close(fd)
            self._streams.clear()
            self._either.close()
