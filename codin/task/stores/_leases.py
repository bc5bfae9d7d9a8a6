"""Turn locks inside one process, for stores that only one process has open."""

from __future__ import annotations

from codin.errors import LeaseLost
from codin.task._protocol import Lease, Owner

__all__ = ["Leases"]


class Leases:
    """Who holds which context. The same holder may take a lease again; it is free when every taking was given back."""

    def __init__(self) -> None:
        self._held: dict[tuple[Owner, str], tuple[Lease, int]] = {}
        self._fence = 0

    def take(self, owner: Owner, context_id: str, holder: str) -> Lease:
        """The lease; another holder's is taken over with a higher fence."""
        place = (owner, context_id)
        held = self._held.get(place)
        if held is not None and held[0].holder == holder:
            self._held[place] = (held[0], held[1] + 1)
            return held[0]
        self._fence += 1
        lease = Lease(context_id, holder, self._fence)
        self._held[place] = (lease, 1)
        return lease

    def release(self, owner: Owner, lease: Lease) -> None:
        """Give it back once."""
        place = (owner, lease.context_id)
        held = self._held.get(place)
        if held is None or held[0].fence != lease.fence:
            return
        if held[1] == 1:
            del self._held[place]
        else:
            self._held[place] = (lease, held[1] - 1)

    def check(self, owner: Owner, lease: Lease) -> None:
        """Raises LeaseLost when it is not (or no longer) the valid one."""
        held = self._held.get((owner, lease.context_id))
        if held is None or held[0].fence != lease.fence:
            raise LeaseLost(
                f"the turn lock of context {lease.context_id!r} is held by another writer",
                hint="another replica has taken this context over; nothing was appended",
            )
