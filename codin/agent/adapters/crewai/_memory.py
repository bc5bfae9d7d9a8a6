"""CrewAI's memory, kept in codin's."""

from __future__ import annotations

import math
from array import array
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Self, TypeVar

from crewai.memory.types import MemoryRecord, ScopeInfo

from codin.agent.adapters._backing import Backing
from codin.errors import ConfigError, NotKept
from codin.memory import Indexed, Memories, Memory, Record, Scope, conditions_of, terms_of
from codin.memory._memory import backend_of

__all__ = ["CodinStorage"]

T = TypeVar("T")

_PAGE = 1000
_FEW = 20
_OWN = "crewai:"
_ONE = "use the embedder that the memory was filled with, or reset the memory"


class CodinStorage:
    """What CrewAI's memory keeps, for each agent and caller its own: `Memory(storage=CodinStorage(), …)`.

    In a task it is the memory of the task's caller; CrewAI's scopes divide that, and lead nowhere else. Found by the
    vectors of CrewAI's embedder alone: it asks a storage with the vector of a question, and not with its words.

    Without "a" the methods block, and come back to the event loop of the task, or to the one that `memories` was opened
    on. A program that has none needs none: what was made outside of coroutines opens `memories` by itself.

    Args:
        memories: are open while the crew runs; without them it is the memory that the server is given.
        outside: whose memory it is outside of tasks; without it nothing is kept there.
    """

    def __init__(self, memories: Memories | None = None, *, outside: Scope | None = None) -> None:
        self._backing = Backing(memories, outside, alone=True)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # a crew is copied for each task, and all of them remember in one place

    # -- what CrewAI's memory calls ------------------------------------------------------------------------------------

    def save(self, records: list[MemoryRecord]) -> None:
        """Keep records. Raises NotKept for one that is too large, or has a vector of another length than the others."""
        self._wait(partial(_Kept.save, records=records))

    def search(
        self,
        query_embedding: list[float],
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        metadata_filter: dict[str, Any] | None = None,
        limit: int = 10,
        min_score: float = 0.0,
    ) -> list[tuple[MemoryRecord, float]]:
        """The nearest records with their cosines, nearest first.

        Raises:
            ConfigError: the vectors that are kept have another length: another embedder made them.
        """
        wanted = _Wanted(scope_prefix, categories, metadata_filter)
        return self._wait(
            partial(_Kept.search, vector=query_embedding, wanted=wanted, limit=limit, min_score=min_score)
        )

    def delete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """Delete what meets all that is given; how many there were."""
        wanted = _Wanted(scope_prefix, categories, metadata_filter, record_ids, older_than)
        return self._wait(partial(_Kept.delete, wanted=wanted))

    def update(self, record: MemoryRecord) -> None:
        """Replace a record. One without a vector keeps the vector that it had."""
        self._wait(partial(_Kept.update, record=record))

    def touch_records(self, record_ids: list[str]) -> None:
        """Records were used now, as CrewAI says after it has recalled them."""
        self._wait(partial(_Kept.touch, keys=record_ids))

    def get_record(self, record_id: str) -> MemoryRecord | None:
        """A record, with its vector."""
        return self._wait(partial(_Kept.get, key=record_id))

    def list_records(self, scope_prefix: str | None = None, limit: int = 200, offset: int = 0) -> list[MemoryRecord]:
        """Records, newest first."""
        return self._wait(partial(_Kept.newest, scope=scope_prefix, limit=limit, offset=offset))

    def get_scope_info(self, scope: str) -> ScopeInfo:
        """What there is in a scope and below it."""
        found = self._indexed(scope)
        created = [
            datetime.fromtimestamp(record.metadata["crewai_created"], UTC).replace(tzinfo=None) for record in found
        ]
        return ScopeInfo(
            path=_path(scope),
            record_count=len(found),
            categories=sorted({name for record in found for name in record.metadata["crewai_categories"]}),
            oldest_record=min(created, default=None),
            newest_record=max(created, default=None),
            child_scopes=_children(found, scope),
        )

    def list_scopes(self, parent: str = "/") -> list[str]:
        """The scopes right below one."""
        return _children(self._indexed(parent), parent)

    def list_categories(self, scope_prefix: str | None = None) -> dict[str, int]:
        """How many records each category has."""
        found = self._indexed(scope_prefix)
        return dict(Counter(name for record in found for name in record.metadata["crewai_categories"]))

    def count(self, scope_prefix: str | None = None) -> int:
        """How many records there are."""
        return len(self._indexed(scope_prefix))

    def reset(self, scope_prefix: str | None = None) -> None:
        """Delete all of a scope."""
        self.delete(scope_prefix)

    def close(self) -> None:
        """End what was begun and opened for a program without an event loop. What is kept stays."""
        self._backing.close()

    async def asave(self, records: list[MemoryRecord]) -> None:
        """`save`, awaited."""
        await self._run(partial(_Kept.save, records=records))

    async def asearch(
        self,
        query_embedding: list[float],
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        metadata_filter: dict[str, Any] | None = None,
        limit: int = 10,
        min_score: float = 0.0,
    ) -> list[tuple[MemoryRecord, float]]:
        """`search`, awaited."""
        wanted = _Wanted(scope_prefix, categories, metadata_filter)
        return await self._run(
            partial(_Kept.search, vector=query_embedding, wanted=wanted, limit=limit, min_score=min_score)
        )

    async def adelete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """`delete`, awaited."""
        wanted = _Wanted(scope_prefix, categories, metadata_filter, record_ids, older_than)
        return await self._run(partial(_Kept.delete, wanted=wanted))

    # -- where it happens ----------------------------------------------------------------------------------------------

    def _indexed(self, scope: str | None) -> Sequence[Record]:
        return self._wait(partial(_Kept.indexed, scope=scope))

    def _wait(self, work: Callable[[_Kept], Coroutine[Any, Any, T]]) -> T:
        return self._backing.wait(lambda memory: work(_Kept(memory)))

    async def _run(self, work: Callable[[_Kept], Coroutine[Any, Any, T]]) -> T:
        return await self._backing.run(lambda memory: work(_Kept(memory)))


class _Wanted:
    """What a search or a deletion is limited to."""

    def __init__(
        self,
        scope: str | None,
        categories: Sequence[str] | None,
        metadata: Mapping[str, Any] | None,
        ids: Sequence[str] | None = None,
        before: datetime | None = None,
    ) -> None:
        self.scope = _path(scope)
        self.ids = ids
        self._categories = categories
        self._metadata = metadata or {}
        self._before = before

    def __contains__(self, record: MemoryRecord) -> bool:
        return (
            self.scope in _above(record.scope)
            and (self._before is None or _seconds(record.created_at) < _seconds(self._before))
            and (not self._categories or any(name in record.categories for name in self._categories))
            and all(record.metadata.get(name) == value for name, value in self._metadata.items())
        )


class _Kept:
    """The records of one caller: each is a note, and an entry in the index with its vector."""

    def __init__(self, memory: Memory) -> None:
        self._backend = backend_of(memory)
        self._scope = memory.scope
        self._notes = memory.notes

    async def save(self, records: Sequence[MemoryRecord]) -> None:
        await self._check_lengths(records)
        for record, entry in [(record, _entry(record)) for record in records]:
            await self._keep(record)
            await self._backend.add(self._scope, [entry])

    async def _keep(self, record: MemoryRecord) -> None:
        vector = b64encode(array("f", record.embedding or [])).decode()
        await self._notes.set(f"{_OWN}{record.id}", {"record": record.model_dump(mode="json"), "vector": vector})

    async def _check_lengths(self, records: Sequence[MemoryRecord]) -> None:
        lengths = {len(record.embedding) for record in records if record.embedding}
        if not lengths:
            return
        if known := await self._length({f"{_OWN}{record.id}" for record in records}):
            lengths.add(known)
        if len(lengths) > 1:
            raise NotKept(f"vectors of {' and '.join(map(str, sorted(lengths)))} numbers cannot be compared", hint=_ONE)

    async def _length(self, but: Collection[str] = ()) -> int | None:
        """How long the vectors are that there are: all of them, so that one says it."""
        after = _OWN
        while page := await self._notes.list(_OWN, after=after, limit=_FEW):
            for note in page:
                if note.key not in but and note.value["vector"]:
                    return len(b64decode(note.value["vector"])) // 4
            after = page[-1].key
        return None

    async def touch(self, keys: Sequence[str]) -> None:
        now = datetime.now(UTC).replace(tzinfo=None)
        for key in keys:
            if (record := await self.get(key)) is not None:
                await self._keep(record.model_copy(update={"last_accessed": now}))

    async def update(self, record: MemoryRecord) -> None:
        if not record.embedding and (before := await self.get(record.id)) is not None:
            record = record.model_copy(update={"embedding": before.embedding})
        await self.save([record])

    async def get(self, key: str) -> MemoryRecord | None:
        kept = await self._notes.get(f"{_OWN}{key}")
        if kept is None:
            return None
        vector = array("f", b64decode(kept["vector"])).tolist()
        return MemoryRecord.model_validate({**kept["record"], "embedding": vector or None})

    async def search(
        self, vector: Sequence[float], wanted: _Wanted, limit: int, min_score: float
    ) -> list[tuple[MemoryRecord, float]]:
        """The nearest; what they have to be besides may lead further down."""
        length = math.hypot(*vector)
        if limit <= 0 or not length:
            return []
        where, query, k = _where(wanted.scope), [number / length for number in vector], limit
        while True:
            hits = await self._backend.nearest([self._scope], _space(vector), query, where=where, limit=k)
            near = [(hit.record.id.removeprefix(_OWN), hit.score) for hit in hits if hit.score >= min_score]
            known = [(await self.get(key), score) for key, score in near]
            found = [(record, score) for record, score in known if record is not None and record in wanted]
            if not hits and (known := await self._length()) not in (None, len(vector)):
                asked = f"the question has a vector of {len(vector)} numbers, and what is kept has {known}"
                raise ConfigError(asked, hint=_ONE)
            if len(found) >= limit or len(near) < k:
                return found[:limit]
            k *= 4

    async def delete(self, wanted: _Wanted) -> int:
        gone = 0
        ids = wanted.ids
        if ids is None:
            ids = [entry.id.removeprefix(_OWN) for entry in await self.indexed(wanted.scope)]
        for key in ids:
            record = await self.get(key)
            if record is None or record in wanted:
                await self._backend.delete(self._scope, [f"{_OWN}{key}"])
                gone += await self._notes.delete(f"{_OWN}{key}")
        return gone

    async def newest(self, scope: str | None, limit: int, offset: int) -> list[MemoryRecord]:
        entries = sorted(await self.indexed(scope), key=lambda entry: -entry.metadata["crewai_created"])
        chosen = entries[offset : offset + limit] if limit > 0 <= offset else []
        found = [await self.get(entry.id.removeprefix(_OWN)) for entry in chosen]
        return [record for record in found if record is not None]

    async def indexed(self, scope: str | None) -> Sequence[Record]:
        """Of each record what the index knows: its scopes, categories, and when it is from."""
        entries: list[Record] = []
        after, where = "", _where(scope)
        while page := await self._backend.records(self._scope, where=where, after=after, limit=_PAGE):
            entries += page
            after = page[-1].id
        return entries


def _entry(record: MemoryRecord) -> Indexed:
    vector = record.embedding or []
    length = math.hypot(*vector)
    if not math.isfinite(length):
        raise NotKept(f"the vector of {record.id!r} has members that are no numbers")
    metadata = {
        "crewai": _above(record.scope),
        "crewai_categories": record.categories,
        "crewai_created": _seconds(record.created_at),
    }
    text = record.content.replace("\x00", "\ufffd")
    kept = Record(f"{_OWN}{record.id}", text, metadata, int(_seconds(record.created_at) * 1000))
    return Indexed(kept, terms_of(text), _space(vector), [number / length for number in vector] if length else None)


def _space(vector: Sequence[float]) -> str:
    return f"crewai/{len(vector)}"


def _path(scope: str | None) -> str:
    return "/" + "/".join(name for name in (scope or "").split("/") if name)


def _above(scope: str) -> list[str]:
    """A scope and those it is in, by which a search finds what is below."""
    names = _path(scope).split("/")[1:]
    return ["/", *("/" + "/".join(names[:depth]) for depth in range(1, len(names) + 1) if names[0])]


def _where(scope: str | None) -> Any:
    return conditions_of({"crewai": _path(scope)})


def _children(entries: Sequence[Record], scope: str | None) -> list[str]:
    depth = len(_above(scope or "/"))
    return sorted({entry.metadata["crewai"][depth] for entry in entries if len(entry.metadata["crewai"]) > depth})


def _seconds(at: datetime) -> float:
    """CrewAI's times are of UTC, and do not say it."""
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
