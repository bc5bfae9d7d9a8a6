"""A subscription behind a number: `event.text` is new for a reader who has everything up to that number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from codin.agent import Agent, Task, agent
from codin.client import Event, connect
from codin.server import App
from tests.client.scripted import PATIENT, Call, Script, Step, now, piece, talking_to, task
from tests.server.sockets import listening

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("spoken")]


@agent
async def streams(text: str) -> AsyncIterator[str]:
    """Writes piece by piece."""
    for word in ("one ", "two ", "three"):
        yield word


@agent
async def returns(text: str) -> str:
    """Says it all at once."""
    return "one two three"


@agent
async def asks(task: Task) -> str | None:
    """Writes in its first turn, returns in its second."""
    await task.write("one ")
    await task.write("two ")
    answer = await task.ask("three?")
    await task.write(answer.text)
    return None


@pytest.mark.parametrize("made", [streams, returns, asks], ids=lambda made: made.name)
async def test_behind_every_number_the_new_text_is_that_of_the_uncut_stream(made: Agent) -> None:
    async with asyncio.timeout(PATIENT), listening(App(made)) as served, connect(served.url) as peer:
        events = [event async for event in peer.stream("go")]
        task = events[-1].task
        assert task is not None
        if not task.status.state.terminal:
            answered = peer.stream("three", task_id=task.id, context_id=task.context_id)
            events += [event async for event in answered]
        told = [(event.number, event.text) for event in events if event.number is not None]
        assert "".join(text for _, text in told) in ("one two three", "one two three?three")
        for number, _ in told:
            again = [(event.number, event.text) async for event in peer.subscribe(task.id, after=number)]
            assert [each for each in again if each[1]] == [each for each in told if each[0] > number and each[1]]


CLOSING = piece("one two", append=False, lastChunk=True)


def numbered(start: int, *updates: dict[str, Any], after: int, cut: bool = False) -> Step:
    async def step(call: Call) -> None:
        assert call.method == "SubscribeToTask"
        assert call.headers["last-event-id"] == str(after)
        await call.begin()
        await call.events(*updates, start=start)
        call.cut() if cut else await call.end()

    return step


LOG = (now("WORKING"), piece("one ", append=False), piece("two"), CLOSING, now("COMPLETED"))


async def behind(number: int, *steps: Step) -> list[Event]:
    script = Script(*steps)
    async with talking_to(script, resume=True) as peer, asyncio.timeout(PATIENT):
        events = [event async for event in peer.subscribe("t", after=number)]
    assert script.steps == []
    return events


async def test_a_closing_update_alone_has_nothing_new() -> None:
    events = await behind(4, numbered(5, *LOG[3:], after=4), numbered(2, *LOG, after=0))
    assert [(event.number, event.text) for event in events] == [(5, ""), (6, "")]
    last = events[-1].task
    assert last is not None
    assert [part.text for part in last.artifacts[0].parts] == ["one two"]


async def test_a_whole_artifact_is_new_and_the_past_is_read_once() -> None:
    whole = [piece(text, append=False, artifact=text, lastChunk=True) for text in ("this", "that")]
    events = await behind(4, numbered(5, *whole, *LOG[3:], after=4), numbered(2, *LOG[:3], *whole, after=0))
    assert [event.text for event in events] == ["this", "that", "", ""]


async def test_a_closing_update_behind_pieces_needs_no_past() -> None:
    assert [event.text for event in await behind(2, numbered(3, *LOG[1:], after=2))] == ["one ", "two", "", ""]
    assert [event.text for event in await behind(3, numbered(4, *LOG[2:], after=3))] == ["two", "", ""]


async def test_a_last_message_that_repeats_the_text_has_nothing_new() -> None:
    ended = now("COMPLETED", said="one two")
    repeated = await behind(5, numbered(6, ended, after=5), numbered(2, *LOG[:4], ended, after=0))
    assert [event.text for event in repeated] == [""]
    alone = await behind(2, numbered(6, ended, after=2), numbered(2, LOG[0], ended, after=0))
    assert [event.text for event in alone] == ["one two"]


async def test_a_past_that_is_not_kept_leaves_the_whole_text() -> None:
    trimmed = numbered(6, task("COMPLETED", text="one two"), after=0)
    events = await behind(4, numbered(5, *LOG[3:], after=4), trimmed)
    assert [event.text for event in events] == ["one two", ""]


async def test_the_past_survives_cuts() -> None:
    events = await behind(
        4,
        numbered(5, *LOG[3:], after=4),
        numbered(2, LOG[0], after=0, cut=True),
        numbered(3, *LOG[1:], after=2),
    )
    assert [event.text for event in events] == ["", ""]


async def over(call: Call) -> None:
    await call.result(task("COMPLETED")["task"])


async def working(call: Call) -> None:
    await call.result(task("WORKING")["task"])


async def test_behind_the_last_event_of_a_task_that_has_ended_comes_nothing() -> None:
    nothing = numbered(7, after=6)
    assert await behind(6, nothing, over, nothing) == []


@pytest.mark.parametrize("meanwhile", [working, over])
async def test_a_server_that_leaves_before_it_had_anything_to_tell_is_no_end(meanwhile: Step) -> None:
    events = await behind(6, numbered(7, after=6), meanwhile, numbered(7, LOG[-1], after=6))
    assert [event.number for event in events] == [7]
