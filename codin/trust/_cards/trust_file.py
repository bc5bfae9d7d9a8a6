"""What a trust store holds, and how it lies in its file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from pydantic_core import to_json

from codin.errors import ConfigError, TrustError
from codin.trust._cards.signers import base_of, origin_of
from codin.trust._keys.jose import read_object
from codin.trust._keys.keys import PublicKey

__all__ = ["ApprovedCard", "NamedKey", "Pins", "Trusts"]

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Pins:
    """The keys that sign the cards of one origin.

    Args:
        since: seconds since 1970.
        first_use: nobody approved them: they were there when the origin was first seen.
    """

    keys: tuple[PublicKey, ...]
    since: int
    first_use: bool = False


@dataclass(frozen=True, slots=True)
class ApprovedCard:
    """A card as it was approved.

    Args:
        card: the card, as `to_dict` gives it.
        kids: the keys that had signed it; none for a card without signatures.
        since: seconds since 1970.
    """

    card: Mapping[str, Any]
    kids: tuple[str, ...]
    since: int


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A key with a name of our choice.

    Args:
        anywhere: a card of any origin is trusted when this key has signed it.
    """

    key: PublicKey
    anywhere: bool = False


@dataclass(frozen=True)
class Trusts:
    """All that a store holds at one moment.

    Args:
        origins: pinned keys, by origin.
        cards: approved cards, by the address of the agent.
        names: keys by name.
        revoked: since when, in seconds since 1970, a key does not count any more, by its thumbprint.
    """

    origins: Mapping[str, Pins] = field(default_factory=dict[str, Pins])
    cards: Mapping[str, ApprovedCard] = field(default_factory=dict[str, ApprovedCard])
    names: Mapping[str, NamedKey] = field(default_factory=dict[str, NamedKey])
    revoked: Mapping[str, int] = field(default_factory=dict[str, int])

    def approved(self, url: str) -> ApprovedCard | None:
        """The card of an agent as it was approved, by the address of the agent or of its card."""
        return self.cards.get(base_of(url))

    def pins(self, url: str) -> Pins | None:
        """The keys of the origin of a URL, those too that do not count any more."""
        return self.origins.get(origin_of(url))

    def pinned(self, url: str) -> tuple[PublicKey, ...]:
        """The keys of the origin of a URL that still count."""
        pins = self.pins(url)
        return tuple(key for key in pins.keys if key.kid not in self.revoked) if pins else ()

    def anywhere(self) -> list[PublicKey]:
        """The keys that count for every origin."""
        return [named.key for named in self.names.values() if named.anywhere and named.key.kid not in self.revoked]

    def name_of(self, kid: str) -> str | None:
        """Our name for a key, by its thumbprint; None for one that has none or does not count any more."""
        if kid in self.revoked:
            return None
        return next((name for name, named in self.names.items() if named.key.kid == kid), None)

    # -- the next state ------------------------------------------------------------------------------------------------

    def with_pins(self, origin: str, keys: Iterable[PublicKey], now: int) -> Trusts:
        """With the keys that an origin had when it was first seen."""
        return replace(self, origins={**self.origins, origin: Pins(tuple(keys), now, first_use=True)})

    def with_card(self, address: str, card: Mapping[str, Any], keys: Iterable[PublicKey], now: int) -> Trusts:
        """With a card that is approved, and the keys that have signed it instead of those that had signed the last."""
        keys = tuple(keys)
        origin = origin_of(address)
        cards = {**self.cards, address: ApprovedCard(card, tuple(key.kid for key in keys), now)}
        others = {kid for place, each in cards.items() if origin_of(place) == origin for kid in each.kids}
        before = self.origins.get(origin)
        kept = [key for key in before.keys if key.kid in others and key not in keys] if before else []
        origins = {name: pins for name, pins in self.origins.items() if name != origin}
        if keys or kept:
            origins[origin] = Pins((*keys, *kept), now)
        return replace(self, cards=cards, origins=origins)

    def with_name(self, name: str, key: PublicKey, *, anywhere: bool) -> Trusts:
        """With a key that has a name."""
        return replace(self, names={**self.names, name: NamedKey(key, anywhere)})

    def without_key(self, kid: str, now: int) -> Trusts:
        """With a key that counts nowhere any more. What is pinned to it stays so: nobody else takes its place."""
        names = {name: named for name, named in self.names.items() if named.key.kid != kid}
        return replace(self, names=names, revoked={**self.revoked, kid: now})

    def without_address(self, address: str) -> Trusts:
        """Without the approval of an agent, and the pins of its origin if no other agent there is approved."""
        origin = origin_of(address)
        cards = {place: card for place, card in self.cards.items() if place != address}
        alone = not any(origin_of(place) == origin for place in cards)
        origins = {name: pins for name, pins in self.origins.items() if name != origin or not alone}
        return replace(self, cards=cards, origins=origins)

    # -- the file ------------------------------------------------------------------------------------------------------

    def to_json(self) -> bytes:
        """The document."""
        return to_json(
            {
                "version": _VERSION,
                "origins": {
                    origin: {"keys": _jwks(pins.keys), "since": pins.since, "firstUse": pins.first_use}
                    for origin, pins in self.origins.items()
                },
                "cards": {
                    address: {"card": each.card, "kids": each.kids, "since": each.since}
                    for address, each in self.cards.items()
                },
                "names": {
                    name: {"key": named.key.to_jwk(), "anywhere": named.anywhere} for name, named in self.names.items()
                },
                "revoked": self.revoked,
            },
            indent=2,
        )

    @classmethod
    def from_json(cls, document: bytes, where: str) -> Trusts:
        """Read the document.

        Raises:
            ConfigError: it is not understood, which never means that nothing is trusted or revoked.
        """
        try:
            members = read_object(document)
            if members["version"] != _VERSION:
                raise ConfigError(f"{where} is of version {members['version']!r}", hint="a newer codin reads it")
            return cls(
                {origin: _pins(each) for origin, each in members["origins"].items()},
                {address: _approved(each) for address, each in members["cards"].items()},
                {name: NamedKey(PublicKey.from_jwk(each["key"]), each["anywhere"] is True)
                 for name, each in members["names"].items()},
                {str(kid): int(since) for kid, since in members["revoked"].items()},
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, AttributeError, TrustError):
            raise ConfigError(f"{where} is not understood", hint="restore it from a copy, or remove it") from None


def _jwks(keys: Iterable[PublicKey]) -> list[dict[str, Any]]:
    return [key.to_jwk() for key in keys]


def _pins(members: dict[str, Any]) -> Pins:
    keys = tuple(PublicKey.from_jwk(each) for each in members["keys"])
    return Pins(keys, int(members["since"]), members["firstUse"] is True)


def _approved(members: dict[str, Any]) -> ApprovedCard:
    card = cast("dict[str, Any]", members["card"])
    if not isinstance(card.get("name"), str):
        raise TypeError("not a card")
    return ApprovedCard(card, tuple(map(str, members["kids"])), int(members["since"]))
