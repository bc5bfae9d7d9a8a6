"""The interfaces in a card that can be called from here, and what speaks with each. Spec 5.2, 8.3.2."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from codin import a2a
from codin.client._binding import Binding
from codin.client._card import web_address
from codin.client._grpc_interface import grpc_address, open_grpc
from codin.client._jsonrpc import JsonRpc
from codin.client._rest import Rest
from codin.client._v03_jsonrpc import old_jsonrpc
from codin.client._v03_rest import old_rest
from codin.errors import BadResponse, ConfigError
from codin.net import AddressGuard, Transport

__all__ = ["DIALECTS", "Dialect", "Spoken", "speakable", "spoken_interfaces"]


def _web(url: str, card: a2a.AgentCard) -> str | None:
    try:
        web_address(url)
    except ConfigError:
        return None
    return url


class Dialect(NamedTuple):
    """A binding in a version of the protocol.

    Args:
        binding: its name in cards.
        major: the version before its point; "" is a card that names none.
        open: makes the binding for a URL, with the headers of every request.
        address: the http(s) URL that says where the URL of an interface in a card leads, for those who decide whether
            it may be called and with what credentials; None when it is no address of this binding.
        dial: in place of `open`, makes a binding with connections of its own, for an address; it asks the guard.
    """

    binding: str
    major: str
    open: Callable[[Transport, str, Mapping[str, str]], Binding] | None
    address: Callable[[str, a2a.AgentCard], str | None] = _web
    dial: Callable[[str, Mapping[str, str], AddressGuard | None], Binding] | None = None


DIALECTS: list[Dialect] = [
    Dialect("JSONRPC", "1", JsonRpc),
    Dialect("HTTP+JSON", "1", Rest),
    Dialect("GRPC", "1", None, grpc_address, open_grpc),
    Dialect("JSONRPC", "0", old_jsonrpc),
    Dialect("HTTP+JSON", "0", old_rest),
]


class Spoken(NamedTuple):
    """An interface that can be called, and how."""

    interface: a2a.AgentInterface
    dialect: Dialect
    address: str

    def open(self, transport: Transport, headers: Mapping[str, str], guard: AddressGuard | None) -> Binding:
        """What speaks with it.

        Args:
            headers: of every request.
            guard: says which addresses may be called, to a binding that does without the transport.
        """
        if self.dialect.dial is not None:
            return self.dialect.dial(self.address, headers, guard)
        assert self.dialect.open is not None
        return self.dialect.open(transport, self.interface.url, headers)


def speakable() -> list[str]:
    """The names of the bindings that can be chosen."""
    return list(dict.fromkeys(dialect.binding for dialect in DIALECTS))


def spoken_interfaces(card: a2a.AgentCard, binding: str | None = None, *, old: bool = True) -> list[Spoken]:
    """The interfaces to try, in the card's order, those of 0.3 last. Of those at one origin only the first: what is
    not there for one binding is not there for another.

    Args:
        binding: the one that is asked for; None is any.
        old: whether one of 0.3 will do.

    Raises:
        BadResponse: there is none.
    """
    found: dict[str, Spoken] = {}
    for interface in sorted(card.supported_interfaces, key=_is_old):
        spoken = _spoken(interface, card)
        if spoken is None or (spoken.dialect.major == "0" and not old):
            continue
        if binding in (None, interface.protocol_binding):
            parts = urlsplit(spoken.address)
            found.setdefault(f"{parts.scheme}://{parts.netloc}", spoken)
    if found:
        return list(found.values())
    offered = ", ".join(
        f"{interface.protocol_binding} {interface.protocol_version} at {interface.url!r}"
        for interface in card.supported_interfaces
    )
    raise BadResponse(
        f"The card of {card.name!r} names no {_or(speakable() if binding is None else [binding])} interface of A2A v1 "
        f"with an address that can be called; it offers {offered or 'none'}.",
        hint='versions=("1.0", "0.3") speaks 0.3 as well.'
        if not old and any(map(_is_old, card.supported_interfaces))
        else None,
    )


def _is_old(interface: a2a.AgentInterface) -> bool:
    return interface.protocol_version.startswith("0")


def _spoken(interface: a2a.AgentInterface, card: a2a.AgentCard) -> Spoken | None:
    major = interface.protocol_version.partition(".")[0] or "1"
    for dialect in DIALECTS:
        if (dialect.binding, dialect.major) == (interface.protocol_binding, major):
            address = dialect.address(interface.url, card)
            return Spoken(interface, dialect, address) if address is not None else None
    return None


def _or(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
