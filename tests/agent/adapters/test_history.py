"""A history in memory, of whatever a framework calls a message."""

from __future__ import annotations

import pytest

from codin.agent.adapters import History, MemoryHistory

pytestmark = pytest.mark.anyio


async def test_a_thread_gives_back_what_was_added_to_it() -> None:
    history: History[str] = MemoryHistory()
    for thread, message in (("a", "one"), ("b", "two"), ("a", "three")):
        await history.append(thread, [message])
    assert [list(await history.load(thread)) for thread in ("a", "b", "c")] == [["one", "three"], ["two"], []]


async def test_what_was_loaded_stays_as_it_was() -> None:
    history: History[str] = MemoryHistory()
    await history.append("a", ["one"])
    loaded = await history.load("a")
    await history.append("a", ["two"])
    assert list(loaded) == ["one"]


async def test_the_thread_that_was_silent_for_the_longest_time_goes_first() -> None:
    history: History[str] = MemoryHistory(threads=2)
    for thread in ("a", "b", "a", "c"):
        await history.append(thread, ["hello"])
    assert [len(await history.load(thread)) for thread in ("a", "b", "c")] == [2, 0, 1]
