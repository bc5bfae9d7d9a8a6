"""The front: what an agent does with its memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from codin.errors import ConfigError, EmbeddingFailed, FilterRefused, NotKept
from codin.memory import (
    Memories,
    Memory,
    MemoryBackend,
    MemoryLimits,
    Record,
    Scope,
    Summarise,
    Utterance,
    Vector,
    Window,
)
from codin.memory import _notes as notes_module
from codin.memory.embedders import HashingEmbedder, Purpose
from tests.memory.conftest import opened

pytestmark = pytest.mark.anyio

ADA = Scope("", "clerk", "ada")
BOB = Scope("", "clerk", "bob")


@pytest.fixture
async def kept() -> AsyncIterator[MemoryBackend]:
    backend = await opened()
    yield backend
    await backend.close()


@pytest.fixture
def memory(kept: MemoryBackend) -> Memory:
    return Memory(kept, ADA, context_id="c")


# Notes


async def test_a_note_is_of_a_caller_a_context_or_an_agent(kept: MemoryBackend) -> None:
    ada, elsewhere, bob = Memory(kept, ADA, context_id="c"), Memory(kept, ADA, context_id="d"), Memory(kept, BOB)
    await ada.notes.set("key", "of ada")
    await ada.notes.set("key", "of c", of="context")
    await ada.notes.set("key", "of all", of="agent")
    assert [await ada.notes.get("key", of=of) for of in ("caller", "context", "agent")] == ["of ada", "of c", "of all"]
    assert await elsewhere.notes.get("key") == "of ada"
    assert await elsewhere.notes.get("key", "none", of="context") == "none"
    assert await bob.notes.get("key") is None
    assert await bob.notes.get("key", of="agent") == "of all"
    assert [note.value for note in await ada.notes.list(of="context")] == ["of c"]
    assert await bob.notes.delete("key", of="agent")
    assert not await ada.notes.delete("key", of="agent")
    assert await ada.notes.get("key") == "of ada"


@pytest.mark.parametrize("of", ["everyone", "Context", "", None])
async def test_whose_a_note_is_has_a_name_that_is_known(memory: Memory, of: Any) -> None:
    notes = memory.notes
    for asked in (notes.set("key", 1, of=of), notes.get("key", of=of), notes.delete("key", of=of), notes.list(of=of)):
        with pytest.raises(ConfigError, match=r"of=.*caller, context or agent"):
            await asked
    assert await memory.notes.list() == []


async def test_a_note_of_a_conversation_needs_one(kept: MemoryBackend) -> None:
    with pytest.raises(ConfigError, match=r"of='context'.*context_id"):
        await Memory(kept, ADA).notes.set("key", 1, of="context")


async def test_a_note_is_gone_after_its_time(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000

    def clock() -> int:
        return now

    monkeypatch.setattr(notes_module, "now_ms", clock)
    await memory.notes.set("soon", 1, ttl=1.5)
    await memory.notes.set("never", 2)
    now += 1499
    assert await memory.notes.get("soon") == 1
    now += 1
    assert await memory.notes.get("soon", "gone") == "gone"
    assert [note.key for note in await memory.notes.list()] == ["never"]
    await memory.notes.set("soon", 3)
    assert await memory.notes.get("soon") == 3


async def test_a_value_is_a_copy_as_json_has_it(memory: Memory) -> None:
    value: dict[str, Any] = {"list": [1, 2.5, None, True], "text": "ä\u2028"}
    await memory.notes.set("key", value)
    value["list"].append("later")
    assert await memory.notes.get("key") == {"list": [1, 2.5, None, True], "text": "ä\u2028"}
    await memory.notes.set("none", None)
    assert await memory.notes.get("none", "default") is None


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def str_of(value: Any) -> str:
    return type(value).__name__


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        float("nan"),
        float("inf"),
        {"a": [float("-inf")]},
        "half \ud800",
        deep(230),
        deep(100_000),
        CIRCLE,
        lambda: None,
        {1, 2},
        b"bytes",
        {"a": [b"bytes"]},
    ],
    ids=str_of,
)
async def test_a_value_that_is_no_json_is_not_kept(memory: Memory, value: Any) -> None:
    with pytest.raises(NotKept, match="'key'"):
        await memory.notes.set("key", value)
    assert await memory.notes.get("key") is None


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 1e12, "3"])
async def test_a_time_that_is_none_is_refused(memory: Memory, ttl: Any) -> None:
    with pytest.raises(NotKept, match="seconds"):
        await memory.notes.set("key", 1, ttl=ttl)


async def test_notes_have_limits(kept: MemoryBackend) -> None:
    notes = Memory(kept, ADA, limits=MemoryLimits(value=10, results=2)).notes
    await notes.set("k" * 200, "x" * 8)
    with pytest.raises(NotKept, match="11 bytes"):
        await notes.set("key", "x" * 9)
    keys: list[Any] = ["", "k" * 201, "a\x00b", "a\ud800", None, 3]
    for key in keys:
        for refused in (notes.set(key, 1), notes.get(key), notes.delete(key)):
            with pytest.raises(NotKept, match="no key"):
                await refused
    for key in "abc":
        await notes.set(key, 1)
    assert [note.key for note in await notes.list(limit=100)] == ["a", "b"]
    assert [note.key for note in await notes.list(limit=0)] == ["a"]
    assert [note.key for note in await notes.list(after="b", limit=100)] == ["c", "k" * 200]
    assert [note.key for note in await notes.list("k")] == ["k" * 200]


# Blobs


async def test_blobs_are_kept_on_shelves_within_limits(kept: MemoryBackend) -> None:
    blobs = Memory(kept, ADA, limits=MemoryLimits(blobs=20, results=2)).blobs
    await blobs.put("s", {"a": b"12345", "b": b"", "c": b"6"})
    await blobs.put("s", {"a": b"0", "d": b"4"}, replace=False)
    assert await blobs.get("s", "a", "b", "unknown") == {"a": b"12345", "b": b""}
    assert await blobs.keys("s", limit=99) == ["d", "c"]
    assert await blobs.keys("s", before="c") == ["b", "a"]
    assert await blobs.keys("s", "a") == ["a"]
    with pytest.raises(NotKept, match="21 bytes"):
        await blobs.put("s", {"e": b"x" * 20})
    values: list[Any] = ["1", 5, None]
    for value in values:
        with pytest.raises(NotKept, match=r"'x'.*bytes"):
            await blobs.put("s", {"x": value})
    names: list[Any] = ["", "x" * 1001, "a\x00", "\ud800", None]
    for name in names:
        with pytest.raises(NotKept, match="no name"):
            await blobs.put("s", {name: b""})
        with pytest.raises(NotKept, match="no name"):
            await blobs.put(name, {"a": b""})
    await blobs.put("nothing", {})
    assert await blobs.shelves() == ["s"]
    assert await blobs.get("s") == {}
    assert await blobs.delete("s", []) == 0
    assert await blobs.delete("s", ["a"]) == 1
    assert await Memory(kept, BOB).blobs.delete("s") == 0
    assert await blobs.delete("s") == 3
    assert await blobs.shelves() == []


# Records


async def filled(kept: MemoryBackend) -> Memory:
    memory = Memory(kept, ADA, embedder=HashingEmbedder())
    await memory.records.add("The walrus sleeps on ice.", id="walrus", metadata={"page": 1, "tags": ["sea"]})
    await memory.records.add("A carpenter works with wood.", id="carpenter", metadata={"page": 2})
    await memory.shared.records.add("Opening hours of the zoo and its walrus house.", id="zoo", metadata={"page": 1})
    await Memory(kept, BOB, embedder=HashingEmbedder()).records.add("Bob's own walrus.", id="his")
    return memory


@pytest.mark.parametrize("how", ["hybrid", "words", "vectors", None])
async def test_a_search_finds_what_is_ones_own_and_what_is_shared(kept: MemoryBackend, how: Any) -> None:
    memory = await filled(kept)
    hits = await memory.records.search("walrus on ice", 9, how=how)
    assert {hit.record.id for hit in hits} >= {"walrus", "zoo"}
    assert {hit.record.id: hit.shared for hit in hits if hit.record.id != "carpenter"} == {"walrus": False, "zoo": True}
    assert hits[0].record.id == "walrus"
    assert (hits[0].text, hits[0].metadata) == ("The walrus sleeps on ice.", {"page": 1, "tags": ["sea"]})
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    mine = await memory.records.search("walrus on ice", 9, how=how, shared=False)
    assert {hit.record.id for hit in mine} <= {"walrus", "carpenter"}
    assert len(await memory.records.search("walrus", 1, how=how)) == 1
    tagged = await memory.records.search("walrus", 9, how=how, where={"tags": "sea"})
    assert [hit.record.id for hit in tagged] == ["walrus"]
    with pytest.raises(FilterRefused, match="'page'"):
        await memory.records.search("walrus", how=how, where={"page": None})


async def test_what_is_shared_is_not_shared_with_oneself_twice(kept: MemoryBackend) -> None:
    memory = (await filled(kept)).shared
    assert [(hit.record.id, hit.shared) for hit in await memory.records.search("walrus", how="words")] == [
        ("zoo", False)
    ]


@pytest.mark.parametrize("how", ["hybrid", "words", "vectors"])
@pytest.mark.parametrize("query", ["", "  ", "?!", "\x00"])
async def test_a_query_that_asks_nothing_finds_nothing(kept: MemoryBackend, query: str, how: Any) -> None:
    memory = await filled(kept)
    assert not await memory.records.search(query, how=how)


async def test_a_question_is_not_answered_by_its_small_words(kept: MemoryBackend) -> None:
    records = Memory(kept, ADA).records
    await records.add("What I want is how I do it.", id="small")
    await records.add("Stop a job: cancel it.", id="right")
    assert [hit.record.id for hit in await records.search("how do I cancel what I want to stop?")] == ["right"]
    assert [hit.record.id for hit in await records.search("how I do it")] == ["small", "right"]


async def test_without_an_embedder_it_is_words(kept: MemoryBackend) -> None:
    records = Memory(kept, ADA).records
    await records.add("The walrus sleeps.", id="a")
    assert [hit.record.id for hit in await records.search("walrus")] == ["a"]
    for how in ("vectors", "hybrid"):
        with pytest.raises(ConfigError, match="embedder"):
            await records.search("walrus", how=how)


async def test_a_way_to_search_that_is_none_is_refused(kept: MemoryBackend) -> None:
    records = (await filled(kept)).records
    for how in ("word", ""):
        wrong: Any = how
        with pytest.raises(ConfigError, match=r"how=.*hybrid, words or vectors"):
            await records.search("walrus", how=wrong)


async def test_how_many_are_wanted_is_a_number(memory: Memory) -> None:
    three: Any = "3"
    for asked in (
        memory.records.search("x", three),
        memory.records.list(limit=three),
        memory.notes.list(limit=three),
        memory.blobs.keys("s", limit=three),
        memory.blobs.shelves(limit=three),
        memory.history.window(three),
    ):
        with pytest.raises(ConfigError, match="'3' is no number of results"):
            await asked


class Broken:
    """An embedder that gives what a test says."""

    space = "broken/2"
    dimensions = 2

    def __init__(self, *vectors: Any) -> None:
        self.vectors = vectors

    async def embed(self, texts: Sequence[str], /, *, purpose: Purpose) -> Sequence[Vector]:
        return self.vectors


@pytest.mark.parametrize(
    "vectors",
    [[], [[1, 2], [1, 2]], [[1, 2, 3]], [[1]], [[float("nan"), 1]], [[float("inf"), 1]], [["x", 1]], [[None, 1]]],
    ids=str,
)
async def test_a_record_without_a_right_vector_is_not_added(kept: MemoryBackend, vectors: Sequence[Any]) -> None:
    memory = Memory(kept, ADA, embedder=Broken(*vectors))
    with pytest.raises(EmbeddingFailed, match="broken/2"):
        await memory.records.add("text")
    assert not await memory.records.list()
    with pytest.raises(EmbeddingFailed):
        await memory.records.search("text")
    assert await memory.records.search("text", how="words") == []


async def test_an_id_is_made_or_given_and_replaced(memory: Memory) -> None:
    first, second = await memory.records.add("one"), await memory.records.add("one")
    assert first != second
    assert await memory.records.delete(first, second, "unknown") == 2
    assert await memory.records.add("one", id="a") == "a"
    assert await memory.records.add("two", id="a") == "a"
    (record,) = await memory.records.list()
    assert (record.text, record.at > 0) == ("two", True)


@pytest.mark.parametrize(
    "metadata",
    [
        {"page": None},
        {"page": {"a": 1}},
        {"page": [1, 2]},
        {"page": ["a", None]},
        {"page": float("nan")},
        {"page": float("inf")},
        {"page": 2**53 + 1},
        {"page": 10**400},
        {"page": "a\x00b"},
        {"page": "half \ud800"},
        {"page": b"bytes"},
        {"page": ("a",)},
        {"good": 1, "page": object()},
    ],
    ids=lambda metadata: str(metadata)[:30],
)
async def test_metadata_of_another_form_is_not_kept_and_the_field_named(memory: Memory, metadata: Any) -> None:
    with pytest.raises(NotKept, match=r"'page'.*'a'"):
        await memory.records.add_all([Record("fine", "text"), Record("a", "text", metadata)])
    assert not await memory.records.list()


@pytest.mark.parametrize("name", ["", "a b", "$set", "1", "x" * 65, "a\n"])
async def test_a_name_that_no_filter_can_say_is_not_kept(memory: Memory, name: str) -> None:
    with pytest.raises(NotKept, match="record 'a'"):
        await memory.records.add("text", id="a", metadata={name: 1})


async def test_records_have_limits(kept: MemoryBackend) -> None:
    records = Memory(kept, ADA, limits=MemoryLimits(text=10, metadata=20, batch=2, results=2)).records
    for text in ("", " \n", "x" * 11):
        with pytest.raises(NotKept, match=r"the text of the record has \d+ letters"):
            await records.add(text)
        with pytest.raises(NotKept, match=r"the text of the record 'a' has \d+ letters"):
            await records.add(text, id="a")
    none: Any = None
    with pytest.raises(NotKept, match="the text of the record is no text"):
        await records.add(none)
    with pytest.raises(NotKept, match="no mapping"):
        await records.add("text", metadata=[*"ab"])  # pyright: ignore[reportArgumentType]
    refused: list[Any] = ["x" * 201, "a\x00b", "a\ud800", 3]
    for id in refused:
        with pytest.raises(NotKept, match="no id"):
            await records.add("text", id=id)
    with pytest.raises(NotKept, match="no id"):
        await records.add_all([Record("", "text")])
    with pytest.raises(NotKept, match="metadata of the record 'a'"):
        await records.add("text", id="a", metadata={"name": "x" * 20})
    with pytest.raises(NotKept, match="3 records"):
        await records.add_all([Record(name, "text") for name in "abc"])
    assert not await records.list()
    await records.add_all([])
    for name in "abc":
        await records.add("text", id=name)
    assert [record.id for record in await records.list(limit=9)] == ["a", "b"]
    assert [record.id for record in await records.list(after="b", limit=9)] == ["c"]
    assert len(await records.search("text", 9)) == 2
    assert len(await records.search("text", 0)) == 1


async def test_a_query_is_looked_at_up_to_its_limit(kept: MemoryBackend) -> None:
    records = Memory(kept, ADA, limits=MemoryLimits(query=6)).records
    await records.add("walrus", id="a")
    assert await records.search("walrus and more")
    assert not await records.search("a long way to the walrus")


async def test_what_no_database_takes_is_replaced_in_texts(memory: Memory) -> None:
    await memory.records.add("a\x00b \ud83d \ud83d\ude00", id="a")
    (record,) = await memory.records.list()
    assert record.text == "a\ufffdb \ufffd \U0001f600"
    await memory.history.append("a\x00b \ud83d")
    assert [said.text for said in (await memory.history.window()).utterances] == ["a\ufffdb \ufffd"]


# History


async def test_a_window_is_the_end_of_a_conversation(kept: MemoryBackend) -> None:
    memory = Memory(kept, ADA, context_id="c")
    await memory.history.append("hello")
    await memory.history.append("good day", role="agent")
    await memory.history.append(Utterance(role="user", text="bye", at=7))
    window = await memory.history.window()
    assert window.summary == ""
    assert [(said.role, said.text) for said in window.utterances] == [
        ("user", "hello"),
        ("agent", "good day"),
        ("user", "bye"),
    ]
    assert window.utterances[0].at > 1_700_000_000_000
    assert window.utterances[2].at == 7
    assert [said.text for said in (await memory.history.window(1)).utterances] == ["bye"]
    assert [said.text for said in (await memory.history.window(-5)).utterances] == ["bye"]
    assert not (await Memory(kept, ADA, context_id="d").history.window()).utterances
    assert not (await Memory(kept, BOB, context_id="c").history.window()).utterances


async def test_what_is_too_long_is_not_said(kept: MemoryBackend) -> None:
    memory = Memory(kept, ADA, context_id="c", limits=MemoryLimits(text=5, parts=20))
    with pytest.raises(NotKept, match="6 letters"):
        await memory.history.append("longer")
    with pytest.raises(NotKept, match="bytes"):
        await memory.history.append(Utterance(role="user", text="", parts=[{"data": "x" * 20}]))
    with pytest.raises(NotKept, match="no JSON"):
        await memory.history.append(Utterance(role="user", text="", parts=[{"data": object()}]))
    with pytest.raises(NotKept, match="metadata of 16396 bytes"):
        await memory.history.append(Utterance(role="user", text="", metadata={"name": "x" * 16 * 1024 + "x"}))
    with pytest.raises(NotKept, match="metadata of an utterance are no JSON"):
        await memory.history.append(Utterance(role="user", text="", metadata={"name": object()}))
    assert not (await memory.history.window()).utterances


async def test_the_history_waits_until_it_is_ready(kept: MemoryBackend) -> None:
    async def ready() -> None:
        await Memory(kept, ADA, context_id="c").history.append("from the log")

    memory = Memory(kept, ADA, context_id="c", ready=ready)
    assert [said.text for said in (await memory.history.window()).utterances] == ["from the log"]


class Summariser:
    """Writes down what it is given; fails while it is told to."""

    def __init__(self) -> None:
        self.given: list[tuple[str, list[str]]] = []
        self.fails = False

    async def __call__(self, before: str, said: Sequence[Utterance]) -> str:
        if self.fails:
            raise RuntimeError("no model")
        self.given.append((before, [one.text for one in said]))
        return f"{before}+{len(said)}"


async def say(memory: Memory, first: int, last: int) -> None:
    for number in range(first, last + 1):
        await memory.history.append(str(number))


def texts(window: Window) -> list[str]:
    return [said.text for said in window.utterances]


async def test_a_long_conversation_is_summarised(kept: MemoryBackend) -> None:
    make = Summariser()
    memory = Memory(kept, ADA, context_id="c", summarise=Summarise(make, longer_than=5, keep=2))
    await say(memory, 1, 5)
    assert texts(await memory.history.window()) == ["1", "2", "3", "4", "5"]
    await say(memory, 6, 6)
    window = await memory.history.window()
    assert (window.summary, texts(window)) == ("+4", ["5", "6"])
    await say(memory, 7, 10)
    window = await memory.history.window()
    assert (window.summary, texts(window)) == ("+4+4", ["9", "10"])
    assert make.given == [("", ["1", "2", "3", "4"]), ("+4", ["5", "6", "7", "8"])]
    # Who does not summarise reads the summary that is there.
    window = await Memory(kept, ADA, context_id="c").history.window()
    assert (window.summary, texts(window)) == ("+4+4", ["9", "10"])


async def test_a_summary_that_fails_loses_nothing(kept: MemoryBackend) -> None:
    make = Summariser()
    memory = Memory(kept, ADA, context_id="c", summarise=Summarise(make, longer_than=3, keep=1))
    await say(memory, 1, 5)
    make.fails = True
    with pytest.raises(RuntimeError, match="no model"):
        await memory.history.window()
    assert texts(await Memory(kept, ADA, context_id="c").history.window()) == ["1", "2", "3", "4", "5"]
    make.fails = False
    window = await memory.history.window()
    assert (window.summary, texts(window)) == ("+4", ["5"])


async def test_a_summary_that_is_too_long_is_not_kept(kept: MemoryBackend) -> None:
    async def make(before: str, said: Sequence[Utterance]) -> str:
        return "x" * 100

    memory = Memory(
        kept, ADA, context_id="c", limits=MemoryLimits(text=99), summarise=Summarise(make, longer_than=3, keep=1)
    )
    await say(memory, 1, 4)
    with pytest.raises(NotKept, match="100 letters"):
        await memory.history.window()
    assert texts(await Memory(kept, ADA, context_id="c").history.window()) == ["1", "2", "3", "4"]


async def test_more_than_one_call_can_read_is_summarised_in_pieces(kept: MemoryBackend) -> None:
    make = Summariser()
    said = [Utterance(role="user", text=str(number)) for number in range(2500)]
    await kept.append(ADA, "c", said)
    memory = Memory(kept, ADA, context_id="c", summarise=Summarise(make, longer_than=100, keep=20))
    window = await memory.history.window()
    assert texts(window) == [str(number) for number in range(2480, 2500)]
    assert [text for _, some in make.given for text in some] == [str(number) for number in range(2480)]
    assert max(len(some) for _, some in make.given) <= 1000
    assert window.summary.count("+") == len(make.given)


async def test_small_results_do_not_keep_a_conversation_from_being_summarised(kept: MemoryBackend) -> None:
    make = Summariser()
    limits = MemoryLimits(results=5)
    memory = Memory(kept, ADA, context_id="c", limits=limits, summarise=Summarise(make, longer_than=10, keep=2))
    await say(memory, 1, 11)
    window = await memory.history.window()
    assert (window.summary, texts(window)) == ("+9", ["10", "11"])


@pytest.mark.parametrize(
    ("longer_than", "keep", "field"),
    [(5, 5, "keep=5"), (5, 6, "keep=6"), (0, 0, "longer_than=0"), (1001, 1, "longer_than=1001"), (5, -1, "keep=-1")],
)
def test_a_summary_that_would_never_end_is_refused(longer_than: int, keep: int, field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        Summarise(Summariser(), longer_than=longer_than, keep=keep)


# All of it


@pytest.mark.parametrize("place", [None, Path("memory.db"), 3])
def test_what_is_no_place_is_refused(place: Any) -> None:
    with pytest.raises(ConfigError, match="URL"):
        Memories(place)


async def test_a_view_says_of_nobody_else(memory: Memory) -> None:
    names = {name for name in dir(memory) if not name.startswith("_")}
    assert names == {"blobs", "forget", "history", "notes", "records", "scope", "shared", "stats"}


async def test_what_one_forgets_is_ones_own(kept: MemoryBackend) -> None:
    ada, bob = Memory(kept, ADA, context_id="c"), Memory(kept, BOB, context_id="c")
    for memory in (ada, bob, ada.shared):
        await memory.history.append("said")
        await memory.notes.set("key", 1)
        await memory.records.add("text")
    assert (await ada.stats()).records == 1
    assert await ada.forget() == 3
    assert (await ada.stats()).records == 0
    assert (await bob.stats()).records == (await ada.shared.stats()).records == 1
    assert await ada.shared.forget() == 3
    assert (await bob.stats()).records == 1
