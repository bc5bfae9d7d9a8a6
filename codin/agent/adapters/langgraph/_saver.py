"""LangGraph's checkpoints, kept in codin's memory: a thread is a shelf, and a checkpoint a few blobs on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, unquote

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    PendingWrite,
    get_checkpoint_metadata,
    writes_sort_key,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from pydantic_core import from_json, to_json

from codin.agent.adapters._backing import Backing
from codin.memory import Blobs, Memories, Memory, Scope

__all__ = ["CodinSaver"]

T = TypeVar("T")

_PAGE = 1000
_OWN = "langgraph:"
_DELTAS = "counters_since_delta_snapshot"


class CodinSaver(BaseCheckpointSaver[int]):
    """A checkpointer for `compile(checkpointer=CodinSaver())`, with threads for each agent and caller.

    In a task it is the memory of the task's caller: a thread id leads to no thread of another caller, and a listing has
    none of it. A checkpoint is kept all or none; `forget` erases it, and retention a thread that nothing was added to
    for long.

    Its methods without "a" block, and are for graphs that run in threads.

    Args:
        memories: are open while the graph runs; without them it is the memory that the server is given.
        outside: whose memory it is outside of tasks; without it nothing is kept there.
        serde: makes bytes of what is kept, such as LangGraph's `EncryptedSerializer`.

    Raises:
        NotKept: from what writes: a checkpoint is larger than the blobs of one call may be (`MemoryLimits(blobs=…)`).
    """

    def __init__(
        self,
        memories: Memories | None = None,
        *,
        outside: Scope | None = None,
        serde: SerializerProtocol | None = None,
    ) -> None:
        super().__init__(serde=serde)
        self._backing = Backing(memories, outside)
        self._memories = memories

    @property
    def of_server(self) -> bool:
        """Whether what is kept is in the memory of the server, which has to have one."""
        return self._backing.of_server

    @property
    def durable(self) -> bool:
        """Whether what is kept outlives the process, which for the server's memory is the server's business."""
        return self._memories is None or self._memories.backend.durable

    # -- awaited -------------------------------------------------------------------------------------------------------

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that a config names, or the newest of its thread and namespace."""
        return await self._run(partial(_Kept.get, config=config))

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Checkpoints, the newest first: of a thread, or of all threads of the caller.

        Args:
            filter: what their metadata has to have.
        """
        number = 0
        for place in await self._run(partial(_Kept.places, config=config, before=before)):
            if limit is not None and number >= limit:
                return
            found = await self._run(partial(_Kept.load, place=place, wanted=filter))
            if found is not None:
                yield found
                number += 1

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint, whose parent is the one that `config` names."""
        return await self._run(partial(_Kept.put, config=config, checkpoint=checkpoint, metadata=metadata))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep what a task wrote after a checkpoint."""
        await self._run(partial(_Kept.put_writes, config=config, writes=writes, task_id=task_id, task_path=task_path))

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread."""
        await self._run(partial(_Kept.delete, thread=thread_id))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints of some runs, by the `run_id` in their metadata, in all threads of the caller."""
        await self._run(partial(_Kept.delete_runs, runs=run_ids))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all of a thread, the oldest checkpoint first."""
        await self._run(partial(_Kept.copy, source=source_thread_id, target=target_thread_id))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete all but the newest checkpoint of each namespace, and what its delta channels need.

        Args:
            strategy: "delete" deletes that too.
        """
        await self._run(partial(_Kept.prune, threads=thread_ids, strategy=strategy))

    # -- the same, for threads -----------------------------------------------------------------------------------------

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """`aget_tuple`, in a thread. Raises ConfigError on the event loop."""
        return self._wait(partial(_Kept.get, config=config))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """`alist`, in a thread."""
        number = 0
        for place in self._wait(partial(_Kept.places, config=config, before=before)):
            if limit is not None and number >= limit:
                return
            found = self._wait(partial(_Kept.load, place=place, wanted=filter))
            if found is not None:
                yield found
                number += 1

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """`aput`, in a thread."""
        return self._wait(partial(_Kept.put, config=config, checkpoint=checkpoint, metadata=metadata))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """`aput_writes`, in a thread."""
        self._wait(partial(_Kept.put_writes, config=config, writes=writes, task_id=task_id, task_path=task_path))

    def delete_thread(self, thread_id: str) -> None:
        """`adelete_thread`, in a thread."""
        self._wait(partial(_Kept.delete, thread=thread_id))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """`adelete_for_runs`, in a thread."""
        self._wait(partial(_Kept.delete_runs, runs=run_ids))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """`acopy_thread`, in a thread."""
        self._wait(partial(_Kept.copy, source=source_thread_id, target=target_thread_id))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """`aprune`, in a thread."""
        self._wait(partial(_Kept.prune, threads=thread_ids, strategy=strategy))

    # -- where it happens ----------------------------------------------------------------------------------------------

    async def _run(self, work: Callable[[_Kept], Coroutine[Any, Any, T]]) -> T:
        return await self._backing.run(partial(self._of, work))

    def _wait(self, work: Callable[[_Kept], Coroutine[Any, Any, T]]) -> T:
        return self._backing.wait(partial(self._of, work))

    def _of(self, work: Callable[[_Kept], Coroutine[Any, Any, T]], memory: Memory) -> Coroutine[Any, Any, T]:
        return work(_Kept(memory.blobs, self.serde))


class _Place(NamedTuple):
    """Where a checkpoint is: on the shelf of its thread, the blobs that begin with its namespace and id.

    Args:
        keys: of the blobs that there are.
    """

    shelf: str
    namespace: str
    id: str
    keys: Sequence[str] = ()

    @property
    def path(self) -> str:
        return f"{quote(self.namespace, safe='')}/{quote(self.id, safe='')}/"

    @property
    def whole(self) -> bool:
        """What a task writes may be there before the checkpoint is, and is none of itself."""
        return self.path + "checkpoint" in self.keys

    def config(self, id: str) -> RunnableConfig:
        thread = self.shelf.removeprefix(_OWN)
        return {"configurable": {"thread_id": thread, "checkpoint_ns": self.namespace, "checkpoint_id": id}}


class _Kept:
    """The threads of one caller."""

    def __init__(self, blobs: Blobs, serde: SerializerProtocol) -> None:
        self._blobs = blobs
        self._serde = serde

    # -- reading -------------------------------------------------------------------------------------------------------

    async def get(self, config: RunnableConfig) -> CheckpointTuple | None:
        place = _place(config)
        prefix = place.path if place.id else place.path.removesuffix("/")
        async for found in self._places(place.shelf, prefix):
            if found.whole:
                return await self.load(found)
        return None

    async def places(self, config: RunnableConfig | None, before: RunnableConfig | None) -> Sequence[_Place]:
        """Where the checkpoints are that a listing is of, the newest first."""
        wanted = None if config is None else _place(config)
        prefix = ""
        if config is not None and wanted is not None and "checkpoint_ns" in config.get("configurable", {}):
            prefix = quote(wanted.namespace, safe="") + "/"
        shelves = [wanted.shelf] if wanted is not None else [shelf async for shelf in self._shelves()]
        found = [place for shelf in shelves async for place in self._places(shelf, prefix) if place.whole]
        if wanted is not None and wanted.id:
            found = [place for place in found if place.id == wanted.id]
        if before is not None and (end := _place(before).id):
            found = [place for place in found if place.id < end]
        return sorted(found, key=lambda place: place.id, reverse=True)

    async def load(self, place: _Place, wanted: Mapping[str, Any] | None = None) -> CheckpointTuple | None:
        """The checkpoint, if it is still there, and its metadata has what is wanted."""
        if wanted:
            metadata = await self._metadata(place)
            if any(metadata.get(name) != value for name, value in wanted.items()):
                return None
        kept = await self._blobs.get(place.shelf, *place.keys)
        if place.path + "checkpoint" not in kept:
            return None
        _, checkpoint = self._opened(kept[place.path + "checkpoint"])
        (parent,), metadata = self._opened(kept[place.path + "metadata"])
        return CheckpointTuple(
            place.config(place.id),
            checkpoint,
            metadata,
            place.config(parent) if parent else None,
            self._writes(place, kept),
        )

    def _writes(self, place: _Place, kept: Mapping[str, bytes]) -> list[PendingWrite]:
        opened = [self._opened(data) for key, data in kept.items() if key.startswith(f"{place.path}writes/")]
        opened.sort(key=lambda write: writes_sort_key(*write[0][:3]))
        return [(task, channel, value) for (_, task, _, channel), value in opened]

    async def _metadata(self, place: _Place) -> Mapping[str, Any]:
        kept = await self._blobs.get(place.shelf, f"{place.path}metadata")
        return self._opened(*kept.values())[1] if kept else {}

    async def _places(self, shelf: str, prefix: str = "") -> AsyncIterator[_Place]:
        """What is on a shelf, by namespace and id, the last first."""
        path, keys = "", list[str]()
        async for key in self._keys(shelf, prefix):
            namespace, id, _ = key.split("/", 2)
            if path != f"{namespace}/{id}/":
                if keys:
                    yield _at(shelf, path, keys)
                path, keys = f"{namespace}/{id}/", []
            keys.append(key)
        if keys:
            yield _at(shelf, path, keys)

    async def _keys(self, shelf: str, prefix: str) -> AsyncIterator[str]:
        before: str | None = None
        while page := await self._blobs.keys(shelf, prefix, before=before, limit=_PAGE):
            for key in page:
                yield key
            before = page[-1]

    async def _shelves(self) -> AsyncIterator[str]:
        after = _OWN
        while page := await self._blobs.shelves(after=after, limit=_PAGE):
            for shelf in page:
                if not shelf.startswith(_OWN):
                    return
                yield shelf
            after = page[-1]

    # -- writing -------------------------------------------------------------------------------------------------------

    async def put(self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata) -> RunnableConfig:
        parent = _place(config)
        place = parent._replace(id=checkpoint["id"])
        told = get_checkpoint_metadata(config, metadata)
        blobs = {"checkpoint": self._packed((), checkpoint), "metadata": self._packed((parent.id,), told)}
        await self._blobs.put(place.shelf, {place.path + name: data for name, data in blobs.items()})
        return place.config(place.id)

    async def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> None:
        place = _place(config)
        usual: dict[str, bytes] = {}
        special: dict[str, bytes] = {}
        for number, (channel, value) in enumerate(writes):
            index = WRITES_IDX_MAP.get(channel, number)
            key = f"{place.path}writes/{quote(task_id, safe='')}/{index}"
            to = special if channel in WRITES_IDX_MAP else usual
            to[key] = self._packed((task_path, task_id, index, channel), value)
        # A task that has written is not run again, whose usual writes are therefore all there or none.
        await self._blobs.put(place.shelf, special)
        await self._blobs.put(place.shelf, usual, replace=False)

    def _packed(self, head: Sequence[Any], value: Any) -> bytes:
        kind, data = self._serde.dumps_typed(value)
        return to_json([kind, *head]) + b"\n" + data

    def _opened(self, blob: bytes) -> tuple[Sequence[Any], Any]:
        head, _, data = blob.partition(b"\n")
        kind, *told = from_json(head)
        return told, self._serde.loads_typed((kind, data))

    # -- deleting and copying ------------------------------------------------------------------------------------------

    async def delete(self, thread: str) -> None:
        await self._blobs.delete(_shelf(thread))

    async def delete_runs(self, runs: Sequence[str]) -> None:
        async for shelf in self._shelves():
            places = [place async for place in self._places(shelf) if place.whole]
            gone = [place for place in places if (await self._metadata(place)).get("run_id") in runs]
            await self._blobs.delete(shelf, [key for place in gone for key in place.keys])

    async def copy(self, source: str, target: str) -> None:
        places = [place async for place in self._places(_shelf(source))]
        for place in sorted(places, key=lambda place: place.id):
            await self._blobs.put(_shelf(target), await self._blobs.get(place.shelf, *place.keys))

    async def prune(self, threads: Sequence[str], strategy: str) -> None:
        if strategy not in ("keep_latest", "delete"):
            raise ValueError(f"there is no strategy {strategy!r}: keep_latest, delete")
        for thread in threads:
            if strategy == "delete":
                await self.delete(thread)
                continue
            places = [place async for place in self._places(_shelf(thread))]
            for namespace in {place.namespace for place in places}:
                await self._prune([place for place in places if place.namespace == namespace])

    async def _prune(self, places: Sequence[_Place]) -> None:
        """Of one namespace, whose checkpoints come newest first. Writes that have no checkpoint yet stay."""
        start = next((number for number, place in enumerate(places) if place.whole), len(places))
        kept = await self._needed(places[start:])
        gone = [place for place in places[start:] if place.id not in kept]
        await self._blobs.delete(places[0].shelf, [key for place in gone for key in place.keys])

    async def _needed(self, places: Sequence[_Place]) -> set[str]:
        """The first, and its ancestors up to where each of its delta channels has a whole value."""
        known = {place.id: place for place in places}
        kept: set[str] = set()
        seeking: set[str] | None = None
        id = places[0].id if places else ""
        while id in known and id not in kept and seeking != set():
            kept.add(id)
            found = await self.load(known[id])
            if found is None:
                break
            if seeking is None:
                seeking = set(found.metadata.get(_DELTAS) or ())
            seeking -= set(found.checkpoint["channel_values"])
            id = "" if found.parent_config is None else _place(found.parent_config).id
        return kept


def _place(config: RunnableConfig) -> _Place:
    given = config.get("configurable", {})
    return _Place(_shelf(given["thread_id"]), given.get("checkpoint_ns", ""), given.get("checkpoint_id") or "")


def _at(shelf: str, path: str, keys: Sequence[str]) -> _Place:
    namespace, id, _ = path.split("/")
    return _Place(shelf, unquote(namespace), unquote(id), keys)


def _shelf(thread: object) -> str:
    return f"{_OWN}{thread}"
