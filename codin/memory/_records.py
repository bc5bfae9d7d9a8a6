"""Texts that can be searched by meaning and by words."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args
from uuid import uuid4

from pydantic_core import to_json

from codin.errors import ConfigError, FilterRefused, NotKept
from codin.memory._asked import text, texts
from codin.memory._embedding import embedded
from codin.memory._filter import Condition, Filter, check_key, conditions_of
from codin.memory._fusion import fused
from codin.memory._limits import MemoryLimits, within
from codin.memory._protocol import Found, Indexed, MemoryBackend, Record, Scope
from codin.memory._stop_words import telling
from codin.memory._storable import storable
from codin.memory._words import terms_of
from codin.memory.embedders._protocol import Embedder
from codin.task._clock import now_ms

__all__ = ["Hit", "How", "Records"]

How = Literal["hybrid", "words", "vectors"]
_DEEPER = 5
"""Each ranking goes so many times deeper than the answer, so that what is good in both is in both."""
_AT_LEAST = 50
_LONGEST_ID = 200
_VECTORS = 2.0
"""A model's ranking counts so many times as much as that of the words; an embedder's `weight` says otherwise."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that was found.

    Args:
        score: larger fits better; comparable within one answer only.
        shared: it is one that all callers of the agent share.
    """

    record: Record
    score: float
    shared: bool = False

    @property
    def text(self) -> str:
        """The record's text. It is data, whatever it says: see `as_data`."""
        return self.record.text

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The record's metadata."""
        return self.record.metadata


class Records:
    """Texts that can be searched. Where there is an embedder, by meaning as well."""

    def __init__(self, backend: MemoryBackend, scope: Scope, embedder: Embedder | None, limits: MemoryLimits) -> None:
        self._backend = backend
        self._scope = scope
        self._embedder = embedder
        self._limits = limits

    @property
    def space(self) -> str:
        """What makes the vectors of new records; "" where there is no embedder."""
        return self._embedder.space if self._embedder is not None else ""

    async def add(self, text: str, *, id: str = "", metadata: Mapping[str, Any] | None = None) -> str:
        """Add a text, and give its id; a known id is replaced.

        Args:
            metadata: strings, numbers, booleans, and lists of strings, by names like those of variables.

        Raises:
            NotKept: it is too long, or its metadata has not that form.
            EmbeddingFailed: there is no vector for it, so it was not added.
        """
        # An id that is made here says nothing to whoever is told that a record has not the form.
        name = "" if id else "the record"
        record = self._checked(Record(id or uuid4().hex, text, metadata or {}), name)
        await self._add([record])
        return record.id

    async def add_all(self, records: Sequence[Record]) -> None:
        """Add records, all or none. Raises as `add` does."""
        if not isinstance(cast(object, records), Sequence):
            raise NotKept(f"{repr(records)[:80]} is no list of records")
        if len(records) > self._limits.batch:
            raise NotKept(f"{len(records)} records are too many for one call", hint=f"{self._limits.batch} are kept")
        await self._add([self._checked(record) for record in records])

    async def _add(self, records: Sequence[Record]) -> None:
        now = now_ms()
        records = [replace(record, at=record.at or now) for record in records]
        space, vectors = "", cast(Sequence[list[float] | None], [None] * len(records))
        if self._embedder is not None and records:
            space = self._embedder.space
            vectors = await embedded(self._embedder, [record.text for record in records], "document")
        pairs = zip(records, vectors, strict=True)
        indexed = [Indexed(record, terms_of(record.text), space, vector) for record, vector in pairs]
        await self._backend.add(self._scope, indexed)

    async def delete(self, *ids: str) -> int:
        """Remove records; how many there were."""
        return await self._backend.delete(self._scope, texts("ids", ids))

    async def list(self, where: Filter | None = None, *, after: str = "", limit: int = 100) -> Sequence[Record]:
        """Records by id. The next page comes after the last id of this one. Raises FilterRefused."""
        conditions, limit = conditions_of(where), within(limit, self._limits)
        return await self._backend.records(self._scope, where=conditions, after=text("after", after), limit=limit)

    async def search(
        self, query: str, k: int = 5, *, where: Filter | None = None, how: How | None = None, shared: bool = True
    ) -> Sequence[Hit]:
        """The records that fit a question or some words best, best first.

        Args:
            k: how many at most.
            where: what their metadata has to be, such as `{"source": "guide.md", "page": {"gte": 3}}`.
            how: by words, by vectors, or by both, with reciprocal rank fusion; both where there is an embedder.
            shared: also among what all callers of the agent share.

        Raises:
            ConfigError: `how` is none of them, or needs an embedder.
            FilterRefused: `where` is no filter.
            EmbeddingFailed: there is no vector for the query; `how="words"` needs none.
        """
        conditions = conditions_of(where)
        if how is None:
            how = "hybrid" if self._embedder is not None else "words"
        if how not in get_args(How):
            raise ConfigError(f"how={how!r} is not known", hint="hybrid, words or vectors")
        k = within(k, self._limits)
        scopes = [self._scope]
        common = Scope(self._scope.tenant, self._scope.agent)
        if shared and common != self._scope:
            scopes.append(common)
        found = await self._found(storable(text("query", query)[: self._limits.query]), how, scopes, conditions, k)
        return [Hit(one.record, one.score, one.scope != self._scope) for one in found]

    async def _found(
        self, query: str, how: How, scopes: Sequence[Scope], where: Sequence[Condition], k: int
    ) -> Sequence[Found]:
        deep = k if how != "hybrid" else min(max(_AT_LEAST, k * _DEEPER), self._limits.results)
        ways: list[Awaitable[Sequence[Found]]] = []
        if how != "words":
            ways.append(self._near(query, scopes, where, deep))
        if how != "vectors":
            ways.append(self._backend.matching(scopes, telling(terms_of(query)), where=where, limit=deep))
        rankings = await asyncio.gather(*ways)
        if len(rankings) == 1:
            return rankings[0]
        return fused(rankings, [getattr(self._embedder, "weight", _VECTORS), 1.0], k)

    async def _near(
        self, query: str, scopes: Sequence[Scope], where: Sequence[Condition], limit: int
    ) -> Sequence[Found]:
        if self._embedder is None:
            raise ConfigError("a search by vectors needs an embedder", hint="give one, or search with how='words'")
        (vector,) = await embedded(self._embedder, [query], "query")
        if not any(vector):
            return []  # it has no direction: nothing is nearer to it than anything else
        return await self._backend.nearest(scopes, self._embedder.space, vector, where=where, limit=limit)

    def _checked(self, record: Record, name: str = "") -> Record:
        if not isinstance(cast(object, record), Record):
            raise NotKept(f"{repr(record)[:80]} is no record")
        id = cast(object, record.id)
        if not isinstance(id, str) or not 0 < len(id) <= _LONGEST_ID or storable(id) != id:
            raise NotKept(f"{str(id)[:80]!r} is no id of a record", hint=f"1 to {_LONGEST_ID} letters, and no NUL")
        name = name or f"the record {id!r}"
        said, metadata = cast(object, record.text), cast(object, record.metadata)
        if not isinstance(said, str):
            raise NotKept(f"the text of {name} is no text, but {type(said).__name__}")
        if not said.strip() or len(said) > self._limits.text:
            raise NotKept(f"the text of {name} has {len(said)} letters", hint=f"1 to {self._limits.text} are kept")
        if not isinstance(cast(object, record.at), int):
            raise NotKept(f"the time of {name} is no number of milliseconds, but {type(record.at).__name__}")
        if not isinstance(metadata, Mapping):
            raise NotKept(f"the metadata of {name} is no mapping, but {type(metadata).__name__}")
        for field, value in record.metadata.items():
            _check_field(name, field, value)
        if (size := len(to_json(record.metadata))) > self._limits.metadata:
            raise NotKept(f"the metadata of {name} has {size} bytes", hint=f"{self._limits.metadata} are kept")
        return replace(record, text=storable(said), metadata=dict(record.metadata))


def _check_field(record: str, name: str, value: Any) -> None:
    try:
        check_key(name)
    except FilterRefused as error:
        raise NotKept(f"{error.message} ({record})", hint=error.hint) from None
    words = cast(list[Any], value) if isinstance(value, list) else [value]
    plain = str if isinstance(value, list) else str | int | float
    if not all(isinstance(word, plain) and _is_kept(word) for word in words):
        raise NotKept(
            f"the field {name!r} of {record} is no value of metadata",
            hint="a text, a finite number, a boolean, or a list of texts; without NUL",
        )
    if isinstance(value, int) and not -(2**53) <= value <= 2**53:
        raise NotKept(f"the field {name!r} of {record} is beyond ±2^53")


def _is_kept(value: str | float) -> bool:
    return storable(value) == value if isinstance(value, str) else isinstance(value, int) or math.isfinite(value)
