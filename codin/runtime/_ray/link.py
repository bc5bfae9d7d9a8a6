"""A program's side of its driver: starts it, numbers the jobs, and hears when it goes away."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from itertools import count
from typing import IO, Any

import anyio

from codin.errors import RuntimeUnavailable
from codin.runtime._ray.wire import Channel, Frame, head_of, letter
from codin.sandbox._to_its_end import to_its_end

__all__ = ["Errand", "Link", "LinkHere", "LinkToChild"]

_LEAVING = 15.0  # seconds for a driver to cancel what runs, before it is killed
_MANY = 16  # pieces that are read before more are asked for: fewer than a driver sends unasked
_GONE: Frame = ({"end": "gone"}, b"")
_MORE = letter({"do": "more", "pieces": _MANY})
_CANCEL = letter({"do": "cancel"})


class Link(ABC):
    """A driver that is connected to a cluster, and the jobs that it has."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._inboxes: dict[int, asyncio.Queue[Frame]] = {}
        self._told: set[str] = set()
        self._lost = False

    @property
    def gone(self) -> bool:
        return self._lost

    def begin(self, head: bytes, body: bytes, library: tuple[str, bytes]) -> Errand:
        """Send a job, and before it the sources that it names, if they have not been sent. `head` is a letter."""
        number = next(self._numbers)
        name, sources = library
        if name and name not in self._told:
            self._told.add(name)
            self.say(number, letter({"do": "library", "name": name}), sources)
        self.say(number, head, body)
        inbox = self._inboxes[number] = asyncio.Queue()
        if self.gone:
            inbox.put_nowait(_GONE)
        return Errand(self, number, inbox)

    def say(self, number: int, told: bytes, body: bytes = b"") -> None:
        if not self.gone:
            self._send(number, told, body)

    def forget(self, number: int) -> None:
        """Hear of a job no more."""
        del self._inboxes[number]

    @abstractmethod
    async def close(self) -> None:
        """End the driver, and what it still runs."""

    @abstractmethod
    def _send(self, number: int, told: bytes, body: bytes) -> None: ...

    def _hear(self, number: int, told: bytes, piece: bytes) -> None:
        if (inbox := self._inboxes.get(number)) is not None:
            inbox.put_nowait((head_of(told), piece))

    def _lose(self) -> None:
        self._lost = True
        for inbox in self._inboxes.values():
            inbox.put_nowait(_GONE)


class LinkHere(Link):
    """The driver is this process, which its program has connected."""

    def __init__(self) -> None:
        super().__init__()
        self._ray: Any = import_module("ray")
        if not self._ray.is_initialized():
            raise RuntimeUnavailable(
                "this process is not connected to a Ray cluster", hint="call ray.init, or leave driver='own'"
            )
        from codin.runtime._ray.child import Driver

        self._driver = Driver(partial(asyncio.get_running_loop().call_soon_threadsafe, self._hear))

    @property
    def gone(self) -> bool:
        return self._lost or not self._ray.is_initialized()

    async def close(self) -> None:
        self._lose()
        await self._driver.close()

    def _send(self, number: int, told: bytes, body: bytes) -> None:
        self._driver.do(number, told, body)


class LinkToChild(Link):
    """The driver is a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes], end: socket.socket, log: IO[bytes]) -> None:
        super().__init__()
        self._process = process
        self._channel = Channel(end, self._hear, self._lose)
        self._greeting = self._inboxes[0] = asyncio.Queue()
        self._log = log

    @classmethod
    async def open(cls, options: Mapping[str, Any], patience: float) -> LinkToChild:
        """Start a driver. Raises RuntimeUnavailable when it does not get to the cluster."""
        link = cls(*_begun(options))  # in no thread, which would begin it for one that has turned away
        try:
            async with asyncio.timeout(patience):
                await link._greet(options)
        except TimeoutError:
            await to_its_end(partial(link.close, 0))
            raise RuntimeUnavailable(
                f"the Ray cluster did not answer within {patience:g} s", hint=_hint(options)
            ) from None
        except BaseException:
            await to_its_end(partial(link.close, 0))
            raise
        return link

    async def close(self, patience: float = _LEAVING) -> None:
        """As the promise says; kills it when it takes longer than `patience` seconds."""
        if not self.gone:
            self._lose()
        self._channel.close()
        await anyio.to_thread.run_sync(self._reap, patience)
        self._log.close()

    def said(self) -> str:
        """The last line that the driver wrote to its log."""
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 4000))
        lines = [line for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1][:500] if lines else ""

    async def _greet(self, options: Mapping[str, Any]) -> None:
        told, _ = await self._greeting.get()
        if told["end"] == "gone":
            raise RuntimeUnavailable(f"Ray's driver did not start: {self.said()}", hint=_hint(options))
        if told["end"] == "refused":
            raise RuntimeUnavailable(f"the Ray cluster cannot be joined: {told['error'][:500]}", hint=_hint(options))

    def _send(self, number: int, told: bytes, body: bytes) -> None:
        self._channel.write(number, told, body)

    def _reap(self, patience: float) -> None:
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Errand:
    """A job under way."""

    def __init__(self, link: Link, number: int, inbox: asyncio.Queue[Frame]) -> None:
        self._link = link
        self._number = number
        self._inbox = inbox
        self._ended = False
        self._read = 0

    async def next(self) -> Frame:
        """The next that comes of it; the last tells its end, and there is always one."""
        if self._read == _MANY:
            self._link.say(self._number, _MORE)
            self._read = 0
        frame = await self._inbox.get()
        self._read += 1
        self._ended = "end" in frame[0]
        return frame

    async def leave(self) -> None:
        """Cancel it, unless it has ended, and wait for that."""
        if not self._ended:
            self._link.say(self._number, _CANCEL)
            await to_its_end(self._until_ended)
        self._link.forget(self._number)

    async def _until_ended(self) -> None:
        while not self._ended:
            await self.next()


def _begun(options: Mapping[str, Any]) -> tuple[subprocess.Popen[bytes], socket.socket, IO[bytes]]:
    """A driver that starts, our end of the way to it, and its log."""
    with ExitStack() as ours:
        log = ours.enter_context(tempfile.TemporaryFile())
        end, theirs = socket.socketpair()
        ours.enter_context(end)
        with theirs:
            told = [str(theirs.fileno()), json.dumps(options)]
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "codin.runtime._ray.child", *told],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        ours.pop_all()
    return process, end, log


def _hint(options: Mapping[str, Any]) -> str:
    if options["address"] == "local":
        return "`ray start --head` says more"
    return "is it running (`ray status`), and does RayRuntime(address=…) name it? address='local' starts one of its own"
