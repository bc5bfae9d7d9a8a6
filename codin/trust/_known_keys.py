"""Whose tokens are taken: agents with our own keys, and those whose keys somebody here has approved or named."""

from __future__ import annotations

from codin.trust._keyring import KeyRing
from codin.trust._keys import PublicKey
from codin.trust._store import TrustStore
from codin.trust._trust_file import Trusts

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
        self._keys: dict[str, PublicKey] = {}
        self._names: dict[str, str] = {}

    def find(self, kid: str) -> PublicKey | None:
        """The key with this thumbprint."""
        trusts = self._refresh()
        if trusts is not None and kid in trusts.revoked:
            return None
        if self._ring is not None:
            active = self._ring.active.public
            own = active if active.kid == kid else next((key for key in self._ring.published if key.kid == kid), None)
            if own is not None:
                return own
        return self._keys.get(kid)

    def name(self, kid: str) -> str | None:
        """What its owner is called here."""
        self._refresh()
        return self._names.get(kid)

    def _refresh(self) -> Trusts | None:
        if self._store is None:
            return None
        trusts = self._store.read()
        if trusts is not self._read:
            pins = [key for pins in trusts.origins.values() if not pins.first_use for key in pins.keys]
            named = [named.key for named in trusts.names.values()]
            self._keys = {key.kid: key for key in (*pins, *named)}
            self._names = {named.key.kid: name for name, named in trusts.names.items()}
            self._read = trusts
        return trusts
