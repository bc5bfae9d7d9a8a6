"""Calling another agent for somebody: the caller's token is exchanged, never passed on. Source: RFC 8693."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256

from codin import a2a
from codin.errors import TokenRefused
from codin.net import Transport
from codin.trust._callers.caller import Caller
from codin.trust._credentials.credential import Outbound
from codin.trust._credentials.token_endpoint import TokenEndpoint

__all__ = ["OnBehalfOf"]

_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class OnBehalfOf:
    """Exchanges the caller's token for one that is good at the callee, and for no more than the scopes.

    The caller's token has to be kept: `OidcTokens(…, keep_token=True)`. Without it nobody is called.

    Args:
        token_url: the token endpoint, https or on this machine.
        audience: whom the new token is to be for, as the authorization server calls the callee.
        caller: on whose behalf; None for the caller of the task that `task.call` is part of.
        scopes: to ask for.
        transport: how the server is reached.

    Raises:
        ConfigError: the URL is not secure.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        audience: str,
        caller: Caller | None = None,
        scopes: Iterable[str] = (),
        transport: Transport | None = None,
    ) -> None:
        self._endpoint = TokenEndpoint(token_url, client_id, client_secret, transport)
        self._caller = caller
        self._form = {
            "grant_type": _GRANT,
            "subject_token_type": _ACCESS_TOKEN,
            "requested_token_type": _ACCESS_TOKEN,
            "audience": audience,
            "scope": " ".join(scopes),
        }

    async def headers(self, card: a2a.AgentCard | None, request: Outbound) -> Mapping[str, str]:
        """The exchanged token. The card of the peer is asked for without.

        Raises:
            TokenRefused: there is no token of the caller, or the server gives none for it.
            TransportError: the server does not answer properly.
        """
        if card is None:
            return {}
        caller = self._caller or (request.errand.caller if request.errand is not None else None)
        if caller is None or caller.token is None:
            raise TokenRefused(
                "there is no token of the caller to exchange", hint="OidcTokens(…, keep_token=True) keeps it for a task"
            )
        form = {**self._form, "subject_token": caller.token}
        token = await self._endpoint.token(form, sha256(caller.token.encode()).digest())
        return {"Authorization": f"Bearer {token}"}
