"""A registry in memory, agents with keys, and what they say to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from codin import a2a
from codin.mesh.registry import Receipt, Registry, RegistryApp
from codin.net import HttpxTransport
from codin.trust import SigningKey, identity_of, sign_card

__all__ = ["REGISTRY", "Agent", "opened", "transport_to"]

REGISTRY = "http://registry.test"


@dataclass
class Agent:
    """Somebody who registers."""

    id: str
    key: SigningKey | None = field(default_factory=SigningKey.generate)
    name: str = ""
    host: str = ""
    skills: tuple[str, ...] = ("work",)
    tags: tuple[str, ...] = ("agent",)
    description: str = "Does something."

    @property
    def url(self) -> str:
        """Where the agent is."""
        return f"http://{self.host or f'{self.id}.test'}"

    @property
    def place(self) -> str:
        """Where its card is."""
        return f"{self.url}/.well-known/agent-card.json"

    def card(self, *also: SigningKey, **changes: Any) -> a2a.AgentCard:
        """Its card, signed by its key, and by others."""
        identity = identity_of(self.id, self.key.kid if self.key else None)
        extension = a2a.AgentExtension(uri=a2a.CALL_EXTENSION, params={"agent": identity})
        made = a2a.AgentCard(
            name=self.name or self.id.title(),
            description=self.description,
            version="1.0.0",
            supported_interfaces=[a2a.AgentInterface(url=self.url, protocol_binding="JSONRPC", protocol_version="1.0")],
            capabilities=a2a.AgentCapabilities(extensions=[extension]),
            default_input_modes=["text/plain"],
            default_output_modes=["text/plain"],
            skills=[
                a2a.AgentSkill(id=skill, name=skill.title(), description=f"To {skill}.", tags=list(self.tags))
                for skill in self.skills
            ],
        )
        made = made.model_copy(update=changes)
        keys = [*([self.key] if self.key else []), *also]
        return sign_card(made, *keys) if keys else made

    async def register(self, registry: Registry, **more: Any) -> Receipt:
        """Say that it is there."""
        return await registry.register(self.card(), self.place, key=self.key, **more)


def transport_to(app: RegistryApp, host: str = "127.0.0.1") -> HttpxTransport:
    """A transport that leads into an app, from some address."""
    return HttpxTransport(httpx.ASGITransport(app=app, client=(host, 50000)))


@asynccontextmanager
async def opened(public_url: str | None = REGISTRY, **settings: Any) -> AsyncGenerator[tuple[RegistryApp, Registry]]:
    """A registry, and a client of it that remembers nothing from one moment to the next."""
    app = RegistryApp(public_url=public_url, **settings)
    try:
        yield app, Registry(REGISTRY, transport=transport_to(app), fresh=0.0)
    finally:
        await app.close()
