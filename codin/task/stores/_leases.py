"""Turn locks inside one process, for stores that only one process has open."""

from __future__ import annotations

from codin.errors import LeaseLost
from codin.task._protocol import Lease, Owner

__all__ = ["Leases"]


class Leases:
    """Who holds which context. The same holder may take a lease again; it is free when every taking was given back."""

    def __init__(self) -> None:
        self._held: dict[tuple[Owner, str], Lease] = {}
        self._again: dict[tuple[Owner, str], int] = {}  # how often the holder has taken it once more
        self._fence = 0

    def take(self, owner: Owner, context_id: str, holder: str) -> Lease:
        """The lease; another holder's is taken over with a higher fence."""
        place = (owner, context_id)
        held = self._held.get(place)
        if held is not None and held.holder == holder:
            self._again[place] = self._again.get(place, 0) + 1
            return held
        self._fence += 1
        lease = self._held[place] = Lease(context_id, holder, self._fence)
        self._again.pop(place, None)
        return lease

    def release(self, owner: Owner, lease: Lease) -> None:
        """Give it back once."""
        place = (owner, lease.context_id)
        held = self._held.get(place)
        if held is None or held.fence != lease.fence:
            return
        again = self._again.pop(place, 0)
        if not again:
            del self._held[place]
        elif again > 1:
            self._again[place] = again - 1

    def check(self, owner: Owner, lease: Lease) -> None:
        """Raises LeaseLost when it is not (or no longer) the valid one."""
        held = self._held.get((owner, lease.context_id))
        if held is None or held.fence != lease.fence:
            raise LeaseLost(
                f"the turn lock of context {lease.context_id!r} is held by another writer",
                hint="another replica has taken this context over; nothing was appended",
            )
