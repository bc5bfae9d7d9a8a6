"""A program with an account of its own at an authorization server. Source: RFC 6749 4.4."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from codin import a2a
from codin.net import Transport
from codin.trust._credentials.credential import Outbound
from codin.trust._credentials.token_endpoint import TokenEndpoint

__all__ = ["ClientCredentials"]


class ClientCredentials:
    """OAuth 2 client credentials: a bearer token, asked for once and used until shortly before it expires.

    Args:
        token_url: the token endpoint, https or on this machine.
        scopes: to ask for.
        resource: the URL of what the token is to be good for, where the server wants to know. RFC 8707.
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
        scopes: Iterable[str] = (),
        resource: str | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._endpoint = TokenEndpoint(token_url, client_id, client_secret, transport)
        self._form = {"grant_type": "client_credentials", "scope": " ".join(scopes), "resource": resource or ""}

    async def headers(self, card: a2a.AgentCard | None, request: Outbound) -> Mapping[str, str]:
        """The token of now.

        Raises:
            TokenRefused: the server gives none.
            TransportError: it does not answer properly.
        """
        return {"Authorization": f"Bearer {await self._endpoint.token(self._form, None)}"}
