"""The proxies that the environment names."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

__all__ = ["Proxies", "is_loopback"]


class Proxies:
    """The environment as it was when the transport was made."""

    def __init__(self) -> None:
        from urllib.request import getproxies, proxy_bypass  # slow to load, for those who call nobody

        self._named = getproxies()
        self._bypass = proxy_bypass

    def __bool__(self) -> bool:
        return bool(self._named)

    def of(self, url: str) -> str | None:
        """The proxy for a URL; None to go straight, as always to this machine: a proxy would look for it in itself."""
        if not self._named:
            return None
        try:
            parts = urlsplit(url)
            if is_loopback(parts.hostname) or self._bypass(parts.netloc):
                return None
        except ValueError:  # no URL at all, which whoever sends the request says
            return None
        return self._named.get(parts.scheme) or self._named.get("all")

    def named(self, url: str) -> str:
        """Words that follow a URL where it could not be reached; the credentials of a proxy are not among them."""
        proxy = self.of(url)
        return f" through the proxy {proxy.rpartition('//')[2].rpartition('@')[2].rstrip('/')}" if proxy else ""


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address leads back to this machine, from wherever it is used."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
