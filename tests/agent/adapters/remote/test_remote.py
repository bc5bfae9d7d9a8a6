"""A remote agent served as one's own: a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import BaseModel

from codin import a2a
from codin.agent import agent, as_agent
from codin.agent.adapters.remote import adapt
from codin.client import Peer, connect
from codin.errors import ConfigError
from codin.server import App, agent_card
from codin.task import Limits, NeedInput, Reject, Task
from tests.agent.adapters.desk import Desk
from tests.server.sockets import listening

pytestmark = pytest.mark.anyio


class Far:
    """What happened on the other side."""

    def __init__(self) -> None:
        self.stuck = asyncio.Event()
        self.stopped = asyncio.Event()


@pytest.fixture
def far() -> Far:
    return Far()


@pytest.fixture
async def peer(far: Far) -> AsyncIterator[Peer]:
    @agent(name="far away", description="Does everything.", examples=["stream"])
    async def everything(task: Task, text: str) -> str | None:
        match text:
            case "hang":
                far.stuck.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    far.stopped.set()
            case "refuse":
                raise Reject("not today")
            case "fail":
                raise RuntimeError("secret details")
            case "ask":
                return f"so {(await task.ask('how many?', schema=int)) * 2}"
            case "ask twice":
                raise NeedInput("first?") if task.resume is None else NeedInput("second?")
            case "secret":
                return str(len((await task.authorize("which key?")).text))
            case "data":
                await task.status("thinking")
                await task.artifact({"a": 1}, name="numbers")
                await task.artifact(b"%PDF", filename="a.pdf", media_type="application/pdf")
            case _:
                for word in ("one ", "two ", text):
                    await task.write(word)
        return None

    async with listening(App(everything, limits=Limits(drain=0.1))) as served, connect(served.url) as peer:
        yield peer


async def test_what_it_streams_is_passed_on_as_it_comes(peer: Peer) -> None:
    turn = await Desk(as_agent(peer)).send("three")
    assert (turn.state, turn.text, turn.chunks) == ("COMPLETED", "one two three", ["one ", "two ", "three"])


async def test_data_files_and_words_in_between_are_passed_on(peer: Peer) -> None:
    turn = await Desk(as_agent(peer)).send("data")
    assert turn.state == "COMPLETED"
    assert turn.data == {"a": 1}
    file = turn.task.artifacts[-1].parts[0]
    assert (file.raw, file.filename, file.media_type) == (b"%PDF", "a.pdf", "application/pdf")
    assert [text for text, _ in turn.news] == ["thinking"]


async def test_a_question_and_its_schema_go_up_and_the_answer_goes_to_the_same_task(peer: Peer) -> None:
    desk = Desk(as_agent(peer))
    asked = await desk.send("ask")
    assert (asked.state, asked.said) == ("INPUT_REQUIRED", "how many?")
    message = asked.task.status.message
    assert message is not None
    assert message.parts[1].data == {"schema": {"type": "integer"}}
    assert (await desk.send("21", task=asked.task)).text == "so 42"
    assert [task.status.state.name async for task in peer.list()] == ["COMPLETED"]


async def test_a_credential_is_asked_for_as_one(peer: Peer) -> None:
    desk = Desk(as_agent(peer))
    asked = await desk.send("secret")
    assert (asked.state, asked.said) == ("AUTH_REQUIRED", "which key?")
    assert (await desk.send("abc", task=asked.task)).text == "3"


@pytest.mark.parametrize(("text", "state", "said"), [("refuse", "REJECTED", "not today"), ("fail", "FAILED", "failed")])
async def test_what_goes_wrong_there_goes_wrong_here(peer: Peer, text: str, state: str, said: str) -> None:
    turn = await Desk(as_agent(peer)).send(text)
    assert turn.state == state
    assert said in turn.said
    assert "secret" not in turn.said


async def test_cancel_is_passed_on(peer: Peer, far: Far) -> None:
    desk = Desk(as_agent(peer))
    task = await desk.begin("hang")
    async with asyncio.timeout(20):
        await far.stuck.wait()
        assert (await desk.cancel(task)).status.state is a2a.TaskState.CANCELED
        await far.stopped.wait()


@pytest.mark.parametrize("question", ["ask", "ask twice", "secret"])
async def test_cancel_is_passed_on_to_an_agent_that_has_asked(peer: Peer, question: str) -> None:
    desk = Desk(as_agent(peer))
    asked = await desk.send(question)
    assert asked.task.status.state.interrupted
    assert (await desk.cancel(asked.task)).status.state is a2a.TaskState.CANCELED
    await desk.close()
    assert [task.status.state.name async for task in peer.list()] == ["CANCELED"]


async def test_its_card_is_that_of_the_remote_agent(peer: Peer) -> None:
    card = agent_card(as_agent(peer), "http://here/")
    assert (card.name, card.description) == ("far away", "Does everything.")
    assert card.skills == peer.card.skills
    assert adapt(peer, name="near").id == "near"


async def test_the_schema_on_the_card_comes_through() -> None:
    class Order(BaseModel):
        size: int

    @agent
    async def shop(order: Order) -> Order:
        """Sell."""
        return order

    async with listening(App(shop)) as served, connect(served.url) as peer:
        gateway = as_agent(peer)
        card = agent_card(gateway, "http://here/")
        assert _schemas(card) == _schemas(peer.card) != []
        turn = await Desk(gateway).send({"size": 3})
        assert turn.data == {"size": 3}


async def test_a_peer_must_be_connected() -> None:
    with pytest.raises(ConfigError, match="not connected"):
        as_agent(connect("http://127.0.0.1:9"))
    with pytest.raises(ConfigError, match="no peer"):
        adapt("http://127.0.0.1:9")


def _schemas(card: a2a.AgentCard) -> list[object]:
    return [each.params for each in card.capabilities.extensions if each.uri == a2a.SCHEMA_EXTENSION]
