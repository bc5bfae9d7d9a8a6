"""ADK's own client, `RemoteA2aAgent`, against agents on codin, which is served with its default settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from google.adk.agents import LlmAgent

from codin.agent import agent
from codin.agent.adapters.adk import adapt
from codin.server import App
from codin.task import AgentResponse, Task
from tests.agent.adapters.adk.scripted import ask_human, speaker
from tests.interop.conftest import Programs
from tests.interop.line import call
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio

PATIENT = 60.0
PIECES = ["alpha ", "beta ", "gamma"]

_numbers = count(1)


@agent
async def pieces(text: str) -> AsyncIterator[str]:
    """Says many things, one after the other."""
    for piece in PIECES:
        yield piece


@agent
async def ask(text: str, task: Task) -> str:
    """Asks back, twice."""
    colour = await task.ask(f"Which {text}?")
    size = await task.ask("And which size?")
    return f"You chose {colour.text} and {size.text}."


@agent
async def show(text: str, task: Task) -> AgentResponse:
    """Shows things that are not text."""
    await task.artifact(b"a,b\n1,2\n", name="table", filename="table.csv", media_type="text/csv")
    return AgentResponse.completed(data={"total": 2})


@agent
async def fail(text: str) -> AgentResponse:
    """Fails."""
    return AgentResponse.failed("There is no such thing.")


def painter() -> LlmAgent:
    """An agent of ADK itself: both ends are ADK, and A2A is in between."""
    return speaker("painter", ("ask_human", {"question": "What colour?"}), "It is painted.", tools=[ask_human])


@pytest.fixture(scope="session")
def adk_client(programs: Programs) -> int:
    """The port of ADK's client."""
    return int(programs["adk client"])


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with asyncio.timeout(PATIENT), listening(App(pieces, ask, show, fail, adapt(painter()))) as served:
        yield served.url


@dataclass
class Turn:
    """What a runner of ADK gave for one message."""

    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    kept: list[str] = field(default_factory=list[str])

    @property
    def streamed(self) -> str:
        return "".join(event["text"] for event in self.events if event["partial"])

    @property
    def text(self) -> str:
        """What was said in the end."""
        return "".join(event["text"] for event in self.events if not event["partial"])

    @property
    def call(self) -> dict[str, Any]:
        """The call that waits for an answer."""
        (call,) = [call for event in self.events for call in event["calls"]]
        return call

    @property
    def files(self) -> list[Any]:
        return [file for event in self.events for file in event["files"]]


class Conversation:
    """One session of ADK, with a remote agent as its root."""

    def __init__(self, port: int, url: str, *, legacy: bool, streaming: bool) -> None:
        self._port = port
        self._call = {"conversation": str(next(_numbers)), "url": url, "legacy": legacy, "streaming": streaming}

    async def say(self, text: str, answer: dict[str, Any] | None = None) -> Turn:
        turn = Turn()
        async for told in call(self._port, {**self._call, "text": text, "answer": answer}):
            if "said" in told:
                turn.kept = told["said"]
            else:
                assert told["error"] is None
                turn.events.append(told)
        return turn


@pytest.fixture(params=["legacy", "extension"])
def legacy(request: pytest.FixtureRequest) -> bool:
    return request.param == "legacy"


@pytest.fixture(params=["streaming", "whole"])
def streaming(request: pytest.FixtureRequest) -> bool:
    return request.param == "streaming"


@pytest.fixture
def talk(adk_client: int, url: str, legacy: bool, streaming: bool) -> Any:
    def to(agent_id: str) -> Conversation:
        return Conversation(adk_client, f"{url}/{agent_id}/", legacy=legacy, streaming=streaming)

    return to


async def test_the_whole_text_is_heard_and_not_only_the_last_piece(talk: Any) -> None:
    turn = await talk("pieces").say("go")
    assert turn.streamed == turn.text == "".join(PIECES)
    assert turn.kept == ["".join(PIECES)]  # what the session remembers


async def test_questions_are_answered_by_plain_text(talk: Any) -> None:
    conversation = talk("ask")
    asked = await conversation.say("cup")
    assert asked.call["args"] == {"input_required": "Which cup?"}
    again = await conversation.say("red")
    assert again.call["args"] == {"input_required": "And which size?"}
    assert (await conversation.say("big")).text == "You chose red and big."


async def test_questions_are_answered_by_a_function_response(talk: Any) -> None:
    conversation = talk("ask")
    asked = await conversation.say("cup")
    again = await conversation.say("red", asked.call)
    assert (await conversation.say("big", again.call)).text == "You chose red and big."


async def test_an_agent_of_adk_on_codin_asks_an_agent_of_adk(talk: Any) -> None:
    conversation = talk("painter")
    asked = await conversation.say("cup")
    assert asked.call["args"] == {"input_required": "What colour?"}
    assert (await conversation.say("red", asked.call)).text == "It is painted."


async def test_files_and_data_arrive(talk: Any) -> None:
    turn = await talk("show").say("go")
    file, data = turn.files
    assert file == ["table.csv", "text/csv", "a,b\n1,2\n"]
    assert '"total": 2' in data[2]


async def test_a_failure_says_why(talk: Any) -> None:
    assert (await talk("fail").say("go")).text == "There is no such thing."
