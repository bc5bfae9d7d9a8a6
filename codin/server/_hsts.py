"""Strict-Transport-Security: who came by HTTPS is asked to come by nothing else. Spec 13.4, RFC 6797."""

from __future__ import annotations

from collections.abc import Collection

from starlette.types import Message, Scope, Send

from codin.server._http import headers_of
from codin.server._urls import base_url

__all__ = ["YEAR", "Hsts"]

YEAR = 365 * 24 * 3600


class Hsts:
    """Adds the header to answers that go out over HTTPS, as far as the server can know.

    Args:
        seconds: for how long the client keeps to it; 0 adds nothing.
        public_url: where the outside reaches the server.
        trusted: addresses of proxies whose `X-Forwarded-Proto` is believed.

    Attributes:
        behind_proxy: a connection without TLS may be the last part of one with it.
    """

    def __init__(self, seconds: int, public_url: str | None, trusted: Collection[str]) -> None:
        self._field = (b"strict-transport-security", b"max-age=%d" % seconds)
        self._asks = seconds > 0
        self._public_url = public_url
        self._trusted = trusted
        self.behind_proxy = self._asks and bool(trusted or (public_url or "").startswith("https:"))

    def over(self, scope: Scope, send: Send) -> Send:
        """What sends the answer to a request."""
        base = base_url(scope, headers_of(scope), self._public_url, self._trusted)
        if not self._asks or not base.startswith("https:"):
            return send

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), self._field]}
            await send(message)

        return told
