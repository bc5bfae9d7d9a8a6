"""How `task.call` finds an agent by its name: a promise that is kept higher up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from codin.client import Peer

__all__ = ["Resolver"]


class Resolver(Protocol):
    """Knows agents by name. The peers it gives are its own to open and to close."""

    async def resolve(self, name: str, /) -> Peer:
        """The agent of that name, connected.

        Raises:
            NoAgent: there is none.
        """
        ...
