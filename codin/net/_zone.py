"""Where an IP address leads: out into the internet, into a private network, back to this machine, or nowhere good.

Written out, because the properties of `ipaddress` changed between releases of Python.

Source: the IANA special-purpose address registries; RFC 4291, 6052, 6890, 8215.
"""

from __future__ import annotations

import socket
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["Zone", "literal", "zone_of"]


class Zone(StrEnum):
    """What an address is, in words that end a sentence."""

    PUBLIC = "in the internet"
    PRIVATE = "in a private network"
    LOOPBACK = "this machine"
    SPECIAL = "link-local, multicast, reserved, or the metadata service of a cloud"


_V4 = [
    (Zone.LOOPBACK, ("127.0.0.0/8", "0.0.0.0/32")),  # 0.0.0.0: Linux connects to itself
    # Metadata and platform services that stand outside of link-local: Alibaba, Azure, Oracle (192.0.0.192).
    (Zone.SPECIAL, ("100.100.100.200/32", "168.63.129.16/32", "192.0.0.0/24")),
    (Zone.PRIVATE, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15")),
    (Zone.SPECIAL, ("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "192.88.99.0/24")),
    (Zone.SPECIAL, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")),  # documentation
]
_V6 = [
    (Zone.LOOPBACK, ("::1/128", "::/128")),
    (Zone.SPECIAL, ("fd00:ec2::/32", "fd20:ce::254/128")),  # metadata: Amazon, Google
    (Zone.PRIVATE, ("fc00::/7", "fec0::/10")),
    (Zone.SPECIAL, ("2001::/23", "2001:db8::/32", "3fff::/20")),  # Teredo and other protocols, documentation
    (Zone.PUBLIC, ("2000::/3",)),  # all that is assigned to the internet; the rest is special
]
_NETWORKS = [(zone, ip_network(network)) for zone, networks in (*_V4, *_V6) for network in networks]

# IPv6 addresses that stand for an IPv4 address, and how far from the right that is: mapped, translated, compatible,
# NAT64 with its well-known prefix, 6to4. A NAT64 prefix of one's own (64:ff9b:1::/48) is special as it is.
_EMBEDDING = [
    (IPv6Network(network), shift)
    for network, shift in (
        ("::ffff:0:0/96", 0),
        ("::ffff:0:0:0/96", 0),
        ("::/96", 0),
        ("64:ff9b::/96", 0),
        ("2002::/16", 80),
    )
]


@lru_cache(1024)
def zone_of(address: str) -> Zone:
    """The zone of an IP address.

    Raises:
        ValueError: it is none.
    """
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address) and int(parsed) > 1:
        parsed = _embedded(parsed) or parsed
    for zone, network in _NETWORKS:
        if parsed in network:
            return zone
    return Zone.PUBLIC if isinstance(parsed, IPv4Address) else Zone.SPECIAL


def _embedded(address: IPv6Address) -> IPv4Address | None:
    plain = IPv6Address(int(address))  # without a scope, which is in no network
    for network, shift in _EMBEDDING:
        if plain in network:
            return IPv4Address(int(plain) >> shift & 0xFFFFFFFF)
    return None


def literal(host: str) -> str | None:
    """The IP address that a host of a URL is; None for a name. Knows `127.1` and `0x7f000001` too."""
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, UnicodeEncodeError, ValueError):
        return None
