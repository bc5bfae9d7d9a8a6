"""What helps when a peer does not let a caller in, by what its card asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from codin import a2a
from codin.cli._exits import for_programs
from codin.errors import CardNotTrusted

if TYPE_CHECKING:
    from codin.client import Peer

__all__ = ["reword_refusal"]


def reword_refusal(error: Exception, peer: Peer, url: str, *, has_key: bool) -> None:
    """Hint at options of the command. What the peer itself hints at stays, unless it speaks of headers.

    Args:
        has_key: a key of the person's own is shown where the peer's card was verified.
    """
    unseen = has_key and not peer.trusted.verified
    approve = f"codin trust approve {url} lets your key be shown there"
    if isinstance(error, CardNotTrusted) and for_programs(error.hint):
        error.hint = approve
    if isinstance(error, (a2a.Unauthenticated, a2a.PermissionDenied)) and for_programs(error.hint):
        call_token = approve if unseen else "codin keys new makes a key; the agent's operator approves it"
        ways = dict.fromkeys(_ways(peer.card, call_token))
        error.hint = "; or ".join(ways) or f"codin card {url} shows what it asks for"
    if isinstance(error, a2a.TaskNotFound) and error.hint is None:
        error.hint = f"codin tasks {url} lists yours"


def _ways(card: a2a.AgentCard, call_token: str) -> Iterator[str]:
    """One for each scheme that the command can satisfy."""
    from codin.trust import CALL_TOKEN

    asked = [name for each in card.security_requirements for name in each.schemes] or list(card.security_schemes)
    for scheme in (card.security_schemes[name] for name in asked if name in card.security_schemes):
        http, key = scheme.http_auth_security_scheme, scheme.api_key_security_scheme
        if http is not None and http.bearer_format == CALL_TOKEN:
            yield call_token
        elif key is not None and (key.location, key.name.lower()) == ("header", "x-api-key"):
            yield "--api-key-file, or CODIN_API_KEY, gives an API key"
        elif scheme.oauth2_security_scheme or scheme.open_id_connect_security_scheme or _is_bearer(http):
            yield "--token-file, or CODIN_TOKEN, gives a bearer token"


def _is_bearer(http: a2a.HTTPAuthSecurityScheme | None) -> bool:
    return http is not None and http.scheme.lower() == "bearer"
