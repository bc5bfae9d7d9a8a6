"""The default transport: httpx, entered below its client, where no cookie, redirect or decoding happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import lru_cache, partial
from types import TracebackType
from typing import cast

import anyio
import anyio.lowlevel
import httpx

from codin.errors import ConfigError, ConnectError, DeadlineExceeded, TransportError
from codin.net._body import check_encoding, check_length, read_bounded
from codin.net._guard import AddressGuard
from codin.net._pinned import PinnedTransport
from codin.net._protocol import MAX_BODY, Response
from codin.net._proxy import Proxies
from codin.net._wording import cause, lost, shown, within

__all__ = ["HttpxTransport", "guarded_client"]

_KEPT_OPEN = httpx.Limits(max_connections=None, max_keepalive_connections=256, keepalive_expiry=15.0)
_Send = Callable[[httpx.Request], Awaitable[httpx.Response]]


@lru_cache(256)
def _parse_url(url: str) -> httpx.URL:
    """Raises ConnectError."""
    try:
        parsed = httpx.URL(url)
        _ = parsed.host  # which httpx decodes when a request is made of it, and an error of idna's is no error of httpx
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ConnectError(f"{shown(url)!r} is not a URL: {error}") from error
    return parsed


class HttpxTransport:
    """HTTP by httpx.

    Args:
        client: an `httpx.AsyncClient` whose settings (proxies, certificates, authentication) shall count, or a bare
            httpx transport such as `httpx.ASGITransport(app=app)`. It is closed by whoever made it. None makes one,
            with the proxies that the environment names.
        limit: bytes of one answer at most.
        guard: says which addresses may be called, and is asked for each connection. Not beside a `client`. Where the
            environment names a proxy, it looks at what it can see from here: which address the proxy connects to is
            the proxy's to say.

    Raises:
        ConfigError: a guard beside a client, which has connections of its own.
    """

    def __init__(
        self,
        client: httpx.AsyncClient | httpx.AsyncBaseTransport | None = None,
        *,
        limit: int = MAX_BODY,
        guard: AddressGuard | None = None,
    ) -> None:
        if client is not None and guard is not None:
            raise ConfigError("A guard cannot look at the connections that a client of one's own makes.")
        self._limit = limit
        self._owned: httpx.AsyncBaseTransport | None = None
        self._proxies: Proxies | None = None
        if client is None:
            self._proxies = Proxies()
            client = self._owned = _network(self._proxies, guard)
        if isinstance(client, httpx.AsyncClient):
            self._send: _Send = partial(client.send, stream=True, follow_redirects=False)
            self._build: Callable[..., httpx.Request] = client.build_request
        else:
            self._send = client.handle_async_request
            self._build = httpx.Request

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
        # The one deadline is around everything, so the phases below need none of their own.
        request = self._request(method, url, headers, content, {})
        try:
            with anyio.fail_after(timeout):
                response = await self._send(request)
                try:
                    body = await _Body(response, url, self._limit).read(limit)
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.StreamError, TimeoutError) as error:
            raise _translated(error, url, timeout, len(content), self._proxies) from error
        return Response(response.status_code, response.headers, body)

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float | None,
    ) -> _Stream:
        phases: dict[str, float | None] = dict.fromkeys(("connect", "read", "write", "pool"), timeout)
        request = self._request(method, url, headers, content, phases)
        return _Stream(self._send, request, url, timeout, self._limit, self._proxies)

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes, timeout: Mapping[str, float | None]
    ) -> httpx.Request:
        return self._build(
            method,
            _parse_url(url),
            headers={"User-Agent": "codin", "Accept-Encoding": "identity", **headers},
            content=content,
            extensions={"timeout": timeout},
        )

    async def aclose(self) -> None:
        if self._owned is not None:
            await self._owned.aclose()


def guarded_client(guard: AddressGuard, headers: Mapping[str, str]) -> httpx.AsyncClient:
    """A client of httpx for a library that wants one, with the guard asked for each connection as above."""
    return httpx.AsyncClient(transport=_network(Proxies(), guard), headers=headers)


def _network(proxies: Proxies, guard: AddressGuard | None) -> httpx.AsyncBaseTransport:
    straight = PinnedTransport(guard, _KEPT_OPEN) if guard is not None else httpx.AsyncHTTPTransport(limits=_KEPT_OPEN)
    return _Routed(straight, proxies, guard) if proxies else straight


class _Body:
    """A response on its way, as `StreamingResponse` promises it."""

    def __init__(self, response: httpx.Response, url: str, limit: int, timeout: float | None = None) -> None:
        check_encoding(response.headers, url)
        self._response = response
        self._url = url
        self._limit = limit
        self._timeout = timeout
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return _Chunks(self._response, self._url, self._timeout)

    async def read(self, limit: int | None = None) -> bytes:
        limit = self._limit if limit is None else limit
        check_length(self.headers, limit, self._url)
        return await read_bounded(self.chunks, limit, self._url)


class _Chunks:
    """The bytes as they arrive. Not a generator: nothing is left half-run when a reader walks away."""

    __slots__ = ("_next", "_timeout", "_url")

    def __init__(self, response: httpx.Response, url: str, timeout: float | None) -> None:
        self._next = cast(httpx.AsyncByteStream, response.stream).__aiter__().__anext__
        self._url = url
        self._timeout = timeout

    def __aiter__(self) -> _Chunks:
        return self

    async def __anext__(self) -> bytes:
        # A peer that always sends something can keep step with anyio, which cancels only a task that waits.
        await anyio.lowlevel.checkpoint_if_cancelled()
        try:
            return await self._next()
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise _translated(error, self._url, self._timeout) from error


class _Stream:
    """Opens the response on entry and gives the connection back on exit."""

    __slots__ = ("_limit", "_proxies", "_request", "_response", "_send", "_timeout", "_url")

    def __init__(
        self, send: _Send, request: httpx.Request, url: str, timeout: float | None, limit: int, proxies: Proxies | None
    ) -> None:
        self._send = send
        self._request = request
        self._url = url
        self._timeout = timeout
        self._limit = limit
        self._proxies = proxies
        self._response: httpx.Response | None = None

    async def __aenter__(self) -> _Body:
        try:
            self._response = response = await self._send(self._request)
        except httpx.HTTPError as error:
            size = len(self._request.content)
            raise _translated(error, self._url, self._timeout, size, self._proxies) from error
        try:
            return _Body(response, self._url, self._limit, self._timeout)
        except TransportError:
            await response.aclose()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._response is not None:
            await self._response.aclose()


class _Routed(httpx.AsyncBaseTransport):
    """Straight to the peer, or through the proxy that the environment names for it."""

    def __init__(self, straight: httpx.AsyncBaseTransport, proxies: Proxies, guard: AddressGuard | None) -> None:
        self._straight = straight
        self._proxies = proxies
        self._guard = guard
        self._proxied = httpx.AsyncClient(limits=_KEPT_OPEN)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._proxies.of(str(request.url)) is None:
            return await self._straight.handle_async_request(request)
        if self._guard is not None:
            await self._guard.check_from_here(str(request.url))
        return await self._proxied.send(request, stream=True, follow_redirects=False)

    async def aclose(self) -> None:
        await self._straight.aclose()
        await self._proxied.aclose()


def _translated(
    error: Exception, url: str, timeout: float | None, size: int = 0, proxies: Proxies | None = None
) -> TransportError:
    if isinstance(error, (TimeoutError, httpx.TimeoutException)):
        return DeadlineExceeded(f"{shown(url)} did not answer {within(timeout)}.")
    if isinstance(error, (httpx.ConnectError, httpx.ProxyError, httpx.UnsupportedProtocol)):
        through = proxies.named(url) if proxies else ""
        return ConnectError(f"{shown(url)} could not be reached{through}: {cause(error)}")
    return lost(url, error, size)
