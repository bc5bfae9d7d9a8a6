"""A memory in this process: for tests, and for what may be forgotten with it."""

from __future__ import annotations

import heapq
from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from codin.memory._filter import Condition, fits
from codin.memory._postings import Postings
from codin.memory._protocol import Found, Indexed, Note, Record, Scope, Stats, Summary, Utterance, Vector
from codin.memory._vectors import Vectors
from codin.memory.backends._not_open import not_open

__all__ = ["InProcess"]


class _Conversation:
    """One conversation of one scope."""

    def __init__(self) -> None:
        self.said: list[Utterance] = []
        self.known: set[tuple[str, int, int]] = set()
        self.summary: Summary | None = None


class _Shelf:
    """Bytes by keys, which go together."""

    def __init__(self) -> None:
        self.at = 0
        self.blobs: dict[str, bytes] = {}


class _Room:
    """All that one scope has."""

    def __init__(self) -> None:
        self.conversations: dict[str, _Conversation] = {}
        self.notes: dict[tuple[str, str], Note] = {}
        self.records: dict[str, Indexed] = {}
        self.ids: list[str] = []
        self.words = Postings()
        self.spaces: dict[str, Vectors] = {}
        self.shelves: dict[str, _Shelf] = {}

    def put(self, one: Indexed) -> None:
        self.drop(one.record.id)
        self.records[one.record.id] = one
        insort(self.ids, one.record.id)
        self.words.put(one.record.id, one.terms)
        if one.vector is not None:
            self.spaces.setdefault(one.space, Vectors()).put(one.record.id, one.vector)

    def drop(self, key: str) -> bool:
        one = self.records.pop(key, None)
        if one is None:
            return False
        del self.ids[bisect_right(self.ids, key) - 1]
        self.words.drop(key)
        if one.vector is not None:
            self.spaces[one.space].drop(key)
        return True


class InProcess:
    """A memory that ends with its process. Its vectors and words are those of each scope alone."""

    durable = False

    def __init__(self) -> None:
        self._kept: dict[Scope, _Room] = {}
        self._opened = False
        self._place = 0

    async def open(self) -> None:
        """From now on it may be used, as any other may."""
        self._opened = True

    async def close(self) -> None:
        """What is kept stays: it may be opened again."""
        self._opened = False

    @property
    def _rooms(self) -> dict[Scope, _Room]:
        if not self._opened:
            raise not_open()
        return self._kept

    async def append(self, scope: Scope, context_id: str, utterances: Sequence[Utterance]) -> int:
        conversation = self._room(scope).conversations.setdefault(context_id, _Conversation())
        new = 0
        for said in utterances:
            key = (said.task_id, said.number, said.index)
            if said.task_id and key in conversation.known:
                continue
            conversation.known.add(key)
            self._place += 1
            conversation.said.append(replace(said, place=self._place))
            new += 1
        return new

    async def window(
        self, scope: Scope, context_id: str, *, limit: int, after: int = 0, oldest: bool = False
    ) -> Sequence[Utterance]:
        conversation = self._conversation(scope, context_id)
        if conversation is None:
            return []
        start = bisect_right(conversation.said, after, key=lambda said: said.place)
        said = conversation.said[start:]
        return said[:limit] if oldest else said[-limit:]

    async def summary(self, scope: Scope, context_id: str) -> Summary | None:
        conversation = self._conversation(scope, context_id)
        return None if conversation is None else conversation.summary

    async def summarise(self, scope: Scope, context_id: str, summary: Summary) -> None:
        conversation = self._room(scope).conversations.setdefault(context_id, _Conversation())
        if conversation.summary is None or conversation.summary.covers <= summary.covers:
            conversation.summary = summary

    async def note(self, scope: Scope, context_id: str, key: str, now: int) -> Note | None:
        room = self._rooms.get(scope)
        note = room.notes.get((context_id, key)) if room is not None else None
        return note if note is not None and _lives(note, now) else None

    async def put_note(self, scope: Scope, context_id: str, note: Note) -> None:
        self._room(scope).notes[context_id, note.key] = note

    async def drop_note(self, scope: Scope, context_id: str, key: str) -> bool:
        room = self._rooms.get(scope)
        return room is not None and room.notes.pop((context_id, key), None) is not None

    async def notes(
        self, scope: Scope, context_id: str, now: int, *, prefix: str = "", after: str = "", limit: int = 100
    ) -> Sequence[Note]:
        room = self._rooms.get(scope)
        keys = (key for context, key in (room.notes if room is not None else ()) if context == context_id)
        wanted = sorted(key for key in keys if key.startswith(prefix) and key > after)
        notes = (room.notes[context_id, key] for key in wanted) if room is not None else ()
        return [note for note in notes if _lives(note, now)][:limit]

    async def put_blobs(
        self, scope: Scope, shelf: str, blobs: Mapping[str, bytes], *, at: int, replace: bool = True
    ) -> None:
        there = self._room(scope).shelves.setdefault(shelf, _Shelf())
        there.at = max(there.at, at)
        there.blobs.update((key, value) for key, value in blobs.items() if replace or key not in there.blobs)

    async def blobs(self, scope: Scope, shelf: str, keys: Sequence[str]) -> Mapping[str, bytes]:
        there = self._shelf(scope, shelf)
        return {key: there[key] for key in keys if key in there}

    async def blob_keys(
        self, scope: Scope, shelf: str, *, prefix: str = "", before: str | None = None, limit: int = 100
    ) -> Sequence[str]:
        keys = (key for key in self._shelf(scope, shelf) if key.startswith(prefix))
        return heapq.nlargest(limit, (key for key in keys if before is None or key < before))

    async def drop_blobs(self, scope: Scope, shelf: str, keys: Sequence[str] | None = None) -> int:
        there = self._shelf(scope, shelf)
        gone = [key for key in dict.fromkeys(there if keys is None else keys) if there.pop(key, None) is not None]
        if gone and not there:
            del self._rooms[scope].shelves[shelf]
        return len(gone)

    async def shelves(self, scope: Scope, *, after: str = "", limit: int = 100) -> Sequence[str]:
        room = self._rooms.get(scope)
        return sorted(name for name in (room.shelves if room is not None else ()) if name > after)[:limit]

    async def add(self, scope: Scope, records: Sequence[Indexed]) -> None:
        room = self._room(scope)
        for one in records:
            room.put(one)

    async def delete(self, scope: Scope, ids: Sequence[str]) -> int:
        room = self._rooms.get(scope)
        return 0 if room is None else sum(room.drop(key) for key in ids)

    async def records(
        self, scope: Scope, *, where: Sequence[Condition] = (), after: str = "", limit: int = 100
    ) -> Sequence[Record]:
        room = self._rooms.get(scope)
        if room is None:
            return []
        wanted = (room.records[key].record for key in room.ids[bisect_right(room.ids, after) :])
        return [record for record in wanted if fits(where, record.metadata)][:limit]

    async def nearest(
        self, scopes: Sequence[Scope], space: str, vector: Vector, *, where: Sequence[Condition] = (), limit: int
    ) -> Sequence[Found]:
        found: list[Found] = []
        for scope, room in self._there(scopes):
            if space in room.spaces:
                ranking = room.spaces[space].nearest(vector, limit, lambda key, room=room: _wanted(room, key, where))
                found += (Found(scope, room.records[key].record, score) for score, key in ranking)
        return heapq.nlargest(limit, found, key=lambda one: one.score)

    async def matching(
        self, scopes: Sequence[Scope], terms: Sequence[str], *, where: Sequence[Condition] = (), limit: int
    ) -> Sequence[Found]:
        found: list[Found] = []
        for scope, room in self._there(scopes):
            ranking = room.words.matching(terms, limit, lambda key, room=room: _wanted(room, key, where))
            found += (Found(scope, room.records[key].record, score) for score, key in ranking)
        return heapq.nlargest(limit, found, key=lambda one: one.score)

    async def forget(self, tenant: str, agent: str | None = None, caller: str | None = None) -> int:
        gone = [scope for scope in self._rooms if _is_of(scope, tenant, agent, caller)]
        return sum(_count(self._rooms.pop(scope)) for scope in gone)

    async def trim(self, *, before: int, now: int) -> int:
        gone = 0
        for room in self._rooms.values():
            for conversation in room.conversations.values():
                kept = [said for said in conversation.said if said.at >= before]
                gone += len(conversation.said) - len(kept)
                conversation.said = kept
            old = [key for key, one in room.records.items() if one.record.at < before]
            gone += sum(room.drop(key) for key in old)
            for name in [name for name, shelf in room.shelves.items() if shelf.at < before]:
                gone += len(room.shelves.pop(name).blobs)
            for place in [place for place, note in room.notes.items() if not _lives(note, now)]:
                del room.notes[place]
                gone += 1
        return gone

    async def scopes(
        self,
        tenant: str | None = None,
        agent: str | None = None,
        caller: str | None = None,
        *,
        after: Scope | None = None,
        limit: int = 100,
    ) -> Sequence[Scope]:
        behind = (scope for scope in self._rooms if after is None or scope > after)
        return sorted(scope for scope in behind if _is_of(scope, tenant, agent, caller))[:limit]

    async def stats(self, tenant: str, agent: str | None = None, caller: str | None = None) -> Stats:
        rooms = [room for scope, room in self._rooms.items() if _is_of(scope, tenant, agent, caller)]
        spaces: dict[str, int] = {}
        for one in (one for room in rooms for one in room.records.values()):
            spaces[one.space] = spaces.get(one.space, 0) + 1
        return Stats(
            contexts=sum(len(room.conversations) for room in rooms),
            utterances=sum(len(one.said) for room in rooms for one in room.conversations.values()),
            notes=sum(len(room.notes) for room in rooms),
            records=sum(len(room.records) for room in rooms),
            blobs=sum(len(shelf.blobs) for room in rooms for shelf in room.shelves.values()),
            spaces=spaces,
        )

    def _room(self, scope: Scope) -> _Room:
        return self._rooms.setdefault(scope, _Room())

    def _conversation(self, scope: Scope, context_id: str) -> _Conversation | None:
        room = self._rooms.get(scope)
        return None if room is None else room.conversations.get(context_id)

    def _shelf(self, scope: Scope, shelf: str) -> dict[str, bytes]:
        room = self._rooms.get(scope)
        there = room.shelves.get(shelf) if room is not None else None
        return {} if there is None else there.blobs

    def _there(self, scopes: Sequence[Scope]) -> Iterator[tuple[Scope, _Room]]:
        return ((scope, self._rooms[scope]) for scope in scopes if scope in self._rooms)


def _lives(note: Note, now: int) -> bool:
    return note.expires is None or note.expires > now


def _wanted(room: _Room, key: str, where: Sequence[Condition]) -> bool:
    return not where or fits(where, room.records[key].record.metadata)


def _is_of(scope: Scope, tenant: str | None, agent: str | None, caller: str | None) -> bool:
    return all(wanted in (None, name) for wanted, name in zip((tenant, agent, caller), scope, strict=True))


def _count(room: _Room) -> int:
    said = sum(len(one.said) for one in room.conversations.values())
    blobs = sum(len(shelf.blobs) for shelf in room.shelves.values())
    return said + len(room.notes) + len(room.records) + blobs
