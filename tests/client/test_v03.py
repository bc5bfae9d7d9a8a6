"""Peers that speak A2A 0.3: when they are called in it, and what is the same for the caller."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel, JsonValue

from codin import a2a
from codin.a2a import v03
from codin.agent import agent
from codin.client import Backoff, Reply, connect
from codin.errors import BadResponse, CardNotTrusted
from codin.server import App
from codin.task import AgentResponse, Task
from codin.trust import SigningKey, TrustPolicy, TrustStore, sign_card
from tests.client.scripted import card as card_of
from tests.net.wire import Exchange, serving
from tests.server.sockets import Served, listening

pytestmark = pytest.mark.anyio

Fields = dict[str, Any]

WELL_KNOWN = "/.well-known/agent-card.json"
PIECES = [f"piece {number} " for number in range(5)]


@agent
async def clerk(text: str, task: Task) -> AsyncIterator[str]:
    """Says many things, and asks one."""
    for piece in PIECES:
        yield piece
    if text == "ask":
        yield (await task.ask("Which?")).text


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with listening(App(clerk)) as served:
        yield served


@pytest.fixture(params=["JSONRPC", "HTTP+JSON"])
def binding(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def old(served: Served, binding: str) -> a2a.AgentCard:
    """The card of a server that has nothing but one binding of 0.3."""
    async with connect(served.url) as peer:
        offered = [each for each in peer.card.supported_interfaces if each.protocol_version == "0.3"]
        interfaces = [each for each in offered if each.protocol_binding == binding]
        return peer.card.model_copy(update={"supported_interfaces": interfaces})


async def test_1_0_is_spoken_wherever_it_stands_in_the_card(served: Served) -> None:
    async with connect(served.url) as peer:
        turned = peer.card.model_copy(update={"supported_interfaces": peer.card.supported_interfaces[::-1]})
    async with connect(turned) as peer:
        assert peer.interface.protocol_version == "1.0"


async def test_0_3_can_be_refused(old: a2a.AgentCard) -> None:
    with pytest.raises(BadResponse, match=r"it offers (JSONRPC|HTTP\+JSON) 0\.3"):
        async with connect(old, versions=("1.0",)):
            pass


async def test_a_conversation_in_0_3(old: a2a.AgentCard, binding: str) -> None:
    async with connect(old) as peer:
        assert (peer.interface.protocol_binding, peer.interface.protocol_version) == (binding, "0.3")
        asked = [event async for event in peer.stream("ask")]
        assert "".join(event.text for event in asked) == f"{''.join(PIECES)}Which?"
        task = asked[-1].task
        assert task is not None
        answered = await peer.send("this", task_id=task.id)
        assert answered.text == f"{''.join(PIECES)}this"
        assert (await peer.get(task.id, history_length=1)).status.state == answered.state
        with pytest.raises(a2a.UnsupportedOperation, match=r"0\.3, which has no ListTasks"):
            await anext(peer.list())


async def test_numbered_events_are_numbered_in_0_3_too(old: a2a.AgentCard) -> None:
    """A codin server that is called in 0.3 resumes a stream all the same."""
    async with connect(old) as peer:
        seen = [event async for event in peer.stream("go")]
        numbers = [event.number for event in seen]
        assert numbers == sorted({number for number in numbers if number is not None})
        task = seen[0].task
        assert task is not None
        again = [event async for event in peer.subscribe(task.id, after=numbers[2])]
    assert [event.number for event in again if event.number in numbers] == numbers[3:]
    assert "".join(event.text for event in again) == "".join(event.text for event in seen[3:])


async def test_everything_that_can_be_sent_can_be_sent_in_0_3(binding: str) -> None:
    class Size(BaseModel):
        width: int

    @agent(input_modes=["*/*"])
    async def keeper(task: Task) -> AgentResponse:
        """Gives back what it got."""
        return AgentResponse.completed(artifacts=[a2a.Artifact(artifact_id="got", parts=task.message.parts)])

    async with listening(App(keeper)) as served, connect(served.url) as now:
        old = [each for each in now.card.supported_interfaces if each.protocol_version == "0.3"]
        chosen = [each for each in old if each.protocol_binding == binding]
        card = now.card.model_copy(update={"supported_interfaces": chosen})
        async with connect(card) as peer:
            file = a2a.Part(raw=b"\x00\xff", filename="f", media_type="image/x")
            content = ["text", {"a": [1, None]}, file, a2a.Part(url="https://f.example/", metadata={"m": 1})]
            given: list[JsonValue | BaseModel] = [Size(width=2), [1, 2], "text"]
            for data in given:
                answers = [await each.send(content, data=data) for each in (peer, now)]
                assert peer.interface.protocol_version != now.interface.protocol_version
                parts = [[part for artifact in _task(each).artifacts for part in artifact.parts] for each in answers]
                assert len(parts[0]) == 5
                assert parts[0] == parts[1]


def _task(reply: Reply) -> a2a.Task:
    assert reply.task is not None
    return reply.task


@pytest.mark.parametrize(
    "result",
    [
        None,
        [],
        {"kind": ["task"]},
        {"kind": "task", "id": "t", "status": {"state": ["working"]}, "artifacts": "none"},
        {"kind": "message", "messageId": "m", "role": ["agent"], "parts": [None]},
    ],
)
async def test_nonsense_is_a_bad_response(result: Any) -> None:
    async def nonsense(exchange: Exchange) -> None:
        await exchange.answer(json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode())

    async with serving(nonsense) as url, connect(card_of(url, supportedInterfaces=interfaces(url))) as peer:
        with pytest.raises(BadResponse, match=r"did not answer in A2A 0\.3"):
            await peer.send("hi")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, {"message": "gone"}, a2a.TaskNotFound),
        (409, {"message": "it has ended"}, a2a.TaskNotCancelable),
        (422, {"message": "no text"}, a2a.InvalidParams),
        (501, {"message": "cannot"}, a2a.UnsupportedOperation),
        (400, {"code": -32005, "message": "no pictures"}, a2a.ContentTypeNotSupported),
        (200, {"code": -32001, "message": "gone"}, a2a.TaskNotFound),
        (404, {"detail": "Not Found"}, BadResponse),
        (422, "nonsense", BadResponse),
    ],
)
async def test_an_error_over_http_json_says_what_it_can(status: int, body: Any, expected: type[Exception]) -> None:
    async def refusing(exchange: Exchange) -> None:
        await exchange.answer(json.dumps(body).encode(), status=status)

    old = [{"protocolBinding": "HTTP+JSON", "protocolVersion": "0.3"}]
    async with serving(refusing) as url:
        card = card_of(url, supportedInterfaces=[{"url": url, **each} for each in old])
        async with connect(card) as peer:
            with pytest.raises(expected):
                await peer.cancel("t")


# Servers whose subscriptions begin with what comes next, and not with the task.


def status(state: str, **fields: Any) -> Fields:
    return {"kind": "status-update", "taskId": "t", "contextId": "c", "status": {"state": state}, **fields}


def piece(text: str) -> Fields:
    artifact = {"artifactId": "a", "parts": [{"kind": "text", "text": text}]}
    return {"kind": "artifact-update", "taskId": "t", "contextId": "c", "artifact": artifact, "append": True}


class OldPeer:
    """Answers `tasks/get` with what it has said so far, and a subscription with what it is told.

    Args:
        events: of a subscription, or the error in its place.
    """

    def __init__(self, *events: Fields, state: str = "working") -> None:
        self.events = events
        self.state = state
        self.headers: list[dict[str, str]] = []

    async def __call__(self, exchange: Exchange) -> None:
        self.headers.append({name.lower(): value for name, value in exchange.headers.items()})
        call = json.loads(exchange.body)
        if call["method"] == "tasks/get":
            artifact = {"artifactId": "a", "parts": [{"kind": "text", "text": "one "}]}
            task = {
                "kind": "task",
                "id": "t",
                "contextId": "c",
                "status": {"state": self.state},
                "artifacts": [artifact],
            }
            await exchange.answer(json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": task}).encode())
            return
        await exchange.begin()
        for event in self.events:
            body = {"jsonrpc": "2.0", "id": call["id"], **event}
            await exchange.chunk(a2a.sse_event(json.dumps(body).encode()))
        await exchange.end()


def interfaces(url: str) -> list[Fields]:
    return [{"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "0.3"}]


async def test_a_subscription_begins_with_the_task_whatever_the_peer_sends() -> None:
    events = [{"result": each} for each in (piece("two"), status("completed", final=True))]
    peer_side = OldPeer(*events)
    async with serving(peer_side) as url, connect(card_of(url, supportedInterfaces=interfaces(url))) as peer:
        seen = [event async for event in peer.subscribe("t")]
    assert [event.kind for event in seen] == ["task", "artifact", "status"]
    assert [event.text for event in seen] == ["one ", "two", ""]
    assert {headers["a2a-version"] for headers in peer_side.headers} == {"0.3"}


async def test_a_subscription_to_what_has_ended_gives_the_task() -> None:
    error = {"code": -32602, "message": "the task is in a terminal state"}
    peer_side = OldPeer({"error": error}, state="completed")
    swift = Backoff(first=0.01, longest=0.02)
    async with (
        serving(peer_side) as url,
        connect(card_of(url, supportedInterfaces=interfaces(url)), backoff=swift) as peer,
    ):
        (event,) = [event async for event in peer.subscribe("t")]
    assert (event.kind, event.text, event.state) == ("task", "one ", a2a.TaskState.COMPLETED)


# Cards of 0.3.


class OldCard:
    """Publishes a card with the fields of 0.3 alone."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.path != WELL_KNOWN:
            await exchange.answer(status=404)
            return
        url = f"http://{exchange.headers['host']}/"
        known = {"name": "old", "description": "", "version": "1", "url": url, "protocolVersion": "0.3.0"}
        lists: Fields = {"defaultInputModes": [], "defaultOutputModes": [], "skills": [], "capabilities": {}}
        await exchange.answer(json.dumps({**known, **lists, **self.fields}).encode())


async def test_a_card_of_0_3_is_enough() -> None:
    async with serving(OldCard()) as url, connect(url) as peer:
        assert (peer.interface.url, peer.interface.protocol_version) == (f"{url}/", "0.3.0")


async def test_a_signature_does_not_vouch_for_the_fields_of_0_3(tmp_path: Any) -> None:
    """One that covers the fields of 1.0 alone would fit whatever address stood beside them."""
    key = SigningKey.generate("ES256")
    empty = v03.card_of(json.dumps({"name": "old", "version": "1", "supportedInterfaces": []}).encode())
    signatures = sign_card(empty, key).to_dict()["signatures"]
    policy = TrustPolicy("require", store=TrustStore(tmp_path / "trust.json"), keys=[key.public], first_use=False)
    async with serving(OldCard(signatures=signatures)) as url:
        with pytest.raises(CardNotTrusted, match="not signed"):
            async with connect(url, trust=policy):
                pass
