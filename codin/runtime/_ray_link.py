"""A program's side of its driver: starts the process, numbers the jobs, and hears when it goes away."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from itertools import count
from typing import IO, Any

import anyio

from codin.errors import RuntimeUnavailable
from codin.runtime._ray_wire import HEAD, framed

__all__ = ["Link"]

_LEAVING = 15.0  # seconds for a driver to cancel what runs, before it is killed
_GONE: tuple[dict[str, Any], bytes] = ({"end": "gone"}, b"")


class Link:
    """One driver that is connected to a cluster."""

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket, log: IO[bytes]) -> None:
        self._process = process
        self._channel = channel
        self._numbers = count()
        self._inboxes: dict[int, asyncio.Queue[tuple[dict[str, Any], bytes]]] = {}
        self._told: set[str] = set()
        self._hearing: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._log = log
        self.gone = False

    @classmethod
    async def open(cls, options: Mapping[str, Any], patience: float) -> Link:
        """Start a driver. Raises RuntimeUnavailable when it does not get to the cluster."""
        ours, theirs = socket.socketpair()
        log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        command = [sys.executable, "-P", "-m", "codin.runtime._ray_child", str(theirs.fileno()), json.dumps(options)]
        with theirs:
            process = await anyio.to_thread.run_sync(
                lambda: subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            )
        link = cls(process, ours, log)
        try:
            async with asyncio.timeout(patience):
                await link._greet(options)
        except TimeoutError:
            await link.close(0)
            raise RuntimeUnavailable(
                f"the Ray cluster did not answer within {patience:g} s", hint=_hint(options)
            ) from None
        except BaseException:
            with anyio.CancelScope(shield=True):
                await link.close(0)
            raise
        return link

    async def run(
        self, head: Mapping[str, Any], body: bytes, library: tuple[str, bytes]
    ) -> AsyncGenerator[tuple[dict[str, Any], bytes]]:
        """Send a job; gives what comes of it, and how it ended as the last. Leaving it cancels the job, and waits."""
        number = next(self._numbers)
        inbox = self._inboxes[number] = asyncio.Queue()
        ended = False
        name, sources = library
        try:
            if name and name not in self._told:
                self._told.add(name)
                self._say({"do": "library", "name": name}, sources)
            self._say({"do": "run", "id": number, "library": name, **head}, body)
            while not ended:
                told, piece = await inbox.get()
                ended = "end" in told
                yield told, piece
                if not ended:
                    self._say({"do": "more", "id": number})
        except ConnectionError:
            ended = True
            yield _GONE
        finally:
            if not ended:
                with anyio.CancelScope(shield=True), suppress(ConnectionError):
                    self._say({"do": "cancel", "id": number})
                    while "end" not in (await inbox.get())[0]:
                        pass
            del self._inboxes[number]

    async def close(self, patience: float = _LEAVING) -> None:
        """End the driver, and what it still runs; kill it when it takes longer than `patience` seconds."""
        self.gone = True
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.wait([self._hearing])
        if self._writer is not None:
            self._writer.close()
            with suppress(ConnectionError):
                await self._writer.wait_closed()
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
        self._reader, self._writer = await asyncio.open_connection(sock=self._channel)
        try:
            told, _ = await self._next()
        except (asyncio.IncompleteReadError, ConnectionError):
            raise RuntimeUnavailable(f"Ray's driver did not start: {self.said()}", hint=_hint(options)) from None
        if not told["ready"]:
            raise RuntimeUnavailable(f"the Ray cluster cannot be joined: {told['error'][:500]}", hint=_hint(options))
        self._hearing = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        try:
            while True:
                told, piece = await self._next()
                if (inbox := self._inboxes.get(told["id"])) is not None:
                    inbox.put_nowait((told, piece))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone = True
            for inbox in self._inboxes.values():
                inbox.put_nowait(_GONE)

    async def _next(self) -> tuple[dict[str, Any], bytes]:
        told, size = HEAD.unpack(await self._reader.readexactly(HEAD.size))
        return json.loads(await self._reader.readexactly(told)), await self._reader.readexactly(size)

    def _say(self, head: Mapping[str, Any], body: bytes = b"") -> None:
        if self.gone or self._writer is None:
            raise ConnectionError
        self._writer.write(framed(head, body))

    def _reap(self, patience: float) -> None:
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _hint(options: Mapping[str, Any]) -> str:
    if options["address"] == "local":
        return "`ray start --head` says more"
    return "is it running (`ray status`), and does RayRuntime(address=…) name it? address='local' starts one of its own"
