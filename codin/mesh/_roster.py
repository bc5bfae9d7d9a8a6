"""Who fits a wish: asked of the directories once in a while, and remembered in between."""

from __future__ import annotations

import difflib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

import anyio

from codin.errors import CodinError, DeadlineExceeded, MeshError, NoAgent
from codin.mesh._clock import Clock
from codin.mesh._connections import Connections, Replica
from codin.mesh._directory import Directory, Found
from codin.mesh._limits import MeshLimits
from codin.mesh._parties import Parties

__all__ = ["Name", "Roster", "Wish"]


class Name(NamedTuple):
    """An agent's name or id, and nothing else."""

    name: str


Wish: TypeAlias = str | Found | Name
"""Whom to ask: a name, an id, a skill, a tag, a description, a URL, or an agent that `find` gave."""

_KEPT = 1024
_REPLICAS = 100
_NAMES = 200


class _Known:
    __slots__ = ("asking", "replicas", "until")

    def __init__(self) -> None:
        self.replicas: Sequence[Replica] = ()
        self.until = float("-inf")
        self.asking = anyio.Lock()


class Roster:
    """The replicas behind each wish that was heard lately."""

    def __init__(
        self, directory: Directory, connections: Connections, limits: MeshLimits, clock: Clock, parties: Parties
    ) -> None:
        self._directory = directory
        self._parties = parties
        self._connections = connections
        self._limits = limits
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._replicas: dict[str, Replica] = {}

    @property
    def replicas(self) -> Iterable[Replica]:
        """All that fit a wish that was heard lately."""
        return self._replicas.values()

    async def fitting(self, wish: Wish, timeout: float | None = None) -> Sequence[Replica]:
        """Those that fit equally well; one at least.

        Raises:
            NoAgent: nobody does.
            MeshError: nobody could be asked who does.
            DeadlineExceeded: it took too long to find out.
        """
        if (replicas := self.known(wish)) is not None:
            return replicas
        key = _key(wish)
        seconds = self._limits.timeout if timeout is None else timeout
        try:
            with anyio.fail_after(seconds):
                return await self._ask(wish, key)
        except TimeoutError:
            raise DeadlineExceeded(f"Who {key!r} is was not found out within {seconds:g} s.") from None

    def known(self, wish: Wish) -> Sequence[Replica] | None:
        """The same, if it was asked lately, or is being asked: nobody waits for an answer that may be the same."""
        known = self._known.get(_key(wish))
        if known is None or not known.replicas:
            return None
        return known.replicas if self._clock.now() < known.until or known.asking.locked() else None

    async def _ask(self, wish: Wish, key: str) -> Sequence[Replica]:
        known = self._known.setdefault(key, _Known())
        async with known.asking:
            self._known[key] = known  # whoever asked before may have found nobody, and dropped it
            if self._clock.now() >= known.until:
                try:
                    found = await self._alike(wish)
                except CodinError as error:
                    if not known.replicas:
                        self._known.pop(key, None)
                        if isinstance(error, MeshError):
                            raise
                        raise MeshError(f"Nobody could be asked who {key!r} is: {error}") from error
                    found = [replica.found for replica in known.replicas]
                await self._take(known, found)
            if known.replicas:
                return known.replicas
            self._known.pop(key, None)
        raise await self.nobody(wish if isinstance(wish, str) else wish.name)

    async def _take(self, known: _Known, found: Sequence[Found]) -> None:
        before = known.replicas
        known.replicas = tuple(self._replica(each) for each in found)
        known.until = self._clock.now() + self._limits.fresh
        if gone := [replica for replica in before if replica not in known.replicas]:
            await self._drop(gone)
        while len(self._known) > _KEPT:
            _, oldest = self._known.popitem(last=False)
            await self._drop(oldest.replicas)

    def _replica(self, found: Found) -> Replica:
        replica = self._replicas.get(found.url)
        if replica is None:
            replica = self._replicas[found.url] = Replica(found, self._limits, self._clock)
        replica.found = found
        return replica

    async def _drop(self, replicas: Iterable[Replica]) -> None:
        """Forget those that no wish leads to any more."""
        kept = {replica for known in self._known.values() for replica in known.replicas}
        for replica in replicas:
            if replica not in kept and self._replicas.pop(replica.found.url, None) is not None:
                await self._connections.close(replica)

    async def found(self, wish: str, limit: int = _REPLICAS) -> tuple[Sequence[Found], bool]:
        """Those that fit by name or id, else by a skill, else by a tag, else by words; and whether it took words."""
        find = self._directory.find
        if found := await find(name=wish, limit=limit):
            return found, False
        if found := await find(skill=wish, limit=limit):
            return found, False
        if found := await find(tag=wish, limit=limit):
            return found, False
        return await find(text=wish, limit=limit), True

    async def _alike(self, wish: Wish) -> Sequence[Found]:
        if isinstance(wish, Found):
            return [wish]
        if isinstance(wish, Name):
            return await self._parties.chosen(await self._directory.find(name=wish.name, limit=_REPLICAS))
        if wish.startswith(("http://", "https://")):
            return [Found(wish, wish, wish)]
        found, in_words = await self.found(wish)
        found = await self._parties.chosen(found)
        # Words may fit agents that have nothing else in common: only replicas of the best one stand for each other.
        return [each for each in found if each.name == found[0].name] if in_words else found

    async def nobody(self, wish: str) -> NoAgent:
        """The error for a wish that fits nobody, with the names that come nearest."""
        return NoAgent(f"There is no agent {wish!r}.", hint=await self._suggestion(wish))

    async def _suggestion(self, wish: str) -> str:
        try:
            names = {found.name for found in await self._directory.find(limit=_NAMES)}
        except CodinError:
            names = set[str]()
        if near := difflib.get_close_matches(wish, names, n=3, cutoff=0.5):
            return f"Is it {' or '.join(map(repr, near))}?"
        known = sorted(names)[:5]
        return f"There are {', '.join(map(repr, known))}." if known else "The mesh knows no agent; check its sources."


def _key(wish: Wish) -> str:
    return wish if isinstance(wish, str) else f"name {wish.name}" if isinstance(wish, Name) else wish.url
