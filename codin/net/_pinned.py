"""httpx over connections that a guard has checked: what it looked at is what is connected to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias, cast

import anyio
import httpcore
import httpx

from codin.net._guard import AddressGuard

__all__ = ["PinnedTransport"]

_STAGGER = 0.25  # seconds
_Options: TypeAlias = Iterable[httpcore.SOCKET_OPTION] | None


class PinnedTransport(httpx.AsyncHTTPTransport):
    """As httpx connects, but through the guard. Connections are pooled by host, so TLS is checked for each host."""

    def __init__(self, guard: AddressGuard, limits: httpx.Limits) -> None:
        # httpx has no parameter for the network below its pool; without its __init__ there is no pool but this one.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Network(guard),
        )


class _Network(httpcore.AsyncNetworkBackend):
    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._network = cast(httpcore.AsyncNetworkBackend, httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: _Options = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            with anyio.fail_after(timeout):
                addresses = await self._guard.addresses(host, port)
                if addresses is None:
                    return await self._open(host, port, local_address, socket_options)
                address, stream = await self._race(addresses, port, local_address, socket_options)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("no connection in time") from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        self._guard.connected(host, address)
        return stream

    async def _open(
        self, host: str, port: int, local_address: str | None, options: _Options
    ) -> httpcore.AsyncNetworkStream:
        return await self._network.connect_tcp(host, port, local_address=local_address, socket_options=options)

    async def _race(
        self, addresses: Sequence[str], port: int, local_address: str | None, options: _Options
    ) -> tuple[str, httpcore.AsyncNetworkStream]:
        """A connection to one of the addresses: the next one is tried when one fails or is slow. RFC 8305."""
        opened: list[tuple[str, httpcore.AsyncNetworkStream]] = []
        failures: list[httpcore.ConnectError | httpcore.ConnectTimeout] = []

        async def attempt(address: str, over: anyio.Event) -> None:
            try:
                stream = await self._open(address, port, local_address, options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failures.append(error)
            else:
                opened.append((address, stream))
                group.cancel_scope.cancel()
            finally:
                over.set()

        async with anyio.create_task_group() as group:
            for address in addresses:
                over = anyio.Event()
                group.start_soon(attempt, address, over)
                with anyio.move_on_after(_STAGGER):
                    await over.wait()
        for _, late in opened[1:]:
            await late.aclose()
        if not opened:
            raise failures[0]
        return opened[0]
