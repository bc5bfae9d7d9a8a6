"""The card of a peer, found and looked at before anything else is sent there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from codin import a2a
from codin.client._card import Published, cards_of, web_address
from codin.client._interfaces import spoken_interfaces
from codin.errors import TrustError
from codin.net import AddressGuard, Transport, open_transport
from codin.trust import Trusted, TrustMode, TrustPolicy

__all__ = ["FetchedCard", "check_address", "fetch_card", "guard_of", "look_up", "open_guarded"]


class FetchedCard(NamedTuple):
    """A card as it was published.

    Attributes:
        address: where it was found.
        raw: its bytes, which hold what a signature covers and this version does not know.
        trusted: who has signed it, as far as that was looked at.
    """

    address: str
    raw: bytes
    card: a2a.AgentCard
    trusted: Trusted


async def fetch_card(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = 60.0,
    transport: Transport | str | None = None,
    trust: TrustPolicy | TrustMode | None = None,
) -> FetchedCard:
    """The card of the agent at a URL, which is not called. The arguments are those of `connect`.

    Raises:
        TrustError: the card is refused.
        TransportError: there is none, or it cannot be reached.
    """
    web_address(url)
    policy = TrustPolicy.of(trust)
    opened = open_guarded(transport, url, policy)
    try:
        return await look_up(url, policy, opened, handed=opened is transport, headers=headers or {}, timeout=timeout)
    finally:
        if opened is not transport:
            await opened.aclose()


def open_guarded(given: Transport | str | None, target: str | a2a.AgentCard, policy: TrustPolicy) -> Transport:
    """The transport that was handed in, or one that connects only where the policy's guard lets it."""
    if given is not None and not isinstance(given, str):
        return given
    return open_transport(given, guard=guard_of(target, policy))


def guard_of(target: str | a2a.AgentCard, policy: TrustPolicy) -> AddressGuard | None:
    """The guard before the addresses that a card names. A card that the program hands over names what it names."""
    return policy.guard_for(target) if isinstance(target, str) else policy.guard


async def look_up(
    target: str | a2a.AgentCard,
    policy: TrustPolicy,
    transport: Transport,
    *,
    handed: bool,
    headers: Mapping[str, str],
    timeout: float | None,
) -> FetchedCard:
    """The card of a target, and what the policy thinks of it."""
    if not isinstance(target, str):
        published = Published(spoken_interfaces(target)[0].address, target.to_json(), target)
        return await _verdict(published, policy, transport)
    if handed and policy.guard is not None:
        await policy.guard.check(target)
    cards = cards_of(transport if handed else None)
    published = await cards.resolve(transport, target, headers, timeout)
    was_verified = published.was_verified
    try:
        found = await _verdict(published, policy, transport, target)
    except TrustError:
        if not was_verified:
            raise
    else:
        if found.trusted.verified or not was_verified:
            return found
    # What counts here has changed, so its owner may have signed anew what is still kept: as with keys of our own.
    cards.outdate(published)
    published = await cards.resolve(transport, target, headers, timeout)
    return await _verdict(published, policy, transport, target)


async def _verdict(
    published: Published, policy: TrustPolicy, transport: Transport, asked: str | None = None
) -> FetchedCard:
    trusted = await published.trusted_by(policy, transport, asked)
    return FetchedCard(published.address, published.raw, published.card, trusted)


async def check_address(target: str | a2a.AgentCard, policy: TrustPolicy, url: str) -> None:
    """Look at the address a card names, where a transport that was handed in makes the connections.

    What it makes of a name is its own business, as with an application in memory; an address in the URL is no name.

    Raises:
        AddressRefused: it may not be called.
    """
    if policy.guard is not None:
        await policy.guard.check(url)
    elif isinstance(target, str):
        policy.guard_for(target).check_written(url)
