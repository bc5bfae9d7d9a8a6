"""ADK's memory service, kept in codin's memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256

from google.adk.events.event import Event
from google.adk.memory.base_memory_service import BaseMemoryService, SearchMemoryResponse
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.sessions import Session
from google.genai import types
from pydantic_core import from_json, to_json

from codin.agent.adapters._backing import Backing
from codin.memory import Hit, Memories, Memory, Record, Scope

__all__ = ["MemoryService"]

_LONGEST = 100_000  # letters of a record; what an event says beyond them is not searched, and not given back
_PAGE = 1000
_BATCH = 100
_FORGOTTEN = "adk:forgotten:"


class MemoryService(BaseMemoryService):
    """What was said in sessions, found by meaning and by words: `Runner(..., memory_service=MemoryService())`.

    In a task it is the memory of the task's agent and caller, whatever the `user_id` is; elsewhere that of the user
    `user_id` of the agent `app_name`. Text is kept; files and calls of tools are not.

    Args:
        memories: are open while the agent runs; without them it is the memory that the server is given.
        results: entries of one search.
    """

    def __init__(self, memories: Memories | None = None, *, results: int = 10) -> None:
        self._backing = Backing(memories)
        self._results = results

    @property
    def of_server(self) -> bool:
        """Whether what is kept is in the memory of the server, which has to have one."""
        return self._backing.of_server

    async def add_session_to_memory(self, session: Session) -> None:
        """Add what was said in a session, each event once: what is there is not added again, nor what was deleted."""
        await self.add_events_to_memory(
            app_name=session.app_name, user_id=session.user_id, events=session.events, session_id=session.id
        )

    async def add_events_to_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        events: Sequence[Event],
        session_id: str | None = None,
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Add events, likewise; `custom_metadata` comes back with each of them."""
        session = session_id or ""
        records: dict[str, Record] = {}
        for event in events:
            if event.content is not None and (text := _text(event.content)):
                key = _id(app_name, session, event.id)
                metadata = _metadata(app_name, session, event.author, event.content, custom_metadata or {})
                records[key] = Record(key, text, metadata, int(event.timestamp * 1000))
        add = partial(_add_new, app_name, session, records)
        await self._backing.run(add, outside=Scope(agent=app_name, caller=user_id))

    async def add_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        memories: Sequence[MemoryEntry],
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Add entries. One with the id of another replaces that."""
        records: list[Record] = []
        for entry in memories:
            if text := _text(entry.content):
                custom = {**(custom_metadata or {}), **entry.custom_metadata}
                metadata = _metadata(app_name, "", entry.author, entry.content, custom)
                records.append(Record(_id_of(app_name, entry, text), text, metadata, _milliseconds(entry.timestamp)))
        await self._backing.run(partial(_add, records), outside=Scope(agent=app_name, caller=user_id))

    async def search_memory(self, *, app_name: str, user_id: str, query: str) -> SearchMemoryResponse:
        """The entries that fit best, best first."""
        if not query.strip():
            return SearchMemoryResponse()

        async def search(memory: Memory) -> Sequence[Hit]:
            return await memory.records.search(query, self._results, where={"adk_app": app_name}, shared=False)

        hits = await self._backing.run(search, outside=Scope(agent=app_name, caller=user_id))
        return SearchMemoryResponse(memories=[_entry(hit.record) for hit in hits])

    async def delete_memory(self, *, app_name: str, user_id: str, memory_id: str | None = None) -> None:
        """Delete the entry that a search gave with this id. To add its session again does not bring it back."""
        if memory_id is not None and memory_id.startswith("adk:"):
            await self._backing.run(partial(_forget, memory_id), outside=Scope(agent=app_name, caller=user_id))


async def _add(records: Sequence[Record], memory: Memory) -> None:
    for at in range(0, len(records), _BATCH):
        await memory.records.add_all(records[at : at + _BATCH])


async def _add_new(app: str, session: str, records: Mapping[str, Record], memory: Memory) -> None:
    """A session is added again after each turn, and its events do not change: those need no vector again."""
    known: set[str] = set()
    where, after = {"adk_app": app, "adk_session": session}, ""
    while found := await memory.records.list(where, after=after, limit=_PAGE):
        after = found[-1].id
        known.update(record.id for record in found)
    after = ""
    while notes := await memory.notes.list(_FORGOTTEN, after=after, limit=_PAGE):
        after = notes[-1].key
        known.update(note.key.removeprefix(_FORGOTTEN) for note in notes)
    await _add([record for key, record in records.items() if key not in known], memory)


async def _forget(key: str, memory: Memory) -> None:
    await memory.notes.set(f"{_FORGOTTEN}{key}", True)
    await memory.records.delete(key)


def _text(content: types.Content) -> str:
    texts = (part.text for part in content.parts or () if part.text and not part.thought)
    return "\n".join(texts).strip()[:_LONGEST]


def _id(*names: str) -> str:
    return f"adk:{sha256(to_json(names)).hexdigest()[:32]}"


def _id_of(app: str, entry: MemoryEntry, text: str) -> str:
    if entry.id is None:
        return _id(app, text, entry.author or "", entry.timestamp or "")
    return entry.id if entry.id.startswith("adk:") else _id(app, entry.id)


def _metadata(
    app: str, session: str, author: str | None, content: types.Content, custom: Mapping[str, object]
) -> dict[str, str]:
    return {
        "adk_app": app,
        "adk_session": session,
        "author": author or "",
        "role": content.role or "",
        "adk_metadata": to_json(custom, fallback=str).decode(),
    }


def _entry(record: Record) -> MemoryEntry:
    metadata = record.metadata
    return MemoryEntry(
        id=record.id,
        content=types.Content(role=metadata["role"] or None, parts=[types.Part(text=record.text)]),
        author=metadata["author"] or None,
        timestamp=datetime.fromtimestamp(record.at / 1000, UTC).isoformat(),
        custom_metadata=from_json(metadata["adk_metadata"]),
    )


def _milliseconds(timestamp: str | None) -> int:
    """When an entry is from; 0 is when it is added, also for what is no time."""
    try:
        return int(datetime.fromisoformat(timestamp or "").timestamp() * 1000)
    except ValueError:
        return 0
