"""Whose tokens are taken: agents with our own keys, and those whose keys somebody here has approved or named."""

from __future__ import annotations

from collections.abc import Mapping

from codin.trust._cards.store import TrustStore
from codin.trust._cards.trust_file import Trusts
from codin.trust._keys.keyring import KeyRing
from codin.trust._keys.keys import PublicKey

__all__ = ["KnownKeys"]


class KnownKeys:
    """The keys of callers. What changes in the ring or in the store counts from the next look-up on.

    A key that was only pinned because it was there at first is not known: its owner was called, and nobody has said
    that it may call.

    Args:
        ring: our own keys: agents that share them trust each other.
        store: what was approved and named; what was revoked there counts for nothing, our own keys included.
    """

    def __init__(self, ring: KeyRing | None = None, store: TrustStore | None = None) -> None:
        self._ring = ring
        self._store = store
        self._read: Trusts | None = None
        self._own: Mapping[str, PublicKey] = {}
        self._keys: dict[str, PublicKey] = {}
        self._names: dict[str, str] = {}

    def find(self, kid: str) -> PublicKey | None:
        """The key with this thumbprint."""
        if self._store is not None and kid in self._refresh(self._store).revoked:
            return None
        if self._ring is not None:
            self._own = self._ring.public
            own = self._own.get(kid)
            if own is not None and not own.expired:
                return own
        return self._keys.get(kid)

    def is_own(self, kid: str) -> bool:
        """Whether it is one of our own keys that count. As of the last `find`: the files are looked at once a call."""
        own = self._own.get(kid)
        return own is not None and not own.expired

    def name(self, kid: str) -> str | None:
        """What the owner of a key is called here. As of the last `find`, which has found that key."""
        return self._names.get(kid)

    def _refresh(self, store: TrustStore) -> Trusts:
        trusts = store.read()
        if trusts is not self._read:
            pins = [key for pins in trusts.origins.values() if not pins.first_use for key in pins.keys]
            named = [named.key for named in trusts.names.values()]
            self._keys = {key.kid: key for key in (*pins, *named)}
            self._names = {named.key.kid: name for name, named in trusts.names.items()}
            self._read = trusts
        return trusts
