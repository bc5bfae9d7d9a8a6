"""The way to a peer."""

from __future__ import annotations

import re
from collections.abc import Mapping

from codin import a2a
from codin.client._backoff import Backoff
from codin.client._card import web_address
from codin.client._peer import Peer
from codin.errors import ConfigError
from codin.net import Transport

__all__ = ["connect"]

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def connect(
    url_or_card: str | a2a.AgentCard,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = 60.0,
    transport: Transport | str | None = None,
    backoff: Backoff | None = None,
) -> Peer:
    """Talk to an A2A v1.0 agent.

        async with connect("http://127.0.0.1:8000") as peer:
            print((await peer.send("hello")).text)

    Args:
        url_or_card: where the agent is; its card is looked for below the path, then at the origin. Or the card, which
            is then trusted with the credentials below.
        token: a bearer token.
        headers: on every request; like the token only sent to the host of the URL.
        timeout: seconds for a call, and of silence in a stream; None waits for ever.
        transport: "httpx", "asyncio", or a transport of one's own, which stays open afterwards. None asks the
            environment variable `CODIN_TRANSPORT`.
        backoff: how often a lost connection is taken up again.

    Raises:
        ConfigError: the URL, token or a header cannot be used.
    """
    if isinstance(url_or_card, str):
        web_address(url_or_card)
    sent = dict(headers or {})
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    for name, value in sent.items():
        # Neither is quoted in the message: it may be the secret.
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ConfigError("A header or the token holds a character that HTTP does not allow.")
    return Peer(url_or_card, headers=sent, timeout=timeout, transport=transport, backoff=backoff or Backoff())
