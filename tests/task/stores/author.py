"""Writes into a store what a log would write, one commit at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pydantic_core import to_json

from codin import a2a
from codin.task import (
    ArtifactEntry,
    ChunkEntry,
    Claim,
    Commit,
    Entry,
    Fold,
    InputEntry,
    Owner,
    StatusEntry,
    TaskStore,
)

ALICE = Owner("", "echo", "alice")
BOB = Owner("", "echo", "bob")


class Author:
    """The log of one task, kept by hand: `at` is the time its entries carry, and grows by one a commit."""

    def __init__(
        self, store: TaskStore, task_id: str = "task-1", *, owner: Owner = ALICE, context_id: str = "", at: int = 1000
    ) -> None:
        self.store = store
        self.owner = owner
        self.task_id = task_id
        self.context_id = context_id or f"context of {task_id}"
        self.at = at
        self.fold = Fold(task_id, self.context_id)
        self.last = 0

    # -- entries -------------------------------------------------------------------------------------------------------

    def input(self, text: str = "hello") -> Entry:
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}]}
        return InputEntry(self.at, to_json(message))

    def status(self, state: a2a.TaskState) -> Entry:
        return StatusEntry(self.fold.ids, state, self.at)

    def chunk(self, text: str, *, append: bool = True) -> Entry:
        return ChunkEntry(self.fold.ids, "text-1", b'{"artifactId":"text-1"', text, self.at, append=append)

    def artifact(self, name: str) -> Entry:
        head = to_json({"artifactId": name})[:-1]
        return ArtifactEntry(self.fold.ids, name, head, [b'{"text":"whole"}'], self.at, append=False, last=True)

    # -- commits -------------------------------------------------------------------------------------------------------

    def commit(self, *entries: Entry, claim: Claim | None = None, expected: int | None = None) -> Commit:
        """A commit that could be appended now; it is as if it had been."""
        self.at += 1
        expected = self.last if expected is None else expected
        for number, entry in enumerate(entries, expected + 1):
            entry.number = number
            entry.apply(self.fold)
        self.last = self.fold.last = expected + len(entries)
        lease = self.store.lease(self.owner, self.context_id, "test")
        assert not isinstance(lease, asyncio.Future)
        fold = self.fold
        return Commit(
            self.owner,
            self.task_id,
            self.context_id,
            expected,
            entries,
            lease,
            fold.state,
            fold.changed,
            Fold.restore(fold.last, fold.changed, fold.to_json()) if fold.state.resting else None,
            claim,
        )

    async def append(self, *entries: Entry, claim: Claim | None = None) -> int:
        return await append(self.store, self.commit(*entries, claim=claim))

    async def begin(self, *, key: str = "") -> int:
        """A turn: the message and WORKING."""
        claim = Claim(key, "digest", self.task_id, self.last + 2) if key else None
        return await self.append(self.input(), self.status(a2a.TaskState.WORKING), claim=claim)

    async def rest(self, state: a2a.TaskState = a2a.TaskState.COMPLETED) -> int:
        return await self.append(self.status(state))

    async def whole(self, *texts: str) -> Author:
        """A task from its message to its end."""
        await self.begin()
        for index, text in enumerate(texts):
            await self.append(self.chunk(text, append=index > 0))
        await self.rest()
        return self


async def append(store: TaskStore, commit: Commit) -> int:
    """Whether a store answers at once or later."""
    done = store.append(commit)
    return await done if isinstance(done, asyncio.Future) else done


def seen(entries: Sequence[Entry]) -> list[tuple[int, str, int, bytes]]:
    """Entries, for comparing."""
    return [(entry.number, entry.kind, entry.at, entry.body) for entry in entries]
