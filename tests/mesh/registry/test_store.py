"""What every registry store promises."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from codin import a2a
from codin.mesh._directory import words
from codin.mesh.registry import Holder, Labels, Query, Registration, RegistryStore, SQLiteRegistryStore

pytestmark = pytest.mark.anyio

NOTHING = Labels(frozenset(), frozenset(), "")


@pytest.fixture(params=["memory", "file"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[RegistryStore]:
    store = SQLiteRegistryStore(tmp_path / "registry.db" if request.param == "file" else None)
    await store.open()
    yield store
    await store.close()


def _agent(agent: str, number: int = 0, **more: object) -> Registration:
    values = {
        "key": f"{agent}-{number}", "agent": agent, "name": agent.title(), "owner": "alice",
        "url": f"http://{agent}{number}.test/card.json", "card": b'{"name":"x"}', "kid": "k", "identity": f"{agent}@k",
        "jwk": "{}", "verified": True, "ttl": 10.0, "registered": 100.0, "seen": 100.0, **more,
    }  # fmt: skip
    return Registration(**values)  # pyright: ignore[reportArgumentType]


async def _put(store: RegistryStore, registration: Registration, labels: Labels = NOTHING) -> None:
    await store.put(registration, names=[registration.agent, registration.name.casefold()], labels=labels)


async def _keys(store: RegistryStore, query: Query) -> list[str]:
    return [found.key for found in (await store.search(query)).found]


async def test_what_is_put_is_got(store: RegistryStore) -> None:
    echo = _agent("echo", load=0.5, latency=0.01, failed=True, said=3.0)
    await _put(store, echo)
    assert await store.get("echo-0") == echo
    assert await store.get("other") is None


async def test_a_registration_is_replaced_with_what_it_was_found_by(store: RegistryStore) -> None:
    await _put(store, _agent("echo"), Labels(frozenset({"Shout"}), frozenset({"loud"}), "noisy"))
    await _put(store, _agent("echo"), Labels(frozenset({"whisper"}), frozenset({"calm"}), "quiet"))
    assert await _keys(store, Query(skill="whisper", tag="CALM", words=["quiet"])) == ["echo-0"]
    for query in (Query(skill="shout"), Query(tag="loud"), Query(words=["noisy"])):
        assert await _keys(store, query) == []
    assert (await store.counts("alice"))[:2] == (1, 1)


async def test_every_condition_has_to_hold(store: RegistryStore) -> None:
    await _put(store, _agent("one"), Labels(frozenset({"sum"}), frozenset({"maths"}), "adds numbers"))
    await _put(store, _agent("two"), Labels(frozenset({"sum"}), frozenset({"text"}), "adds words"))
    assert await _keys(store, Query(skill="SUM")) == ["one-0", "two-0"]
    assert await _keys(store, Query(skill="sum", tag="text")) == ["two-0"]
    assert await _keys(store, Query(skill="sum", tag="text", name="One")) == []
    assert await _keys(store, Query(words=["add", "number"])) == ["one-0"]
    assert await _keys(store, Query(words=["add"], tag="text")) == ["two-0"]


async def test_names_count_for_more_than_sentences(store: RegistryStore) -> None:
    await _put(store, _agent("other"), Labels(frozenset(), frozenset(), "mentions a translator"))
    await _put(store, _agent("helper"), Labels(frozenset({"translator"}), frozenset(), ""))
    await _put(store, _agent("translator"))
    assert await _keys(store, Query(words=["translator"])) == ["translator-0", "helper-0", "other-0"]


@pytest.mark.parametrize("text", ['"', "a*", "NEAR(", "name:echo", "'; DROP TABLE", "-", "OR", "ß", "日本"])
async def test_words_are_no_language(store: RegistryStore, text: str) -> None:
    await _put(store, _agent("echo"), Labels(frozenset(), frozenset(), f"it says {text.casefold()} indeed"))
    assert await _keys(store, Query(words=words(text))) == ["echo-0"]


async def test_gone_ones_are_left_out(store: RegistryStore) -> None:
    await _put(store, _agent("old", seen=100.0, ttl=10.0))
    await _put(store, _agent("new", seen=115.0, ttl=10.0))
    assert await _keys(store, Query(alive_at=119.0)) == ["new-0", "old-0"]
    assert await _keys(store, Query(alive_at=121.0)) == ["new-0"]
    await store.beat("old-0", seen=130.0, said=7.0, load=0.5)
    heard = await store.get("old-0")
    assert heard is not None
    assert (heard.seen, heard.said, heard.load) == (130.0, 7.0, 0.5)
    assert await _keys(store, Query(alive_at=121.0)) == ["new-0", "old-0"]


async def test_pages_go_on_where_they_ended_whatever_comes_and_goes(store: RegistryStore) -> None:
    for number in range(7):
        await _put(store, _agent(f"a{number}"), Labels(frozenset({"sum"}), frozenset(), "same words"))
    seen: list[str] = []
    after: str | None = None
    while True:
        page = await store.search(Query(skill="sum", limit=3, after=after))
        seen += [found.key for found in page.found]
        await store.drop(seen[0])
        after = page.next
        if after is None:
            break
    assert seen == [f"a{number}-0" for number in range(7)]
    first = await store.search(Query(words=["same"], limit=4))
    rest = await store.search(Query(words=["same"], limit=4, after=first.next))
    assert len({found.key for found in (*first.found, *rest.found)}) == 6
    assert rest.next is None


@pytest.mark.parametrize("cursor", ["", "nonsense", "e30", "W10", "WzEsMl0", "OTk5OTk5OTk", "é", "LTE"])
async def test_a_cursor_is_one_that_was_given(store: RegistryStore, cursor: str) -> None:
    for query in (Query(after=cursor), Query(words=["x"], after=cursor)):
        with pytest.raises(a2a.InvalidParams):
            await store.search(query)


async def test_dropped_ones_leave_their_names_held(store: RegistryStore) -> None:
    await _put(store, _agent("echo"))
    await store.drop("echo-0")
    await store.drop("echo-0")
    assert await store.get("echo-0") is None
    assert await _keys(store, Query(name="echo")) == []
    assert await store.holders(["echo", "other"]) == {"echo": Holder("k", "{}", "alice")}
    assert await store.counts("alice") == (0, 0, 1)


async def test_the_sweep_takes_what_was_gone_and_names_that_nobody_uses(store: RegistryStore) -> None:
    await _put(store, _agent("old", seen=100.0, ttl=10.0))
    await _put(store, _agent("new", seen=200.0, ttl=10.0))
    assert await store.sweep(gone_before=100.0, names_before=0.0) == []
    gone = await store.sweep(gone_before=150.0, names_before=0.0)
    assert [each.key for each in gone] == ["old-0"]
    assert set(await store.holders(["old", "new"])) == {"old", "new"}
    await store.sweep(gone_before=150.0, names_before=2e12)
    assert set(await store.holders(["old", "new"])) == {"new"}
