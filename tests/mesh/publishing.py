"""What stands at addresses, for those who read cards and catalogs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from codin import a2a
from codin.errors import ConnectError
from codin.net import Response

__all__ = ["Web", "card", "place"]


class Web:
    """A transport to documents. `asked` holds every address that was asked for."""

    def __init__(self, pages: Mapping[str, Any] | None = None) -> None:
        self.pages: dict[str, Any] = dict(pages or {})
        self.asked: list[str] = []
        self.down = False

    async def request(self, method: str, url: str, **_: Any) -> Response:
        self.asked.append(url)
        if self.down:
            raise ConnectError(f"{url} could not be reached")
        if url not in self.pages:
            return Response(404, {}, b"nothing")
        page = self.pages[url]
        if isinstance(page, int):
            return Response(page, {}, b"")
        return Response(200, {}, page if isinstance(page, bytes) else json.dumps(page).encode())

    def stream(self, method: str, url: str, **_: Any) -> Any:
        raise ConnectError(f"{url} could not be reached")

    async def aclose(self) -> None:
        pass


def card(name: str, url: str = "", **more: Any) -> a2a.AgentCard:
    """The card of an agent at a URL."""
    interface = a2a.AgentInterface(url=url or f"http://{name}.test", protocol_binding="JSONRPC", protocol_version="1.0")
    skill = a2a.AgentSkill(id=f"{name}-skill", name="Skill", description="Does it.", tags=[f"{name}-tag"])
    return a2a.AgentCard(
        name=name.title(),
        description=f"What {name} does.",
        version="1.0.0",
        supported_interfaces=[interface],
        capabilities=a2a.AgentCapabilities(),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[skill],
        **more,
    )


def place(name: str) -> str:
    """Where the card of an agent is."""
    return f"http://{name}.test/.well-known/agent-card.json"
