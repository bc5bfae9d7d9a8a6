"""The fast transport: aiohttp, without cookies, redirects or decoding."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import lru_cache, partial
from io import BytesIO
from types import TracebackType

import aiohttp
import yarl

from codin.errors import BadResponse, ConnectError, DeadlineExceeded, TransportError
from codin.net._body import check_encoding, check_length, read_bounded
from codin.net._protocol import MAX_BODY, Response
from codin.net._proxy import Proxies

__all__ = ["AiohttpTransport"]

_parse_url = lru_cache(256)(yarl.URL)
_LARGE = 1024 * 1024
_FAILURES = (aiohttp.ClientError, TimeoutError, OSError)
_NEVER_THERE = (aiohttp.ClientConnectorError, aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)


class AiohttpTransport:
    """HTTP by aiohttp.

    Args:
        session: an `aiohttp.ClientSession` whose settings shall count. It is closed by whoever made it. None makes
            one at the first request. The proxies are those that the environment names.
        limit: bytes of one answer at most.
    """

    def __init__(self, session: aiohttp.ClientSession | None = None, *, limit: int = MAX_BODY) -> None:
        self._session = session
        self._owned = session is None
        self._proxies = Proxies()
        self._limit = limit

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
        try:
            response = await self._send(method, url, headers, content, _whole(timeout))
            try:
                body = await _Body(response, url, self._limit, timeout).read(limit)
            finally:
                response.close()
        except _FAILURES as error:
            raise _translated(error, url, timeout) from error
        return Response(response.status, response.headers, body)

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        timeout: float | None,
    ) -> _Stream:
        patience = _silence(timeout)
        return _Stream(partial(self._send, method, url, headers, content, patience), url, timeout, self._limit)

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes, timeout: aiohttp.ClientTimeout
    ) -> Awaitable[aiohttp.ClientResponse]:
        session = self._session
        if session is None:
            session = self._session = _own_session()
        try:
            address = _parse_url(url)
        except ValueError as error:
            raise ConnectError(f"{url!r} is not a URL: {error}") from error
        return session.request(
            method,
            address,
            # aiohttp warns of a large body in one piece.
            data=BytesIO(content) if len(content) > _LARGE else content or None,
            headers={"User-Agent": "codin", "Accept-Encoding": "identity", **headers},
            timeout=timeout,
            allow_redirects=False,
            proxy=self._proxies.of(url),
        )

    async def aclose(self) -> None:
        if self._owned and self._session is not None:
            session, self._session = self._session, None
            await session.close()


class _Body:
    """A response on its way, as `StreamingResponse` promises it."""

    def __init__(self, response: aiohttp.ClientResponse, url: str, limit: int, timeout: float | None) -> None:
        check_encoding(response.headers, url)
        self._response = response
        self._url = url
        self._limit = limit
        self._timeout = timeout
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return _Chunks(self._response, self._url, self._timeout)

    async def read(self, limit: int | None = None) -> bytes:
        limit = self._limit if limit is None else limit
        if check_length(self.headers, limit, self._url) is None:
            return await read_bounded(self.chunks, limit, self._url)
        # The parser holds the peer to the length it declared.
        try:
            return await self._response.read()
        except _FAILURES as error:
            raise _translated(error, self._url, self._timeout) from error


class _Chunks:
    """The bytes as they arrive."""

    __slots__ = ("_content", "_timeout", "_url")

    def __init__(self, response: aiohttp.ClientResponse, url: str, timeout: float | None) -> None:
        self._content = response.content
        self._url = url
        self._timeout = timeout

    def __aiter__(self) -> _Chunks:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._content.readany()
        except _FAILURES as error:
            raise _translated(error, self._url, self._timeout) from error
        if not chunk:
            raise StopAsyncIteration
        return chunk


class _Stream:
    """Opens the response on entry and gives the connection back on exit."""

    __slots__ = ("_limit", "_response", "_send", "_timeout", "_url")

    def __init__(
        self, send: Callable[[], Awaitable[aiohttp.ClientResponse]], url: str, timeout: float | None, limit: int
    ) -> None:
        self._send = send
        self._url = url
        self._timeout = timeout
        self._limit = limit
        self._response: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> _Body:
        try:
            self._response = response = await self._send()
        except _FAILURES as error:
            raise _translated(error, self._url, self._timeout) from error
        try:
            return _Body(response, self._url, self._limit, self._timeout)
        except TransportError:
            response.close()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A response that was read to its end has given its connection back already; of any other it is closed.
        if self._response is not None:
            self._response.close()


@lru_cache(64)
def _whole(timeout: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=timeout)


@lru_cache(64)
def _silence(timeout: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=timeout, sock_read=timeout)


def _own_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=15.0),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )


def _translated(error: Exception, url: str, timeout: float | None) -> TransportError:
    if isinstance(error, TimeoutError):
        return DeadlineExceeded(f"{url} did not answer within {timeout} s.")
    if isinstance(error, _NEVER_THERE):
        return ConnectError(f"{url} could not be reached: {error}")
    if isinstance(error, aiohttp.ClientResponseError):
        return BadResponse(f"{url} does not answer in HTTP: {error.message}")
    return TransportError(f"The connection to {url} was lost: {error or type(error).__name__}")
