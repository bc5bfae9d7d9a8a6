"""Whether a card may be believed. The verifier decides, never the card."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args
from urllib.parse import urlsplit

import anyio.to_thread

from codin import a2a
from codin.errors import CardChanged, CardNotTrusted, ConfigError, TransportError, TrustError
from codin.net import AddressGuard, Transport
from codin.trust._cards.drift import card_changes, shown
from codin.trust._cards.signatures import verify_card
from codin.trust._cards.signers import Signer, base_of, origin_of, signers_of
from codin.trust._cards.store import TrustStore
from codin.trust._cards.trust_file import ApprovedCard, Trusts
from codin.trust._keys.jwks import read_jwks
from codin.trust._keys.keyring import KeyRing
from codin.trust._keys.keys import PublicKey

__all__ = ["TrustMode", "TrustPolicy", "Trusted", "published_keys", "signed_by"]

TrustMode: TypeAlias = Literal["off", "prefer", "require"]
_Why: TypeAlias = Literal["known key", "pinned", "first use", "key set"]

_MODES = get_args(TrustMode)
_KEY_SET = "/.well-known/jwks.json"
_MAX_KEY_SET = 256 * 1024
_MOST_KEY_SETS = 4
_PATIENCE = 10.0  # seconds for a key set


@dataclass(frozen=True, slots=True)
class Trusted:
    """What is known of who has signed a card.

    Args:
        kid: the thumbprint of the key that has; None when nothing was verified.
        key: that key.
        how: "off", "unsigned", "unknown key"; or why the key counts: "known key" (the program or the store named it),
            "pinned", "first use" (pinned just now), "key set" (from an address on the allow list).
        name: our own name for the key.
    """

    kid: str | None = None
    key: PublicKey | None = None
    how: Literal["off", "unsigned", "unknown key"] | _Why = "off"
    name: str | None = None

    @property
    def verified(self) -> bool:
        """Whether a key that counts here has signed the card as it is."""
        return self.key is not None


class TrustPolicy:
    """How cards are looked at before a peer is called. One policy serves any number of peers.

    Whatever the mode but "off": a card with a broken signature by a key that counts is refused, and so is one of an
    origin whose keys are pinned when none of them has signed it, and one that differs from the card that was approved.

    Args:
        mode: "prefer" lets unsigned cards and unknown signers pass, unverified; "require" refuses them; "off" looks at
            nothing.
        store: where decisions are kept; the one beside the keys by default, see `TrustStore.default`.
        keys: keys that count for every origin; those of a ring as it is at the moment.
        first_use: pin the keys of an origin that has none yet. They are those that it publishes itself, at
            `/.well-known/jwks.json`, so this is worth what the way to it is worth: use https, or approve.
        jku_origins: origins whose key sets count, e.g. "https://keys.example.com". The address in a signature's `jku`
            is followed when it is there, and never else.
        guard: which addresses may be called at all, the first one included. None calls the address that the program
            names, and holds what a card names to `AddressGuard(named_by=…)` of it.

    Raises:
        ConfigError: there is no such mode, or an origin is none.
    """

    def __init__(
        self,
        mode: TrustMode = "prefer",
        *,
        store: TrustStore | None = None,
        keys: Iterable[PublicKey] | KeyRing = (),
        first_use: bool = True,
        jku_origins: Iterable[str] = (),
        guard: AddressGuard | None = None,
    ) -> None:
        if mode not in _MODES:
            raise ConfigError(f"There is no trust mode {mode!r}.", hint=f"Choose one of {', '.join(_MODES)}.")
        self.mode: TrustMode = mode
        self.first_use = first_use
        self.guard = guard
        self._store = store
        self._given = keys if isinstance(keys, KeyRing) else tuple(keys)
        self._kids = () if isinstance(self._given, KeyRing) else tuple([key.kid for key in self._given])
        self._jku_origins = frozenset(_checked_origin(origin) for origin in jku_origins)

    @classmethod
    def of(cls, trust: TrustPolicy | TrustMode | None) -> TrustPolicy:
        """The policy for what `connect` is given.

        None asks the environment variable `CODIN_TRUST` for the mode. Without it, what was approved is held to, and
        nothing else is asked of a card: nothing is pinned, and no key is fetched.
        """
        if isinstance(trust, TrustPolicy):
            return trust
        mode = trust if trust is not None else os.environ.get("CODIN_TRUST") or None
        if mode is None:
            return cls("prefer", first_use=False)
        return cls(mode)  # pyright: ignore[reportArgumentType]  (checked there)

    @property
    def store(self) -> TrustStore:
        """Where the decisions are."""
        if self._store is None:
            self._store = TrustStore.default()
        return self._store

    @property
    def _keys(self) -> Sequence[PublicKey]:
        return self._given.published if isinstance(self._given, KeyRing) else self._given

    def counts(self, address: str, kid: str) -> bool:
        """Whether a key is known here to sign cards at this address. Nothing is fetched."""
        trusts = self.store.read()
        known = (*self._keys, *trusts.anywhere(), *trusts.pinned(address))
        return kid not in trusts.revoked and any(key.kid == kid for key in known)

    @property
    def stamp(self) -> Hashable:
        """What a verdict depends on, beside the card: while it stays the same, the verdict does."""
        keys = self._kids
        if isinstance(self._given, KeyRing):
            keys = tuple([key.kid for key in self._given.signing])  # not published: this is quick
        store = None if self.mode == "off" else (self._store or self.store).stamp
        return self.mode, self.first_use, self._jku_origins, keys, store

    def guard_for(self, url: str) -> AddressGuard:
        """The guard for a peer at a URL that the program names."""
        if self.guard is not None:
            return self.guard
        hosts = filter(None, (urlsplit(origin).hostname for origin in self._jku_origins))
        return AddressGuard(named_by=url, allowed_hosts=hosts)

    async def check(
        self, address: str, raw: bytes, card: a2a.AgentCard, *, transport: Transport | None, asked: str | None = None
    ) -> Trusted:
        """Look at a card.

        Args:
            address: where it was found.
            raw: the card as it was published.
            transport: fetches key sets; None fetches none.
            asked: the address that was given for the agent, where the card was found at another place of its origin.

        Raises:
            CardNotTrusted: no key that counts has signed it, and one must have; or a signature does not fit.
            CardChanged: it is not what was approved.
            ConfigError: the trust store cannot be read.
        """
        if self.mode == "off":
            return Trusted()
        trusts = await self.store.load()
        look = _Look(address, asked or address, raw, card, trusts)
        known: dict[PublicKey, _Why] = dict.fromkeys(look.pinned, "pinned")
        for key in (*self._keys, *trusts.anywhere()):
            known[key] = "known key"
        trusted = look.by(known)
        if trusted is None:
            look.refuse_others()
            trusted = await self._by_fetched(look, transport) or look.unverified(self.mode)
        look.refuse_changes()
        if trusted.how == "first use":
            await self._pin(look)
        return trusted

    async def _pin(self, look: _Look) -> None:
        pinned = await anyio.to_thread.run_sync(self.store.pin, look.origin, look.signed)
        if not set(look.signed) & set(pinned):  # somebody else was first
            raise CardNotTrusted(f"{look.origin} has other keys now than a moment ago.")

    async def _by_fetched(self, look: _Look, transport: Transport | None) -> Trusted | None:
        """The verdict by keys that somebody publishes."""
        if transport is None:
            return None
        named = dict.fromkeys(signer.jku for signer in look.signers if signer.jku is not None)
        allowed = [url for url in named if _origin_or_none(url) in self._jku_origins]
        for url in allowed[:_MOST_KEY_SETS]:
            found = look.by(dict.fromkeys(await _fetch(transport, url), "key set"))
            if found is not None:
                return found
        if self.first_use and look.signers:
            return look.by(dict.fromkeys(await published_keys(transport, look.address), "first use"))
        return None


class _Look:
    """One card, and what the store says of where it is from."""

    def __init__(self, address: str, asked: str, raw: bytes, card: a2a.AgentCard, trusts: Trusts) -> None:
        self.address = address
        self.origin = origin_of(address)
        self.signers: list[Signer] = signers_of(card)
        self.pinned = trusts.pinned(address)
        self._base = base_of(asked)
        self._raw = raw
        self._card = card
        self._trusts = trusts
        # A peer that publishes its card at another place is not another agent by that.
        self._approved: ApprovedCard | None = trusts.approved(asked) or trusts.approved(address)
        self.signed: list[PublicKey] = []

    def by(self, keys: Mapping[PublicKey, _Why]) -> Trusted | None:
        """The verdict, when one of the keys has signed; None when no signature claims one of them.

        Args:
            keys: and why each counts.

        Raises:
            CardNotTrusted: one is claimed, and it was revoked or the signature does not fit.
        """
        claimed = [key for key in keys if any(key.answers_to(signer.kid) for signer in self.signers)]
        good = [key for key in claimed if key.kid not in self._trusts.revoked]
        if claimed and not good:
            raise self._refused(f"it is signed by the key {claimed[0].kid}, which was revoked")
        if not good:
            return None
        self.signed = signed_by(self._raw, good) or [verify_card(self._raw, good)]  # which says what is wrong
        key = self.signed[0]
        return Trusted(key.kid, key, keys[key], self._trusts.name_of(key.kid))

    def refuse_others(self) -> None:
        """Refuse what no key can mend that is still to be found: none that is known has signed.

        Raises:
            CardChanged: the origin has pinned keys, and another has signed.
            CardNotTrusted: it has pinned keys, and nobody has signed; or only revoked keys have.
        """
        if self.signers and all(signer.kid in self._trusts.revoked for signer in self.signers):
            raise self._refused(f"it is signed by the key {self._named}, which was revoked")
        pins = self._trusts.pins(self.address)
        if pins is None or not pins.keys:
            return
        self.by(dict.fromkeys(pins.keys, "pinned"))  # one that was revoked has words of its own
        known = ", ".join(key.kid for key in pins.keys)
        if not self.signers:
            raise self._refused(f"it is not signed, and the cards of {self.origin} are, by {known}")
        raise self._changed([f"key: {known} -> {self._named}"])

    def refuse_changes(self) -> None:
        """Refuse a card that is not the one that was approved.

        Raises:
            CardChanged: it is another.
        """
        if self._approved is None:
            return
        changes = card_changes(self._approved.card, self._card)
        before, now = self._approved.kids, [key.kid for key in self.signed]
        if not before and self.signers:
            changes.append(f"key: nothing -> {self._named}")
        elif before and not set(before) & set(now):
            changes.append(f"key: {', '.join(before)} -> {', '.join(now)}")
        if changes:
            raise self._changed(changes)

    def unverified(self, mode: TrustMode) -> Trusted:
        """The verdict when nothing can be verified.

        Raises:
            CardNotTrusted: that is not enough.
        """
        if mode != "require":
            return Trusted(how="unknown key" if self.signers else "unsigned")
        if not self.signers:
            raise self._refused("it is not signed", hint="codin keys new, on its side, makes the key that signs it")
        raise self._refused(
            f"it is signed by {self._named}, which is not known here", hint=f"codin trust approve {self._base}"
        )

    def _refused(self, why: str, hint: str | None = None) -> CardNotTrusted:
        return CardNotTrusted(f"The card at {self.address} is not trusted: {why}.", hint=hint or self._hint)

    def _changed(self, changes: list[str]) -> CardChanged:
        first = f"{changes[0]}{f', and {len(changes) - 1} more' if len(changes) > 1 else ''}"
        return CardChanged(
            f"The card at {self.address} is not the one that is trusted: {first}.", changes=changes, hint=self._hint
        )

    @property
    def _named(self) -> str:
        """The keys that are said to have signed."""
        return ", ".join(shown(signer.kid) for signer in self.signers)

    @property
    def _hint(self) -> str:
        return f"codin trust diff {self._base} shows it; if it is meant: codin trust approve {self._base}"


def signed_by(card: a2a.AgentCard | bytes, keys: Iterable[PublicKey]) -> list[PublicKey]:
    """All of the keys that have signed a card, which is best given as the bytes that were published."""
    found: list[PublicKey] = []
    for key in keys:
        try:
            found.append(verify_card(card, [key]))
        except CardNotTrusted:
            continue
    return found


async def published_keys(transport: Transport, address: str) -> list[PublicKey]:
    """The keys that an origin publishes at its well-known address; none when it publishes nothing that can be read."""
    return await _fetch(transport, f"{origin_of(address)}{_KEY_SET}")


async def _fetch(transport: Transport, url: str) -> list[PublicKey]:
    headers: Mapping[str, str] = {"Accept": "application/jwk-set+json, application/json"}
    try:
        response = await transport.request("GET", url, headers=headers, timeout=_PATIENCE, limit=_MAX_KEY_SET)
        return read_jwks(response.body) if response.status == 200 else []
    except (TransportError, TrustError):
        return []


def _checked_origin(origin: str) -> str:
    found = _origin_or_none(origin)
    if found is None or urlsplit(origin).path.strip("/"):
        raise ConfigError(f"{origin!r} is no origin.", hint="Write it like https://keys.example.com")
    return found


def _origin_or_none(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        return origin_of(url) if parts.scheme in ("http", "https") and parts.hostname else None
    except ValueError:
        return None
