"""The headers by which a peer is told who calls, made anew for every request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from codin import a2a
from codin.errors import ConfigError
from codin.trust import ERRAND, Credential, Outbound, Trusted, audience_of

__all__ = ["Proof", "check_headers"]

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Proof:
    """A credential, and whom it is shown to.

    Args:
        card: of the peer; None while it is looked for.
        trusted: who has signed that card.
    """

    def __init__(
        self, credential: Credential, url: str, card: a2a.AgentCard | None = None, trusted: Trusted | None = None
    ) -> None:
        self._credential = credential
        self._card = card
        audience = audience_of(card, trusted.kid) if card is not None and trusted is not None else None
        self._request = Outbound(url, audience)

    async def headers(self) -> Mapping[str, str]:
        """For one request.

        Raises:
            ConfigError: the credential makes what HTTP does not allow.
        """
        errand = ERRAND.get()
        request = self._request if errand is None else replace(self._request, errand=errand)
        sent = await self._credential.headers(self._card, request)
        check_headers(sent)
        return sent


def check_headers(headers: Mapping[str, str]) -> None:
    """See whether they can be sent. Neither name nor value is quoted in the error: it may be the secret.

    Raises:
        ConfigError: they cannot.
    """
    for name, value in headers.items():
        plain = value.isascii() and value.isprintable()  # the quick answer for nearly all of them
        if not _is_name(name) or not (plain or _HEADER_VALUE.fullmatch(value)):
            raise ConfigError("A header or the token holds a character that HTTP does not allow.")


@lru_cache(maxsize=256)
def _is_name(name: str) -> bool:
    return _HEADER_NAME.fullmatch(name) is not None
