"""CrewAI's memory on codin's: what it keeps and finds, for each caller apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from crewai import Memory as CrewMemory
from crewai.flow.flow import Flow, start
from crewai.memory.storage.backend import StorageBackend
from crewai.memory.types import MemoryRecord

from codin.agent.adapters.crewai import CodinStorage, adapt
from codin.errors import ConfigError, MemoryUnavailable, NotKept
from codin.memory import Memories, Scope
from codin.testing import ModelServer
from codin.trust import Caller
from tests.agent.adapters.crewai.crews import crew_of
from tests.agent.adapters.desk import Desk

pytestmark = pytest.mark.anyio

ADA = Scope("", "clerk", "ada")
THINGS = ("tea", "milk", "sea", "walrus")
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC).replace(tzinfo=None)  # as CrewAI has times


def vector(text: str) -> list[float]:
    """How often a text says each of some words, and a little for being a text."""
    return [0.1, *(float(text.lower().count(thing)) for thing in THINGS)]


def embedder(texts: Sequence[str]) -> list[list[float]]:
    return [vector(text) for text in texts]


def record(text: str, scope: str = "/", **fields: Any) -> MemoryRecord:
    known: dict[str, Any] = {"id": text, "content": text, "scope": scope, "embedding": vector(text)}
    return MemoryRecord(**{**known, **fields})


@pytest.fixture(params=["memory", "sqlite"])
async def memories(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Memories]:
    async with Memories("memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/memory.db") as memories:
        yield memories


@pytest.fixture
async def storage(memories: Memories) -> CodinStorage:
    return CodinStorage(memories, outside=ADA)


async def found(storage: CodinStorage, text: str, **wanted: Any) -> list[str]:
    return [hit.content for hit, _ in await storage.asearch(vector(text), **wanted)]


async def listed(storage: CodinStorage, *wanted: Any) -> list[str]:
    return [each.content for each in await asyncio.to_thread(storage.list_records, *wanted)]


def test_it_is_what_crewai_asks_for() -> None:
    assert isinstance(CodinStorage(Memories("memory://")), StorageBackend)


async def test_what_is_saved_comes_back_whole(storage: CodinStorage) -> None:
    kept = record(
        "Ada's tea", "/ada/likes", categories=["drinks"], metadata={"of": {"nested": [1]}}, importance=0.9,
        source="ada", private=True, created_at=NOON, last_accessed=NOON,
    )  # fmt: skip
    await storage.asave([kept])
    ((hit, score),) = await storage.asearch(vector("tea"))
    assert hit.model_dump() == kept.model_dump()
    assert score == pytest.approx(1.0)
    got = await asyncio.to_thread(storage.get_record, kept.id)
    assert got is not None
    assert got.embedding == pytest.approx(kept.embedding)
    assert await asyncio.to_thread(storage.get_record, "unknown") is None


async def test_search_is_by_vectors(storage: CodinStorage) -> None:
    await storage.asave([record("tea"), record("tea and milk"), record("the sea"), record("no vector", embedding=None)])
    assert (await found(storage, "tea"))[:2] == ["tea", "tea and milk"]
    assert await found(storage, "tea", limit=1) == ["tea"]
    assert await found(storage, "tea", min_score=0.5) == ["tea", "tea and milk"]
    assert await storage.asearch([0.0] * 5) == []


async def test_vectors_of_another_length_are_refused(storage: CodinStorage) -> None:
    await storage.asave([record(str(number), embedding=None) for number in range(30)])
    assert await storage.asearch([1.0, 0.0]) == []
    with pytest.raises(NotKept, match="2 and 5 numbers"):
        await storage.asave([record("tea"), record("milk", embedding=[1.0, 0.0])])
    await storage.asave([record("tea")])
    with pytest.raises(ConfigError, match="2 numbers, and what is kept has 5"):
        await storage.asearch([1.0, 0.0])
    with pytest.raises(NotKept, match="2 and 5 numbers"):
        await storage.asave([record("milk", embedding=[1.0, 0.0])])
    await storage.asave([record("tea", embedding=[1.0, 0.0])])
    assert [hit.content for hit, _ in await storage.asearch([1.0, 0.0])] == ["tea"]


async def test_what_was_recalled_was_used(storage: CodinStorage) -> None:
    await storage.asave([record("tea", last_accessed=NOON), record("milk", last_accessed=NOON)])
    await asyncio.to_thread(storage.touch_records, ["tea", "unknown"])
    tea, milk = [await asyncio.to_thread(storage.get_record, name) for name in ("tea", "milk")]
    assert tea is not None
    assert milk is not None
    assert tea.last_accessed > NOON == milk.last_accessed
    assert (tea.content, tea.embedding) == ("tea", pytest.approx(vector("tea")))


def test_a_program_without_an_event_loop_needs_none(tmp_path: Path, llm: Any) -> None:
    place = f"sqlite:///{tmp_path}/memory.db"
    memory = memory_of(llm, CodinStorage(Memories(place), outside=ADA))
    memory.remember("Ada takes tea.", scope="/ada", categories=["drinks"], importance=0.5, metadata={"said": "once"})
    assert [hit.record.content for hit in memory.recall("tea?", depth="shallow")] == ["Ada takes tea."]
    memory.close()
    memory.close()
    storage = CodinStorage(Memories(place), outside=ADA)
    assert storage.count() == 1
    assert [hit.content for hit, _ in asyncio.run(storage.asearch(vector("tea")))] == ["Ada takes tea."]
    storage.close()
    assert storage.count() == 1
    storage.close()
    with pytest.raises(ConfigError, match="outside"):
        CodinStorage(Memories(place)).count()


def test_a_memory_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    storage = CodinStorage(Memories(f"sqlite:///{tmp_path}/missing/memory.db"), outside=ADA)
    for _ in range(2):
        with pytest.raises(MemoryUnavailable):
            storage.count()
    storage.close()


async def test_search_looks_as_far_down_as_its_filters_need(storage: CodinStorage) -> None:
    await storage.asave([record(f"tea {number}", metadata={"n": number}) for number in range(40)])
    await storage.asave([record("milk", categories=["rare"], metadata={"n": 40})])
    assert await found(storage, "tea", limit=1, categories=["rare", "other"]) == ["milk"]
    assert await found(storage, "tea", limit=1, metadata_filter={"n": 40}) == ["milk"]
    assert await found(storage, "tea", limit=1, metadata_filter={"n": 41}) == []


async def test_scopes_are_paths_and_not_letters(storage: CodinStorage) -> None:
    await storage.asave([record("a", "/a"), record("b", "/a/b/c"), record("c", "/ab"), record("d", "/")])
    assert sorted(await found(storage, "tea", scope_prefix="/a")) == ["a", "b"]
    assert sorted(await found(storage, "tea", scope_prefix="a/b/")) == ["b"]
    assert len(await found(storage, "tea", scope_prefix="/")) == 4

    def look() -> None:
        assert storage.list_scopes() == ["/a", "/ab"]
        assert storage.list_scopes("/a/") == ["/a/b"]
        assert (storage.count(), storage.count("/a"), storage.count("/x")) == (4, 2, 0)

    await asyncio.to_thread(look)


async def test_what_there_is_is_told(storage: CodinStorage) -> None:
    await storage.asave([
        record("a", "/a", categories=["x", "y"], created_at=NOON),
        record("b", "/a/b", categories=["x"], created_at=NOON + timedelta(days=1)),
    ])  # fmt: skip

    def look() -> None:
        info = storage.get_scope_info("/a")
        assert (info.path, info.record_count, info.categories, info.child_scopes) == ("/a", 2, ["x", "y"], ["/a/b"])
        assert (info.oldest_record, info.newest_record) == (NOON, NOON + timedelta(days=1))
        assert storage.get_scope_info("/none").record_count == 0
        assert storage.list_categories() == {"x": 2, "y": 1}
        assert storage.list_categories("/a/b") == {"x": 1}

    await asyncio.to_thread(look)
    assert await listed(storage) == ["b", "a"]
    assert await listed(storage, "/", 1, 1) == ["a"]
    assert await listed(storage, "/a/b") == ["b"]
    assert await listed(storage, None, 0) == []


async def test_what_is_deleted_meets_all_that_is_said(storage: CodinStorage) -> None:
    for name, scope, day in (("a", "/a", 0), ("b", "/a", 2), ("c", "/c", 0), ("d", "/c", 2)):
        made = NOON + timedelta(days=day)
        await storage.asave([record(name, scope, categories=[name], metadata={"n": name}, created_at=made)])
    assert await storage.adelete("/a", older_than=(NOON + timedelta(days=1)).replace(tzinfo=UTC)) == 1
    assert await storage.adelete("/a", record_ids=["c"]) == 0
    assert await storage.adelete(record_ids=[]) == 0
    assert await storage.adelete(record_ids=["c"], metadata_filter={"n": "x"}) == 0
    assert await storage.adelete(record_ids=["c", "unknown"]) == 1
    assert await storage.adelete(categories=["d"]) == 1
    assert await listed(storage) == ["b"]
    await asyncio.to_thread(storage.reset)
    assert await found(storage, "tea") == []
    assert await asyncio.to_thread(storage.count) == 0


async def test_an_update_keeps_the_vector_that_it_does_not_bring(storage: CodinStorage) -> None:
    await storage.asave([record("tea"), record("milk")])
    await asyncio.to_thread(storage.update, record("tea", content="a drink", embedding=None))
    assert await found(storage, "tea", limit=1) == ["a drink"]
    await asyncio.to_thread(storage.update, record("tea", content="the sea", embedding=vector("sea")))
    assert await found(storage, "sea", limit=1) == ["the sea"]
    assert await asyncio.to_thread(storage.count) == 2


async def test_what_is_too_large_is_said_and_not_kept(storage: CodinStorage) -> None:
    with pytest.raises(NotKept):
        await storage.asave([record("long", content="x" * 100_000)])
    with pytest.raises(NotKept):
        await storage.asave([record("odd", embedding=[float("nan")])])
    assert await asyncio.to_thread(storage.count) == 0
    assert await asyncio.to_thread(storage.get_record, "odd") is None


async def test_what_says_nothing_is_kept(storage: CodinStorage) -> None:
    await storage.asave([record("", id="empty", embedding=[])])
    assert await listed(storage) == [""]


async def test_it_outlives_the_process_in_a_file(tmp_path: Path) -> None:
    for known in ([], ["tea"]):
        async with Memories(f"sqlite:///{tmp_path}/memory.db") as memories:
            storage = CodinStorage(memories, outside=ADA)
            assert await found(storage, "tea") == known
            await storage.asave([record("tea")])


# -- under CrewAI's own memory -----------------------------------------------------------------------------------------


def memory_of(llm: Any, storage: CodinStorage) -> CrewMemory:
    return CrewMemory(llm=llm, storage=storage, embedder=embedder, consolidation_threshold=1.0)


async def test_a_memory_of_crewai_remembers_and_recalls(storage: CodinStorage, llm: Any) -> None:
    memory = memory_of(llm, storage)

    def talk() -> None:
        for text in ("Ada takes tea.", "Ada has milk."):
            memory.remember(text, scope="/ada", categories=["drinks"], importance=0.5, metadata={"said": "once"})
        hits = memory.recall("tea?", depth="shallow", limit=1)
        assert [(hit.record.content, hit.record.scope) for hit in hits] == [("Ada takes tea.", "/ada")]
        assert [hit.record.content for hit in memory.recall("milk?", limit=1)] == ["Ada has milk."]
        memory.update(hits[0].record.id, categories=["hot"])
        assert memory.list_categories() == {"drinks": 1, "hot": 1}
        assert memory.recall("tea", depth="shallow", limit=1, categories=["hot"])[0].record.id == hits[0].record.id
        assert memory.tree() == "/ (2 records)\n  /ada (2 records)"
        assert memory.forget(scope="/ada", categories=["hot"]) == 1
        memory.reset()
        assert memory.info().record_count == 0
        memory.close()

    await asyncio.to_thread(talk)


async def test_no_scope_leads_to_another_caller(memories: Memories, llm: Any) -> None:
    memory = memory_of(llm, CodinStorage(memories, outside=ADA))

    class Clerk(Flow[Any]):
        @start()
        def answer(self) -> str:
            text = str(self.state["text"])
            before = memory.recall(text)
            memory.remember(text, scope="/", categories=["said"], importance=0.5, metadata={"n": 1})
            return ", ".join(hit.record.content for hit in before) or "nothing"

    desk = Desk(adapt(Clerk(), name="clerk"))
    ada, bob = Caller("ada"), Caller("bob")
    assert (await desk.send({"text": "tea"}, caller=ada)).text == "nothing"
    assert (await desk.send({"text": "more tea"}, caller=bob)).text == "nothing"
    assert (await desk.send({"text": "tea?"}, caller=ada)).text == "tea"
    await desk.close()
    memory.close()


async def test_a_crew_with_a_memory_keeps_what_its_tasks_made_for_its_caller(
    memories: Memories, llm: Any, model: ModelServer
) -> None:
    memory = memory_of(llm, CodinStorage(memories))
    crew = crew_of(llm, crew={"memory": memory})
    desk = Desk(adapt(crew, name="clerk"))
    turn = await desk.send({"q": "the walrus likes tea"}, caller=Caller("ada"))
    assert turn.state == "COMPLETED"
    await asyncio.to_thread(memory.drain_writes)
    await desk.close()
    memory.close()
    assert (await memories.backend.stats("", "clerk", "ada")).records > 0
    assert (await memories.backend.stats("", "clerk", "bob")).records == 0


async def test_outside_of_tasks_it_is_refused_unless_it_is_said_whose_it_is(memories: Memories) -> None:
    with pytest.raises(ConfigError, match="outside"):
        await CodinStorage(memories).asave([record("tea")])
    with pytest.raises(ConfigError, match="block"):
        CodinStorage(memories, outside=ADA).count()
