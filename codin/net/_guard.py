"""A guard before the addresses that somebody else names: a card, a registry, a catalog, a caller with a web hook.

Whoever may choose where this process connects to may otherwise reach what only this process reaches: services of the
private network, of this machine, the metadata of a cloud.
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from time import monotonic
from typing import TypeAlias
from urllib.parse import urlsplit

import anyio

from codin.errors import AddressRefused, ConnectError
from codin.net._wording import cause, shown
from codin.net._zone import Zone, literal, zone_of

__all__ = ["AddressGuard", "Resolve"]

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, as text. Raises `OSError` when there are none."""

_MAX_ADDRESSES = 32
_MAX_MET = 4096
_KEPT = 3600.0  # seconds; no card is kept longer
_OUTSIDE_IN = [Zone.PUBLIC, Zone.PRIVATE, Zone.SPECIAL, Zone.LOOPBACK]


async def _resolve(host: str, port: int) -> Sequence[str]:
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class AddressGuard:
    """Says which addresses may be called. Without arguments: those in the internet.

    A host is refused when any of its addresses is. `open_transport(guard=…)` makes a transport that connects to the
    very addresses that were checked, so that a second answer of the DNS moves nothing. Link-local, multicast and
    reserved addresses, and the metadata services of clouds, are allowed by `allowed_hosts` alone.

    Args:
        named_by: the URL of the party that names the addresses. Its own host may be called wherever it is, but not
            further inside than it was an hour ago or less. It may name what is no further inside than itself: one in a
            private network private addresses too, one on this machine any.
        allow_public: the addresses in the internet.
        allow_private: the addresses of private networks, carrier-grade NAT among them.
        allow_loopback: the addresses of this machine.
        allowed_hosts: hosts that are not checked, as they stand in a URL.
        resolve: finds the addresses of a host; the system does by default.
    """

    def __init__(
        self,
        *,
        named_by: str | None = None,
        allow_public: bool = True,
        allow_private: bool = False,
        allow_loopback: bool = False,
        allowed_hosts: Iterable[str] = (),
        resolve: Resolve = _resolve,
    ) -> None:
        self._allowed_hosts = {_canonical(host) for host in allowed_hosts}
        allowed = {Zone.PUBLIC: allow_public, Zone.PRIVATE: allow_private, Zone.LOOPBACK: allow_loopback}
        self._zones = {zone for zone, is_allowed in allowed.items() if is_allowed}
        self._resolve = resolve
        self._namer = _host_of(named_by) if named_by is not None else None
        self._namer_zone: Zone | None = None

    async def check(self, url: str) -> None:
        """Look at a URL and at every address of its host. What connects later may be told other addresses.

        Raises:
            AddressRefused: it is no http(s) URL, or one of the addresses is not allowed.
            ConnectError: the host has no address.
        """
        host, port = _host_of(url)
        try:
            await self.addresses(host, port)
        except OSError as error:
            raise ConnectError(f"{shown(url)} could not be reached: {cause(error)}") from error

    async def check_from_here(self, url: str) -> None:
        """Look at what can be seen of an address that a proxy will connect to. It may know names that we do not.

        Raises:
            AddressRefused: as `check` does.
        """
        host, port = _host_of(url)
        if self._namer is None or host != self._namer[0]:
            with suppress(OSError):
                await self.addresses(host, port)

    def check_written(self, url: str) -> None:
        """Look only at what the URL itself says: an address in it is checked, a name is not resolved.

        Raises:
            AddressRefused: as `check` does.
        """
        host, _ = _host_of(url)
        if host in self._allowed_hosts or (self._namer is not None and host == self._namer[0]):
            return
        allowed = set(self._zones)
        if self._namer is not None:
            allowed |= _named_from(_met.zone(self._namer[0]) or _outermost(_written(self._namer[0])))
        _refuse(host, _written(host), allowed)

    async def addresses(self, host: str, port: int) -> Sequence[str] | None:
        """The addresses of a host that may be connected to; None for a host that is not checked.

        Whoever connects says so by `connected`.

        Raises:
            AddressRefused: they are not allowed.
            OSError: there are none.
        """
        host = _canonical(host)
        if host in self._allowed_hosts:
            return None
        if self._namer is not None and host == self._namer[0]:
            return self._own(host, await self._find(host, port))
        allowed = self._zones | _named_from(await self._where_the_namer_is())
        found = await self._find(host, port)
        _refuse(host, found, allowed)
        return found

    def connected(self, host: str, address: str) -> None:
        """A connection to a host was made, at one of the addresses that `addresses` gave."""
        host = _canonical(host)
        if literal(host) is None:
            _met.note(host, zone_of(address))

    def _own(self, host: str, found: Sequence[str]) -> Sequence[str]:
        """The addresses of the party itself. Whoever pointed there may go there, until it moves further inside."""
        zone = _met.zone(host)
        if zone is None:
            return found
        kept = [address for address in found if zone_of(address) in self._zones | _named_from(zone) | {zone}]
        if not kept:
            raise AddressRefused(
                f"{host!r} was {zone.value}, and now leads to {found[0]}, which is {zone_of(found[0]).value}.",
                hint="If it has moved, a guard with allowed_hosts=… lets it, and so does a new start of the program.",
            )
        return kept

    async def _where_the_namer_is(self) -> Zone | None:
        """Where it was when somebody connected; before, where its name leads."""
        if self._namer is None:
            return None
        met = _met.zone(self._namer[0])
        if met is None and self._namer_zone is None:
            self._namer_zone = _outermost(await self._find(*self._namer))
        return met or self._namer_zone

    async def _find(self, host: str, port: int) -> Sequence[str]:
        address = literal(host)
        if address is not None:
            return [address]
        found = list(dict.fromkeys(await self._resolve(host, port)))[:_MAX_ADDRESSES]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "the name has no address")
        return found


class _Met:
    """How far outside the hosts were that somebody connected to, by their names.

    A name is in its owner's hands, who may let it lead to us once a card is here that calls it.
    """

    def __init__(self) -> None:
        self._zones: OrderedDict[str, tuple[Zone, float]] = OrderedDict()

    def zone(self, host: str) -> Zone | None:
        zone, until = self._zones.get(host, (None, 0.0))
        return zone if monotonic() < until else None

    def note(self, host: str, zone: Zone) -> None:
        before = self.zone(host)
        self._zones[host] = (zone if before is None else min(before, zone, key=_OUTSIDE_IN.index), monotonic() + _KEPT)
        self._zones.move_to_end(host)
        if len(self._zones) > _MAX_MET:
            self._zones.popitem(last=False)


_met = _Met()


def _refuse(host: str, addresses: Iterable[str], allowed: Collection[Zone]) -> None:
    for address in addresses:
        zone = zone_of(address)
        if zone not in allowed:
            leads = "is" if address == host else f"leads to {address}, which is"
            raise AddressRefused(
                f"{host!r} {leads} {zone.value}; nobody has said that it may be called.",
                hint="If it shall be, an AddressGuard(allow_private=…, allow_loopback=…, allowed_hosts=…) says so.",
            )


def _outermost(addresses: Iterable[str]) -> Zone | None:
    return min(map(zone_of, addresses), key=_OUTSIDE_IN.index, default=None)


def _named_from(zone: Zone | None) -> set[Zone]:
    """What a party that is there may name, beside what anybody may."""
    if zone is Zone.LOOPBACK:
        return {Zone.PRIVATE, Zone.LOOPBACK}
    return {Zone.PRIVATE} if zone is Zone.PRIVATE else set()


def _host_of(url: str) -> tuple[str, int]:
    """Host and port of an http(s) URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused(f"{shown(url)!r} is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressRefused(f"{shown(url)!r} is not an http(s) URL, and nothing else is called.")
    return _canonical(parts.hostname), port or (443 if parts.scheme == "https" else 80)


def _canonical(host: str) -> str:
    host = host.strip("[]").rstrip(".").lower()
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()  # as it is when it is connected to
    except UnicodeError:
        return host


def _written(host: str) -> list[str]:
    """The address that a host is by itself; none for a name. RFC 6761 6.3 has a name for this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return ["127.0.0.1"]
    address = literal(host)
    return [address] if address else []
