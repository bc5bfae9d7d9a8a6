"""Registrations as JSON: what a registry answers, and what its client makes of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from pydantic_core import from_json

from codin import a2a
from codin.errors import CardNotTrusted, CodinError, TrustError
from codin.mesh._directory import Found, Health, describe, is_served_from
from codin.mesh.registry._protocol import Registration, health_of
from codin.trust import PublicKey, kid_of, verify_card

__all__ = ["found_in", "mapping", "written"]

_HEALTH: Mapping[object, Health] = {"healthy": "healthy", "suspect": "suspect", "gone": "gone"}


def written(registration: Registration, now: float) -> dict[str, Any]:
    """A registration, as everybody who may read the registry sees it."""
    return {
        "key": registration.key,
        "id": registration.agent,
        "name": registration.name,
        "url": registration.url,
        "identity": registration.identity,
        "jwk": None if registration.jwk is None else from_json(registration.jwk),
        "verified": registration.verified,
        "health": health_of(registration, now),
        "seen": registration.seen,
        "latency": registration.latency,
        "load": registration.load,
        "card": from_json(registration.card),
    }


def found_in(entry: Mapping[str, Any]) -> Found:
    """What a registry says of an agent, as far as it can be believed.

    A registry may leave an agent out; it cannot change what a signed card says, nor lead to another place than the card
    does. Whether the key is one to trust is for a trust policy to say, as for any other card.

    Raises:
        CardNotTrusted: it has put something together that the agent did not say.
    """
    url, fields = entry.get("url"), mapping(entry.get("card"))
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise CardNotTrusted("an entry of the registry has no address")
    try:
        card = a2a.AgentCard.from_dict(fields)
    except CodinError as error:
        raise CardNotTrusted(f"an entry of the registry has no card that can be read: {error.message}") from None
    found = describe(card, url)
    if not is_served_from(card, url):
        raise CardNotTrusted(f"the registry says that the card of {card.name!r} is at {url}, where its agent is not")
    verified = bool(card.signatures) and _holds(fields, found, entry)
    return replace(
        found,
        # What is not signed may say that it is anybody.
        identity=found.identity or _text(entry.get("identity")) if verified else None,
        health=_HEALTH.get(entry.get("health"), "unknown"),
        seen=_number(entry.get("seen")),
        latency=_number(entry.get("latency")),
        load=_number(entry.get("load")),
        verified=verified,
    )


def _holds(fields: Mapping[str, Any], found: Found, entry: Mapping[str, Any]) -> bool:
    """Whether the card's signature holds by the key of the entry, and the identity is that of the key."""
    jwk = mapping(entry.get("jwk"))
    if not jwk:
        return False
    try:
        key = PublicKey.from_jwk(jwk)
    except TrustError as error:
        raise CardNotTrusted(f"the registry gives a key for {found.name!r} that is none: {error.message}") from None
    verify_card(fields, [key])
    identity = found.identity or _text(entry.get("identity"))
    if identity is None or kid_of(identity) != key.kid:
        raise CardNotTrusted(f"the registry gives {found.name!r} an identity that is not of its key")
    return True


def mapping(value: object) -> Mapping[str, Any]:
    """The object that a JSON value is; an empty one when it is something else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
