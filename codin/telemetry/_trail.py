"""What a request brings along, and what goes on to everybody who is called because of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from uuid import uuid4

__all__ = ["TRAIL", "Trail", "correlation_id", "onward"]

_CORRELATION_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_TRACE_PARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
_VISIBLE = re.compile(rb"[\x20-\x7e]*")
_MAX_STATE = 512  # bytes, W3C Trace Context 3.3.1.1
_MAX_BAGGAGE = 8192  # bytes, W3C Baggage 3.3.2


class Trail:
    """The correlation id, trace context and baggage of one request. What is malformed or too long reads as not there.

    Source: W3C Trace Context, W3C Baggage.
    """

    __slots__ = ("_correlation_id", "_given", "baggage", "traceparent", "tracestate")

    def __init__(self, headers: Mapping[bytes, bytes]) -> None:
        """Args: headers: of the request, by lower-case name."""
        self._given = headers.get(b"x-correlation-id")
        self._correlation_id: str | None = None
        self.traceparent: bytes | None = headers.get(b"traceparent")
        self.tracestate: bytes | None = None
        self.baggage: bytes | None = headers.get(b"baggage")
        if self.traceparent is not None:
            if _TRACE_PARENT.fullmatch(self.traceparent):
                self.tracestate = _bounded(headers.get(b"tracestate"), _MAX_STATE)
            else:
                self.traceparent = None
        if self.baggage is not None:
            self.baggage = _bounded(self.baggage, _MAX_BAGGAGE)

    @property
    def given(self) -> bytes | None:
        """The correlation id that the request named, as it came."""
        return self._given if self._given is not None and _CORRELATION_ID.fullmatch(self._given) else None

    @property
    def correlation_id(self) -> str:
        """The request's, or one that is made when somebody first asks for it: most requests are never asked."""
        if self._correlation_id is None:
            given = self.given
            self._correlation_id = given.decode() if given is not None else uuid4().hex
        return self._correlation_id

    @property
    def trace(self) -> tuple[str, str] | None:
        """The ids of the trace and of the span that called."""
        found = _TRACE_PARENT.fullmatch(self.traceparent) if self.traceparent is not None else None
        return None if found is None else (found[1].decode(), found[2].decode())

    def headers(self) -> dict[str, str]:
        """What goes on to a callee when nobody here makes spans: the trace goes through unchanged."""
        found = {"X-Correlation-ID": self.correlation_id}
        for name in ("traceparent", "tracestate", "baggage"):
            value: bytes | None = getattr(self, name)
            if value is not None:
                found[name] = value.decode()
        return found


TRAIL: ContextVar[Trail | None] = ContextVar("codin_trail", default=None)
"""The trail of the request that the running code is a consequence of."""


def correlation_id() -> str | None:
    """The correlation id of the request that the running code is a consequence of; None outside of one."""
    trail = TRAIL.get()
    return None if trail is None else trail.correlation_id


def onward() -> dict[str, str]:
    """The headers for a call to somebody else; empty outside of a request."""
    trail = TRAIL.get()
    return {} if trail is None else trail.headers()


def _bounded(value: bytes | None, most: int) -> bytes | None:
    return value if value is not None and len(value) <= most and _VISIBLE.fullmatch(value) else None
