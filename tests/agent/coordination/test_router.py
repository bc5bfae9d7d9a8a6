"""The router: whom it finds for a wish, and what it passes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from codin import a2a
from codin.agent import AgentResponse, NeedInput, Reject, Task, agent
from codin.agent.coordination import Choose, Known, Router, by_words
from codin.client import Peer
from codin.testing import mesh

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Entry:
    """An agent in a list."""

    name: str
    url: str
    card: a2a.AgentCard | None = None


class Listed:
    """A directory that is a list."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    async def find(self, *, text: str, limit: int) -> Sequence[Known]:
        assert text == ""
        return self.entries[:limit]


@agent(name="summarizer", tags=["summary"])
async def summarize(text: str) -> AsyncGenerator[str]:
    """Say a long text in a few sentences."""
    yield "in "
    yield "short"


@agent(name="weather", tags=["forecast"])
async def weather(task: Task) -> AgentResponse:
    """Tell how warm it gets in a city."""
    if task.resume is None:
        raise NeedInput("Which city?", token="asked", data={"known": ["Oslo"]})
    return AgentResponse.completed(f"warm in {task.text}", data={"degrees": 20})


@agent(name="postman", tags=["mail"])
async def postman(document: a2a.Part) -> bytes:
    """Carry a letter."""
    assert document.raw is not None
    return document.raw[::-1]


@agent(name="bouncer", tags=["door"])
async def bouncer(text: str) -> str:
    """Let nobody in."""
    raise Reject("Not in these shoes.")


@asynccontextmanager
async def routed(*agents: Any, choose: Choose = by_words, more: Sequence[Entry] = ()) -> AsyncGenerator[Peer]:
    """A router that knows some agents, and itself."""
    listed = Listed()
    async with mesh(*agents, Router(listed, choose=choose)) as peers:
        listed.entries = [*more, *(Entry(name, peers.urls[name], peer.card) for name, peer in peers.items())]
        yield peers["router"]


ALL = (summarize, weather, postman, bouncer)


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ("Please summarise this text: …", "summarizer"),
        ("I want a short summary of a book", "summarizer"),
        ("What is the forecast for today?", "weather"),
        ("How WARM is it?", "weather"),
        ("send my letters by mail", "postman"),
        ("open the door", "bouncer"),
    ],
)
async def test_the_words_of_the_wish_choose(wish: str, name: str) -> None:
    async with mesh(*ALL) as peers:
        entries = [Entry(each, peers.urls[each], peer.card) for each, peer in peers.items()]
    assert by_words(wish, entries)[0].name == name


def test_a_word_that_all_have_says_nothing_beside_a_rare_one() -> None:
    def entry(name: str, description: str) -> Entry:
        return Entry(name, "", a2a.AgentCard.model_validate({**CARD, "name": name, "description": description}))

    entries = [entry("one", "documents and maps"), entry("two", "documents"), entry("three", "documents and tunes")]
    assert [each.name for each in by_words("documents with tunes", entries)] == ["three", "one", "two"]
    assert by_words("nothing of it", entries) == []
    assert by_words("", entries) == []
    assert by_words("documents", []) == []
    assert [each.name for each in by_words("one", [Entry("one", ""), Entry("two", "")])] == ["one"]


async def test_the_work_is_done_and_streamed() -> None:
    async with routed(*ALL) as router:
        said = [event.text async for event in router.stream("a summary of this") if event.kind == "artifact"]
        assert "".join(said[:2]) == "in short"
        task = (await router.send("a summary of this")).task
        assert task is not None
        assert [a2a.text_of(artifact.parts) for artifact in task.artifacts] == ["in short"]


async def test_whom_it_asks_is_said() -> None:
    async with routed(*ALL) as router:
        news = [
            a2a.text_of(event.value.status.message.parts)
            async for event in router.stream("a summary")
            if isinstance(event.value, a2a.TaskStatusUpdateEvent) and event.value.status.message
        ]
        assert news == ["asking summarizer"]


async def test_a_question_comes_through_and_so_does_the_answer() -> None:
    async with routed(*ALL) as router:
        asked = await router.send("the forecast")
        assert (asked.state, asked.text) == (a2a.TaskState.INPUT_REQUIRED, "Which city?")
        assert asked.data == {"known": ["Oslo"]}
        # These words fit another agent better; they are an answer, and go to who has asked.
        done = await router.send("summary", task_id=asked.task_id, context_id=asked.context_id)
        assert (done.state, done.text, done.data) == (a2a.TaskState.COMPLETED, "warm in summary", {"degrees": 20})


async def test_files_are_handed_on_and_come_back() -> None:
    async with routed(*ALL) as router:
        reply = await router.send("a letter to mail", files=[a2a.Part(raw=b"abc", filename="letter.txt")])
        assert [part.raw for part in reply.files] == [b"cba"]


async def test_what_is_refused_there_is_refused_here() -> None:
    async with routed(*ALL) as router:
        reply = await router.send("the door")
        assert (reply.state, reply.text) == (a2a.TaskState.REJECTED, "Not in these shoes.")


async def test_nobody_fits() -> None:
    async with routed(summarize, weather) as router:
        reply = await router.send("paint my house")
        assert reply.state is a2a.TaskState.REJECTED
        assert reply.text == "No agent here fits that. There are: summarizer, weather."
    async with routed() as router:
        assert (await router.send("a router")).text == "There is no agent here that could do it."


async def test_who_cannot_be_reached_is_passed_over() -> None:
    gone = [Entry("summary", "http://gone.test/"), Entry("summary-2", "http://gone-too.test/")]
    async with routed(summarize, more=gone) as router:
        assert (await router.send("a summary")).text == "in short"
    async with routed(more=gone) as router:
        reply = await router.send("a summary")
        assert reply.state is a2a.TaskState.FAILED
        assert reply.text == "Nobody who fits can be reached: summary, summary-2."


async def test_the_last_to_be_tried_is_the_third() -> None:
    gone = [Entry(f"summary-{number}", f"http://gone-{number}.test/") for number in range(9)]
    async with routed(more=gone) as router:
        assert (await router.send("a summary")).text.endswith("summary-0, summary-1, summary-2.")


def _last(wish: str, agents: Sequence[Any]) -> Sequence[Any]:
    return agents[-1:]


async def _asks(wish: str, agents: Sequence[Any]) -> Sequence[Any]:
    return [each for each in agents if each.name == "weather"] if "sky" in wish else []


@pytest.mark.parametrize(
    ("choose", "wish", "text"),
    [(_last, "anything", "Not in these shoes."), (_asks, "the sky", "Which city?"), (_asks, "a summary", "No agent")],
)
async def test_another_way_to_choose(choose: Callable[..., Any], wish: str, text: str) -> None:
    async with routed(*ALL, choose=choose) as router:
        assert (await router.send(wish)).text.startswith(text)


async def test_its_card_is_its_own() -> None:
    router = Router(Listed(), name="front desk", description="Ask me.", tags=["desk"], examples=["hello"])
    async with mesh(router) as peers:
        card = peers["front desk"].card
        assert (card.description, card.skills[0].tags, card.skills[0].examples) == ("Ask me.", ["desk"], ["hello"])


CARD: Mapping[str, Any] = {
    "name": "",
    "description": "",
    "version": "1",
    "supportedInterfaces": [{"url": "http://a.test/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
    "capabilities": {},
    "defaultInputModes": ["text/plain"],
    "defaultOutputModes": ["text/plain"],
    "skills": [],
}
