"""What the bindings need of HTTP: headers by name, a bounded body, a plain answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterable
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from codin import a2a

__all__ = ["JSON", "Headers", "answer", "declares", "headers_of", "knows", "not_taken", "read_body"]

Headers = dict[bytes, bytes]
_PATIENCE = 5.0  # seconds
_DISCARDED = 8  # times the limit
_DIGITS = 18  # Python refuses to read a number of thousands
JSON: tuple[bytes, bytes] = (b"content-type", b"application/json")


def headers_of(scope: Scope) -> Headers:
    """Headers by lower-case name; of a repeated one, the last; of a list, all. Spec 3.2.6.

    `A2A-Version` may be a query parameter. Spec 3.6.1.
    """
    headers: Headers = dict(scope["headers"])
    if len(headers) < len(scope["headers"]) and b"a2a-extensions" in headers:
        named = [value for name, value in scope["headers"] if name == b"a2a-extensions"]
        headers[b"a2a-extensions"] = b", ".join(named)
    if scope["query_string"] and b"a2a-version" not in headers:
        for name, value in parse_qsl(scope["query_string"].decode("latin-1")):
            if name.lower() == "a2a-version":
                headers[b"a2a-version"] = value.encode()
    return headers


def declares(headers: Headers, media_types: Collection[bytes]) -> bool:
    """Whether the body is declared as one of these media types; parameters do not count."""
    declared = headers.get(b"content-type", b"")
    return declared in media_types or declared.partition(b";")[0].strip().lower() in media_types


def not_taken(headers: Headers, *media_types: str) -> a2a.ContentTypeNotSupported:
    """The error for a body that is declared as something else."""
    declared = headers.get(b"content-type", b"").decode("latin-1")
    what = f"of media type {declared!r}" if declared else "without a media type"
    return a2a.ContentTypeNotSupported(f"a body {what} is not taken", hint=f"send JSON, as {' or '.join(media_types)}")


async def read_body(receive: Receive, headers: Headers, limit: int) -> bytes:
    """The request body.

    Raises:
        PayloadTooLarge: it has more than `limit` bytes; the rest is not kept.
        ConnectionResetError: the client went away before it was complete.
    """
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and (len(declared) > _DIGITS or int(declared) > limit):
        await _discard(receive, limit)
        raise _too_large(limit)
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        if len(body) > limit:
            raise _too_large(limit)
        return body
    pieces = [body]
    size = len(body)
    while message.get("more_body"):
        if size > limit:
            await _discard(receive, limit)
            raise _too_large(limit)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
    if size > limit:
        raise _too_large(limit)
    return b"".join(pieces)


async def _discard(receive: Receive, limit: int) -> None:
    """Read on without keeping anything, within bounds: many clients read no answer before all they have is written.

    Who has more than eight times the limit to say loses the connection, and with it the answer.
    """
    limit *= _DISCARDED
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            more = True
            while more and limit > 0:
                message = await receive()
                more = message.get("more_body", False)
                limit -= len(message.get("body", b""))


def _too_large(limit: int) -> a2a.PayloadTooLarge:
    return a2a.PayloadTooLarge(
        f"the body is larger than {limit} bytes",
        hint="send files by URL, or smaller ones: base64 makes them a third larger",
    )


def knows(headers: Headers, etag: bytes) -> bool:
    """Whether the client says that it has this very version."""
    known = [tag.strip().removeprefix(b"W/") for tag in headers.get(b"if-none-match", b"").split(b",")]
    return etag in known or b"*" in known


async def answer(
    send: Send,
    body: bytes,
    *,
    status: int = 200,
    headers: Iterable[tuple[bytes, bytes]] = (JSON,),
    head: bool = False,
) -> None:
    """One complete response; to a HEAD, all of it but the body."""
    fields = [*headers]
    if status not in {204, 304}:  # RFC 9110 8.6: these have no length of their own
        fields.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if head else body})
