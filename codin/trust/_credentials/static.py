"""Credentials that are the same for every request."""

from __future__ import annotations

from collections.abc import Mapping

from codin import a2a
from codin.trust._credentials.credential import Outbound

__all__ = ["ApiKey", "Token"]


class Token:
    """A bearer token."""

    def __init__(self, token: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}"}

    async def headers(self, card: a2a.AgentCard | None, request: Outbound) -> Mapping[str, str]:
        """The same for everybody: give it to one peer only."""
        return self._headers


class ApiKey:
    """A key in a header of its own."""

    def __init__(self, key: str, header: str = "X-API-Key") -> None:
        self._headers = {header: key}

    async def headers(self, card: a2a.AgentCard | None, request: Outbound) -> Mapping[str, str]:
        """The same for everybody: give it to one peer only."""
        return self._headers
