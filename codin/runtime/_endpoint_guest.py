"""Runs in the container or the pod: calls one endpoint, and gives the pieces of its answer as they come.

It is sent as text beside the table of zones of `codin.net`, so it uses nothing but that and the standard library of any
Python from 3.9 on.
"""

from __future__ import annotations

import codecs
import enum
import http.client
import importlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

if not hasattr(enum, "StrEnum"):  # before Python 3.11; the table of zones is made with it

    class _StrEnum(str, enum.Enum):  # noqa: UP042 - it stands in for that very class
        """Text, and a member of an enumeration."""

    enum.StrEnum = _StrEnum  # pyright: ignore[reportAttributeAccessIssue]

_PIECE = 65536


class _Refused(Exception):
    """An address that may not be called."""


def call(asked: dict[str, Any]) -> Iterator[str]:
    """The text of the answer, piece by piece; what is returned says how it went."""
    try:
        connection = _connected(asked)
    except _Refused as error:
        return {"refused": str(error)}
    except OSError as error:
        return {"unreached": _said(error)}
    text = codecs.getincrementaldecoder("utf-8")("replace")
    left = asked["most"]
    try:
        answer = _answered(connection, asked)
        for piece in _pieces(answer):
            left -= len(piece)
            if left < 0:
                return {"long": True}
            if told := text.decode(piece):
                yield told
    except (OSError, http.client.HTTPException) as error:
        return {"lost": _said(error)}
    finally:
        connection.close()
    if told := text.decode(b"", True):
        yield told
    return {"status": answer.status, "type": answer.headers.get("content-type", "")}


def _connected(asked: dict[str, Any]) -> http.client.HTTPConnection:
    """A connection to one of the very addresses that were looked at, so that a second answer of the DNS moves nothing.

    No proxy, and no redirect: either may lead where nobody meant to go.
    """
    host, port = asked["host"], asked["port"]
    kind = http.client.HTTPSConnection if asked["secure"] else http.client.HTTPConnection
    connection = kind(host, port)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(place[4][0]) for place in found))
    for address in addresses:
        _check(host, address, asked)
    reason: OSError = OSError("the name has no address")
    for address in addresses:
        try:
            line = socket.create_connection((address, port))
        except OSError as error:
            reason = error
            continue
        if asked["secure"]:
            line = ssl.create_default_context().wrap_socket(line, server_hostname=host)
        connection.sock = line
        return connection
    raise reason


def _check(host: str, address: str, asked: dict[str, Any]) -> None:
    zones: Any = importlib.import_module("codin_zone")
    zone = zones.zone_of(address)
    if asked["zones"] is not None and zone.name not in asked["zones"] and address not in asked["passed"]:
        leads = "is" if address == host else f"leads to {address} there, which is"
        raise _Refused(f"{host!r} {leads} {zone.value}")


def _answered(connection: http.client.HTTPConnection, asked: dict[str, Any]) -> http.client.HTTPResponse:
    body = None if asked["body"] is None else asked["body"].encode("latin-1")
    connection.request(asked["method"], asked["target"], body, asked["headers"])
    return connection.getresponse()


def _pieces(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """Not by its own length: whether that is counted while one reads depends on the release of Python."""
    left = answer.length
    while left is None or left > 0:
        piece = answer.read1(_PIECE if left is None else min(left, _PIECE))
        if not piece:
            break
        left = None if left is None else left - len(piece)
        yield piece
    if left:
        raise http.client.IncompleteRead(b"", left)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"
