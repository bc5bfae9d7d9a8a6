"""What a registry remembers, and the promise of the store that remembers it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from codin.mesh._directory import Health

__all__ = ["Holder", "Labels", "Page", "Query", "Registration", "RegistryLimits", "RegistryStore", "health_of"]

_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class RegistryLimits:
    """The bounds of a registry.

    Args:
        max_body: bytes of a request.
        max_depth: how deep a card may nest.
        max_skills: of a card.
        max_agents: registrations in all.
        max_per_owner: registrations of one owner, and names held by one owner. An owner is who was authenticated; in a
            registry without tokens, an address of the network.
        max_watchers: streams of changes that are read at once.
        max_page: agents in one answer.
        ttl: seconds for which an agent counts as alive after it was heard of, unless it asks for another time.
        shortest_ttl: that it may ask for.
        longest_ttl: likewise.
        keep_gone: seconds for which an agent that fell silent is still known.
        hold_names: seconds for which a name stays its owner's after its last agent has gone.
        patience: seconds that a reader of changes may take for one of them.
    """

    max_body: int = 256 * 1024
    max_depth: int = 32
    max_skills: int = 256
    max_agents: int = 20_000
    max_per_owner: int = 2_000
    max_watchers: int = 256
    max_page: int = 100
    ttl: float = 60.0
    shortest_ttl: float = 5.0
    longest_ttl: float = 3600.0
    keep_gone: float = 3600.0
    hold_names: float = 7 * _DAY
    patience: float = 10.0


@dataclass(frozen=True, slots=True)
class Registration:
    """One agent at one address.

    Args:
        key: names the registration.
        agent: the agent's id.
        name: as its card gives it.
        owner: who registered it.
        url: where its card is.
        card: JSON, as it was registered.
        kid: of the key that signed the request; None for an unsigned one.
        identity: `id@key`; None for an unsigned one, which may say anything.
        jwk: the public key, JSON.
        verified: the card's signature holds, by that key.
        ttl: seconds that it promises to be heard of within.
        registered: when it first came, in seconds since 1970.
        seen: when it was last heard of.
        said: when it says that it sent its last signed request: an older one is a repetition.
        load: how busy it says it is.
        latency: seconds of the registry's last look at the card.
        failed: the last look found nobody, or somebody else.
    """

    key: str
    agent: str
    name: str
    owner: str
    url: str
    card: bytes = field(repr=False)
    kid: str | None
    identity: str | None
    jwk: str | None
    verified: bool
    ttl: float
    registered: float
    seen: float
    said: float = 0.0
    load: float | None = None
    latency: float | None = None
    failed: bool = False

    @property
    def until(self) -> float:
        """When it counts as gone."""
        return self.seen + 2 * self.ttl


def health_of(registration: Registration, now: float) -> Health:
    """What is to be thought of an agent."""
    if now > registration.until:
        return "gone"
    overdue = now > registration.seen + registration.ttl
    return "suspect" if overdue or registration.failed else "healthy"


class Holder(NamedTuple):
    """Whose a name is."""

    kid: str | None
    jwk: str | None
    owner: str


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for; every condition that is given has to hold.

    Args:
        words: each is the beginning of a word in the card.
        alive_at: a second since 1970; who counts as gone then is left out.
        after: the `next` of the page before.
    """

    name: str | None = None
    skill: str | None = None
    tag: str | None = None
    words: Sequence[str] = ()
    alive_at: float = 0.0
    limit: int = 20
    after: str | None = None


class Page(NamedTuple):
    """Some of what was found, and where the rest begins."""

    found: Sequence[Registration]
    next: str | None


class RegistryStore(Protocol):
    """Keeps registrations. One registry at a time has it open; it asks one thing after the other.

    Every method raises StoreError when the store fails.
    """

    async def open(self) -> None:
        """Make it ready. May be called again."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...

    async def put(self, registration: Registration, *, names: Iterable[str], labels: Labels) -> None:
        """Add or replace a registration, and give its names to its owner."""
        ...

    async def get(self, key: str) -> Registration | None:
        """One registration."""
        ...

    async def beat(self, key: str, *, seen: float, said: float, load: float | None) -> None:
        """It was heard of."""
        ...

    async def look(self, key: str, *, latency: float | None, failed: bool) -> None:
        """The registry has looked at its card."""
        ...

    async def drop(self, key: str) -> None:
        """Forget a registration; its names stay held."""
        ...

    async def search(self, query: Query) -> Page:
        """The registrations that fit: by relevance when there are words, in the order of agents when there are none."""
        ...

    async def holders(self, names: Iterable[str]) -> dict[str, Holder]:
        """Whose these names are, of those that are held."""
        ...

    async def counts(self, owner: str) -> tuple[int, int, int]:
        """All registrations, those of an owner, and the names that the owner holds."""
        ...

    async def sweep(self, *, gone_before: float, names_before: float) -> Sequence[Registration]:
        """Forget, and tell, what was gone before one time; and the names not used since the other."""
        ...


class Labels(NamedTuple):
    """What an agent is found by, in the words of its card."""

    skills: frozenset[str]
    tags: frozenset[str]
    text: str
