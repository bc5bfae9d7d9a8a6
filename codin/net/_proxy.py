"""The proxies that the environment names."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

__all__ = ["Proxies"]


class Proxies:
    """The environment as it was when the transport was made."""

    def __init__(self) -> None:
        self._named = getproxies()

    def of(self, url: str) -> str | None:
        """The proxy for a URL; None to go straight."""
        if not self._named:
            return None
        parts = urlsplit(url)
        if proxy_bypass(parts.netloc):
            return None
        return self._named.get(parts.scheme) or self._named.get("all")
