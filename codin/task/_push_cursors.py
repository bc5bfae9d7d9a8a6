"""The cursors of push configurations: by their names a process that starts, or a command, finds what is to be done."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import NamedTuple, Self

from pydantic_core import from_json, to_json

from codin.task._protocol import Owner, TaskStore
from codin.task._push_configs import configs_in
from codin.task._push_post import place_of
from codin.task._push_request import DeadLetter

__all__ = ["Place", "dead_letters", "going", "revive_dead_letters"]

_GOING = "push:"
_STOPPED = "push-stopped:"


class Place(NamedTuple):
    """Where a configuration belongs."""

    owner: Owner
    task_id: str
    config_id: str

    @property
    def going(self) -> str:
        """The name of its cursor."""
        return self._name(_GOING)

    @property
    def stopped(self) -> str:
        """The name of its cursor once its delivery was given up."""
        return self._name(_STOPPED)

    def _name(self, kind: str) -> str:
        tenant, agent, caller = self.owner
        return kind + to_json([agent, tenant, caller, self.task_id, self.config_id]).decode()

    @classmethod
    def read(cls, name: str) -> Self:
        """The place that a cursor's name says."""
        agent, tenant, caller, task_id, config_id = from_json(name[name.index("[") :])
        return cls(Owner(tenant, agent, caller), task_id, config_id)

    @classmethod
    def of(cls, letter: DeadLetter) -> Self:
        """The place of a dead letter."""
        return cls(Owner(letter.tenant, letter.agent, letter.caller), letter.task_id, letter.config_id)


async def going(store: TaskStore, agent: str) -> list[tuple[Place, int]]:
    """The configurations of an agent's tasks that have not come to their end, and what was delivered."""
    return [(Place.read(name), position) for name, position in await store.cursors(_prefix(_GOING, agent))]


async def dead_letters(store: TaskStore, agent: str | None = None) -> list[DeadLetter]:
    """The dead letters in an open store, the oldest first.

    Args:
        agent: only of this one's tasks.
    """
    return sorted([letter async for letter, _ in _stopped(store, agent)], key=lambda letter: letter.at)


async def revive_dead_letters(
    store: TaskStore, agent: str | None = None, task_id: str | None = None
) -> list[DeadLetter]:
    """Let dead letters go out again from where they stopped, as soon as an agent is served from the store.

    An agent that is being served is told by `App.revive_dead_letters`.

    Args:
        agent, task_id: only of these tasks.
    """
    revived: list[DeadLetter] = []
    async for letter, position in _stopped(store, agent):
        if task_id is None or task_id == letter.task_id:
            await store.advance(Place.of(letter).going, position)
            await store.forget(Place.of(letter).stopped)
            revived.append(letter)
    return revived


async def _stopped(store: TaskStore, agent: str | None) -> AsyncGenerator[tuple[DeadLetter, int]]:
    for name, position in await store.cursors(_prefix(_STOPPED, agent)):
        place = Place.read(name)
        known = configs_in(await store.read(place.owner, place.task_id)).get(place.config_id)
        if known is None or known.stopped is None:  # it was deleted, or retention has taken the task
            await store.forget(name)
            continue
        tenant, of, caller = place.owner
        url = place_of(known.config.url)
        yield DeadLetter(of, tenant, caller, place.task_id, place.config_id, url, *known.stopped), position


def _prefix(kind: str, agent: str | None) -> str:
    return kind if agent is None else f"{kind}{to_json([agent]).decode()[:-1]},"
