"""URLs that say where something is kept. They may hold a password, so nothing of them is told but the scheme."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qs, urlsplit

from codin.errors import ConfigError

__all__ = ["parts_of"]

_HOST = re.compile(r"(?:\[[^\[\]]*\]|[^\[\]:]*)(?::(.*))?", re.DOTALL)
_PORT = re.compile(r"[0-9]{1,5}")


def parts_of(url: str, what: str) -> SplitResult:
    """A URL in its parts, whose authority is one that every driver reads alike.

    Args:
        what: is kept there, such as "memory".

    Raises:
        ConfigError: it is none; names the part at fault, and has nothing of it.
    """
    if not isinstance(url, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # None, or a path, is easily given
        raise ConfigError(f"a {what} is named by a URL, and not by {type(url).__name__}", hint="such as memory://")
    try:
        parts = urlsplit(url)
    except ValueError:  # its text may have a piece of the password
        parts, fault = None, "the host"
    else:
        fault = _at_fault(parts)
    if parts is None or fault is not None:
        hint = "percent-encode what is in a password: / is %2F, # is %23, ? is %3F, @ is %40, [ is %5B"
        raise ConfigError(f"{fault} in the URL of the {what} is not understood", hint=hint)
    return parts


def _at_fault(parts: SplitResult) -> str | None:
    """A password with a letter that ends it is a host, a port and a path to some, and a password to others."""
    if not all(map(_is_port, ",".join(parse_qs(parts.query).get("port", ())).split(","))):
        return "the port"
    if not parts.netloc:
        return None
    user, _, hosts = parts.netloc.rpartition("@")
    behind = parts.path + parts.query.partition("=")[0] + parts.fragment
    if "@" in user + behind:
        return "the user or the password"
    for host in hosts.split(","):
        match = _HOST.fullmatch(host)
        if match is None or (not host and hosts):
            return "the host"
        if not _is_port(match[1]):
            return "the port"
    return None


def _is_port(said: str | None) -> bool:
    """Whether it is one, or nothing."""
    return not said or (bool(_PORT.fullmatch(said)) and 0 < int(said) < 65536)
