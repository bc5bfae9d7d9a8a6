"""Being found: a note for this user's programs on this machine, and a place in a registry.

Neither is a reason not to serve.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from codin.errors import CodinError
from codin.mesh import Found, Note
from codin.server._app import App
from codin.server._endpoint import Endpoint
from codin.server._jwks import JWKS_PATH
from codin.server._pages import CARD_PATH
from codin.trust import KeyRing

if TYPE_CHECKING:
    from codin.mesh.registry import Announced, Membership, Registry

__all__ = ["Presence"]

_logger = logging.getLogger("codin.server")


class Presence:
    """Where the agents of an app are announced.

    Args:
        base: where the outside reaches the app.
        local: where this machine does.
        ring: signs what is said to the registry.
        registry: None announces the agents nowhere else.
    """

    def __init__(self, app: App, base: str, local: str, ring: KeyRing | None, registry: Registry | None) -> None:
        places = zip(app.places, app.endpoints, strict=True)
        self._places = [
            (place, endpoint)
            for place, endpoint in places
            if endpoint.admission is None or not endpoint.admission.hidden
        ]
        self._local = local
        self._note: Note | None = None
        self._registry = registry
        self._membership: Membership | None = None
        if registry is not None and self._places:
            from codin.mesh.registry import Membership  # who is in no registry loads none

            key = None if ring is None else lambda: ring.active
            self._membership = Membership(registry, [_announced(base, *each, ring) for each in self._places], key=key)

    def enter(self) -> None:
        """Announce the agents, which can be reached from now on."""
        agents = [
            Found(
                endpoint.agent.id, endpoint.agent.name, f"{self._local}{place}{CARD_PATH}", identity=endpoint.identity
            )
            for place, endpoint in self._places
        ]
        try:
            self._note = Note.leave(agents)
        except (CodinError, OSError) as error:
            _logger.info("programs on this machine will not find the agents by their names: %s", error)
        if self._membership is not None:
            self._membership.start()

    async def leave(self) -> None:
        """Take back what was announced. May be called again."""
        if self._note is not None:
            self._note.remove()
            self._note = None
        if self._membership is not None and self._registry is not None:
            await self._membership.stop()
            await self._registry.aclose()


def _announced(base: str, place: str, endpoint: Endpoint, ring: KeyRing | None) -> Announced:
    from codin.mesh.registry import Announced

    jku = f"{base}{JWKS_PATH}" if ring is not None else None
    return Announced(
        f"{base}{place}{CARD_PATH}",
        lambda: endpoint.cards.render(f"{base}{place}/", jku).body,
        lambda: endpoint.manager.running / endpoint.manager.limits.max_running,
    )
