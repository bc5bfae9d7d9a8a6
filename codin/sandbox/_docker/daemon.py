"""The way to a Docker daemon. Whatever goes wrong on it is a `Refusal`, or that the daemon is `Gone`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import urlencode

import aiodocker
import aiohttp
from aiodocker.containers import DockerContainer
from aiodocker.stream import Stream as Hijacked
from yarl import URL

from codin.errors import SandboxUnavailable
from codin.sandbox._descriptors import needing_descriptors

__all__ = ["PATIENCE", "Channel", "Daemon", "Gone", "Refusal", "mapped", "pieces"]

PATIENCE = 120.0
"""Seconds after which a daemon does not answer."""

_BOUNDED = aiohttp.ClientTimeout(total=PATIENCE, connect=20)
_FOREVER = aiohttp.ClientTimeout(connect=20)
_UNREACHED = 900  # aiodocker's status for a daemon that cannot be reached


class Refusal(Exception):
    """The daemon said no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Gone(Exception):
    """The daemon cannot be reached, or does not answer."""


class Daemon:
    """A client of one daemon. Not shared: each sandbox has its own, and closes it.

    Raises:
        SandboxUnavailable: no daemon was named, and none is where one usually is.
    """

    def __init__(self, host: str | None) -> None:
        try:
            self.client = aiodocker.Docker(url=host, timeout=_BOUNDED)
        except (AssertionError, ImportError, ValueError, OSError, aiodocker.DockerContextError) as error:
            raise SandboxUnavailable(
                f"no Docker daemon is known here{f': {error}' if str(error) else ''}",
                hint="install and start Docker, or name a daemon: DockerSandbox(host=...), DOCKER_HOST",
            ) from error

    async def __aenter__(self) -> Self:
        if not self.client.docker_host.startswith(("unix://", "http://", "tcp://")):
            await self.close()
            raise SandboxUnavailable(
                "neither TLS nor a named pipe lets the input of a command end before its output does",
                hint="reach the daemon by a Unix socket or by ssh://: DockerSandbox(host=...), DOCKER_HOST",
            )
        try:
            with mapped():
                await self.client.version()
        except BaseException as error:
            await self.close()
            if isinstance(error, Gone | Refusal):
                raise SandboxUnavailable(f"Docker cannot be used: {error}", hint=_way_out(error)) from error
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self.client.close()

    @property
    def is_elsewhere(self) -> bool:
        """It is reached by a network, so that its machine, files and addresses need not be ours."""
        # That of ssh:// is a kind of UnixConnector, whose socket is a tunnel.
        return type(self.client.connector) is not aiohttp.UnixConnector

    @property
    def shares_network(self) -> bool:
        """As far as can be seen: that it has our interfaces is not always ours to know."""
        if not isinstance(self.client.connector, aiohttp.UnixConnector) or self.is_elsewhere:
            return False
        with contextlib.suppress(OSError, AttributeError), socket.socket(socket.AF_UNIX) as asking:
            asking.connect(self.client.connector.path)
            process = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
            return Path(f"/proc/{process}/ns/net").readlink() == Path("/proc/self/ns/net").readlink()
        return True

    async def ask(self, method: str, path: str, params: Mapping[str, str] | None = None, body: object = None) -> Any:
        """The daemon's answer, as JSON when it has one."""
        sent = None if body is None else json.dumps(body).encode()
        async with self.stream(method, path, params, sent) as answer:
            with mapped():
                content = await answer.read()
        return json.loads(content) if content.strip() else None

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | list[tuple[str, str]] | None = None,
        body: bytes | AsyncIterator[bytes] | None = None,
        *,
        forever: bool = False,
        media_type: str = "application/json",
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """An answer that is read in pieces, which the caller does under `mapped`."""
        # A file's name need not be UTF-8.
        query = urlencode(params or {}, errors="surrogateescape")
        url = URL(f"{self.client.docker_host}/{self.client.api_version}/{path}?{query}", encoded=True)
        with mapped():
            answer = await self.client.session.request(
                method,
                url,
                data=body,
                headers={"Content-Type": media_type},
                timeout=_FOREVER if forever else _BOUNDED,
            )
        try:
            if answer.status >= 400:
                with mapped():
                    raise Refusal(answer.status, _message(await answer.read()) or answer.reason or "no")
            yield answer
        finally:
            answer.close()

    async def attach(self, container: str) -> Channel:
        """To the first process of a container that has not been started."""
        attached = DockerContainer(self.client, id=container).attach(stdin=True, stdout=True)
        return await _opened(attached)

    async def execute(self, container: str, config: Mapping[str, object]) -> tuple[str, Channel]:
        """Begin a process in a container: its name, and its streams."""
        made = await self.ask("POST", f"containers/{container}/exec", body=config)
        channel = await _opened(self.client.containers.exec(made["Id"]).start(detach=False))
        return made["Id"], channel


class Channel:
    """The three streams of a process."""

    def __init__(self, stream: Hijacked) -> None:
        self._stream = stream

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece, and from which stream; None at the end, also when the daemon has gone."""
        try:
            with mapped():
                return await self._stream.read_out()
        except Gone:
            return None

    async def write(self, chunk: bytes) -> None:
        """Does nothing when nobody reads any more."""
        # aiodocker asserts a connection that the other side may have closed.
        with contextlib.suppress(Gone, AssertionError, RuntimeError), mapped():
            await self._stream.write_in(chunk)

    def end_input(self) -> None:
        """Let the process see the end of its input; what it writes still comes."""
        if (transport := self._transport()) and not transport.is_closing() and transport.can_write_eof():
            transport.write_eof()

    async def close(self) -> None:
        transport = self._transport()
        with contextlib.suppress(AssertionError, OSError):
            await self._stream.close()
        if transport is not None:
            # Input that was never read would hold it open.
            transport.abort()

    def end_at_its_end(self) -> None:
        """Let the streams end when the daemon says so, also while there is input that it has not taken.

        It takes none any more, but aiohttp would wait for it.
        """
        connection, transport = self._connection(), self._transport()
        if connection is not None and transport is not None and connection.protocol is not None:
            connection.protocol.eof_received = transport.abort

    def _transport(self) -> asyncio.WriteTransport | None:
        connection = self._connection()
        return cast("asyncio.WriteTransport | None", connection.transport) if connection is not None else None

    def _connection(self) -> aiohttp.connector.Connection | None:
        answer = self._stream._resp  # pyright: ignore[reportPrivateUsage] # aiodocker has no way to half-close
        return answer.connection if answer is not None else None


async def pieces(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The content of an answer, as it comes."""
    with mapped():
        async for piece in answer.content.iter_any():
            yield piece


@contextmanager
def mapped() -> Generator[None]:
    """Turn what aiodocker and aiohttp raise into the two errors of this module.

    Raises:
        SandboxError: this process has too many files open, which says nothing of the daemon.
    """
    try:
        with needing_descriptors(), _unwrapped():
            yield
    except aiodocker.DockerError as error:
        if error.status == _UNREACHED:
            raise Gone(error.message) from error
        raise Refusal(error.status, error.message) from error
    except TimeoutError as error:
        raise Gone("the daemon does not answer") from error
    except (aiohttp.ClientError, aiohttp.EofStream, OSError) as error:
        raise Gone(str(error) or type(error).__name__) from error


@contextmanager
def _unwrapped() -> Generator[None]:
    """Raise what a connection failed with, which aiodocker keeps to itself."""
    try:
        yield
    except aiodocker.DockerError as error:
        if error.status == _UNREACHED and isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


async def _opened(stream: Hijacked) -> Channel:
    channel = Channel(stream)
    try:
        async with asyncio.timeout(PATIENCE):
            with mapped():
                await stream.__aenter__()
        channel.end_at_its_end()
    except BaseException:
        await channel.close()
        raise
    return channel


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, TypeError, KeyError):
        return body.decode(errors="replace")[:500]


def _way_out(error: Gone | Refusal) -> str:
    if "Permission denied" in str(error):
        return "let this user use the daemon's socket (group `docker`), or run a rootless one and name it: DOCKER_HOST"
    return "start the daemon, or name another one: DockerSandbox(host=...), DOCKER_HOST"
