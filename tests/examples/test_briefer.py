"""The briefer: what it does with what the other two answer, or do not."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

import codin
from codin import a2a
from codin.client import Peer
from codin.server import App
from codin.testing import serving
from tests.examples.prose import prose
from tests.examples.shipped import shipped

pytestmark = pytest.mark.anyio

BRIEFER = shipped("briefer")
DOCUMENT = prose(11)
FILE = a2a.Part(raw=DOCUMENT.text.encode(), filename="found.md", media_type="text/markdown")


@pytest.fixture
async def peer() -> AsyncGenerator[Peer]:
    others = App(shipped("reader").read, shipped("ranker").ranker)
    async with (
        serving(others) as url,
        codin.Mesh([f"{url}/reader", f"{url}/ranker"]) as mesh,
        serving(App(BRIEFER.brief, resolver=mesh)) as asked,
        codin.connect(asked) as peer,
    ):
        yield peer


def _quotes(task: a2a.Task | None) -> list[dict[str, Any]]:
    assert task is not None
    (quotes,) = [artifact for artifact in task.artifacts if artifact.name == "quotes"]
    return quotes.parts[0].data["quotes"]


async def test_the_wanted_length_may_come_with_the_document(peer: Peer) -> None:
    reply = await peer.send({"sentences": 4}, files=[FILE])
    assert reply.state is a2a.TaskState.COMPLETED
    quotes = _quotes(reply.task)
    assert len(quotes) == 4
    assert [quote["number"] for quote in quotes] == sorted({quote["number"] for quote in quotes})
    for quote in quotes:
        places = [(place.section, place.line) for place in DOCUMENT.sentences[quote["text"]]]
        assert (quote["section"], quote["line"]) in places
        assert f"\n> {quote['text']}\n  [{quote['section']}, sentence {quote['number']} " in reply.text


async def test_it_asks_for_the_length_until_the_answer_fits(peer: Peer) -> None:
    reply = await peer.send(FILE)
    for answer in ("many", "0"):
        assert reply.state is a2a.TaskState.INPUT_REQUIRED
        assert f"How many of the {len(list(_all()))} sentences of 'Part 1: " in reply.text
        assert reply.data == {"schema": {"type": "integer"}}
        reply = await peer.send(answer, task_id=reply.task_id, context_id=reply.context_id)
    assert reply.text.startswith("At least one, please.")
    reply = await peer.send("1000", task_id=reply.task_id, context_id=reply.context_id)
    assert reply.state is a2a.TaskState.COMPLETED
    assert len(_quotes(reply.task)) == len(list(_all()))


def _all() -> list[str]:
    return [text for text, places in DOCUMENT.sentences.items() for _ in places]


async def test_the_brief_is_streamed_quote_by_quote_and_says_who_is_asked(peer: Peer) -> None:
    calls: list[Any] = []
    texts: list[str] = []
    async for event in peer.stream({"sentences": 3}, files=[FILE]):
        if isinstance(event.value, a2a.TaskStatusUpdateEvent) and event.value.metadata:
            calls.append(event.value.metadata["call"])
        if event.text:
            texts.append(event.text)
    whom = ("reader", "ranker", "writer", "critic")
    assert calls == [{way: name} for name in whom for way in ("to", "from")]
    assert len(texts) == 1 + 2 * 3


async def test_what_the_reader_rejects_is_rejected_in_its_words(peer: Peer) -> None:
    reply = await peer.send(a2a.Part(raw=b"\xff", filename="photo.jpg"))
    assert (reply.state, reply.text) == (
        a2a.TaskState.REJECTED,
        "photo.jpg is not text in UTF-8 (byte 0 does not fit).",
    )


@pytest.mark.parametrize("sentences", [0, -1, "many"])
async def test_an_impossible_length_is_rejected(peer: Peer, sentences: int | str) -> None:
    reply = await peer.send({"sentences": sentences}, files=[FILE])
    assert reply.state is a2a.TaskState.REJECTED
    assert "sentences" in reply.text


async def test_an_agent_that_is_not_there_is_named(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BRIEFER, "RANKER", "http://127.0.0.1:9")
    reply = await peer.send({"sentences": 3}, files=[FILE])
    assert reply.state is a2a.TaskState.FAILED
    assert reply.text.startswith("The ranker could not be asked: ")
