"""HTTP, to where it may go."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit, urlunsplit

from codin.errors import (
    AddressRefused,
    BadResponse,
    DeadlineExceeded,
    ResponseTooLarge,
    ToolFailed,
    ToolRefused,
    ToolTimeout,
    TransportError,
)
from codin.net import AddressGuard, Transport, open_transport
from codin.tool._decorator import tool

__all__ = ["Fetch", "Fetched", "fetched"]

_REDIRECTS = {301, 302, 303, 307, 308}
_HOPS = 5
_TEXT = ("text/", "application/json", "application/xml", "application/xhtml+xml")
_SECONDS = 20.0
# Those of the web; Python has others, in which a text takes long to read.
_ENCODING = re.compile(
    r"utf-(8|16(le|be)?)|(us-)?ascii|(iso-8859|windows)-\d{1,4}|koi8-[ru]|shift[_-]jis|euc-(jp|kr)|iso-2022-jp"
    r"|gb(k|2312|18030)|big5"
)
_SAID = re.compile(rb"""<meta\s[^>]{0,200}\bcharset\s{0,5}=\s{0,5}["']?([\w-]{1,20})""", re.IGNORECASE)


@dataclass
class Fetched:
    """An answer: where it came from in the end, and what it says."""

    url: str
    status: int
    content_type: str
    text: str


class Fetch:
    """The tool `fetch`: reads an address in the internet.

    Every address is checked before it is connected to, those of redirects one by one, and the connection is made to
    what was checked. Only text is read, uncompressed.

    Args:
        guard: which addresses may be read; those in the internet by default.
        max_bytes: of a body.
    """

    def __init__(self, *, guard: AddressGuard | None = None, max_bytes: int = 512 * 1024) -> None:
        self._guard = guard or AddressGuard()
        self._max = max_bytes

    @tool(idempotent=True, timeout=30, tags=["http", "web"])
    async def fetch(self, url: str) -> Fetched:
        """Read what is at an http(s) address: text, JSON, XML or HTML as it is.

        Args:
            url: the whole address.
        """
        return await fetched(url, self._guard, self._max, _TEXT, "fetch")


async def fetched(url: str, guard: AddressGuard, most: int, types: Collection[str], tool: str) -> Fetched:
    """Read an address, with its redirects.

    Raises:
        ToolRefused: it may not be read, or what is there is too large or of another type.
        ToolTimeout: it did not answer.
        ToolFailed: it could not be reached.
    """
    transport = open_transport(guard=guard)
    try:
        async with asyncio.timeout(_SECONDS):
            return await _followed(transport, url, most, types, tool)
    except (TimeoutError, DeadlineExceeded):
        raise ToolTimeout(f"{url} did not answer within {_SECONDS:g} s", tool=tool, retryable=True) from None
    except ResponseTooLarge:
        raise ToolRefused(f"what is at {url} has more than {most} bytes", tool=tool) from None
    except (AddressRefused, BadResponse) as error:
        raise ToolRefused(f"{url} cannot be read: {error.message}", tool=tool) from None
    except TransportError as error:
        raise ToolFailed(error.message, tool=tool, retryable=True) from None
    finally:
        await transport.aclose()


async def _followed(transport: Transport, url: str, most: int, types: Collection[str], tool: str) -> Fetched:
    headers = {"accept": "text/html, text/*, application/json;q=0.9, */*;q=0.1", "user-agent": "codin"}
    for _ in range(_HOPS + 1):
        url = _plain(url, tool)
        async with transport.stream("GET", url, headers=headers, timeout=_SECONDS) as answer:
            onward = answer.headers.get("location")
            if answer.status in _REDIRECTS and onward:
                onward = _joined(url, onward, tool)
                if url.startswith("https:") and onward.startswith("http:"):
                    raise ToolRefused(f"{url} leads to an address without TLS", tool=tool)
                url = onward
                continue
            kind = answer.headers.get("content-type", "").lower()
            if not any(kind.startswith(each) for each in types):
                raise ToolRefused(f"{url} is {kind[:100] or 'of no type'!r}, and only text is read", tool=tool)
            body = await answer.read(most)
            return Fetched(url, answer.status, kind, _text(body, kind))
    raise ToolRefused(f"{url} leads on more than {_HOPS} times", tool=tool)


def _joined(url: str, onward: str, tool: str) -> str:
    try:
        return urljoin(url, onward)
    except ValueError:
        raise ToolRefused(f"{url} leads to {onward[:200]!r}, which is no address", tool=tool) from None


def _plain(url: str, tool: str) -> str:
    """The address without its fragment. Raises ToolRefused for one that is none, or has a password in it."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        parts = known = None
    if parts is None or not known:
        raise ToolRefused(f"{url[:200]!r} is no http(s) address", tool=tool)
    if parts.username is not None or parts.password is not None:
        raise ToolRefused("the address has a name or a password in it", tool=tool)
    return urlunsplit(parts._replace(fragment=""))


def _text(body: bytes, content_type: str) -> str:
    """The text of a body, by the encoding that its type says, or else a page itself; UTF-8 where neither is known."""
    name = content_type.partition("charset=")[2].partition(";")[0].strip(" \"'")
    if not name and (said := _SAID.search(body[:1024])) is not None:
        name = said[1].decode().lower()
    try:
        return body.decode(name if _ENCODING.fullmatch(name) else "utf-8", "replace")
    except LookupError:
        return body.decode(errors="replace")
