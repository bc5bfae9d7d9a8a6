"""The URL under which the outside reaches us."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import quote, urlsplit

from starlette.types import Scope

from codin.net import is_loopback
from codin.server._http import Headers

__all__ = ["base_url", "encoded_path", "is_own", "path_of"]

_HOST = re.compile(rb"[A-Za-z0-9._\-]+(:\d{1,5})?|\[[0-9a-fA-F:.]+\](:\d{1,5})?")
_PREFIX = re.compile(rb"(/(?!\.\.?(/|$))[A-Za-z0-9._~\-]+)+")  # no `.` and `..`


def path_of(scope: Scope) -> str:
    """The path below the place where the app is mounted, without a slash at its end; "" is the app itself."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root and f"{path}/".startswith(f"{root}/"):  # ASGI: `path` includes `root_path`; not every server does so
        path = path[len(root) :]
    return path.rstrip("/")


def encoded_path(scope: Scope, path: str) -> str:
    """A `path_of` as the client wrote it, in which an encoded slash or colon is not yet one."""
    raw: bytes | None = scope.get("raw_path")
    if raw is None:
        return quote(path, safe="/:")
    if b"%" not in raw:
        return path
    above = scope["path"].rstrip("/").count("/") - path.count("/")  # segments that belong to the mount
    return "/".join(["", *raw.decode("latin-1").rstrip("/").split("/")[above + 1 :]])


def base_url(scope: Scope, headers: Headers, public_url: str | None, trusted: Collection[str]) -> str:
    """Scheme, host and mount path, without a slash at the end.

    Args:
        public_url: what the operator said; then nothing else is looked at.
        trusted: addresses of proxies whose `X-Forwarded-*` headers are believed.
    """
    if public_url is not None:
        return public_url.rstrip("/")
    scheme: bytes = scope.get("scheme", "http").encode()
    host = headers.get(b"host", b"")
    prefix = b""
    client = scope.get("client")
    if client is not None and client[0] in trusted:
        proto = _first(headers, b"x-forwarded-proto")
        scheme = proto if proto in {b"http", b"https"} else scheme
        host = _first(headers, b"x-forwarded-host") or host
        prefix = _first(headers, b"x-forwarded-prefix").rstrip(b"/")
        prefix = prefix if _PREFIX.fullmatch(prefix) else b""
    if not _HOST.fullmatch(host):
        name, port = scope.get("server") or ("127.0.0.1", None)
        host = f"{name}:{port}".encode() if port else name.encode()
    root = quote(scope.get("root_path", ""))
    return f"{scheme.decode()}://{host.decode()}{prefix.decode()}{root}".rstrip("/")


def is_own(base: str, scope: Scope, public_url: str | None) -> bool:
    """Whether a `base_url` is an address of ours, and not only what a client or a proxy calls us.

    A card says where the agent is. Signed for any name that somebody makes up, it would vouch for that one's server.
    """
    if public_url is not None:
        return True
    server = scope.get("server")
    if server is None:
        return False
    parts = urlsplit(base)
    usual = 443 if parts.scheme == "https" else 80
    name, here = parts.hostname or "", str(server[0]).lower()
    return (parts.port or usual) == (server[1] or usual) and (name == here or (is_loopback(name) and is_loopback(here)))


def _first(headers: Headers, name: bytes) -> bytes:
    return headers.get(name, b"").partition(b",")[0].strip()
