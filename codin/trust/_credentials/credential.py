"""How a client proves who it is: the seam `headers(card, request) -> what to send`, asked for every request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from codin import a2a
from codin.trust._callers.caller import Caller
from codin.trust._calls.limits import agent_of, identity_in

__all__ = ["ERRAND", "Credential", "Errand", "Outbound", "audience_of"]


@dataclass(frozen=True, slots=True)
class Errand:
    """What a request is part of.

    Args:
        caller: on whose behalf it is made.
        claim: the limits of the call, for a token to carry.
        chain: the signed links of the hops before.
    """

    caller: Caller | None = None
    claim: Mapping[str, Any] | None = None
    chain: Sequence[str] = ()


ERRAND: ContextVar[Errand | None] = ContextVar("codin_errand", default=None)
"""Set by whoever calls a peer as part of a task, around the call."""


@dataclass(frozen=True, slots=True)
class Outbound:
    """A request that is about to leave.

    Args:
        url: where it goes.
        audience: the identity of the agent there, when its card was verified. A token for anybody else is useless to
            the one who gets it.
        errand: what it is part of.
    """

    url: str
    audience: str | None = None
    errand: Errand | None = None


class Credential(Protocol):
    """Proves to a peer who calls."""

    async def headers(self, card: a2a.AgentCard | None, request: Outbound, /) -> Mapping[str, str]:
        """What to add to the request.

        Args:
            card: of the peer; None while it is the card that is asked for.
        """
        ...


def audience_of(card: a2a.AgentCard, kid: str | None) -> str | None:
    """Whom a token for the agent of this card is for.

    Args:
        kid: of the key that the card was verified with. The card's word for its own key counts for nothing: it may
            name somebody else's.
    """
    identity = identity_in(card)
    if identity is None or kid is None:
        return None
    return f"{agent_of(identity)}@{kid}"
