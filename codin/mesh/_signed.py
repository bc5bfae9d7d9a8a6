"""By which keys the cards of agents are signed: looked at here, because what a card says of itself is a claim."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence, Set
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

import anyio

from codin import a2a
from codin.errors import CodinError, TrustError
from codin.mesh._directory import Found, is_served_from, same_origin
from codin.mesh._reader import Reader
from codin.net import Transport
from codin.trust import PublicKey, Signer, identity_in, kid_of, read_jwks, signed_by, signers_of

__all__ = ["Signatures", "Signed", "key_claimed"]

_KEY_SET = "/.well-known/jwks.json"
_MAX_DOCUMENT = 256 * 1024
_MOST_KEY_SETS = 2
_THUMBPRINT = 43  # characters, RFC 7638 with SHA-256
_AT_ONCE = 16
_KEPT = 1024


class Signed(NamedTuple):
    """Who has signed the card of an agent.

    Attributes:
        own: the thumbprint of the key that the card names as the agent's own, when that has signed it; else of the
            first that has.
        keys: those of all that have.
        broken: there are signatures, and none was found to hold.
    """

    own: str = ""
    keys: frozenset[str] = frozenset()
    broken: bool = False

    def without(self, revoked: Set[str]) -> Signed:
        """The same, as if keys that count no more had not signed."""
        keys = self.keys - revoked
        return Signed(self.own if self.own in keys else "", keys, self.broken or keys != self.keys)

    def is_one_with(self, other: Signed) -> bool:
        """Whether one of the two was signed by the other's own key as well.

        A third key that has signed both does not count: somebody may vouch for two strangers.
        """
        return self.own in other.keys or other.own in self.keys


class Signatures:
    """Looks at the signatures of cards. Whose keys they are by, and whether to trust those, is not asked here.

    A key is named by its thumbprint, so it does not matter who publishes it.
    """

    def __init__(self, transport: Transport, timeout: float) -> None:
        self._reader = Reader(transport, timeout=timeout)
        self._keys: OrderedDict[str, PublicKey] = OrderedDict()
        self._kept: OrderedDict[str, tuple[a2a.AgentCard | None, Signed]] = OrderedDict()

    async def of(self, agents: Sequence[Found]) -> list[Signed | None]:
        """Who has signed the card of each; None where that could not be found out, because nobody is there."""
        answers: list[Signed | None] = [None] * len(agents)
        limiter = anyio.CapacityLimiter(_AT_ONCE)

        async def look(index: int, found: Found) -> None:
            async with limiter:
                answers[index] = await self._look(found)

        async with anyio.create_task_group() as group:
            for index, found in enumerate(agents):
                group.start_soon(look, index, found)
        return answers

    async def _look(self, found: Found) -> Signed | None:
        claimed = key_claimed(found)
        verified = Signed(claimed, frozenset({claimed})) if found.verified and claimed else None
        if found.card is None and not claimed:
            return Signed()
        if verified and (found.card is None or {each.kid for each in signers_of(found.card)} <= verified.keys):
            return verified
        kept = self._kept.get(found.url)
        if kept is not None and found.card is not None and kept[0] == found.card:
            return kept[1]
        try:
            signed = await self._signed(found)
        except CodinError:
            if kept is not None and found.card is None:
                return kept[1]  # it is only away
            return verified or (None if claimed else Signed(broken=True))
        if verified:
            signed = Signed(claimed, signed.keys | verified.keys)
        if not signed.broken:
            self._kept[found.url] = found.card, signed
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return signed

    async def _signed(self, found: Found) -> Signed:
        signed = Signed(broken=True)
        if found.card is not None:
            signed = await self._signed_by(found.url, found.card, found.card)
        if signed.broken:  # what is published may hold, and be signed with, what is not known here
            published = await self._document(found.url)
            if published is not None:
                signed = await self._signed_by(found.url, a2a.AgentCard.from_json(published), published)
        return signed

    async def _signed_by(self, url: str, card: a2a.AgentCard, document: a2a.AgentCard | bytes) -> Signed:
        signers = signers_of(card)
        if not signers:
            return Signed()
        kids: list[str] = []
        if is_served_from(card, url):  # elsewhere, it is a copy
            kids = [key.kid for key in signed_by(document, await self._keys_of(url, signers))]
        named = kid_of(identity_in(card) or "")
        return Signed(named if named in kids else next(iter(kids), ""), frozenset(kids), broken=not kids)

    async def _keys_of(self, url: str, signers: Sequence[Signer]) -> list[PublicKey]:
        """The keys that the signers name, in their order, as far as they are known, or are published by the origin."""
        names = dict.fromkeys(signer.kid for signer in signers)
        if names.keys() <= self._keys.keys():
            return [self._keys[name] for name in names]
        published = await self._published(url, signers)
        self._keys |= {key.kid: key for key in published if key.kid in names}
        found = [key for name in names for key in (*self._keys.values(), *published) if key.answers_to(name)]
        while len(self._keys) > _KEPT:
            self._keys.popitem(last=False)
        return list(dict.fromkeys(found))

    async def _published(self, url: str, signers: Sequence[Signer]) -> list[PublicKey]:
        parts = urlsplit(url)
        named = {signer.jku for signer in signers if signer.jku is not None and same_origin(signer.jku, url)}
        found: list[PublicKey] = []
        for place in sorted(named)[:_MOST_KEY_SETS] or [f"{parts.scheme}://{parts.netloc}{_KEY_SET}"]:
            with suppress(TrustError):
                found += read_jwks(await self._document(place) or b"")
        return [key.until(None) for key in found]  # when a key ends its owner says, and this may be another's word

    async def _document(self, url: str) -> bytes | None:
        """What is there; None for anything but an answer. Raises TransportError when nobody is."""
        response = await self._reader.get(url, limit=_MAX_DOCUMENT, headers={"A2A-Version": "1.0"})
        return response.body if response.status == 200 else None


def key_claimed(found: Found) -> str:
    """The thumbprint in an agent's identity; "" where that is only random."""
    kid = kid_of(found.identity or "")
    return kid if len(kid) == _THUMBPRINT else ""
