"""Turn locks inside one process, for stores that only one process has open."""

from __future__ import annotations

from codin.errors import LeaseLost
from codin.task._protocol import Lease, Owner

__all__ = ["Leases", "check_lease"]


class Leases:
    """Who holds which context. The same holder may take a lease again; it is free when every taking was given back."""

    def __init__(self) -> None:
        self._held: dict[tuple[Owner, str], Lease] = {}
        self._again: dict[Lease, int] = {}  # how often a holder has taken its lease once more
        self._fence = 0

    def take(self, owner: Owner, context_id: str, holder: str) -> Lease:
        """The lease; another holder's is taken over with a higher fence."""
        place = (owner, context_id)
        held = self._held.get(place)
        if held is not None:
            if held.holder == holder:
                self._again[held] = self._again.get(held, 0) + 1
                return held
            held.lost = True
            self._again.pop(held, None)
        self._fence += 1
        lease = self._held[place] = Lease(context_id, holder, self._fence)
        return lease

    def release(self, owner: Owner, lease: Lease) -> None:
        """Give it back once."""
        if lease.lost:
            return
        if lease in self._again:
            self._again[lease] -= 1
            if not self._again[lease]:
                del self._again[lease]
            return
        lease.lost = True
        del self._held[owner, lease.context_id]


def check_lease(lease: Lease) -> None:
    """Raises LeaseLost when the lease was taken over, or given back."""
    if lease.lost:
        raise LeaseLost(
            f"the turn lock of context {lease.context_id!r} is held by another writer",
            hint="another replica has taken this context over; nothing was appended",
        )
