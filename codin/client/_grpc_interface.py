"""A gRPC interface in a card: where it leads, and what speaks with it, which is loaded when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from codin import a2a
from codin.client._card import web_address
from codin.errors import ConfigError
from codin.net import AddressGuard, is_loopback

if TYPE_CHECKING:
    from codin.client._binding import Binding

__all__ = ["check_grpc", "grpc_address", "open_grpc"]


def check_grpc() -> None:
    """Raises ConfigError when the packages are missing."""
    if not _is_installed():
        raise ConfigError("gRPC lacks a package.", hint="pip install 'codin[grpc]'")


def _is_installed() -> bool:
    return find_spec("grpc") is not None and find_spec("google.protobuf") is not None


def grpc_address(url: str, card: a2a.AgentCard) -> str | None:
    """The http(s) URL of an interface: https is TLS. None for what is no address, and without the packages.

    Cards name `host:port` and say nothing of TLS. It is used unless the host is this machine, or the card has an
    interface without TLS on the same host.
    """
    if not _is_installed():
        return None
    try:
        if "://" in url:
            parts = web_address(url)
            return f"{parts.scheme}://{parts.netloc}"
        parts = web_address(f"https://{url}")
    except ConfigError:
        return None
    if parts.path.strip("/"):
        return None
    host = parts.hostname or ""
    plain = is_loopback(host) or host in {_plain_host(each.url) for each in card.supported_interfaces}
    return f"{'http' if plain else 'https'}://{parts.netloc}"


def _plain_host(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        return parts.hostname if parts.scheme == "http" else None
    except ValueError:
        return None


def open_grpc(address: str, headers: Mapping[str, str], guard: AddressGuard | None) -> Binding:
    """What speaks with it."""
    from codin.client._grpc import Grpc

    return Grpc(address, headers, guard)
