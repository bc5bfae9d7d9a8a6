"""The fast transport: asyncio's connections and llhttp's parser, with nothing in between."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import quote, urlsplit

from codin.errors import ConfigError, ConnectError, DeadlineExceeded
from codin.net._body import check_encoding, check_length
from codin.net._connection import Connection
from codin.net._guard import AddressGuard
from codin.net._protocol import MAX_BODY, Response, StreamingResponse, Transport
from codin.net._proxy import Proxies
from codin.net._wording import cause, shown, within

__all__ = ["AsyncioTransport"]

_KEPT_OPEN = 256
_KEPT_FOR = 15.0
_SAFE = "/?%:@!$&'()*+,;=~-._"


class _Origin(NamedTuple):
    host: str
    port: int
    tls: bool


class AsyncioTransport:
    """HTTP/1.1 without a library around it. A connection carries one exchange at a time and is kept for the next.

    Args:
        limit: bytes of one answer at most.
        tls: certificates to trust; None trusts those of the system.
        guard: says which addresses may be called, and is asked for each connection. Where the environment names a
            proxy, see `HttpxTransport`.
    """

    def __init__(
        self, *, limit: int = MAX_BODY, tls: ssl.SSLContext | None = None, guard: AddressGuard | None = None
    ) -> None:
        self.limit = limit
        self._tls = tls
        self._guard = guard
        self._idle: dict[_Origin, list[Connection]] = {}
        self._busy: set[Connection] = set()
        self._proxies = Proxies()
        self._proxied: Transport | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float | None,
        limit: int | None = None,
    ) -> Response:
        if self._proxies.of(url) is not None:
            return await self._through_proxy().request(
                method, url, headers=headers, content=content, timeout=timeout, limit=limit
            )
        limit = self.limit if limit is None else limit
        origin, start = _start(method, url)
        message = _message(start, headers, content)
        connection, left = await self.take(origin, url, timeout)
        connection.begin(message, url, timeout=timeout, left=left, silence=False)
        try:
            await connection.head()
            check_encoding(connection.headers, url)
            check_length(connection.headers, limit, url)
            body = await connection.body(limit)
            return Response(connection.status, connection.headers, body)
        finally:
            self.give_back(origin, connection)

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float | None,
    ) -> AbstractAsyncContextManager[StreamingResponse]:
        if self._proxies.of(url) is not None:
            return self._through_proxy().stream(method, url, headers=headers, content=content, timeout=timeout)
        return _Stream(self, method, url, headers, content, timeout)

    async def aclose(self) -> None:
        for connection in [*self._busy, *(kept for idle in self._idle.values() for kept in idle)]:
            connection.close()
        self._busy.clear()
        self._idle.clear()
        if self._proxied is not None:
            await self._proxied.aclose()

    async def take(self, origin: _Origin, url: str, timeout: float | None) -> tuple[Connection, float | None]:
        """An open connection, and the seconds that are left. `give_back` must follow."""
        loop = asyncio.get_running_loop()
        idle = self._idle.get(origin, [])
        begun = loop.time()
        while idle:
            connection = idle.pop()
            if connection.closed or begun - connection.idle_since > _KEPT_FOR:
                connection.close()
                continue
            self._busy.add(connection)
            return connection, timeout
        connection = await self._connect(loop, origin, url, timeout)
        self._busy.add(connection)
        return connection, None if timeout is None else timeout - (loop.time() - begun)

    async def _connect(
        self, loop: asyncio.AbstractEventLoop, origin: _Origin, url: str, timeout: float | None
    ) -> Connection:
        tls = None
        if origin.tls:
            tls = self._tls = self._tls or ssl.create_default_context()
        try:
            async with asyncio.timeout(timeout):
                if self._guard is None:
                    return await _open(loop, origin, origin.host, tls)
                addresses = await self._guard.addresses(origin.host, origin.port)
                if addresses is None:
                    return await _open(loop, origin, origin.host, tls)
                address, connection = await _open_first(loop, origin, addresses, tls)
                self._guard.connected(origin.host, address)
                return connection
        except TimeoutError as error:
            raise DeadlineExceeded(f"{shown(url)} did not answer {within(timeout)}.") from error
        except OSError as error:
            raise ConnectError(f"{shown(url)} could not be reached: {cause(error)}") from error

    def give_back(self, origin: _Origin, connection: Connection) -> None:
        self._busy.discard(connection)
        if not connection.end():
            return
        idle = self._idle.setdefault(origin, [])
        if len(idle) < _KEPT_OPEN:
            idle.append(connection)
        else:
            connection.close()

    def _through_proxy(self) -> Transport:
        # A proxy needs CONNECT, its credentials and its rules; httpx has all that.
        if self._proxied is None:
            from codin.net._httpx import HttpxTransport

            self._proxied = HttpxTransport(limit=self.limit, guard=self._guard)
        return self._proxied


class _Stream:
    """Opens the response on entry and gives the connection back on exit."""

    def __init__(
        self,
        owner: AsyncioTransport,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes,
        timeout: float | None,
    ) -> None:
        self._owner = owner
        self._origin, start = _start(method, url)
        self._message = _message(start, headers, content)
        self._url = url
        self._timeout = timeout
        self._connection: Connection | None = None

    async def __aenter__(self) -> _Body:
        connection, _ = await self._owner.take(self._origin, self._url, self._timeout)
        connection.begin(self._message, self._url, timeout=self._timeout, silence=True)
        try:
            await connection.head()
            check_encoding(connection.headers, self._url)
        except BaseException:
            self._owner.give_back(self._origin, connection)
            raise
        self._connection = connection
        return _Body(connection, self._url, self._owner.limit)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._owner.give_back(self._origin, self._connection)


class _Body:
    """A response on its way, as `StreamingResponse` promises it."""

    def __init__(self, connection: Connection, url: str, limit: int) -> None:
        self._connection = connection
        self._url = url
        self._limit = limit
        self.status = connection.status
        self.headers: Mapping[str, str] = connection.headers

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if data := await self._connection.chunk():
            return data
        raise StopAsyncIteration

    async def read(self, limit: int | None = None) -> bytes:
        limit = self._limit if limit is None else limit
        check_length(self.headers, limit, self._url)
        return await self._connection.body(limit)


async def _open(loop: asyncio.AbstractEventLoop, origin: _Origin, host: str, tls: ssl.SSLContext | None) -> Connection:
    # No happy_eyeballs_delay: uvloop does not have it. The addresses are tried one after the other.
    _, connection = await loop.create_connection(
        Connection, host, origin.port, ssl=tls, server_hostname=origin.host if tls else None
    )
    return connection


async def _open_first(
    loop: asyncio.AbstractEventLoop, origin: _Origin, addresses: Iterable[str], tls: ssl.SSLContext | None
) -> tuple[str, Connection]:
    """A connection to the first address that takes one; TLS is with the host of the URL."""
    failure: OSError | None = None
    for address in addresses:
        try:
            return address, await _open(loop, origin, address, tls)
        except OSError as error:
            failure = failure or error
    assert failure is not None
    raise failure


@lru_cache(256)
def _start(method: str, url: str) -> tuple[_Origin, str]:
    """Where a URL leads, and how a request for it begins.

    Raises:
        ConnectError: it is not an http(s) URL.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("it needs http:// or https:// and a host")
        tls = parts.scheme == "https"
        host = parts.hostname.encode("ascii" if parts.hostname.isascii() else "idna").decode()
        port = parts.port or (443 if tls else 80)
        target = quote(parts._replace(scheme="", netloc="", fragment="", path=parts.path or "/").geturl(), _SAFE)
        named = f"[{host}]" if ":" in host else host
        authority = named if parts.port is None else f"{named}:{port}"
        start = f"{method} {target} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: codin\r\nAccept-Encoding: identity\r\n"
    except ValueError as error:
        raise ConnectError(f"{shown(url)!r} is not a URL: {error}") from error
    if start.count("\n") != 4 or not start.isascii() or " " in authority:
        raise ConnectError(f"{shown(url)!r} is not a URL.")
    return _Origin(host, port, tls), start


def _message(start: str, headers: Mapping[str, str], content: bytes) -> bytes:
    """The bytes of a request.

    Raises:
        ConfigError: a header would become two.
    """
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    fields = "".join(lines)
    if fields.count("\n") != len(lines) or fields.count("\r") != len(lines) or "\0" in fields:
        raise ConfigError("A header holds a character that HTTP does not allow.")
    return f"{start}{fields}Content-Length: {len(content)}\r\n\r\n".encode("latin-1") + content
