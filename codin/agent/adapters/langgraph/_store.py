"""LangGraph's store, kept in codin's memory: items are notes, and records by which they are searched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from operator import ge, gt, le, lt
from typing import Any, Literal, TypedDict, cast

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    get_text_at_path,
    validate_op_namespace,
)

from codin.agent.adapters._backing import Backing
from codin.errors import EmbeddingFailed
from codin.memory import Memories, Memory, Scope
from codin.task._clock import now_ms

__all__ = ["CodinStore"]

_PAGE = 1000
_NEVER = 2**53
_MINUTE = 60_000
_RENEWED = 0.1
"""A read renews an item when so much of its time is over: not each one writes it anew, and makes a vector again."""
_SWEPT = 100
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le}

Namespace = tuple[str, ...]


class CodinStore(BaseStore):
    """A store for `compile(store=CodinStore())`, with one content for each agent and caller.

    In a task it is the memory of the task's caller; a namespace divides that, and leads nowhere else. Items are found
    by meaning and by words with `query`; without it they come in the order of their namespaces and keys.

    In a node that is a coroutine, await its asynchronous methods; the others are for nodes that run in threads.

    Args:
        memories: are open while the graph runs; without them it is the memory that the server is given.
        outside: whose memory it is outside of tasks; without it nothing is kept there.
        fields: paths of what is searched in items that do not say it themselves, "$" is all of an item.
        ttl: how long items are kept that do not say it themselves, in minutes since they were read last.
    """

    supports_ttl = True

    def __init__(
        self,
        memories: Memories | None = None,
        *,
        outside: Scope | None = None,
        fields: Sequence[str] = ("$",),
        ttl: TTLConfig | None = None,
    ) -> None:
        self._backing = Backing(memories, outside)
        self._fields = list(fields)
        self.ttl_config = ttl

    @property
    def of_server(self) -> bool:
        """Whether what is kept is in the memory of the server, which has to have one."""
        return self._backing.of_server

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do all of it, what reads before what writes, and wait. `get`, `put`, `search` … are made of this.

        Raises:
            ConfigError: called on the event loop, or outside of tasks without `outside`.
            NotKept: an item is larger than a note may be, or its labels and key longer than 188 letters, with a
                dot for each label.
        """
        return self._backing.wait(partial(self._batch, _checked(ops)))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """The same, awaited."""
        return await self._backing.run(partial(self._batch, _checked(ops)))

    async def _batch(self, ops: Sequence[Op], memory: Memory) -> list[Result]:
        items = _Items(memory, self._fields)
        results: list[Result] = []
        puts: dict[str, PutOp] = {}
        for op in ops:
            if isinstance(op, PutOp):
                puts[_id(op.namespace, op.key)] = op
                results.append(None)
            else:
                results.append(await items.read(op))
        for op in puts.values():
            await items.put(op)
        return results


class _Kept(TypedDict):
    """An item as a note has it; times in milliseconds, `ttl` in minutes."""

    namespace: list[str]
    key: str
    value: dict[str, Any]
    index: Literal[False] | list[str] | None
    ttl: float | None
    created: int
    updated: int
    renewed: int


class _Items:
    """The items of one caller."""

    def __init__(self, memory: Memory, fields: Sequence[str]) -> None:
        self._notes = memory.notes
        self._records = memory.records
        self._fields = fields

    async def read(self, op: GetOp | SearchOp | ListNamespacesOp) -> Result:
        if isinstance(op, GetOp):
            kept = await self._get(_id(op.namespace, op.key))
            return None if kept is None else Item(**_shown(await self._used(kept, op.refresh_ttl)))
        if isinstance(op, ListNamespacesOp):
            return await self._namespaces(op)
        found = await (self._found(op) if op.query else self._listed(op))
        chosen = found[op.offset : op.offset + op.limit]
        return [SearchItem(**_shown(await self._used(kept, op.refresh_ttl)), score=score) for kept, score in chosen]

    async def put(self, op: PutOp) -> None:
        key, now = _id(op.namespace, op.key), now_ms()
        if op.value is None:
            await self._records.delete(key)
            await self._notes.delete(key)
            return
        before = await self._get(key)
        kept = _Kept(
            namespace=list(op.namespace),
            key=op.key,
            value=dict(op.value),
            index=op.index,
            ttl=op.ttl,
            created=now if before is None else before["created"],
            updated=now,
            renewed=now,
        )
        await self._keep(kept)
        if op.ttl is not None:
            await self._sweep(now)

    async def _get(self, key: str) -> _Kept | None:
        return await self._notes.get(key)

    async def _keep(self, kept: _Kept) -> None:
        key, ttl = _id(kept["namespace"], kept["key"]), kept["ttl"]
        await self._notes.set(key, kept, ttl=None if ttl is None else ttl * 60)
        text = self._text(kept)
        if not text.strip():
            await self._records.delete(key)
            return
        expires = _NEVER if ttl is None else kept["renewed"] + int(ttl * _MINUTE)
        metadata = {"langgraph": list(_paths(kept["namespace"])), "expires": expires}
        await self._records.add(text, id=key, metadata=metadata)

    def _text(self, kept: _Kept) -> str:
        if kept["index"] is False:
            return ""
        fields = self._fields if kept["index"] is None else kept["index"]
        value = kept["value"]
        texts = (_leaves(value) if field in ("", "$") else get_text_at_path(value, field) for field in fields)
        return "\n".join(text for each in texts for text in each)

    async def _used(self, kept: _Kept, refresh: bool) -> _Kept:
        """The same, with its time begun anew. What somebody else has put there in this moment is lost then."""
        ttl, now = kept["ttl"], now_ms()
        if refresh and ttl is not None and now - kept["renewed"] >= ttl * _MINUTE * _RENEWED:
            with suppress(EmbeddingFailed):  # it is kept for longer, and found by `query` when it is renewed again
                await self._keep({**kept, "renewed": now})
        return kept

    async def _sweep(self, now: int) -> None:
        """Notes are gone when their time is over; what is searched in their place has to be taken away."""
        gone = await self._records.list({"langgraph": ".", "expires": {"lte": now}}, limit=_SWEPT)
        if gone:
            await self._records.delete(*(record.id for record in gone))

    async def _all(self, prefix: Sequence[str]) -> AsyncIterator[_Kept]:
        begin, after = f"langgraph:{_path(prefix)}", ""
        while page := await self._notes.list(begin, after=after, limit=_PAGE):
            for note in page:
                yield note.value
            after = page[-1].key

    async def _listed(self, op: SearchOp) -> list[tuple[_Kept, float | None]]:
        found: list[tuple[_Kept, float | None]] = []
        async for kept in self._all(op.namespace_prefix):
            if len(found) >= op.offset + op.limit:
                break
            if _fits(kept["value"], op.filter or {}):
                found.append((kept, None))
        return found

    async def _found(self, op: SearchOp) -> list[tuple[_Kept, float | None]]:
        """As many of the best as are asked for, and fit; a filter may need to look further down."""
        where = {"langgraph": _path(op.namespace_prefix), "expires": {"gt": now_ms()}}
        wanted = k = max(1, op.offset + op.limit)
        while True:
            hits = await self._records.search(op.query or "", k, where=where, shared=False)
            found: list[tuple[_Kept, float | None]] = []
            for hit in hits:
                kept = await self._get(hit.record.id)
                if kept is not None and _fits(kept["value"], op.filter or {}):
                    found.append((kept, hit.score))
            if len(found) >= wanted or len(hits) < k:
                return found
            k *= 4

    async def _namespaces(self, op: ListNamespacesOp) -> list[Namespace]:
        conditions = op.match_conditions or ()
        found: set[Namespace] = set()
        async for kept in self._all(()):
            namespace = tuple(kept["namespace"])
            if all(_matches(condition, namespace) for condition in conditions):
                found.add(namespace[: op.max_depth])
        return sorted(found)[op.offset : op.offset + op.limit]


def _checked(ops: Iterable[Op]) -> list[Op]:
    ops = list(ops)
    for op in ops:
        validate_op_namespace(op)
    return ops


def _path(namespace: Sequence[str]) -> str:
    return "." + "".join(f"{label}." for label in namespace)


def _paths(namespace: Sequence[str]) -> Iterator[str]:
    """Its own and those above it, by which a search finds what is below."""
    return (_path(namespace[:depth]) for depth in range(len(namespace) + 1))


def _id(namespace: Sequence[str], key: str) -> str:
    # No label is empty or has a dot: the first two dots together are the end of the namespace, whatever the key is.
    return f"langgraph:{_path(namespace)}.{key}"


def _shown(kept: _Kept) -> dict[str, Any]:
    return {
        "namespace": tuple(kept["namespace"]),
        "key": kept["key"],
        "value": kept["value"],
        "created_at": datetime.fromtimestamp(kept["created"] / 1000, UTC),
        "updated_at": datetime.fromtimestamp(kept["updated"] / 1000, UTC),
    }


def _leaves(value: Any) -> Iterator[str]:
    """What is said in an item, without the names of its fields."""
    if isinstance(value, Mapping):
        value = list(cast("Mapping[str, Any]", value).values())
    if isinstance(value, list | tuple):
        for each in cast("Sequence[Any]", value):
            yield from _leaves(each)
    elif value is not None:
        yield str(value)


def _matches(condition: MatchCondition, namespace: Namespace) -> bool:
    path = condition.path
    if len(namespace) < len(path):
        return False
    part = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", label) for wanted, label in zip(path, part, strict=True))


def _fits(value: Any, wanted: Any) -> bool:
    """LangGraph's filters: equality at any depth, or operators."""
    if not isinstance(wanted, Mapping):
        return value == wanted
    pairs = cast("Mapping[str, Any]", wanted)
    if any(name.startswith("$") for name in pairs):
        return all(_holds(value, operator, than) for operator, than in pairs.items())
    fields = cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else None
    return fields is not None and all(_fits(fields.get(name), each) for name, each in pairs.items())


def _holds(value: Any, operator: str, than: Any) -> bool:
    if operator in ("$eq", "$ne"):
        return (value == than) is (operator == "$eq")
    if operator not in _ORDER:
        raise ValueError(f"there is no operator {operator!r} in a filter: $eq, $ne, $gt, $gte, $lt, $lte")
    try:
        return _ORDER[operator](float(value), float(than))
    except (TypeError, ValueError):
        return isinstance(value, str) and isinstance(than, str) and _ORDER[operator](value, than)
