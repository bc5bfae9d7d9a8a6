"""The proxy that the environment names for a URL."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

__all__ = ["proxy_of"]


@lru_cache(256)
def proxy_of(url: str) -> str | None:
    """The proxy's URL; None to go straight. Looked up once per URL and process."""
    proxies = getproxies()
    if not proxies:
        return None
    parts = urlsplit(url)
    if proxy_bypass(parts.netloc):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")
