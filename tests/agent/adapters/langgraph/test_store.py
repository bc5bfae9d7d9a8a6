"""LangGraph's store on codin's memory: what LangGraph's own does, for each caller apart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.config import get_store
from langgraph.graph import START, MessagesState
from langgraph.store.base import BaseStore, GetOp, InvalidNamespaceError, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore

from codin.agent.adapters.langgraph import CodinStore, adapt
from codin.errors import ConfigError, NotKept
from codin.memory import Memories, Scope
from codin.trust import Caller
from tests.agent.adapters.desk import Desk
from tests.agent.adapters.langgraph.graphs import build

pytestmark = pytest.mark.anyio

ADA = Scope("", "clerk", "ada")


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/memory.db"


@pytest.fixture
async def memories(url: str) -> AsyncIterator[Memories]:
    async with Memories(url) as memories:
        yield memories


@pytest.fixture
async def store(memories: Memories) -> CodinStore:
    return CodinStore(memories, outside=ADA)


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


async def keys(store: BaseStore, *namespace: str, **options: Any) -> list[str]:
    return [item.key for item in await store.asearch(namespace, **options)]


async def test_what_is_put_is_got_and_deleted(store: CodinStore, clock: Clock) -> None:
    await store.aput(("food", "likes"), "tea", {"text": "without milk", "cups": [2, {"of": None}]})
    clock.now += 60
    await store.aput(("food", "likes"), "tea", {"text": "with milk"})
    item = await store.aget(("food", "likes"), "tea")
    assert item is not None
    assert (item.namespace, item.key, item.value) == (("food", "likes"), "tea", {"text": "with milk"})
    assert (item.updated_at - item.created_at).total_seconds() == 60
    await store.adelete(("food", "likes"), "tea")
    assert await store.aget(("food", "likes"), "tea") is None
    assert await keys(store, query="milk") == []


async def test_a_namespace_is_its_labels_and_not_its_letters(store: CodinStore) -> None:
    for namespace, key in [(("a",), "k"), (("a", "b"), "k"), (("ab",), "k"), (("a",), ".b..k"), (("a",), ".")]:
        await store.aput(namespace, key, {"at": [*namespace, key]})
    for namespace, key in [(("a",), "k"), (("a", "b"), "k"), (("ab",), "k"), (("a",), ".b..k"), (("a",), ".")]:
        item = await store.aget(namespace, key)
        assert item is not None
        assert item.value["at"] == [*namespace, key]
    assert sorted(item.namespace for item in await store.asearch(("a",))) == [("a",), ("a",), ("a",), ("a", "b")]
    assert len(await store.asearch(("a",), query="k")) == 4
    assert len(await store.asearch(())) == 5


FILTERS: list[tuple[Mapping[str, Any], list[str]]] = [
    ({"kind": "tea"}, ["1", "2"]),
    ({"kind": "tea", "cups": 2}, ["2"]),
    ({"cups": {"$gt": 1}}, ["2", "3"]),
    ({"cups": {"$gte": 1, "$lt": 3}}, ["1", "2"]),
    ({"cups": {"$lte": 1}}, ["1"]),
    ({"kind": {"$ne": "tea"}}, ["3"]),
    ({"kind": {"$eq": "milk"}}, ["3"]),
    ({"from": {"town": "Kyoto"}}, ["2"]),
    ({"tags": ["hot", "green"]}, ["2"]),
    ({"missing": "x"}, []),
]


@pytest.mark.parametrize(("wanted", "found"), FILTERS, ids=str)
async def test_filters(store: CodinStore, wanted: dict[str, Any], found: list[str]) -> None:
    await store.aput(("x",), "1", {"text": "a drink", "kind": "tea", "cups": 1})
    value = {"text": "a drink", "kind": "tea", "cups": 2, "from": {"town": "Kyoto", "n": 1}, "tags": ["hot", "green"]}
    await store.aput(("x",), "2", value)
    await store.aput(("x",), "3", {"text": "a drink", "kind": "milk", "cups": 3})
    assert await keys(store, "x", filter=wanted) == found
    assert sorted(await keys(store, "x", filter=wanted, query="drink")) == found


async def test_an_unknown_operator_is_refused(store: CodinStore) -> None:
    await store.aput(("x",), "1", {"n": 1})
    with pytest.raises(ValueError, match="no operator"):
        await store.asearch(("x",), filter={"n": {"$near": 1}})


async def test_texts_that_cannot_be_numbers_have_an_order_too(store: CodinStore) -> None:
    await store.aput(("x",), "1", {"day": "2026-01-02"})
    await store.aput(("x",), "2", {"day": 5})
    assert await keys(store, "x", filter={"day": {"$gt": "2026-01-01"}}) == ["1"]


async def test_search_by_words(store: CodinStore) -> None:
    await store.aput(("facts",), "drink", {"text": "Ada takes her tea without milk."})
    await store.aput(("facts",), "home", {"text": "Ada lives in a house by the sea."})
    await store.aput(("other",), "drink", {"text": "tea"})
    first, _ = await store.asearch(("facts",), query="does she want milk?")
    assert (first.key, first.value["text"]) == ("drink", "Ada takes her tea without milk.")
    assert first.score is not None
    assert first.score > 0
    assert await keys(store, "facts", query="house", limit=1) == ["home"]
    both = await keys(store, "facts", query="Ada")
    assert await keys(store, "facts", query="Ada", limit=1, offset=1) == both[1:]


async def test_a_filter_looks_further_down_than_the_first_results(store: CodinStore) -> None:
    for number in range(30):
        await store.aput(("facts",), f"{number}", {"text": "tea tea tea", "n": number})
    await store.aput(("facts",), "rare", {"text": "a long story in which once is tea", "n": -1})
    assert await keys(store, "facts", query="tea", filter={"n": -1}, limit=1) == ["rare"]


async def test_what_is_searched_is_said(memories: Memories) -> None:
    store = CodinStore(memories, outside=ADA, fields=["title", "parts[*].text"])
    await store.aput(("x",), "a", {"title": "walrus", "parts": [{"text": "otter"}, {"text": "seal"}], "body": "eel"})
    await store.aput(("x",), "b", {"title": "crab"}, index=False)
    await store.aput(("x",), "c", {"title": "shrimp", "body": "eel"}, index=["body"])
    words = memories.of(agent="clerk", caller="ada").records

    async def found(word: str) -> list[str]:
        return [hit.record.id.rpartition(".")[2] for hit in await words.search(word, how="words")]

    assert [await found(word) for word in ("walrus", "seal", "crab", "shrimp", "eel")] == [["a"], ["a"], [], [], ["c"]]
    assert await keys(store, "x") == ["a", "b", "c"]
    await store.aput(("x",), "a", {"title": "walrus"}, index=False)
    assert await found("walrus") == []


async def test_items_are_gone_when_their_time_is_over(memories: Memories, clock: Clock) -> None:
    store = CodinStore(memories, outside=ADA, ttl={"default_ttl": 10})
    await store.aput(("x",), "short", {"text": "tea"}, ttl=1)
    await store.aput(("x",), "usual", {"text": "tea"})
    await store.aput(("x",), "ever", {"text": "tea"}, ttl=None)
    clock.now += 59
    assert await keys(store, "x", refresh_ttl=False) == ["ever", "short", "usual"]
    clock.now += 1
    assert await keys(store, "x", refresh_ttl=False) == ["ever", "usual"]
    assert sorted(await keys(store, "x", query="tea", refresh_ttl=False)) == ["ever", "usual"]
    assert await store.aget(("x",), "short") is None
    clock.now += 540
    await store.aput(("x",), "new", {"text": "milk"}, ttl=1)
    records = await memories.of(agent="clerk", caller="ada").records.list()
    assert [record.id.rpartition(".")[2] for record in records] == ["ever", "new"]


@pytest.mark.parametrize("how", ["get", "search", "query"])
async def test_what_is_read_is_kept_for_longer(store: CodinStore, clock: Clock, how: str) -> None:
    await store.aput(("x",), "k", {"text": "tea"}, ttl=10)

    async def read(refresh: bool) -> bool:
        if how == "get":
            return await store.aget(("x",), "k", refresh_ttl=refresh) is not None
        return bool(await keys(store, "x", query="tea" if how == "query" else None, refresh_ttl=refresh))

    for _ in range(3):
        clock.now += 599
        assert await read(True)
    clock.now += 599
    assert await read(False)
    clock.now += 1
    assert not await read(False)


async def test_namespaces_are_listed(store: CodinStore) -> None:
    named = [("a", "b", "c"), ("a", "b", "d", "e"), ("a", "b", "d", "i"), ("a", "b", "f"), ("a", "c", "f")]
    for namespace in named:
        await store.aput(namespace, "k", {"n": 1})
        await store.aput(namespace, "l", {"n": 1})
    assert await store.alist_namespaces() == named
    shallow = await store.alist_namespaces(prefix=("a", "b"), max_depth=3)
    assert shallow == [("a", "b", "c"), ("a", "b", "d"), ("a", "b", "f")]
    assert await store.alist_namespaces(suffix=("f",)) == [("a", "b", "f"), ("a", "c", "f")]
    assert await store.alist_namespaces(prefix=("*", "c"), suffix=("*",)) == [("a", "c", "f")]
    assert await store.alist_namespaces(limit=2, offset=1) == named[1:3]


async def test_a_batch_reads_what_was_before_it(store: CodinStore) -> None:
    await store.aput(("x",), "k", {"n": 1})
    ops = [PutOp(("x",), "k", {"n": 2}), GetOp(("x",), "k"), PutOp(("x",), "k", {"n": 3}), SearchOp(("x",))]
    _, got, _, found = await store.abatch(ops)
    assert got is not None
    assert (got.value, [item.value for item in found]) == ({"n": 1}, [{"n": 1}])  # type: ignore[union-attr]
    item = await store.aget(("x",), "k")
    assert item is not None
    assert item.value == {"n": 3}


async def test_a_label_that_is_none_is_refused_in_a_batch_and_nothing_is_done(store: CodinStore) -> None:
    with pytest.raises(InvalidNamespaceError):
        await store.abatch([PutOp(("x",), "k", {"n": 1}), GetOp(("a.b",), "k")])
    assert await store.aget(("x",), "k") is None


async def test_what_is_too_large_is_said(store: CodinStore) -> None:
    with pytest.raises(NotKept):
        await store.aput(("x",), "k" * 300, {"n": 1})
    with pytest.raises(NotKept):
        await store.aput(("x",), "k", {"text": "x" * 100_000})


NAMES = st.sampled_from([("a",), ("a", "b"), ("b",), ("ab",)])
STEPS = st.lists(
    st.tuples(NAMES, st.sampled_from(["k", "l", ".", "b..k"]), st.none() | st.integers(0, 3)), min_size=1, max_size=12
)


@given(STEPS, NAMES, st.integers(0, 3))
def test_it_keeps_what_langgraph_s_own_keeps(
    steps: list[tuple[tuple[str, ...], str, int | None]], below: tuple[str, ...], least: int
) -> None:
    async def compare() -> None:
        async with Memories("memory://", embedder=None) as memories:
            stores: list[BaseStore] = [InMemoryStore(), CodinStore(memories, outside=ADA)]
            shown: list[Any] = []
            for store in stores:
                for namespace, key, n in steps:
                    await (store.adelete(namespace, key) if n is None else store.aput(namespace, key, {"n": n}))
                items = await store.asearch(below, filter={"n": {"$gte": least}}, limit=50)
                every = await store.asearch((), limit=50)
                found = [
                    sorted((item.namespace, item.key, item.value["n"]) for item in each) for each in (items, every)
                ]
                shown.append(found)
            assert shown[0] == shown[1]

    asyncio.run(compare())


# -- whose it is -------------------------------------------------------------------------------------------------------


async def remember(state: MessagesState) -> dict[str, Any]:
    store, text = get_store(), str(state["messages"][-1].content)
    before = [item.value["text"] for item in await store.asearch(("users",), query=text)]
    await store.aput(("users", "ada"), text, {"text": text})
    return {"messages": [("ai", ", ".join(before) or "nothing")]}


def remember_in_a_thread(state: MessagesState) -> dict[str, Any]:
    store, text = get_store(), str(state["messages"][-1].content)
    before = [item.value["text"] for item in store.search(("users",), query=text)]
    store.put(("users", "ada"), text, {"text": text})
    return {"messages": [("ai", ", ".join(before) or "nothing")]}


@pytest.mark.parametrize("node", [remember, remember_in_a_thread])
async def test_no_namespace_leads_to_another_caller(memories: Memories, node: Any) -> None:
    graph = build(MessagesState).add_node("node", node).add_edge(START, "node")
    desk = Desk(adapt(graph.compile(name="clerk", store=CodinStore(memories, outside=ADA))))
    ada, bob = Caller("ada"), Caller("bob")
    assert (await desk.send("tea without milk", caller=ada)).text == "nothing"
    assert (await desk.send("milk", caller=bob)).text == "nothing"
    assert (await desk.send("milk", caller=ada)).text == "tea without milk"
    other = Desk(adapt(graph.compile(name="cook", store=CodinStore(memories, outside=ADA))))
    assert (await other.send("milk", caller=ada)).text == "nothing"
    await desk.close()
    await other.close()


async def test_outside_of_tasks_it_is_refused_unless_it_is_said_whose_it_is(memories: Memories) -> None:
    store = CodinStore(memories)
    with pytest.raises(ConfigError, match="outside"):
        await store.aput(("x",), "k", {"n": 1})
    with pytest.raises(ConfigError, match="outside"):
        await asyncio.to_thread(store.put, ("x",), "k", {"n": 1})


async def test_threads_may_block_and_the_event_loop_may_not(store: CodinStore) -> None:
    await asyncio.to_thread(store.put, ("x",), "k", {"n": 1})
    assert await keys(store, "x") == ["k"]
    with pytest.raises(ConfigError, match="block"):
        store.get(("x",), "k")


def test_without_an_event_loop_it_says_so() -> None:
    store = CodinStore(Memories("memory://"), outside=ADA)
    with pytest.raises(ConfigError, match="event loop"):
        store.get(("x",), "k")


async def test_it_outlives_the_process_in_a_file(tmp_path: Path) -> None:
    for known in (False, True):
        async with Memories(f"sqlite:///{tmp_path}/memory.db") as memories:
            store = CodinStore(memories, outside=ADA)
            assert (await keys(store, "x", query="milk") == ["k"]) is known
            await store.aput(("x",), "k", {"text": "tea without milk"})


async def test_forgetting_a_caller_erases_it(memories: Memories, store: CodinStore) -> None:
    await store.aput(("x",), "k", {"text": "tea"})
    await memories.backend.forget("", caller="ada")
    assert await keys(store) == []
    assert await keys(store, query="tea") == []
