"""Remote agents of frameworks that speak 0.3, each as its users have it, against agents on codin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from codin.agent import agent
from codin.server import App
from codin.task import Task
from tests.interop.conftest import HERE, pinned_environment, running
from tests.interop.line import Refused, call
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio

PIECES = [f"piece {number} " for number in range(20)]
# How each says that a run has ended, or waits.
WORDS = {
    "beeai": {"completed": "completed", "asked": "input-required", "failed": "failed", "message": "message"},
    "strands": {"completed": "end_turn", "asked": "interrupt", "failed": "end_turn", "message": "end_turn"},
}

_numbers = count(1)


@agent
async def pieces(text: str) -> AsyncIterator[str]:
    """Says many things, one after the other."""
    for piece in PIECES:
        yield piece


@agent
async def clerk(text: str, task: Task) -> str:
    """Asks back."""
    answer = await task.ask(f"Which {text}?")
    return f"You chose {answer.text}."


@agent
async def broken(text: str) -> str:
    """Fails."""
    raise RuntimeError("a secret")


@agent(reply="message")
async def greet(text: str) -> str:
    """Answers without a task."""
    return f"Hello {text}"


@dataclass(frozen=True)
class Framework:
    """A program that has one of the frameworks.

    Args:
        port: where it takes calls.
        words: its own, for how a run has ended.
    """

    name: str
    port: int
    words: dict[str, str]


class Conversation:
    """One remote agent that a framework holds."""

    def __init__(self, framework: Framework, url: str) -> None:
        self._port = framework.port
        self._url = url
        self._name = f"c{next(_numbers)}"

    async def send(self, text: str) -> tuple[str, str]:
        """The answer, and how it ended."""
        (value,) = await self._values("send", text)
        return value["text"], value["ended"]

    async def stream(self, text: str) -> list[str]:
        return [value["text"] for value in await self._values("stream", text)]

    async def _values(self, verb: str, text: str) -> list[dict[str, Any]]:
        told = {"do": verb, "url": self._url, "params": {"conversation": self._name, "text": text}}
        return [value async for value in call(self._port, told)]


@pytest.fixture(scope="module", params=["beeai", "strands"])
def framework(request: pytest.FixtureRequest) -> Iterator[Framework]:
    name = request.param
    python = pinned_environment(name, f"{name}.txt")
    with running(python, "-W", "ignore", HERE / "peers" / "frameworks_03_client.py", name) as port:
        yield Framework(name, int(port), WORDS[name])


@pytest.fixture
async def url(anyio_backend: str) -> AsyncIterator[str]:
    async with asyncio.timeout(60), listening(App(pieces, clerk, broken, greet)) as served:
        yield served.url


async def test_the_answer_arrives_whole_and_once(framework: Framework, url: str) -> None:
    remote = Conversation(framework, f"{url}/pieces")
    assert await remote.send("go") == ("".join(PIECES), framework.words["completed"])
    assert await remote.stream("go on") == PIECES


async def test_a_message_without_a_task(framework: Framework, url: str) -> None:
    assert await Conversation(framework, f"{url}/greet").send("you") == ("Hello you", framework.words["message"])


async def test_a_question(framework: Framework, url: str) -> None:
    remote = Conversation(framework, f"{url}/clerk")
    assert await remote.send("size") == ("Which size?", framework.words["asked"])
    answered = await remote.send("large")
    if framework.name == "strands":  # it keeps no ids, so every call begins anew
        assert answered == ("Which large?", framework.words["asked"])
    else:
        assert answered == ("You chose large.", framework.words["completed"])


async def test_a_failure_is_told(framework: Framework, url: str) -> None:
    text, ended = await Conversation(framework, f"{url}/broken").send("go")
    assert ended == framework.words["failed"]
    assert text.startswith("The agent failed (RuntimeError)")
    assert "secret" not in text


async def test_an_agent_that_is_not_there(framework: Framework, url: str) -> None:
    with pytest.raises(Refused, match="card"):
        await Conversation(framework, f"{url}/nobody").send("go")
