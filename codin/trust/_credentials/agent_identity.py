"""An agent that proves to other agents which one it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from codin import a2a
from codin.errors import CardNotTrusted
from codin.trust._calls.chain import CHAIN_HEADER, sign_link
from codin.trust._calls.token import CALL_TOKEN, mint
from codin.trust._credentials.credential import Outbound
from codin.trust._keys.keys import SigningKey

if TYPE_CHECKING:
    from codin.trust._keys.keyring import KeyRing

__all__ = ["AgentIdentity"]


class AgentIdentity:
    """Makes a call token for every request, by the agent's own key.

    A peer whose card was not verified gets none: nobody knows whom it would be for, and somebody else could use it.

    Args:
        key: the key, or the ring that has it. While a ring's old key still counts, that one signs: whoever has approved
            it need not know the new one yet.
        agent: the id of the agent that calls.
    """

    def __init__(self, key: SigningKey | KeyRing, agent: str) -> None:
        self._key = key
        self._agent = agent

    async def headers(self, card: a2a.AgentCard | None, request: Outbound) -> Mapping[str, str]:
        """A token for the agent of the card; nothing for one that asks for none.

        Raises:
            CardNotTrusted: the peer takes nothing but call tokens, and its card was not verified.
        """
        if card is None or not any(map(_is_call_token, card.security_schemes.values())):
            return {}
        if request.audience is None:
            needed = card.security_requirements
            ways = [name for name, scheme in card.security_schemes.items() if _is_call_token(scheme)]
            if needed and all(any(way in each.schemes for way in ways) for each in needed):
                raise CardNotTrusted(
                    f"{card.name!r} wants a call token, and its card was not verified, so that none can be made for it",
                    hint="say whose cards are trusted: connect(url, trust=…)",
                )
            return {}
        key = self._key if isinstance(self._key, SigningKey) else self._key.signing[-1]
        errand = request.errand
        claim = errand.claim if errand is not None else None
        sent = {"Authorization": f"Bearer {mint(key, self._agent, request.audience, call=claim)}"}
        if errand is not None and claim is not None:
            links = [*errand.chain, sign_link(key, self._agent, request.audience, claim)]
            sent[CHAIN_HEADER] = ",".join(links)
        return sent


def _is_call_token(scheme: a2a.SecurityScheme) -> bool:
    http = scheme.http_auth_security_scheme
    return http is not None and http.bearer_format == CALL_TOKEN
