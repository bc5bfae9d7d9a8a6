"""What every memory promises, wherever it is kept."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codin.errors import MemoryFailed, NotKept
from codin.memory import (
    Condition,
    Found,
    Indexed,
    MemoryBackend,
    Note,
    Record,
    Scope,
    Stats,
    Summary,
    Utterance,
    conditions_of,
    fits,
    terms_of,
)
from tests.memory.conftest import Place

pytestmark = pytest.mark.anyio

ADA = Scope("", "clerk", "ada")
BOB = Scope("", "clerk", "bob")
ALL = Scope("", "clerk", "")
STRANGERS = [BOB, ALL, Scope("", "other", "ada"), Scope("acme", "clerk", "ada"), Scope("", "", "ada"), Scope()]


def indexed(id: str, text: str, vector: Sequence[float] | None = None, space: str = "s/2", **metadata: Any) -> Indexed:
    if vector is not None:
        length = math.hypot(*vector)
        vector = [number / length for number in vector]
    return Indexed(Record(id, text, metadata, 1000), terms_of(text), space if vector is not None else "", vector)


def ids(found: Sequence[Found]) -> list[str]:
    return [one.record.id for one in found]


def said(text: str, number: int = 0, index: int = 0, task: str = "t", at: int = 1000) -> Utterance:
    return Utterance(role="user", text=text, task_id=task if number else "", number=number, index=index, at=at)


# Life


async def test_who_is_not_open_says_how_it_is_opened(place: Place) -> None:
    memory = place()
    for _ in range(2):
        for asked in (memory.put_note(ADA, "", Note("key", 1)), memory.note(ADA, "", "key", 1), memory.stats("")):
            with pytest.raises(MemoryFailed, match="not open") as raised:
                await asked
            assert "async with" in str(raised.value)
        await memory.open()
        await memory.open()
        await memory.put_note(ADA, "", Note("key", 2))
        assert await memory.note(ADA, "", "key", 1) == Note("key", 2)
        await memory.close()
        await memory.close()


# History


async def test_a_conversation_is_read_in_the_order_it_was_said(backend: MemoryBackend) -> None:
    parts = [{"data": {"a": [1, None]}}]
    whole = Utterance(
        role="agent", text="two ✓", parts=parts, metadata={"name": "x"}, at=7, task_id="t", number=2, index=1
    )
    assert await backend.append(ADA, "c", [said("one", 1), whole]) == 2
    assert await backend.append(ADA, "c", [said("three", 3)]) == 1
    assert await backend.append(ADA, "d", [said("elsewhere", 1)]) == 1
    read = await backend.window(ADA, "c", limit=10)
    assert [one.text for one in read] == ["one", "two ✓", "three"]
    second = read[1]
    assert (second.role, list(second.parts), dict(second.metadata)) == ("agent", parts, {"name": "x"})
    assert (second.at, second.task_id, second.number, second.index) == (7, "t", 2, 1)
    assert read[0].place < read[1].place < read[2].place


async def test_a_window_has_the_newest_or_the_oldest(backend: MemoryBackend) -> None:
    await backend.append(ADA, "c", [said(str(n), n) for n in range(1, 8)])
    everything = await backend.window(ADA, "c", limit=10)
    assert [one.text for one in await backend.window(ADA, "c", limit=3)] == ["5", "6", "7"]
    assert [one.text for one in await backend.window(ADA, "c", limit=3, oldest=True)] == ["1", "2", "3"]
    after = everything[4].place
    assert [one.text for one in await backend.window(ADA, "c", limit=3, after=after)] == ["6", "7"]
    assert [one.text for one in await backend.window(ADA, "c", limit=1, after=after, oldest=True)] == ["6"]
    assert not await backend.window(ADA, "c", limit=3, after=everything[-1].place)
    assert not await backend.window(ADA, "nowhere", limit=3)


async def test_what_was_said_in_a_task_is_there_once(backend: MemoryBackend) -> None:
    assert await backend.append(ADA, "c", [said("one", 1), said("two", 2)]) == 2
    assert await backend.append(ADA, "c", [said("one", 1), said("two", 2), said("three", 3)]) == 1
    assert await backend.append(ADA, "c", [said("three", 3, index=1), said("another", 3, task="u")]) == 2
    assert [one.text for one in await backend.window(ADA, "c", limit=9)] == ["one", "two", "three", "three", "another"]


async def test_what_was_said_outside_of_tasks_is_new_each_time(backend: MemoryBackend) -> None:
    assert await backend.append(ADA, "c", [said("again"), said("again")]) == 2
    assert await backend.append(ADA, "c", [said("again")]) == 1
    assert len(await backend.window(ADA, "c", limit=9)) == 3


async def test_writers_at_once_lose_and_double_nothing(place: Place) -> None:
    both = [place(), place()]
    for one in both:
        await one.open()
    try:
        rounds = [one.append(ADA, "c", [said(str(n), n)]) for n in range(1, 31) for one in both]
        assert sum(await asyncio.gather(*rounds)) == 30
        read = await both[0].window(ADA, "c", limit=100)
        assert sorted(int(one.text) for one in read) == list(range(1, 31))
        assert [one.place for one in read] == sorted({one.place for one in read})
    finally:
        for one in both:
            await one.close()


async def test_a_summary_covers_more_and_never_less(backend: MemoryBackend) -> None:
    assert await backend.summary(ADA, "c") is None
    await backend.append(ADA, "c", [said("one", 1), said("two", 2)])
    await backend.summarise(ADA, "c", Summary("both", 2))
    await backend.summarise(ADA, "c", Summary("first", 1))
    assert await backend.summary(ADA, "c") == Summary("both", 2)
    await backend.summarise(ADA, "c", Summary("both, again", 2))
    assert await backend.summary(ADA, "c") == Summary("both, again", 2)
    assert await backend.summary(ADA, "d") is None


# Notes


async def test_a_note_is_set_read_and_dropped(backend: MemoryBackend) -> None:
    value = {"list": [1, 2.5, None, True], "text": "ä\u2028"}
    await backend.put_note(ADA, "", Note("key", value, 5))
    assert await backend.note(ADA, "", "key", 10) == Note("key", value, 5)
    await backend.put_note(ADA, "", Note("key", None, 6))
    assert await backend.note(ADA, "", "key", 10) == Note("key", None, 6)
    assert await backend.note(ADA, "c", "key", 10) is None
    assert await backend.drop_note(ADA, "", "key")
    assert not await backend.drop_note(ADA, "", "key")
    assert await backend.note(ADA, "", "key", 10) is None


async def test_a_note_expires(backend: MemoryBackend) -> None:
    # Far from now: a back-end may take expired notes away by its own clock.
    far = 4_000_000_000_000
    await backend.put_note(ADA, "c", Note("soon", 1, 5, far))
    await backend.put_note(ADA, "c", Note("never", 2, 5))
    assert await backend.note(ADA, "c", "soon", far - 1) is not None
    assert await backend.note(ADA, "c", "soon", far) is None
    assert [note.key for note in await backend.notes(ADA, "c", far - 1)] == ["never", "soon"]
    assert [note.key for note in await backend.notes(ADA, "c", far)] == ["never"]
    await backend.put_note(ADA, "c", Note("soon", 3, 5))
    assert await backend.note(ADA, "c", "soon", far) == Note("soon", 3, 5)


async def test_notes_are_listed_by_key_and_page(backend: MemoryBackend) -> None:
    keys = ["a", "a%", "a*", "a_1", "a_2", "ab", "a[b", "b", "ä", "\U0001f600"]
    for key in keys:
        await backend.put_note(ADA, "", Note(key, key))
    await backend.put_note(ADA, "c", Note("a_3", "elsewhere"))
    assert [note.key for note in await backend.notes(ADA, "", 9)] == sorted(keys)
    assert [note.key for note in await backend.notes(ADA, "", 9, prefix="a_")] == ["a_1", "a_2"]
    for prefix in ("a%", "a*", "a["):
        assert [note.key for note in await backend.notes(ADA, "", 9, prefix=prefix)] == [
            key for key in sorted(keys) if key.startswith(prefix)
        ]
    listed: list[str] = []
    while page := await backend.notes(ADA, "", 9, after=listed[-1] if listed else "", limit=3):
        listed += [note.key for note in page]
    assert listed == sorted(keys)


# Blobs


async def test_blobs_are_put_and_got_by_keys(backend: MemoryBackend) -> None:
    values = {"a": b"", "ä/1": bytes(range(256)), "big": b"\x00\xff" * 500_000}
    await backend.put_blobs(ADA, "shelf", values, at=1)
    assert await backend.blobs(ADA, "shelf", ["a", "ä/1", "big", "unknown"]) == values
    assert await backend.blobs(ADA, "other", ["a"]) == {}
    assert await backend.blobs(ADA, "shelf", []) == {}


async def test_blobs_replace_what_is_there_or_leave_it(backend: MemoryBackend) -> None:
    await backend.put_blobs(ADA, "shelf", {"a": b"1"}, at=1)
    await backend.put_blobs(ADA, "shelf", {"a": b"2", "b": b"2"}, at=1)
    await backend.put_blobs(ADA, "shelf", {"b": b"3", "c": b"3"}, at=1, replace=False)
    assert await backend.blobs(ADA, "shelf", ["a", "b", "c"]) == {"a": b"2", "b": b"2", "c": b"3"}


async def test_blobs_of_one_call_are_kept_all_or_none(backend: MemoryBackend) -> None:
    await backend.put_blobs(ADA, "shelf", {"a": b"0"}, at=1)
    wanted = ["a"]
    try:
        await backend.put_blobs(ADA, "shelf", {"a": b"1", "b": b"1", "half a letter \ud800": b"1"}, at=1)
    except NotKept:
        assert await backend.blobs(ADA, "shelf", ["a", "b"]) == {"a": b"0"}
    else:
        wanted = ["half a letter \ud800", "b", "a"]
    assert await backend.blob_keys(ADA, "shelf") == wanted


async def test_keys_of_blobs_are_listed_the_last_first(backend: MemoryBackend) -> None:
    keys = ["a", "a%", "a*", "a/1", "a/2", "ab", "a[b", "b", "ä", "\U0001f600"]
    await backend.put_blobs(ADA, "shelf", dict.fromkeys(keys, b"x"), at=1)
    await backend.put_blobs(ADA, "other", {"a/3": b"x"}, at=1)
    assert await backend.blob_keys(ADA, "shelf") == sorted(keys, reverse=True)
    assert await backend.blob_keys(ADA, "shelf", prefix="a/") == ["a/2", "a/1"]
    assert await backend.blob_keys(ADA, "shelf", prefix="a/", before="a/2") == ["a/1"]
    assert await backend.blob_keys(ADA, "shelf", prefix="a", before="b", limit=2) == ["ab", "a[b"]
    for prefix in ("a%", "a*", "a["):
        wanted = [key for key in sorted(keys, reverse=True) if key.startswith(prefix)]
        assert await backend.blob_keys(ADA, "shelf", prefix=prefix) == wanted
    listed: list[str] = []
    while page := await backend.blob_keys(ADA, "shelf", before=listed[-1] if listed else None, limit=3):
        listed += page
    assert listed == sorted(keys, reverse=True)


async def test_blobs_are_dropped_one_by_one_or_a_shelf_at_once(backend: MemoryBackend) -> None:
    for shelf in ("one", "two", "ä"):
        await backend.put_blobs(ADA, shelf, {"a": b"1", "b": b"2", "c": b"3"}, at=1)
    assert await backend.shelves(ADA) == ["one", "two", "ä"]
    assert await backend.shelves(ADA, after="one", limit=1) == ["two"]
    assert await backend.drop_blobs(ADA, "one", ["a", "unknown"]) == 1
    assert await backend.blob_keys(ADA, "one") == ["c", "b"]
    assert await backend.drop_blobs(ADA, "one", ["b", "c"]) == 2
    assert await backend.drop_blobs(ADA, "two") == 3
    assert await backend.drop_blobs(ADA, "two") == 0
    assert await backend.drop_blobs(ADA, "two", ["a"]) == 0
    assert await backend.drop_blobs(ADA, "ä", []) == 0
    assert await backend.shelves(ADA) == ["ä"]
    assert (await backend.stats(*ADA)).blobs == 3


async def test_a_shelf_is_as_old_as_what_was_put_there_last(backend: MemoryBackend) -> None:
    await backend.put_blobs(ADA, "used", {"a": b"1"}, at=1000)
    await backend.put_blobs(ADA, "used", {"b": b"2"}, at=9000)
    await backend.put_blobs(ADA, "used", {"c": b"3"}, at=2000)
    for number in range(30):
        await backend.put_blobs(ADA, f"old {number}", {"a": b"1", "b": b"2"}, at=1000)
    assert await backend.trim(before=5000, now=5000) == 60
    assert await backend.shelves(ADA) == ["used"]
    assert await backend.blob_keys(ADA, "used") == ["c", "b", "a"]
    assert await backend.blobs(ADA, "old 1", ["a"]) == {}


async def test_writers_of_one_shelf_lose_nothing(place: Place) -> None:
    both = [place(), place()]
    for one in both:
        await one.open()
    try:
        rounds = [
            one.put_blobs(ADA, "shelf", {f"{n}/{which}": b"x", "both": b"%d" % which}, at=n)
            for n in range(20)
            for which, one in enumerate(both)
        ]
        drops = [one.drop_blobs(ADA, "shelf", ["both"]) for one in both]
        await asyncio.gather(*rounds, *drops)
        wanted = {f"{n}/{which}" for n in range(20) for which in (0, 1)}
        assert set(await both[0].blob_keys(ADA, "shelf", limit=99)) >= wanted
        assert await both[1].shelves(ADA) == ["shelf"]
    finally:
        for one in both:
            await one.close()


# Records


async def test_records_are_found_by_their_vectors(backend: MemoryBackend) -> None:
    await backend.add(ADA, [indexed("east", "e", [1, 0]), indexed("north", "n", [0, 1]), indexed("ne", "x", [1, 1])])
    found = await backend.nearest([ADA], "s/2", [1.0, 0.0], limit=2)
    assert ids(found) == ["east", "ne"]
    assert [one.score for one in found] == pytest.approx([1, math.sqrt(0.5)], abs=1e-3)
    assert found[0].record == Record("east", "e", {}, 1000)
    assert found[0].scope == ADA


async def test_vectors_of_one_space_only_are_compared(backend: MemoryBackend) -> None:
    await backend.add(ADA, [indexed("two", "t", [1, 0]), indexed("three", "t", [1, 0, 0], "s/3"), indexed("none", "t")])
    assert ids(await backend.nearest([ADA], "s/2", [1.0, 0.0], limit=9)) == ["two"]
    assert ids(await backend.nearest([ADA], "s/3", [1.0, 0.0, 0.0], limit=9)) == ["three"]
    assert not await backend.nearest([ADA], "unknown", [1.0], limit=9)


async def test_records_are_found_by_their_words(backend: MemoryBackend) -> None:
    texts = {
        "rare": "the walrus and the carpenter",
        "often": "the the the the the",
        "both": "a walrus is a walrus",
        "other": "nothing of it here",
        "東": "東京タワーの高さ",
    }
    await backend.add(ADA, [indexed(id, text) for id, text in texts.items()])
    found = await backend.matching([ADA], terms_of("Walrus the"), limit=9)
    assert set(ids(found)) == {"rare", "often", "both"}
    assert ids(found)[2] == "often" or ids(found)[0] == "rare"
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert ids(await backend.matching([ADA], terms_of("carpenter"), limit=9)) == ["rare"]
    assert ids(await backend.matching([ADA], terms_of("東京"), limit=9)) == ["東"]
    assert not await backend.matching([ADA], terms_of("absent"), limit=9)
    assert not await backend.matching([ADA], [], limit=9)
    assert len(await backend.matching([ADA], terms_of("walrus the"), limit=1)) == 1


async def test_a_rare_word_counts_more_than_a_frequent_one(backend: MemoryBackend) -> None:
    await backend.add(ADA, [indexed(str(n), f"common word number{n}") for n in range(20)])
    await backend.add(ADA, [indexed("it", "common zebra number21")])
    assert ids(await backend.matching([ADA], terms_of("common zebra"), limit=3))[0] == "it"


async def test_a_word_that_very_many_have_hides_nothing(backend: MemoryBackend) -> None:
    for start in range(0, 5400, 900):
        numbers = range(start, start + 900)
        await backend.add(ADA, [indexed(f"{n:04}", "common ground", nth=n, even=n % 2 == 0) for n in numbers])
    await backend.add(ADA, [indexed(f"it{n}", "a zebra on common ground", even=True) for n in range(3)])
    found = await backend.matching([ADA], ["common", "zebra", "ground", "absent"], limit=10)
    assert set(ids(found)[:3]) == {"it0", "it1", "it2"}
    assert len(set(ids(found))) == 10
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert len(set(ids(await backend.matching([ADA], ["common", "ground"], limit=900)))) == 900
    few, half = conditions_of({"nth": {"gte": 7, "lt": 9}}), conditions_of({"even": False})
    assert set(ids(await backend.matching([ADA], ["common", "zebra"], where=few, limit=10))) == {"0007", "0008"}
    assert len(set(ids(await backend.matching([ADA], ["common", "zebra"], where=half, limit=40)))) == 40
    assert not await backend.matching([ADA], ["zebra"], where=half, limit=10)
    assert not await backend.matching([ADA], ["common"], where=conditions_of({"nth": -1}), limit=10)
    assert [record.id for record in await backend.records(ADA, where=few)] == ["0007", "0008"]
    assert await backend.delete(ADA, ["it0", "0007"]) == 2
    assert set(ids(await backend.matching([ADA], ["common", "zebra"], limit=10))[:2]) == {"it1", "it2"}
    assert ids(await backend.matching([ADA], ["common", "zebra"], where=few, limit=10)) == ["0008"]
    assert await backend.forget("", caller="ada") == 5401
    assert not await backend.matching([ADA], ["common", "zebra"], limit=10)


async def test_a_record_with_a_known_id_takes_the_place_of_the_first(backend: MemoryBackend) -> None:
    await backend.add(ADA, [indexed("a", "walrus", [1, 0], colour="grey")])
    await backend.add(ADA, [indexed("a", "zebra", [0, 1], "s/2", colour="striped")])
    assert not await backend.matching([ADA], ["walrus"], limit=9)
    assert ids(await backend.matching([ADA], ["zebra"], limit=9)) == ["a"]
    (found,) = await backend.nearest([ADA], "s/2", [1.0, 0.0], limit=9)
    assert found.score == pytest.approx(0, abs=1e-3)
    assert await backend.records(ADA) == [Record("a", "zebra", {"colour": "striped"}, 1000)]
    await backend.add(ADA, [indexed("a", "zebra")])
    assert not await backend.nearest([ADA], "s/2", [0.0, 1.0], limit=9)


async def test_one_id_twice_in_a_call_is_the_last(backend: MemoryBackend) -> None:
    await backend.add(ADA, [indexed("a", "walrus", [1, 0]), indexed("a", "zebra", [0, 1])])
    assert [record.text for record in await backend.records(ADA)] == ["zebra"]
    assert not await backend.matching([ADA], ["walrus"], limit=9)


async def test_deleted_records_are_gone(backend: MemoryBackend) -> None:
    await backend.add(ADA, [indexed("a", "walrus", [1, 0]), indexed("b", "walrus", [0, 1])])
    assert await backend.delete(ADA, ["a", "unknown"]) == 1
    assert ids(await backend.matching([ADA], ["walrus"], limit=9)) == ["b"]
    assert ids(await backend.nearest([ADA], "s/2", [1.0, 0.0], limit=9)) == ["b"]
    assert [record.id for record in await backend.records(ADA)] == ["b"]
    assert await backend.delete(ADA, []) == 0


async def test_records_are_listed_by_id_and_page(backend: MemoryBackend) -> None:
    names = ["b", "a", "ä", "Z", "a'b", 'a"; --', "\U0001f600"]
    await backend.add(ADA, [indexed(name, name) for name in names])
    listed: list[str] = []
    while page := await backend.records(ADA, after=listed[-1] if listed else "", limit=2):
        listed += [record.id for record in page]
    assert listed == sorted(names)


async def test_several_scopes_are_searched_at_once(backend: MemoryBackend) -> None:
    await backend.add(ADA, [indexed("mine", "walrus", [1, 0])])
    await backend.add(ALL, [indexed("ours", "walrus", [1, 1]), indexed("mine", "walrus too", [0, 1])])
    await backend.add(BOB, [indexed("his", "walrus", [1, 0])])
    near = await backend.nearest([ADA, ALL], "s/2", [1.0, 0.0], limit=9)
    assert [(one.scope, one.record.id) for one in near] == [(ADA, "mine"), (ALL, "ours"), (ALL, "mine")]
    words = await backend.matching([ADA, ALL], ["walrus"], limit=9)
    assert {(one.scope, one.record.id) for one in words} == {(ADA, "mine"), (ALL, "ours"), (ALL, "mine")}


METADATA: list[dict[str, Any]] = [
    {},
    {"page": 3, "source": "a.md", "done": True, "tags": ["x", "y"]},
    {"page": 4.5, "source": "b.md", "done": False, "tags": []},
    {"page": "3", "source": "c'); DROP TABLE records; --", "done": 1, "tags": ["z"]},
    {"page": -1, "source": "", "done": 0, "tags": ["a.b", "3"]},
    {"page": True, "source": "%", "tags": ["x"]},
    {"a.b": "dotted", "source": "ä", "page": 10},
    {"page": -2.5, "source": "a" * 150 + "b", "tags": ["b" * 150 + "c"]},
    {"page": -0.0, "source": "a" * 150 + "c", "done": False},
]
FILTERS: list[dict[str, Any]] = [
    {"page": 3},
    {"page": "3"},
    {"page": True},
    {"page": {"gte": 3}},
    {"page": {"gt": -1, "lt": 4.5}},
    {"page": {"lte": "3"}},
    {"page": {"ne": 3}},
    {"done": True},
    {"done": 1},
    {"done": {"ne": False}},
    {"tags": "x"},
    {"tags": ["y", "z"]},
    {"tags": {"ne": "x"}},
    {"tags": {"exists": True}},
    {"missing": {"exists": False}},
    {"missing": {"ne": 1}},
    {"missing": 1},
    {"source": {"in": ["a.md", "c'); DROP TABLE records; --"]}},
    {"source": {"gte": "a", "lt": "b"}},
    {"source": "%"},
    {"a.b": "dotted"},
    {"a": "dotted"},
    {"page": 3, "source": "b.md"},
    {"page": {"lt": 0}},
    {"page": {"gte": -2, "lte": 0}},
    {"page": {"gt": 3, "lt": "4"}},
    {"page": {"exists": True, "ne": 10}},
    {"page": 0},
    {"tags": {"eq": "x", "in": ["y", "q"]}},
    {"tags": {"gt": "a"}},
    {"tags": "b" * 150 + "d"},
    {"source": "a" * 150 + "c"},
    {"source": {"gt": "a" * 150 + "b", "lte": "a" * 150 + "c"}},
]


@pytest.mark.parametrize("where", FILTERS, ids=lambda where: str(where)[:60])
async def test_a_filter_means_the_same_everywhere(backend: MemoryBackend, where: dict[str, Any]) -> None:
    await backend.add(ADA, [indexed(str(n), "walrus", [1, n], **data) for n, data in enumerate(METADATA)])
    conditions: Sequence[Condition] = conditions_of(where)
    wanted = {str(n) for n, data in enumerate(METADATA) if fits(conditions, data)}
    assert {record.id for record in await backend.records(ADA, where=conditions)} == wanted
    assert set(ids(await backend.matching([ADA], ["walrus"], where=conditions, limit=99))) == wanted
    assert set(ids(await backend.nearest([ADA], "s/2", [1.0, 0.0], where=conditions, limit=99))) == wanted
    assert len(await backend.nearest([ADA], "s/2", [1.0, 0.0], where=conditions, limit=1)) == min(1, len(wanted))


SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 0.0, -0.0, 1, True, "", "a", "a" * 101, "a" * 100 + "b"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9),
)
IN_ORDER = SCALARS.filter(lambda one: not isinstance(one, bool))
ORDERED = st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), IN_ORDER, min_size=1)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    values=st.lists(st.one_of(SCALARS, st.lists(st.sampled_from(["", "a", "b"]), max_size=3)), min_size=1, max_size=6),
    wanted=st.one_of(SCALARS, st.lists(SCALARS, min_size=1, max_size=3), ORDERED),
)
async def test_what_fits_is_listed_and_nothing_else(backend: MemoryBackend, values: list[Any], wanted: Any) -> None:
    scope = Scope("law", "clerk", "ada")
    await backend.forget("law")
    await backend.add(scope, [indexed(str(n), "walrus", key=value) for n, value in enumerate(values)])
    where = conditions_of({"key": wanted})
    fitting = [str(n) for n, value in enumerate(values) if fits(where, {"key": value})]
    assert [record.id for record in await backend.records(scope, where=where)] == fitting


# Law 5: a stranger's data is not there


async def test_a_strangers_data_is_not_there(backend: MemoryBackend) -> None:
    await backend.append(ADA, "c", [said("secret", 1)])
    await backend.summarise(ADA, "c", Summary("secret", 1))
    for context_id in ("", "c"):
        await backend.put_note(ADA, context_id, Note("key", "secret"))
    await backend.put_blobs(ADA, "c", {"key": b"secret"}, at=1)
    await backend.add(ADA, [indexed("a", "secret", [1, 0])])
    for stranger in STRANGERS:
        assert not await backend.window(stranger, "c", limit=9)
        assert await backend.summary(stranger, "c") is None
        for context_id in ("", "c"):
            assert await backend.note(stranger, context_id, "key", 9) is None
            assert not await backend.notes(stranger, context_id, 9)
            assert not await backend.drop_note(stranger, context_id, "key")
        assert not await backend.shelves(stranger)
        assert not await backend.blob_keys(stranger, "c")
        assert not await backend.blobs(stranger, "c", ["key"])
        assert await backend.drop_blobs(stranger, "c") == await backend.drop_blobs(stranger, "c", ["key"]) == 0
        assert not await backend.records(stranger)
        assert not await backend.nearest([stranger], "s/2", [1.0, 0.0], limit=9)
        assert not await backend.matching([stranger], ["secret"], limit=9)
        assert await backend.delete(stranger, ["a"]) == 0
        assert await backend.stats(*stranger) == Stats()
        await backend.summarise(stranger, "c", Summary("other", 99))
        await backend.append(stranger, "c", [said("other", 1)])
        await backend.add(stranger, [indexed("a", "other", [0, 1])])
        await backend.put_blobs(stranger, "c", {"key": b"other"}, at=1)
        assert await backend.forget(*stranger) >= 1
    assert [one.text for one in await backend.window(ADA, "c", limit=9)] == ["secret"]
    assert await backend.summary(ADA, "c") == Summary("secret", 1)
    assert (await backend.records(ADA))[0].text == "secret"
    assert await backend.note(ADA, "c", "key", 9) is not None
    assert await backend.blobs(ADA, "c", ["key"]) == {"key": b"secret"}


WORDS = st.sampled_from(
    ["walrus", "zebra", "the", "東京", "a b", "'", '"', "*", "x" * 70, "NEAR(a)", "-", "a:b", "(", "\\"]
)
TEXT = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(texts=st.lists(TEXT, max_size=6), query=TEXT)
async def test_words_find_what_has_them_and_nothing_else(backend: MemoryBackend, texts: list[str], query: str) -> None:
    scope = Scope("law", "clerk", "ada")
    await backend.forget("law")
    await backend.add(scope, [indexed(str(n), text) for n, text in enumerate(texts)])
    terms = terms_of(query)
    wanted = {str(n) for n, text in enumerate(texts) if set(terms_of(text)) & set(terms)}
    assert set(ids(await backend.matching([scope], terms, limit=99))) == wanted


# Erasure


async def fill(backend: MemoryBackend, scope: Scope) -> None:
    await backend.append(scope, "c", [said("unforgettable", 1), said("unforgettable", 2, at=9000)])
    await backend.summarise(scope, "c", Summary("unforgettable", 1))
    await backend.put_note(scope, "", Note("unforgettable", "unforgettable"))
    await backend.put_note(scope, "c", Note("b", 1, expires=4_000_000_000_000))
    await backend.put_blobs(scope, "s", {"a": b"unforgettable", "b": b""}, at=1000)
    await backend.add(scope, [indexed("a", "unforgettable", [1, 0], source="unforgettable"), indexed("b", "bare")])


async def test_stats_count_what_is_there(backend: MemoryBackend) -> None:
    await fill(backend, ADA)
    await fill(backend, BOB)
    await fill(backend, Scope("", "other", "ada"))
    one = Stats(contexts=1, utterances=2, notes=2, records=2, blobs=2, spaces={"s/2": 1, "": 1})
    assert await backend.stats(*ADA) == one
    two = Stats(contexts=2, utterances=4, notes=4, records=4, blobs=4, spaces={"s/2": 2, "": 2})
    assert await backend.stats("", caller="ada") == two
    assert await backend.stats("", agent="clerk") == two
    assert (await backend.stats("")).records == 6
    assert await backend.stats("acme") == Stats()


async def listed(backend: MemoryBackend, limit: int, *of: str | None) -> list[Scope]:
    scopes: list[Scope] = []
    while page := await backend.scopes(*of, after=scopes[-1] if scopes else None, limit=limit):
        assert len(page) <= limit
        scopes += page
    return scopes


async def test_whom_it_knows_is_listed_until_they_are_forgotten(backend: MemoryBackend) -> None:
    assert not await backend.scopes()
    await backend.append(ADA, "c", [said("a", 1)])
    await backend.put_note(BOB, "", Note("a", 1))
    await backend.put_blobs(ALL, "s", {"a": b""}, at=1)
    await backend.add(Scope(), [indexed("a", "a")])
    await backend.summarise(Scope("acme", "other", "ada"), "c", Summary("a", 1))
    odd = [Scope("acme/x", "clerk", "ada~"), Scope("acme", "clerk/ada", "é 1"), Scope("acme", "clerk", "%2F")]
    many = [Scope("", "clerk", f"caller {n}") for n in range(20)]
    for scope in (*odd, *many):
        await backend.append(scope, "c", [said("a", 1)])
    known = {ADA, BOB, ALL, Scope(), Scope("acme", "other", "ada"), *odd, *many}
    for limit in (1, 3, 28, 1000):
        scopes = await listed(backend, limit)
        assert len(scopes) == len(known)
        assert set(scopes) == known
    assert set(await listed(backend, 2, "acme")) == {scope for scope in known if scope.tenant == "acme"}
    assert set(await listed(backend, 7, "", "clerk")) == {ADA, BOB, ALL, *many}
    assert set(await listed(backend, 1, None, None, "ada")) == {ADA, Scope("acme", "other", "ada")}
    assert set(await listed(backend, 1, "", "", "")) == {Scope()}
    assert not await listed(backend, 1, "", "other")
    await backend.delete(Scope(), ["a"])
    await backend.forget("", "clerk", "caller 7")
    await backend.forget("acme")
    assert set(await listed(backend, 5)) - {Scope()} == {
        scope for scope in known - {Scope(), many[7]} if scope.tenant != "acme"
    }


async def test_a_caller_is_forgotten_and_nothing_is_left(backend: MemoryBackend) -> None:
    others = [BOB, ALL, Scope("acme", "clerk", "ada")]
    for scope in (ADA, Scope("", "other", "ada"), *others):
        await fill(backend, scope)
    assert await backend.forget("", caller="ada") == 16
    assert await backend.stats("", caller="ada") == Stats()
    for scope in (ADA, Scope("", "other", "ada")):
        assert not await backend.window(scope, "c", limit=9)
        assert await backend.summary(scope, "c") is None
        assert not await backend.notes(scope, "", 9)
        assert not await backend.shelves(scope)
        assert not await backend.blobs(scope, "s", ["a"])
        assert not await backend.records(scope)
        assert not await backend.nearest([scope], "s/2", [1.0, 0.0], limit=9)
        assert not await backend.matching([scope], ["unforgettable"], limit=9)
    for scope in others:
        assert (await backend.stats(*scope)).utterances == 2
        assert ids(await backend.matching([scope], ["unforgettable"], limit=9)) == ["a"]
    assert await backend.forget("", caller="ada") == 0
    await fill(backend, ADA)
    assert (await backend.stats(*ADA)).utterances == 2
    assert await backend.forget("") == 24
    assert await backend.stats("") == Stats()


async def test_retention_erases_what_is_old(backend: MemoryBackend) -> None:
    await fill(backend, ADA)
    await backend.put_note(ADA, "", Note("short", 1, expires=4_000_000_000_001))
    assert await backend.trim(before=5000, now=4_000_000_000_000) == 6
    assert [one.at for one in await backend.window(ADA, "c", limit=9)] == [9000]
    assert not await backend.records(ADA)
    assert not await backend.matching([ADA], ["unforgettable"], limit=9)
    assert not await backend.nearest([ADA], "s/2", [1.0, 0.0], limit=9)
    assert [note.key for note in await backend.notes(ADA, "", 9)] == ["short", "unforgettable"]
    assert not await backend.notes(ADA, "c", 9)
    assert not await backend.shelves(ADA)


async def test_what_retention_erased_is_not_appended_when_the_log_is_read_again(backend: MemoryBackend) -> None:
    old, new = [said("one", 1), said("two", 2), said("two again", 2, index=1)], said("three", 3, at=9000)
    await backend.append(ADA, "c", [*old, new])
    await backend.append(ADA, "c", [said("elsewhere")])
    assert await backend.trim(before=5000, now=0) == 4
    assert await backend.append(ADA, "c", [*old, new]) == 0
    assert await backend.append(ADA, "c", [said("four", 4), said("another", 1, task="u"), said("elsewhere")]) == 3
    read = await backend.window(ADA, "c", limit=9)
    assert [one.text for one in read] == ["three", "four", "another", "elsewhere"]
    assert await backend.trim(before=5000, now=0) == 3
    assert await backend.append(ADA, "c", [*old, new, said("four", 4)]) == 0
    assert await backend.append(ADA, "d", old) == 3
    await backend.forget("", caller="ada")
    assert await backend.append(ADA, "c", [*old, new]) == 4


# Places that outlive a process


async def test_what_was_kept_is_there_for_the_next_process(place: Place) -> None:
    first = place()
    await first.open()
    await fill(first, ADA)
    await first.close()
    second = place()
    await second.open()
    await second.open()
    try:
        if first.durable or first is second:
            assert (await second.stats(*ADA)).utterances == 2
            assert ids(await second.nearest([ADA], "s/2", [1.0, 0.0], limit=9)) == ["a"]
            assert ids(await second.matching([ADA], ["unforgettable"], limit=9)) == ["a"]
            assert await second.append(ADA, "c", [said("unforgettable", 1), said("new", 3)]) == 1
    finally:
        await second.close()


async def test_what_another_process_changes_is_seen(place: Place) -> None:
    ours, theirs = place(), place()
    await ours.open()
    await theirs.open()
    try:
        await ours.add(ADA, [indexed("a", "walrus", [1, 0])])
        assert ids(await theirs.nearest([ADA], "s/2", [1.0, 0.0], limit=9)) == ["a"]
        await theirs.add(ADA, [indexed("b", "walrus", [1, 1])])
        assert ids(await ours.nearest([ADA], "s/2", [1.0, 0.0], limit=9)) == ["a", "b"]
        await theirs.add(ADA, [indexed("a", "walrus", [-1, 0])])
        assert ids(await ours.nearest([ADA], "s/2", [1.0, 0.0], limit=9)) == ["b", "a"]
        await theirs.forget("", caller="ada")
        assert not await ours.nearest([ADA], "s/2", [1.0, 0.0], limit=9)
        assert not await ours.matching([ADA], ["walrus"], limit=9)
    finally:
        await ours.close()
        await theirs.close()
