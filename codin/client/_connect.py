"""The way to a peer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from codin import a2a
from codin.client._backoff import Backoff
from codin.client._card import web_address
from codin.client._grpc_interface import check_grpc
from codin.client._interfaces import speakable
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
    extensions: Iterable[str] = (),
    timeout: float | None = 60.0,
    transport: Transport | str | None = None,
    backoff: Backoff | None = None,
    trust: TrustPolicy | TrustMode | None = None,
    binding: str | None = None,
    versions: Collection[str] = ("1.0", "0.3"),
) -> Peer:
    """Talk to an A2A agent.

        async with connect("http://127.0.0.1:8000") as peer:
            print((await peer.send("hello")).text)

    Args:
        url_or_card: where the agent is; its card is looked for below the path, then at the origin. Or the card, which
            is then trusted with the credentials below.
        token: a bearer token.
        credential: says who calls, in every request anew: an `AgentIdentity`, an `ApiKey`, `ClientCredentials`, …
        headers: on every request; like the token and the credential only sent to the host of the URL.
        extensions: URIs of extensions of the protocol to activate, in every request.
        timeout: seconds for a call, and of silence in a stream; None waits for ever.
        transport: "httpx", "asyncio", or a transport of one's own, which stays open afterwards. None asks the
            environment variable `CODIN_TRANSPORT`.
        backoff: how often a lost connection is taken up again.
        trust: how the card is looked at: "off", "prefer", "require", or a policy. None asks the environment variable
            `CODIN_TRUST`, and without it holds the peer to what was approved, if anything was.
        binding: the one to speak, "JSONRPC", "HTTP+JSON" or "GRPC", and no other. None takes the first in the card
            that is spoken here, and goes on to the next one at another address when nobody is reached.
        versions: of A2A to speak. A peer that names an interface of 1.0 is called in it; `("1.0",)` refuses one that
            has none but 0.3.

    Raises:
        ConfigError: the URL, token, a header or the binding cannot be used.
    """
    if isinstance(url_or_card, str):
        web_address(url_or_card)
    sent = dict(headers or {})
    if token is not None and credential is not None:
        raise ConfigError("A token and a credential exclude each other.", hint="credential=Token(…) is the same")
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    if named := ", ".join(extensions):
        sent["A2A-Extensions"] = f"{sent['A2A-Extensions']}, {named}" if "A2A-Extensions" in sent else named
    check_headers(sent)
    if binding is not None and binding not in speakable():
        raise ConfigError(f"There is no binding {binding!r}.", hint=f"Choose one of {', '.join(speakable())}.")
    if binding == "GRPC":
        check_grpc()
    return Peer(
        url_or_card,
        headers=sent,
        credential=credential,
        timeout=timeout,
        transport=transport,
        backoff=backoff or Backoff(),
        trust=TrustPolicy.of(trust),
        binding=binding,
        old="0.3" in versions,
    )
