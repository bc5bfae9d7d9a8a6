"""What is known of an agent elsewhere, and the promise of everything that finds agents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import unquote, urlsplit

from codin import a2a
from codin.trust import agent_of, identity_in

__all__ = ["Directory", "Found", "Health", "describe", "is_served_from", "matches", "same_origin", "words"]

Health = Literal["healthy", "suspect", "gone", "unknown"]
"""healthy: heard of in time; suspect: overdue, or it did not answer; gone: silent for long; unknown: nobody asked."""

_WORD = re.compile(r"[^\W_]+")
_NO_ID = re.compile(r"[^A-Za-z0-9._~-]+")
_RANKS: dict[str, int] = {"healthy": 0, "unknown": 1, "suspect": 2, "gone": 3}


@dataclass(frozen=True, slots=True)
class Found:
    """An agent that a directory knows. All of it is what others say; a trust policy decides what counts.

    Args:
        id: the agent's id: what it is called by.
        name: as its card gives it.
        url: where its card is.
        card: the card, when the directory has it.
        identity: `id@key`. A claim of the card, which may name anybody's key, unless `verified` is set.
        seen: when somebody last heard of it, in seconds since 1970.
        latency: seconds it took to answer the last look.
        load: how busy it says it is; 0 is idle, 1 as much as it can do.
        verified: the card's signature holds, by the key that `identity` names. Whose key that is, it does not say.
    """

    id: str
    name: str
    url: str
    card: a2a.AgentCard | None = field(default=None, repr=False)
    identity: str | None = None
    tags: frozenset[str] = frozenset()
    skills: frozenset[str] = frozenset()
    health: Health = "unknown"
    seen: float | None = None
    latency: float | None = None
    load: float | None = None
    verified: bool = False

    @property
    def rank(self) -> int:
        """For sorting: who is more likely to answer comes first."""
        return _RANKS[self.health]


class Directory(Protocol):
    """Finds agents. Every condition that is given has to hold; without one, all agents fit."""

    async def find(
        self,
        *,
        name: str | None = None,
        skill: str | None = None,
        tag: str | None = None,
        text: str | None = None,
        limit: int = 20,
    ) -> Sequence[Found]:
        """The agents that fit, the best first.

        Args:
            name: the agent's id, or the name in its card; upper and lower case do not count.
            skill: the id or the name of a skill.
            tag: of a skill.
            text: words, all of which occur in the card's name, description, skills, tags or examples.

        Raises:
            CodinError: the directory could not be asked. An agent that is not there is no error.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


def describe(card: a2a.AgentCard, url: str) -> Found:
    """What a card says of its agent.

    Args:
        url: where the card is.
    """
    identity = identity_in(card)
    called = unquote(agent_of(identity)) if identity else ""
    return Found(
        id=called or _NO_ID.sub("-", card.name).strip("-").lower() or "agent",
        name=card.name,
        url=url,
        card=card,
        identity=identity,
        tags=frozenset(tag for skill in card.skills for tag in skill.tags),
        skills=frozenset(label for skill in card.skills for label in (skill.id, skill.name) if label),
    )


def is_served_from(card: a2a.AgentCard, url: str) -> bool:
    """Whether an agent with this card is where its card is: at the same scheme, host and port."""
    return any(same_origin(interface.url, url) for interface in card.supported_interfaces)


def same_origin(one: str, other: str) -> bool:
    """Whether two URLs have scheme, host and port in common."""
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None, None


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return _WORD.findall(text.casefold())


def matches(found: Found, *, name: str | None, skill: str | None, tag: str | None, text: str | None) -> bool:
    """Whether an agent fits, as `Directory.find` says it."""
    if name is not None and name.casefold() not in {found.id.casefold(), found.name.casefold()}:
        return False
    if skill is not None and not _holds(found.skills, skill):
        return False
    if tag is not None and not _holds(found.tags, tag):
        return False
    return text is None or _mentions(found, words(text))


def _holds(labels: Iterable[str], wanted: str) -> bool:
    wanted = wanted.casefold()
    return any(label.casefold() == wanted for label in labels)


def _mentions(found: Found, wanted: Sequence[str]) -> bool:
    known = {found.name, found.id, *found.tags, *found.skills}
    if found.card is not None:
        known.add(found.card.description)
        known.update(text for skill in found.card.skills for text in (skill.description, *skill.examples))
    said = {word for text in known for word in words(text)}
    return all(any(word.startswith(want) for word in said) for want in wanted)
