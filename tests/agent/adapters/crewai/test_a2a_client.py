"""CrewAI's own A2A client, which speaks 0.3, against agents on codin: an agent of CrewAI delegates to them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import Any

import pytest

from codin.agent import agent
from codin.server import App
from codin.task import Task
from codin.testing import Body, ModelAnswer, ModelServer
from tests.agent.adapters.crewai.crews import Crew, helper
from tests.agent.adapters.crewai.crews import Task as CrewTask
from tests.server.sockets import listening

if find_spec("a2a") is None and not os.environ.get("CI"):
    pytest.skip("CrewAI's client needs what a2a.txt beside this file lists: `make frameworks`", allow_module_level=True)

from crewai.a2a import A2AClientConfig
from crewai.a2a.updates import PollingConfig, StreamingConfig

pytestmark = pytest.mark.anyio

PIECES = ["one,", "two,", "three"]


@agent
async def pieces(text: str) -> AsyncIterator[str]:
    """Counts."""
    for piece in PIECES:
        yield piece


@agent(closing_message=True)
async def shout(text: str) -> str:
    """Says it louder."""
    return text.upper()


@agent
async def painter(text: str, task: Task) -> str:
    """Asks back."""
    answer = await task.ask("Which colour?")
    return f"{text}: {answer.text}"


@agent
async def broken(text: str) -> str:
    """Fails."""
    raise RuntimeError("a secret")


class Delegation:
    """A crew of one agent that may delegate, and the model that decides what it does.

    Attributes:
        heard: what the model was told each time.
    """

    def __init__(self, model: ModelServer, llm: Any, url: str, updates: Any) -> None:
        self.heard: list[str] = []
        self._model = model
        self._llm = llm
        self._url = url
        self._updates = updates

    async def run(self, name: str, *says: str, trust: bool = False) -> str:
        """The crew's answer when the model says these things to the remote agent, and then `The end.`"""
        endpoint = f"{self._url}/{name}/.well-known/agent-card.json"
        left = list(says)

        def answer(body: Body) -> ModelAnswer:
            self.heard.append(str(body["messages"][-1]["content"]))
            said = left.pop(0) if left else None
            ids = [] if said is None else [endpoint]
            words = {"a2a_ids": ids, "message": said or "The end.", "is_a2a": said is not None}
            return ModelAnswer(json.dumps(words))

        self._model.answer = answer
        config = A2AClientConfig(
            endpoint=endpoint, updates=self._updates, timeout=20, trust_remote_completion_status=trust
        )
        member = helper(self._llm, a2a=config)
        crew = Crew(agents=[member], tasks=[CrewTask(description="go", expected_output="text", agent=member)])
        async with asyncio.timeout(60):
            return (await crew.akickoff()).raw


UPDATES = {"streaming": StreamingConfig(), "polling": PollingConfig(interval=0.05)}


@pytest.fixture(params=[*UPDATES])
async def delegation(request: pytest.FixtureRequest, model: ModelServer, llm: Any) -> AsyncIterator[Delegation]:
    async with listening(App(pieces, shout, painter, broken)) as served:
        yield Delegation(model, llm, served.url, UPDATES[request.param])


streaming = pytest.mark.parametrize("delegation", ["streaming"], indirect=True)
polling = pytest.mark.parametrize("delegation", ["polling"], indirect=True)


async def test_the_answer_arrives_whole_and_once(delegation: Delegation) -> None:
    answer = await delegation.run("pieces", "count", trust=True)
    assert answer.replace(" ", "") == "".join(PIECES)  # CrewAI puts blanks between the pieces of a stream
    assert len(delegation.heard) == 1


async def test_a_question_is_answered_in_the_same_task(delegation: Delegation) -> None:
    answer = await delegation.run("painter", "a house", "red", trust=True)
    assert answer.endswith("a house: red")  # before it, who polls has the question once more
    assert answer.count("a house: red") == 1


@streaming
async def test_the_model_is_told_what_is_a_message(delegation: Delegation) -> None:
    assert await delegation.run("shout", "hello") == "The end."
    assert delegation.heard[1].count("HELLO") == 1  # by closing_message
    delegation.heard.clear()
    await delegation.run("painter", "a house", "red")
    assert delegation.heard[1].count("Which colour?") == 1
    delegation.heard.clear()
    await delegation.run("broken", "go")
    assert delegation.heard[1].count("The agent failed (RuntimeError)") == 1
    assert "a secret" not in delegation.heard[1]


@polling
async def test_who_polls_tells_the_model_no_newest_message(delegation: Delegation) -> None:
    """CrewAI shows its model the history, in which the message of the status is not yet."""
    for name, words in {"shout": "HELLO", "painter": "Which colour?", "broken": "The agent failed"}.items():
        assert await delegation.run(name, "hello") == "The end."
        assert words not in delegation.heard.pop()
