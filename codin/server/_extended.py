"""The extended card: what an agent tells those who have said who they are. Spec 3.1.11, 13.3."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeAlias

from codin import a2a
from codin.server._card import Cards
from codin.server._http import Headers
from codin.trust import Caller

__all__ = ["CARD_URL", "ExtendCard", "extended_card", "no_extended_card"]

ExtendCard: TypeAlias = Callable[[a2a.AgentCard, Caller], "a2a.AgentCard | Awaitable[a2a.AgentCard | None] | None"]
"""Makes the card that a caller may see of the public one; None when there is none for this caller."""

CARD_URL = b":card-url"
"""Among the headers, where the agent is reached and where the keys are: said by the server, never by a client."""


async def extended_card(cards: Cards, extend: ExtendCard, caller: Caller, headers: Headers) -> bytes:
    """The JSON of the card that this caller may see, signed like the public one.

    Raises:
        Unauthenticated: nobody knows who calls.
        ExtendedAgentCardNotConfigured: there is none for this caller, or the server does not know its own address.
    """
    if not caller.authenticated:
        raise a2a.Unauthenticated("the extended card is for callers who say who they are", hint="send a credential")
    if CARD_URL not in headers:  # a call over gRPC does not say where it was sent to
        raise a2a.ExtendedAgentCardNotConfigured(
            "this server does not know where it is reached, and its card would not say it", hint="give it a public_url"
        )
    url, _, jku = headers[CARD_URL].decode().partition(" ")
    made = extend(cards.card(url), caller)
    card = await made if isawaitable(made) else made
    if card is None:
        raise a2a.ExtendedAgentCardNotConfigured("there is no extended card for this caller")
    return cards.signed(card, jku or None).to_json()


def no_extended_card() -> a2a.A2AError:
    """Why there is none. Spec 3.3.4."""
    return a2a.UnsupportedOperation("this agent has no extended card", hint="its public card says everything")
