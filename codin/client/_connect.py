"""The way to a peer."""

from __future__ import annotations

from collections.abc import Mapping

from codin import a2a
from codin.client._backoff import Backoff
from codin.client._card import web_address
from codin.client._peer import Peer
from codin.client._proof import check_headers
from codin.errors import ConfigError
from codin.net import Transport
from codin.trust import Credential, TrustMode, TrustPolicy

__all__ = ["connect"]


def connect(
    url_or_card: str | a2a.AgentCard,
    *,
    token: str | None = None,
    credential: Credential | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = 60.0,
    transport: Transport | str | None = None,
    backoff: Backoff | None = None,
    trust: TrustPolicy | TrustMode | None = None,
) -> Peer:
    """Talk to an A2A v1.0 agent.

        async with connect("http://127.0.0.1:8000") as peer:
            print((await peer.send("hello")).text)

    Args:
        url_or_card: where the agent is; its card is looked for below the path, then at the origin. Or the card, which
            is then trusted with the credentials below.
        token: a bearer token.
        credential: says who calls, in every request anew: an `AgentIdentity`, an `ApiKey`, `ClientCredentials`, …
        headers: on every request; like the token and the credential only sent to the host of the URL.
        timeout: seconds for a call, and of silence in a stream; None waits for ever.
        transport: "httpx", "asyncio", or a transport of one's own, which stays open afterwards. None asks the
            environment variable `CODIN_TRANSPORT`.
        backoff: how often a lost connection is taken up again.
        trust: how the card is looked at: "off", "prefer", "require", or a policy. None asks the environment variable
            `CODIN_TRUST`, and without it holds the peer to what was approved, if anything was.

    Raises:
        ConfigError: the URL, token or a header cannot be used.
    """
    if isinstance(url_or_card, str):
        web_address(url_or_card)
    sent = dict(headers or {})
    if token is not None and credential is not None:
        raise ConfigError("A token and a credential exclude each other.", hint="credential=Token(…) is the same")
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    check_headers(sent)
    return Peer(
        url_or_card,
        headers=sent,
        credential=credential,
        timeout=timeout,
        transport=transport,
        backoff=backoff or Backoff(),
        trust=TrustPolicy.of(trust),
    )
